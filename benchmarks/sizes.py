"""How the time of a filter grows with the number of queries, with DuckDB and with Spark on this machine.

``python -m benchmarks.sizes`` makes a dataset of the sample with five million queries, and reads its files once, ten
times and forty times. It prints a table of seconds, each the least of two rounds in which the engines take turns. From
it comes `frontierlab.engines.engine_choice.MOST_QUERIES`: up to how many queries ``engine="auto"`` asks DuckDB.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path

import frontierlab as fl
from benchmarks.engines import asked
from benchmarks.filters import make, seconds
from frontierlab import Selection, filters
from frontierlab.engines import Limits, Table
from frontierlab.schema import IOV_COLUMNS
from frontierlab.storage.store import Dataset

NAMES = ("queries_per_schema", "queries_by_querytime", "querytime_percentiles")


def linked(dataset: Dataset, folder: Path, times: int) -> tuple[Path, ...]:
    """Return the names of a dataset's files, each file under several names."""
    found = []
    for number in range(times):
        (folder / str(number)).mkdir(parents=True, exist_ok=True)
        for file in dataset.files():
            found.append(folder / str(number) / file.name)
            if not found[-1].exists():
                os.link(file, found[-1])
    return tuple(found)


def main() -> None:
    """Run the command; see its ``--help``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=int, default=5_000_000)
    parser.add_argument("--times", type=int, nargs="+", default=[1, 10, 40])
    options = parser.parse_args()
    session = fl.spark.session(fl.Settings(spark_master=f"local[{os.cpu_count()}]"))
    print("| queries | filter | DuckDB, s | Spark, s |\n|---:|---|---:|---:|")
    with tempfile.TemporaryDirectory() as folder:
        dataset = make(Path(folder), options.queries)
        table = Table.of(dataset)
        for times in options.times:
            files = linked(dataset, Path(folder) / "links", times)
            larger = replace(table, groups=tuple(replace(rows, files=files) for rows in table.groups))
            frame = session.read.parquet(*map(str, files)).withColumnsRenamed(dict(IOV_COLUMNS))
            for name in NAMES:
                duckdb = partial(asked, name, larger, "", Limits())
                spark = partial(getattr(filters, name), frame, Selection())
                took = [(seconds(duckdb), seconds(spark)) for _ in range(2)]
                least = [min(values) for values in zip(*took, strict=True)]
                print(f"| {times * dataset.counts.kept:,} | {name} | {least[0]:.2f} | {least[1]:.2f} |", flush=True)


if __name__ == "__main__":
    main()
