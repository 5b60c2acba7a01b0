"""How many incidents are found, and how many of the rows that are told are true.

``python -m benchmarks.diagnosis --days 40 --queries 50000`` makes days with incidents
(`frontierlab.sample.make_day`), diagnoses each, and prints a table by kind; ``--quiet`` makes quiet days. What is true,
and which incidents count, is in `benchmarks.incident_scores`.

The seeds to tune with are below 1,000; those of ``--report`` begin at 10,000, and are for figures alone: whoever looks
at single days of them has tuned with them. ``--function module:name`` names what takes a dataset and returns incidents:
a frame, or something with the attribute ``incidents``. Days are kept in a folder for the next run, and made again when
their generator changes.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.incident_scores import SCOPE, Scores, counts
from frontierlab.sample import make_day
from frontierlab.sample.world import conditions, folders, incidents
from frontierlab.storage.dataset import Dataset

TUNING, REPORT, LAST_TUNING = 1, 10_000, 1_000


def seeds(days: int, *, report: bool, first: int | None = None) -> range:
    """Return the seeds of some days, from `first` on: to tune with, or for a report.

    Raises
    ------
    ValueError
        There are not so many seeds to tune with, or those for a report begin with one to tune with.
    """
    first = first if first is not None else REPORT if report else TUNING
    if report and first < REPORT:
        raise ValueError(f"Seeds of a report begin at {REPORT:,}: --first {first} is no such seed.")
    if not report and first + days > LAST_TUNING:
        raise ValueError(f"There are {LAST_TUNING - first} days to tune with: ask for fewer, or for --report.")
    return range(first, first + days)


def day(folder: Path, seed: int, queries: int, *, quiet: bool, days: int = 1) -> tuple[Dataset, pd.DataFrame]:
    """Return a dataset of days and the truth about it; it is made if it is not in the folder yet."""
    name = f"{_generator()}-{queries}-{days}-{'quiet' if quiet else 'incidents'}-{seed}"
    path, stored = folder / name, folder / f"{name}.json"
    if stored.exists():
        return Dataset(path), _read(stored)
    folder.mkdir(parents=True, exist_ok=True)
    if path.exists():
        Dataset(path).delete()  # of a run that was stopped before it stored the truth
    dataset, truth = make_day(path, seed, queries // days, quiet=quiet, days=days)
    temporary = stored.with_suffix(f".{os.getpid()}")
    temporary.write_text(truth.to_json(orient="table", index=False), encoding="utf-8")
    temporary.rename(stored)
    return dataset, _read(stored)


def make(folder: Path, chosen: Iterable[int], queries: int, *, quiet: bool, days: int, processes: int) -> None:
    """Make the days that are not in the folder yet, several at a time."""
    with get_context("spawn").Pool(processes) as pool:
        work = [(folder, seed, queries, quiet, days) for seed in chosen]
        for _ in pool.imap_unordered(_made, work):
            pass


def _made(work: tuple[Path, int, int, bool, int]) -> None:
    folder, seed, queries, quiet, days = work
    day(folder, seed, queries, quiet=quiet, days=days)


def _generator() -> str:
    """Return a text that changes with the generator of days."""
    files = sorted(Path(incidents.__file__ or "").parent.glob("*.py"))
    files += [Path(module.__file__ or "") for module in (conditions, folders)]
    return hashlib.blake2b(b"".join(file.read_bytes() for file in files), digest_size=4).hexdigest()


def _read(stored: Path) -> pd.DataFrame:
    content = json.loads(stored.read_text(encoding="utf-8"))
    truth = pd.DataFrame(content["data"], columns=[one["name"] for one in content["schema"]["fields"]])
    for name in ("since", "until"):
        truth[name] = pd.to_datetime(truth[name], utc=True)
    return truth.astype({"taskid": "Int64"})


def asked(name: str) -> Callable[[Dataset], Any]:
    """Return the function that ``module:name`` names."""
    module, _, attribute = name.partition(":")
    found: Callable[[Dataset], Any] = getattr(importlib.import_module(module), attribute)
    return found


def run(
    diagnose: Callable[[Dataset], Any], days: Iterator[tuple[str, Dataset, pd.DataFrame, int]], *, show: bool = False
) -> Scores:
    """Diagnose days, and return the scores; print what was missed and what is false where ``show`` is true."""
    scores = Scores()
    for name, dataset, truth, length in days:
        begun = time.perf_counter()
        told = diagnose(dataset)
        seconds = time.perf_counter() - begun
        frame = getattr(told, "incidents", told)
        scores.add(frame, truth, seconds, name, length)
        if show:
            _show(name, frame, truth, scores)
    return scores


def _show(name: str, told: pd.DataFrame, truth: pd.DataFrame, scores: Scores) -> None:
    columns = ["since", "until", "kind", *SCOPE]
    missed = [one["counts"] and not one["found"] for one in scores.incidents[len(scores.incidents) - len(truth) :]]
    false = [not one["true"] for one in scores.rows[len(scores.rows) - len(told) :]]
    for what, frame, mask, more in (
        ("missed", truth, missed, ["how", "factor", "queries", "cost", "strength"]),
        ("false", told, false, ["queries", "factor", "cost", "confidence"]),
    ):
        rows = frame[[one for one in (*columns, *more) if one in frame]][pd.Series(mask, index=frame.index, dtype=bool)]
        if len(rows):
            print(f"\nSeed {name}, {what}\n{rows.dropna(axis=1, how='all').to_string(index=False)}", flush=True)


def main() -> None:
    """Run the command; see its ``--help``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, default=40, help="number of datasets")
    parser.add_argument("--queries", type=int, default=50_000, help="normal queries of a dataset")
    parser.add_argument("--length", type=int, default=1, help="days in a dataset")
    parser.add_argument("--quiet", action="store_true", help="quiet days")
    parser.add_argument("--report", action="store_true", help="seeds that nobody tunes with")
    parser.add_argument("--first", type=int, help="the first seed, so that a report can be of days that none was of")
    parser.add_argument("--function", default="frontierlab:diagnose", help="module:name of what diagnoses")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "frontierlab-days")
    parser.add_argument("--show", action="store_true", help="print what was missed and what is false, day by day")
    parser.add_argument("--make", action="store_true", help="only make the days, and print their truth")
    parser.add_argument("--processes", type=int, default=2, help="how many days are made at a time")
    options = parser.parse_args()
    if options.show and options.report:
        parser.error("--show with --report: whoever looks at single days of the report tunes with them")
    chosen = seeds(options.days, report=options.report, first=options.first)
    sizes = {"quiet": options.quiet, "days": options.length, "processes": options.processes}
    make(options.folder, chosen, options.queries, **sizes)

    def days() -> Iterator[tuple[str, Dataset, pd.DataFrame, int]]:
        for seed in chosen:
            made = day(options.folder, seed, options.queries, quiet=options.quiet, days=options.length)
            yield str(seed), *made, options.length

    what = "report" if options.report else "tuning"
    print(f"Seeds {chosen[0]} to {chosen[-1]} ({what}), {options.queries:,} queries each, {os.cpu_count()} processors")
    pd.set_option("display.width", 250, "display.max_columns", 40, "display.max_colwidth", 60)
    if options.make:
        for name, dataset, truth, _ in days():
            shown = truth.assign(counts=counts(truth)).drop(columns=["accepted", "taskname"]).dropna(axis=1, how="all")
            print(f"\nSeed {name}: {dataset}\n{shown.to_string() if len(shown) else 'nothing happened'}", flush=True)
        return
    scores = run(asked(options.function), days(), show=options.show)
    print(scores.table().round(3).to_string(index=False))
    print("", *scores.sentences(), sep="\n")


if __name__ == "__main__":
    main()
