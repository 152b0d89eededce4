# What must be refused: loops, which would cost money without end, and values that cannot be right.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  source_bucket_name = "example-drops"
  table_uri          = "s3://example-lake/tables/orders"
  splitter_zip       = "tests/code.zip"
  worker_zip         = "tests/code.zip"
}

run "chunks_in_the_source_bucket" {
  command = plan

  variables {
    create_source_bucket = false
    source_bucket_name   = "example-all"
    chunk_bucket_name    = "example-all"
    source_prefix        = ""
  }

  expect_failures = [var.chunk_prefix]
}

run "chunks_below_the_source_prefix" {
  command = plan

  variables {
    create_source_bucket = false
    source_bucket_name   = "example-all"
    chunk_bucket_name    = "example-all"
    source_prefix        = "drops/"
    chunk_prefix         = "drops/jobs"
  }

  expect_failures = [var.chunk_prefix]
}

run "chunk_prefix_cut_by_the_source_prefix" {
  command = plan

  variables {
    create_source_bucket = false
    source_bucket_name   = "example-all"
    chunk_bucket_name    = "example-all"
    source_prefix        = "sl"
  }

  expect_failures = [var.chunk_prefix]
}

run "table_in_the_source_bucket" {
  command = plan

  variables {
    table_uri = "s3://example-drops/tables/orders"
  }

  expect_failures = [var.table_uri]
}

run "source_prefix_in_the_table" {
  command = plan

  variables {
    table_uri     = "s3://example-drops/tables"
    source_prefix = "tables/drops/"
  }

  expect_failures = [var.table_uri]
}

run "a_table_and_routes" {
  command = plan

  variables {
    routes_file  = "tests/routes.toml"
    route_tables = ["s3://example-lake/raw"]
  }

  expect_failures = [var.table_uri]
}

run "routes_without_tables" {
  command = plan

  variables {
    table_uri   = null
    routes_file = "tests/routes.toml"
  }

  expect_failures = [var.route_tables]
}

run "table_among_chunks" {
  command = plan

  variables {
    chunk_bucket_name = "example-lake"
    chunk_prefix      = "tables"
  }

  expect_failures = [var.table_uri]
}

run "source_bucket_made_twice" {
  command = plan

  variables {
    chunk_bucket_name = "example-drops"
    source_prefix     = "drops/"
  }

  expect_failures = [var.create_source_bucket]
}

run "table_bucket_made_twice" {
  command = plan

  variables {
    create_table_bucket = true
    source_prefix       = "drops/"
    table_uri           = "s3://example-drops/tables/orders"
  }

  expect_failures = [var.create_table_bucket]
}

# Each of these is wrong by itself, and refused.
run "names_and_watching" {
  command = plan

  variables {
    name                          = "Sluice"
    tags                          = { "aws:owner" = "me" }
    source_bucket_name            = "s3://example-drops"
    source_prefix                 = "in/*"
    source_suffixes               = [".csv", "orders.csv"]
    notify_through                = "kafka"
    chunk_bucket_name             = "Chunks"
    chunk_expiration_days         = 14
    abort_incomplete_uploads_days = 8
    noncurrent_version_days       = 0
    log_retention_days            = 31
    log_level                     = "DEBUG"
    alarm_topic_arns              = ["on-call"]
    queue_age_alarm_seconds       = 59
    duration_alarm_percent        = 101
    rejected_rows_alarm           = -1
    lag_alarm_seconds             = 0
    unfinished_alarm_seconds      = 59
    dead_letter_age_alarm_seconds = 1209600
  }

  expect_failures = [
    var.name,
    var.tags,
    var.source_bucket_name,
    var.source_prefix,
    var.source_suffixes,
    var.notify_through,
    var.chunk_bucket_name,
    var.chunk_expiration_days,
    var.abort_incomplete_uploads_days,
    var.noncurrent_version_days,
    var.log_retention_days,
    var.log_level,
    var.alarm_topic_arns,
    var.queue_age_alarm_seconds,
    var.duration_alarm_percent,
    var.rejected_rows_alarm,
    var.lag_alarm_seconds,
    var.unfinished_alarm_seconds,
    var.dead_letter_age_alarm_seconds,
  ]
}

# Values that no function could use, of every setting that has such values: each has to be named.
run "settings_of_wrong_values" {
  command = plan

  variables {
    settings = {
      CHUNK_SIZE_MB             = "0"
      CHUNK_CODEC               = "gzip"
      TRANSFORM_SQL             = ""
      PARTITION_BY              = ""
      COMMIT_MODE               = "row"
      DATA_FILES                = "copied"
      ON_REPLACE                = "merge"
      FORMAT                    = "xml"
      INFER                     = "guess"
      SCHEMA                    = "id"
      COLUMN_NAMES              = "upper"
      COMPRESSION               = "rar"
      ENCODING                  = "utf 8"
      MAX_EXPANDED_MB           = "0"
      MAX_EXPANSION_RATIO       = "0.5"
      MAX_FOOTER_MB             = "0"
      CSV_DELIMITER             = ";;"
      CSV_QUOTE                 = "quote"
      CSV_ESCAPE                = "0xff"
      CSV_COMMENT               = "//"
      CSV_TERMINATOR            = "none"
      CSV_HEADER                = "17"
      CSV_SKIP_LINES            = "-1"
      CSV_DECIMAL               = ";"
      NULL_WORDS                = ""
      BAD_RECORDS               = "ignore"
      MAX_BAD_RECORDS           = "-1"
      MAX_RECORD_MB             = "1025"
      MAX_PARTITIONS            = "0"
      MEMORY_MB                 = "127"
      COMMIT_MAX_ATTEMPTS       = "0"
      COMMIT_BACKOFF_INITIAL_MS = "0"
      COMMIT_BACKOFF_MAX_MS     = "x"
    }
  }

  expect_failures = [aws_lambda_function.splitter, aws_lambda_function.worker]

  assert {
    condition     = length(distinct(flatten(values(local.wrong_settings)))) == length(var.settings)
    error_message = "Every value must be refused, not only ${join(", ", flatten(values(local.wrong_settings)))}."
  }
}

