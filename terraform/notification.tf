# How a drop becomes a message: S3 -> events queue, S3 -> topic -> events queue, or S3 -> EventBridge rule -> events queue.

locals {
  # Whose bucket it is that drops come to.
  source_account_id = coalesce(var.source_account_id, local.account_id)

  through_sns         = var.notify_through == "sns"
  through_eventbridge = var.notify_through == "eventbridge"

  # One rule per suffix; without suffixes one rule that takes all.
  notification_suffixes = length(var.source_suffixes) == 0 ? [null] : var.source_suffixes
}

resource "aws_s3_bucket_notification" "source" {
  count = var.manage_notification ? 1 : 0

  bucket      = var.source_bucket_name
  eventbridge = local.through_eventbridge

  dynamic "queue" {
    for_each = var.notify_through == "s3" ? local.notification_suffixes : []

    content {
      queue_arn     = aws_sqs_queue.events.arn
      events        = ["s3:ObjectCreated:*"]
      filter_prefix = var.source_prefix
      filter_suffix = queue.value
    }
  }

  dynamic "topic" {
    for_each = local.through_sns ? local.notification_suffixes : []

    content {
      topic_arn     = aws_sns_topic.events[0].arn
      events        = ["s3:ObjectCreated:*"]
      filter_prefix = var.source_prefix
      filter_suffix = topic.value
    }
  }

  # S3 sends a test message when this is set, so the way must be open, and open to its end.
  depends_on = [
    aws_s3_bucket.created,
    aws_sqs_queue_policy.events,
    aws_sns_topic_policy.events,
    aws_sns_topic_subscription.events,
    aws_cloudwatch_event_target.events,
  ]
}

locals {
  # Who puts messages into the events queue, and on whose behalf.
  events_sender = {
    s3          = { service = "s3.amazonaws.com", source_arn = local.source_bucket_arn }
    sns         = { service = "sns.amazonaws.com", source_arn = one(aws_sns_topic.events[*].arn) }
    eventbridge = { service = "events.amazonaws.com", source_arn = one(aws_cloudwatch_event_rule.events[*].arn) }
  }[var.notify_through]
}

resource "aws_sqs_queue_policy" "events" {
  queue_url = aws_sqs_queue.events.url

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "TakeNotifications"
        Effect    = "Allow"
        Principal = { Service = local.events_sender.service }
        Action    = "sqs:SendMessage"
        Resource  = aws_sqs_queue.events.arn
        # A bucket's ARN does not say whose it is, that of a topic or rule does.
        Condition = merge(
          { ArnEquals = { "aws:SourceArn" = local.events_sender.source_arn } },
          var.notify_through == "s3" ? { StringEquals = { "aws:SourceAccount" = local.source_account_id } } : {},
        )
      },
      {
        Sid       = "DenyInsecureTransport"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sqs:*"
        Resource  = aws_sqs_queue.events.arn
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
    ]
  })
}

resource "aws_sns_topic" "events" {
  #checkov:skip=CKV_AWS_26:S3 cannot publish to a topic under the key that SNS manages; kms_key_arn encrypts it
  count = local.through_sns ? 1 : 0

  name              = "${var.name}-events"
  kms_master_key_id = var.kms_key_arn
  tags              = var.tags
}

resource "aws_sns_topic_policy" "events" {
  count = local.through_sns ? 1 : 0

  arn = aws_sns_topic.events[0].arn

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "TakeNotifications"
        Effect    = "Allow"
        Principal = { Service = "s3.amazonaws.com" }
        Action    = "sns:Publish"
        Resource  = aws_sns_topic.events[0].arn
        Condition = {
          ArnEquals    = { "aws:SourceArn" = local.source_bucket_arn }
          StringEquals = { "aws:SourceAccount" = local.source_account_id }
        }
      },
      {
        Sid       = "DenyInsecureTransport"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sns:Publish"
        Resource  = aws_sns_topic.events[0].arn
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
    ]
  })
}

resource "aws_sns_topic_subscription" "events" {
  count = local.through_sns ? 1 : 0

  topic_arn            = aws_sns_topic.events[0].arn
  protocol             = "sqs"
  endpoint             = aws_sqs_queue.events.arn
  raw_message_delivery = var.sns_raw_delivery

  # Subscribed before the queue lets the topic in, the first messages would be lost.
  depends_on = [aws_sqs_queue_policy.events]
}

locals {
  # Within a pattern a star stands for any text; one in a suffix is meant as it stands.
  literal_suffixes = [for suffix in var.source_suffixes : replace(replace(suffix, "\\", "\\\\"), "*", "\\*")]
  literal_prefix   = replace(var.source_prefix, "\\", "\\\\")

  # Prefix and suffix of the same key take one pattern: what stands side by side in a list is either, not both.
  key_patterns = length(var.source_suffixes) > 0 ? [
    for suffix in local.literal_suffixes : { wildcard = "${local.literal_prefix}*${suffix}" }
  ] : [for prefix in compact([var.source_prefix]) : { prefix = prefix }]
}

# The default bus: S3 sends to no other.
resource "aws_cloudwatch_event_rule" "events" {
  count = local.through_eventbridge ? 1 : 0

  name        = "${var.name}-events"
  description = "Objects that are dropped for ${local.functions.splitter}"
  tags        = var.tags

  event_pattern = jsonencode({
    source      = ["aws.s3"]
    detail-type = ["Object Created"]
    detail = merge(
      { bucket = { name = [var.source_bucket_name] } },
      length(local.key_patterns) == 0 ? {} : { object = { key = local.key_patterns } },
    )
  })
}

resource "aws_cloudwatch_event_target" "events" {
  count = local.through_eventbridge ? 1 : 0

  rule = aws_cloudwatch_event_rule.events[0].name
  arn  = aws_sqs_queue.events.arn

  # Set before the queue lets the rule in, the first events would be lost.
  depends_on = [aws_sqs_queue_policy.events]
}
