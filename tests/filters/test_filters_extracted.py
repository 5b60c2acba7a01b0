"""What filters say of datasets that hold only the queries of a selection."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import frontierlab as fl
from frontierlab import Selection
from frontierlab.filters.extracted import NotExtracted, part_extracted
from tests.support.logs import make_dataset
from tests.support.random_logs import WORLDS, selections, world
from tests.support.reference_filters import selects

ROWS = [{"schema": "A", "cached": False}, {"schema": "A", "cached": True}]
ONLY = "The dataset d has only queries with schema A"


@given(st.data())
def test_part_that_was_extracted_is_not_contradicted_by_any_row(data: st.DataObject) -> None:
    logs = world(data.draw(st.integers(0, WORLDS - 1)))
    asked, extracted = (data.draw(selections(logs.seed)).but(since=None, until=None) for _ in range(2))
    wanted = [row for row in logs.rows if selects(asked)(row)]
    there = [row for row in wanted if selects(extracted)(row)]
    part = part_extracted(asked, extracted)
    assert not (there if part == "none" else there != wanted if part == "all" else [])


@pytest.mark.parametrize(
    ("asked", "extracted", "part"),
    [
        ({}, {}, "all"),
        ({"schema": "A"}, {}, "all"),
        ({}, {"schema": "A"}, "some"),
        ({"schema": "A", "db": "D"}, {"schema": ["A", "B"]}, "all"),
        ({"schema": ["A", "C"]}, {"schema": ["A", "B"]}, "some"),
        ({"schema": [None]}, {"schema": ["A"]}, "none"),
        ({"cached": True}, {"cached": False}, "none"),
        ({"cached": True}, {"kind": "rejected"}, "none"),
        ({"cached": False}, {"kind": "rejected"}, "some"),
        ({"kind": "rejected"}, {"cached": False}, "all"),
        ({"kind": "rejected"}, {"cached": True}, "none"),
        ({"kind": "rejected"}, {"kind": ["rejected", "disconn"]}, "all"),
        ({"min_querytime": 1000}, {"min_querytime": 999}, "all"),
        ({"min_querytime": 998}, {"min_querytime": 999}, "some"),
        ({}, {"min_querytime": 0}, "some"),
        ({"taskid": 7}, {"taskid": [8, None]}, "none"),
    ],
)
def test_part_of_a_selection_that_another_one_has(asked: Any, extracted: Any, part: str) -> None:
    assert part_extracted(Selection(**asked), Selection(**extracted)) == part


def test_filter_of_what_was_not_extracted_warns(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "d", ROWS, request={"selection": {"schema": ["A"]}})
    with pytest.warns(NotExtracted, match=f"{ONLY}: none of this selection is there"):
        frame = fl.filters.queries_per_db(dataset, schema="B")
    assert frame.empty


def test_filter_of_more_than_was_extracted_has_a_note(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "d", ROWS, request={"selection": {"schema": ["A"]}})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for selection in (Selection(), Selection(schema=["A", "B"])):
            frame = fl.filters.queries_per_db(dataset, selection)
            assert frame.attrs["notes"] == [f"{ONLY}: other queries of this selection are missing."]
        assert "notes" not in fl.filters.queries_per_db(dataset, schema="A").attrs
