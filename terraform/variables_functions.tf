# The functions

variable "architecture" {
  description = "Architecture that both zips were built for: arm64 or x86_64."
  type        = string
  default     = "arm64"
  nullable    = false

  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "architecture must be arm64 or x86_64."
  }
}

variable "splitter_zip" {
  description = "The splitter's zip: a path, or an object as s3://bucket/key.zip, with ?versionId=... for one of its versions; null takes target/lambda/splitter/bootstrap.zip beside this module."
  type        = string
  default     = null

  validation {
    condition     = var.splitter_zip == null ? true : endswith(var.splitter_zip, ".zip") || can(regex("^s3://[^/]+/[^?]+\\.zip\\?versionId=.+$", var.splitter_zip))
    error_message = "splitter_zip must be the path of a .zip file, or s3://bucket/key.zip."
  }
}

variable "worker_zip" {
  description = "The worker's zip: a path, or an object as s3://bucket/key.zip, with ?versionId=... for one of its versions; null takes target/lambda/worker/bootstrap.zip beside this module."
  type        = string
  default     = null

  validation {
    condition     = var.worker_zip == null ? true : endswith(var.worker_zip, ".zip") || can(regex("^s3://[^/]+/[^?]+\\.zip\\?versionId=.+$", var.worker_zip))
    error_message = "worker_zip must be the path of a .zip file, or s3://bucket/key.zip."
  }
}

variable "splitter_timeout_seconds" {
  description = "Time that one call of the splitter may take. The visibility timeout of its queue follows from it."
  type        = number
  default     = 900
  nullable    = false

  validation {
    condition     = var.splitter_timeout_seconds >= 10 && var.splitter_timeout_seconds <= 900 && floor(var.splitter_timeout_seconds) == var.splitter_timeout_seconds
    error_message = "splitter_timeout_seconds must be a whole number from 10 to 900."
  }
}

variable "worker_timeout_seconds" {
  description = "Time that one call of the worker, a batch of chunks, may take. The visibility timeout of its queue follows from it."
  type        = number
  default     = 300
  nullable    = false

  validation {
    condition     = var.worker_timeout_seconds >= 10 && var.worker_timeout_seconds <= 900 && floor(var.worker_timeout_seconds) == var.worker_timeout_seconds
    error_message = "worker_timeout_seconds must be a whole number from 10 to 900."
  }
}

variable "splitter_memory_mb" {
  description = "Memory of the splitter in MB; 1769 is one whole vCPU. The splitter bounds its work by it, as MEMORY_MB."
  type        = number
  default     = 1769
  nullable    = false

  validation {
    condition     = var.splitter_memory_mb >= 128 && var.splitter_memory_mb <= 10240 && floor(var.splitter_memory_mb) == var.splitter_memory_mb
    error_message = "splitter_memory_mb must be a whole number from 128 to 10240."
  }
}

variable "worker_memory_mb" {
  description = "Memory of the worker in MB; 1769 is one whole vCPU. The worker bounds its work by it, as MEMORY_MB."
  type        = number
  default     = 1769
  nullable    = false

  validation {
    condition     = var.worker_memory_mb >= 128 && var.worker_memory_mb <= 10240 && floor(var.worker_memory_mb) == var.worker_memory_mb
    error_message = "worker_memory_mb must be a whole number from 128 to 10240."
  }
}

variable "splitter_ephemeral_storage_mb" {
  description = "Size of the splitter's /tmp in MB."
  type        = number
  default     = 512
  nullable    = false

  validation {
    condition     = var.splitter_ephemeral_storage_mb >= 512 && var.splitter_ephemeral_storage_mb <= 10240
    error_message = "splitter_ephemeral_storage_mb must be from 512 to 10240."
  }
}

variable "worker_ephemeral_storage_mb" {
  description = "Size of the worker's /tmp in MB."
  type        = number
  default     = 512
  nullable    = false

  validation {
    condition     = var.worker_ephemeral_storage_mb >= 512 && var.worker_ephemeral_storage_mb <= 10240
    error_message = "worker_ephemeral_storage_mb must be from 512 to 10240."
  }
}

variable "splitter_max_concurrency" {
  description = "Splitters that run at once."
  type        = number
  default     = 10
  nullable    = false

  validation {
    condition     = var.splitter_max_concurrency >= 2 && var.splitter_max_concurrency <= 1000 && floor(var.splitter_max_concurrency) == var.splitter_max_concurrency
    error_message = "splitter_max_concurrency must be a whole number from 2 to 1000."
  }
}

variable "worker_max_concurrency" {
  description = "Workers that run at once. All commit to the same table, so more of them means more conflicts."
  type        = number
  default     = 10
  nullable    = false

  validation {
    condition     = var.worker_max_concurrency >= 2 && var.worker_max_concurrency <= 1000 && floor(var.worker_max_concurrency) == var.worker_max_concurrency
    error_message = "worker_max_concurrency must be a whole number from 2 to 1000."
  }
}

