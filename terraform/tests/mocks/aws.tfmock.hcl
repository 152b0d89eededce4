# What AWS would answer for a deployment named "sluice" in an account that nobody has.

mock_data "aws_caller_identity" {
  defaults = { account_id = "000000000000" }
}

mock_data "aws_partition" {
  defaults = { partition = "aws" }
}

mock_data "aws_region" {
  defaults = { region = "eu-central-1" }
}

override_resource {
  target = aws_sqs_queue.events
  values = {
    arn = "arn:aws:sqs:eu-central-1:000000000000:sluice-events"
    url = "https://sqs.eu-central-1.amazonaws.com/000000000000/sluice-events"
  }
}

override_resource {
  target = aws_sqs_queue.events_dead
  values = {
    arn = "arn:aws:sqs:eu-central-1:000000000000:sluice-events-dead"
    url = "https://sqs.eu-central-1.amazonaws.com/000000000000/sluice-events-dead"
  }
}

override_resource {
  target = aws_sqs_queue.chunks
  values = {
    arn = "arn:aws:sqs:eu-central-1:000000000000:sluice-chunks"
    url = "https://sqs.eu-central-1.amazonaws.com/000000000000/sluice-chunks"
  }
}

override_resource {
  target = aws_sqs_queue.chunks_dead
  values = {
    arn = "arn:aws:sqs:eu-central-1:000000000000:sluice-chunks-dead"
    url = "https://sqs.eu-central-1.amazonaws.com/000000000000/sluice-chunks-dead"
  }
}

override_resource {
  target = aws_sns_topic.events
  values = { arn = "arn:aws:sns:eu-central-1:000000000000:sluice-events" }
}

override_resource {
  target = aws_cloudwatch_event_rule.events
  values = { arn = "arn:aws:events:eu-central-1:000000000000:rule/sluice-events" }
}

override_resource {
  target = aws_cloudwatch_event_rule.maintain
  values = { arn = "arn:aws:events:eu-central-1:000000000000:rule/sluice-maintain" }
}

override_resource {
  target = aws_lambda_function.splitter
  values = { arn = "arn:aws:lambda:eu-central-1:000000000000:function:sluice-splitter" }
}

override_resource {
  target = aws_lambda_function.worker
  values = { arn = "arn:aws:lambda:eu-central-1:000000000000:function:sluice-worker" }
}

override_resource {
  target = aws_iam_role.function["splitter"]
  values = { arn = "arn:aws:iam::000000000000:role/sluice-splitter" }
}

override_resource {
  target = aws_iam_role.function["worker"]
  values = { arn = "arn:aws:iam::000000000000:role/sluice-worker" }
}

override_resource {
  target = aws_cloudwatch_log_group.function["splitter"]
  values = { arn = "arn:aws:logs:eu-central-1:000000000000:log-group:/aws/lambda/sluice-splitter" }
}

override_resource {
  target = aws_cloudwatch_log_group.function["worker"]
  values = { arn = "arn:aws:logs:eu-central-1:000000000000:log-group:/aws/lambda/sluice-worker" }
}
