"""What changed between two selections: the answer, the statement, and the figure."""

import math
from collections import defaultdict
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any

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
from frontierlab.filters.changes import CHANGES, changes_from
from frontierlab.filters.changes_statement import BINS, CHANGE_KEYS
from frontierlab.filters.costs import COSTS
from frontierlab.util.times import format_time, from_milliseconds
from tests.support import duck
from tests.support import reference_significance as reference
from tests.support.examples import examples
from tests.support.logs import START, make_dataset
from tests.support.random_logs import COVERED, NASTY, WORLDS, World, selections, world
from tests.support.reference_filters import changed, in_bins, milliseconds
from tests.support.spark_options import for_once

HOUR = 3_600_000
BEFORE = fl.Selection(since="2026-10-01", until="2026-10-01T01:00")
NOW = BEFORE.shifted(timedelta(hours=1))
TWO_HOURS = {"since": "2026-10-01T00:00:00.000Z", "until": "2026-10-01T02:00:00.000Z"}
SHARED = settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
SUMS = [*COSTS]

ranked = st.sampled_from(CHANGES)
kinds = st.lists(st.sampled_from([*CHANGE_KEYS]), min_size=1, unique=True)
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
    return fl.open_logs(make_dataset(tmp_path_factory.mktemp("logs") / "known", data, request=TWO_HOURS))


def plain(value: Any) -> Any:
    return None if value is pd.NA else value


def found(frame: pd.DataFrame, what: str, *columns: str) -> list[tuple[Any, ...]]:
    kind = frame[frame["what"] == what][[*CHANGE_KEYS[what], *columns]]
    return [tuple(map(plain, row)) for row in kind.itertuples(index=False)]


@pytest.mark.slow
def test_what_appears_and_disappears_is_said(logs: Logs) -> None:
    frame = fl.what_changed((logs, BEFORE), (logs, NOW))
    assert frame["what"].unique().tolist() == ["schema", "folder", "tag", "task", "server", "site", "squid"]
    assert found(frame, "folder", "queries_before", "queries", "verdict", "factor", "rate_change", "part") == [
        ("CONDBR2", "A", "/a", 1, 0, "gone", 0.0, -1.0, "named"),
        ("CONDBR2", "A", "/b", 1, 2, "same", 2.0, 1.0, "named"),
        ("CONDBR2", "A", "/c", 0, 1, "new", None, 1.0, "named"),
        ("CONDBR2", "A", None, 0, 1, "new", None, 1.0, "missing"),
    ]
    assert found(frame, "task", "taskname", "queries_change") == [(2, "it's", 3), (1, None, -2), (None, None, 1)]
    assert not frame["significant"].any()
    answered = frame.attrs.pop("answered")
    assert (answered["engine"], answered["from"]) == ("duckdb", "queries")
    assert frame.attrs == {
        "filter": "what_changed",
        "selection": "from 2026-10-01 01:00 UTC, to 2026-10-01 02:00 UTC",
        "before": "from 2026-10-01 00:00 UTC, to 2026-10-01 01:00 UTC",
        "rank_by": "queries",
        "hours": 1.0,
        "hours_before": 1.0,
    }


def test_shares_can_be_compared_too(logs: Logs) -> None:
    frame = fl.what_changed((logs, BEFORE), (logs, NOW), by="share", what=["folder"])
    assert frame["what"].unique().tolist() == ["folder"]
    assert found(frame, "folder", "share_before", "share", "share_change", "rate_change")[:3] == [
        ("CONDBR2", "A", "/a", 50.0, 0.0, -50.0, -50.0),
        ("CONDBR2", "A", "/c", 0.0, 25.0, 25.0, 25.0),
        ("CONDBR2", "A", "/b", 50.0, 50.0, 0.0, 0.0),
    ]


@pytest.mark.slow
def test_top_adds_up_other_groups_by_bytes_and_failures(logs: Logs) -> None:
    by_bytes = fl.what_changed((logs, BEFORE), (logs, NOW), rank_by="bytes", top=1)
    assert found(by_bytes, "folder", "bytes_before", "bytes", "bytes_change", "part", "groups", "verdict") == [
        ("CONDBR2", "A", "/a", 10, 0, -10, "named", 1, "gone"),
        (None, None, None, 0, 7, 7, "other", 2, None),
        ("CONDBR2", "A", None, 0, 100, 100, "missing", 1, "new"),
    ]
    by_failures = fl.what_changed((logs, BEFORE), (logs, NOW), rank_by="failures", top=1)
    assert found(by_failures, "folder", "failures_change")[0] == ("CONDBR2", "A", "/b", 1)


