#!/usr/bin/env bash
# deltalake 1.6.6 (Python) writes the bounds of a decimal column into the Delta log as JSON numbers made from doubles.
# Readers that skip files by the log's statistics then do not find the row that the same package wrote.
#
# Versions: deltalake 1.6.6, polars 2.1.0, pyarrow 26.0.1
# Expected: a filter by the written value finds 1 row with both readers, as without the filter.
# Seen:     rows 1, found by deltalake 0, found by polars 0; the log says 1234567890123456.8
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check deltalake==1.6.6 polars==2.1.0 pyarrow==26.0.1
seen=$("$folder/venv/bin/python" - "$folder/table" <<'PYTHON'
import decimal, json, pathlib, sys
import deltalake, polars, pyarrow

table, value = sys.argv[1], decimal.Decimal("1234567890123456.78")
deltalake.write_deltalake(table, pyarrow.table({"v": pyarrow.array([value], pyarrow.decimal128(18, 2))}))
rows = deltalake.DeltaTable(table).to_pyarrow_table().num_rows
query = "select count(*) as n from t where v = 1234567890123456.78"
engine = deltalake.QueryBuilder().register("t", deltalake.DeltaTable(table))
by_deltalake = engine.execute(query).read_all()["n"].to_pylist()[0]
by_polars = polars.scan_delta(table).filter(polars.col("v") == value).collect().height
log = next(pathlib.Path(table, "_delta_log").glob("*0.json")).read_text().splitlines()
add = next(json.loads(line)["add"] for line in log if "add" in json.loads(line))
print(f"rows {rows}, found by deltalake {by_deltalake}, found by polars {by_polars};", json.loads(add["stats"])["minValues"])
PYTHON
)
expected="rows 1, found by deltalake 0, found by polars 0; {'v': 1234567890123456.8}"
printf 'seen: %s\n' "$seen"
[ "$seen" = "$expected" ] || { printf 'changed; it was: %s\n' "$expected"; exit 1; }
