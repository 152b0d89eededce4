# The routes, where there are some: which table each drop goes to. A file, or a table of DynamoDB.

locals {
  # Beside the chunks, where nothing expires.
  routes_key       = "${var.chunk_prefix}_config/routes.toml"
  routes_file_uri  = var.routes_file == null ? null : "s3://${local.chunk_bucket}/${local.routes_key}"
  routes_table     = one(var.routes_dynamodb[*].table)
  routes_table_uri = local.routes_table == null ? null : join("?tables=", compact(["dynamodb://${local.routes_table}", var.routes_dynamodb.tables_uri]))

  routes_uri = try(coalesce(local.routes_file_uri, local.routes_table_uri), null)
}

resource "aws_s3_object" "routes" {
  count = var.routes_file == null ? 0 : 1

  bucket       = aws_s3_bucket.created["chunks"].bucket
  key          = local.routes_key
  source       = var.routes_file
  source_hash  = filemd5(var.routes_file)
  content_type = "application/toml"
  tags         = var.tags

  depends_on = [aws_s3_bucket_server_side_encryption_configuration.created]
}
