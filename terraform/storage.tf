# Buckets. The chunk bucket is always made here; those of source and table only when asked.

locals {
  chunk_bucket = coalesce(var.chunk_bucket_name, "${var.name}-chunks-${local.account_id}-${local.region}")
  table_bucket = var.table_uri == null ? null : split("/", trimprefix(var.table_uri, "s3://"))[0]

  created_buckets = merge(
    { chunks = local.chunk_bucket },
    var.create_source_bucket ? { source = var.source_bucket_name } : {},
    var.create_table_bucket ? { table = local.table_bucket } : {},
  )

  # ARNs are made from names, so that created and existing buckets are named alike in policies.
  source_bucket_arn = "arn:${local.partition}:s3:::${var.source_bucket_name}"
  chunk_bucket_arn  = "arn:${local.partition}:s3:::${local.chunk_bucket}"
}

resource "aws_s3_bucket" "created" {
  #checkov:skip=CKV_AWS_18:access logs need a bucket of their own; attach one outside where an auditor asks for it
  #checkov:skip=CKV_AWS_144:chunks can be made again from their source; replication of source and table is their owner's choice
  #checkov:skip=CKV2_AWS_62:only drops in the source bucket start something, see notification.tf
  for_each = local.created_buckets

  bucket        = each.value
  force_destroy = var.force_destroy
  tags          = var.tags
}

resource "aws_s3_bucket_ownership_controls" "created" {
  for_each = local.created_buckets

  bucket = aws_s3_bucket.created[each.key].bucket

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_public_access_block" "created" {
  for_each = local.created_buckets

  bucket                  = aws_s3_bucket.created[each.key].bucket
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_server_side_encryption_configuration" "created" {
  for_each = local.created_buckets

  bucket = aws_s3_bucket.created[each.key].bucket

  rule {
    # Fewer calls to KMS; without a KMS key it changes nothing.
    bucket_key_enabled = true

    apply_server_side_encryption_by_default {
      sse_algorithm     = var.kms_key_arn == null ? "AES256" : "aws:kms"
      kms_master_key_id = var.kms_key_arn
    }
  }
}

resource "aws_s3_bucket_versioning" "created" {
  for_each = local.created_buckets

  bucket = aws_s3_bucket.created[each.key].bucket

  versioning_configuration {
    status = each.key != "chunks" || var.chunk_versioning ? "Enabled" : "Suspended"
  }
}

resource "aws_s3_bucket_policy" "created" {
  for_each = local.created_buckets

  bucket = aws_s3_bucket.created[each.key].bucket

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "DenyInsecureTransport"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:*"
      Resource = [
        "arn:${local.partition}:s3:::${each.value}",
        "arn:${local.partition}:s3:::${each.value}/*",
      ]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  })

  depends_on = [aws_s3_bucket_public_access_block.created]
}

resource "aws_s3_bucket_lifecycle_configuration" "created" {
  for_each = local.created_buckets

  bucket = aws_s3_bucket.created[each.key].bucket

  rule {
    id     = "unfinished-uploads"
    status = "Enabled"

    filter {
      prefix = ""
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = var.abort_incomplete_uploads_days
    }
  }

  rule {
    id     = "old-versions"
    status = "Enabled"

    filter {
      prefix = ""
    }

    noncurrent_version_expiration {
      noncurrent_days = var.noncurrent_version_days
    }
  }

  # Only chunks expire by themselves: sources and table files belong to others.
  dynamic "rule" {
    for_each = each.key == "chunks" ? [var.chunk_prefix] : []

    content {
      id     = "chunks"
      status = "Enabled"

      filter {
        prefix = "${rule.value}/"
      }

      expiration {
        days = var.chunk_expiration_days
      }
    }
  }

  # Rules on old versions are refused while versioning is being switched.
  depends_on = [aws_s3_bucket_versioning.created]
}
