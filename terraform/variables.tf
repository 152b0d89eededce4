# Names

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
  description = "The Delta table, s3://bucket/path, that rows are appended to."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9_.=-]+)+$", var.table_uri))
    error_message = "table_uri must be s3://bucket/path of plain characters, with a path and without a slash at its end."
  }

  validation {
    condition = !startswith(var.table_uri, "s3://${var.source_bucket_name}/") || !(
      startswith("${var.table_uri}/", "s3://${var.source_bucket_name}/${var.source_prefix}") ||
      startswith("s3://${var.source_bucket_name}/${var.source_prefix}", "${var.table_uri}/")
    )
    error_message = "Data files would start the splitter again: in the same bucket the table's path and source_prefix must not contain each other."
  }

  validation {
    condition = !(
      startswith("${var.table_uri}/", "s3://${local.chunk_bucket}/${var.chunk_prefix}/") ||
      startswith("s3://${local.chunk_bucket}/${var.chunk_prefix}/", "${var.table_uri}/")
    )
    error_message = "Data files would expire with the chunks: in the same bucket the table's path and chunk_prefix must not contain each other."
  }
}

variable "create_table_bucket" {
  description = "Create the bucket of table_uri, versioned; false uses one that exists."
  type        = bool
  default     = false
  nullable    = false

  validation {
    condition = !var.create_table_bucket || !(
      startswith(var.table_uri, "s3://${local.chunk_bucket}/") ||
      var.create_source_bucket && startswith(var.table_uri, "s3://${var.source_bucket_name}/")
    )
    error_message = "The table's bucket is created already, as source or chunk bucket: set create_table_bucket to false."
  }
}

# What is done to the rows. Null leaves a setting to the program's own default.

variable "chunk_size_mb" {
  description = "Largest size of a chunk, in MiB as encoded (CHUNK_SIZE_MB)."
  type        = number
  default     = 100
  nullable    = false

  validation {
    condition     = var.chunk_size_mb >= 1 && var.chunk_size_mb <= 5120 && floor(var.chunk_size_mb) == var.chunk_size_mb
    error_message = "chunk_size_mb must be a whole number from 1 to 5120."
  }
}

variable "transform_sql" {
  description = "SQL over the rows of one chunk (TRANSFORM_SQL)."
  type        = string
  default     = null

  validation {
    # All environment variables of a function share 4 KB.
    condition     = var.transform_sql == null ? true : length(var.transform_sql) > 0 && length(var.transform_sql) <= 2048
    error_message = "transform_sql must have 1 to 2048 characters."
  }
}

variable "partition_by" {
  description = "Columns that the table is partitioned by (PARTITION_BY)."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for column in var.partition_by : column != "" && !strcontains(column, ",")])
    error_message = "partition_by must hold column names without commas."
  }
}

variable "bad_records" {
  description = "What becomes of records that cannot be read (BAD_RECORDS): quarantine, fail, null or widen as text."
  type        = string
  default     = null

  validation {
    condition     = var.bad_records == null ? true : contains(["quarantine", "fail", "null", "widen"], var.bad_records)
    error_message = "bad_records must be quarantine, fail, \"null\" or widen."
  }
}

variable "max_bad_records" {
  description = "Rejected records beyond which a file is given up, as a number or a percentage such as 0.5% (MAX_BAD_RECORDS)."
  type        = string
  default     = null

  validation {
    condition     = var.max_bad_records == null ? true : can(regex("^[0-9]+$|^[0-9]+([.][0-9]+)?%$", var.max_bad_records))
    error_message = "max_bad_records must be a whole number, or a percentage such as 0.5%."
  }
}

variable "max_record_mb" {
  description = "Largest record that is read, in MiB (MAX_RECORD_MB)."
  type        = number
  default     = null

  validation {
    condition     = var.max_record_mb == null ? true : var.max_record_mb >= 1 && var.max_record_mb <= 1024 && floor(var.max_record_mb) == var.max_record_mb
    error_message = "max_record_mb must be a whole number from 1 to 1024."
  }
}

