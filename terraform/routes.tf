# How a drop becomes a message: S3 -> events queue, or S3 -> topic -> events queue.

locals {
  # One rule per suffix; without suffixes one rule that takes all.
  notification_suffixes = length(var.source_suffixes) == 0 ? [null] : var.source_suffixes
}

resource "aws_s3_bucket_notification" "source" {
  count = var.manage_notification ? 1 : 0

  bucket = var.source_bucket_name

  dynamic "queue" {
    for_each = var.notify_through_sns ? [] : local.notification_suffixes

    content {
      queue_arn     = aws_sqs_queue.events.arn
      events        = ["s3:ObjectCreated:*"]
      filter_prefix = var.source_prefix
      filter_suffix = queue.value
    }
  }

  dynamic "topic" {
    for_each = var.notify_through_sns ? local.notification_suffixes : []

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
  ]
}

resource "aws_sqs_queue_policy" "events" {
  queue_url = aws_sqs_queue.events.url

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "TakeNotifications"
        Effect    = "Allow"
        Principal = { Service = var.notify_through_sns ? "sns.amazonaws.com" : "s3.amazonaws.com" }
        Action    = "sqs:SendMessage"
        Resource  = aws_sqs_queue.events.arn
        # A bucket's ARN does not say whose it is, a topic's does.
        Condition = merge(
          { ArnEquals = { "aws:SourceArn" = var.notify_through_sns ? aws_sns_topic.events[0].arn : local.source_bucket_arn } },
          var.notify_through_sns ? {} : { StringEquals = { "aws:SourceAccount" = local.account_id } },
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
  count = var.notify_through_sns ? 1 : 0

  name              = "${var.name}-events"
  kms_master_key_id = var.kms_key_arn
  tags              = var.tags
}

resource "aws_sns_topic_policy" "events" {
  count = var.notify_through_sns ? 1 : 0

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
          StringEquals = { "aws:SourceAccount" = local.account_id }
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
  count = var.notify_through_sns ? 1 : 0

  topic_arn            = aws_sns_topic.events[0].arn
  protocol             = "sqs"
  endpoint             = aws_sqs_queue.events.arn
  raw_message_delivery = var.sns_raw_delivery

  # Subscribed before the queue lets the topic in, the first messages would be lost.
  depends_on = [aws_sqs_queue_policy.events]
}
