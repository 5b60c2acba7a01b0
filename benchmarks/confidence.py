"""Fit the weights of the confidence of a diagnosis: ``python -m benchmarks.confidence``.

Days with incidents and quiet days of the tuning seeds are diagnosed (`benchmarks.diagnosis` makes and keeps them), but
not of the first 200: whoever changes the search looks at those, and it fits them better than others. Each row that is
told is true or false (`benchmarks.incident_scores`). The weights are those of a logistic regression with a ridge: the
likelihood minus half of the sum of their squares, times `RIDGE`, for all but the common one. They are printed as
`frontierlab.diagnosis.confidence.WEIGHTS` stores them, with a table of how many rows are true by confidence. Every
second day is left out of another fit, whose chances on these days are the second table.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.diagnosis import LAST_TUNING, day
from benchmarks.incident_scores import CONFIDENCES, Scores, bands
from frontierlab import diagnose
from frontierlab.diagnosis.confidence import FIGURES
from frontierlab.diagnosis.finding import KINDS

RIDGE = 1.0
COLUMNS = ["always", *FIGURES, *KINDS]


def told(job: tuple[Path, int, int, bool]) -> list[dict[str, Any]]:
    """Diagnose a day, and return a record for each row: its figures, the day, and whether it is true."""
    folder, seed, queries, quiet = job
    dataset, truth = day(folder, seed, queries, quiet=quiet)
    found, scores = diagnose(dataset, progress=False), Scores()
    scores.add(found.incidents, truth, 0.0)
    name = f"{queries}-{seed}-{quiet}"
    return [{**dict(one.clues), "day": name, "true": row["true"]} for one, row in zip(found, scores.rows, strict=True)]


def fitted(rows: pd.DataFrame) -> pd.Series:
    """Return the weights, by Newton's method."""
    x, y = rows[COLUMNS].to_numpy(dtype=float), rows["true"].to_numpy(dtype=float)
    ridge = RIDGE * np.diag([0.0, *[1.0] * (len(COLUMNS) - 1)])
    weights = np.zeros(len(COLUMNS))
    for _ in range(50):
        p = 1 / (1 + np.exp(-x @ weights))
        gradient = x.T @ (y - p) - ridge @ weights
        step = np.linalg.solve(x.T @ (x * (p * (1 - p))[:, None]) + ridge, gradient)
        weights += step
        if np.abs(step).max() < 1e-9:
            break
    return pd.Series(weights, COLUMNS)


def chances(rows: pd.DataFrame, weights: pd.Series) -> pd.Series:
    """Return the chance of each row."""
    return 1 / (1 + np.exp(-(rows[COLUMNS] @ weights)))


def table(rows: pd.DataFrame, chance: pd.Series) -> pd.DataFrame:
    """Return how many rows are true by confidence."""
    return bands(pd.DataFrame({"confidence": chance, "true": rows["true"].astype(bool)}))


def jobs(options: argparse.Namespace) -> Iterator[tuple[Path, int, int, bool]]:
    """Yield the days that are diagnosed."""
    for queries, days, quiet in (
        (50_000, options.days, False),
        (500_000, options.large, False),
        (50_000, options.quiet, True),
    ):
        last = options.first + days
        if last > LAST_TUNING:
            raise ValueError(f"Seeds from {options.first} on: there are not {days} days to tune with. Ask for fewer.")
        yield from ((options.folder, seed, queries, quiet) for seed in range(options.first, last))


def main() -> None:
    """Run the command; see its ``--help``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--first", type=int, default=201, help="the first seed: below are those that others look at")
    parser.add_argument("--days", type=int, default=100, help="days of 50,000 queries")
    parser.add_argument("--large", type=int, default=6, help="days of 500,000 queries")
    parser.add_argument("--quiet", type=int, default=10, help="quiet days of 50,000 queries")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "frontierlab-days")
    options = parser.parse_args()
    with get_context("spawn").Pool(options.processes) as pool:
        records = [row for rows in pool.imap(told, jobs(options)) for row in rows]
    rows = pd.DataFrame(records).reindex(columns=[*COLUMNS, "day", "true"]).fillna(dict.fromkeys(COLUMNS, 0.0))
    weights = fitted(rows)
    print(
        f"{len(rows)} rows of {rows['day'].nunique()} days with rows, {int((~rows['true'].astype(bool)).sum())} false"
    )
    print(
        "WEIGHTS: dict[str, float] = {",
        *(f'    "{name}": {value:.2f},' for name, value in weights.items()),
        "}",
        sep="\n",
    )
    print(
        f"\nConfidence {CONFIDENCES} of the rows that it was fitted with", table(rows, chances(rows, weights)), sep="\n"
    )
    half = rows["day"].factorize()[0] % 2 == 0
    other = pd.concat([chances(rows[~half], fitted(rows[half])), chances(rows[half], fitted(rows[~half]))]).reindex(
        rows.index
    )
    print("\nOf days that it was not fitted with", table(rows, other), sep="\n")


if __name__ == "__main__":
    main()
