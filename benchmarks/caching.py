"""Caching efficiency and its peers, on the same dataset and the same stand-in for COOLR.

``python -m benchmarks.caching`` makes a dataset of the sample with a million queries, starts a COOLR that answers in
5 ms, and prints a table; times are the median of several rounds in which the peers take turns. On a machine that is
busy with other work the processor times are the ones to compare (Spark's are not in them: it has a process of its own).

- efficiency: `frontierlab.caching.efficiency`, all folders and tags, with an empty cache of COOLR's answers
- efficiency, warm: the same, where COOLR's answers are in the cache
- counting: the part that the engine counts, written to a file: the queries of each folder and tag, and how often each
  different query came, by Squid and task
- counting, bare: the same two statements, written for DuckDB alone, on the same files, written to Parquet files
- count distinct: one statement that only counts the queries and the different queries of each folder and tag
- one by one: one request to COOLR per query, one after the other, as today's tool does; some of the queries are
  measured, and the time for all is extrapolated
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import duckdb
import pandas as pd
import requests

import frontierlab as fl
from frontierlab import Settings
from frontierlab.caching.counting import count_folders, count_queries
from frontierlab.engines import Logs
from frontierlab.sample import World
from frontierlab.storage.store import open_dataset
from tests.services.coolr import CoolrServer

DOCUMENTS = 1.17  # per query that counts

SERVED = """\
WHERE iov_since >= 0 AND iov_until >= iov_since AND nodefullpath IS NOT NULL
  AND NOT (coalesce(disconn, false) OR coalesce(rejected, false) OR coalesce(procerror, false))"""

DISTINCT = f"""\
SELECT db, schema, nodefullpath, tagname, count(*) AS queries,
       count(DISTINCT sqlhash, iov_since, iov_until) AS different
FROM logs {SERVED}
GROUP BY db, schema, nodefullpath, tagname"""

ASKED = """\
WITH asked AS (
  SELECT db, schema, nodefullpath, coalesce(tagname, 'unknown') AS tagname, nodetime, taskid, squid, sqlhash,
         coalesce(since, -1) AS since, coalesce(until, -1) AS until, fsize, dbtime, coalesce(cached, false) AS cached,
         coalesce(disconn, false) OR coalesce(rejected, false) OR coalesce(procerror, false) AS failed,
         since >= 0 AND until >= since AS counts
  FROM logs
)
"""

FOLDERS = """\
SELECT db, schema, nodefullpath, tagname, nodetime,
       count(*) FILTER (WHERE counts AND NOT failed) AS queries,
       count(*) FILTER (WHERE counts AND NOT failed AND cached) AS cached,
       count(*) FILTER (WHERE counts AND NOT failed AND NOT cached) AS uncached,
       count(*) FILTER (WHERE counts AND failed) AS failed,
       count(*) FILTER (WHERE (since < 0) != (until < 0)) AS half_given,
       count(*) FILTER (WHERE until >= 0 AND until < since) AS backwards,
       sum(fsize) FILTER (WHERE counts AND NOT failed AND NOT cached) AS bytes_served,
       min(since) FILTER (WHERE counts AND NOT failed) AS first,
       max(until) FILTER (WHERE counts AND NOT failed) AS last
FROM asked GROUP BY ALL"""

QUERIES = """\
SELECT hash(db, schema, nodefullpath, tagname) AS folder_hash, sqlhash, since, until, hash(squid) AS squid, taskid,
       count(*) AS queries,
       count(*) FILTER (WHERE NOT cached) AS uncached,
       sum(fsize) FILTER (WHERE NOT cached) AS bytes,
       count(fsize) FILTER (WHERE NOT cached) AS bodies,
       sum(dbtime) FILTER (WHERE NOT cached) AS dbtime,
       count(dbtime) FILTER (WHERE NOT cached) AS timed
