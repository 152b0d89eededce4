#!/bin/sh
# Many feeds: the key of each file says which table it goes to, and how it is read.
set -eu

mkdir -p landing/crm/orders landing/shop/orders
printf 'id,amount\n1,12.50\n2,0\n' > landing/crm/orders/monday.csv
printf 'id,amount\n1,7.25\n' > landing/shop/orders/monday.csv

cat > routes.toml <<'TOML'
version = 1

[[route]]
name = "orders"
key = "**/landing/{system}/orders/*.csv"
table = "lake/{system}/orders"
sql = "SELECT id, amount FROM chunk WHERE amount > 0"

[[route.example]]
key = "s3://drops/landing/crm/orders/monday.csv"

[[route]]
name = "archive"
also = true
key = "**/landing/{system}/**"
table = "lake/archive/{system}"
infer = "none"

[[example]]
key = "s3://drops/other/monday.csv"
expect = "no route"
TOML

sluice route test routes.toml                                                      # 2 of 2 examples
sluice route check landing/shop/orders/monday.csv --routes routes.toml             # which table, and why
for file in landing/*/orders/monday.csv; do
    sluice ingest "$file" --routes routes.toml
done
ls -d lake/crm/orders lake/shop/orders lake/archive/crm lake/archive/shop
