# Looking after the tables: the worker is called on a schedule, with an event that names them.

resource "aws_cloudwatch_event_rule" "maintain" {
  count = var.maintain_schedule == null ? 0 : 1

  name                = "${var.name}-maintain"
  description         = "Has ${local.functions.worker} look after its tables"
  schedule_expression = var.maintain_schedule
  tags                = var.tags
}

resource "aws_cloudwatch_event_target" "maintain" {
  count = var.maintain_schedule == null ? 0 : 1

  rule = aws_cloudwatch_event_rule.maintain[0].name
  arn  = aws_lambda_function.worker.arn

  input = jsonencode({
    maintain = merge(
      { tables = local.table_uris, keep_jobs_days = var.maintain_keep_jobs_days },
      var.maintain_retention_days == null ? {} : { retention_days = var.maintain_retention_days },
      var.maintain_compact == null ? {} : { compact = var.maintain_compact },
      var.maintain_compact == null ? {} : { compact_after_days = var.maintain_compact_after_days },
    )
  })

  # What is missed is done by the next call.
  retry_policy {
    maximum_event_age_in_seconds = 3600
    maximum_retry_attempts       = 2
  }
}

resource "aws_lambda_permission" "maintain" {
  count = var.maintain_schedule == null ? 0 : 1

  statement_id  = "maintain"
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.worker.function_name
  principal     = "events.amazonaws.com"
  source_arn    = aws_cloudwatch_event_rule.maintain[0].arn
}