@pytest.mark.slow
def test_a_side_without_queries(logs: Logs) -> None:
    nothing = fl.Selection(db="nix")
    new = fl.what_changed((logs, nothing), logs)
    assert found(new, "folder", "queries", "share_before", "verdict")[0] == ("CONDBR2", "A", "/b", 3, None, "new")
    shares = fl.what_changed((logs, nothing), logs, rank_by="share")
    assert shares["significance"].isna().all()
    assert not shares["significant"].any()
    assert len(fl.what_changed((logs, nothing), (logs, nothing))) == 0
    assert fl.what_changed((logs, nothing), (logs, nothing)).dtypes.equals(new.dtypes)


# ---- a flood, and windows that are not as long or not wholly covered ------------------------------------

DAY = {"since": "2026-10-01T00:00:00.000Z", "until": "2026-10-02T00:00:00.000Z"}
MORNING = fl.Selection(since="2026-10-01", until="2026-10-01T06:00")
NOON = MORNING.shifted(timedelta(hours=6))


def steady(name: str, per_hour: int, hours: range, **more: Any) -> list[dict[str, Any]]:
    """Return queries of a folder at a steady rate, from servers, sites and tasks in turn."""
    every = HOUR // per_hour
    return [
        {
            "time": START + hour * HOUR + n * every, "schema": name, "nodefullpath": f"/{name}", "tagname": f"{name}-1",
            "frontierserver": f"s{n % 3}", "computingsite": f"site-{n % 4}", "squid": f"squid-{n % 5}", "taskid": n % 2,
            "cached": False, "fsize": 1_000, "dbtime": 50, "querytime": 80, **more,
        }
        for hour in hours
        for n in range(per_hour)
    ]  # fmt: skip


@pytest.fixture(scope="module")
def flood(tmp_path_factory: pytest.TempPathFactory) -> Logs:
    """Eight steady folders, of which one has a flood from 8:00 on by one task at one site; another ends at 6:00."""
    rows = [row for n in range(8) for row in steady(f"F{n}", 20 * (n + 1), range(24))]
    rows += steady("F2", 2_400, range(8, 10), taskid=77, computingsite="bad", frontierserver="s1", rejected=True)
    rows += steady("GONE", 50, range(6))
    return fl.open_logs(make_dataset(tmp_path_factory.mktemp("flood") / "day", rows, request=DAY))


@pytest.mark.slow
@pytest.mark.parametrize("rank_by", ["queries", "bytes", "dbtime_ms", "querytime_ms"])
def test_a_flood_puts_no_innocent_folder_first(flood: Logs, rank_by: Any) -> None:
    frame = fl.what_changed((flood, MORNING), (flood, NOON), rank_by=rank_by)
    folders = frame[frame["what"] == "folder"].set_index("nodefullpath")
    assert folders.index[:2].tolist() == ["/F2", "/GONE"]
    assert folders.loc["/F2", ["verdict", "significant"]].tolist() == ["more", True]
    assert folders.loc["/GONE", ["verdict", "significant", "factor"]].tolist() == ["gone", True, 0]
    innocent = folders.drop(["/F2", "/GONE"])
    assert innocent["factor"].tolist() == [1.0] * 7
    assert innocent["significance"].tolist() == [0.0] * 7
    assert set(innocent["verdict"]) == {"same"}
    assert not innocent["significant"].any()
    assert (innocent["share_change"] < 0).all()  # though the share of each fell
    for what, name in (("schema", "F2"), ("tag", "F2-1"), ("site", "bad"), ("server", "s1"), ("task", 77)):
        first = frame[frame["what"] == what].iloc[0]
        assert first[CHANGE_KEYS[what][-1]] == name
        assert first["significant"]
        assert first["verdict"] == ("new" if what in ("site", "task") else "more")
    failures = fl.what_changed((flood, MORNING), (flood, NOON), rank_by="failures", what=["folder"])
    assert failures.loc[failures["significant"], "nodefullpath"].tolist() == ["/F2"]


