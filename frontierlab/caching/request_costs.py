"""What the requests of grids cost: those that were logged, and estimates of all others.

They are counted in arrays. Most folders have few requests, for which each step of a frame would take longer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from frontierlab.caching.answer_sets import Integers

__all__ = ["Requests", "first_of_different", "summary"]

Floats = NDArray[np.float64]


class Requests(NamedTuple):
    """Requests of all grids, those as asked first.

    Parameters
    ----------
    grid, sqlhash, answer
        Numbers of the grid, of the SQL and of the answer of each; -1 is the empty answer.
    rows
        The payload rows of the answer.
    """

    grid: Integers
    sqlhash: Integers
    answer: Integers
    rows: Integers


def first_of_different(*columns: Integers) -> Integers:
    """Return where each different row of columns is first, in order."""
    code = np.zeros(len(columns[0]), np.int64)
    for column in columns:
        of_column, values = pd.factorize(column)
        code = pd.factorize(code * len(values) + of_column)[0]
    return np.flatnonzero(~pd.Series(code).duplicated().to_numpy())


def summary(asked: Requests, grids: Sequence[str], logged: Mapping[str, Integers]) -> pd.DataFrame:
    """Add up the requests of each grid, and compare the sums with those of the first one.

    Parameters
    ----------
    asked
        The requests.
    grids
        The names of the grids, by their numbers.
    logged
        What was logged of the requests as asked: sums of ``bytes`` of ``sized`` queries, of ``dbtime`` of ``timed``.

    Returns
    -------
    pandas.DataFrame
        That of `frontierlab.caching.what_if`.
    """
    size, sized = _costs(asked, logged["bytes"], logged["sized"])
    dbtime, _ = _costs(asked, logged["dbtime"], logged["timed"])
    requests, estimated = (np.bincount(of, minlength=len(grids)) for of in (asked.grid, asked.grid[~sized]))
    costs = pd.DataFrame({"bytes": size, "dbtime": dbtime}).groupby(asked.grid).sum(min_count=1)
    costs = costs.reindex(range(len(grids)))
    for name, values in (("bytes", size), ("dbtime", dbtime)):
        costs.loc[np.unique(asked.grid[np.isnan(values)]), name] = np.nan  # null unless all are known
    columns: dict[str, Any] = {
        "grid": pd.array([*grids], "string"),
        "requests": pd.array(requests, "Int64"),
        **{name: pd.array(costs[name].to_numpy(), "Float64") for name in ("bytes", "dbtime")},
        "estimated": pd.array(estimated, "Int64"),
    }
    for name in ("requests", "bytes", "dbtime"):
        whole = columns[name][0]
        share = columns[name] / (whole if pd.notna(whole) and whole else pd.NA)
        columns[f"{name}_share"] = share.astype("Float64")
    return pd.DataFrame(columns)


def _costs(asked: Requests, total: Integers, count: Integers) -> tuple[Floats, NDArray[np.bool_]]:
    """Return each request's cost and whether it was logged, from sums and counts of the requests as asked."""
    logged, of_answer = len(total), pd.factorize(asked.sqlhash * (len(asked.answer) + 1) + asked.answer + 1)[0]
    known = count > 0
    mean = _ratio(of_answer, of_answer[:logged][known], total[known], count[known])
    all_rows = count * asked.rows[:logged]
    full = all_rows > 0
    per_row = _ratio(asked.sqlhash, asked.sqlhash[:logged][full], total[full], all_rows[full])
    if full.any():
        per_row[np.isnan(per_row)] = total[full].sum() / all_rows[full].sum()
    estimated = np.where(asked.rows > 0, per_row * asked.rows, 0.0)
    return np.where(np.isnan(mean), estimated, mean), ~np.isnan(mean)


def _ratio(numbers: Integers, among: Integers, above: Integers, below: Integers) -> Floats:
    """Return the sum of `above` over that of `below`, of the group with each number; NaN where no row is `among` it."""
    sums = np.zeros((2, numbers.max(initial=-1) + 1), np.int64)
    np.add.at(sums[0], among, above)
    np.add.at(sums[1], among, below)
    ratio: Floats = np.divide(sums[0], sums[1], out=np.full(sums.shape[1], np.nan), where=sums[1] > 0)
    return ratio[numbers]
