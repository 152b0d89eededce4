#!/bin/sh
# Three zones: files land raw in bronze; each version of bronze goes on to silver, and each version of silver to gold.
set -eu

mkdir -p landing
printf '{"order":1,"items":["apple:2","pear:1"]}\n{"order":2,"items":["apple:5"]}\n' > landing/monday.ndjson
printf '{"order":3,"items":[]}\n{"order":4,"items":["plum:4"]}\n' > landing/tuesday.ndjson

cat > routes.toml <<'TOML'
version = 1

[[route]]
name = "bronze"
key = "**/landing/*.ndjson"
table = "lake/bronze"

[[route]]
name = "silver"
from_table = "lake/bronze"
table = "lake/silver"
sql = """
SELECT "order", split_part(item, ':', 1) AS fruit, CAST(split_part(item, ':', 2) AS BIGINT) AS pieces
FROM (SELECT "order", unnest(string_to_array(btrim(items, '[]"'), '","')) AS item FROM chunk WHERE items <> '[]')
"""

[[route]]
name = "gold"
from_table = "lake/silver"
table = "lake/gold"
sql = 'SELECT "order", fruit, pieces * 3 AS price FROM chunk WHERE pieces > 1'
partition_by = ["fruit"]
TOML

sluice ingest landing/monday.ndjson --routes routes.toml
sluice chain --routes routes.toml --dry-run                    # one version to read
sluice chain --routes routes.toml                              # silver, then gold
sluice ingest landing/tuesday.ndjson --routes routes.toml
sluice chain --routes routes.toml                              # the new versions alone
sluice chain --routes routes.toml                              # nothing is left to do
ls -d lake/gold/fruit=apple lake/gold/fruit=plum
