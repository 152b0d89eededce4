#!/usr/bin/env bash
# Partition values of a Delta table are in its log, and the names of folders mean nothing. Polars takes them from the folders
# all the same: a text that equals Hive's marker for null is null to it, and the text to others.
#
# Versions: deltalake 1.6.6, polars 2.1.0, pyarrow 26.0.1
# Expected: the text in both readers, as the log has it.
# Seen:     log __HIVE_DEFAULT_PARTITION__, deltalake __HIVE_DEFAULT_PARTITION__, polars None
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check deltalake==1.6.6 polars==2.1.0 pyarrow==26.0.1
seen=$("$folder/venv/bin/python" - "$folder/table" <<'PYTHON'
import json, pathlib, sys
import deltalake, polars, pyarrow

table = sys.argv[1]
rows = pyarrow.table({"v": [1], "p": ["__HIVE_DEFAULT_PARTITION__"]})
deltalake.write_deltalake(table, rows, partition_by=["p"])
log = next(pathlib.Path(table, "_delta_log").glob("*0.json")).read_text().splitlines()
add = next(json.loads(line)["add"] for line in log if "add" in json.loads(line))
by_deltalake = deltalake.DeltaTable(table).to_pyarrow_table()["p"].to_pylist()[0]
by_polars = polars.read_delta(table)["p"].to_list()[0]
print(f"log {add['partitionValues']['p']}, deltalake {by_deltalake}, polars {by_polars}")
PYTHON
)
expected="log __HIVE_DEFAULT_PARTITION__, deltalake __HIVE_DEFAULT_PARTITION__, polars None"
printf 'seen: %s\n' "$seen"
[ "$seen" = "$expected" ] || { printf 'changed; it was: %s\n' "$expected"; exit 1; }
