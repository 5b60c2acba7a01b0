import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import frontierlab as fl
from frontierlab import Selection
from frontierlab.errors import InvalidRequestError
from frontierlab.filters import contents
from frontierlab.selection import QUERY_KINDS
from frontierlab.storage.dataset import Dataset
from tests.support.logs import make_dataset

FOLDER = {"db": "CONDBR2", "schema": "ATLAS_COOLONL_SCT", "nodefullpath": "/SCT/DAQ/Config/Chip", "tagname": "none"}

texts = st.none() | st.text(max_size=6)
numbers = st.none() | st.integers(-(2**63), 2**63 - 1)
moments = st.datetimes(datetime(1970, 1, 1), datetime(2261, 12, 30), timezones=st.just(UTC))


@st.composite
def selections(draw: st.DrawFn) -> Selection:
    where: dict[str, Any] = {}
    for name in ("db", "schema", "nodefullpath", "tagname", "frontierserver", "computingsite", "squid"):
        where[name] = draw(st.none() | st.text(max_size=6) | st.lists(texts, min_size=1, max_size=3))
    where["taskid"] = draw(numbers | st.lists(numbers, min_size=1, max_size=3))
    where["cached"] = draw(st.sampled_from([None, True, False]))
    where["kind"] = None if where["cached"] else draw(st.none() | st.lists(st.sampled_from(QUERY_KINDS), min_size=1))
    where["min_querytime"] = draw(st.none() | st.integers(0, 2**63 - 1))
    where["since"] = draw(st.none() | moments)
    where["until"] = draw(st.none() | moments)
    if where["since"] and where["until"] and where["until"] - where["since"] < timedelta(milliseconds=1):
        where["until"] = None
    return Selection(**where)


@given(selections())
def test_json_and_repr_give_the_same_selection(selection: Selection) -> None:
    assert Selection.from_json(selection.to_json()) == selection
    assert Selection.from_json(json.loads(selection.to_json())) == selection
    assert eval(repr(selection), {"Selection": Selection}) == selection
    assert hash(selection.but()) == hash(selection)


def test_repr_is_the_code_that_makes_the_selection() -> None:
    selection = Selection(
        until="2026-10-01T12:30:05.250", since=date(2026, 10, 1), db="CONDBR2", schema=["A", None], taskid=[1, 2, 1]
    )
    assert repr(selection) == (
        'Selection(since="2026-10-01", until="2026-10-01T12:30:05.250", '
        'db="CONDBR2", schema=["A", None], taskid=[1, 2])'
    )
    assert repr(Selection()) == "Selection()"
    assert repr(Selection(schema=[None])) == "Selection(schema=[None])"
    assert repr(Selection(schema='a"b')) == 'Selection(schema="a\\"b")'


def test_times_are_utc_and_halves_of_a_millisecond_are_cut() -> None:
    zone = timezone(timedelta(hours=2))
    selection = Selection(since=datetime(2026, 10, 1, 2, tzinfo=zone), until="2026-10-01T00:00:00.0019")
    assert selection.since == datetime(2026, 10, 1, tzinfo=UTC)
    assert selection.to_json() == '{"since": "2026-10-01T00:00:00.000Z", "until": "2026-10-01T00:00:00.001Z"}'


def test_a_selection_is_immutable_and_but_makes_a_changed_copy() -> None:
    selection = Selection(db="CONDBR2", cached=False)
    with pytest.raises(AttributeError, match="cannot assign"):
        selection.db = "OFLP200"  # type: ignore[misc]
    assert selection.but(db=None, taskid=7) == Selection(cached=False, taskid=7)
    assert selection == Selection(db=["CONDBR2"], cached=False)


def test_shifted_moves_both_ends_of_the_window() -> None:
    window = Selection(since="2026-10-01", until="2026-10-02", db="CONDBR2")
    assert window.shifted(timedelta(days=-7)) == Selection(since="2026-09-24", until="2026-09-25", db="CONDBR2")
    assert Selection(db="CONDBR2").shifted(timedelta(1)) == Selection(db="CONDBR2")


