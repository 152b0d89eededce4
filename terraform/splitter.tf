# The splitter: takes one drop, writes its chunks and sends a task for each.

locals {
  splitter_zip = coalesce(var.splitter_zip, "${path.module}/../target/lambda/splitter/bootstrap.zip")
  # Null where the zip is a file.
  splitter_object = try(regex(local.object_uri, local.splitter_zip), null)

  # A contract may lie in any bucket.
  contract_uris = [for uri in concat([lookup(var.settings, "CONTRACT_URI", "")], var.route_contracts) : uri if startswith(uri, "s3://")]

  splitter_environment = {
    # Each thread keeps an arena of what it freed; with two, memory stays the same over any length of file.
    MALLOC_ARENA_MAX = "2"
    CHUNK_BUCKET     = local.chunk_bucket
    CHUNK_PREFIX     = var.chunk_prefix
    CHUNK_QUEUE_URL  = aws_sqs_queue.chunks.url
    # Where to send a continuation; absent, the splitter hands nothing over.
    SOURCE_QUEUE_URL = var.splitter_hand_over ? aws_sqs_queue.events.url : null
    TABLE_URI        = var.table_uri
    ROUTES_URI       = local.routes_uri
    # Whichever function sees a job done sends the notice: the splitter, if all chunks were loaded before it came to its end.
    COMPLETION_TOPIC_ARN = var.completion_topic_arn
    RUST_LOG             = local.log_filter
  }
}

resource "aws_lambda_function" "splitter" {
  #checkov:skip=CKV_AWS_50:traces would need a permission on every resource; logs and metrics name job and chunk
  #checkov:skip=CKV_AWS_115:reserved concurrency throttles and so eats receives; the event source mapping bounds it instead
  #checkov:skip=CKV_AWS_116:called by a queue only, whose dead letters have a queue of their own
  #checkov:skip=CKV_AWS_117:a VPC is an option, see subnet_ids; S3 and SQS are reached over TLS without one
  #checkov:skip=CKV_AWS_173:nothing in the environment is a secret; kms_key_arn encrypts it
  #checkov:skip=CKV_AWS_272:the zip is built and hashed here; signing needs a profile that the account's owner keeps
  function_name     = local.functions.splitter
  description       = "Splits a dropped file into Parquet chunks"
  role              = aws_iam_role.function["splitter"].arn
  runtime           = "provided.al2023"
  handler           = "bootstrap"
  architectures     = [var.architecture]
  filename          = local.splitter_object == null ? local.splitter_zip : null
  source_code_hash  = local.splitter_object == null ? filebase64sha256(local.splitter_zip) : null
  s3_bucket         = try(local.splitter_object.bucket, null)
  s3_key            = try(local.splitter_object.key, null)
  s3_object_version = try(local.splitter_object.version, null)
  timeout           = var.splitter_timeout_seconds
  memory_size       = var.splitter_memory_mb
  kms_key_arn       = var.kms_key_arn
  tags              = var.tags

  environment {
    variables = merge(var.extra_environment, local.settings.splitter, { for name, value in local.splitter_environment : name => value if value != null })
  }

  ephemeral_storage {
    size = var.splitter_ephemeral_storage_mb
  }

  logging_config {
    log_group        = aws_cloudwatch_log_group.function["splitter"].name
    log_format       = "JSON"
    system_log_level = "INFO"
  }

  dynamic "vpc_config" {
    for_each = length(var.subnet_ids) > 0 ? [true] : []

    content {
      subnet_ids         = var.subnet_ids
      security_group_ids = var.security_group_ids
    }
  }

  lifecycle {
    precondition {
      condition     = local.splitter_object != null || fileexists(local.splitter_zip)
      error_message = "No splitter at ${local.splitter_zip}: build it with cargo lambda build --profile dist-splitter --output-format zip -p splitter, or set splitter_zip."
    }

    # Without this, it would refuse to start, and what is dropped would end as dead letters.
    precondition {
      condition     = length(local.wrong_settings.splitter) == 0
      error_message = "The splitter cannot use these settings: ${join(", ", local.wrong_settings.splitter)}. settings.json has the values that there are."
    }
  }

  # Lambda checks the role when it makes function and mapping.
  depends_on = [aws_iam_role_policy.splitter, aws_iam_role_policy.vpc]
}

resource "aws_lambda_event_source_mapping" "splitter" {
  event_source_arn        = aws_sqs_queue.events.arn
  function_name           = aws_lambda_function.splitter.arn
  function_response_types = ["ReportBatchItemFailures"]
  tags                    = var.tags

  # A drop may take all the time there is; nothing shares it.
  batch_size                         = 1
  maximum_batching_window_in_seconds = 0

  # Unlike reserved concurrency, this never throttles, so no receive is spent in vain.
  scaling_config {
    maximum_concurrency = var.splitter_max_concurrency
  }
}

# Lambda stops what it takes for a loop; a continuation in the splitter's own queue looks like one.
resource "aws_lambda_function_recursion_config" "splitter" {
  count = var.splitter_hand_over ? 1 : 0

  function_name  = aws_lambda_function.splitter.function_name
  recursive_loop = "Allow"
}

