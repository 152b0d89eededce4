#!/usr/bin/env bash
# DuckDB's Delta reader does not open a table whose checkpoint was written with Arrow's large strings in its schema, though the
# Parquet columns are the same plain UTF-8 byte arrays. pyarrow, Polars and others write that schema beside the Parquet one.
#
# Versions: deltalake 1.6.6, duckdb 1.4.4 with duckdb-ext-delta 1.4.4.20260205, polars 2.1.0, pyarrow 26.0.1
# Expected: one row by all three readers.
# Seen:     deltalake 1, polars 1, duckdb fails
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  deltalake==1.6.6 duckdb==1.4.4 duckdb-ext==0.1.2 duckdb-ext-delta==1.4.4.20260205 polars==2.1.0 pyarrow==26.0.1
"$folder/venv/bin/python" - "$folder/table" <<'PYTHON' | tee "$folder/seen"
import pathlib, sys
import deltalake, duckdb, duckdb_ext, polars, pyarrow, pyarrow.parquet

table = sys.argv[1]
deltalake.write_deltalake(table, pyarrow.table({"v": [1]}))
deltalake.DeltaTable(table).create_checkpoint()
(checkpoint,) = pathlib.Path(table, "_delta_log").glob("*.checkpoint.parquet")
rows = pyarrow.parquet.read_table(checkpoint)

def large(kind):
    if pyarrow.types.is_struct(kind):
        return pyarrow.struct([field.with_type(large(field.type)) for field in kind])
    return pyarrow.large_string() if pyarrow.types.is_string(kind) else kind

schema = pyarrow.schema([field.with_type(large(field.type)) for field in rows.schema])
pyarrow.parquet.write_table(rows.cast(schema), checkpoint)

connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
extension = next(path for root in duckdb_ext.__path__ for path in pathlib.Path(root).rglob("delta.duckdb_extension"))
connection.execute(f"LOAD '{extension}'")
try:
    by_duckdb = connection.execute(f"select count(*) from delta_scan('{table}')").fetchone()[0]
except duckdb.Error as error:
    by_duckdb = "fails"
    print("duckdb:", str(error).splitlines()[0][:160], file=sys.stderr)
by_deltalake = deltalake.DeltaTable(table).to_pyarrow_table().num_rows
print(f"deltalake {by_deltalake}, polars {polars.read_delta(table).height}, duckdb {by_duckdb}")
PYTHON
expected="deltalake 1, polars 1, duckdb fails"
[ "$(tail -1 "$folder/seen")" = "$expected" ] || { printf 'changed; it was: %s\n' "$expected"; exit 1; }