FROM asked WHERE counts AND NOT failed AND schema IS NOT NULL AND nodefullpath IS NOT NULL GROUP BY ALL"""

SOME = f"""\
SELECT db, schema, nodefullpath AS node, tagname AS tag, iov_since AS since, iov_until AS until
FROM logs {SERVED} AND array_contains(:known, tagname)
ORDER BY sqlhash, pandaid, time
LIMIT 10000"""


def one_by_one(queries: pd.DataFrame, host: str) -> int:
    """Ask COOLR for each query, and count the different answers."""
    found = set()
    with requests.Session() as session:
        for query in queries.itertuples(index=False):
            response = session.get(f"http://{host}api/payloads", params=query._asdict())
            if response.status_code == 200:
                rows = response.json()["data_array"]
                found.add(
                    (query.node, query.tag, *sorted((r["CHANNEL_ID"], r["IOV_SINCE"], r["IOV_UNTIL"]) for r in rows))
                )
    return len(found)


def counting(logs: Logs, target: Path) -> None:
    """Count what efficiency counts."""
    count_folders(logs)
    count_queries(logs, target, 1)
    shutil.rmtree(target)


def bare_counting(files: list[Path], target: Path) -> None:
    """Count the same with DuckDB alone."""
    listed = ", ".join(f"'{file}'" for file in files)
    target.mkdir()
    with duckdb.connect() as connection:
        connection.execute(f"SET TimeZone = 'UTC'; CREATE VIEW logs AS SELECT * FROM read_parquet([{listed}])")
        for name, statement in {"folders": FOLDERS, "queries": QUERIES}.items():
            connection.execute(f"COPY ({ASKED}{statement}) TO '{target / name}.parquet' (FORMAT parquet)")
    shutil.rmtree(target)


def serve(world: World, delay: float, pipe: Connection) -> None:
    """Run COOLR in a separate process: send its address, and at the end its number of requests."""
    with CoolrServer(world, delay=delay) as server:
        pipe.send(server.host)
        while pipe.recv():
            pipe.send(server.count("payloads"))


def seconds(work: Callable[[], object]) -> tuple[float, float]:
    """Return the duration of a call, and the processor time that it took in this process."""
    began, processor = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - began, time.process_time() - processor


def make_dataset(folder: Path, world: World) -> Settings:
    """Make the dataset ``benchmark`` of a world in a data folder."""
    settings = fl.sample.settings(data_dir=folder, limit_queries=world.documents)
    world.write(folder / "documents.ndjson.zst")
    fl.extract(settings, source=folder / "documents.ndjson.zst", name="benchmark", progress=False)
    return settings


def table(times: dict[str, list[tuple[float, float]]], queries: int, sample: int, calls: int) -> str:
    """Return the table as Markdown."""
    took = {peer: statistics.median(value for value, _ in values) for peer, values in times.items()}
    processor = {peer: statistics.median(value for _, value in values) for peer, values in times.items()}
    lines = [
        "| | seconds | efficiency takes … times as long | CPU s | efficiency takes … times as much | calls of COOLR |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for peer in took:
        if peer != "one by one":
            asked = calls if peer == "efficiency" else 0
            lines.append(
                f"| {peer} | {took[peer]:.2f} | {took['efficiency'] / took[peer]:.2f} | {processor[peer]:.2f} | "
                f"{processor['efficiency'] / processor[peer]:.2f} | {asked:,} |"
            )
    walk = took["one by one"] / sample * queries
    what = f"one by one, extrapolated from {sample:,} queries in {took['one by one']:.1f} s"
    return "\n".join([*lines, f"| {what} | {walk:,.0f} | 1/{walk / took['efficiency']:,.0f} | | | {queries:,} |"])


def measure(live: Settings, sample: int, rounds: int, calls: Callable[[], int]) -> None:
    """Measure the peers in turns, and print the table."""
    logs = fl.open_logs("benchmark", settings=live)
    files = open_dataset("benchmark", live).files()
    warm = live.model_copy(update={"coolr_cache_hours": 24.0})
    known = World().catalogue["tag"].drop_null().unique().to_pylist()
    some = fl.sql(logs, SOME, known=known).head(sample)
    counts = fl.sql(logs, DISTINCT)
    peers: dict[str, Callable[[], object]] = {
        "efficiency": lambda: fl.caching.efficiency("benchmark", live, progress=False),
        "efficiency, warm": lambda: fl.caching.efficiency("benchmark", warm, progress=False),
        "counting": lambda: counting(logs, live.data_dir / "counted"),
        "counting, bare": lambda: bare_counting(files, live.data_dir / "counted"),
        "count distinct": lambda: fl.sql(logs, DISTINCT),
        "one by one": lambda: one_by_one(some, live.coolr_host),
    }
    before = calls()
    peers["efficiency"]()
    asked = calls() - before
    times: dict[str, list[tuple[float, float]]] = {peer: [] for peer in peers}
    for number in range(rounds + 1):
        for peer, work in peers.items():
            took = seconds(work)
            if number:  # the first round warms up
                times[peer].append(took)
    queries, different = int(counts["queries"].sum()), int(counts["different"].sum())
    print(f"{queries:,} queries, {different:,} different ones, of {len(counts)} folders and tags; {rounds} rounds,")
    print(f"{os.cpu_count()} processors, {logs.engine}\n")
    print(table(times, queries, len(some), asked))


def main() -> None:
    """Make the dataset, start the stand-in for COOLR, and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=int, default=1_000_000)
    parser.add_argument("--sample", type=int, default=2_000, help="number of queries that are asked one by one")
    parser.add_argument("--delay", type=float, default=0.005, help="seconds that each answer of COOLR takes")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--engine", choices=["duckdb", "spark"], default="duckdb")
    arguments = parser.parse_args()
    world = World(round(arguments.queries * DOCUMENTS), malformed=0)
    pipe, end = multiprocessing.Pipe()
    server = multiprocessing.Process(target=serve, args=(world, arguments.delay, end), daemon=True)
    server.start()

    def calls() -> int:
        pipe.send(True)
        return int(pipe.recv())

    with tempfile.TemporaryDirectory() as folder:
        settings = make_dataset(Path(folder), world)
        live = Settings(
            data_dir=settings.data_dir, coolr_host=pipe.recv(), coolr_cache_hours=0, engine=arguments.engine
        )
        measure(live, arguments.sample, arguments.rounds, calls)
    pipe.send(False)
    server.join()


if __name__ == "__main__":
    main()
