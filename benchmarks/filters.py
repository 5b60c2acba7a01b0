"""All filters and their peers, on the same dataset.

``python -m benchmarks.filters`` makes a dataset of the sample with five million queries and prints a table of
seconds, each the median of several rounds in which the peers take turns. It also prints the time of the first plot in
a new process after the start of Spark.

- frontierlab: the filter, from the call to the frame; one statement
- a job a series: a Spark job per series, as today's tool does (cached, not cached; each kind; each schema or folder),
  with the values pasted into the SQL
- DuckDB: one statement on the same files, with as many processors
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
from pyspark.sql import DataFrame

import frontierlab as fl
from frontierlab import Selection, filters
from frontierlab.sample import World
from frontierlab.storage.store import Dataset

DB, SCHEMA = "CONDBR2", "ATLAS_COOLOFL_PIXEL"
KIND = """CASE WHEN disconn THEN 'disconn' WHEN rejected THEN 'rejected' WHEN procerror THEN 'procerror'
          ELSE 'first query' END"""
BIN = "time_bucket(INTERVAL 300 SECOND, time)"
CACHED = "count(*) FILTER (cached), count(*) FILTER (NOT cached), count(*) FILTER (cached IS NULL)"
PAYLOAD = "count(*) FILTER (since <> -1), count(*) FILTER (since = -1)"
TAIL = "least({} // 100, 100)"

# the sixteen plots: the selection, DuckDB's columns to group by, what is counted, of which queries; and the series of
# today's tool with their columns to group by
PLOTS: dict[str, tuple[Selection, str, str, str, tuple[str, ...], str]] = {}


def plot(
    name: str, by: str, counts: str, of: str, series: str | tuple[str, ...], grouped: str, schema: bool = False
) -> None:
    """Register one plot."""
    selection = Selection() if name == "queries_per_db" else Selection(db=DB, schema=SCHEMA if schema else None)
    PLOTS[name] = selection, by, counts, of, (series,) if isinstance(series, str) else series, grouped


BOTH = ("cached = true", "cached = false")
KINDS = (
    "cached = false AND disconn = true",
    "cached = false AND rejected = true",
    "cached = false AND procerror = true",
    "cached = false AND disconn = false AND rejected = false AND procerror = false",
)
WITH_AND_WITHOUT = ("iov_since <> -1", "iov_since = -1")
SPARK_BIN = "floor(unix_seconds(time) / 300)"

plot("queries_per_db", "db", CACHED, "true", BOTH, "db")
plot("uncached_by_kind", KIND, "count(*)", "NOT cached", KINDS, "")
plot("queries_per_schema", "schema", "count(*)", "true", "true", "schema")
plot("cached_per_schema", "schema", CACHED, "true", BOTH, "schema")
plot("payload_per_schema", "schema", PAYLOAD, "true", WITH_AND_WITHOUT, "schema")
plot("payload_per_node", "nodefullpath", PAYLOAD, "true", WITH_AND_WITHOUT, "nodefullpath", True)
plot("queries_over_time", BIN, CACHED, "true", BOTH, SPARK_BIN)
plot("queries_by_querytime", TAIL.format("querytime"), CACHED, "true", BOTH, "floor(querytime / 100)")
plot("queries_by_dbtime", TAIL.format("dbtime"), CACHED, "true", BOTH, "floor(dbtime / 100)")
plot("bytes_over_time", BIN, "sum(fsize)", "NOT cached", "cached = false", SPARK_BIN)
plot("cached_share_per_schema", "schema", CACHED, "true", BOTH, "schema")
plot("cached_share_per_node", "nodefullpath", CACHED, "true", BOTH, "nodefullpath", True)
plot("bytes_share_per_schema", "schema", "sum(fsize)", "NOT cached", "cached = false", "schema")
plot("bytes_share_per_node", "nodefullpath", "sum(fsize)", "NOT cached", "cached = false", "nodefullpath", True)
plot("long_queries_per_schema", f"{BIN}, schema", "count(*)", "querytime >= 1000", "schema", SPARK_BIN)
plot("long_queries_per_node", f"{BIN}, nodefullpath", "count(*)", "querytime >= 1000", "nodefullpath", SPARK_BIN, True)


def ours(name: str, logs: DataFrame) -> None:
    """Run the filter."""
    getattr(filters, name)(logs, PLOTS[name][0])


def where(selection: Selection) -> str:
    """Write the selection as SQL with its values in the text."""
    names = (("db", selection.db), ("schema", selection.schema))
    return " AND ".join(f"{name} = '{values[0]}'" for name, values in names if values) or "true"


def a_job_a_series(name: str, logs: DataFrame) -> None:
    """Run one Spark job per series, as today's tool does."""
    selection, _, _, _, series, grouped = PLOTS[name]
    logs.createOrReplaceTempView("today")
    run = logs.sparkSession.sql
    if series in (("schema",), ("nodefullpath",)):
        listed = run(f"SELECT DISTINCT {series[0]} FROM today WHERE {where(selection)} AND querytime >= 1000").collect()
        series = tuple(f"querytime >= 1000 AND {series[0]} = '{row[0]}'" for row in listed if row[0] is not None)
    measure = "sum(fsize)" if name.startswith("bytes") else "count(*)"
    for one in series:
        columns = f"{grouped}, {measure}" if grouped else measure
        ending = f" GROUP BY {grouped}" if grouped else ""
        run(f"SELECT {columns} FROM today WHERE {where(selection)} AND {one}{ending}").toPandas()


