"""How fast servlet logs are read, beside a straightforward parser: a loop over lines and regular expressions.

``python -m benchmarks.servlet_logs`` writes about 1 GB of logs of the sample world, reads them in turns with
`frontierlab.rawlogs.read_servlet_logs` and with the parser below, and prints a table. Each reads all logs in a process
of its own and writes Parquet; the first starts further processes, whose processor time counts too. The parser makes the
same rows with about the same columns, but it knows no restarts, no missing lines, no failures, and no version but the
one of the logs; and it accounts for no line.
"""

from __future__ import annotations

import argparse
import re
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import datetime
from hashlib import blake2b
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

import frontierlab as fl
from frontierlab.rawlogs import read_servlet_logs, write_servlet_logs
from frontierlab.sample import World

LINE = re.compile(r"(\S+) (\d\d/\d\d/\d\d \d\d:\d\d:\d\d\.\d{3}) \S+ ([+-]\d{4}) id=(\d+)(?:-ka)? (.*)")
MESSAGES = {
    "start": re.compile(
        r"servlet_version:(\S+) start threads:(\d+) query (\S+) raddr (\S+) frontier-id: (.*?)"
        r"(?: x-forwarded-for: (?P<before>\S+))?(?: via: (?P<via>.*?))?(?: x-forwarded-for: (?P<behind>.*))?$"
    ),
    "sql": re.compile(r"SQL \[(.*)\]"),
    "cached": re.compile(r"not modified \(cached\)"),
    "rejected": re.compile(r"rejecting because servlet too busy"),
    "acquired": re.compile(r"DB connection acquired active=(\d+) msecs=(\d+)"),
    "finished": re.compile(r"DB query finished msecs=(\d+)"),
    "rows": re.compile(r"rows=(\d+), full size=(\d+)"),
    "keepalive": re.compile(r"DB (?:acquire|execute) sent keepalive"),
    "procerror": re.compile(r"Error while processing payload"),
    "disconn": re.compile(r"Client disconnected while processing payload"),
    "stop": re.compile(r"stop threads=(\d+) msecs=(\d+)"),
}  # fmt: skip
TASK = re.compile(r"\[(\d+)_(\d+)\] \S+ \d+ ([^\s()]+)\(")
TABLE = re.compile(r'"(\w+)"\."([A-Z0-9]+)_(?:F(\d+)_(?:IOVS|CHANNELS)|NODES|TAGS)"')
CHANNEL = re.compile(r"COOL_C2\.CHANNEL_ID=(\d+)")
TAG = re.compile(r"USER_TAG_ID=(\d+)")
UNTIL = re.compile(r"COOL_I3\.IOV_SINCE<=(\d+)")
SINCE = re.compile(r"COOL_I3\.IOV_UNTIL>(\d+)")
NAMES = """
time taskid pandaid db schema node_id nodefullpath tag_id tagname since until queryiov cached disconn procerror rejected
querytime dbtime fsize frontierserver sqlhash initthreads squid servlet_version request_id channel rows acquire_ms
active_connections keepalives account client line
"""
COLUMNS = NAMES.split()
FLAGS = ("cached", "disconn", "procerror", "rejected")


class Parser:
    """Parses logs line by line."""

    def __init__(self) -> None:
        catalogue = pq.read_table(fl.sample.path("catalogue.parquet")).to_pylist()
        self.folders = {(one["db"], one["schema"], one["node_id"]): one["node"] for one in catalogue}
        self.tags = {(one["db"], one["schema"], one["node_id"], one["tag_id"]): one["tag"] for one in catalogue}

    def parse(self, file: Path, target: Path) -> int:
        """Parse one log into a Parquet file; return the number of rows."""
        requests: dict[tuple[str, str], dict[str, Any]] = {}
        rows: list[dict[str, Any]] = []
        count, writer = 0, None
        with file.open(encoding="utf-8", errors="backslashreplace") as lines:
            for place, line in enumerate(lines, 1):
                head = LINE.match(line)
                if head is None:
                    continue
                server, stamp, offset, number, message = head.groups()
                request = requests.get((server, number))
                if request is None:
                    request = requests[server, number] = new_request(server, number, place)
                for name, expression in MESSAGES.items():
                    found = expression.match(message)
                    if found is not None:
                        self.note(request, name, found, stamp + offset)
                        if name == "stop":
                            del requests[server, number]
                            if "db" in request:
                                rows.append(request)
                        break
                if len(rows) == 50_000:
                    writer = put(rows, target, writer)
                    count, rows = count + len(rows), []
        writer = put(rows, target, writer)
        writer.close()
        return count + len(rows)

    def note(self, request: dict[str, Any], name: str, found: re.Match[str], time: str) -> None:
        """Put what a message says into its request."""
        if name == "start":
            request["time"] = datetime.strptime(time, "%m/%d/%y %H:%M:%S.%f%z")
            request["servlet_version"], request["initthreads"] = found[1], int(found[2])
            request["squid"] = found["via"] and hashed(found["via"].split()[1])
            request["client"] = hashed(found["before"] or found["behind"] or found[4])
            if task := TASK.match(found[5]):
                request["taskid"], request["pandaid"] = int(task[1]), int(task[2])
                request["account"] = hashed(task[3])
        elif name == "sql":
            self.note_sql(request, found[1])
        elif name == "acquired":
            request["active_connections"], request["acquire_ms"] = int(found[1]), int(found[2])
        elif name == "finished":
            request["dbtime"] = int(found[1])
        elif name == "rows":
            request["rows"], request["fsize"] = int(found[1]), int(found[2])
        elif name == "keepalive":
            request["keepalives"] += 1
        elif name == "stop":
            request["querytime"] = int(found[2])
        else:
            request[name] = True

    def note_sql(self, request: dict[str, Any], sql: str) -> None:
        """Put what a query asks for into its request."""
        request["sqlhash"] = int.from_bytes(blake2b(sql.encode(), digest_size=8).digest(), "big", signed=True)
        table = TABLE.search(sql)
        if table is None:
            return
        db, schema, node = table[2], table[1], table[3] and int(table[3])
        request.update(db=db, schema=schema, node_id=node, nodefullpath=self.folders.get((db, schema, node)))
        for name, expression in (("tag_id", TAG), ("until", UNTIL), ("since", SINCE), ("channel", CHANNEL)):
            if number := expression.search(sql):
                request[name] = int(number[1])
        if request["since"] >= 0:
            request["queryiov"] = request["until"] - request["since"]
        request["tagname"] = self.tags.get((db, schema, node, request.get("tag_id")))


