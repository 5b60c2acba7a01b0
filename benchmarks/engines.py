"""The statements of filters with DuckDB and with Spark, beside bare DuckDB, on the same dataset.

``python -m benchmarks.engines`` makes a dataset of the sample with five million queries. It prints a table of seconds,
each the median of several rounds in which the peers take turns, and the processor time of the first two.

- rows: the filter's statement, run by `frontierlab.engines` on the rows, from its text to the filter's frame
- bare: a statement written for DuckDB alone, on the same files, with as many processors
- summary: the filter's statement on the summaries of the dataset, if they answer it
- Spark: the filter as it is, on Spark (on the summaries, if they answer it); left out with ``--without-spark``

It also prints the time that a new process takes to import pandas and DuckDB, and to have the first frame of a filter.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import duckdb

import frontierlab as fl
from benchmarks.filters import BIN, PLOTS, in_duckdb, make, where
from frontierlab import Selection, filters
from frontierlab.engines import Limits, Logs, Table, as_duckdb
from frontierlab.engines.duck import run
from frontierlab.filters.question import Question
from frontierlab.filters.summaries import shape_answers
from frontierlab.storage.store import Dataset
from frontierlab.storage.summaries import SHAPES, TIMES

PERCENTILES = {"querytime_percentiles": BIN} | {
    f"{value}_percentiles by {by}": columns
    for value in ("querytime", "dbtime")
    for by, columns in (("server", "frontierserver"), ("schema", "db, schema"), ("site", "computingsite"))
}
"""What has percentiles of its own → the columns of it for DuckDB."""
NAMES = [*PLOTS, *PERCENTILES]
IMPORTS = "import pandas, duckdb"
FIRST = """\
import sys
from pathlib import Path
from frontierlab import filters
from frontierlab.engines import Table, as_duckdb
from frontierlab.engines.duck import run
from frontierlab.storage.dataset import Dataset
statement = filters.queries_per_db.sql()
run({"logs": Table.of(Dataset(Path(sys.argv[1])))}, as_duckdb(statement.text), statement.args)"""


def selected(name: str) -> Selection:
    """Return the selection of a filter."""
    return PLOTS[name][0] if name in PLOTS else Selection()


def question_of(name: str) -> Question:
    """Return the question of a filter, or of one and what it is asked by."""
    name, _, by = name.partition(" by ")
    found: Question = getattr(filters, name).__wrapped__(**({"by": by} if by else {}))
    return found


def asked(name: str, table: Table, times: str, limits: Limits) -> None:
    """Run a filter's statement on the rows, or on a summary with the column `times`."""
    question = question_of(name)
    statement = question.statement(name, selected(name), times=times)
    raw = run({"logs": table}, as_duckdb(statement.text), statement.args, limits=limits)
    question.answer([raw], selected(name))


def in_spark(name: str, logs: Logs) -> None:
    """Ask a filter with Spark."""
    name, _, by = name.partition(" by ")
    getattr(filters, name)(logs, selected(name), **({"by": by} if by else {}))


def bare(name: str, connection: duckdb.DuckDBPyConnection) -> None:
    """Run DuckDB's own statement."""
    if name in PLOTS:
        in_duckdb(name, connection)
    else:
        value = name.partition("_")[0]
        shares = f"quantile_cont({value}, [0.5, 0.95, 0.99])"
        condition = "NOT cached" if value == "dbtime" else where(selected(name))
        connection.execute(
            f"SELECT {PERCENTILES[name]}, count({value}), {shares} FROM logs WHERE {condition} GROUP BY ALL"
        ).fetchall()


