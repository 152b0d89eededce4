# Names and settings. The other inputs are in variables_*.tf, by topic.

variable "name" {
  description = "Prefix of every name in this deployment, so that several can live in one account."
  type        = string
  default     = "sluice"
  nullable    = false

  validation {
    # 24 characters leave room for "-chunks-", account and region in a bucket's 63.
    condition     = can(regex("^[a-z][a-z0-9-]{0,22}[a-z0-9]$", var.name))
    error_message = "name must be 2 to 24 lower-case letters, digits and hyphens, start with a letter and not end with a hyphen."
  }
}

variable "tags" {
  description = "Tags of every resource that takes tags."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for key in keys(var.tags) : !startswith(lower(key), "aws:")])
    error_message = "tags must not start with aws:, which AWS keeps for itself."
  }
}

# Settings of the functions

variable "settings" {
  description = "Settings by the names of their environment variables, as { CHUNK_SIZE_MB = 64, BAD_RECORDS = \"fail\" }. Each function gets those that it reads; the others keep their defaults. settings.json has their names and values."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for name in keys(var.settings) : contains(keys(local.known_settings), name)])
    error_message = "settings holds names that are no settings: ${join(", ", setsubtract(keys(var.settings), keys(local.known_settings)))}."
  }

  validation {
    condition     = alltrue([for name in keys(var.settings) : !contains(local.own_settings, name)])
    error_message = "settings holds names that other variables of this module set: ${join(", ", setintersection(keys(var.settings), local.own_settings))}."
  }

  validation {
    # All environment variables of a function share 4 KB.
    condition     = sum(concat([0], [for name, value in var.settings : length(name) + length(value)])) <= 3072
    error_message = "settings must not have more than 3072 characters: Lambda has 4 KB for all environment variables."
  }
}

variable "completion_topic_arn" {
  description = "SNS topic that is notified of each job that is done (COMPLETION_TOPIC_ARN). A topic with a key of yours needs that key's policy to let both roles use it."
  type        = string
  default     = null

  validation {
    condition     = var.completion_topic_arn == null ? true : can(regex("^arn:[a-z-]+:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]+([.]fifo)?$", var.completion_topic_arn))
    error_message = "completion_topic_arn must be the ARN of an SNS topic."
  }
}

variable "extra_environment" {
  description = "Environment variables of both functions that are not settings, for libraries that they use. They cannot replace one that this module sets."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for name in keys(var.extra_environment) : can(regex("^[A-Za-z][A-Za-z0-9_]+$", name)) && !startswith(name, "AWS_LAMBDA_")])
    error_message = "extra_environment must hold environment variable names that do not start with AWS_LAMBDA_."
  }

  validation {
    condition     = length(setintersection(keys(var.extra_environment), keys(local.known_settings))) == 0
    error_message = "extra_environment holds settings, which belong into settings: ${join(", ", setintersection(keys(var.extra_environment), keys(local.known_settings)))}."
  }
}