@pytest.mark.slow
def test_a_flood_that_ended_is_as_significant(flood: Logs) -> None:
    there, back = (
        fl.what_changed(*sides, what=["folder"]).set_index("nodefullpath")
        for sides in (((flood, MORNING), (flood, NOON)), ((flood, NOON), (flood, MORNING)))
    )
    assert back.loc["/F2", "verdict"] == "less"
    assert (back["significance"] + there["significance"].reindex(back.index)).abs().max() < 1e-9


def test_windows_of_different_lengths_are_compared_by_rate(flood: Logs) -> None:
    evening = fl.Selection(since="2026-10-01T12:00", until="2026-10-02")
    frame = fl.what_changed((flood, MORNING), (flood, evening), what=["folder"]).set_index("nodefullpath")
    assert (frame.attrs["hours_before"], frame.attrs["hours"]) == (6, 12)
    assert frame.loc[frame["significant"]].index.tolist() == ["/GONE"]
    assert frame.drop("/GONE")["factor"].tolist() == [1.0] * 8
    assert frame.loc["/F0", ["queries_before", "queries", "rate_before", "rate"]].tolist() == [120, 240, 20, 20]


def test_rates_are_of_the_time_that_the_data_cover(flood: Logs) -> None:
    later = fl.Selection(since="2026-10-01T18:00", until="2026-10-02T06:00")
    frame = fl.what_changed((flood, NOON.shifted(timedelta(hours=6))), (flood, later), what="folder")
    assert (frame.attrs["hours_before"], frame.attrs["hours"]) == (6, 6)
    assert not frame["significant"].any()
    assert frame["factor"].tolist() == [1.0] * 8
    assert frame.attrs["notes"] == [
        "The dataset day covers 50 % of the time from 2026-10-01 18:00 to 2026-10-02 06:00 UTC. Not covered: from "
        "2026-10-02 00:00 to 2026-10-02 06:00 UTC."
    ]


@pytest.mark.slow
def test_a_gap_between_datasets_is_no_decrease(flood: Logs, tmp_path: Path) -> None:
    rows = [row for n in range(8) for row in steady(f"F{n}", 20 * (n + 1), range(24))]
    days = []
    for name, first, last in (("a", 0, 7), ("b", 10, 24)):
        request = {
            side: f"{format_time(from_milliseconds(START + h * HOUR))}"
            for side, h in (("since", first), ("until", last))
        }
        inside = [row for row in rows if first * HOUR <= row["time"] - START < last * HOUR]
        days.append(make_dataset(tmp_path / name, inside, request=request))
    logs = fl.open_logs(days)
    frame = fl.what_changed((logs, MORNING), (logs, NOON), what=["folder"])
    assert (frame.attrs["hours_before"], frame.attrs["hours"]) == (6, 3)
    assert frame["factor"].tolist() == [1.0] * 8
    assert not frame["significant"].any()
    assert "cover 50 % of the time from 2026-10-01 06:00 to 2026-10-01 12:00 UTC" in frame.attrs["notes"][-1]
    with pytest.raises(InvalidRequestError, match="The datasets a, b cover nothing of the time from 2026-10-01 07:00"):
        fl.what_changed((logs, MORNING), (logs, fl.Selection(since="2026-10-01T07:00", until="2026-10-01T09:30")))


def test_a_window_that_the_data_do_not_reach_is_refused(flood: Logs) -> None:
    yesterday = MORNING.shifted(timedelta(days=-1))
    told = (
        r"The dataset day covers nothing of the time from 2026-09-30 00:00 UTC to 2026-09-30 06:00 UTC\. Covered: from "
        r"2026-10-01 00:00 to 2026-10-02 00:00 UTC\. Nothing can be compared with that: choose since, until"
    )
    for sides in ([(flood, yesterday), (flood, MORNING)], [(flood, MORNING), yesterday.of(flood)]):
        with pytest.raises(InvalidRequestError, match=told):
            fl.what_changed(*sides)


