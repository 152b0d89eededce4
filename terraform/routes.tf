# The routes file, where there is one: which table each drop goes to.

locals {
  # Beside the chunks, where nothing expires.
  routes_key = "${var.chunk_prefix}_config/routes.toml"
  routes_uri = var.routes_file == null ? null : "s3://${local.chunk_bucket}/${local.routes_key}"
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