variable "format" {
  description = "What sources are (FORMAT): csv, ndjson, parquet, or auto: what their content says."
  type        = string
  default     = null

  validation {
    condition     = var.format == null ? true : contains(["auto", "csv", "ndjson", "parquet"], var.format)
    error_message = "format must be auto, csv, ndjson or parquet."
  }
}

variable "infer" {
  description = "How column types are found (INFER): from a sample, from the full file, or none: all text."
  type        = string
  default     = null

  validation {
    condition     = var.infer == null ? true : contains(["sample", "full", "none"], var.infer)
    error_message = "infer must be sample, full or none."
  }
}

variable "schema" {
  description = "Types of columns by name (SCHEMA), as { id = \"int64\", price = \"decimal(12,2)\", day = \"date(DD.MM.YYYY)\" }; other columns have those of the table, or are found."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for column, type in var.schema : can(regex("^(boolean|int64|float64|decimal\\([0-9]+(, *[0-9]+)?\\)|(date|timestamp|timestamp_utc)(\\([A-Z./-]+\\))?|text)$", type)) && !strcontains(column, ",")])
    error_message = "schema must hold types: boolean, int64, float64, decimal(P,S), date, timestamp, timestamp_utc or text."
  }
}

variable "commit_mode" {
  description = "What one commit holds (COMMIT_MODE): chunk, as they come, or file, all chunks of a file or none."
  type        = string
  default     = null

  validation {
    condition     = var.commit_mode == null ? true : contains(["chunk", "file"], var.commit_mode)
    error_message = "commit_mode must be chunk or file."
  }
}

variable "on_replace" {
  description = "What becomes of the rows of earlier drops under the same key (ON_REPLACE): append leaves them, replace removes them in the commit that adds the new ones."
  type        = string
  default     = null

  validation {
    condition     = var.on_replace == null ? true : contains(["append", "replace"], var.on_replace)
    error_message = "on_replace must be append or replace."
  }
}

variable "completion_topic_arn" {
  description = "SNS topic that is told of each job that is done (COMPLETION_TOPIC_ARN). A topic with a key of yours needs that key's policy to let both roles use it."
  type        = string
  default     = null

  validation {
    condition     = var.completion_topic_arn == null ? true : can(regex("^arn:[a-z-]+:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]+([.]fifo)?$", var.completion_topic_arn))
    error_message = "completion_topic_arn must be the ARN of an SNS topic."
  }
}

variable "column_names" {
  description = "How column names are written (COLUMN_NAMES): lower, keep or snake."
  type        = string
  default     = null

  validation {
    condition     = var.column_names == null ? true : contains(["lower", "keep", "snake"], var.column_names)
    error_message = "column_names must be lower, keep or snake."
  }
}

variable "max_partitions" {
  description = "Most partitions that the rows of one chunk may belong to (MAX_PARTITIONS)."
  type        = number
  default     = null

  validation {
    condition     = var.max_partitions == null ? true : var.max_partitions >= 1 && var.max_partitions <= 1000000 && floor(var.max_partitions) == var.max_partitions
    error_message = "max_partitions must be a whole number from 1 to 1000000."
  }
}

variable "commit_max_attempts" {
  description = "Attempts to commit a chunk against other writers (COMMIT_MAX_ATTEMPTS)."
  type        = number
  default     = null

  validation {
    condition     = var.commit_max_attempts == null ? true : var.commit_max_attempts >= 1 && var.commit_max_attempts <= 10000 && floor(var.commit_max_attempts) == var.commit_max_attempts
    error_message = "commit_max_attempts must be a whole number from 1 to 10000."
  }
}

variable "commit_backoff_initial_ms" {
  description = "First wait after a commit conflict, in milliseconds (COMMIT_BACKOFF_INITIAL_MS)."
  type        = number
  default     = null

  validation {
    condition     = var.commit_backoff_initial_ms == null ? true : var.commit_backoff_initial_ms >= 1 && var.commit_backoff_initial_ms <= 3600000 && floor(var.commit_backoff_initial_ms) == var.commit_backoff_initial_ms
    error_message = "commit_backoff_initial_ms must be a whole number from 1 to 3600000."
  }
}