@pytest.mark.spark
def test_the_statement_shows_both_sides_and_runs_by_hand_in_spark(running: SparkSession, logs: Logs) -> None:
    statement = fl.what_changed.sql(BEFORE.but(schema="A"), NOW.but(schema="it's; --"))
    assert "FROM {before}\nWHERE schema = :before_schema" in statement.text
    assert "FROM {now}\nWHERE schema = :now_schema" in statement.text
    assert str(statement).endswith("-- :now_bin_11 = '2026-10-01T01:55:00.000+00:00'")
    assert "it's" not in statement.text
    both = {side: logs.to_spark(running) for side in ("before", "now")}
    answer = running.sql(statement.text, args=dict(statement.args), **both).collect()
    assert [(row.side, row.bin, row.queries) for row in answer if row.what == "server"] == [("before", 0, 2)]
    assert {row.side for row in answer} == {"before"}


@pytest.mark.slow
def test_datasets_are_opened(tmp_path: Path) -> None:
    one = make_dataset(tmp_path / "one", [{"nodefullpath": "/a"}])
    two = make_dataset(tmp_path / "two", [{"nodefullpath": "/a"}, {"nodefullpath": "/a"}])
    assert found(fl.what_changed(one, two), "folder", "queries_before", "queries")[0][-2:] == (1, 2)
    with pytest.raises(DatasetError, match="incomplete"):
        fl.what_changed(one, make_dataset(tmp_path / "three", [{}], missing=1))


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"by": "size"}, "rank_by='size': give one of queries, bytes, dbtime_ms, querytime_ms, failures, share"),
        ({"what": "node"}, "what='node': give one or some of schema, folder, tag, task, server, site, squid"),
        ({"what": []}, r"what=\[\]: give one or some of"),
        ({"top": 0}, "top=0: give a whole number"),
        ({"a": 7}, "a=7: give logs"),
        ({"b": (None, BEFORE)}, "b=.*: give logs"),
    ],
)
def test_invalid_values_are_refused(keywords: dict[str, Any], message: str, tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "day", [{}])
    with pytest.raises(InvalidRequestError, match=message):
        fl.what_changed(**{"a": dataset, "b": dataset} | keywords)


# ---- the same answers as another way to count --------------------------------------------------


def sides(data: st.DataObject, logs: World) -> tuple[fl.Selection, fl.Selection]:
    """Draw the selections of both sides, mostly an hour each."""
    before, now = (data.draw(selections(logs.seed)) for _ in range(2))
    if data.draw(st.integers(0, 3)):
        return before.but(since=BEFORE.since, until=BEFORE.until), now.but(since=NOW.since, until=NOW.until)
    return before, now


@pytest.mark.slow
@settings(SHARED, max_examples=examples(100))
@given(data=st.data(), seed=st.integers(0, WORLDS - 1), what=kinds)
def test_the_statement_counts_both_sides(data: st.DataObject, seed: int, what: list[str]) -> None:
    logs = world(seed)
    before, now = sides(data, logs)
    statement = fl.what_changed.sql(before, now, what=what)
    found = duck.fetch(statement, before=logs.table, now=logs.table)
    names = statement.text.split("AS what, side, bin,\n")[1].split(",\n")[0].strip().split(", ")
    counted = {kind for kind, *_ in found}
    for kind, keys in CHANGE_KEYS.items():
        if kind not in counted:
            continue
        got: dict[tuple[Any, ...], list[int]] = defaultdict(lambda: [0] * 2 * len(SUMS))
        for one, side, bin_, *row in found:
            assert 0 <= bin_ < BINS
            if one == kind:
                key = tuple(row[names.index(column)] for column in keys)
                for place, value in enumerate(row[len(names) : len(names) + len(SUMS)]):
                    got[key][place + len(SUMS) * (side == "before")] += value
        assert {key: tuple(counts) for key, counts in got.items()} == changed(logs.rows, before, now, keys)


@pytest.mark.slow
@settings(SHARED, max_examples=examples(12))
@given(data=st.data(), seed=st.integers(0, WORLDS - 1), by=ranked, top=tops)
def test_the_frame_agrees_with_another_way_to_count(data: st.DataObject, seed: int, by: Any, top: int | None) -> None:
    logs = world(seed)
    agrees(logs.logs, logs, *sides(data, logs), by, top)