def in_duckdb(name: str, connection: duckdb.DuckDBPyConnection) -> None:
    """Run the statement in DuckDB."""
    selection, by, counts, of, _, _ = PLOTS[name]
    connection.execute(f"SELECT {by}, {counts} FROM logs WHERE {where(selection)} AND {of} GROUP BY ALL").fetchall()


def seconds(call: Callable[[], object]) -> float:
    """Return the duration of a call."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def first_plot(dataset: Dataset) -> float:
    """Return the time of the first plot in a new process after the start of Spark."""
    script = (
        "import sys, time, frontierlab as fl\n"
        "from frontierlab.storage.store import Dataset\n"
        "from pathlib import Path\n"
        "session = fl.spark.session(fl.Settings(spark_master='local[2]'))\n"
        "fl.plots, fl.filters\n"
        "began = time.perf_counter()\n"
        "logs = fl.open_logs(Dataset(Path(sys.argv[1])), session=session)\n"
        "fl.plots.queries_per_db(fl.filters.queries_per_db(logs))\n"
        "print(time.perf_counter() - began)\n"
    )
    answer = subprocess.run([sys.executable, "-c", script, dataset.path], check=True, stdout=subprocess.PIPE, text=True)
    return float(answer.stdout.split()[-1])


def make(folder: Path, documents: int) -> Dataset:
    """Make the dataset."""
    dump = folder / "dump.ndjson.zst"
    World(documents, malformed=0).write(dump)
    settings = fl.sample.settings(data_dir=folder, limit_queries=2 * documents)
    found = fl.extract(settings, source=dump, name="logs", progress=False)
    dump.unlink()
    return found


def rounds(dataset: Dataset, count: int, names: list[str]) -> Iterator[tuple[str, str, float]]:
    """Yield filter, peer and seconds."""
    session = fl.spark.session(fl.Settings(spark_master=f"local[{os.cpu_count()}]"))
    logs = fl.open_logs(dataset, session=session).to_spark()
    with duckdb.connect() as connection:
        files = ", ".join(f"'{path}'" for path in dataset.files())
        connection.execute(f"CREATE VIEW logs AS SELECT * FROM read_parquet([{files}])")
        peers: dict[str, Callable[[str], object]] = {
            "frontierlab": lambda name: ours(name, logs),
            "a job a series": lambda name: a_job_a_series(name, logs),
            "DuckDB": lambda name: in_duckdb(name, connection),
        }
        for number in range(-1, count):  # the first round warms up and is not counted
            for peer, ask in peers.items():
                for name in names:  # one after the other, as in a report
                    took = seconds(lambda ask=ask, name=name: ask(name))
                    if number >= 0:
                        yield name, peer, took


def main() -> None:
    """Run the command; see its ``--help``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=int, default=5_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dataset", type=Path, help="the folder of a dataset that is there already")
    parser.add_argument("--filters", nargs="+", choices=[*PLOTS], default=[*PLOTS])
    parser.add_argument("--json", action="store_true", help="print every time as well")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        dataset = Dataset(options.dataset) if options.dataset else make(Path(folder), options.queries)
        firsts = [first_plot(dataset) for _ in range(options.rounds)]
        times: dict[tuple[str, str], list[float]] = {}
        for name, peer, took in rounds(dataset, options.rounds, options.filters):
            times.setdefault((name, peer), []).append(took)
        queries = dataset.counts.kept
    show(queries, options, times)
    print(f"\nfirst plot once Spark is up: {statistics.median(firsts):.2f} s")
    if options.json:
        print(json.dumps([[*key, *values] for key, values in times.items()]))


def show(queries: int, options: argparse.Namespace, times: dict[tuple[str, str], list[float]]) -> None:
    """Print the table."""
    print(f"{queries:,} queries, {options.rounds} rounds, {os.cpu_count()} processors\n")
    print("| filter | frontierlab, s | a job a series, s | DuckDB, s | times DuckDB's |")
    print("|---|---:|---:|---:|---:|")
    medians = {key: statistics.median(values) for key, values in times.items()}
    peers = ("frontierlab", "a job a series", "DuckDB")
    for name in options.filters:
        mine, today, duck = (medians[name, peer] for peer in peers)
        print(f"| {name} | {mine:.2f} | {today:.2f} | {duck:.3f} | {mine / duck:.1f} |")
    mine, today, duck = (sum(medians[name, peer] for name in options.filters) for peer in peers)
    print(f"| together | {mine:.2f} | {today:.2f} | {duck:.2f} | {mine / duck:.1f} |")
    print(f"\nfrontierlab takes {mine / today:.2f} of the time of a job a series")


if __name__ == "__main__":
    main()
