# The functions, what they are told, and what watches them.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  source_bucket_name = "example-drops"
  table_uri          = "s3://example-lake/tables/orders"
  splitter_zip       = "tests/code.zip"
  worker_zip         = "tests/code.zip"
}

# What the emulated deployment is built from, too.
run "deployment" {
  assert {
    condition = alltrue([
      for function in [aws_lambda_function.splitter, aws_lambda_function.worker] : (
        function.runtime == "provided.al2023" && function.handler == "bootstrap" && function.architectures == tolist(["arm64"]) &&
        function.memory_size == 1769 && function.ephemeral_storage[0].size == 512 &&
        function.source_code_hash == filebase64sha256("tests/code.zip")
      )
    ])
    error_message = "Both functions must be Rust binaries on provided.al2023, arm64 by default."
  }

  assert {
    condition     = aws_lambda_function.splitter.timeout == 900 && aws_lambda_function.worker.timeout == 300
    error_message = "Default timeouts are 900 s and 300 s."
  }

  assert {
    condition = aws_lambda_function.splitter.environment[0].variables == tomap({
      MALLOC_ARENA_MAX = "2"
      CHUNK_BUCKET     = "sluice-chunks-000000000000-eu-central-1"
      CHUNK_PREFIX     = "sluice"
      CHUNK_QUEUE_URL  = "https://sqs.eu-central-1.amazonaws.com/000000000000/sluice-chunks"
      SOURCE_QUEUE_URL = "https://sqs.eu-central-1.amazonaws.com/000000000000/sluice-events"
      RUST_LOG         = "off,lambda_runtime=info,splitter=info,worker=info,shared=info"
      TABLE_URI        = "s3://example-lake/tables/orders"
    })
    error_message = "The splitter must be told this and, unless asked, nothing else."
  }

  assert {
    condition = aws_lambda_function.worker.environment[0].variables == tomap({
      CHUNK_BUCKET    = "sluice-chunks-000000000000-eu-central-1"
      CHUNK_PREFIX    = "sluice"
      CHUNK_QUEUE_URL = "https://sqs.eu-central-1.amazonaws.com/000000000000/sluice-chunks"
      RUST_LOG        = "off,lambda_runtime=info,splitter=info,worker=info,shared=info"
      TABLE_URI       = "s3://example-lake/tables/orders"
    })
    error_message = "The worker must be told this and, unless asked, nothing else."
  }

  assert {
    condition = alltrue([
      for name, pair in { splitter = [aws_lambda_function.splitter, aws_cloudwatch_log_group.function["splitter"]], worker = [aws_lambda_function.worker, aws_cloudwatch_log_group.function["worker"]] } : (
        pair[1].name == "/aws/lambda/${pair[0].function_name}" && pair[1].retention_in_days == 30 && pair[0].logging_config[0].log_group == pair[1].name && pair[0].logging_config[0].log_format == "JSON"
      )
    ])
    error_message = "Each function must log to its own group, which forgets."
  }

  assert {
    condition = {
      for name, alarm in aws_cloudwatch_metric_alarm.sluice : name => [alarm.namespace, alarm.metric_name, alarm.statistic, one([for key, value in alarm.dimensions : "${key} ${value}"]), alarm.threshold]
      } == {
      sluice-events-dead-letters = ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "Maximum", "QueueName sluice-events-dead", 0]
      sluice-chunks-dead-letters = ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "Maximum", "QueueName sluice-chunks-dead", 0]
      sluice-events-age          = ["AWS/SQS", "ApproximateAgeOfOldestMessage", "Maximum", "QueueName sluice-events", 3600]
      sluice-chunks-age          = ["AWS/SQS", "ApproximateAgeOfOldestMessage", "Maximum", "QueueName sluice-chunks", 3600]
      sluice-splitter-errors     = ["AWS/Lambda", "Errors", "Sum", "FunctionName sluice-splitter", 0]
      sluice-worker-errors       = ["AWS/Lambda", "Errors", "Sum", "FunctionName sluice-worker", 0]
      sluice-splitter-throttles  = ["AWS/Lambda", "Throttles", "Sum", "FunctionName sluice-splitter", 0]
      sluice-worker-throttles    = ["AWS/Lambda", "Throttles", "Sum", "FunctionName sluice-worker", 0]
      sluice-splitter-duration   = ["AWS/Lambda", "Duration", "Maximum", "FunctionName sluice-splitter", 720000]
      sluice-worker-duration     = ["AWS/Lambda", "Duration", "Maximum", "FunctionName sluice-worker", 240000]

      sluice-splitter-rejects        = ["Sluice", "RowsQuarantined", "Sum", "FunctionName sluice-splitter", 0]
      sluice-worker-rejects          = ["Sluice", "RowsQuarantined", "Sum", "FunctionName sluice-worker", 0]
      sluice-splitter-files-rejected = ["Sluice", "FilesRejected", "Sum", "FunctionName sluice-splitter", 0]
      sluice-worker-lag              = ["Sluice", "LoadLag", "Maximum", "FunctionName sluice-worker", 3600000]
      sluice-worker-unfinished       = ["Sluice", "OldestUnfinishedJob", "Maximum", "FunctionName sluice-worker", 86400000]
      sluice-events-dead-age         = ["AWS/SQS", "ApproximateAgeOfOldestMessage", "Maximum", "QueueName sluice-events-dead", 604800]
      sluice-chunks-dead-age         = ["AWS/SQS", "ApproximateAgeOfOldestMessage", "Maximum", "QueueName sluice-chunks-dead", 604800]
    }
    error_message = "Dead letters and their age, messages that wait, errors, throttles, calls near their timeout, rejected records and files, lag and unfinished jobs must raise alarms, and nothing else."
  }

  assert {
    condition     = alltrue([for alarm in values(aws_cloudwatch_metric_alarm.sluice) : alarm.comparison_operator == "GreaterThanThreshold" && alarm.treat_missing_data == "notBreaching"])
    error_message = "An alarm is raised by what is there, not by silence."
  }

  assert {
    condition = alltrue([
      for name in ["sluice-events", "sluice-chunks", "sluice-events-dead", "sluice-chunks-dead", "sluice-splitter", "sluice-worker"] :
      strcontains(aws_cloudwatch_dashboard.sluice.dashboard_body, "\"${name}\"")
    ])
    error_message = "The dashboard must show every queue and function."
  }

  assert {
    condition = alltrue([
      for widget in jsondecode(aws_cloudwatch_dashboard.sluice.dashboard_body).widgets : widget.x + widget.width <= 24 && widget.properties.region == "eu-central-1"
    ])
    error_message = "Widgets must fit the dashboard and look at this region."
  }
}

