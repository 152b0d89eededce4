# The worker: takes chunk tasks, transforms their rows and appends them to the table.

locals {
  worker_zip = coalesce(var.worker_zip, "${path.module}/../target/lambda/worker/bootstrap.zip")
  # Null where the zip is a file.
  worker_object = try(regex(local.object_uri, local.worker_zip), null)

  worker_environment = {
    CHUNK_BUCKET         = local.chunk_bucket
    CHUNK_PREFIX         = var.chunk_prefix
    CHUNK_QUEUE_URL      = aws_sqs_queue.chunks.url
    TABLE_URI            = var.table_uri
    ROUTES_URI           = local.routes_uri
    COMPLETION_TOPIC_ARN = var.completion_topic_arn
    RUST_LOG             = local.log_filter
  }

  # A file, or a Delta table and all of it. Without the list, what is missing could not be told from a missing permission.
  lookup_statements = concat(
    length(var.lookup_uris) == 0 ? [] : [{
      Sid      = "ReadLookups"
      Effect   = "Allow"
      Action   = "s3:GetObject"
      Resource = flatten([for uri in var.lookup_uris : [for end in ["", "/*"] : "arn:${local.partition}:s3:::${trimprefix(uri, "s3://")}${end}"]])
    }],
    [
      for i, uri in var.lookup_uris : {
        Sid       = "ListLookup${i}"
        Effect    = "Allow"
        Action    = "s3:ListBucket"
        Resource  = "arn:${local.partition}:s3:::${regex("^s3://([^/]+)/", uri)[0]}"
        Condition = { StringLike = { "s3:prefix" = [for end in ["", "/*"] : "${regex("^s3://[^/]+/(.+)$", uri)[0]}${end}"] } }
      }
    ],
  )

  # A list: policies and the schedule are written for any number of tables.
  table_uris = concat(compact([var.table_uri]), var.route_tables)
}

resource "aws_lambda_function" "worker" {
  #checkov:skip=CKV_AWS_50:traces would need a permission on every resource; logs and metrics name job and chunk
  #checkov:skip=CKV_AWS_115:reserved concurrency throttles and so eats receives; the event source mapping bounds it instead
  #checkov:skip=CKV_AWS_116:called by a queue only, whose dead letters have a queue of their own
  #checkov:skip=CKV_AWS_117:a VPC is an option, see subnet_ids; S3 and SQS are reached over TLS without one
  #checkov:skip=CKV_AWS_173:nothing in the environment is a secret; kms_key_arn encrypts it
  #checkov:skip=CKV_AWS_272:the zip is built and hashed here; signing needs a profile that the account's owner keeps
  function_name     = local.functions.worker
  description       = "Appends Parquet chunks to a Delta table"
  role              = aws_iam_role.function["worker"].arn
  runtime           = "provided.al2023"
  handler           = "bootstrap"
  architectures     = [var.architecture]
  filename          = local.worker_object == null ? local.worker_zip : null
  source_code_hash  = local.worker_object == null ? filebase64sha256(local.worker_zip) : null
  s3_bucket         = try(local.worker_object.bucket, null)
  s3_key            = try(local.worker_object.key, null)
  s3_object_version = try(local.worker_object.version, null)
  timeout           = var.worker_timeout_seconds
  memory_size       = var.worker_memory_mb
  kms_key_arn       = var.kms_key_arn
  tags              = var.tags

  environment {
    variables = merge(var.extra_environment, local.settings.worker, { for name, value in local.worker_environment : name => value if value != null })
  }

  ephemeral_storage {
    size = var.worker_ephemeral_storage_mb
  }

  logging_config {
    log_group        = aws_cloudwatch_log_group.function["worker"].name
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
      condition     = local.worker_object != null || fileexists(local.worker_zip)
      error_message = "No worker at ${local.worker_zip}: build it with cargo lambda build --profile dist --output-format zip -p worker, or set worker_zip."
    }

    # Without this, it would refuse to start, and what is dropped would end as dead letters.
    precondition {
      condition     = length(local.wrong_settings.worker) == 0
      error_message = "The worker cannot use these settings: ${join(", ", local.wrong_settings.worker)}. settings.json has the values that there are."
    }
  }

  # Lambda checks the role when it makes function and mapping.
  depends_on = [aws_iam_role_policy.worker, aws_iam_role_policy.vpc]
}

resource "aws_lambda_event_source_mapping" "worker" {
  event_source_arn                   = aws_sqs_queue.chunks.arn
  function_name                      = aws_lambda_function.worker.arn
  function_response_types            = ["ReportBatchItemFailures"]
  batch_size                         = var.worker_batch_size
  maximum_batching_window_in_seconds = var.worker_batch_window_seconds
  tags                               = var.tags

  # Unlike reserved concurrency, this never throttles, so no receive is spent in vain.
  scaling_config {
    maximum_concurrency = var.worker_max_concurrency
  }
}

resource "aws_iam_role_policy" "worker" {
  name = "worker"
  role = aws_iam_role.function["worker"].name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        {
          # Reads chunks and manifests, writes receipts and quarantine.
          Sid      = "ReadChunksWriteReceipts"
          Effect   = "Allow"
          Action   = ["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"]
          Resource = "${local.chunk_bucket_arn}/${var.chunk_prefix}/*"
        },
        {
          Sid      = "ReadDrops"
          Effect   = "Allow"
          Action   = "s3:GetObject"
          Resource = "${local.chunk_bucket_arn}/${var.chunk_prefix}_drops/*"
        },
        {
          # Without it what is not written yet answers 403, which cannot be told from a missing permission.
          Sid       = "ListChunks"
          Effect    = "Allow"
          Action    = "s3:ListBucket"
          Resource  = local.chunk_bucket_arn
          Condition = { StringLike = { "s3:prefix" = ["${var.chunk_prefix}/*", "${var.chunk_prefix}_drops/*"] } }
        },
        {
          Sid      = "WriteTable"
          Effect   = "Allow"
          Action   = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"]
          Resource = [for uri in local.table_uris : "arn:${local.partition}:s3:::${trimprefix(uri, "s3://")}/*"]
        },
        {
          Sid      = "ReceiveChunkTasks"
          Effect   = "Allow"
          Action   = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes"]
          Resource = aws_sqs_queue.chunks.arn
        },
        {
          Sid      = "WriteLogs"
          Effect   = "Allow"
          Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
          Resource = "${aws_cloudwatch_log_group.function["worker"].arn}:*"
        },
      ],
      # One statement for each table, so that one table's prefix opens no other bucket.
      [
        for i, uri in local.table_uris : {
          Sid       = "ListTable${i}"
          Effect    = "Allow"
          Action    = "s3:ListBucket"
          Resource  = "arn:${local.partition}:s3:::${regex("^s3://([^/]+)/", uri)[0]}"
          Condition = { StringLike = { "s3:prefix" = "${regex("^s3://[^/]+/(.+)$", uri)[0]}/*" } }
        }
      ],
      # Chunks of jobs that are done go when tables are looked after.
      var.maintain_schedule == null ? [] : [{
        Sid      = "CleanWorkAreas"
        Effect   = "Allow"
        Action   = "s3:DeleteObject"
        Resource = "${local.chunk_bucket_arn}/${var.chunk_prefix}/*"
      }],
      # Chains are followed by the routes as they are now.
      [
        for uri in compact([local.routes_file_uri]) : {
          Sid      = "ReadRoutes"
          Effect   = "Allow"
          Action   = "s3:GetObject"
          Resource = "arn:${local.partition}:s3:::${trimprefix(uri, "s3://")}"
        } if var.chain_schedule != null
      ],
      local.lookup_statements,
      local.common_statements,
      var.table_kms_key_arn == null ? [] : [{
        Sid      = "UseTableKey"
        Effect   = "Allow"
        Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource = var.table_kms_key_arn
      }],
    )
  })
}