def new_request(server: str, number: str, line: int) -> dict[str, Any]:
    """Return what is known of a request at its first line."""
    flags = dict.fromkeys(FLAGS, False)
    return flags | {
        "frontierserver": server,
        "request_id": number,
        "line": line,
        "since": -1,
        "until": -1,
        "keepalives": 0,
    }


def hashed(value: str) -> str:
    """Replace personal data."""
    return blake2b(value.encode(), digest_size=10, key=b"a key for the benchmark").hexdigest()


def put(rows: list[dict[str, Any]], target: Path, writer: pq.ParquetWriter | None) -> pq.ParquetWriter:
    """Write rows as a row group."""
    table = pa.table({name: [row.get(name) for row in rows] for name in COLUMNS})
    writer = writer or pq.ParquetWriter(target, table.schema, compression="zstd")
    writer.write_table(table.cast(writer.schema))
    return writer


def straightforward(folder: Path, target: Path) -> int:
    """Parse all logs one after another."""
    files = sorted(folder.rglob("catalina.out"))
    parser = Parser()
    return sum(parser.parse(file, target / f"{number}.parquet") for number, file in enumerate(files))


def ours(folder: Path, target: Path) -> int:
    """Read all logs with the library."""
    settings = fl.sample.settings(data_dir=target, personal_data_key="a key for the benchmark")
    return read_servlet_logs(folder, settings, name="logs", progress=False).counts.kept


def measured(read: Callable[[Path, Path], int], folder: Path, target: Path) -> dict[str, float]:
    """Read in a process of its own; return seconds of the clock and of the processors, peak memory, rows."""
    with get_context("spawn").Pool(1) as pool:
        return pool.apply(_measured, (read, folder, target))


def _measured(read: Callable[[Path, Path], int], folder: Path, target: Path) -> dict[str, float]:
    began, cpu = time.perf_counter(), _cpu()
    rows = read(folder, target)
    took, cpu = time.perf_counter() - began, _cpu() - cpu
    peak, helper = (resource.getrusage(who).ru_maxrss / 1000 for who in _WHO)
    return {"seconds": took, "cpu": cpu, "peak": peak, "helper": helper, "rows": rows}


_WHO = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)


def _cpu() -> float:
    """Return the seconds of processors that this process and those that it started and that ended have taken."""
    return sum(used.ru_utime + used.ru_stime for used in map(resource.getrusage, _WHO))


def main() -> None:
    """Run the command; see its ``--help``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=340_000, help="queries in the logs; 340,000 are 1 GB")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--logs", type=Path, help="a folder of logs that were written before")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.logs or Path(scratch, "logs")
        if options.logs is None:
            write_servlet_logs(World(options.documents, malformed=0, faithful=True), folder)
        size = sum(file.stat().st_size for file in folder.rglob("catalina.out*")) / 1e6
        figures: dict[str, list[dict[str, float]]] = {"read_servlet_logs": [], "line by line": []}
        for number in range(options.rounds):
            for (name, found), read in zip(figures.items(), (ours, straightforward), strict=True):
                target = Path(scratch, f"{name}-{number}")
                target.mkdir()
                found.append(measured(read, folder, target))
        print(f"{size:,.0f} MB in {len(list(folder.rglob('catalina.out')))} logs\n")
        print("| | s | CPU s | MB per CPU s | peak memory, MB | of a helping process, MB | rows |")
        print("|---|---:|---:|---:|---:|---:|---:|")
        for name, found in figures.items():
            middle = {key: statistics.median(one[key] for one in found) for key in found[0]}
            print(
                f"| {name} | {middle['seconds']:.1f} | {middle['cpu']:.1f} | {size / middle['cpu']:.0f} | "
                f"{middle['peak']:.0f} | {middle['helper']:.0f} | {middle['rows']:,.0f} |"
            )
        for key in ("seconds", "cpu"):
            ratios = [slow[key] / fast[key] for fast, slow in zip(*figures.values(), strict=True)]
            print(f"\nline by line takes {statistics.median(ratios):.1f} times the {key}")


if __name__ == "__main__":
    main()
