"""Which faint incidents a diagnosis misses, by kind and by what they cost.

``python -m benchmarks.faint --days 24 --queries 50000`` makes days with incidents of the seeds to tune with, diagnoses
each, and prints how many of the incidents are told among the first ten rows, of those that cost so much of a day. What
is true is in `benchmarks.incident_scores`; here all incidents count, however faint.
"""

from __future__ import annotations

import argparse
import tempfile
from itertools import pairwise
from pathlib import Path

import pandas as pd

from benchmarks.incident_scores import FIRST, is_true
from frontierlab.diagnosis import diagnose
from frontierlab.sample import make_day

FIRST_SEED = 500
BANDS = (0, 0.012, 0.02, 0.04, 0.08, 1)


def incidents(folder: Path, seed: int, queries: int) -> pd.DataFrame:
    """Return the incidents of a day: ``kind``, ``cost``, ``strength``, and whether each is told."""
    dataset, truth = make_day(folder / str(seed), seed, queries)
    told = diagnose(dataset, progress=False).incidents.head(FIRST).to_dict("records")
    dataset.delete()
    found = [any(is_true(row, one) for row in told) for one in truth.to_dict("records")]
    return truth[["kind", "cost", "strength"]].assign(told=found)


def table(found: pd.DataFrame) -> pd.DataFrame:
    """Return how many incidents are told, of how many, by kind and by cost."""
    labels = [f"{100 * low:g} to {100 * high:g} %" for low, high in pairwise(BANDS)]
    groups = found.assign(cost=pd.cut(found["cost"], BANDS, labels=labels)).groupby(["kind", "cost"], observed=True)
    counts = groups["told"].agg(["sum", "size"])
    return (counts["sum"].astype(str) + " of " + counts["size"].astype(str)).unstack(fill_value="")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, default=24)
    parser.add_argument("--queries", type=int, default=50_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        days = [incidents(Path(folder), FIRST_SEED + day, given.queries) for day in range(given.days)]
    print(table(pd.concat(days)).to_string())


if __name__ == "__main__":
    main()
