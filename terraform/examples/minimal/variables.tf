variable "name" {
  description = "Prefix of every name."
  type        = string
  default     = "sluice"
}

variable "region" {
  description = "Region to deploy to."
  type        = string
  default     = "eu-central-1"
}
