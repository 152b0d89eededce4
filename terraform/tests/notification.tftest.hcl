# From the drop to the message: direct, through a topic or through EventBridge, and nobody else may send.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  source_bucket_name = "example-drops"
  source_prefix      = "in/"
  source_suffixes    = [".csv", ".csv.gz"]
  table_uri          = "s3://example-lake/tables/orders"
  splitter_zip       = "tests/code.zip"
  worker_zip         = "tests/code.zip"
}

run "direct" {
  assert {
    condition = [for rule in aws_s3_bucket_notification.source[0].queue : [rule.queue_arn, rule.filter_prefix, rule.filter_suffix]] == [
      [aws_sqs_queue.events.arn, "in/", ".csv"],
      [aws_sqs_queue.events.arn, "in/", ".csv.gz"],
    ]
    error_message = "One rule per suffix, all to the events queue."
  }

  assert {
    condition     = alltrue([for rule in aws_s3_bucket_notification.source[0].queue : rule.events == toset(["s3:ObjectCreated:*"])])
    error_message = "Only created objects start something."
  }

  assert {
    condition = (
      length(aws_s3_bucket_notification.source[0].topic) == 0 && length(aws_sns_topic.events) == 0 && output.events_topic_arn == null &&
      !aws_s3_bucket_notification.source[0].eventbridge && length(aws_cloudwatch_event_rule.events) == 0 && length(aws_cloudwatch_event_target.events) == 0 &&
      !contains(keys(aws_cloudwatch_metric_alarm.sluice), "sluice-events-undelivered")
    )
    error_message = "No topic and no rule unless asked."
  }

  assert {
    condition = [for statement in jsondecode(aws_sqs_queue_policy.events.policy).Statement : statement if statement.Effect == "Allow"] == [{
      Sid       = "TakeNotifications"
      Effect    = "Allow"
      Principal = { Service = "s3.amazonaws.com" }
      Action    = "sqs:SendMessage"
      Resource  = aws_sqs_queue.events.arn
      Condition = {
        ArnEquals    = { "aws:SourceArn" = "arn:aws:s3:::example-drops" }
        StringEquals = { "aws:SourceAccount" = "000000000000" }
      }
    }]
    error_message = "Only S3, for this bucket and account, may send events."
  }

  assert {
    condition = alltrue([
      for policy in concat([aws_sqs_queue_policy.events], values(aws_sqs_queue_policy.inner)) : anytrue([
        for statement in jsondecode(policy.policy).Statement :
        statement.Effect == "Deny" && statement.Principal == "*" && statement.Action == "sqs:*" && try(statement.Condition.Bool["aws:SecureTransport"], "") == "false"
      ])
    ])
    error_message = "Every queue must refuse requests without TLS."
  }

  assert {
    condition = alltrue([
      for policy in values(aws_sqs_queue_policy.inner) : length([for statement in jsondecode(policy.policy).Statement : statement if statement.Effect == "Allow"]) == 0
    ])
    error_message = "Chunk and dead letter queues take messages from roles only."
  }

  assert {
    condition = { for key, policy in aws_sqs_queue_policy.inner : policy.queue_url => jsondecode(policy.policy).Statement[0].Resource } == {
      (aws_sqs_queue.events_dead.url) = aws_sqs_queue.events_dead.arn
      (aws_sqs_queue.chunks.url)      = aws_sqs_queue.chunks.arn
      (aws_sqs_queue.chunks_dead.url) = aws_sqs_queue.chunks_dead.arn
    }
    error_message = "Each policy must name its own queue."
  }
}

run "all_objects" {
  variables {
    source_prefix   = ""
    source_suffixes = []
  }

  assert {
    condition     = length(aws_s3_bucket_notification.source[0].queue) == 1 && aws_s3_bucket_notification.source[0].queue[0].filter_prefix == ""
    error_message = "Without filters one rule takes all."
  }
}

run "through_sns" {
  variables {
    notify_through = "sns"
  }

  assert {
    condition     = length(aws_s3_bucket_notification.source[0].queue) == 0 && [for rule in aws_s3_bucket_notification.source[0].topic : rule.topic_arn] == [aws_sns_topic.events[0].arn, aws_sns_topic.events[0].arn]
    error_message = "All rules must go to the topic, none to the queue."
  }

  assert {
    condition = (
      aws_sns_topic_subscription.events[0].topic_arn == aws_sns_topic.events[0].arn &&
      aws_sns_topic_subscription.events[0].protocol == "sqs" &&
      aws_sns_topic_subscription.events[0].endpoint == aws_sqs_queue.events.arn &&
      aws_sns_topic_subscription.events[0].raw_message_delivery
    )
    error_message = "The topic must deliver to the events queue, raw by default."
  }

  assert {
    condition = [for statement in jsondecode(aws_sqs_queue_policy.events.policy).Statement : statement if statement.Effect == "Allow"] == [{
      Sid       = "TakeNotifications"
      Effect    = "Allow"
      Principal = { Service = "sns.amazonaws.com" }
      Action    = "sqs:SendMessage"
      Resource  = aws_sqs_queue.events.arn
      Condition = { ArnEquals = { "aws:SourceArn" = aws_sns_topic.events[0].arn } }
    }]
    error_message = "Only the topic may send events; S3 no longer."
  }

  assert {
    condition = [for statement in jsondecode(aws_sns_topic_policy.events[0].policy).Statement : statement if statement.Effect == "Allow"] == [{
      Sid       = "TakeNotifications"
      Effect    = "Allow"
      Principal = { Service = "s3.amazonaws.com" }
      Action    = "sns:Publish"
      Resource  = aws_sns_topic.events[0].arn
      Condition = {
        ArnEquals    = { "aws:SourceArn" = "arn:aws:s3:::example-drops" }
        StringEquals = { "aws:SourceAccount" = "000000000000" }
      }
    }]
    error_message = "Only S3, for this bucket and account, may publish."
  }

  assert {
    condition     = [for alarm in [aws_cloudwatch_metric_alarm.sluice["sluice-events-undelivered"]] : [alarm.namespace, alarm.metric_name, alarm.dimensions.TopicName, alarm.threshold]] == [["AWS/SNS", "NumberOfNotificationsFailed", "sluice-events", 0]]
    error_message = "What the topic cannot deliver must raise an alarm."
  }
}

