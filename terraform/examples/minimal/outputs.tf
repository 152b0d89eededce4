output "drop_uri" {
  description = "Where to drop files."
  value       = module.sluice.drop_uri
}

output "table_uri" {
  description = "Where rows end up."
  value       = module.sluice.table_uri
}

output "chunk_queue_url" {
  description = "URL of the queue of chunk tasks."
  value       = module.sluice.chunk_queue_url
}

output "chunk_dead_letter_queue_url" {
  description = "URL of the queue of chunk tasks that failed too often."
  value       = module.sluice.chunk_dead_letter_queue_url
}
