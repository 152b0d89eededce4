output "source_bucket" {
  description = "Bucket to drop files in."
  value       = var.source_bucket_name
}

output "drop_uri" {
  description = "Where to drop files: what lands under this URI (and ends with one of source_suffixes) is split."
  value       = "s3://${var.source_bucket_name}/${var.source_prefix}"
}

output "chunk_bucket" {
  description = "Bucket of chunks and of all else in a job's work area."
  value       = aws_s3_bucket.created["chunks"].bucket
}

output "chunk_uri" {
  description = "Prefix of all jobs' work areas."
  value       = "s3://${aws_s3_bucket.created["chunks"].bucket}/${var.chunk_prefix}"
}

output "table_uri" {
  description = "Delta table that rows are appended to; null where routes name the tables."
  value       = var.table_uri
}

output "events_queue_url" {
  description = "URL of the queue of drops."
  value       = aws_sqs_queue.events.url
}

output "events_queue_arn" {
  description = "ARN of the queue of drops; notify it where manage_notification is false."
  value       = aws_sqs_queue.events.arn
}

output "events_dead_letter_queue_url" {
  description = "URL of the queue of drops that failed too often."
  value       = aws_sqs_queue.events_dead.url
}

output "chunk_queue_url" {
  description = "URL of the queue of chunk tasks."
  value       = aws_sqs_queue.chunks.url
}

output "chunk_queue_arn" {
  description = "ARN of the queue of chunk tasks."
  value       = aws_sqs_queue.chunks.arn
}

output "chunk_dead_letter_queue_url" {
  description = "URL of the queue of chunk tasks that failed too often."
  value       = aws_sqs_queue.chunks_dead.url
}

output "events_topic_arn" {
  description = "ARN of the topic of drops; null unless notify_through is sns."
  value       = one(aws_sns_topic.events[*].arn)
}

output "splitter_function_name" {
  description = "Name of the splitter."
  value       = aws_lambda_function.splitter.function_name
}

output "worker_function_name" {
  description = "Name of the worker."
  value       = aws_lambda_function.worker.function_name
}

output "splitter_role_arn" {
  description = "ARN of the splitter's role, for policies of buckets and keys elsewhere."
  value       = aws_iam_role.function["splitter"].arn
}

output "worker_role_arn" {
  description = "ARN of the worker's role, for policies of buckets and keys elsewhere."
  value       = aws_iam_role.function["worker"].arn
}

output "log_group_names" {
  description = "Log groups of both functions."
  value = {
    splitter = aws_cloudwatch_log_group.function["splitter"].name
    worker   = aws_cloudwatch_log_group.function["worker"].name
  }
}

output "dashboard_name" {
  description = "Name of the CloudWatch dashboard."
  value       = aws_cloudwatch_dashboard.sluice.dashboard_name
}
