# Chains: the worker is called on a schedule, and takes what is new in the tables that routes read to the tables that they write.

resource "aws_cloudwatch_event_rule" "chain" {
  count = var.chain_schedule == null ? 0 : 1

  name                = "${var.name}-chain"
  description         = "Has ${local.functions.worker} follow the chains of the routes"
  schedule_expression = var.chain_schedule
  tags                = var.tags
}

resource "aws_cloudwatch_event_target" "chain" {
  count = var.chain_schedule == null ? 0 : 1

  rule  = aws_cloudwatch_event_rule.chain[0].name
  arn   = aws_lambda_function.worker.arn
  input = jsonencode({ chain = {} })

  # What is missed is done by the next call.
  retry_policy {
    maximum_event_age_in_seconds = 60
    maximum_retry_attempts       = 0
  }
}

resource "aws_lambda_permission" "chain" {
  count = var.chain_schedule == null ? 0 : 1

  statement_id  = "chain"
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.worker.function_name
  principal     = "events.amazonaws.com"
  source_arn    = aws_cloudwatch_event_rule.chain[0].arn
}
