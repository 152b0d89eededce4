# Where files are dropped

variable "source_bucket_name" {
  description = "Bucket that files are dropped in."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.source_bucket_name))
    error_message = "source_bucket_name must be a bucket name, without s3://."
  }
}

variable "create_source_bucket" {
  description = "Create the source bucket; false uses one that exists."
  type        = bool
  default     = true
  nullable    = false

  validation {
    condition     = !var.create_source_bucket || var.source_bucket_name != local.chunk_bucket
    error_message = "The source bucket is the chunk bucket, which is created anyway: set create_source_bucket to false."
  }
}

variable "source_prefix" {
  description = "Only objects whose key starts with this are taken; empty takes the whole bucket."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = !startswith(var.source_prefix, "/") && !can(regex("[*?$]", var.source_prefix))
    error_message = "source_prefix must not start with a slash nor contain *, ? or $, which mean something else in a policy."
  }
}

variable "source_suffixes" {
  description = "Only objects whose key ends with one of these are taken, for example [\".csv\", \".parquet\"]; empty takes all."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition = alltrue(flatten([
      for i, a in var.source_suffixes : [for j, b in var.source_suffixes : i == j || !endswith(a, b)]
    ]))
    error_message = "source_suffixes must not overlap (S3 refuses two rules that match the same key)."
  }

  validation {
    condition     = alltrue([for suffix in var.source_suffixes : suffix != ""])
    error_message = "source_suffixes must not hold an empty suffix; leave the list empty to take all objects."
  }
}

variable "manage_notification" {
  description = "Own the source bucket's notification. A bucket has only one such configuration: set to false where something else owns it, and add the queue or topic of the outputs there, or switch EventBridge on."
  type        = bool
  default     = true
  nullable    = false
}

variable "source_account_id" {
  description = "Account of an existing source bucket, where that is another one: its notifications are let in, and its owner sets them up. Null for this account."
  type        = string
  default     = null

  validation {
    condition     = var.source_account_id == null ? true : can(regex("^[0-9]{12}$", var.source_account_id))
    error_message = "source_account_id must be an account's twelve digits."
  }

  validation {
    condition     = var.source_account_id == null || (!var.create_source_bucket && !var.manage_notification && var.notify_through != "eventbridge")
    error_message = "A bucket of another account (source_account_id) needs create_source_bucket = false, manage_notification = false and notify_through s3 or sns: its owner sets up its notifications."
  }
}

variable "notify_through" {
  description = "How a drop is told of: s3 notifies the queue itself; sns sends through a topic, so that others can listen to the same drops; eventbridge through a rule, which leaves the bucket's notifications free for others."
  type        = string
  default     = "s3"
  nullable    = false

  validation {
    condition     = contains(["s3", "sns", "eventbridge"], var.notify_through)
    error_message = "notify_through must be s3, sns or eventbridge."
  }
}

variable "sns_raw_delivery" {
  description = "Deliver from the topic without SNS's envelope; the splitter reads both."
  type        = bool
  default     = true
  nullable    = false

  validation {
    condition     = var.sns_raw_delivery || var.notify_through == "sns"
    error_message = "sns_raw_delivery is about a topic, and there is none unless notify_through is sns."
  }
}

# Where chunks are kept

variable "chunk_bucket_name" {
  description = "Name of the chunk bucket, which is created here; null makes one of name, account and region. Giving it the source's or the table's bucket keeps everything in one bucket."
  type        = string
  default     = null

  validation {
    condition     = var.chunk_bucket_name == null ? true : can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.chunk_bucket_name))
    error_message = "chunk_bucket_name must be a bucket name, without s3://."
  }
}

