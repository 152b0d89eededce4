#!/usr/bin/env bash
# A column of timestamps without time zone asks a Delta table for the feature timestampNtz. deltalake raises the protocol for it
# when it adds such a column, also within structs and lists, but it does not look into maps. What it commits then, it does not
# open any more.
#
# Versions: deltalake 1.6.6, pyarrow 26.0.1
# Expected: the protocol is raised with the column, or the column is refused.
# Seen:     added False, versions 2, opens False
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check deltalake==1.6.6 pyarrow==26.0.1
seen=$("$folder/venv/bin/python" - "$folder/table" <<'PYTHON'
import pathlib, sys
import deltalake, pyarrow

table = sys.argv[1]
deltalake.write_deltalake(table, pyarrow.table({"id": [1]}))
kind = pyarrow.map_(pyarrow.string(), pyarrow.timestamp("us"))
field = deltalake.Schema.from_arrow(pyarrow.schema([("m", kind)])).fields[0]


def works(what):
    try:
        what()
        return True
    except Exception:
        return False


added = works(lambda: deltalake.DeltaTable(table).alter.add_columns([field]))
versions = len(list(pathlib.Path(table, "_delta_log").glob("*.json")))
opens = works(lambda: deltalake.DeltaTable(table))
print(f"added {added}, versions {versions}, opens {opens}")
PYTHON
)
expected="added False, versions 2, opens False"
printf 'seen: %s\n' "$seen"
[ "$seen" = "$expected" ] || { printf 'changed; it was: %s\n' "$expected"; exit 1; }
