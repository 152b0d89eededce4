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

  timeouts = {
    splitter = var.splitter_timeout_seconds
    worker   = var.worker_timeout_seconds
  }

  # By its name, what raises each alarm: the metric, of what, how it is taken over how many seconds, and when it is too much.
  alarms = merge(
    {
      for from, queue in local.dead_letter_queues : "${queue}-letters" => {
        description = "Messages of ${from} failed ${var.max_receive_count} times and wait in ${queue}. See sluice dlq list."
        metric      = ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "Maximum"]
        of          = { QueueName = queue }
        seconds     = 60
        above       = 0
      }
    },
    {
      for queue in values(local.queues) : "${queue}-age" => {
        description = "The oldest message of ${queue} is older than ${var.queue_age_alarm_seconds} s: its function fails or does not keep up."
        metric      = ["AWS/SQS", "ApproximateAgeOfOldestMessage", "Maximum"]
        of          = { QueueName = queue }
        seconds     = 300
        above       = var.queue_age_alarm_seconds
      }
    },
    {
      for function in values(local.functions) : "${function}-errors" => {
        description = "Calls of ${function} ended in an error: a crash, a timeout or no memory left. Failed messages alone do not count here."
        metric      = ["AWS/Lambda", "Errors", "Sum"]
        of          = { FunctionName = function }
        seconds     = 300
        above       = 0
      }
    },
    {
      for function in values(local.functions) : "${function}-throttles" => {
        description = "Calls of ${function} were throttled: the account's concurrency is used up, and throttled messages spend receives."
        metric      = ["AWS/Lambda", "Throttles", "Sum"]
        of          = { FunctionName = function }
        seconds     = 300
        above       = 0
      }
    },
    {
      # The maximum rather than a percentile: there are few calls, and the one that is cut off matters.
      for key, function in local.functions : "${function}-duration" => {
        description = "A call of ${function} took more than ${var.duration_alarm_percent} % of its ${local.timeouts[key]} s. A splitter that hands over does so by design; a worker needs a smaller batch or more memory."
        metric      = ["AWS/Lambda", "Duration", "Maximum"]
        of          = { FunctionName = function }
        seconds     = 300
        above       = local.timeouts[key] * 10 * var.duration_alarm_percent # milliseconds
      }
    },
    # The program's own metrics; docs/watching.md says what each counts.
    {
      for key, function in local.functions : "${function}-rejects" => {
        description = "${function} put more than ${var.rejected_rows_alarm} records into quarantine within five minutes. See sluice jobs and sluice quarantine show."
        metric      = ["Sluice", "RowsQuarantined", "Sum"]
        of          = { FunctionName = function }
        seconds     = 300
        above       = var.rejected_rows_alarm
      }
    },
    {
      "${local.functions.splitter}-files-rejected" = {
        description = "${local.functions.splitter} rejected a file as a whole: none of it is loaded. See sluice jobs --failed and sluice dlq list."
        metric      = ["Sluice", "FilesRejected", "Sum"]
        of          = { FunctionName = local.functions.splitter }
        seconds     = 300
        above       = 0
      }
      "${local.functions.worker}-lag" = {
        description = "A chunk came into its table more than ${var.lag_alarm_seconds} s after its file was dropped: the functions do not keep up, or a dead letter was replayed."
        metric      = ["Sluice", "LoadLag", "Maximum"]
        of          = { FunctionName = local.functions.worker }
        seconds     = 300
        above       = var.lag_alarm_seconds * 1000 # milliseconds
      }
    },
    # Housekeeping finds such jobs, once a schedule.
    {
      for function in var.maintain_schedule == null ? [] : [local.functions.worker] : "${function}-unfinished" => {
        description = "A job was begun more than ${var.unfinished_alarm_seconds} s ago, and is neither in its table as a whole, nor failed, nor undone. See sluice jobs."
        metric      = ["Sluice", "OldestUnfinishedJob", "Maximum"]
        of          = { FunctionName = function }
        seconds     = 7200
        above       = var.unfinished_alarm_seconds * 1000 # milliseconds
      }
    },
    {
      for from, queue in local.dead_letter_queues : "${queue}-age" => {
        description = "A message waits in ${queue} for more than ${var.dead_letter_age_alarm_seconds} s: SQS deletes it 14 days after it was first sent. Replay it or give it up."
        metric      = ["AWS/SQS", "ApproximateAgeOfOldestMessage", "Maximum"]
        of          = { QueueName = queue }
        seconds     = 3600
        above       = var.dead_letter_age_alarm_seconds
      }
    },
    # What topic or rule cannot deliver never reaches a queue, so no dead letter tells of it.
    {
      for topic in aws_sns_topic.events : "${var.name}-events-undelivered" => {
        description = "The topic could not deliver drops to ${aws_sqs_queue.events.name}: look at the policies of queue and key, then drop the objects again."
        metric      = ["AWS/SNS", "NumberOfNotificationsFailed", "Sum"]
        of          = { TopicName = topic.name }
        seconds     = 300
        above       = 0
      }
    },
    {
      for rule in aws_cloudwatch_event_rule.events : "${var.name}-events-undelivered" => {
        description = "The rule could not deliver drops to ${aws_sqs_queue.events.name}: look at the policies of queue and key, then drop the objects again."
        metric      = ["AWS/Events", "FailedInvocations", "Sum"]
        of          = { RuleName = rule.name }
        seconds     = 300
        above       = 0
      }
    },
  )
}

resource "aws_cloudwatch_metric_alarm" "sluice" {
  for_each = local.alarms

  alarm_name          = each.key
  alarm_description   = each.value.description
  namespace           = each.value.metric[0]
  metric_name         = each.value.metric[1]
  statistic           = each.value.metric[2]
  dimensions          = each.value.of
  period              = each.value.seconds
  evaluation_periods  = 1
  threshold           = each.value.above
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topic_arns
  ok_actions          = var.alarm_topic_arns
  tags                = var.tags
}
