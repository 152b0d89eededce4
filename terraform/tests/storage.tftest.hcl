# Buckets: encrypted, private, versioned where it matters, and not growing for ever.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  source_bucket_name  = "example-drops"
  table_uri           = "s3://example-lake/tables/orders"
  create_table_bucket = true
  splitter_zip        = "tests/code.zip"
  worker_zip          = "tests/code.zip"
}

run "all_created" {
  assert {
    condition = { for key, bucket in aws_s3_bucket.created : key => bucket.bucket } == {
      chunks = "sluice-chunks-000000000000-eu-central-1"
      source = "example-drops"
      table  = "example-lake"
    }
    error_message = "Three buckets must be made, of these names."
  }

  assert {
    condition = length(aws_s3_bucket_public_access_block.created) == 3 && alltrue([
      for block in aws_s3_bucket_public_access_block.created :
      block.block_public_acls && block.block_public_policy && block.ignore_public_acls && block.restrict_public_buckets
    ])
    error_message = "No bucket may be public in any way."
  }

  assert {
    condition = length(aws_s3_bucket_server_side_encryption_configuration.created) == 3 && alltrue([
      for config in aws_s3_bucket_server_side_encryption_configuration.created :
      one(one(config.rule).apply_server_side_encryption_by_default).sse_algorithm == "AES256"
    ])
    error_message = "Every bucket must be encrypted."
  }

  assert {
    condition     = length(aws_s3_bucket_ownership_controls.created) == 3 && alltrue([for controls in aws_s3_bucket_ownership_controls.created : controls.rule[0].object_ownership == "BucketOwnerEnforced"])
    error_message = "ACLs must be off."
  }

  assert {
    condition = length(aws_s3_bucket_policy.created) == 3 && alltrue([
      for key, policy in aws_s3_bucket_policy.created : jsondecode(policy.policy).Statement[0] == {
        Sid       = "DenyInsecureTransport"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:*"
        Resource  = ["arn:aws:s3:::${aws_s3_bucket.created[key].bucket}", "arn:aws:s3:::${aws_s3_bucket.created[key].bucket}/*"]
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      }
    ])
    error_message = "Every bucket must refuse requests without TLS."
  }

  assert {
    condition = { for key, versioning in aws_s3_bucket_versioning.created : key => versioning.versioning_configuration[0].status } == {
      chunks = "Suspended"
      source = "Enabled"
      table  = "Enabled"
    }
    error_message = "Source and table keep old versions, chunks do not."
  }

  assert {
    condition = alltrue([
      for lifecycle in aws_s3_bucket_lifecycle_configuration.created : anytrue([
        for rule in lifecycle.rule : rule.status == "Enabled" && try(rule.abort_incomplete_multipart_upload[0].days_after_initiation, 0) == 2
      ])
    ])
    error_message = "Unfinished uploads must go from every bucket."
  }

  assert {
    condition = [
      for rule in aws_s3_bucket_lifecycle_configuration.created["chunks"].rule : [rule.filter[0].prefix, rule.expiration[0].days] if rule.id == "chunks"
    ] == [["sluice/", 30]]
    error_message = "Chunks must expire after 30 days, and only what is under their prefix."
  }

  assert {
    condition = alltrue([
      for key in ["source", "table"] : alltrue([for rule in aws_s3_bucket_lifecycle_configuration.created[key].rule : length(rule.expiration) == 0])
    ])
    error_message = "Sources and table files must never expire by themselves."
  }
}

run "existing_buckets" {
  variables {
    create_source_bucket = false
    create_table_bucket  = false
    chunk_versioning     = true
    chunk_bucket_name    = "example-chunks"
  }

  assert {
    condition     = { for key, bucket in aws_s3_bucket.created : key => bucket.bucket } == { chunks = "example-chunks" }
    error_message = "Only the chunk bucket must be made."
  }

  assert {
    condition     = aws_s3_bucket_versioning.created["chunks"].versioning_configuration[0].status == "Enabled"
    error_message = "chunk_versioning must reach the bucket."
  }

  assert {
    condition     = aws_s3_bucket_notification.source[0].bucket == "example-drops"
    error_message = "An existing bucket is notified all the same."
  }
}

run "one_bucket" {
  variables {
    source_bucket_name   = "example-all"
    chunk_bucket_name    = "example-all"
    table_uri            = "s3://example-all/tables/orders"
    source_prefix        = "drops/"
    create_source_bucket = false
    create_table_bucket  = false
  }

  assert {
    condition     = length(aws_s3_bucket.created) == 1 && aws_s3_bucket_notification.source[0].queue[0].filter_prefix == "drops/"
    error_message = "One bucket must serve for all, with only drops/ starting something."
  }
}
