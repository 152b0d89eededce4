# With a key, everything that is stored uses it, and the roles may use it and no other.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  source_bucket_name  = "example-drops"
  table_uri           = "s3://example-lake/tables/orders"
  create_table_bucket = true
  notify_through      = "sns"
  splitter_zip        = "tests/code.zip"
  worker_zip          = "tests/code.zip"
  kms_key_arn         = "arn:aws:kms:eu-central-1:000000000000:key/11111111-2222-3333-4444-555555555555"
}

run "one_key" {
  assert {
    condition = alltrue([
      for config in aws_s3_bucket_server_side_encryption_configuration.created : (
        one(one(config.rule).apply_server_side_encryption_by_default).sse_algorithm == "aws:kms" &&
        one(one(config.rule).apply_server_side_encryption_by_default).kms_master_key_id == var.kms_key_arn &&
        one(config.rule).bucket_key_enabled
      )
    ])
    error_message = "Every bucket must use the key, through a bucket key."
  }

  assert {
    condition = alltrue([
      for queue in [aws_sqs_queue.events, aws_sqs_queue.events_dead, aws_sqs_queue.chunks, aws_sqs_queue.chunks_dead] :
      queue.kms_master_key_id == var.kms_key_arn && !queue.sqs_managed_sse_enabled
    ])
    error_message = "Every queue must use the key, and not SQS's own encryption as well: SQS refuses both."
  }

  assert {
    condition     = aws_sns_topic.events[0].kms_master_key_id == var.kms_key_arn
    error_message = "The topic must use the key."
  }

  assert {
    condition = (
      aws_cloudwatch_log_group.function["splitter"].kms_key_id == var.kms_key_arn && aws_cloudwatch_log_group.function["worker"].kms_key_id == var.kms_key_arn &&
      aws_lambda_function.splitter.kms_key_arn == var.kms_key_arn && aws_lambda_function.worker.kms_key_arn == var.kms_key_arn
    )
    error_message = "Logs and environment must use the key."
  }

  assert {
    condition = alltrue([
      for policy in [aws_iam_role_policy.splitter, aws_iam_role_policy.worker] : [
        for statement in jsondecode(policy.policy).Statement : statement if anytrue([for action in flatten([statement.Action]) : startswith(action, "kms:")])
      ] == [{ Sid = "UseKey", Effect = "Allow", Action = ["kms:Decrypt", "kms:GenerateDataKey"], Resource = var.kms_key_arn }]
    ])
    error_message = "Each role may use exactly this key."
  }
}

run "keys_of_existing_buckets" {
  variables {
    source_kms_key_arn = "arn:aws:kms:eu-central-1:000000000000:key/aaaaaaaa-2222-3333-4444-555555555555"
    table_kms_key_arn  = "arn:aws:kms:eu-central-1:000000000000:key/bbbbbbbb-2222-3333-4444-555555555555"
  }

  assert {
    condition = [for statement in jsondecode(aws_iam_role_policy.splitter.policy).Statement : [statement.Action, statement.Resource] if startswith(statement.Sid, "Use")] == [
      [["kms:Decrypt", "kms:GenerateDataKey"], var.kms_key_arn],
      ["kms:Decrypt", var.table_kms_key_arn],
      ["kms:Decrypt", var.source_kms_key_arn],
    ]
    error_message = "The splitter may only decrypt with the keys of source and table."
  }

  assert {
    condition = [for statement in jsondecode(aws_iam_role_policy.worker.policy).Statement : [statement.Action, statement.Resource] if startswith(statement.Sid, "Use")] == [
      [["kms:Decrypt", "kms:GenerateDataKey"], var.kms_key_arn],
      [["kms:Decrypt", "kms:GenerateDataKey"], var.table_kms_key_arn],
    ]
    error_message = "The worker may use the table's key, and not the source's."
  }
}
