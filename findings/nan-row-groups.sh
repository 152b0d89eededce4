#!/usr/bin/env bash
# DuckDB orders NaN above all numbers, so `v > 5` holds for it. Parquet's statistics leave NaN out, and DuckDB skips row groups by
# them. So its answer depends on who wrote the file: pyarrow and Polars put bounds beside a NaN, DuckDB itself puts none.
#
# Versions: duckdb 1.4.4, polars 2.1.0, pyarrow 26.0.1
# Expected: one answer for one set of rows.
# Seen:     written by duckdb 1, written by pyarrow 0, written by pyarrow and read through an expression 1, written by polars 0
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check duckdb==1.4.4 polars==2.1.0 pyarrow==26.0.1
seen=$("$folder/venv/bin/python" - "$folder" <<'PYTHON'
import sys
import duckdb, polars, pyarrow, pyarrow.parquet

folder = sys.argv[1]
rows = pyarrow.table({"v": [1.0, float("nan")]})
pyarrow.parquet.write_table(rows, f"{folder}/pyarrow.parquet")
polars.from_arrow(rows).write_parquet(f"{folder}/polars.parquet")
connection = duckdb.connect()
connection.execute(f"copy (select * from rows) to '{folder}/duckdb.parquet'")
count = lambda source: connection.execute(f"select count(*) from {source} where v > 5").fetchone()[0]
through_expression = count(f"(select v + 0 as v from '{folder}/pyarrow.parquet')")
by = {writer: count(f"'{folder}/{writer}.parquet'") for writer in ["duckdb", "pyarrow", "polars"]}
print(f"written by duckdb {by['duckdb']}, written by pyarrow {by['pyarrow']}, written by pyarrow and read through an "
      f"expression {through_expression}, written by polars {by['polars']}")
PYTHON
)
expected="written by duckdb 1, written by pyarrow 0, written by pyarrow and read through an expression 1, written by polars 0"
printf 'seen: %s\n' "$seen"
[ "$seen" = "$expected" ] || { printf 'changed; it was: %s\n' "$expected"; exit 1; }