run "all_settings" {
  variables {
    architecture                  = "x86_64"
    chunk_prefix                  = "team/jobs"
    log_level                     = "debug"
    completion_topic_arn          = "arn:aws:sns:eu-central-1:000000000000:loaded.fifo"
    extra_environment             = { DELTA_EXTRA = "1", RUST_LOG = "trace" }
    splitter_memory_mb            = 3538
    worker_memory_mb              = 2048
    splitter_ephemeral_storage_mb = 1024
    worker_ephemeral_storage_mb   = 2048
    log_retention_days            = 365
    alarm_topic_arns              = ["arn:aws:sns:eu-central-1:000000000000:on-call"]
    queue_age_alarm_seconds       = 600
    duration_alarm_percent        = 50
    rejected_rows_alarm           = 10
    lag_alarm_seconds             = 60
    unfinished_alarm_seconds      = 7200
    dead_letter_age_alarm_seconds = 86400
    tags                          = { team = "data" }

    settings = {
      CHUNK_SIZE_MB             = 64
      CHUNK_CODEC               = "zstd"
      TRANSFORM_SQL             = "SELECT *,\n  1 AS one FROM chunk"
      PARTITION_BY              = "day,country"
      COMMIT_MODE               = "file"
      DATA_FILES                = "rewritten"
      ON_REPLACE                = "replace"
      FORMAT                    = "ndjson"
      INFER                     = "full"
      SCHEMA                    = "day:date(DD.MM.YYYY),price:decimal(12,2)"
      COLUMN_NAMES              = "snake"
      COMPRESSION               = "gzip"
      ENCODING                  = "windows-1252"
      MAX_EXPANDED_MB           = 4096
      MAX_EXPANSION_RATIO       = 100
      MAX_FOOTER_MB             = 64
      CSV_DELIMITER             = "tab"
      CSV_QUOTE                 = "'"
      CSV_ESCAPE                = "\\"
      CSV_COMMENT               = "#"
      CSV_TERMINATOR            = "0x1e"
      CSV_HEADER                = 2
      CSV_SKIP_LINES            = 3
      CSV_DECIMAL               = ","
      NULL_WORDS                = "-,n/a"
      BAD_RECORDS               = "null"
      MAX_BAD_RECORDS           = "0.5%"
      MAX_RECORD_MB             = 16
      MAX_PARTITIONS            = 500
      COMMIT_MAX_ATTEMPTS       = 20
      COMMIT_BACKOFF_INITIAL_MS = 50
      COMMIT_BACKOFF_MAX_MS     = 5000
    }
  }

  assert {
    condition = aws_lambda_function.splitter.environment[0].variables == tomap({
      DELTA_EXTRA         = "1"
      RUST_LOG            = "off,lambda_runtime=info,splitter=debug,worker=debug,shared=debug"
      MALLOC_ARENA_MAX    = "2"
      CHUNK_SIZE_MB       = "64"
      COMMIT_MODE         = "file"
      ON_REPLACE          = "replace"
      CHUNK_BUCKET        = "sluice-chunks-000000000000-eu-central-1"
      CHUNK_PREFIX        = "team/jobs"
      CHUNK_QUEUE_URL     = aws_sqs_queue.chunks.url
      SOURCE_QUEUE_URL    = aws_sqs_queue.events.url
      TABLE_URI           = "s3://example-lake/tables/orders"
      TRANSFORM_SQL       = "SELECT *,\n  1 AS one FROM chunk"
      PARTITION_BY        = "day,country"
      BAD_RECORDS         = "null"
      MAX_BAD_RECORDS     = "0.5%"
      MAX_RECORD_MB       = "16"
      FORMAT              = "ndjson"
      INFER               = "full"
      SCHEMA              = "day:date(DD.MM.YYYY),price:decimal(12,2)"
      COLUMN_NAMES        = "snake"
      CHUNK_CODEC         = "zstd"
      COMPRESSION         = "gzip"
      ENCODING            = "windows-1252"
      MAX_EXPANDED_MB     = "4096"
      MAX_EXPANSION_RATIO = "100"
      MAX_FOOTER_MB       = "64"
      CSV_DELIMITER       = "tab"
      CSV_QUOTE           = "'"
      CSV_ESCAPE          = "\\"
      CSV_COMMENT         = "#"
      CSV_TERMINATOR      = "0x1e"
      CSV_HEADER          = "2"
      CSV_SKIP_LINES      = "3"
      CSV_DECIMAL         = ","
      NULL_WORDS          = "-,n/a"

      COMPLETION_TOPIC_ARN = "arn:aws:sns:eu-central-1:000000000000:loaded.fifo"
    })
    error_message = "The splitter must get every setting that it reads, and extra variables replace none."
  }

  assert {
    condition = aws_lambda_function.worker.environment[0].variables == tomap({
      DELTA_EXTRA               = "1"
      RUST_LOG                  = "off,lambda_runtime=info,splitter=debug,worker=debug,shared=debug"
      CHUNK_BUCKET              = "sluice-chunks-000000000000-eu-central-1"
      CHUNK_PREFIX              = "team/jobs"
      CHUNK_QUEUE_URL           = aws_sqs_queue.chunks.url
      TABLE_URI                 = "s3://example-lake/tables/orders"
      TRANSFORM_SQL             = "SELECT *,\n  1 AS one FROM chunk"
      PARTITION_BY              = "day,country"
      MAX_PARTITIONS            = "500"
      COMMIT_MAX_ATTEMPTS       = "20"
      COMMIT_BACKOFF_INITIAL_MS = "50"
      COMMIT_BACKOFF_MAX_MS     = "5000"
      BAD_RECORDS               = "null"
      DATA_FILES                = "rewritten"
      COMPLETION_TOPIC_ARN      = "arn:aws:sns:eu-central-1:000000000000:loaded.fifo"
    })
    error_message = "The worker must get every setting that it reads, and extra variables replace none."
  }

  assert {
    condition = (
      aws_lambda_function.splitter.architectures == tolist(["x86_64"]) && aws_lambda_function.worker.architectures == tolist(["x86_64"]) &&
      aws_lambda_function.splitter.memory_size == 3538 && aws_lambda_function.worker.memory_size == 2048 &&
      aws_lambda_function.splitter.ephemeral_storage[0].size == 1024 && aws_lambda_function.worker.ephemeral_storage[0].size == 2048 &&
      aws_cloudwatch_log_group.function["splitter"].retention_in_days == 365 && aws_cloudwatch_log_group.function["worker"].retention_in_days == 365
    )
    error_message = "Sizes, architecture and retention must reach the functions."
  }

  assert {
    condition = alltrue([
      for alarm in values(aws_cloudwatch_metric_alarm.sluice) :
      alarm.alarm_actions == toset(var.alarm_topic_arns) && alarm.ok_actions == toset(var.alarm_topic_arns)
    ])
    error_message = "Every alarm must tell the topics, of its end as well."
  }

  assert {
    condition     = [for name in ["chunks-age", "worker-duration", "splitter-rejects", "worker-lag", "worker-unfinished", "chunks-dead-age"] : aws_cloudwatch_metric_alarm.sluice["sluice-${name}"].threshold] == [600, 150000, 10, 60000, 7200000, 86400]
    error_message = "Thresholds must follow the variables."
  }

  assert {
    condition     = aws_lambda_function.splitter.tags == tomap({ team = "data" }) && aws_sqs_queue.chunks.tags == tomap({ team = "data" }) && aws_s3_bucket.created["chunks"].tags == tomap({ team = "data" })
    error_message = "Tags must reach the resources."
  }
}