variable "commit_backoff_max_ms" {
  description = "Longest wait after a commit conflict, in milliseconds (COMMIT_BACKOFF_MAX_MS)."
  type        = number
  default     = null

  validation {
    condition     = var.commit_backoff_max_ms == null ? true : var.commit_backoff_max_ms >= 1 && var.commit_backoff_max_ms <= 3600000 && floor(var.commit_backoff_max_ms) == var.commit_backoff_max_ms
    error_message = "commit_backoff_max_ms must be a whole number from 1 to 3600000."
  }

  validation {
    condition     = var.commit_backoff_max_ms == null || var.commit_backoff_initial_ms == null ? true : var.commit_backoff_max_ms >= var.commit_backoff_initial_ms
    error_message = "commit_backoff_max_ms must not be below commit_backoff_initial_ms."
  }
}

variable "chunk_codec" {
  description = "Compression of chunks (CHUNK_CODEC): snappy, zstd, lz4 or none."
  type        = string
  default     = null

  validation {
    condition     = var.chunk_codec == null ? true : contains(["snappy", "zstd", "lz4", "none"], var.chunk_codec)
    error_message = "chunk_codec must be snappy, zstd, lz4 or none."
  }
}

variable "compression" {
  description = "What sources are compressed with (COMPRESSION): auto, none, gzip, zstd, bzip2, xz, lz4, snappy or zip."
  type        = string
  default     = null

  validation {
    condition     = var.compression == null ? true : contains(["auto", "none", "gzip", "zstd", "bzip2", "xz", "lz4", "snappy", "zip"], var.compression)
    error_message = "compression must be auto, none, gzip, zstd, bzip2, xz, lz4, snappy or zip."
  }
}

variable "encoding" {
  description = "What text is written in (ENCODING): auto, or a label such as utf-8, utf-16le or windows-1252."
  type        = string
  default     = null

  validation {
    condition     = var.encoding == null ? true : can(regex("^[0-9A-Za-z:_-]+$", var.encoding))
    error_message = "encoding must be auto, or the label of an encoding."
  }
}

variable "max_expanded_mb" {
  description = "Most MiB that a compressed source may expand to (MAX_EXPANDED_MB)."
  type        = number
  default     = null

  validation {
    condition     = var.max_expanded_mb == null ? true : var.max_expanded_mb >= 1 && floor(var.max_expanded_mb) == var.max_expanded_mb
    error_message = "max_expanded_mb must be a whole number from 1."
  }
}

variable "max_expansion_ratio" {
  description = "How many times its size a compressed source may expand to, once it is beyond 256 MiB (MAX_EXPANSION_RATIO)."
  type        = number
  default     = null

  validation {
    condition     = var.max_expansion_ratio == null ? true : var.max_expansion_ratio >= 1 && floor(var.max_expansion_ratio) == var.max_expansion_ratio
    error_message = "max_expansion_ratio must be a whole number from 1."
  }
}

variable "max_footer_mb" {
  description = "Most MiB of memory that the footer of a Parquet source may take (MAX_FOOTER_MB)."
  type        = number
  default     = null

  validation {
    condition     = var.max_footer_mb == null ? true : var.max_footer_mb >= 1 && floor(var.max_footer_mb) == var.max_footer_mb
    error_message = "max_footer_mb must be a whole number from 1."
  }
}

variable "csv_delimiter" {
  description = "Field separator of CSV (CSV_DELIMITER): one character, tab, a byte such as 0x1f, or auto."
  type        = string
  default     = null

  validation {
    condition     = var.csv_delimiter == null ? true : contains(["auto", "tab"], var.csv_delimiter) || length(var.csv_delimiter) == 1 || can(regex("^0x[0-7][0-9A-Fa-f]$", var.csv_delimiter))
    error_message = "csv_delimiter must be one character, tab, a byte such as 0x1f, or auto."
  }
}

variable "csv_quote" {
  description = "Quote character of CSV (CSV_QUOTE): one character, none or auto."
  type        = string
  default     = null

  validation {
    condition     = var.csv_quote == null ? true : contains(["auto", "none"], var.csv_quote) || length(var.csv_quote) == 1 || can(regex("^0x[0-7][0-9A-Fa-f]$", var.csv_quote))
    error_message = "csv_quote must be one character, none or auto."
  }
}

