"""One run of a peer, in a process of its own: `peers.py TOOL WORK SOURCE OUT`. Prints what it took as JSON.

Each does the work as its own documentation has it: types found by the tool, dates read as dates, snappy, files of at most
100 MB where the tool can bound them (Polars writes one).
"""

import json
import os
import resource
import sys
import time


def polars(work, source, out):
    import polars

    yield
    rows = polars.scan_csv(source, try_parse_dates=True, null_values=null_values(source))
    if work == "CSV to Delta":
        rows.sink_delta(f"{out}/table")
    else:
        rows.sink_parquet(f"{out}/all.parquet", compression="snappy")


def duckdb(work, source, out):
    import deltalake
    import duckdb

    con = duckdb.connect()
    con.sql(f"set threads = {len(os.sched_getaffinity(0))}")
    yield
    nulls = f", nullstr={null_values(source)}" if null_values(source) else ""
    rows = f"read_csv('{source}'{nulls})" if source.endswith(".csv") else f"read_parquet('{source}')"
    if work == "CSV to Delta":
        deltalake.write_deltalake(f"{out}/table", con.sql(f"FROM {rows}").to_arrow_reader(100_000))
    else:
        con.sql(f"COPY (FROM {rows}) TO '{out}' (FORMAT parquet, FILE_SIZE_BYTES '100MB', OVERWRITE_OR_IGNORE)")


def null_values(source):
    """flights writes missing values as NA, which neither peer takes for null unasked."""
    return ["NA"] if "flights" in source else []


def prepare(csv, parquet):
    """Writes a CSV as Parquet with the usual row groups, and counts its rows."""
    import duckdb

    nulls = f", nullstr={null_values(csv)}" if null_values(csv) else ""
    duckdb.sql(f"COPY (FROM read_csv('{csv}'{nulls})) TO '{parquet}' (FORMAT parquet)")
    return {"rows": str(duckdb.sql(f"SELECT count(*) FROM '{parquet}'").fetchall()[0][0])}


def count(work, out):
    """Rows in what a tool wrote."""
    import deltalake
    import pyarrow.dataset

    if work == "CSV to Delta":
        files = deltalake.DeltaTable(f"{out}/table").file_uris()
    else:
        files = [os.path.join(at, name) for at, _, names in os.walk(out) for name in names if name.endswith(".parquet")]
    return {"rows": str(pyarrow.dataset.dataset(files, format="parquet").count_rows())}


def timed(tool, work, source, out):
    steps = tool(work, source, out)
    next(steps)
    before, began = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
    next(steps, None)
    wall, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"wall": wall, "cpu": cpu, "rss": after.ru_maxrss * 1024 / 1e6}


def main(name, *words):
    if name in ("polars", "duckdb"):
        told = timed({"polars": polars, "duckdb": duckdb}[name], *words)
    else:
        told = {"prepare": prepare, "count": count}[name](*words)
    print(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