variable "chunk_prefix" {
  description = "Prefix of all jobs' work areas in the chunk bucket, without slashes at its ends."
  type        = string
  default     = "sluice"
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9_.=-]+(/[A-Za-z0-9_.=-]+)*$", var.chunk_prefix))
    error_message = "chunk_prefix must be a plain path such as sluice or team/sluice, without slashes at its ends."
  }

  validation {
    condition = local.chunk_bucket != var.source_bucket_name || !(
      startswith("${var.chunk_prefix}/", var.source_prefix) || startswith(var.source_prefix, "${var.chunk_prefix}/")
    )
    error_message = "Chunks would start the splitter again: in the same bucket chunk_prefix and source_prefix must not contain each other."
  }
}

variable "chunk_expiration_days" {
  description = "Days after which a job's work area expires: chunks, manifest, receipts and quarantine. Longer than a dead letter lives, or its replay finds no chunk."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = var.chunk_expiration_days > 14 && floor(var.chunk_expiration_days) == var.chunk_expiration_days
    error_message = "chunk_expiration_days must be a whole number above 14, the days that a dead letter is kept."
  }
}

variable "chunk_versioning" {
  description = "Keep old versions of chunks. Off by default: chunks are written once and can be made again from their source, so old versions only cost."
  type        = bool
  default     = false
  nullable    = false
}

variable "abort_incomplete_uploads_days" {
  description = "Days after which unfinished multipart uploads are removed."
  type        = number
  default     = 2
  nullable    = false

  validation {
    condition     = var.abort_incomplete_uploads_days >= 1 && var.abort_incomplete_uploads_days <= 7 && floor(var.abort_incomplete_uploads_days) == var.abort_incomplete_uploads_days
    error_message = "abort_incomplete_uploads_days must be a whole number from 1 to 7."
  }
}

variable "noncurrent_version_days" {
  description = "Days that replaced or deleted versions are kept in the versioned buckets that are created here."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = var.noncurrent_version_days >= 1 && floor(var.noncurrent_version_days) == var.noncurrent_version_days
    error_message = "noncurrent_version_days must be a whole number of at least 1."
  }
}

variable "force_destroy" {
  description = "Let terraform destroy delete the created buckets with everything in them. For trials only."
  type        = bool
  default     = false
  nullable    = false
}

# Where rows end up

variable "table_uri" {
  description = "The Delta table, s3://bucket/path, that rows are appended to; null where routes name the tables."
  type        = string
  default     = null

  validation {
    condition     = length(compact([var.table_uri, var.routes_file, one(var.routes_dynamodb[*].table)])) == 1
    error_message = "Set one of table_uri, routes_file and routes_dynamodb."
  }

  validation {
    condition     = var.table_uri == null ? true : can(regex("^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9_.=-]+)+$", var.table_uri))
    error_message = "table_uri must be s3://bucket/path of plain characters, with a path and without a slash at its end."
  }

  validation {
    condition = alltrue([for uri in compact([var.table_uri]) : !startswith(uri, "s3://${var.source_bucket_name}/") || !(
      startswith("${uri}/", "s3://${var.source_bucket_name}/${var.source_prefix}") ||
      startswith("s3://${var.source_bucket_name}/${var.source_prefix}", "${uri}/")
    )])
    error_message = "Data files would start the splitter again: in the same bucket the table's path and source_prefix must not contain each other."
  }

  validation {
    condition = alltrue([for uri in compact([var.table_uri]) : !(
      startswith("${uri}/", "s3://${local.chunk_bucket}/${var.chunk_prefix}/") ||
      startswith("s3://${local.chunk_bucket}/${var.chunk_prefix}/", "${uri}/")
    )])
    error_message = "Data files would expire with the chunks: in the same bucket the table's path and chunk_prefix must not contain each other."
  }
}

variable "routes_file" {
  description = "Path of a routes file, which is uploaded beside the chunks and says which table each drop goes to (ROUTES_URI); null sends all drops to table_uri."
  type        = string
  default     = null

  validation {
    condition     = var.routes_file == null ? true : fileexists(var.routes_file)
    error_message = "routes_file must be the path of a file."
  }
}