def test_in_words_describes_the_selection() -> None:
    selection = Selection(
        db="CONDBR2",
        schema=["A", None],
        taskid=range(5),
        kind=["rejected"],
        min_querytime=1000,
        since="2026-10-01",
        until="2026-10-02T06:00",
    )
    assert selection.in_words() == (
        "database CONDBR2, schema A, (none named), task 0, 1, 2 and 2 more, kind rejected, query time from 1,000 ms, "
        "from 2026-10-01 00:00 UTC, to 2026-10-02 06:00 UTC"
    )
    assert Selection(cached=True).in_words() == "cached"
    assert Selection().in_words() == ""


def test_values_are_parameters_and_conditions_come_once() -> None:
    where, args = Selection(schema=["A", "B", None], kind="rejected", cached=False).where("NOT cached", "fsize > 0")
    assert where == (
        "\nWHERE (schema IN (:schema_0, :schema_1) OR schema IS NULL)\n  AND NOT cached\n  AND CASE WHEN disconn THEN "
        "'disconn' WHEN rejected THEN 'rejected' WHEN procerror THEN 'procerror' ELSE 'first query' END = :kind\n"
        "  AND (fsize > 0)"
    )
    assert args == {"schema_0": "A", "schema_1": "B", "kind": "rejected"}


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ({"db": 5}, "db=5: give text"),
        ({"db": []}, "db is an empty list"),
        ({"schema": ["A", 1]}, "schema=1: give text"),
        ({"nodefullpath": b"/a"}, "nodefullpath=b'/a': give text"),
        ({"taskid": "12"}, "taskid='1': give a whole number|taskid='12': give a whole number"),
        ({"taskid": 1.0}, r"taskid=1\.0: give a whole number"),
        ({"taskid": True}, "taskid=True: give a whole number"),
        ({"taskid": 2**63}, "taskid=9223372036854775808: give a whole number of 64 bits"),
        ({"cached": 1}, "cached=1: give True"),
        ({"cached": "yes"}, "cached='yes': give True, False, or None for both"),
        ({"cached": True, "kind": "rejected"}, "kind is that of queries that were not cached"),
        ({"kind": "slow"}, "kind='slow': the kinds are disconn, rejected, procerror, first query"),
        ({"min_querytime": -1}, "min_querytime=-1: give milliseconds, 0 or more"),
        ({"since": "2026-10-02", "until": "2026-10-02"}, r"until \(2026-10-02 00:00 UTC\) must be later than since"),
        ({"until": 7}, "7 is not a time"),
        ({"node": "/a"}, "A selection has no node. It has: since, until, db"),
    ],
)
def test_invalid_values_are_refused(where: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidRequestError, match=message):
        Selection().but(**where)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "This is no selection in JSON"),
        ("[1]", r"an object such as \{\}, not \[1\]"),
        ('{"databases": ["A"]}', "has no databases"),
        ('{"since": "soon"}', "'soon' is not a time"),
    ],
)
def test_invalid_json_is_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidRequestError, match=message):
        Selection.from_json(text)


@pytest.mark.parametrize("selection", ["CONDBR2", {"db": "CONDBR2"}])
@pytest.mark.parametrize(
    "call",
    [
        lambda dataset, selection: fl.report(dataset, selection),
        lambda dataset, selection: fl.caching.efficiency(
            dataset, fl.sample.settings(), selection=selection, progress=False
        ),
        lambda dataset, selection: fl.caching.explain(dataset, fl.sample.settings(), selection=selection, **FOLDER),
        lambda dataset, selection: fl.caching.what_if(dataset, fl.sample.settings(), selection=selection, **FOLDER),
        lambda dataset, selection: contents.folders(dataset, selection=selection),
        lambda dataset, selection: contents.tasks(dataset, selection=selection),
        lambda _, selection: fl.extract(
            fl.sample.settings(), source=fl.sample.path(), selection=selection, dry_run=True
        ),
    ],
)
def test_a_function_refuses_what_is_no_selection(
    call: Callable[[Dataset, object], object], selection: object, tmp_path: Path
) -> None:
    dataset = make_dataset(tmp_path / "day", [{"db": "CONDBR2"}])
    with pytest.raises(InvalidRequestError, match=r"^selection=.* is not valid: give a frontierlab\.Selection\.$"):
        call(dataset, selection)
