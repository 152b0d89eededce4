# All of it: existing buckets, a key, a topic, alarms and, where subnets are given, a VPC.

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

  default_tags {
    tags = { deployed-by = "terraform" }
  }
}

module "sluice" {
  source = "../.."

  name = var.name
  tags = { team = "data" }

  # Drops: an existing bucket, told of through a topic that others can listen to. "eventbridge" would do, too, and leaves
  # room for other notifications of the bucket; the key then has to let events.amazonaws.com use it instead of SNS.
  source_bucket_name   = var.source_bucket_name
  create_source_bucket = false
  source_prefix        = "drops/"
  source_suffixes      = [".csv", ".parquet"]
  source_kms_key_arn   = var.source_kms_key_arn
  notify_through       = "sns"

  # The table, in an existing bucket.
  table_uri         = "s3://${var.table_bucket_name}/tables/orders"
  table_kms_key_arn = var.table_kms_key_arn

  # How files are read and rows committed: the settings that `sluice settings` lists.
  settings = {
    CHUNK_SIZE_MB       = 128
    BAD_RECORDS         = "quarantine"
    MAX_BAD_RECORDS     = 1000
    COLUMN_NAMES        = "snake"
    COMMIT_MAX_ATTEMPTS = 30
  }

  # Functions and queues.
  architecture                = "arm64"
  splitter_memory_mb          = 3538
  worker_memory_mb            = 3538
  splitter_max_concurrency    = 20
  worker_max_concurrency      = 20
  worker_batch_size           = 5
  worker_batch_window_seconds = 2
  max_receive_count           = 6
  queue_retention_days        = 7

  # Security.
  kms_key_arn        = aws_kms_key.sluice.arn
  subnet_ids         = var.subnet_ids
  security_group_ids = var.security_group_ids

  # Watching.
  log_retention_days      = 365
  log_level               = "info"
  alarm_topic_arns        = [aws_sns_topic.alarms.arn]
  queue_age_alarm_seconds = 1800
}
