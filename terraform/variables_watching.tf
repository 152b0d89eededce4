# What is watched

variable "log_retention_days" {
  description = "Days that logs are kept."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "log_retention_days must be a period that CloudWatch Logs knows: 1, 3, 5, 7, 14, 30, 60, 90, ... days."
  }
}

variable "log_level" {
  description = "Least level of the functions' log lines: trace, debug, info, warn or error."
  type        = string
  default     = "info"
  nullable    = false

  validation {
    condition     = contains(["trace", "debug", "info", "warn", "error"], var.log_level)
    error_message = "log_level must be trace, debug, info, warn or error."
  }
}

variable "alarm_topic_arns" {
  description = "SNS topics that hear of alarms and of their end."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.alarm_topic_arns : can(regex("^arn:[a-z-]+:sns:", arn))]) && length(var.alarm_topic_arns) <= 5
    error_message = "alarm_topic_arns must be at most five ARNs of SNS topics."
  }
}

variable "queue_age_alarm_seconds" {
  description = "Age of the oldest message of a queue that raises an alarm."
  type        = number
  default     = 3600
  nullable    = false

  validation {
    condition     = var.queue_age_alarm_seconds >= 60
    error_message = "queue_age_alarm_seconds must be at least 60."
  }
}

variable "duration_alarm_percent" {
  description = "Share of its timeout that a call may take before an alarm is raised."
  type        = number
  default     = 80
  nullable    = false

  validation {
    condition     = var.duration_alarm_percent >= 1 && var.duration_alarm_percent <= 100
    error_message = "duration_alarm_percent must be from 1 to 100."
  }
}

variable "rejected_rows_alarm" {
  description = "Records that a function may put into quarantine within five minutes before an alarm is raised."
  type        = number
  default     = 0
  nullable    = false

  validation {
    condition     = var.rejected_rows_alarm >= 0
    error_message = "rejected_rows_alarm must not be negative."
  }
}

variable "lag_alarm_seconds" {
  description = "Time from a drop to the commit of one of its chunks that raises an alarm."
  type        = number
  default     = 3600
  nullable    = false

  validation {
    condition     = var.lag_alarm_seconds >= 1
    error_message = "lag_alarm_seconds must be at least 1."
  }
}

variable "unfinished_alarm_seconds" {
  description = "Age of a job that is neither done nor failed that raises an alarm; found by housekeeping (maintain_schedule)."
  type        = number
  default     = 86400
  nullable    = false

  validation {
    condition     = var.unfinished_alarm_seconds >= 60
    error_message = "unfinished_alarm_seconds must be at least 60."
  }
}

variable "dead_letter_age_alarm_seconds" {
  description = "Time that a dead letter may wait before an alarm is raised; SQS deletes it 14 days after it was first sent."
  type        = number
  default     = 604800
  nullable    = false

  validation {
    condition     = var.dead_letter_age_alarm_seconds >= 60 && var.dead_letter_age_alarm_seconds < 1209600
    error_message = "dead_letter_age_alarm_seconds must be at least 60 and less than 14 days (1209600)."
  }
}
