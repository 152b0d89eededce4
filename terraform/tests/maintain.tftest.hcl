# Tables are looked after on a schedule, by the worker.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  source_bucket_name = "example-drops"
  table_uri          = "s3://example-lake/tables/orders"
  splitter_zip       = "tests/code.zip"
  worker_zip         = "tests/code.zip"
}

run "scheduled" {
  assert {
    condition     = aws_cloudwatch_event_rule.maintain[0].schedule_expression == "rate(1 hour)" && aws_cloudwatch_event_target.maintain[0].rule == aws_cloudwatch_event_rule.maintain[0].name
    error_message = "Tables must be looked after every hour."
  }

  assert {
    condition = jsondecode(aws_cloudwatch_event_target.maintain[0].input) == {
      maintain = { tables = ["s3://example-lake/tables/orders"], keep_jobs_days = 30 }
    }
    error_message = "The table that the worker writes to must be looked after."
  }

  assert {
    condition     = aws_cloudwatch_event_target.maintain[0].arn == aws_lambda_function.worker.arn && aws_lambda_permission.maintain[0].function_name == aws_lambda_function.worker.function_name && aws_lambda_permission.maintain[0].principal == "events.amazonaws.com" && aws_lambda_permission.maintain[0].source_arn == aws_cloudwatch_event_rule.maintain[0].arn
    error_message = "The rule, and no other, must be allowed to call the worker."
  }
}

run "as_told" {
  variables {
    maintain_schedule       = "cron(0 3 * * ? *)"
    maintain_keep_jobs_days = 3
    maintain_retention_days = 14
    maintain_compact        = "within-jobs"
  }

  assert {
    condition     = jsondecode(aws_cloudwatch_event_target.maintain[0].input).maintain.compact == "within-jobs" && jsondecode(aws_cloudwatch_event_target.maintain[0].input).maintain.compact_after_days == 7
    error_message = "Small files must be merged as told."
  }

  assert {
    condition     = jsondecode(aws_cloudwatch_event_target.maintain[0].input).maintain.retention_days == 14 && jsondecode(aws_cloudwatch_event_target.maintain[0].input).maintain.keep_jobs_days == 3
    error_message = "What is kept for how long must be as told."
  }
}

run "off" {
  variables {
    maintain_schedule = null
  }

  assert {
    condition     = length(aws_cloudwatch_event_rule.maintain) == 0 && length(aws_cloudwatch_event_target.maintain) == 0 && length(aws_lambda_permission.maintain) == 0
    error_message = "Without a schedule nothing calls the worker but its queue."
  }

  assert {
    condition     = !contains(keys(aws_cloudwatch_metric_alarm.sluice), "sluice-worker-unfinished")
    error_message = "Without a schedule nothing finds unfinished jobs."
  }

  assert {
    condition     = !contains(jsondecode(aws_iam_role_policy.worker.policy).Statement[*].Sid, "CleanWorkAreas")
    error_message = "Without a schedule the worker must not delete chunks."
  }
}

run "no_schedule_at_all" {
  command = plan

  variables {
    maintain_schedule = "hourly"
  }

  expect_failures = [var.maintain_schedule]
}

run "files_of_loads_under_way" {
  command = plan

  variables {
    maintain_retention_days = 0
  }

  expect_failures = [var.maintain_retention_days]
}

run "half_a_day" {
  command = plan

  variables {
    maintain_keep_jobs_days = 0.5
  }

  expect_failures = [var.maintain_keep_jobs_days]
}
