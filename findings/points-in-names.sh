#!/usr/bin/env bash
# A column of a Delta table may have a point in its name. DuckDB's Delta extension reads its values, and fails once a filter names it:
# the filter that it hands to the reader of the log takes the point for a step into a struct.
#
# Versions: duckdb 1.4.4 with duckdb-ext-delta 1.4.4.20260205, deltalake 1.6.6, polars 2.1.0, pyarrow 26.0.1
# Expected: each reader finds the one row of `where "a.b" = 2`.
# Seen:     deltalake 1, polars 1, duckdb an error; duckdb without the filter 2 rows
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check duckdb==1.4.4 duckdb-ext==0.1.2 \
  duckdb-ext-delta==1.4.4.20260205 deltalake==1.6.6 polars==2.1.0 pyarrow==26.0.1
seen=$("$folder/venv/bin/python" - "$folder" <<'PYTHON' 2>/dev/null
import pathlib, sys
import deltalake, duckdb, duckdb_ext, polars, pyarrow

table = f"{sys.argv[1]}/t"
deltalake.write_deltalake(table, pyarrow.table({"a.b": pyarrow.array([1, 2], pyarrow.int64())}))
extension = next(path for root in duckdb_ext.__path__ for path in pathlib.Path(root).rglob("delta.duckdb_extension"))
connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
connection.execute(f"load '{extension}'")


def rows(read):
    try:
        return str(read())
    except Exception:
        return "an error"


def by_duckdb(condition):
    return rows(lambda: connection.execute(f"select count(*) from delta_scan('{table}') {condition}").fetchone()[0])


query = deltalake.QueryBuilder().register("t", deltalake.DeltaTable(table))
by_deltalake = rows(lambda: query.execute('select "a.b" from t where "a.b" = 2').read_all().num_rows)
by_polars = rows(lambda: polars.scan_delta(table).filter(polars.col("a.b") == 2).collect().height)
filtered = by_duckdb('where "a.b" = 2')
print(f"deltalake {by_deltalake}, polars {by_polars}, duckdb {filtered}; duckdb without the filter {by_duckdb('')} rows")
PYTHON
)
expected="deltalake 1, polars 1, duckdb an error; duckdb without the filter 2 rows"
printf 'seen: %s\n' "$seen"
[ "$seen" = "$expected" ] || { printf 'changed; it was: %s\n' "$expected"; exit 1; }
