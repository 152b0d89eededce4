#!/usr/bin/env bash
# DuckDB's Delta extension appends to Delta tables. In the log, the path of its data file begins with a slash, the size is 1 byte, and
# the time of modification is in microseconds, where the protocol wants a relative path, the length and milliseconds. deltalake looks for
# the file's footer by that size.
#
# Versions: duckdb 1.4.4 with duckdb-ext-delta 1.4.4.20260205, deltalake 1.6.6, polars 2.1.0, pyarrow 26.0.1
# Expected: a relative path, the length, milliseconds; every reader finds 3 rows.
# Seen:     path with a slash in front, size 1 in place of the length, time in microseconds; duckdb 3, deltalake an error, polars 3
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check duckdb==1.4.4 duckdb-ext==0.1.2 \
  duckdb-ext-delta==1.4.4.20260205 deltalake==1.6.6 polars==2.1.0 pyarrow==26.0.1
seen=$("$folder/venv/bin/python" - "$folder" <<'PYTHON' 2>/dev/null
import json, pathlib, sys
import deltalake, duckdb, duckdb_ext, polars, pyarrow

table = f"{sys.argv[1]}/t"
deltalake.write_deltalake(table, pyarrow.table({"id": pyarrow.array([1, 2], pyarrow.int64())}))
extension = next(path for root in duckdb_ext.__path__ for path in pathlib.Path(root).rglob("delta.duckdb_extension"))
connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
connection.execute(f"load '{extension}'")
connection.execute(f"attach '{table}' as theirs (type delta)")
connection.execute("insert into theirs values (3)")
entry = pathlib.Path(table, "_delta_log/00000000000000000001.json").read_text()
add = next(json.loads(line)["add"] for line in entry.splitlines() if '"add"' in line)
length = next(pathlib.Path(table).glob("duckdb-*.parquet")).stat().st_size


def rows(read):
    try:
        return str(read())
    except BaseException:
        return "an error"


found = {
    "duckdb": rows(lambda: connection.execute(f"select count(*) from delta_scan('{table}')").fetchone()[0]),
    "deltalake": rows(lambda: deltalake.DeltaTable(table).to_pyarrow_table().num_rows),
    "polars": rows(lambda: polars.read_delta(table).height),
}
is_far = add["modificationTime"] > 1000 * 4_102_444_800 * 10
print(("path with a slash in front" if add["path"].startswith("/") else "relative path") + ", "
      + (f"size {add['size']} in place of the length" if add["size"] != length else "the length") + ", "
      + ("time in microseconds" if is_far else "time in milliseconds") + "; "
      + ", ".join(f"{reader} {count}" for reader, count in found.items()))
PYTHON
)
expected="path with a slash in front, size 1 in place of the length, time in microseconds; duckdb 3, deltalake an error, polars 3"
printf 'seen: %s\n' "$seen"
[ "$seen" = "$expected" ] || { printf 'changed; it was: %s\n' "$expected"; exit 1; }