variable "worker_batch_size" {
  description = "Most chunks that one call of the worker takes."
  type        = number
  default     = 10
  nullable    = false

  validation {
    condition     = var.worker_batch_size >= 1 && var.worker_batch_size <= 10000 && floor(var.worker_batch_size) == var.worker_batch_size
    error_message = "worker_batch_size must be a whole number from 1 to 10000."
  }
}

variable "worker_batch_window_seconds" {
  description = "Longest wait for a batch to fill."
  type        = number
  default     = 5
  nullable    = false

  validation {
    condition     = var.worker_batch_window_seconds >= 0 && var.worker_batch_window_seconds <= 300 && floor(var.worker_batch_window_seconds) == var.worker_batch_window_seconds
    error_message = "worker_batch_window_seconds must be a whole number from 0 to 300."
  }

  validation {
    condition     = var.worker_batch_size <= 10 || var.worker_batch_window_seconds >= 1
    error_message = "worker_batch_window_seconds must be at least 1 where worker_batch_size is above 10."
  }
}

variable "splitter_hand_over" {
  description = "Let a splitter that runs out of time send a continuation to its own queue. Lambda takes that for a loop unless it is allowed."
  type        = bool
  default     = true
  nullable    = false
}

# The queues

variable "max_receive_count" {
  description = "Receives of a message before it becomes a dead letter."
  type        = number
  default     = 5
  nullable    = false

  validation {
    condition     = var.max_receive_count >= 5 && var.max_receive_count <= 1000 && floor(var.max_receive_count) == var.max_receive_count
    error_message = "max_receive_count must be a whole number from 5 to 1000: below 5, throttling alone can make dead letters."
  }
}

variable "queue_retention_days" {
  description = "Days that a message may wait in its queue. A dead letter's 14 days count from when it was first sent, so what it waits here is lost there."
  type        = number
  default     = 4
  nullable    = false

  validation {
    condition     = var.queue_retention_days >= 4 && var.queue_retention_days <= 14 && floor(var.queue_retention_days) == var.queue_retention_days
    error_message = "queue_retention_days must be a whole number from 4 to 14."
  }
}

# When tables are looked after

variable "chain_schedule" {
  description = "When the worker takes what is new in the tables that routes read (from_table) to the tables that they write, as rate(...) or cron(...), no more often than it takes; null for never."
  type        = string
  default     = null

  validation {
    condition     = var.chain_schedule == null || can(regex("^(rate|cron)\\(.+\\)$", var.chain_schedule))
    error_message = "chain_schedule must be a rate(...) or cron(...) expression, or null."
  }

  validation {
    condition     = var.chain_schedule == null || var.routes_file != null
    error_message = "chain_schedule is for routes with from_table, which a routes_file has."
  }
}

variable "maintain_schedule" {
  description = "When the worker looks after its tables (checkpoint, expired log, vacuum, chunks of finished jobs), as rate(...) or cron(...); null for never."
  type        = string
  default     = "rate(1 hour)"

  validation {
    condition     = var.maintain_schedule == null || can(regex("^(rate|cron)\\(.+\\)$", var.maintain_schedule))
    error_message = "maintain_schedule must be a rate(...) or cron(...) expression, or null."
  }
}

variable "maintain_keep_jobs_days" {
  description = "Days that chunks are kept once their job is done or undone."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = var.maintain_keep_jobs_days >= 0 && floor(var.maintain_keep_jobs_days) == var.maintain_keep_jobs_days
    error_message = "maintain_keep_jobs_days must be a whole number from 0."
  }
}

variable "maintain_retention_days" {
  description = "Days that data files are kept which the table no longer names; null for what the table says, 7 unless it is set."
  type        = number
  default     = null

  validation {
    condition     = var.maintain_retention_days == null || try(var.maintain_retention_days >= 1 && floor(var.maintain_retention_days) == var.maintain_retention_days, false)
    error_message = "maintain_retention_days must be a whole number from 1, or null."
  }
}

variable "maintain_compact" {
  description = "Which small data files are merged: within-jobs, or across-jobs, after which the jobs can neither be undone nor replaced by a later drop; null for none."
  type        = string
  default     = null

  validation {
    condition     = var.maintain_compact == null ? true : contains(["within-jobs", "across-jobs"], var.maintain_compact)
    error_message = "maintain_compact must be within-jobs, across-jobs or null."
  }
}

variable "maintain_compact_after_days" {
  description = "Days from which small data files are merged."
  type        = number
  default     = 7
  nullable    = false

  validation {
    condition     = var.maintain_compact_after_days >= 0 && floor(var.maintain_compact_after_days) == var.maintain_compact_after_days
    error_message = "maintain_compact_after_days must be a whole number from 0."
  }
}
