"""The filters against an independent implementation, on hundreds of random selections a filter.

DuckDB answers, mostly without files and pandas, so that each statement takes a millisecond. An example of each filter
runs in Spark, and two of each kind.
"""

import itertools
import math
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from frontierlab import Selection, filters, open_logs
from frontierlab.engines import Logs
from tests.support import duck
from tests.support.examples import examples
from tests.support.logs import make_dataset
from tests.support.random_logs import NASTY, Asked, World, questions, several_questions
from tests.support.reference_answers import answer
from tests.support.reference_filters import ASKED, Rows
from tests.support.spark_options import for_once, interpreted

NAMES = list(filters.__all__)
COMPILED = {getattr(filters, name).__module__: name for name in NAMES}.values()
"""A filter of each kind, whose statement Spark compiles as it does for users: that takes longer than it runs."""

SHARED = settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])


def test_every_filter_has_an_independent_implementation() -> None:
    assert set(ASKED) == set(NAMES)


# ---- the statements ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
@settings(SHARED, max_examples=examples(10))
@given(data=st.data())
def test_the_statement_of_a_filter_counts_the_same(name: str, data: st.DataObject) -> None:
    drawn = data.draw(several_questions(name, 20))
    for _, several in itertools.groupby(sorted(drawn, key=group), group):  # the same columns
        alike = [*several]
        statements = [(getattr(filters, name).sql(where, **keywords), logs.table) for logs, where, keywords in alike]
        results = duck.fetch_together(statements)
        for (logs, selection, keywords), found in zip(alike, results, strict=True):
            note(f"{logs}, {selection!r}, {keywords}")  # the last of these lines is the question that failed
            asked = ASKED[name](**keywords)
            by = len(asked.keys) + (asked.bins is not None)
            assert len({row[:by] for row in found}) == len(found)
            same({row[:by]: row[by:] for row in found}, asked.statement(logs.rows, selection))


def group(question: Asked) -> str:
    return str(question[2].get("by"))


def same(found: dict[Any, tuple[Any, ...]], wanted: dict[Any, tuple[Any, ...]]) -> None:
    """Check that two results are equal, up to the last digits of percentiles."""
    assert found.keys() == wanted.keys()
    for key, values in found.items():
        for value, right in zip(values, wanted[key], strict=True):
            if isinstance(right, list):
                assert value == pytest.approx(right, rel=1e-12), key
            else:
                assert value == right, key


# ---- the frames -------------------------------------------------------------------------------------


def agrees(frame: pd.DataFrame, expected: Rows) -> None:
    got = frame.assign(time=frame["time"].astype("int64")) if "time" in frame else frame
    if expected:
        assert got.columns.tolist() == list(expected[0])
    assert len(got) == len(expected)
    for column in got.select_dtypes("Float64"):
        assert not np.isnan(got[column].to_numpy(dtype="float64", na_value=0)).any(), (
            f"{column} holds NaN, which is not null"
        )
    for row, wanted in zip(got.itertuples(index=False), expected, strict=True):
        for value, (column, right) in zip(row, wanted.items(), strict=True):
            if isinstance(right, float) and not pd.isna(value):
                assert math.isclose(value, right, rel_tol=1e-12, abs_tol=1e-9), column
            else:
                assert (None if pd.isna(value) else value) == right, column


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
@settings(SHARED, max_examples=examples(4))
@given(data=st.data())
def test_the_frame_of_a_filter_is_the_same(name: str, data: st.DataObject) -> None:
    logs, selection, keywords = data.draw(questions(name))
    frame = getattr(filters, name)(logs.logs, selection, **keywords)
    agrees(frame, answer(name, logs.rows, selection, **keywords))


@pytest.mark.spark
@pytest.mark.parametrize("name", NAMES)
@settings(SHARED, max_examples=1)
@given(data=st.data())
def test_the_frame_of_a_filter_is_the_same_in_spark(
    in_spark: list[tuple[World, Logs]], running: SparkSession, name: str, data: st.DataObject
) -> None:
    for options in (nullcontext(), for_once(running)) if name in COMPILED else (interpreted(running),):
        logs, frame = data.draw(st.sampled_from(in_spark))
        _, selection, keywords = data.draw(questions(name, logs))
        with options:
            found = getattr(filters, name)(frame, selection, **keywords)
        agrees(found, answer(name, logs.rows, selection, **keywords))


@pytest.mark.slow
def test_names_that_look_like_code_are_only_names(tmp_path: Path) -> None:
    data = [
        {"db": n, "schema": n, "nodefullpath": n, "tagname": n, "frontierserver": n, "cached": False} for n in NASTY
    ]
    logs = open_logs(make_dataset(tmp_path / "names", data))
    for field in ("db", "schema", "nodefullpath", "tagname", "frontierserver"):
        counted = filters.queries_per_db(logs, Selection(**{field: NASTY}))
        assert set(counted["db"]) == set(NASTY)
    for name in NASTY:
        counted = filters.queries_per_db(logs, Selection(db=name, frontierserver=name))
        assert counted["db"].tolist() == [name]
