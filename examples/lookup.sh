#!/bin/sh
# Rows with columns of a reference table: SQL joins a look-up, which the job keeps in one version.
set -eu

mkdir -p landing ref
printf 'id,customer,amount\n1,7,12.50\n2,8,7.25\n3,99,1\n' > landing/orders.csv
printf 'id,region\n7,north\n8,south\n' > ref/customers.csv
sluice ingest ref/customers.csv --table ref/customers -q           # a Delta table keeps its versions

cat > routes.toml <<'TOML'
version = 1

[[route]]
name = "orders"
key = "**/landing/orders*.csv"
table = "lake/orders"
sql = "SELECT c.*, k.region FROM chunk c JOIN customers k ON c.customer = k.id"
partition_by = ["region"]

[route.lookups]
customers = "ref/customers"
TOML

sluice plan landing/orders.csv --routes routes.toml                # what comes of the first rows
sluice ingest landing/orders.csv --routes routes.toml              # filtered  1: nobody knows customer 99
ls -d lake/orders/region=north lake/orders/region=south
