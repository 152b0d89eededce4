output "drop_uri" {
  description = "Where to drop files."
  value       = module.sluice.drop_uri
}

output "table_uri" {
  description = "Where rows end up."
  value       = module.sluice.table_uri
}

output "chunk_uri" {
  description = "Prefix of all jobs' work areas: what sluice takes as --work-dir."
  value       = module.sluice.chunk_uri
}

output "events_queue_url" {
  description = "URL of the queue of drops."
  value       = module.sluice.events_queue_url
}

output "events_dead_letter_queue_url" {
  description = "URL of the queue of drops that failed too often."
  value       = module.sluice.events_dead_letter_queue_url
}

output "chunk_queue_url" {
  description = "URL of the queue of chunk tasks."
  value       = module.sluice.chunk_queue_url
}

output "chunk_dead_letter_queue_url" {
  description = "URL of the queue of chunk tasks that failed too often."
  value       = module.sluice.chunk_dead_letter_queue_url
}
