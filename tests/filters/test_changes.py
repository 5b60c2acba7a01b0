"""What changed between two selections: the answer, the statement, and the figure."""

from datetime import timedelta
from pathlib import Path
from typing import Any, TypeAlias

import pandas as pd
import pytest
from bokeh.models import HBar, HoverTool
from bokeh.models.annotations import Label, Legend
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession

import frontierlab as fl
from frontierlab import plots
from frontierlab.engines import Logs
from frontierlab.errors import DatasetError, InvalidRequestError
from frontierlab.filters.changes import CHANGE_KEYS, CHANGES
from tests.support import duck
from tests.support.examples import examples
from tests.support.logs import START, make_dataset
from tests.support.random_logs import NASTY, WORLDS, World, selections, world
from tests.support.reference_filters import Rows, changed

HOUR = 3_600_000
BEFORE = fl.Selection(since="2026-10-01", until="2026-10-01T01:00")
NOW = BEFORE.shifted(timedelta(hours=1))
SHARED = settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
Expected: TypeAlias = dict[tuple[Any, ...], tuple[int, ...]]

ranked = st.sampled_from(CHANGES)
tops = st.none() | st.integers(1, 3)


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Logs:
    data = [
        {"time": START, "schema": "A", "nodefullpath": "/a", "taskid": 1, "fsize": 10, "cached": False},
        {"time": START, "schema": "A", "nodefullpath": "/b", "taskid": 1, "fsize": 10, "cached": True},
        {"time": START + HOUR, "schema": "A", "nodefullpath": "/b", "taskid": 2, "fsize": 7, "cached": False},
        {"time": START + HOUR, "schema": "A", "nodefullpath": "/b", "taskid": 2, "rejected": True, "cached": False},
        {"time": START + HOUR, "schema": "A", "nodefullpath": "/c", "taskid": 2, "taskname": "it's"},
        {"time": START + HOUR, "schema": "A", "frontierserver": "s", "fsize": 100, "cached": False},
    ]
    return fl.open_logs(make_dataset(tmp_path_factory.mktemp("logs") / "known", data))


def plain(value: Any) -> Any:
    return None if value is pd.NA else value


def found(frame: pd.DataFrame, what: str, *columns: str) -> list[tuple[Any, ...]]:
    kind = frame[frame["what"] == what][[*CHANGE_KEYS[what], *columns]]
    return [tuple(map(plain, row)) for row in kind.itertuples(index=False)]


def test_the_largest_change_of_share_comes_first(logs: Logs) -> None:
    frame = fl.what_changed((logs, BEFORE), (logs, NOW))
    assert frame["what"].unique().tolist() == ["folder", "tag", "task", "server"]
    assert found(frame, "folder", "queries_before", "queries", "share_before", "share", "share_change", "part") == [
        ("CONDBR2", "A", "/a", 1, 0, 50.0, 0.0, -50.0, "named"),
        ("CONDBR2", "A", "/c", 0, 1, 0.0, 25.0, 25.0, "named"),
        ("CONDBR2", "A", "/b", 1, 2, 50.0, 50.0, 0.0, "named"),
        ("CONDBR2", "A", None, 0, 1, 0.0, 25.0, 25.0, "missing"),
    ]
    assert found(frame, "task", "taskname", "queries_change") == [(1, None, -2), (2, "it's", 3), (None, None, 1)]
    answered = frame.attrs.pop("answered")
    assert (answered["engine"], answered["from"]) == ("duckdb", "queries")
    assert frame.attrs == {
        "filter": "what_changed",
        "selection": "from 2026-10-01 01:00 UTC, to 2026-10-01 02:00 UTC",
        "before": "from 2026-10-01 00:00 UTC, to 2026-10-01 01:00 UTC",
        "by": "share",
    }


def test_top_adds_up_other_groups_by_bytes_and_failures(logs: Logs) -> None:
    by_bytes = fl.what_changed((logs, BEFORE), (logs, NOW), by="bytes", top=1)
    assert found(by_bytes, "folder", "bytes_before", "bytes", "bytes_change", "part", "groups") == [
        ("CONDBR2", "A", "/a", 10, 0, -10, "named", 1),
        (None, None, None, 0, 7, 7, "other", 2),
        ("CONDBR2", "A", None, 0, 100, 100, "missing", 1),
    ]
    by_failures = fl.what_changed((logs, BEFORE), (logs, NOW), by="failures", top=1)
    assert found(by_failures, "folder", "failures_change")[0] == ("CONDBR2", "A", "/b", 1)


def test_a_side_without_queries(logs: Logs) -> None:
    nothing = fl.Selection(db="nix")
    new = fl.what_changed((logs, nothing), logs)
    assert found(new, "folder", "queries", "share_before", "share_change")[0] == ("CONDBR2", "A", "/b", 3, None, None)
    assert len(fl.what_changed((logs, nothing), (logs, nothing))) == 0
    assert fl.what_changed((logs, nothing), (logs, nothing)).dtypes.equals(new.dtypes)


