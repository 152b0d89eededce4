# Each alarm means that somebody should look, and its description says at what.

locals {
  queues = {
    events = aws_sqs_queue.events.name
    chunks = aws_sqs_queue.chunks.name
  }

  dead_letter_queues = {
    events = aws_sqs_queue.events_dead.name
    chunks = aws_sqs_queue.chunks_dead.name
  }

  functions = {
    splitter = aws_lambda_function.splitter.function_name
    worker   = aws_lambda_function.worker.function_name
  }

  timeouts = {
    splitter = var.splitter_timeout_seconds
    worker   = var.worker_timeout_seconds
  }
}

resource "aws_cloudwatch_metric_alarm" "dead_letters" {
  for_each = local.dead_letter_queues

  alarm_name          = "${each.value}-letters"
  alarm_description   = "Messages of ${each.key} failed ${var.max_receive_count} times and wait in ${each.value}. See sluice dlq list."
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateNumberOfMessagesVisible"
  dimensions          = { QueueName = each.value }
  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = 1
  threshold           = 0
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topic_arns
  ok_actions          = var.alarm_topic_arns
  tags                = var.tags
}

resource "aws_cloudwatch_metric_alarm" "oldest_message" {
  for_each = local.queues

  alarm_name          = "${each.value}-age"
  alarm_description   = "The oldest message of ${each.value} is older than ${var.queue_age_alarm_seconds} s: its function fails or does not keep up."
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateAgeOfOldestMessage"
  dimensions          = { QueueName = each.value }
  statistic           = "Maximum"
  period              = 300
  evaluation_periods  = 1
  threshold           = var.queue_age_alarm_seconds
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topic_arns
  ok_actions          = var.alarm_topic_arns
  tags                = var.tags
}

resource "aws_cloudwatch_metric_alarm" "errors" {
  for_each = local.functions

  alarm_name          = "${each.value}-errors"
  alarm_description   = "Calls of ${each.value} ended in an error: a crash, a timeout or no memory left. Failed messages alone do not count here."
  namespace           = "AWS/Lambda"
  metric_name         = "Errors"
  dimensions          = { FunctionName = each.value }
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 1
  threshold           = 0
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topic_arns
  ok_actions          = var.alarm_topic_arns
  tags                = var.tags
}

resource "aws_cloudwatch_metric_alarm" "throttles" {
  for_each = local.functions

  alarm_name          = "${each.value}-throttles"
  alarm_description   = "Calls of ${each.value} were throttled: the account's concurrency is used up, and throttled messages spend receives."
  namespace           = "AWS/Lambda"
  metric_name         = "Throttles"
  dimensions          = { FunctionName = each.value }
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 1
  threshold           = 0
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topic_arns
  ok_actions          = var.alarm_topic_arns
  tags                = var.tags
}

# The maximum rather than a percentile: there are few calls, and the one that is cut off matters.
resource "aws_cloudwatch_metric_alarm" "duration" {
  for_each = local.functions

  alarm_name          = "${each.value}-duration"
  alarm_description   = "A call of ${each.value} took more than ${var.duration_alarm_percent} % of its ${local.timeouts[each.key]} s. A splitter that hands over does so by design; a worker needs a smaller batch or more memory."
  namespace           = "AWS/Lambda"
  metric_name         = "Duration"
  dimensions          = { FunctionName = each.value }
  statistic           = "Maximum"
  unit                = "Milliseconds"
  period              = 300
  evaluation_periods  = 1
  threshold           = local.timeouts[each.key] * 10 * var.duration_alarm_percent
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topic_arns
  ok_actions          = var.alarm_topic_arns
  tags                = var.tags
}

locals {
  # Who stands between S3 and the queue.
  go_betweens = merge(
    { for topic in aws_sns_topic.events : "topic" => { namespace = "AWS/SNS", metric = "NumberOfNotificationsFailed", dimensions = { TopicName = topic.name } } },
    { for rule in aws_cloudwatch_event_rule.events : "rule" => { namespace = "AWS/Events", metric = "FailedInvocations", dimensions = { RuleName = rule.name } } },
  )
}

# What a topic or rule cannot deliver never reaches a queue, so no dead letter tells of it.
resource "aws_cloudwatch_metric_alarm" "undelivered" {
  for_each = local.go_betweens

  alarm_name          = "${var.name}-events-undelivered"
  alarm_description   = "The ${each.key} could not deliver drops to ${aws_sqs_queue.events.name}: look at the policies of queue and key, then drop the objects again."
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 1
  threshold           = 0
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topic_arns
  ok_actions          = var.alarm_topic_arns
  tags                = var.tags
}
