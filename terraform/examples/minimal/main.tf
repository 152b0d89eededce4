# The least there is to say: a bucket to drop files in and a table.

terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 6.0, < 7.0"
    }
  }
}

provider "aws" {
  region = var.region
}

data "aws_caller_identity" "current" {}

module "sluice" {
  source = "../.."

  name                = var.name
  source_bucket_name  = "${var.name}-drops-${data.aws_caller_identity.current.account_id}"
  table_uri           = "s3://${var.name}-lake-${data.aws_caller_identity.current.account_id}/tables/orders"
  create_table_bucket = true

  # A trial should go away without a trace.
  force_destroy = true
}
