#!/bin/sh
# A record that does not fit is kept. See why, then read it again in another way.
set -eu

cat > orders.csv <<'CSV'
id,amount
1,12.50
2,-
3,3.00
CSV

sluice ingest orders.csv --table lake/orders --schema amount:float64       # quarantined  1
sluice quarantine show orders.csv --table lake/orders                      # record 2, byte 18: 2,-
sluice quarantine replay orders.csv --table lake/orders --null-words=-     # committed  1
sluice quarantine show orders.csv --table lake/orders --json