@pytest.mark.spark
def test_the_statement_shows_both_sides_and_runs_by_hand_in_spark(running: SparkSession, logs: Logs) -> None:
    statement = fl.what_changed.sql(BEFORE.but(schema="A"), NOW.but(schema="it's; --"))
    assert "FROM {before}\nWHERE schema = :before_schema" in statement.text
    assert "FROM {now}\nWHERE schema = :now_schema" in statement.text
    assert str(statement).endswith("-- :now_until = '2026-10-01T02:00:00.000+00:00'")
    assert "it's" not in statement.text
    both = {side: logs.to_spark(running) for side in ("before", "now")}
    answer = running.sql(statement.text, args=dict(statement.args), **both).collect()
    assert sum(row.queries_before for row in answer if row.what == "server") == 2
    assert not any(row.queries for row in answer)


def test_datasets_are_opened(tmp_path: Path) -> None:
    one = make_dataset(tmp_path / "one", [{"nodefullpath": "/a"}])
    two = make_dataset(tmp_path / "two", [{"nodefullpath": "/a"}, {"nodefullpath": "/a"}])
    assert found(fl.what_changed(one, two), "folder", "queries_before", "queries")[0][-2:] == (1, 2)
    with pytest.raises(DatasetError, match="incomplete"):
        fl.what_changed(one, make_dataset(tmp_path / "three", [{}], missing=1))


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"by": "queries"}, "by='queries': give one of share, bytes, failures"),
        ({"top": 0}, "top=0: give a whole number"),
        ({"a": 7}, "a=7: give logs"),
        ({"b": (None, BEFORE)}, "b=.*: give logs"),
    ],
)
def test_invalid_values_are_refused(keywords: dict[str, Any], message: str, tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "day", [{}])
    with pytest.raises(InvalidRequestError, match=message):
        fl.what_changed(**{"a": dataset, "b": dataset} | keywords)


# ---- the same answers as another way to count them --------------------------------------------------


def expected(logs: Rows, before: fl.Selection, now: fl.Selection, what: str, by: str, top: int | None) -> Expected:
    """Return (queries, bytes, failures) now and before by name and part, and whether the name is surely shown."""
    sums = changed(logs, before, now, CHANGE_KEYS[what])
    whole = [sum(counts[place] for counts in sums.values()) for place in (0, 3)]

    def size(counts: tuple[int, ...]) -> float:
        if by == "share":
            return abs(100 * (counts[0] / (whole[0] or 1)) - 100 * (counts[3] / (whole[1] or 1)))
        measure = {"bytes": 1, "failures": 2}[by]
        return abs(counts[measure] - counts[measure + 3])

    named = sorted((name for name in sums if name[-1] is not None), key=lambda name: -size(sums[name]))
    least = size(sums[named[top - 1]]) if top is not None and len(named) > top else None
    return {
        (*name, "missing" if name[-1] is None else "named"): (*counts, least is None or size(counts) > least)
        for name, counts in sums.items()
    }


def sides(data: st.DataObject, logs: World) -> tuple[fl.Selection, fl.Selection]:
    """Draw the selections of both sides, mostly an hour each."""
    before, now = (data.draw(selections(logs.seed)) for _ in range(2))
    if data.draw(st.integers(0, 3)):
        return before.but(since=BEFORE.since, until=BEFORE.until), now.but(since=NOW.since, until=NOW.until)
    return before, now


@settings(SHARED, max_examples=examples(300))
@given(data=st.data(), seed=st.integers(0, WORLDS - 1))
def test_the_statement_counts_both_sides(data: st.DataObject, seed: int) -> None:
    logs = world(seed)
    before, now = sides(data, logs)
    found = duck.fetch(fl.what_changed.sql(before, now), before=logs.table, now=logs.table)
    columns = [*dict.fromkeys(column for keys in CHANGE_KEYS.values() for column in keys)]
    for what, keys in CHANGE_KEYS.items():
        wanted = changed(logs.rows, before, now, keys)
        got = {}
        for kind, *row in found:
            if kind == what:
                named, counts = row[: len(columns)], row[len(columns) + 1 :]
                key = tuple(named[columns.index(column)] for column in keys)
                assert key not in got
                got[key] = tuple(counts[place] for place in (0, 2, 4, 1, 3, 5))
        assert got == wanted


@settings(SHARED, max_examples=examples(25))
@given(data=st.data(), seed=st.integers(0, WORLDS - 1), by=ranked, top=tops)
def test_the_frame_agrees_with_another_way_to_count(data: st.DataObject, seed: int, by: Any, top: int | None) -> None:
    logs = world(seed)
    agrees(logs.logs, logs, *sides(data, logs), by, top)