@pytest.mark.slow
@settings(SHARED, max_examples=examples(8))
@given(data=st.data(), seed=st.integers(0, WORLDS - 1), top=tops, what=kinds)
def test_windows_that_are_counted_together_are_those_alone(
    data: st.DataObject, seed: int, top: int | None, what: list[str]
) -> None:
    logs = world(seed)
    (before, now), later = sides(data, logs), data.draw(selections(seed))
    pairs = [(logs.logs, one) for one in (before, now, later)]
    asked: Any = [kind for kind in CHANGE_KEYS if kind in what]
    together = changes_from(*pairs, rank_by="queries", top=top, what=asked)
    fewer = changes_from(*pairs, rank_by="queries", top=top, what=asked, counted=["queries"])
    alone = [
        fl.what_changed(pairs[0], pairs[1], top=top, what=asked),
        fl.what_changed(pairs[0], pairs[2], top=None, what=asked),
    ]
    for whole, part, one in zip(together, fewer, alone, strict=True):
        pd.testing.assert_frame_equal(whole, one)
        pd.testing.assert_frame_equal(part, one[[*part]])
        assert {name.removesuffix("_before").removesuffix("_change") for name in {*one} - {*part}} == {*COSTS} - {
            "queries"
        }
        for frame in (whole, part, one):
            del frame.attrs["answered"]
        assert whole.attrs == part.attrs == one.attrs


@pytest.mark.spark
@settings(SHARED, max_examples=1)
@given(data=st.data())
def test_the_frame_agrees_with_another_way_to_count_in_spark(
    in_spark: list[tuple[World, Logs]], running: SparkSession, data: st.DataObject
) -> None:
    for options in (nullcontext(), for_once(running)):
        logs, frame = data.draw(st.sampled_from(in_spark))
        with options:
            agrees(frame, logs, *sides(data, logs), data.draw(ranked), data.draw(tops))


@pytest.mark.slow
def test_names_that_look_like_code_are_only_names(tmp_path: Path) -> None:
    names = ["{now}", ":since", *NASTY]
    data = [{"db": name, "schema": name, "nodefullpath": name} for name in names]
    logs = fl.open_logs(make_dataset(tmp_path / "names", data))
    frame = fl.what_changed(logs, (logs, fl.Selection(schema=names, db=names)), top=None)
    assert {name[0] for name in found(frame, "folder", "queries") if name[-1] == 1} == set(names)


def agrees(logs: Any, world: World, before: fl.Selection, now: fl.Selection, by: Any, top: int | None) -> None:
    frame = fl.what_changed((logs, before), (logs, now), rank_by=by, top=top)
    measures = [*SUMS, *(f"{name}_before" for name in SUMS)]
    for what, keys in CHANGE_KEYS.items():
        kind = frame[frame["what"] == what]
        wanted = changed(world.rows, before, now, keys)
        judged = judgements(world, before, now, keys, by)
        rows = {row[: len(keys)]: row[len(keys) :] for row in found(kind, what, "part", "groups", *JUDGED, *measures)}
        alone = {name: row for name, row in rows.items() if row[0] == "named"}
        assert len(alone) == min(top or len(wanted), sum(name[-1] is not None for name in wanted))
        if top is None:
            assert rows.keys() == wanted.keys()
        for name, (_, _, significance, significant, verdict, rate, rate_before, factor, *sums) in alone.items():
            assert tuple(sums) == wanted[name]
            deviate, taken = judged[name]
            assert (significance is None and math.isnan(deviate)) or significance == pytest.approx(deviate, abs=1e-6)
            assert bool(significant) == taken
            assert_rates(before, now, by, wanted, name, (rate, rate_before, factor), verdict, taken)
        totals = [sum(column) for column in zip(*wanted.values(), strict=True)]
        assert [int(kind[name].sum()) for name in measures] == (totals or [0] * len(measures))
        named = kind[kind["part"] == "named"]
        order = [*zip(named["significant"].fillna(False), named["rate_change"].fillna(0).abs(), strict=True)]
        assert order == sorted(order, reverse=True)


JUDGED = ("significance", "significant", "verdict", "rate", "rate_before", "factor")


def window(selection: fl.Selection) -> tuple[int, int]:
    """Return the milliseconds of a selection's window; the random logs cover all of it."""
    since = COVERED[0] if selection.since is None else milliseconds(selection.since)
    return since, COVERED[1] if selection.until is None else milliseconds(selection.until)


