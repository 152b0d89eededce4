#!/usr/bin/env python3
"""Searches for small files that take much memory or time, and shows the worst.

    python3 cli/benches/bombs/bombs.py --sluice target/release/sluice --tries 2000

Each try loads one file of at most 5 MB into a new table, in a process of its own with MEMORY_MB and a limit of time. A file is a recipe
with random numbers; half of the tries vary one of the worst recipes so far. A try is beyond its bounds if the process dies of a signal or
a panic, takes more memory than MEMORY_MB, or longer than the limit. Files are named by seeds: `--replay SEED` makes one again. Needs
pyarrow.
"""

import argparse
import bz2
import gzip
import json
import lzma
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

MOST_BYTES = 5_000_000
# Compressed files hold no more text than this, so that their time can be told from the time of what they hold.
MOST_TEXT = 16_000_000
# Most bytes of Parquet's values before they are encoded: what a few bytes stand for is what makes a bomb, not how many there are.
MOST_VALUES = 40_000_000
# What a file counts at least, so that the memory of the process itself does not count for much.
LEAST_BYTES = 256_000


class Numbers(random.Random):
    """Random numbers by a seed such as 3f0a, of which 3f0a-2.9 changes the third."""

    def __init__(self, seed):
        base, *changes = seed.split("-")
        self.changes = dict(change.split(".") for change in changes)
        self.drawn = 0
        super().__init__(base)

    def random(self):
        change, value = self.changes.get(str(self.drawn)), super().random()
        self.drawn += 1
        return value if change is None else random.Random(change).random()


def size(rng, least, most):
    """A whole number, small ones as likely as large ones."""
    return max(least, min(most, round(least * (most / max(least, 1)) ** rng.random()) if least else round(most ** rng.random()) - 1))