@pytest.mark.spark
@settings(SHARED, max_examples=4)
@given(data=st.data(), by=ranked, top=tops)
def test_the_frame_agrees_with_another_way_to_count_in_spark(
    in_spark: list[tuple[World, Logs]], data: st.DataObject, by: Any, top: int | None
) -> None:
    logs, frame = data.draw(st.sampled_from(in_spark))
    agrees(frame, logs, *sides(data, logs), by, top)


def test_names_that_look_like_code_are_only_names(tmp_path: Path) -> None:
    names = ["{now}", ":since", *NASTY]
    data = [{"db": name, "schema": name, "nodefullpath": name} for name in names]
    logs = fl.open_logs(make_dataset(tmp_path / "names", data))
    frame = fl.what_changed(logs, (logs, fl.Selection(schema=names, db=names)), top=None)
    assert {name[0] for name in found(frame, "folder", "queries") if name[-1] == 1} == set(names)


def agrees(logs: Any, world: World, before: fl.Selection, now: fl.Selection, by: Any, top: int | None) -> None:
    frame = fl.what_changed((logs, before), (logs, now), by=by, top=top)
    wanted = {what: expected(world.rows, before, now, what, by, top) for what in CHANGE_KEYS}
    measures = ["queries", "bytes", "failures", "queries_before", "bytes_before", "failures_before"]
    for what in CHANGE_KEYS:
        kind = frame[frame["what"] == what]
        got = {row[: -len(measures)]: row[-len(measures) :] for row in found(kind, what, "part", *measures)}
        if top is None:
            assert got == {name: counts[:-1] for name, counts in wanted[what].items()}
        alone = {name: counts for name, counts in got.items() if name[-1] == "named"}
        assert len(alone) == min(top or len(got), sum(name[-1] == "named" for name in wanted[what])) or top is None
        for name, counts in alone.items():
            assert counts == wanted[what][name][:-1]
        surely = {name for name, counts in wanted[what].items() if name[-1] == "named" and counts[-1]}
        assert surely <= alone.keys()
        totals = [sum(column) for column in zip(*(counts[:-1] for counts in wanted[what].values()), strict=True)]
        assert [int(kind[name].sum()) for name in measures] == (totals or [0] * 6)
        changes = kind[kind["part"] == "named"][f"{by}_change"].abs().dropna().tolist()
        assert changes == sorted(changes, reverse=True)
        for suffix in ("", "_before"):
            if kind[f"queries{suffix}"].sum():
                assert kind[f"share{suffix}"].sum() == pytest.approx(100)
            else:
                assert kind[f"share{suffix}"].isna().all()


# ---- the figure ------------------------------------------------------------------------------------


def test_the_figure_shows_more_and_less_of_each_kind(logs: Logs) -> None:
    frame = fl.what_changed((logs, BEFORE), (logs, NOW), by="bytes")
    copy = frame.copy()
    plot = plots.what_changed(frame, top=1)
    pd.testing.assert_frame_equal(frame, copy)
    less, more = [renderer for renderer in plot.renderers if isinstance(renderer.glyph, HBar)]
    assert [item.label.value for item in plot.select_one(Legend).items] == ["less", "more"]
    assert less.data_source.data["name"] == ["/a", "1", "(none named)"]
    assert less.data_source.data["bytes_text"][0] == "0 bytes; before 10 bytes (-10 bytes)"
    assert "(2 others)" in more.data_source.data["name"]
    assert "(none named)" in more.data_source.data["name"]
    headings = sorted(plot.select(Label), key=lambda label: label.y)
    assert [label.text for label in headings] == ["Folders", "Tags", "Tasks", "Servers"]
    assert len(plot.select_one(HoverTool).renderers) == 2
    assert plot.xaxis[0].axis_label == "change (bytes)"
    assert plot.x_range.start < -10
    assert plot.x_range.end > 100


def test_an_empty_figure_says_why(logs: Logs) -> None:
    nothing = fl.Selection(db="nix")
    for a, b, by, reason in (
        ((logs, nothing), (logs, nothing), "bytes", "Neither now nor before does any query match."),
        ((logs, nothing), logs, "share", "There are no queries before, so that no share changed."),
        (logs, (logs, nothing), "share", "There are no queries now, so that no share changed."),
        (logs, logs, "failures", "Nothing changed: the failures of all are the same as before."),
    ):
        plot = plots.what_changed(fl.what_changed(a, b, by=by))
        assert [label.text for label in plot.select(Label)] == [reason]


def test_another_frame_is_refused() -> None:
    with pytest.raises(
        InvalidRequestError, match=r"no column .*: plots\.what_changed takes what frontierlab\.what_changed"
    ):
        plots.what_changed(pd.DataFrame({"what": []}))