def judgements(
    world: World, before: fl.Selection, now: fl.Selection, keys: tuple[str, ...], by: str
) -> dict[tuple[Any, ...], tuple[float, bool]]:
    """Return the significance of each group's change, and whether it is taken for one."""
    windows = [window(side) for side in (now, before)]
    bins = [BINS if stop - start >= BINS else 1 for start, stop in windows]
    cells = [
        in_bins(world.rows, side, keys, one, number)
        for side, one, number in zip((now, before), windows, bins, strict=True)
    ]
    groups = [*{**cells[0], **cells[1]}]
    measure = SUMS.index("queries" if by == "share" else by)
    behind = {"bytes": len(SUMS), "dbtime_ms": len(SUMS), "querytime_ms": 0}.get(by, measure)
    empty = [[[0] * (len(SUMS) + 1)] * number for number in bins]
    values, numbers, exposures = [], [0] * len(groups), []
    for one, none, number, (start, stop) in zip(cells, empty, bins, windows, strict=True):
        side = [one.get(group, none) for group in groups]
        values.append([[cell[measure] for cell in row] for row in side])
        numbers = [n + sum(cell[behind] for cell in row) for n, row in zip(numbers, side, strict=True)]
        shares = [sum(row[place] for row in values[-1]) for place in range(number)]
        exposures.append(shares if by == "share" else [(stop - start) / number] * number)
    found = reference.deviates(values[0], values[1], exposures[0], exposures[1], numbers)
    return dict(zip(groups, zip(found, reference.significant(found), strict=True), strict=True))


def assert_rates(
    before: fl.Selection, now: fl.Selection, by: str, sums: Any, name: Any, rates: Any, verdict: str, taken: bool
) -> None:
    places = [(SUMS.index("queries" if by == "share" else by)) + side for side in (0, len(SUMS))]
    values = []
    for place, (start, stop) in zip(places, (window(now), window(before)), strict=True):
        whole = sum(counts[place] for counts in sums.values()) / 100 if by == "share" else (stop - start) / HOUR
        values.append(sums[name][place] / whole if whole else None)
    rate, rate_before, factor = rates
    for got, wanted in ((rate, values[0]), (rate_before, values[1])):
        assert got == (None if wanted is None else pytest.approx(wanted))
    positive = [value is not None and value > 0 for value in values]
    assert (factor is None) == (not positive[1] or values[0] is None)
    if factor is not None:
        assert factor == pytest.approx(values[0] / values[1])
    up = "more" if None not in values and values[0] > values[1] else "less"
    assert verdict == {(True, False): "new", (False, True): "gone"}.get(tuple(positive), up if taken else "same")


# ---- the figure ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_figure_shows_more_and_less_of_each_kind(logs: Logs) -> None:
    frame = fl.what_changed((logs, BEFORE), (logs, NOW), rank_by="bytes")
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
    assert [label.text for label in headings] == ["Schemas", "Folders", "Tags", "Tasks", "Servers", "Sites", "Squids"]
    assert set(more.data_source.data["alpha"]) == {0.4}  # so few queries say nothing
    assert len(plot.select_one(HoverTool).renderers) == 2
    assert plot.xaxis[0].axis_label == "change (bytes per hour)"
    assert plot.x_range.start < -10
    assert plot.x_range.end > 100


@pytest.mark.slow
def test_an_empty_figure_says_why(logs: Logs) -> None:
    nothing = fl.Selection(db="nix")
    for a, b, by, reason in (
        ((logs, nothing), (logs, nothing), "bytes", "Neither now nor before does any query match."),
        ((logs, nothing), logs, "share", "There are no queries before, so that no share changed."),
        (logs, (logs, nothing), "share", "There are no queries now, so that no share changed."),
        (logs, logs, "failures", "Nothing changed: the failures of all are the same as before."),
    ):
        plot = plots.what_changed(fl.what_changed(a, b, rank_by=by))
        assert [label.text for label in plot.select(Label)] == [reason]


def test_another_frame_is_refused() -> None:
    with pytest.raises(
        InvalidRequestError, match=r"no column .*: plots\.what_changed takes what frontierlab\.what_changed"
    ):
        plots.what_changed(pd.DataFrame({"what": []}))