variable "routes_dynamodb" {
  description = "Table of DynamoDB, in this account and region, whose items say which table each drop goes to (ROUTES_URI); tables_uri, s3://bucket/path, is where Delta tables are that items name as database.table. The table itself is not made here."
  type = object({
    table      = string
    tables_uri = optional(string)
  })
  default = null

  validation {
    condition     = var.routes_dynamodb == null ? true : can(regex("^[A-Za-z0-9_.-]{3,255}$", var.routes_dynamodb.table))
    error_message = "routes_dynamodb.table must be the name of a table."
  }

  validation {
    condition     = try(var.routes_dynamodb.tables_uri, null) == null ? true : can(regex("^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9_.=-]+)*$", var.routes_dynamodb.tables_uri))
    error_message = "routes_dynamodb.tables_uri must be s3://bucket or s3://bucket/path of plain characters, without a slash at its end."
  }
}

variable "route_tables" {
  description = "Tables that the routes name, s3://bucket/path each, without captures; a path stands for all tables below it. The functions reach no others."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = (length(var.route_tables) > 0) == (var.routes_file != null || var.routes_dynamodb != null)
    error_message = "route_tables must name the tables of the routes, and is empty without routes."
  }

  validation {
    condition     = alltrue([for uri in var.route_tables : can(regex("^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9_.=-]+)+$", uri))])
    error_message = "route_tables must be s3://bucket/path of plain characters, with a path and without a slash at its end."
  }

  validation {
    condition = alltrue([for uri in var.route_tables : !startswith(uri, "s3://${var.source_bucket_name}/") || !(
      startswith("${uri}/", "s3://${var.source_bucket_name}/${var.source_prefix}") ||
      startswith("s3://${var.source_bucket_name}/${var.source_prefix}", "${uri}/")
    )])
    error_message = "Data files would start the splitter again: in the same bucket a table's path and source_prefix must not contain each other."
  }

  validation {
    condition = alltrue([for uri in var.route_tables : !(
      startswith("${uri}/", "s3://${local.chunk_bucket}/${var.chunk_prefix}") ||
      startswith("s3://${local.chunk_bucket}/${var.chunk_prefix}/", "${uri}/")
    )])
    error_message = "Data files would expire with the chunks: in the same bucket a table's path and chunk_prefix must not contain each other."
  }
}

variable "route_contracts" {
  description = "Contracts that the routes name, s3://bucket/key each: the splitter may read them."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = length(var.route_contracts) == 0 || var.routes_file != null || var.routes_dynamodb != null
    error_message = "route_contracts are those of routes, and there are none."
  }

  validation {
    condition     = alltrue([for uri in var.route_contracts : can(regex("^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[^/*?]+)+$", uri))])
    error_message = "route_contracts must be s3://bucket/key."
  }
}

variable "lookup_uris" {
  description = "Look-ups that SQL joins (LOOKUPS, or the routes), s3://bucket/path each: a file, or the root of a Delta table. Both functions may read them."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for uri in var.lookup_uris : can(regex("^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[^/*?]+)+$", uri))])
    error_message = "lookup_uris must be s3://bucket/path, without a slash at its end."
  }
}

variable "create_table_bucket" {
  description = "Create the bucket of table_uri, versioned; false uses one that exists."
  type        = bool
  default     = false
  nullable    = false

  validation {
    condition = !var.create_table_bucket || !anytrue([for uri in compact([var.table_uri]) :
      startswith(uri, "s3://${local.chunk_bucket}/") ||
      var.create_source_bucket && startswith(uri, "s3://${var.source_bucket_name}/")
    ])
    error_message = "The table's bucket is created already, as source or chunk bucket: set create_table_bucket to false."
  }

  validation {
    condition     = !var.create_table_bucket || var.table_uri != null
    error_message = "create_table_bucket is about table_uri: create the buckets of route_tables elsewhere."
  }
}
