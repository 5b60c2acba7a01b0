"""Read Squid logs of the sample world, and compare with a line-by-line regular-expression parser.

python -m benchmarks.squid_logs --megabytes 1000

Each peer runs in a process of its own, so that its memory is its own. The parser does what one writes first: a regular
expression for each line, the time, the Frontier id and the URL taken apart with the standard library, clients hashed,
and rows written as Parquet in batches. It leaves out what the reader does beyond that: other formats, names from the
catalogue, fingerprints of queries, accounts of lines.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import subprocess
import sys
import tempfile
import time
import zlib
from base64 import b64decode
from datetime import datetime
from functools import lru_cache
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from frontierlab import sample
from frontierlab.rawlogs import read_squid_logs
from frontierlab.rawlogs.squid import write_squid_logs
from frontierlab.sample.world.world import World

_LINE = re.compile(
    r'(\S+) (\S+) (\S+) \[([^\]]+)\] "(\S+) (\S+) HTTP/(\S+)" (\d+) (\d+) ([^: ]+):(\S+) (\d+) "((?:[^"\\]|\\.)*)" '
    r'"((?:[^"\\]|\\.)*)" "((?:[^"\\]|\\.)*)"$'
)
_ID = re.compile(r"\[(\d+)_(\d+)\]")
_TABLE = re.compile(r'"?(ATLAS_\w+)"?\."?(\w+?)_F(\d+)_(IOVS|CHANNELS|PAYLOAD)')
_TAG = re.compile(r"USER_TAG_ID=(\d+)")
_SINCE = re.compile(r"IOV_UNTIL>(\d+)")
_UNTIL = re.compile(r"COOL_I3\.IOV_SINCE<=(\d+)")
_BATCH = 50_000


def parse(paths: list[Path], target: Path, decode: object) -> int:
    """Read log files line by line into a Parquet file; return the number of rows."""
    rows: list[tuple[object, ...]] = []
    writer, count = None, 0
    for path in paths:
        with path.open(encoding="utf-8", errors="replace") as file:
            for line in file:
                found = _LINE.match(line.rstrip("\n"))
                if found is None or "type=frontier_request" not in found[6]:
                    continue
                ended = datetime.strptime(found[4], "%d/%b/%Y:%H:%M:%S %z").timestamp()
                job = _ID.match(found[13])
                task = (int(job[1]), int(job[2])) if job else (None, None)
                client = hashlib.blake2b(found[1].encode(), digest_size=10, key=b"key").hexdigest()
                hit = "HIT" in found[10] or "REFRESH_UNMODIFIED" in found[10]
                asked = decode(found[6])  # type: ignore[operator]
                rows.append(
                    (ended, int(found[12]), client, *task, found[10], hit, int(found[8]), int(found[9]), *asked)
                )
                if len(rows) == _BATCH:
                    writer = _write(rows, target, writer)
                    count, rows = count + len(rows), []
    if rows:
        writer = _write(rows, target, writer)
    if writer is not None:
        writer.close()
    return count + len(rows)


def _write(rows: list[tuple[object, ...]], target: Path, writer: pq.ParquetWriter | None) -> pq.ParquetWriter:
    names = ["end", "ms", "client", "taskid", "pandaid", "result", "hit", "status", "bytes", "schema", "db", "node_id"]
    columns = zip(*rows, strict=True)
    names = [*names, "tag_id", "since", "until", "hash"]
    types = dict.fromkeys(("taskid", "pandaid", "node_id", "tag_id", "since", "until"), pa.int64())
    table = pa.table({n: pa.array(c, types.get(n)) for n, c in zip(names, columns, strict=True)})
    writer = writer or pq.ParquetWriter(target, table.schema, compression="zstd")
    writer.write_table(table)
    return writer


def decode(url: str) -> tuple[object, ...]:
    """Take a URL apart with regular expressions."""
    p1 = url.partition("&p1=")[2].partition("&")[0]
    sql = zlib.decompress(b64decode(p1.replace(".", "+").replace("-", "/").replace("_", "="))).decode()
    hash_ = int.from_bytes(hashlib.blake2b(sql.encode(), digest_size=8).digest(), "big", signed=True)
    table, tag, since, until = _TABLE.search(sql), _TAG.search(sql), _SINCE.search(sql), _UNTIL.search(sql)
    place = (table[1], table[2], int(table[3])) if table else (None, None, None)
    return (*place, *(int(one[1]) if one else None for one in (tag, since, until)), hash_)


def write(folder: Path, megabytes: int) -> None:
    """Write logs of as many days as are needed; each day is a world of its own."""
    seed = 0
    while sum(path.stat().st_size for path in folder.rglob("*.log")) < megabytes * 10**6:
        seed += 1
        day = {"since": f"2026-10-{seed:02d}T00:00:00Z", "until": f"2026-10-{seed + 1:02d}T00:00:00Z"}
        if (folder / f"{seed:02d}").exists():  # of an earlier run
            continue
        write_squid_logs(World(20_000, seed=seed, **day), folder / f"{seed:02d}", seed=seed)


def peer(name: str, folder: Path, work: Path) -> dict[str, float]:
    """Run a peer in this process."""
    paths = sorted(folder.rglob("*.log"))
    size = sum(path.stat().st_size for path in paths)
    settings = sample.settings(data_dir=work)
    began, cpu = time.monotonic(), time.process_time()
    if name == "reader":
        logs = read_squid_logs(paths, settings, name="logs", squids="all")
        rows, lines = logs.manifest.rows, logs.manifest.lines["lines"]
    else:
        rows = parse(paths, work / "rows.parquet", decode if name == "regex" else lru_cache(200_000)(decode))
        lines = 0
    return {
        "seconds": time.monotonic() - began,
        "cpu": time.process_time() - cpu,
        "rows": rows,
        "lines": lines,
        "megabytes": size / 1e6,
        "peak_mb": _peak_mb(),
    }


def _peak_mb() -> float:
    """Return the most memory that this process had; `resource` would count that of the process that started it too."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024  # type: ignore[index]


def main() -> None:
    """Write the logs, run the peers in turn, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--peers", nargs="+", default=["reader", "regex", "regex, URLs remembered"])
    parser.add_argument("--folder", type=Path, help="where the logs are or will be; by default a temporary folder")
    parser.add_argument("--peer", help=argparse.SUPPRESS)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary, "logs")
        if given.peer:
            print(json.dumps(peer(given.peer, folder, Path(temporary))))
            return
        folder.mkdir(parents=True, exist_ok=True)
        write(folder, given.megabytes)
        for _ in range(given.rounds):
            for name in given.peers:
                command = [sys.executable, "-m", "benchmarks.squid_logs", "--folder", str(folder), "--peer", name]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                one = json.loads(done.stdout.splitlines()[-1])
                rate, cpu = one["megabytes"] / one["seconds"], 1e6 * one["cpu"] / one["rows"]
                size = f"{one['megabytes']:,.0f} MB, {one['rows']:,} rows"
                took = f"{one['seconds']:.1f} s ({rate:.1f} MB/s), {one['cpu']:.1f} CPU s ({cpu:.1f} µs a row)"
                print(f"{name}: {size} in {took}, {one['peak_mb']:.0f} MB at most", flush=True)


if __name__ == "__main__":
    main()
