# Security

variable "kms_key_arn" {
  description = "KMS key for all that is created here: buckets, queues, topic, logs and environment. Null encrypts with keys that the services manage. The key's own policy must let CloudWatch Logs use it, and S3 and SNS, or EventBridge, whichever tells of drops."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_arn == null ? true : can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/", var.kms_key_arn))
    error_message = "kms_key_arn must be the ARN of a key, not of an alias: policies match keys."
  }
}

variable "source_kms_key_arn" {
  description = "KMS key of an existing source bucket; the splitter may decrypt with it."
  type        = string
  default     = null

  validation {
    condition     = var.source_kms_key_arn == null ? true : can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/", var.source_kms_key_arn))
    error_message = "source_kms_key_arn must be the ARN of a key, not of an alias."
  }
}

variable "table_kms_key_arn" {
  description = "KMS key of an existing table bucket; the worker may encrypt and decrypt with it, the splitter decrypt."
  type        = string
  default     = null

  validation {
    condition     = var.table_kms_key_arn == null ? true : can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/", var.table_kms_key_arn))
    error_message = "table_kms_key_arn must be the ARN of a key, not of an alias."
  }
}

variable "permissions_boundary_arn" {
  description = "Permissions boundary of both roles, where the account asks for one."
  type        = string
  default     = null

  validation {
    condition     = var.permissions_boundary_arn == null ? true : can(regex("^arn:[a-z-]+:iam::([0-9]{12}|aws):policy/", var.permissions_boundary_arn))
    error_message = "permissions_boundary_arn must be the ARN of an IAM policy."
  }
}

variable "subnet_ids" {
  description = "Subnets of both functions; empty runs them outside a VPC. The subnets need a way to S3 and SQS (endpoints or NAT)."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for id in var.subnet_ids : startswith(id, "subnet-")])
    error_message = "subnet_ids must start with subnet-."
  }
}

variable "security_group_ids" {
  description = "Security groups of both functions in the VPC; they need to let HTTPS out."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for id in var.security_group_ids : startswith(id, "sg-")])
    error_message = "security_group_ids must start with sg-."
  }

  validation {
    condition     = (length(var.security_group_ids) == 0) == (length(var.subnet_ids) == 0)
    error_message = "subnet_ids and security_group_ids belong together: give both or neither."
  }
}