run "other_name" {
  variables {
    name = "orders"
  }

  assert {
    condition = [
      aws_sqs_queue.events.name, aws_sqs_queue.events_dead.name, aws_sqs_queue.chunks.name, aws_sqs_queue.chunks_dead.name,
      aws_lambda_function.splitter.function_name, aws_lambda_function.worker.function_name, aws_iam_role.function["splitter"].name, aws_iam_role.function["worker"].name,
      aws_cloudwatch_dashboard.sluice.dashboard_name, aws_s3_bucket.created["chunks"].bucket,
    ] == ["orders-events", "orders-events-dead", "orders-chunks", "orders-chunks-dead", "orders-splitter", "orders-worker", "orders-splitter", "orders-worker", "orders", "orders-chunks-000000000000-eu-central-1"]
    error_message = "Every name must start with the deployment's, so that several can live in one account."
  }
}

run "zips_in_a_bucket" {
  variables {
    splitter_zip = "s3://releases/sluice/sluice-splitter-0.1.0-arm64.zip"
    worker_zip   = "s3://releases/sluice/sluice-worker-0.1.0-arm64.zip?versionId=3sL4kqtJlcpXroDTDmJ"
  }

  assert {
    condition     = aws_lambda_function.splitter.s3_bucket == "releases" && aws_lambda_function.splitter.s3_key == "sluice/sluice-splitter-0.1.0-arm64.zip"
    error_message = "The splitter's code must come from the object."
  }

  assert {
    condition     = aws_lambda_function.worker.s3_key == "sluice/sluice-worker-0.1.0-arm64.zip" && aws_lambda_function.worker.s3_object_version == "3sL4kqtJlcpXroDTDmJ"
    error_message = "The worker's code must come from that version of the object."
  }
}

run "no_zip" {
  command = plan

  variables {
    splitter_zip = "tests/missing.zip"
    worker_zip   = "tests/missing.zip"
  }

  expect_failures = [aws_lambda_function.splitter, aws_lambda_function.worker]
}
