"""Days read as one: a report, caching figures and filters of two weeks, beside those of a day.

``python -m benchmarks.periods`` makes days of the sample with a million queries each. The first one is extracted; the
others are its rows with other times and other IOVs, so that their queries are different. It prints a table of seconds
and of the peak memory of the whole process. Each is measured in a process of its own.

- report: `frontierlab.report`, all plots
- efficiency: `frontierlab.caching.efficiency` of all folders and tags, with the sample's archive of COOLR
- filters: from the summaries of all days, and from the rows
"""

from __future__ import annotations

import argparse
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

import frontierlab as fl
from frontierlab import Dataset, Settings
from frontierlab.datasets import Period
from frontierlab.sample import World
from frontierlab.schema import OPEN_IOV
from frontierlab.storage.housekeeping import begin
from frontierlab.storage.manifest import Counts, Outcome
from frontierlab.storage.parts import SliceWriter, commit_part, row_files, temporary_folder
from frontierlab.storage.totals import mark_complete
from frontierlab.util.times import format_time, parse_time

FIRST = date(2026, 10, 1)
DAY_MS = 86_400_000
MOVED = 1_009  # how far the IOVs of a day are from those of the day before
DOCUMENTS = 1.027  # per query that becomes a row

WORK: dict[str, Callable[[Period, Settings], object]] = {
    "report": lambda period, settings: fl.report(period, settings=settings),
    "efficiency": lambda period, settings: fl.caching.efficiency(period, settings, progress=False),
    "queries_per_schema": lambda period, _: fl.filters.queries_per_schema(period),
    "long_queries_per_schema": lambda period, _: fl.filters.long_queries_per_schema(period, bin_seconds=3_600),
    "queries_by_querytime": lambda period, _: fl.filters.queries_by_querytime(period),
}


def moved(rows: pa.Table, days: int) -> pa.Table:
    """Return the rows some days later, with other IOVs."""
    columns = {"time": pc.add(rows["time"].cast(pa.int64()), days * DAY_MS).cast(rows["time"].type)}
    for name in ("since", "until"):
        keep = pc.or_(pc.less(rows[name], 0), pc.greater(rows[name], OPEN_IOV - days * MOVED))
        columns[name] = pc.if_else(keep, rows[name], pc.add(rows[name], pc.if_else(keep, 0, days * MOVED)))
    for name, column in columns.items():
        rows = rows.set_column(rows.column_names.index(name), name, column)
    return rows


def make_day(first: Dataset, days: int) -> None:
    """Make the dataset of a later day from the first one's."""
    day = FIRST + timedelta(days=days)
    until = day + timedelta(days=1)
    request = {**first.manifest.request, "since": format_time(parse_time(day)), "until": format_time(parse_time(until))}
    path = first.path.with_name(f"nightly-{day}")
    manifest = first.manifest.model_copy(
        update={**Outcome().model_dump(), "counts": Counts(), "state": "incomplete", "name": path.name}
        | {"id": secrets.token_hex(8), "request": request}
    )
    path.mkdir()
    begin(path, manifest)
    for part in manifest.plan:
        folder = temporary_folder(path, part.number)
        counts = [
            copy(file, folder, number, days, first) for number, file in enumerate(row_files(first.path, [part.number]))
        ]
        others = part.expected - sum(one.counts.kept for one in counts)
        left_out = Outcome(counts=Counts(read=others, left_out=others), left_out={"not copied": others})
        commit_part(folder, path, part.number, [*counts, left_out], manifest)
    mark_complete(path, manifest)


def copy(file: Path, folder: Path, number: int, days: int, first: Dataset) -> Outcome:
    """Write the rows of one file some days later, and return their counts."""
    with SliceWriter(folder, number, first.schema) as writer:
        for batch in pq.ParquetFile(file).iter_batches(100_000):
            writer.count(read=batch.num_rows)
            writer.write(moved(pa.Table.from_batches([batch]), days).cast(first.schema))
    return writer.outcome


def make(settings: Settings, days: int, queries: int) -> None:
    """Make the datasets of all days."""
    dump = settings.data_dir / "dump.ndjson.zst"
    World(round(queries * DOCUMENTS), malformed=0).write(dump)
    until = FIRST + timedelta(days=1)
    first = fl.extract(settings, source=dump, name=f"nightly-{FIRST}", since=FIRST, until=until, progress=False)
    dump.unlink()
    for number in range(1, days):
        make_day(first, number)


def measure(folder: Path, work: str, days: int) -> None:
    """Do one piece of work in this process, and print the seconds, those of its processor time, and the peak memory."""
    settings = settings_of(folder)
    began, used = time.perf_counter(), time.process_time()
    period = fl.datasets.period("nightly-*", FIRST, FIRST + timedelta(days=days), settings=settings)
    WORK[work](period, settings)
    took = time.perf_counter() - began
    # of this process only: the system's peak of a child includes that of its parent
    peak = next(line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line)
    print(took, time.process_time() - used, int(peak) / 1024)


def apart(work: str, folder: Path, days: int) -> list[float]:
    """Do one piece of work in a process of its own; return the two times in seconds and the peak memory in MB."""
    call = [sys.executable, "-m", "benchmarks.periods", "--work", work, "--folder", str(folder), "--days", str(days)]
    answer = subprocess.run(call, check=True, stdout=subprocess.PIPE, text=True)
    return [*map(float, answer.stdout.split()[-3:])]


def settings_of(folder: Path) -> Settings:
    """Return the settings of the sample for a data folder."""
    return fl.sample.settings(data_dir=folder, limit_queries=10**9)


def main() -> None:
    """Run the command; see its ``--help``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, default=14)
    parser.add_argument("--queries", type=int, default=1_000_000, help="of each day")
    parser.add_argument("--work", choices=[*WORK], help="measure this in this process, in the folder of days")
    parser.add_argument("--folder", type=Path, help="the data folder of days that are there already")
    options = parser.parse_args()
    if options.work:
        measure(options.folder, options.work, options.days)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        if options.folder is None:
            make(settings_of(folder), options.days, options.queries)
        period = fl.datasets.period("nightly-*", settings=settings_of(folder))
        print(f"{len(period.datasets)} days, {period.counts.kept:,} queries; {os.cpu_count()} processors")
        print("\n| | a day, s | all days, s | CPU of all days, s | peak memory, MB |\n|---|---:|---:|---:|---:|")
        for work in WORK:
            (day, *_), (all_, cpu, peak) = (apart(work, folder, days) for days in (1, options.days))
            print(f"| {work} | {day:.1f} | {all_:.1f} | {cpu:.1f} | {peak:,.0f} |", flush=True)


if __name__ == "__main__":
    main()
