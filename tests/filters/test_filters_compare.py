"""Comparisons: the frame of a filter with ``compare`` is both answers side by side."""

import inspect
import math
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from frontierlab import Selection, filters
from frontierlab.engines import Logs
from frontierlab.errors import InvalidRequestError
from tests.support.examples import examples
from tests.support.logs import START
from tests.support.random_logs import WORLDS, World, world
from tests.support.reference_answers import answer
from tests.support.reference_filters import Rows, moment
from tests.support.spark_options import for_once

NAMES = list(filters.__all__)
SHARED = settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])


@st.composite
def comparisons(draw: st.DrawFn) -> tuple[Selection, Any, int]:
    """A window, what it is compared with, and by how many milliseconds that is earlier."""
    start = draw(st.integers(START, START + 3_600_000))
    length = draw(st.sampled_from([600_000, 300_001, 3_600_000]))
    selection = Selection(
        since=moment(start), until=moment(start + length), db=draw(st.sampled_from([None, "CONDBR2"]))
    )
    how, shift = draw(
        st.sampled_from(
            [
                ("previous", length),
                ("-10min", 600_000),
                (moment(start - 300_000), 300_000),
                (moment(start + 60_000), -60_000),
            ]
        )
    )
    return selection, how, shift


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
@settings(SHARED, max_examples=examples(3))
@given(seed=st.integers(3, WORLDS - 1), comparison=comparisons())
def test_a_comparison_is_both_answers_side_by_side(
    name: str, seed: int, comparison: tuple[Selection, Any, int]
) -> None:
    compared(world(seed).logs, name, world(seed).rows, comparison)


@pytest.mark.slow
@pytest.mark.parametrize("by", ["server", "schema", "site"])
@settings(SHARED, max_examples=4)
@given(seed=st.integers(3, WORLDS - 1), comparison=comparisons())
def test_percentiles_of_groups_are_compared(by: str, seed: int, comparison: tuple[Selection, Any, int]) -> None:
    compared(world(seed).logs, "querytime_percentiles", world(seed).rows, comparison, by=by)


@pytest.mark.spark
@pytest.mark.parametrize("name", ["cost_per_task", "querytime_percentiles", "long_queries_per_node"])
@settings(SHARED, max_examples=2)
@given(data=st.data(), comparison=comparisons())
def test_a_comparison_in_spark_is_both_answers_side_by_side(
    in_spark: list[tuple[World, Logs]],
    running: SparkSession,
    name: str,
    data: st.DataObject,
    comparison: tuple[Selection, Any, int],
) -> None:
    logs, frame = data.draw(st.sampled_from(in_spark))
    with for_once(running):  # each kind of filter is compiled in test_filters_agree.py
        compared(frame, name, logs.rows, comparison)


def compared(frame: Any, name: str, logs: Rows, comparison: tuple[Selection, Any, int], **keywords: Any) -> None:
    asked, (selection, how, shift) = getattr(filters, name), comparison
    keywords |= {"top": None} if "top" in inspect.signature(asked).parameters else {}
    got = asked(frame, selection, compare=how, **keywords)
    now = answer(name, logs, selection, **keywords)
    later = [{**one, "time": one["time"] + shift} for one in logs]
    then = answer(name, later, selection, **keywords)
    keys = [
        column
        for column in got.columns
        if f"{column}_before" not in got and not column.endswith(("_before", "_change"))
    ]
    keys = [key for key in keys if key not in ("part", "groups", "taskname")]
    for rows_, suffix in ((now, ""), (then, "_before")):
        wanted = {tuple(one[key] for key in keys): one for one in rows_}
        seen = set()
        for one in got.assign(**({"time": got["time"].astype("int64")} if "time" in got else {})).to_dict("records"):
            key = tuple(None if pd.isna(one[k]) else one[k] for k in keys)
            seen.add(key)
            for column in (column for column in got.columns if f"{column}_before" in got):
                value = one[f"{column}{suffix}"]
                right = wanted[key][column] if key in wanted else None
                if pd.isna(value) or value == 0:
                    assert not right or column.endswith("percent"), (key, column)
                else:
                    assert math.isclose(value, right, rel_tol=1e-12), (key, column)
        assert seen >= wanted.keys()
    for column in (column for column in got.columns if f"{column}_before" in got):
        change = (got[column] - got[f"{column}_before"]).dropna()
        assert change.tolist() == got[f"{column}_change"].dropna().tolist()


@pytest.mark.parametrize(
    ("compare", "message"),
    [
        ("yesterday", "compare='yesterday': give \"previous\", how much earlier"),
        ("-3 days", "compare='-3 days'"),
        ("2026-10-01", "compare='2026-10-01' is the window itself"),
        ("-0d", "compare='-0d' is the window itself"),
        (7, r"compare=7: give \"previous\""),
        ((None, "-1d"), "compare=None: give"),
    ],
)
def test_an_invalid_comparison_is_refused(compare: Any, message: str) -> None:
    with pytest.raises(InvalidRequestError, match=message):
        filters.queries_per_db(world(0).logs, since="2026-10-01", until="2026-10-02", compare=compare)
