#!/bin/sh
# A corrected file replaces its predecessor in one commit; then all of it is taken out again.
set -eu

printf 'id,amount\n1,12.50\n2,999\n' > orders.csv
sluice ingest orders.csv --table lake/orders --on-replace replace

printf 'id,amount\n1,12.50\n2,9.99\n' > orders.csv
sluice ingest orders.csv --table lake/orders --on-replace replace          # the rows of the first file are gone

# Two jobs have this name by now. The second is the one that is in the table.
sluice undo orders.csv --table lake/orders --dry-run                       # removed  2 rows in 1 file
sluice undo orders.csv --table lake/orders
sluice maintain --table lake/orders
