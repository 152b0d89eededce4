# Chains are followed on a schedule, by the worker.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  source_bucket_name = "example-drops"
  splitter_zip       = "tests/code.zip"
  worker_zip         = "tests/code.zip"
  routes_file        = "tests/routes.toml"
  route_tables       = ["s3://example-lake/bronze", "s3://example-lake/silver"]
}

run "off" {
  assert {
    condition     = length(aws_cloudwatch_event_rule.chain) == 0 && length(aws_cloudwatch_event_target.chain) == 0 && length(aws_lambda_permission.chain) == 0
    error_message = "Without a schedule nothing follows chains."
  }

  assert {
    condition     = !strcontains(aws_iam_role_policy.worker.policy, "ReadRoutes")
    error_message = "A worker that follows no chains reads no routes but those that the splitter kept."
  }
}

run "scheduled" {
  variables {
    chain_schedule = "rate(5 minutes)"
  }

  assert {
    condition     = aws_cloudwatch_event_rule.chain[0].schedule_expression == "rate(5 minutes)" && jsondecode(aws_cloudwatch_event_target.chain[0].input) == { chain = {} }
    error_message = "Chains must be followed every five minutes."
  }

  assert {
    condition     = aws_cloudwatch_event_target.chain[0].arn == aws_lambda_function.worker.arn && aws_lambda_permission.chain[0].principal == "events.amazonaws.com" && aws_lambda_permission.chain[0].source_arn == aws_cloudwatch_event_rule.chain[0].arn
    error_message = "The rule, and no other, must be allowed to call the worker."
  }

  assert {
    condition = one([
      for statement in jsondecode(aws_iam_role_policy.worker.policy).Statement : statement.Resource if statement.Sid == "ReadRoutes"
    ]) == "arn:aws:s3:::sluice-chunks-000000000000-eu-central-1/sluice_config/routes.toml"
    error_message = "The worker must reach the routes."
  }
}

run "in_dynamodb" {
  variables {
    routes_file     = null
    routes_dynamodb = { table = "routes" }
    chain_schedule  = "rate(5 minutes)"
  }

  command = plan

  expect_failures = [var.chain_schedule]
}

run "without_routes" {
  variables {
    routes_file    = null
    route_tables   = []
    table_uri      = "s3://example-lake/orders"
    chain_schedule = "rate(5 minutes)"
  }

  command = plan

  expect_failures = [var.chain_schedule]
}

run "no_schedule" {
  variables {
    chain_schedule = "5 minutes"
  }

  command = plan

  expect_failures = [var.chain_schedule]
}