run "with_envelope" {
  variables {
    notify_through   = "sns"
    sns_raw_delivery = false
  }

  assert {
    condition     = !aws_sns_topic_subscription.events[0].raw_message_delivery
    error_message = "sns_raw_delivery must reach the subscription."
  }
}

run "through_eventbridge" {
  variables {
    notify_through = "eventbridge"
  }

  assert {
    condition = (
      aws_s3_bucket_notification.source[0].eventbridge && length(aws_s3_bucket_notification.source[0].queue) == 0 &&
      length(aws_s3_bucket_notification.source[0].topic) == 0 && length(aws_sns_topic.events) == 0
    )
    error_message = "S3 must tell EventBridge and nobody else."
  }

  assert {
    condition = jsondecode(aws_cloudwatch_event_rule.events[0].event_pattern) == {
      source      = ["aws.s3"]
      detail-type = ["Object Created"]
      detail = {
        bucket = { name = ["example-drops"] }
        object = { key = [{ wildcard = "in/*.csv" }, { wildcard = "in/*.csv.gz" }] }
      }
    }
    error_message = "The rule must take created objects of this bucket that have the prefix and one of the suffixes."
  }

  assert {
    condition     = aws_cloudwatch_event_target.events[0].rule == aws_cloudwatch_event_rule.events[0].name && aws_cloudwatch_event_target.events[0].arn == aws_sqs_queue.events.arn
    error_message = "The rule must lead to the events queue."
  }

  assert {
    condition = [for statement in jsondecode(aws_sqs_queue_policy.events.policy).Statement : statement if statement.Effect == "Allow"] == [{
      Sid       = "TakeNotifications"
      Effect    = "Allow"
      Principal = { Service = "events.amazonaws.com" }
      Action    = "sqs:SendMessage"
      Resource  = aws_sqs_queue.events.arn
      Condition = { ArnEquals = { "aws:SourceArn" = "arn:aws:events:eu-central-1:000000000000:rule/sluice-events" } }
    }]
    error_message = "Only the rule may send events; S3 no longer."
  }

  assert {
    condition     = [for alarm in [aws_cloudwatch_metric_alarm.sluice["sluice-events-undelivered"]] : [alarm.namespace, alarm.metric_name, alarm.dimensions.RuleName, alarm.threshold]] == [["AWS/Events", "FailedInvocations", "sluice-events", 0]]
    error_message = "What the rule cannot deliver must raise an alarm."
  }
}

run "rule_for_a_prefix" {
  variables {
    notify_through  = "eventbridge"
    source_suffixes = []
  }

  assert {
    condition     = jsondecode(aws_cloudwatch_event_rule.events[0].event_pattern).detail.object.key == [{ prefix = "in/" }]
    error_message = "Without suffixes the prefix decides."
  }
}

run "rule_for_suffixes" {
  variables {
    notify_through  = "eventbridge"
    source_prefix   = ""
    source_suffixes = [".csv", "*.txt", "\\.tsv"]
  }

  assert {
    condition     = jsondecode(aws_cloudwatch_event_rule.events[0].event_pattern).detail.object.key == [{ wildcard = "*.csv" }, { wildcard = "*\\*.txt" }, { wildcard = "*\\\\.tsv" }]
    error_message = "A star or backslash of a suffix must stand for itself."
  }
}

run "rule_for_all_objects" {
  variables {
    notify_through  = "eventbridge"
    source_prefix   = ""
    source_suffixes = []
  }

  assert {
    condition     = jsondecode(aws_cloudwatch_event_rule.events[0].event_pattern).detail == { bucket = { name = ["example-drops"] } }
    error_message = "Without filters the rule takes all of the bucket."
  }
}

run "rule_without_notification" {
  variables {
    notify_through      = "eventbridge"
    manage_notification = false
  }

  assert {
    condition     = length(aws_s3_bucket_notification.source) == 0 && length(aws_cloudwatch_event_target.events) == 1
    error_message = "The rule must stand where something else switches EventBridge on."
  }
}

run "notification_elsewhere" {
  variables {
    manage_notification = false
  }

  assert {
    condition     = length(aws_s3_bucket_notification.source) == 0
    error_message = "A notification that something else owns must be left alone."
  }
}

run "bucket_of_another_account" {
  variables {
    source_account_id    = "111111111111"
    create_source_bucket = false
    manage_notification  = false
  }

  assert {
    condition = [for statement in jsondecode(aws_sqs_queue_policy.events.policy).Statement : statement.Condition.StringEquals if statement.Effect == "Allow"] == [
      { "aws:SourceAccount" = "111111111111" }
    ]
    error_message = "The bucket's account, and no other, must be let in."
  }
}

run "whose_notification_is_not_ours" {
  command = plan

  variables {
    source_account_id    = "111111111111"
    create_source_bucket = false
  }

  expect_failures = [var.source_account_id]
}
