"""One run of a peer, in a process of its own: `peers.py TOOL WORK SOURCE OUT`. Prints what it took as JSON.

Each does the work as its own documentation has it: types found by the tool, dates read as dates, snappy, files of at most
100 MB where the tool can bound them (Polars writes one).
"""

import json
import os
import resource
import sys
import time


def polars(work, source, out, sql):
    import polars

    yield
    if source.endswith(".ndjson"):
        rows = polars.scan_ndjson(source)
    else:
        rows = polars.scan_csv(source, try_parse_dates=True, null_values=null_values(source))
    if work == "SQL to Delta":
        rows = polars.SQLContext(source=rows).execute(sql)
    if work.endswith("to Delta"):
        rows.sink_delta(f"{out}/table", delta_write_options=delta_options(work))
    else:
        rows.sink_parquet(f"{out}/all.parquet", compression="snappy")


def duckdb(work, source, out, sql):
    import deltalake
    import duckdb

    con = duckdb.connect()
    con.sql(f"set threads = {len(os.sched_getaffinity(0))}")
    yield
    read = {".ndjson": "read_ndjson", ".parquet": "read_parquet"}.get(os.path.splitext(source)[1], "read_csv")
    nulls = f", nullstr={null_values(source)}" if read == "read_csv" and null_values(source) else ""
    rows = f"{read}('{source}'{nulls})"
    if work == "SQL to Delta":
        con.sql(f"CREATE VIEW source AS FROM {rows}")
        rows = f"({sql})"
    if work.endswith("to Delta"):
        deltalake.write_deltalake(f"{out}/table", con.sql(f"FROM {rows}").to_arrow_reader(100_000), **delta_options(work))
    else:
        con.sql(f"COPY (FROM {rows}) TO '{out}' (FORMAT parquet, FILE_SIZE_BYTES '100MB', OVERWRITE_OR_IGNORE)")


def delta_options(work):
    """How a Delta table is written: in the codec that Sluice writes in, with its partitions."""
    from deltalake import WriterProperties

    column = {"7 partitions to Delta": ["l_shipmode"], "50 partitions to Delta": ["l_quantity"]}.get(work)
    codec = ("SNAPPY", None) if work == "CSV to Delta" else ("ZSTD", 1)
    return {"partition_by": column, "writer_properties": WriterProperties(compression=codec[0], compression_level=codec[1])}


def null_values(source):
    """flights writes missing values as NA, which neither peer takes for null unasked."""
    return ["NA"] if "flights" in source else []


def prepare(source, *parquet):
    """Counts the rows of a text, and writes it as Parquet with the usual row groups where that is wanted."""
    import duckdb

    nulls = f", nullstr={null_values(source)}" if null_values(source) else ""
    rows = f"read_ndjson('{source}')" if source.endswith(".ndjson") else f"read_csv('{source}'{nulls})"
    for file in parquet:
        duckdb.sql(f"COPY (FROM {rows}) TO '{file}' (FORMAT parquet)")
    return {"rows": str(duckdb.sql(f"SELECT count(*) FROM {rows}").fetchall()[0][0])}


def doubles(csv, rows):
    """A CSV of eight columns of doubles, a number and a time."""
    import duckdb

    columns = ", ".join(f"random() * {10 ** power} AS d{power}" for power in range(8))
    duckdb.sql("SELECT setseed(0.5)").fetchall()
    duckdb.sql(f"COPY (SELECT i, TIMESTAMP '2026-01-01' + to_seconds(i) AS at, {columns} FROM range({rows}) t(i)) TO '{csv}' (HEADER)")
    return {}


def wide(csv, rows):
    """A CSV of 1,500 columns of four kinds."""
    import duckdb

    kinds = ["(i * 7919 + {n}) % 100000", "round(random() * 1000, 2)", "'w' || (i + {n}) % 50", "CASE WHEN (i + {n}) % 3 = 0 THEN i END"]
    columns = ", ".join(f"{kinds[n % 4].format(n=n)} AS c{n}" for n in range(1500))
    duckdb.sql("SELECT setseed(0.5)").fetchall()
    duckdb.sql(f"COPY (SELECT {columns} FROM range({rows}) t(i)) TO '{csv}' (HEADER)")
    return {}


def events(ndjson, rows):
    """NDJSON of ten keys."""
    import duckdb

    columns = [
        "i AS id", "TIMESTAMP '2026-01-01' + to_milliseconds(i * 137) AS at", "'user-' || (i * 7919) % 50000 AS user_name",
        "['click', 'view', 'buy', 'leave'][1 + i % 4] AS kind", "(i * 31) % 997 AS page", "random() * 1000 AS amount",
        "i % 3 = 0 AS is_new", "CASE WHEN i % 5 = 0 THEN 'ref-' || i % 100 END AS referrer",
        "'Mozilla/5.0 (X11; Linux x86_64) ' || i % 40 AS agent", "round(random() * 100, 2) AS price",
    ]
    duckdb.sql("SELECT setseed(0.5)").fetchall()
    duckdb.sql(f"COPY (SELECT {', '.join(columns)} FROM range({rows}) t(i)) TO '{ndjson}' (FORMAT json)")
    return {}


def count(work, out):
    """Rows in what a tool wrote."""
    import deltalake
    import pyarrow.dataset

    if work.endswith("to Delta"):
        files = deltalake.DeltaTable(f"{out}/table").file_uris()
    else:
        files = [os.path.join(at, name) for at, _, names in os.walk(out) for name in names if name.endswith(".parquet")]
    return {"rows": str(pyarrow.dataset.dataset(files, format="parquet").count_rows())}


def timed(tool, work, source, out, sql):
    steps = tool(work, source, out, sql)
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
        told = {"prepare": prepare, "count": count, "doubles": doubles, "events": events, "wide": wide}[name](*words)
    print(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
