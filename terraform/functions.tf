# What both functions have alike: log group, role, and what Lambda needs to attach them to a VPC.

locals {
  functions = {
    splitter = "${var.name}-splitter"
    worker   = "${var.name}-worker"
  }

  # Libraries stay silent; what goes wrong in them is told by whoever called them. The runtime's span puts the call's
  # requestId into each line.
  log_filter = "off,lambda_runtime=info,splitter=${var.log_level},worker=${var.log_level},shared=${var.log_level}"

  # Permissions of both beside what each needs for its own work.
  common_statements = concat(
    var.kms_key_arn == null ? [] : [{
      Sid      = "UseKey"
      Effect   = "Allow"
      Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
      Resource = var.kms_key_arn
    }],
    # Whichever of the two sees a job done writes its receipt and tells of it.
    var.completion_topic_arn == null ? [] : [{
      Sid      = "TellOfJobs"
      Effect   = "Allow"
      Action   = "sns:Publish"
      Resource = var.completion_topic_arn
    }],
  )

  vpc_actions = [
    "ec2:CreateNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:DeleteNetworkInterface",
    "ec2:AssignPrivateIpAddresses",
    "ec2:UnassignPrivateIpAddresses",
  ]
}

# Made before the function, or Lambda makes one that is kept for ever.
resource "aws_cloudwatch_log_group" "function" {
  #checkov:skip=CKV_AWS_158:CloudWatch Logs encrypts anyway; kms_key_arn makes it use a key of yours
  #checkov:skip=CKV_AWS_338:log_retention_days goes up to ten years; manifests and receipts are the record, not logs
  for_each = local.functions

  name              = "/aws/lambda/${each.value}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
  tags              = var.tags
}

resource "aws_iam_role" "function" {
  for_each = local.functions

  name                 = each.value
  permissions_boundary = var.permissions_boundary_arn
  tags                 = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "lambda.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

# Lambda makes the network interfaces with the function's role; the function itself may not.
resource "aws_iam_role_policy" "vpc" {
  #checkov:skip=CKV_AWS_290:EC2 knows no narrower resource for what Lambda needs here, and the function itself is denied
  #checkov:skip=CKV_AWS_355:as above
  for_each = length(var.subnet_ids) > 0 ? local.functions : {}

  name = "vpc"
  role = aws_iam_role.function[each.key].name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "AttachToVpc"
        Effect   = "Allow"
        Action   = local.vpc_actions
        Resource = "*"
      },
      {
        Sid       = "NotByTheFunction"
        Effect    = "Deny"
        Action    = local.vpc_actions
        Resource  = "*"
        Condition = { ArnEquals = { "lambda:SourceFunctionArn" = "arn:${local.partition}:lambda:${local.region}:${local.account_id}:function:${each.value}" } }
      },
    ]
  })
}
