"""Repeated queries and causes: random logs against brute force, and rows with known costs."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontierlab import Selection, Settings
from frontierlab.caching.athena import covering, is_off_grid, own_grid
from frontierlab.caching.causes import CAUSES, Worth, cause_of, gains_of
from frontierlab.caching.efficiencies import efficiency
from frontierlab.coolr.responses import PAYLOADS
from frontierlab.errors import InvalidRequestError
from frontierlab.sample import make_conditions, make_day
from frontierlab.sample.world.truth import figures
from frontierlab.schema import OPEN_IOV
from tests.caching.truth import KEY, PIXEL, RUN, asked, assert_is_the_truth
from tests.support.logs import make_dataset, table

FOLDERS = 60
TAGS = ("t", "none")


class RandomPayloads:
    """A COOLR with random payloads of many folders; some folders have none."""

    def __init__(self, random: np.random.Generator) -> None:
        self.rows: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for folder in range(FOLDERS):
            for tag in TAGS:
                self.rows[f"/F{folder}", tag] = [*_payloads(random)]

    def payloads(self, db: str, schema: str, node: str, tag: str, since: int, until: int, _: object) -> pa.Table:
        rows = pa.Table.from_pylist(self.rows[node, tag], schema=PAYLOADS)
        meets = pc.and_(pc.less_equal(rows["since"], until), pc.greater(rows["until"], since))
        return rows.filter(meets).sort_by([("channel", "ascending"), ("since", "ascending"), ("until", "ascending")])

    def table(self) -> pa.Table:
        """Return all payloads as those of a world."""
        place = {"db": PIXEL[0], "schema": PIXEL[1]}
        rows = [{**place, "node": n, "tag": t, **row} for (n, t), rows in self.rows.items() for row in rows]
        return pa.Table.from_pylist(rows)

    def catalogue(self) -> pa.Table:
        """Return all folders and tags."""
        place = {"db": PIXEL[0], "schema": PIXEL[1]}
        return pa.Table.from_pylist([{**place, "node": node, "tag": tag} for node, tag in self.rows])


def _payloads(random: np.random.Generator) -> Iterable[dict[str, Any]]:
    """Yield payload rows whose IOVs do not overlap, with gaps and contents that come again."""
    for channel in range(random.integers(0, 3)):
        ends = np.unique(random.integers(0, 60, 2 * random.integers(1, 5)))
        for since, until in itertools.pairwise(ends):
            if random.random() < 0.8:
                content = str(random.integers(0, 3))
                yield {"channel": channel, "since": int(since), "until": int(until), "content": content}


def _rows(random: np.random.Generator) -> Iterable[dict[str, Any]]:
    """Yield rows of logs: few queries of a folder, by few Squids and sites, so that many are repeated."""
    some = (None, True, False, False)
    for folder in range(FOLDERS):
        asks = [(int(since), int(random.integers(-1, 40))) for since in random.integers(-1, 60, 3)]
        for _ in range(random.integers(1, 40)):
            since, width = asks[random.integers(0, 3)]
            yield {
                "schema": PIXEL[1], "nodefullpath": f"/F{folder}", "nodetime": "run-lumi",
                "tagname": (*TAGS, None)[min(2, random.integers(0, 9) // 4)], "since": since, "until": since + width,
                "sqlhash": (None, 1, 1, 2)[random.integers(0, 4)], "cached": some[random.integers(0, 4)],
                "squid": (None, "s1", "s2")[random.integers(0, 3)], "taskid": int(random.integers(1, 3)),
                "computingsite": (None, "s1", "A")[random.integers(0, 3)],
                "procerror": some[random.integers(0, 4)] if random.random() < 0.1 else None,
                "dbtime": (None, *random.integers(0, 500, 5).tolist())[random.integers(0, 6)],
                "fsize": (None, *random.integers(0, 9_000, 5).tolist())[random.integers(0, 6)],
            }  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_figures_of_random_logs_equal_brute_force(tmp_path: Path, archived: Settings, seed: int) -> None:
    random = np.random.default_rng(seed)
    coolr, rows = RandomPayloads(random), [*_rows(random)]
    frame = efficiency(make_dataset(tmp_path / "random", rows), archived, coolr=coolr, progress=False)
    truth = figures(table(rows), coolr.catalogue(), coolr.table())
    assert_is_the_truth(frame, truth)
    assert (truth["repeated_dbtime"] > 0).sum() > FOLDERS / 4
    assert truth["repeated_dbtime"].isna().any()  # no query of the folder names who asks
    assert (truth["wasted_dbtime_content"] > truth["wasted_dbtime"]).sum() > 10


# ---- repeats


def test_a_squid_or_else_a_site_repeats_a_query(tmp_path: Path, archived: Settings) -> None:
    same = {"fsize": 1_000, "dbtime": 5}
    rows = [
        *(
            asked(RUN, squid="one", computingsite="A", dbtime=time, fsize=size)
            for time, size in ((3, 7), (9, 5), (4, 6))
        ),
        asked(RUN, squid="two", computingsite="A", **same),  # another Squid has to ask once
        *(asked(RUN, squid=None, computingsite="A", **same) for _ in range(3)),
        *(asked(RUN, squid=None, computingsite=None, **same) for _ in range(5)),  # nobody can be blamed
        *(asked(RUN, squid="one", cached=True, **same) for _ in range(4)),
        asked(RUN, squid="one", taskid=8, disconn=True, **same),
        asked(RUN, squid="one", sqlhash=2, **same),
    ]
    frame = efficiency(make_dataset(tmp_path / "repeats", rows), archived, progress=False)
    row = frame.iloc[0]
    assert (row["repeated_queries"], row["repeated_dbtime"], row["repeated_bytes"]) == (4, 3 + 4 + 10, 5 + 6 + 2_000)
    assert row["repeated_by"] == "site A (2 repeats, 10 ms); one (2 repeats, 7 ms)"
    assert frame.attrs["notes"][-1].startswith("Of the queries that were not cached, 5 name neither Squid nor site")


def test_repeats_are_known_where_payloads_are_not(tmp_path: Path, archived: Settings) -> None:
    rows = [asked(RUN, squid="s", tagname="no such tag", dbtime=90_000, fsize=1) for _ in range(3)]
    frame = efficiency(make_dataset(tmp_path / "unknown", rows), archived, progress=False)
    assert frame["problem"].iloc[0] != ""
    assert frame[["cause", "repeated_dbtime"]].iloc[0].tolist() == ["same query not cached", 180_000]


# ---- causes


def row(**figures_of_row: Any) -> dict[str, Any]:
    """Return a row of figures of a folder that is cached well, with other values where they are given."""
    good = {"queries": 100, "failed": 0, "uncached": 100, "different_queries": 100, "empty_queries": 0, "problem": ""}
    costs = {"dbtime": 1e7, "bytes_served": 10**11, "off_grid_queries": 0, "repeated_queries": 0}
    names = ("wasted_dbtime", "wasted_bytes", "repeated_dbtime", "repeated_bytes", "empty_dbtime", "empty_bytes")
    content = {f"{n}_content": figures_of_row.get(n, 0) for n in ("wasted_dbtime", "wasted_bytes")}
    best = {"efficiency_iov": 1.0, "efficiency_content": 1.0}
    return {**good, **costs, **dict.fromkeys(names, 0), **best, **content, **figures_of_row}


POOR = {"efficiency_iov": 0.1, "efficiency_content": 0.1}


@pytest.mark.parametrize(
    ("given_figures", "cause"),
    [
        ({"failed": 101, "repeated_dbtime": 9e6}, "mostly failed queries"),
        ({"repeated_dbtime": 60_000}, "same query not cached"),
        ({"repeated_dbtime": 59_999}, "fine"),
        ({"repeated_dbtime": 59_999, "repeated_queries": 51}, "below the threshold"),
        ({"repeated_bytes": 10**9}, "same query not cached"),
        ({"wasted_dbtime": 3.6e6, **POOR}, "many queries for few payloads"),
        ({"wasted_dbtime": 4_000, **POOR}, "below the threshold"),
        ({"wasted_bytes": 10**9, **POOR}, "many queries for few payloads"),
        ({"wasted_dbtime": 3.6e6, "off_grid_queries": 51, **POOR}, "IOVs on no grid"),
        ({"wasted_dbtime": 3.6e6, "off_grid_queries": 51}, "different queries for some payloads"),
        ({"wasted_dbtime": 3.6e6, "repeated_dbtime": 3.7e6, **POOR}, "same query not cached"),
        ({"wasted_dbtime": 3.7e6, "repeated_dbtime": 3.6e6, **POOR}, "many queries for few payloads"),
        ({"wasted_dbtime": 1e5, "wasted_dbtime_content": 3e5, **POOR}, "few contents under many IOVs"),
        ({"wasted_dbtime": 2e5, "wasted_dbtime_content": 3e5, **POOR}, "many queries for few payloads"),
        ({"efficiency_content": 0.1}, "below the threshold"),
        ({"empty_queries": 51, "empty_dbtime": 60_000}, "mostly empty answers"),
        ({"empty_queries": 50, "empty_dbtime": 60_000}, "fine"),
        ({"empty_queries": 51, "empty_dbtime": 4_000}, "below the threshold"),
        ({"problem": "COOLR is down", "dbtime": 60_000}, "not known"),
        ({"problem": "COOLR is down", "dbtime": 59_999, "bytes_served": 10**9 - 1}, "below the threshold"),
        ({"problem": "COOLR is down", "repeated_dbtime": 60_000}, "same query not cached"),
        ({}, "fine"),
    ],
)
def test_the_cause_is_what_costs_most_if_it_is_worth_the_effort(given_figures: dict[str, Any], cause: str) -> None:
    assert cause_of(row(**given_figures), Worth()) == cause
    assert cause in CAUSES


def test_thresholds_decide_what_is_worth_the_effort() -> None:
    small = row(wasted_dbtime=4_000, wasted_bytes=10, **POOR)
    assert cause_of(small, Worth(seconds=4)) == cause_of(small, Worth(size=10)) == "many queries for few payloads"
    assert cause_of(small, Worth(seconds=5, size=11)) == "below the threshold"
    assert cause_of(row(), Worth(0, 0)) == "fine"  # nothing is no gain, whatever the threshold
    assert gains_of(row(wasted_dbtime=5, repeated_dbtime=6))[0].cause == "same query not cached"


@pytest.mark.parametrize("wrong", [-1, float("nan"), float("inf"), "60", None, True])
def test_thresholds_that_are_no_number_are_refused_before_counting(wrong: Any, archived: Settings) -> None:
    with pytest.raises(InvalidRequestError, match=r"worth_bytes=.*give a number, 0 or more"):
        efficiency("no such dataset", archived, worth_bytes=wrong, progress=False)


def test_causes_of_a_dataset_follow_the_thresholds(tmp_path: Path, archived: Settings) -> None:
    rows = [asked(RUN + i - i % 10, RUN + i - i % 10 + 30, squid="s", dbtime=1_000, fsize=10) for i in range(100)]
    dataset = make_dataset(tmp_path / "some", rows)
    frame = efficiency(dataset, archived, worth_seconds=30, progress=False)
    assert frame["cause"].tolist() == ["same query not cached"]
    assert frame.attrs["worth"] == {"seconds": 30, "bytes": 1e9}
    assert efficiency(dataset, archived, worth_seconds=91, progress=False)["cause"].tolist() == ["below the threshold"]
    none = efficiency(dataset, archived, selection=Selection(squid="other"), progress=False)
    assert len(none) == 0


# ---- Athena's grid

IOV = st.one_of(st.integers(0, 200), st.integers(0, OPEN_IOV), st.sampled_from([0, RUN, RUN + 2**32 - 1, OPEN_IOV]))


@given(st.lists(st.tuples(IOV, IOV).map(sorted), min_size=1, max_size=20), st.integers(3, 2**40))
def test_iovs_on_the_grid(pairs: list[list[int]], width: int) -> None:
    since, until = (np.array(ends, np.int64) for ends in zip(*pairs, strict=True))
    off = is_off_grid(since, until)
    for begin, end, is_off in zip(since.tolist(), until.tolist(), off.tolist(), strict=True):
        third = (end - begin) // 3
        whole_runs = begin % 2**32 == 0 and (end + 1) % 2**32 == 0
        assert is_off == (not whole_runs and (begin % third if third else begin) != 0)
    for first, last in (own_grid(since, until), covering(since, until, np.full(len(since), width))):
        assert (first <= since).all()
        assert (last >= until).all()
    first, last = covering(since, until, np.full(len(since), width))
    for begin, end, one, other in zip(since.tolist(), until.tolist(), first.tolist(), last.tolist(), strict=True):
        wide = next(w for k in range(64) if (w := min(width << k, OPEN_IOV)) + begin - begin % (w // 3) >= end)
        assert (one, other) == (begin - begin % (wide // 3), min(begin - begin % (wide // 3) + wide, OPEN_IOV))


@pytest.mark.slow
def test_causes_name_what_was_planted_in_a_day(tmp_path: Path) -> None:
    dataset, truth = make_day(tmp_path / "day", seed=11, queries=20_000, incidents=6)
    settings = Settings(data_dir=tmp_path, **make_conditions(tmp_path / "conditions"))
    of_truth = [*truth[["db", "schema", "nodefullpath"]].itertuples(index=False, name=None)]
    frame = efficiency(dataset, settings, of_truth, worth_seconds=0.5, worth_bytes=1e12, progress=False)
    expected = {"cache_bypass": "same query not cached", "iov_flood": "many queries for few payloads"}
    assert set(truth["kind"]) == set(expected)
    for incident in truth.to_dict("records"):
        of_folder = (frame[["db", "schema", "nodefullpath"]] == [incident[n] for n in KEY[:3]]).all(axis=1)
        row = frame[of_folder].nlargest(1, "dbtime").iloc[0]
        assert row["cause"] == expected[incident["kind"]]
        assert row["cause"] == "many queries for few payloads" or incident["squid"] in row["repeated_by"].split()[0]