def peers(
    dataset: Dataset, names: list[str], limits: Limits, with_spark: bool
) -> dict[tuple[str, str], Callable[[], object]]:
    """Return the calls, by filter and peer."""
    table = Table.of(dataset)
    logs = fl.open_logs(dataset, engine="spark") if with_spark else None
    connection = duckdb.connect()
    files = ", ".join(f"'{path}'" for path in dataset.files())
    connection.execute(f"SET TimeZone = 'UTC'; CREATE VIEW logs AS SELECT * FROM read_parquet([{files}])")
    found: dict[tuple[str, str], Callable[[], object]] = {}
    for name in names:
        found[name, "rows"] = partial(asked, name, table, "", limits)
        found[name, "bare"] = partial(bare, name, connection)
        question = question_of(name)
        shape = next((shape for shape in SHAPES if shape_answers(shape, *question.needs(selected(name)))), None)
        summary = None if shape is None or question.values else table.summary(shape.name)
        if summary is not None:
            found[name, "summary"] = partial(asked, name, summary, TIMES, limits)
        if logs is not None:
            found[name, "Spark"] = partial(in_spark, name, logs)
    return found


def rounds(
    calls: dict[tuple[str, str], Callable[[], object]], count: int
) -> Iterator[tuple[tuple[str, str], float, float]]:
    """Yield filter and peer, seconds, and seconds of this process's processor time."""
    for number in range(-1, count):  # the first round warms up and is not counted
        for key, call in calls.items():
            began, used = time.perf_counter(), time.process_time()
            call()
            took = time.perf_counter() - began, time.process_time() - used
            if number >= 0:
                yield key, *took


def process(script: str, dataset: Dataset) -> float:
    """Return the duration of a new Python process."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", script, dataset.path], check=True)
    return time.perf_counter() - began


def main() -> None:
    """Run the command; see its ``--help``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=int, default=5_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--memory", type=int, default=Limits().memory_mb, help="DuckDB's memory in megabytes")
    parser.add_argument("--dataset", type=Path, help="the folder of a dataset that is there already")
    parser.add_argument("--filters", nargs="+", choices=NAMES, default=NAMES)
    parser.add_argument("--without-spark", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        dataset = Dataset(options.dataset) if options.dataset else make(Path(folder), options.queries)
        firsts = [(process(IMPORTS, dataset), process(FIRST, dataset)) for _ in range(options.rounds)]
        calls = peers(dataset, options.filters, Limits(options.memory), not options.without_spark)
        seconds: dict[tuple[str, str], list[float]] = {}
        used: dict[tuple[str, str], list[float]] = {}
        for key, took, processor in rounds(calls, options.rounds):
            seconds.setdefault(key, []).append(took)
            used.setdefault(key, []).append(processor)
        print(f"{dataset.counts.kept:,} queries, {options.rounds} rounds, {os.cpu_count()} processors\n")
    show(options.filters, seconds, used)
    imports, frame = (statistics.median(values) for values in zip(*firsts, strict=True))
    print(f"\na new process: {imports:.2f} s to import pandas and DuckDB, {frame:.2f} s to the first frame")


def show(
    names: list[str], seconds: dict[tuple[str, str], list[float]], used: dict[tuple[str, str], list[float]]
) -> None:
    """Print the table of medians."""
    print("| filter | rows, s | bare, s | times bare | processor, times bare | summary, s | Spark, s |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    wall, processor = ({key: statistics.median(v) for key, v in of.items()} for of in (seconds, used))
    for name in names:
        rows, alone = wall[name, "rows"], wall[name, "bare"]
        ratio = processor[name, "rows"] / processor[name, "bare"]
        rest = (f"{wall[name, peer]:.3f}" if (name, peer) in wall else "" for peer in ("summary", "Spark"))
        print(f"| {name} | {rows:.3f} | {alone:.3f} | {rows / alone:.2f} | {ratio:.2f} | {' | '.join(rest)} |")
    of_all = {
        peer: sum(wall[name, peer] for name in names if (name, peer) in wall) for peer in ("rows", "bare", "summary")
    }
    print(
        f"| together | {of_all['rows']:.2f} | {of_all['bare']:.2f} | {of_all['rows'] / of_all['bare']:.2f} | | "
        f"{of_all['summary']:.2f} | |"
    )


if __name__ == "__main__":
    main()
