"""How long a diagnosis takes, and how much memory.

``python -m benchmarks.diagnosis_speed DATASET --engine duckdb --copies 10`` diagnoses the dataset in this folder, read
as many times as one, and prints the seconds, those of the processor (without Spark's Java process), and the peak memory
of this process. Days of any size are made by ``python -m benchmarks.diagnosis --make``.
"""

from __future__ import annotations

import argparse
import os
import resource
import time
from dataclasses import replace
from pathlib import Path

import frontierlab as fl
from frontierlab.engines.logs import DuckLogs, SparkLogs
from frontierlab.engines.tables import Table
from frontierlab.spark import sessions
from frontierlab.storage.dataset import Dataset


def main() -> None:
    """Run the command; see its ``--help``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path, help="the folder of a dataset")
    parser.add_argument("--engine", choices=("duckdb", "spark"), default="duckdb")
    parser.add_argument("--copies", type=int, default=1, help="how many times the dataset is read as one")
    parser.add_argument("--turns", type=int, default=1, help="how many times it is diagnosed")
    options = parser.parse_args()
    settings = fl.Settings(engine=options.engine)
    if options.engine == "spark":
        sessions.session(settings)
    logs = fl.open_logs(Dataset(options.dataset), settings=settings)
    if isinstance(logs, DuckLogs):
        logs = replace(logs, table=Table(logs.table.groups * options.copies, {}))
    elif isinstance(logs, SparkLogs) and options.copies > 1:
        parser.error("--copies is of DuckDB")
    for _ in range(options.turns):
        begun, busy = time.perf_counter(), time.process_time()
        found = fl.diagnose(logs, settings=settings, progress=False)
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        seconds, busy = time.perf_counter() - begun, time.process_time() - busy
        print(
            f"{found.queries:,} queries, {len(found)} incidents: {seconds:.1f} s, {busy:.1f} s of the processor, "
            f"{memory:,.0f} MB; {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}"
        )


if __name__ == "__main__":
    main()