def cell(rng):
    """A function that makes a value of a CSV or NDJSON file, of one kind."""
    length = size(rng, 1, 3000)
    kind = rng.choice(["empty", "digit", "int", "float", "text", "same", "quoted", "open", "bad", "date", "bytes", "long", "escaped"])
    makers = {
        "empty": lambda i: "",
        "digit": lambda i: "1",
        "int": lambda i: str(i * 7919),
        "float": lambda i: f"{i}.{i % 97}e{i % 300}",
        "text": lambda i: f"{i * 2654435761 % 2**32:x}" * (1 + length // 64),
        "same": lambda i: "x" * length,
        "quoted": lambda i: f'"a ""{i}"",\n"',
        "open": lambda i: f'"{i}',
        "bad": lambda i: "x" if i % 2 else "1",
        "date": lambda i: f"2024-0{1 + i % 9}-1{i % 10}T0{i % 10}:00:00Z",
        "bytes": lambda i: "\udcff\udcfe" + str(i),
        "long": lambda i: "9" * length,
        "escaped": lambda i: "\\\"" * (1 + length // 100),
    }
    return kind, makers[kind]


def filled(rng, lines, most):
    """A header and lines up to so many bytes. Most files repeat their lines after a while, since making different ones takes longer than loading them."""
    different = most if rng.random() < 0.2 else size(rng, 2000, 400_000)
    head = next(lines)
    out, held = [], 0
    for line in lines:
        out.append(line)
        held += len(line)
        if held >= min(different, most):
            break
    body = "".join(out)
    return (head + body * (1 + most // max(1, len(body))))[:most]


def csv(rng, most):
    columns = size(rng, 1, 12_000)
    makers = [cell(rng)[1] for _ in range(min(columns, rng.choice([1, 2, 5, 20])))]
    end = rng.choice(["\n", "\n", "\r\n", "\r", "\n\n", "\n#x\n", "\n" * size(rng, 1, 2000)])
    delimiter = rng.choice([",", ",", ";", "\t", "|"])
    names = rng.choice([lambda i: f"c{i}", lambda i: "c", lambda i: "", lambda i: f"{'n' * 90}{i}"])
    ragged, good = rng.choice([0, 0, 2, 10, 1]), size(rng, 1, 3000)

    def lines():
        yield delimiter.join(names(i) for i in range(columns)) + end
        for row in range(10**9):
            width = columns if row < good or not ragged or row % ragged else size(rng, 1, columns + 2)
            yield delimiter.join(makers[i % len(makers)](row + i) for i in range(width)) + end

    return filled(rng, lines(), most).encode("utf-8", "surrogateescape")


def ndjson(rng, most):
    keys, used = size(rng, 1, 12_000), size(rng, 1, 300)
    depth, long_keys = size(rng, 0, 3000), rng.random() < 0.2
    kind = rng.choice(["flat", "flat", "sparse", "nested", "array", "repeated", "new", "empty", "broken"])
    _, maker = cell(rng)

    def name(i):
        return ("k" * 200 if long_keys else "k") + str(i)

    def lines():
        yield json.dumps({name(i): i for i in range(keys)}) + "\n"
        for row in range(10**9):
            value = maker(row).encode("utf-8", "replace").decode()
            if kind == "flat":
                record = json.dumps({name(i): value for i in range(used)})
            elif kind == "sparse":
                record = json.dumps({name((row * 7919 + i * 31) % keys): row for i in range(1 + used % 4)})
            elif kind == "nested":
                record = '{"a":' * depth + "1" + "}" * depth
            elif kind == "array":
                record = '{"a":' + "[" * depth + "]" * depth + "}"
            elif kind == "repeated":
                record = "{" + ",".join(f'"k0":{i}' for i in range(used)) + "}"
            elif kind == "new":
                record = json.dumps({name(keys + row): row})
            elif kind == "empty":
                record = "{}"
            else:
                record = rng.choice(["{", "[]", '{"k0":', "x", "null", '{"k0":1}}'])
            yield record + "\n"

    return filled(rng, lines(), most).encode("utf-8", "surrogateescape")


def table(rng, rows):
    columns, held = {}, 0
    kinds = ["int", "same", "texts", "lists", "nulls", "struct", "bytes", "words", "decimal", "map"]
    for number in range(size(rng, 1, 300)):
        kind, length = rng.choice(kinds), size(rng, 1, 400_000)
        if kind == "int":
            values = pa.array(range(rows), pa.int64())
        elif kind == "same":
            values = pa.array(["x" * min(length, MOST_VALUES // rows)] * rows, pa.large_string())
        elif kind == "texts":
            values = pa.array([f"{i * 2654435761 % 2**32:x}" for i in range(rows)])
        elif kind == "lists":
            values = pa.array([[None] * min(length, 2_000_000 // rows)] * rows, pa.list_(pa.int64()))
        elif kind == "nulls":
            values = pa.nulls(rows, pa.string())
        elif kind == "struct":
            values = pa.array([{"a": i, "b": {"c": None}} for i in range(rows)])
        elif kind == "bytes":
            values = pa.array([b"\xff" * min(length, 100)] * rows)
        elif kind == "words":
            values = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array(["w" * length], pa.large_string()))
        elif kind == "decimal":
            values = pa.array([None, 1] * (rows // 2) + [1] * (rows % 2), pa.decimal128(38, 10))
        else:
            values = pa.array([[("k", i)] for i in range(rows)], pa.map_(pa.string(), pa.int64()))
        columns[f"c{number}"] = values
        held += values.nbytes
        if held > MOST_VALUES:
            break
    return pa.table(columns)


def parquet(rng, most):
    for shrink in range(6):
        rows = max(1, size(rng, 1, 60_000) >> (2 * shrink))
        path = tempfile.mktemp()
        pq.write_table(
            table(rng, rows),
            path,
            row_group_size=max(1, min(rows, size(rng, max(1, rows // 400), 100_000))),
            compression=rng.choice(["zstd", "snappy", "none", "gzip", "lz4"]),
            use_dictionary=rng.random() < 0.6,
            data_page_size=size(rng, 100, 1 << 30),
            data_page_version=rng.choice(["1.0", "2.0"]),
            store_schema=rng.random() < 0.5,
            write_statistics=rng.random() < 0.7,
        )
        content = Path(path).read_bytes()
        os.unlink(path)
        if len(content) <= most:
            break
    content = bytearray(content)
    # Some are damaged, most often in the footer.
    if rng.random() < 0.3 and len(content) > 100:
        for _ in range(size(rng, 1, 30)):
            start = 4 if rng.random() < 0.3 else max(4, len(content) - 4000)
            content[rng.randrange(start, len(content) - 8)] = rng.randrange(256)
    return bytes(content)


def tool(*command):
    return lambda text: subprocess.run(command, input=text, stdout=subprocess.PIPE, check=True).stdout


PACKERS = {
    "gz": lambda text: gzip.compress(text, 6),
    "bz2": bz2.compress,
    "xz": lambda text: lzma.compress(text, preset=1),
    **({"zst": tool("zstd", "-c", "-q")} if shutil.which("zstd") else {}),
    **({"lz4": tool("lz4", "-c", "-q")} if shutil.which("lz4") else {}),
}


def packed(rng, most):
    """A text that is compressed: as a whole, or in members."""
    packer, kind = rng.choice(list(PACKERS)), rng.choice(["whole", "members", "repeated"])
    make = rng.choice([csv, ndjson])
    if kind == "whole":
        text = make(rng, size(rng, 10_000, MOST_TEXT))
        content = PACKERS[packer](text)
        while len(content) > most:
            text = text[: len(text) * most * 9 // len(content) // 10]
            content = PACKERS[packer](text)
        return content, len(text), packer
    text = make(rng, size(rng, 1000, 200_000))
    head, _, row = text.partition(b"\n")
    row = row[: size(rng, 1, 4000)] + b"\n"
    start, member = PACKERS[packer](head + b"\n"), PACKERS[packer](row)
    if kind == "members":
        member = b"".join(PACKERS[packer](row[i : i + 40]) for i in range(0, min(len(row), 400), 40))
    times = max(1, min((most - len(start)) // len(member), MOST_TEXT // len(row)))
    return start + member * times, len(head) + len(row) * times, packer


def noise(rng, most):
    """Bytes that mean nothing, behind what some format begins with."""
    head = rng.choice([b"", b"PAR1", b"\x1f\x8b\x08\0\0\0\0\0\0\3", b"BZh91AY&SY", b"\xfd7zXZ\0", b"PK\3\4", b"\x28\xb5\x2f\xfd", b"\xff\xfe", b'{"a":'])
    rng_of_bytes = random.Random(rng.random())
    alphabet = rng.choice([bytes(range(256)), b'",\n', b"{}[]:,\"\n", b"a,b\n", b"\0", b"\r\n", b"\\\"\n"])
    return head + rng_of_bytes.randbytes(most).translate(bytes(alphabet[byte % len(alphabet)] for byte in range(256)))


def made(seed):
    """A file: its bytes, the bytes that its time is measured by, and the options that it is loaded with."""
    rng = Numbers(seed)
    most = size(rng, 50_000, MOST_BYTES)
    recipe = rng.choice([csv, csv, ndjson, ndjson, parquet, parquet, packed, packed, noise])
    content, suffix = recipe(rng, most), recipe.__name__
    text = len(content)
    if recipe is packed:
        content, text, packer = content
        suffix = f"packed.{packer}"
    options = []
    if rng.random() < 0.3:
        options += ["--data-files", "rewritten"]
    if rng.random() < 0.2:
        options += ["--sql", "SELECT * FROM chunk WHERE 1 = 1"]
    if rng.random() < 0.2:
        options += ["--chunk-size-mb", "1"]
    if rng.random() < 0.15:
        options += ["--infer", rng.choice(["full", "none"])]
    if rng.random() < 0.15:
        options += ["--bad-records", rng.choice(["null", "widen"])]
    if rng.random() < 0.1 and recipe in (csv, ndjson):
        options += ["--partition-by", "c0" if recipe is csv else "k0"]
    return content, max(text, len(content)), options, suffix


class Try:
    def __init__(self, seed, content, text, options, kind):
        self.seed, self.bytes, self.text, self.options, self.kind = seed, len(content), text, options, kind
        self.status = self.peak = self.seconds = None

    def is_beyond(self, asked):
        died = self.status not in (0, 1, 2, 3, 4) or self.said_panic
        return died or self.peak > asked.memory_mb << 20 or self.seconds > asked.seconds

    def __str__(self):
        peak, options = self.peak / 2**20, " ".join(self.options)
        return f"{self.peak_a_byte:8.1f} {self.nanoseconds_a_byte:9.0f} {peak:7.0f} {self.seconds:7.2f} {self.bytes:9} {self.text:9} {self.status:4}  {self.seed:>12} {self.kind} {options}"


HEADING = "peak/byte   ns/byte     MiB       s     bytes      text exit          seed kind and options"


def run(asked, seed, base, file=None):
    content, text, options, kind = file or made(seed)
    one = Try(seed, content, text, options, kind)
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
        source = Path(folder, "source." + kind.split(".")[-1])
        source.write_bytes(content)
        command = [asked.sluice, "ingest", str(source), "--table", str(Path(folder, "t")), "--memory-mb", str(asked.memory_mb), *options]
        began = time.monotonic()
        with open(Path(folder, "log"), "wb") as log:
            limit = (asked.seconds, asked.seconds + 1)
            child = subprocess.Popen(
                command,
                stdout=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,
                preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, limit),
            )
            # Only for what waits for ever: other processes may leave a try little time.
            signal.alarm(asked.seconds * 20)
            try:
                _, status, used = os.wait4(child.pid, 0)
            except TimeoutError:
                os.kill(child.pid, signal.SIGKILL)
                _, status, used = os.wait4(child.pid, 0)
            signal.alarm(0)
            child.returncode = os.waitstatus_to_exitcode(status)
        one.seconds, one.status, one.peak = used.ru_utime + used.ru_stime, child.returncode, used.ru_maxrss << 10
        one.wall = time.monotonic() - began
        one.said_panic = b"panicked" in Path(folder, "log").read_bytes()
    one.peak_a_byte = max(0, one.peak - base.peak if base else 0) / max(one.bytes, LEAST_BYTES)
    one.nanoseconds_a_byte = max(0, one.seconds - base.seconds if base else 0) * 1e9 / max(one.text, LEAST_BYTES)
    return one


def worst(tries, count, key):
    return sorted(tries, key=key, reverse=True)[:count]


def ranked(tries):
    """The worst by either measure, taken in turns."""
    by_peak, by_time = worst(tries, 10, lambda one: one.peak_a_byte), worst(tries, 10, lambda one: one.nanoseconds_a_byte)
    return list(dict.fromkeys(one for pair in zip(by_peak, by_time) for one in pair))


def next_seed(rng, tries):
    """A new seed, or one of the worst with some of its first numbers changed."""
    if len(tries) < 10 or rng.random() < 0.5:
        return f"{rng.randrange(16**8):08x}"
    seed = rng.choice(ranked(tries)).seed
    return seed + "".join(f"-{rng.randrange(25)}.{rng.randrange(1000)}" for _ in range(rng.randrange(1, 4)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sluice", default="target/release/sluice", help="the binary")
    parser.add_argument("--tries", type=int, default=200)
    parser.add_argument("--memory-mb", type=int, default=512)
    parser.add_argument("--seconds", type=int, default=60, help="most seconds of processor time of a try")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", default=None, help="where files are made")
    parser.add_argument("--replay", metavar="SEED", help="make this file only, as ./bomb")
    asked = parser.parse_args()
    if asked.replay:
        content, _, options, kind = made(asked.replay)
        Path("bomb").write_bytes(content)
        return print("bomb", kind, len(content), *options)

    def out_of_time(*_):
        raise TimeoutError

    signal.signal(signal.SIGALRM, out_of_time)
    rng = random.Random(asked.seed)
    tries, beyond = [], []
    base = run(asked, "none", None, (b"a,b\n1,2\n", 8, [], "csv"))
    print(f"an empty file: {base.peak >> 20} MiB, {base.seconds:.2f} s\n{HEADING}", flush=True)
    for number in range(asked.tries):
        one = run(asked, next_seed(rng, tries), base)
        tries.append(one)
        if one.is_beyond(asked):
            beyond.append(one)
            print("beyond:", one, flush=True)
        if number % 50 == 49:
            print(f"{number + 1} tries", flush=True)
            tries = ranked(tries)
    print(f"\n{len(beyond)} beyond bounds\nworst by memory\n{HEADING}")
    print(*worst(tries, 10, lambda one: one.peak_a_byte), sep="\n")
    print(f"worst by time\n{HEADING}")
    print(*worst(tries, 10, lambda one: one.nanoseconds_a_byte), sep="\n")
    sys.exit(1 if beyond else 0)


if __name__ == "__main__":
    main()