variable "csv_escape" {
  description = "Character of CSV that makes the one behind it text within quotes (CSV_ESCAPE): one character, none or auto."
  type        = string
  default     = null

  validation {
    condition     = var.csv_escape == null ? true : contains(["auto", "none"], var.csv_escape) || length(var.csv_escape) == 1 || can(regex("^0x[0-7][0-9A-Fa-f]$", var.csv_escape))
    error_message = "csv_escape must be one character, none or auto."
  }
}

variable "csv_comment" {
  description = "Character at the start of lines of CSV that are no records (CSV_COMMENT): one character, none or auto."
  type        = string
  default     = null

  validation {
    condition     = var.csv_comment == null ? true : contains(["auto", "none"], var.csv_comment) || length(var.csv_comment) == 1 || can(regex("^0x[0-7][0-9A-Fa-f]$", var.csv_comment))
    error_message = "csv_comment must be one character, none or auto."
  }
}

variable "csv_terminator" {
  description = "Character that ends a record of CSV (CSV_TERMINATOR): one character, a byte such as 0x1e, or auto."
  type        = string
  default     = null

  validation {
    condition     = var.csv_terminator == null ? true : contains(["auto"], var.csv_terminator) || length(var.csv_terminator) == 1 || can(regex("^0x[0-7][0-9A-Fa-f]$", var.csv_terminator))
    error_message = "csv_terminator must be one character, a byte such as 0x1e, or auto."
  }
}

variable "csv_header" {
  description = "Rows of the header of CSV (CSV_HEADER): true, false, a number up to 16, or auto."
  type        = string
  default     = null

  validation {
    condition     = var.csv_header == null ? true : contains(["auto", "true", "false"], var.csv_header) || can(regex("^([0-9]|1[0-6])$", var.csv_header))
    error_message = "csv_header must be true, false, a number up to 16, or auto."
  }
}

variable "csv_skip_lines" {
  description = "Lines of CSV before the header (CSV_SKIP_LINES): a number up to 10000, or auto."
  type        = string
  default     = null

  validation {
    condition     = var.csv_skip_lines == null ? true : var.csv_skip_lines == "auto" || can(regex("^([0-9]{1,4}|10000)$", var.csv_skip_lines))
    error_message = "csv_skip_lines must be a number up to 10000, or auto."
  }
}

variable "csv_decimal" {
  description = "What stands before the fraction of a number of CSV (CSV_DECIMAL): a point, a comma, or auto."
  type        = string
  default     = null

  validation {
    condition     = var.csv_decimal == null ? true : contains(["auto", ".", ","], var.csv_decimal)
    error_message = "csv_decimal must be a point, a comma, or auto."
  }
}

variable "null_words" {
  description = "Words that mean null in every column (NULL_WORDS)."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for word in var.null_words : word != "" && !strcontains(word, ",")])
    error_message = "null_words must hold words without commas."
  }
}

variable "data_files" {
  description = "What data files are made of (DATA_FILES): as-split, the chunks as they are where the table takes them so, or rewritten, all rows encoded anew."
  type        = string
  default     = null

  validation {
    condition     = var.data_files == null ? true : contains(["as-split", "rewritten"], var.data_files)
    error_message = "data_files must be as-split or rewritten."
  }
}

variable "extra_environment" {
  description = "Further environment variables of both functions. They cannot replace one that this module sets."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for key in keys(var.extra_environment) : can(regex("^[A-Za-z][A-Za-z0-9_]+$", key)) && !startswith(key, "AWS_LAMBDA_")])
    error_message = "extra_environment must hold environment variable names that do not start with AWS_LAMBDA_."
  }
}

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
  description = "Path of the splitter's zip; null takes target/lambda/splitter/bootstrap.zip beside this module."
  type        = string
  default     = null

  validation {
    condition     = var.splitter_zip == null ? true : endswith(var.splitter_zip, ".zip")
    error_message = "splitter_zip must be the path of a .zip file."
  }
}

variable "worker_zip" {
  description = "Path of the worker's zip; null takes target/lambda/worker/bootstrap.zip beside this module."
  type        = string
  default     = null

  validation {
    condition     = var.worker_zip == null ? true : endswith(var.worker_zip, ".zip")
    error_message = "worker_zip must be the path of a .zip file."
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