run "setting_of_no_name" {
  command = plan

  variables {
    settings = { BAD_RECORD = "fail" }
  }

  expect_failures = [var.settings]
}

run "setting_of_the_module" {
  command = plan

  variables {
    settings = { TABLE_URI = "s3://elsewhere/table" }
  }

  expect_failures = [var.settings]
}

run "settings_of_more_than_there_is_room_for" {
  command = plan

  variables {
    settings = { TRANSFORM_SQL = "SELECT '${join("", [for i in range(310) : "0123456789"])}' AS long FROM chunk" }
  }

  expect_failures = [var.settings]
}

run "setting_among_other_variables" {
  command = plan

  variables {
    extra_environment = { BAD_RECORDS = "fail" }
  }

  expect_failures = [var.extra_environment]
}

# As above.
run "other_variables" {
  command = plan

  variables {
    extra_environment = { AWS_LAMBDA_RUNTIME_API = "x" }
    table_uri         = "s3://example-lake"
  }

  expect_failures = [
    var.extra_environment,
    var.table_uri,
  ]
}

# As above.
run "functions_and_queues" {
  command = plan

  variables {
    architecture                  = "amd64"
    splitter_zip                  = "tests"
    worker_zip                    = "tests"
    splitter_timeout_seconds      = 901
    worker_timeout_seconds        = 5
    splitter_memory_mb            = 100
    worker_memory_mb              = 20000
    splitter_ephemeral_storage_mb = 511
    worker_ephemeral_storage_mb   = 10241
    splitter_max_concurrency      = 1
    worker_max_concurrency        = 1001
    worker_batch_size             = 0
    max_receive_count             = 4
    queue_retention_days          = 3
    kms_key_arn                   = "alias/sluice"
    source_kms_key_arn            = "arn:aws:kms:eu-central-1:000000000000:alias/sluice"
    table_kms_key_arn             = "key"
    permissions_boundary_arn      = "boundary"
    subnet_ids                    = ["vpc-1"]
    chunk_prefix                  = "/jobs/"
  }

  expect_failures = [
    var.architecture,
    var.splitter_zip,
    var.worker_zip,
    var.splitter_timeout_seconds,
    var.worker_timeout_seconds,
    var.splitter_memory_mb,
    var.worker_memory_mb,
    var.splitter_ephemeral_storage_mb,
    var.worker_ephemeral_storage_mb,
    var.splitter_max_concurrency,
    var.worker_max_concurrency,
    var.worker_batch_size,
    var.max_receive_count,
    var.queue_retention_days,
    var.kms_key_arn,
    var.source_kms_key_arn,
    var.table_kms_key_arn,
    var.permissions_boundary_arn,
    var.subnet_ids,
    var.chunk_prefix,
  ]
}

# The other ends of ranges, and other mistakes.
run "other_ends" {
  command = plan

  variables {
    name                          = "a-name-of-more-than-twenty-four-letters"
    source_prefix                 = "/in/"
    source_suffixes               = [""]
    chunk_expiration_days         = 20.5
    abort_incomplete_uploads_days = 0
    splitter_max_concurrency      = 1001
    worker_max_concurrency        = 1
    queue_retention_days          = 15
    worker_timeout_seconds        = 901
    max_receive_count             = 5.5
    worker_batch_window_seconds   = 301
    security_group_ids            = ["subnet-1"]
    subnet_ids                    = ["subnet-1"]
  }

  expect_failures = [
    var.name,
    var.source_prefix,
    var.source_suffixes,
    var.chunk_expiration_days,
    var.abort_incomplete_uploads_days,
    var.splitter_max_concurrency,
    var.worker_max_concurrency,
    var.queue_retention_days,
    var.worker_timeout_seconds,
    var.max_receive_count,
    var.worker_batch_window_seconds,
    var.security_group_ids,
  ]
}

# Mostly right by themselves, but not together.
run "do_not_fit" {
  command = plan

  variables {
    worker_batch_size           = 11
    worker_batch_window_seconds = 0
    subnet_ids                  = ["subnet-1"]
    table_uri                   = "s3://example-lake/orders/"
    notify_through              = "eventbridge"
    sns_raw_delivery            = false
  }

  expect_failures = [
    var.worker_batch_window_seconds,
    var.security_group_ids,
    var.table_uri,
    var.sns_raw_delivery,
  ]
}
