output "drop_uri" {
  description = "Where to drop files."
  value       = module.sluice.drop_uri
}

output "events_topic_arn" {
  description = "Topic that tells of every drop, for others to listen to."
  value       = module.sluice.events_topic_arn
}

output "dead_letter_queue_urls" {
  description = "Queues of what failed too often."
  value       = [module.sluice.events_dead_letter_queue_url, module.sluice.chunk_dead_letter_queue_url]
}

output "dashboard_name" {
  description = "Name of the CloudWatch dashboard."
  value       = module.sluice.dashboard_name
}

output "key_arn" {
  description = "Key of everything that was made."
  value       = aws_kms_key.sluice.arn
}
