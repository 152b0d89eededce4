# Queues, dead letters and event source mappings: the numbers that keep messages from being lost.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  source_bucket_name  = "example-drops"
  table_uri           = "s3://example-lake/tables/orders"
  create_table_bucket = true
  splitter_zip        = "tests/code.zip"
  worker_zip          = "tests/code.zip"
}

run "defaults" {
  assert {
    condition = (
      jsondecode(aws_sqs_queue.events.redrive_policy) == { deadLetterTargetArn = aws_sqs_queue.events_dead.arn, maxReceiveCount = 5 } &&
      jsondecode(aws_sqs_queue.chunks.redrive_policy) == { deadLetterTargetArn = aws_sqs_queue.chunks_dead.arn, maxReceiveCount = 5 }
    )
    error_message = "Each queue must send its dead letters to its own dead letter queue, after 5 receives."
  }

  assert {
    condition = (
      jsondecode(aws_sqs_queue_redrive_allow_policy.events_dead.redrive_allow_policy) == { redrivePermission = "byQueue", sourceQueueArns = [aws_sqs_queue.events.arn] } &&
      jsondecode(aws_sqs_queue_redrive_allow_policy.chunks_dead.redrive_allow_policy) == { redrivePermission = "byQueue", sourceQueueArns = [aws_sqs_queue.chunks.arn] } &&
      aws_sqs_queue_redrive_allow_policy.events_dead.queue_url == aws_sqs_queue.events_dead.url &&
      aws_sqs_queue_redrive_allow_policy.chunks_dead.queue_url == aws_sqs_queue.chunks_dead.url
    )
    error_message = "A dead letter queue must take letters of exactly its own queue."
  }

  assert {
    condition     = aws_sqs_queue.events_dead.message_retention_seconds == 1209600 && aws_sqs_queue.chunks_dead.message_retention_seconds == 1209600
    error_message = "Dead letters must be kept 14 days."
  }

  assert {
    condition     = aws_sqs_queue.events.message_retention_seconds == 4 * 86400 && aws_sqs_queue.chunks.message_retention_seconds == 4 * 86400
    error_message = "Messages must be kept 4 days by default."
  }

  assert {
    condition     = aws_sqs_queue.events.visibility_timeout_seconds == 6 * 900 && aws_sqs_queue.chunks.visibility_timeout_seconds == 6 * 300 + 5
    error_message = "Visibility must be six times the timeout of the function, and the batch window on top."
  }

  assert {
    condition = alltrue([
      for queue in [aws_sqs_queue.events, aws_sqs_queue.events_dead, aws_sqs_queue.chunks, aws_sqs_queue.chunks_dead] : queue.sqs_managed_sse_enabled
    ])
    error_message = "All queues must be encrypted without a key, too."
  }

  assert {
    condition = (
      aws_lambda_event_source_mapping.splitter.function_response_types == toset(["ReportBatchItemFailures"]) &&
      aws_lambda_event_source_mapping.worker.function_response_types == toset(["ReportBatchItemFailures"])
    )
    error_message = "Both mappings must take partial batch responses."
  }

  assert {
    condition = (
      aws_lambda_event_source_mapping.splitter.event_source_arn == aws_sqs_queue.events.arn &&
      aws_lambda_event_source_mapping.splitter.function_name == aws_lambda_function.splitter.arn &&
      aws_lambda_event_source_mapping.worker.event_source_arn == aws_sqs_queue.chunks.arn &&
      aws_lambda_event_source_mapping.worker.function_name == aws_lambda_function.worker.arn
    )
    error_message = "Events go to the splitter, chunk tasks to the worker."
  }

  assert {
    condition = (
      aws_lambda_event_source_mapping.splitter.batch_size == 1 &&
      aws_lambda_event_source_mapping.worker.batch_size == 10 &&
      aws_lambda_event_source_mapping.worker.maximum_batching_window_in_seconds == 5
    )
    error_message = "The splitter takes one drop at a time, the worker up to 10 chunks within 5 s."
  }

  assert {
    condition = (
      aws_lambda_event_source_mapping.splitter.scaling_config[0].maximum_concurrency == 10 &&
      aws_lambda_event_source_mapping.worker.scaling_config[0].maximum_concurrency == 10
    )
    error_message = "Both mappings must be bounded."
  }
}

run "short_timeouts" {
  variables {
    splitter_timeout_seconds    = 60
    worker_timeout_seconds      = 10
    worker_batch_window_seconds = 0
    worker_max_concurrency      = 1000
    splitter_max_concurrency    = 2
    max_receive_count           = 7
    queue_retention_days        = 14
  }

  assert {
    condition = (
      aws_sqs_queue.events.visibility_timeout_seconds >= 6 * aws_lambda_function.splitter.timeout &&
      aws_sqs_queue.chunks.visibility_timeout_seconds >= 6 * aws_lambda_function.worker.timeout &&
      aws_lambda_function.splitter.timeout == 60 && aws_lambda_function.worker.timeout == 10
    )
    error_message = "Visibility must follow short timeouts."
  }

  assert {
    condition     = jsondecode(aws_sqs_queue.events.redrive_policy).maxReceiveCount == 7 && jsondecode(aws_sqs_queue.chunks.redrive_policy).maxReceiveCount == 7
    error_message = "max_receive_count must reach both queues."
  }

  assert {
    condition = (
      aws_lambda_event_source_mapping.splitter.scaling_config[0].maximum_concurrency == 2 &&
      aws_lambda_event_source_mapping.worker.scaling_config[0].maximum_concurrency == 1000
    )
    error_message = "Each function has a bound of its own."
  }

  assert {
    condition     = aws_sqs_queue.events.message_retention_seconds == 14 * 86400 && aws_sqs_queue.chunks.message_retention_seconds == 14 * 86400
    error_message = "queue_retention_days must reach both queues."
  }
}

run "long_timeouts" {
  variables {
    splitter_timeout_seconds    = 899
    worker_timeout_seconds      = 900
    worker_batch_size           = 100
    worker_batch_window_seconds = 300
  }

  assert {
    condition = (
      aws_sqs_queue.events.visibility_timeout_seconds >= 6 * aws_lambda_function.splitter.timeout &&
      aws_sqs_queue.chunks.visibility_timeout_seconds >= 6 * aws_lambda_function.worker.timeout + 300
    )
    error_message = "Visibility must follow long timeouts and the batch window."
  }

  assert {
    condition     = max(aws_sqs_queue.events.visibility_timeout_seconds, aws_sqs_queue.chunks.visibility_timeout_seconds) <= 43200
    error_message = "SQS takes at most 12 hours."
  }

  # A message must outlive all its receives.
  assert {
    condition     = aws_sqs_queue.chunks.visibility_timeout_seconds * var.max_receive_count < aws_sqs_queue.chunks.message_retention_seconds
    error_message = "A message would expire before it becomes a dead letter."
  }
}
