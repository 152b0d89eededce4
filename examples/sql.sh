#!/bin/sh
# Columns and rows chosen by SQL, in a table that is partitioned by day.
set -eu

cat > orders.csv <<'CSV'
id,day,amount,note
1,2026-11-28,12.50,
2,2026-11-29,7.25,gift
3,2026-11-29,0,test
CSV

sluice ingest orders.csv --table lake/orders --partition-by day \
    --sql "SELECT id, day, amount, upper(note) AS note FROM chunk WHERE amount > 0"     # filtered  1
ls -d lake/orders/day=2026-11-28 lake/orders/day=2026-11-29