resource "aws_iam_role_policy" "splitter" {
  name = "splitter"
  role = aws_iam_role.function["splitter"].name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        {
          Sid      = "ReadSource"
          Effect   = "Allow"
          Action   = ["s3:GetObject", "s3:GetObjectVersion"]
          Resource = "${local.source_bucket_arn}/${var.source_prefix}*"
        },
        {
          # Without it a deleted object answers 403, which cannot be told from a missing permission.
          Sid       = "ListSource"
          Effect    = "Allow"
          Action    = "s3:ListBucket"
          Resource  = local.source_bucket_arn
          Condition = { StringLike = { "s3:prefix" = "${var.source_prefix}*" } }
        },
        {
          Sid      = "WriteChunks"
          Effect   = "Allow"
          Action   = ["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"]
          Resource = "${local.chunk_bucket_arn}/${var.chunk_prefix}/*"
        },
        {
          # Which drop came after which; beside the work areas, which expire.
          Sid      = "NoteDrops"
          Effect   = "Allow"
          Action   = ["s3:GetObject", "s3:PutObject"]
          Resource = "${local.chunk_bucket_arn}/${var.chunk_prefix}_drops/*"
        },
        {
          Sid       = "ListChunks"
          Effect    = "Allow"
          Action    = "s3:ListBucket"
          Resource  = local.chunk_bucket_arn
          Condition = { StringLike = { "s3:prefix" = ["${var.chunk_prefix}/*", "${var.chunk_prefix}_drops/*"] } }
        },
        {
          # The types of the table's columns, which text is read as.
          Sid    = "ReadTableLog"
          Effect = "Allow"
          Action = "s3:GetObject"
          Resource = concat(
            [for uri in local.table_uris : "arn:${local.partition}:s3:::${trimprefix(uri, "s3://")}/_delta_log/*"],
            # Those below.
            [for uri in var.route_tables : "arn:${local.partition}:s3:::${trimprefix(uri, "s3://")}/*/_delta_log/*"],
          )
        },
        {
          Sid      = "ReceiveEvents"
          Effect   = "Allow"
          Action   = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes"]
          Resource = aws_sqs_queue.events.arn
        },
        {
          Sid      = "SendChunkTasks"
          Effect   = "Allow"
          Action   = "sqs:SendMessage"
          Resource = aws_sqs_queue.chunks.arn
        },
        {
          Sid      = "WriteLogs"
          Effect   = "Allow"
          Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
          Resource = "${aws_cloudwatch_log_group.function["splitter"].arn}:*"
        },
      ],
      [
        for i, uri in local.table_uris : {
          Sid       = "ListTableLog${i}"
          Effect    = "Allow"
          Action    = "s3:ListBucket"
          Resource  = "arn:${local.partition}:s3:::${regex("^s3://([^/]+)/", uri)[0]}"
          Condition = { StringLike = { "s3:prefix" = "${regex("^s3://[^/]+/(.+)$", uri)[0]}/_delta_log/*" } }
        }
      ],
      !var.splitter_hand_over ? [] : [{
        Sid      = "HandOver"
        Effect   = "Allow"
        Action   = "sqs:SendMessage"
        Resource = aws_sqs_queue.events.arn
      }],
      [
        for i, uri in var.route_tables : {
          Sid       = "ListTableLogBelow${i}"
          Effect    = "Allow"
          Action    = "s3:ListBucket"
          Resource  = "arn:${local.partition}:s3:::${regex("^s3://([^/]+)/", uri)[0]}"
          Condition = { StringLike = { "s3:prefix" = "${regex("^s3://[^/]+/(.+)$", uri)[0]}/*/_delta_log/*" } }
        }
      ],
      [
        for uri in compact([local.routes_file_uri]) : {
          Sid      = "ReadRoutes"
          Effect   = "Allow"
          Action   = "s3:GetObject"
          Resource = "arn:${local.partition}:s3:::${trimprefix(uri, "s3://")}"
        }
      ],
      [
        for name in compact([local.routes_table]) : {
          Sid      = "ScanRoutes"
          Effect   = "Allow"
          Action   = "dynamodb:Scan"
          Resource = "arn:${local.partition}:dynamodb:${local.region}:${local.account_id}:table/${name}"
        }
      ],
      length(local.contract_uris) == 0 ? [] : [{
        Sid      = "ReadContract"
        Effect   = "Allow"
        Action   = "s3:GetObject"
        Resource = [for uri in local.contract_uris : "arn:${local.partition}:s3:::${trimprefix(uri, "s3://")}"]
      }],
      local.lookup_statements,
      local.common_statements,
      var.table_kms_key_arn == null ? [] : [{
        Sid      = "UseTableKey"
        Effect   = "Allow"
        Action   = "kms:Decrypt"
        Resource = var.table_kms_key_arn
      }],
      var.source_kms_key_arn == null ? [] : [{
        Sid      = "UseSourceKey"
        Effect   = "Allow"
        Action   = "kms:Decrypt"
        Resource = var.source_kms_key_arn
      }],
    )
  })
}
