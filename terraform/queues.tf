# Two queues, each with its dead letters: events (what was dropped) and chunks (what there is to load).

locals {
  # AWS asks for six times the function's timeout, and for the batch window on top.
  splitter_visibility_seconds = 6 * var.splitter_timeout_seconds
  worker_visibility_seconds   = 6 * var.worker_timeout_seconds + var.worker_batch_window_seconds

  day_seconds         = 24 * 60 * 60
  dead_letter_seconds = 14 * local.day_seconds
}

resource "aws_sqs_queue" "events" {
  name                       = "${var.name}-events"
  visibility_timeout_seconds = local.splitter_visibility_seconds
  message_retention_seconds  = var.queue_retention_days * local.day_seconds
  receive_wait_time_seconds  = 20
  sqs_managed_sse_enabled    = var.kms_key_arn == null ? true : null
  kms_master_key_id          = var.kms_key_arn
  tags                       = var.tags

  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.events_dead.arn
    maxReceiveCount     = var.max_receive_count
  })
}

resource "aws_sqs_queue" "events_dead" {
  name                       = "${var.name}-events-dead"
  visibility_timeout_seconds = 30
  message_retention_seconds  = local.dead_letter_seconds
  receive_wait_time_seconds  = 20
  sqs_managed_sse_enabled    = var.kms_key_arn == null ? true : null
  kms_master_key_id          = var.kms_key_arn
  tags                       = var.tags
}

# Apart from its queue, since each of the two names the other.
resource "aws_sqs_queue_redrive_allow_policy" "events_dead" {
  queue_url = aws_sqs_queue.events_dead.url

  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [aws_sqs_queue.events.arn]
  })
}

resource "aws_sqs_queue" "chunks" {
  name                       = "${var.name}-chunks"
  visibility_timeout_seconds = local.worker_visibility_seconds
  message_retention_seconds  = var.queue_retention_days * local.day_seconds
  receive_wait_time_seconds  = 20
  sqs_managed_sse_enabled    = var.kms_key_arn == null ? true : null
  kms_master_key_id          = var.kms_key_arn
  tags                       = var.tags

  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.chunks_dead.arn
    maxReceiveCount     = var.max_receive_count
  })
}

resource "aws_sqs_queue" "chunks_dead" {
  name                       = "${var.name}-chunks-dead"
  visibility_timeout_seconds = 30
  message_retention_seconds  = local.dead_letter_seconds
  receive_wait_time_seconds  = 20
  sqs_managed_sse_enabled    = var.kms_key_arn == null ? true : null
  kms_master_key_id          = var.kms_key_arn
  tags                       = var.tags
}

resource "aws_sqs_queue_redrive_allow_policy" "chunks_dead" {
  queue_url = aws_sqs_queue.chunks_dead.url

  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [aws_sqs_queue.chunks.arn]
  })
}

# Who may send to the events queue stands in notification.tf; the others take nothing from outside their roles.
resource "aws_sqs_queue_policy" "inner" {
  for_each = {
    events_dead = aws_sqs_queue.events_dead
    chunks      = aws_sqs_queue.chunks
    chunks_dead = aws_sqs_queue.chunks_dead
  }

  queue_url = each.value.url

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "DenyInsecureTransport"
      Effect    = "Deny"
      Principal = "*"
      Action    = "sqs:*"
      Resource  = each.value.arn
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  })
}
