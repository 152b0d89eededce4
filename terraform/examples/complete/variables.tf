variable "name" {
  description = "Prefix of every name."
  type        = string
  default     = "sluice"
}

variable "region" {
  description = "Region to deploy to; the buckets are there, too."
  type        = string
  default     = "eu-central-1"
}

variable "source_bucket_name" {
  description = "Existing bucket that files are dropped in, under drops/."
  type        = string
}

variable "source_kms_key_arn" {
  description = "KMS key of the source bucket, if it has one."
  type        = string
  default     = null
}

variable "table_bucket_name" {
  description = "Existing bucket of the table, which lies under tables/."
  type        = string
}

variable "table_kms_key_arn" {
  description = "KMS key of the table bucket, if it has one."
  type        = string
  default     = null
}

variable "subnet_ids" {
  description = "Private subnets of the functions; empty for none."
  type        = list(string)
  default     = []
}

variable "security_group_ids" {
  description = "Security groups of the functions, where they run in subnets."
  type        = list(string)
  default     = []
}

variable "alarm_emails" {
  description = "Addresses that hear of alarms; each has to confirm."
  type        = list(string)
  default     = []
}
