# One page: what came and what became of it, what waits, what is lost, how the functions do.

resource "aws_cloudwatch_dashboard" "sluice" {
  dashboard_name = var.name

  dashboard_body = jsonencode({
    widgets = [
      {
        type   = "metric"
        x      = 0
        y      = 0
        width  = 6
        height = 6
        properties = {
          title  = "Rows"
          region = local.region
          view   = "timeSeries"
          stat   = "Sum"
          period = 60
          metrics = [
            ["Sluice", "RowsRead", "FunctionName", local.functions.splitter, { label = "read" }],
            ["Sluice", "RowsCommitted", "FunctionName", local.functions.worker, { label = "in tables" }],
          ]
        }
      },
      {
        type   = "metric"
        x      = 6
        y      = 0
        width  = 6
        height = 6
        properties = {
          title   = "Bytes read"
          region  = local.region
          view    = "timeSeries"
          stat    = "Sum"
          period  = 60
          metrics = [["Sluice", "BytesRead", "FunctionName", local.functions.splitter, { label = "bytes" }]]
        }
      },
      {
        type   = "metric"
        x      = 12
        y      = 0
        width  = 6
        height = 6
        properties = {
          title  = "Rejected records and files, skipped lines"
          region = local.region
          view   = "timeSeries"
          stat   = "Sum"
          period = 60
          metrics = [
            ["Sluice", "RowsQuarantined", "FunctionName", local.functions.splitter, { label = "records, while read" }],
            ["Sluice", "RowsQuarantined", "FunctionName", local.functions.worker, { label = "rows, by the table" }],
            ["Sluice", "FilesRejected", "FunctionName", local.functions.splitter, { label = "files, each attempt" }],
            ["Sluice", "LinesSkipped", "FunctionName", local.functions.splitter, { label = "skipped lines" }],
          ]
        }
      },
      {
        type   = "metric"
        x      = 18
        y      = 0
        width  = 6
        height = 6
        properties = {
          title       = "Longest time from drop to table, milliseconds"
          region      = local.region
          view        = "timeSeries"
          stat        = "Maximum"
          period      = 60
          metrics     = [["Sluice", "LoadLag", "FunctionName", local.functions.worker, { label = "lag" }]]
          annotations = { horizontal = [{ label = "alarm", value = var.lag_alarm_seconds * 1000 }] }
        }
      },
      {
        type   = "metric"
        x      = 0
        y      = 6
        width  = 8
        height = 6
        properties = {
          title  = "Messages waiting and in work"
          region = local.region
          view   = "timeSeries"
          stat   = "Maximum"
          period = 60
          metrics = concat(
            [for queue in values(local.queues) : ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", queue, { label = "${queue} waiting" }]],
            [for queue in values(local.queues) : ["AWS/SQS", "ApproximateNumberOfMessagesNotVisible", "QueueName", queue, { label = "${queue} in work" }]],
          )
        }
      },
      {
        type   = "metric"
        x      = 8
        y      = 6
        width  = 8
        height = 6
        properties = {
          title       = "Age of the oldest message, seconds"
          region      = local.region
          view        = "timeSeries"
          stat        = "Maximum"
          period      = 60
          metrics     = [for queue in values(local.queues) : ["AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", queue, { label = queue }]]
          annotations = { horizontal = [{ label = "alarm", value = var.queue_age_alarm_seconds }] }
        }
      },
      {
        type   = "metric"
        x      = 16
        y      = 6
        width  = 8
        height = 6
        properties = {
          title   = "Dead letters"
          region  = local.region
          view    = "timeSeries"
          stat    = "Maximum"
          period  = 60
          metrics = [for queue in values(local.dead_letter_queues) : ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", queue, { label = queue }]]
        }
      },
      {
        type   = "metric"
        x      = 0
        y      = 12
        width  = 8
        height = 6
        properties = {
          title  = "Calls, errors and throttles"
          region = local.region
          view   = "timeSeries"
          stat   = "Sum"
          period = 60
          metrics = concat(
            [for function in values(local.functions) : ["AWS/Lambda", "Invocations", "FunctionName", function, { label = "${function} calls" }]],
            [for function in values(local.functions) : ["AWS/Lambda", "Errors", "FunctionName", function, { label = "${function} errors" }]],
            [for function in values(local.functions) : ["AWS/Lambda", "Throttles", "FunctionName", function, { label = "${function} throttles" }]],
          )
        }
      },
      {
        type   = "metric"
        x      = 8
        y      = 12
        width  = 8
        height = 6
        properties = {
          title   = "Longest call, milliseconds"
          region  = local.region
          view    = "timeSeries"
          stat    = "Maximum"
          period  = 60
          metrics = [for function in values(local.functions) : ["AWS/Lambda", "Duration", "FunctionName", function, { label = function }]]
          annotations = {
            horizontal = [for name, function in local.functions : { label = "${function} alarm", value = local.timeouts[name] * 10 * var.duration_alarm_percent }]
          }
        }
      },
      {
        type   = "metric"
        x      = 16
        y      = 12
        width  = 8
        height = 6
        properties = {
          title   = "Calls at once"
          region  = local.region
          view    = "timeSeries"
          stat    = "Maximum"
          period  = 60
          metrics = [for function in values(local.functions) : ["AWS/Lambda", "ConcurrentExecutions", "FunctionName", function, { label = function }]]
        }
      },
      {
        type   = "log"
        x      = 0
        y      = 18
        width  = 24
        height = 6
        properties = {
          title  = "Latest warnings and errors"
          region = local.region
          view   = "table"
          query = join(" | ", [
            "SOURCE '${aws_cloudwatch_log_group.function["splitter"].name}'",
            "SOURCE '${aws_cloudwatch_log_group.function["worker"].name}'",
            "fields @timestamp, @log, @message",
            "filter level in ['WARN', 'ERROR']",
            "sort @timestamp desc",
            "limit 50",
          ])
        }
      },
    ]
  })
}
