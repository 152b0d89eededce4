#!/bin/sh
# Look at a file, load it, load it again, and compare the table with the receipt.
set -eu

cat > orders.csv <<'CSV'
id,day,amount
1,2026-11-28,12.50
2,2026-11-29,7.25
3,2026-11-29,3.00
CSV

sluice plan orders.csv                                      # dialect, types and sample rows; writes nothing
sluice ingest orders.csv --table lake/orders                # committed  3
sluice ingest orders.csv --table lake/orders                # already done, nothing was added
sluice status orders.csv --table lake/orders --verify       # exit status 0: the very rows that were committed
