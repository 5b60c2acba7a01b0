from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from bokeh.models import HBar
from bokeh.models.annotations import Label
from hypothesis import given
from hypothesis import strategies as st

from frontierlab import Dataset, sample
from frontierlab.caching.charts import what_if_figure
from frontierlab.caching.explanation import explain
from frontierlab.caching.grids import AS_ASKED, GRIDS, estimate, snap, what_if
from frontierlab.caching.queries import FolderTag
from frontierlab.coolr.responses import PAYLOADS
from frontierlab.errors import CoolrError, InvalidRequestError
from tests.support.logs import make_dataset

LUMIS = 2**32
OPEN = 2**63 - 1
MINUTE = 60 * 10**9
FOLDER = {"db": "CONDBR2", "schema": "ATLAS_COOLOFL_PIXEL", "nodefullpath": "/PIXEL/PixCalib"}
RUN3 = {**FOLDER, "tagname": "PixCalib-RUN3-DATA-UPD4-02"}
SCT = {"db": "CONDBR2", "schema": "ATLAS_COOLONL_SCT", "nodefullpath": "/SCT/DAQ/Config/Chip", "tagname": "none"}
HV = {"db": "CONDBR2", "schema": "ATLAS_COOLOFL_DCS", "nodefullpath": "/LAR/DCS/HV/BARREl/I16", "tagname": "none"}


def payloads(*rows: tuple[int, int, int]) -> pa.Table:
    names = ("channel", "since", "until")
    return pa.Table.from_pylist(
        [{**dict(zip(names, row, strict=True)), "content": str(i)} for i, row in enumerate(rows)], schema=PAYLOADS
    )


def asked(*rows: tuple[int, int, int], fsize: int = 10, dbtime: int = 3) -> pd.DataFrame:
    """Return different queries, each logged once with a body."""
    frame = pd.DataFrame(rows, columns=["sqlhash", "since", "until"], dtype="Int64")
    counts = {"queries": 1, "bytes": fsize, "sized": 1, "dbtime": dbtime, "timed": 1}
    return frame.assign(**{name: pd.array([value] * len(rows), "Int64") for name, value in counts.items()})


# values near the edges of cells, runs, and of 64 bits
RUN_LUMI = st.builds(
    lambda run, lumi: run * LUMIS + lumi,
    st.sampled_from([0, 1, 2, 429_000, 2**31 - 1]),
    st.sampled_from([0, 1, 4, 5, 9, 10, 99, 2**32 - 2, 2**32 - 1]),
)
TIMES = st.sampled_from([0, 1, MINUTE - 1, MINUTE, 5 * MINUTE - 1, 5 * MINUTE, 1_790_812_800 * 10**9, OPEN - 1, OPEN])
BASES = {
    "run-lumi": (
        RUN_LUMI,
        (
            "1 lumiblock",
            "5 lumiblocks",
            "4294967295 lumiblocks",
            "run",
            "1 run",
            "payload",
            "athena",
            "athena 3 lumiblocks",
        ),
    ),
    "time": (TIMES, ("athena", "athena 7 minutes", "1 minute", "5 minutes", "153722867 minutes", "payload")),
}


@st.composite
def cases(draw: st.DrawFn) -> tuple[str, list[tuple[int, int, int]], list[tuple[int, int, int]]]:
    values, grids = BASES[draw(st.sampled_from(sorted(BASES)))]
    iov = st.tuples(values, values).map(lambda pair: (min(pair), max(pair)))
    queries = draw(st.lists(st.tuples(st.integers(1, 2), iov), min_size=1, max_size=12, unique=True))
    rows = draw(st.lists(st.tuples(st.integers(0, 2), iov.filter(lambda pair: pair[0] < pair[1])), max_size=8))
    return (
        draw(st.sampled_from(grids)),
        [(sqlhash, *pair) for sqlhash, pair in queries],
        [*dict.fromkeys((channel, *pair) for channel, pair in rows)],
    )


def cell_by_hand(grid: str, value: int, rows: list[tuple[int, int, int]]) -> tuple[int, int]:
    """Return the first and the last value of the cell that contains a value."""
    if grid == "payload":
        ends = {0, *(end for row in rows for end in row[1:] if end < OPEN)}
        return max(end for end in ends if end <= value), min((end - 1 for end in ends if end > value), default=OPEN)
    if grid.startswith("athena"):
        raise AssertionError("the cell depends on the width")
    count = int(grid.split()[0]) if grid != "run" else 1
    if "lumiblock" in grid:
        run, lumi = divmod(value, LUMIS)
        first = lumi - lumi % count
        return run * LUMIS + first, run * LUMIS + min(first + count - 1, LUMIS - 1)
    width = LUMIS if "run" in grid else count * MINUTE
    first = value - value % width
    return first, min(first + width - 1, OPEN)


def wide_by_hand(grid: str, since: int, until: int, rows: list[tuple[int, int, int]]) -> tuple[int, int]:
    """Return the IOV that is asked for on a grid."""
    if not grid.startswith("athena"):
        return cell_by_hand(grid, since, rows)[0], cell_by_hand(grid, until, rows)[1]
    width = until - since
    if grid == "athena":
        runs = since % LUMIS == 0 and (until + 1) % LUMIS == 0
        if width < 3 or until == OPEN or runs or since % (width // 3) == 0:
            return since, until
    else:
        width = int(grid.split()[1]) * (MINUTE if "minute" in grid else 1)
    while since - since % (width // 3) + width < until:
        width = min(2 * width, OPEN)
    begin = since - since % (width // 3)
    return begin, min(begin + width, OPEN)


def rows_by_hand(since: int, until: int, rows: list[tuple[int, int, int]]) -> frozenset[tuple[int, int, int]]:
    """Return the rows that COOL's SQL returns."""
    found = set()
    for channel in {row[0] for row in rows}:
        mine = [row for row in rows if row[0] == channel]
        latest = max((row[1] for row in mine if row[1] <= since), default=-1)
        found |= {row for row in mine if row[1] >= latest and row[1] <= until and row[2] > since}
    return frozenset(found)


def costs_by_hand(
    requests: list[tuple[int, int, int]], queries: list[tuple[int, int, int]], rows: list[tuple[int, int, int]]
) -> float | None:
    """Return the estimate as documented, request by request; each query was logged once, with 10 * sqlhash bytes."""
    logged: dict[tuple[int, frozenset[Any]], list[int]] = {}
    for sqlhash, since, until in queries:
        logged.setdefault((sqlhash, rows_by_hand(since, until, rows)), []).append(10 * sqlhash)
    full = [(sqlhash, len(answer), sizes) for (sqlhash, answer), sizes in logged.items() if answer]
    total = 0.0
    for sqlhash, since, until in requests:
        answer = rows_by_hand(since, until, rows)
        if (sqlhash, answer) in logged:
            total += sum(logged[sqlhash, answer]) / len(logged[sqlhash, answer])
        elif answer:
            mine = [entry for entry in full if entry[0] == sqlhash] or full
            if not mine:
                return None
            total += len(answer) * sum(sum(s) for *_, s in mine) / sum(n * len(s) for _, n, s in mine)
    return total


@pytest.mark.slow
@given(cases())
def test_estimates_equal_those_of_a_loop_over_the_queries(
    case: tuple[str, list[tuple[int, int, int]], list[tuple[int, int, int]]],
) -> None:
    grid, queries, rows = case
    frame = asked(*queries).assign(bytes=lambda f: 10 * f["sqlhash"])
    result = estimate(frame, payloads(*rows), [grid])
    wide = [(h, *wide_by_hand(grid, s, u, rows)) for h, s, u in queries]
    assert result["grid"].tolist() == [AS_ASKED, grid]
    assert result["requests"].tolist() == [len(queries), len(set(wide))]
    for row, requests in zip(result["bytes"], (queries, sorted(set(wide))), strict=True):
        expected = costs_by_hand(requests, queries, rows)
        assert (row is pd.NA) if expected is None else row == pytest.approx(expected)
    logged = {(h, rows_by_hand(s, u, rows)) for h, s, u in queries}
    estimated = [(h, s, u) for h, s, u in set(wide) if (h, rows_by_hand(s, u, rows)) not in logged]
    assert result["estimated"].tolist() == [0, len(estimated)]


@given(cases())
def test_cells_contain_the_iov_and_payload_cells_keep_the_answer(
    case: tuple[str, list[tuple[int, int, int]], list[tuple[int, int, int]]],
) -> None:
    grid, queries, rows = case
    since, until = (np.array([query[i] for query in queries], np.int64) for i in (1, 2))
    first, last = snap(grid, since, until, payloads(*rows))
    assert first.dtype == last.dtype == np.int64
    assert (first >= 0).all()
    assert (first <= since).all()
    assert (last >= until).all()
    again = snap(grid, first, last, payloads(*rows))
    assert (again[0] == first).all()
    assert (again[1] == last).all()
    if grid == "payload":
        for s, u, f, t in zip(since, until, first, last, strict=True):
            if s < OPEN:  # nothing is valid at the open end itself
                assert rows_by_hand(s, u, rows) == rows_by_hand(f, t, rows)


def test_a_cell_ends_with_its_run() -> None:
    since = np.array([429_000 * LUMIS + 7, 429_000 * LUMIS + LUMIS - 1, 429_001 * LUMIS], np.int64)
    first, last = snap("1 run", since, since, payloads())
    assert (first >> 32).tolist() == [429_000, 429_000, 429_001]
    assert (last - first).tolist() == [LUMIS - 1] * 3
    first, last = snap("10 lumiblocks", since, since, payloads())
    assert (first & (LUMIS - 1)).tolist() == [0, LUMIS - 6, 0]
    assert (last & (LUMIS - 1)).tolist() == [9, LUMIS - 1, 9]


def test_the_cost_of_a_wider_answer_is_estimated_from_its_rows() -> None:
    rows = payloads((0, 0, 5), (0, 5, OPEN))
    result = estimate(asked((1, 1, 1), (1, 2, 2), (1, 7, 7), fsize=100, dbtime=40), rows, ["10 lumiblocks"])
    assert result["requests"].tolist() == [3, 1]
    assert result["bytes"].tolist() == [300.0, 200.0]
    assert result["dbtime"].tolist() == [120.0, 80.0]
    assert result["estimated"].tolist() == [0, 1]
    assert result["bytes_share"].tolist() == [1.0, pytest.approx(2 / 3)]


def test_costs_that_were_never_logged_are_null() -> None:
    frame = asked((1, 1, 1), (1, 7, 7)).assign(sized=0, timed=0)
    frame[["bytes", "dbtime"]] = pd.DataFrame({n: pd.array([None, None], "Int64") for n in ("bytes", "dbtime")})
    result = estimate(frame, payloads((0, 0, OPEN)), ["1 run"])
    assert result["requests"].tolist() == [2, 1]
    assert result[["bytes", "dbtime", "bytes_share", "dbtime_share"]].isna().all(axis=None)


@pytest.mark.parametrize(
    "grid", ["7 apples", "0 lumiblocks", "1.5 minutes", "-1 minutes", "2 runs", "", None, 7, "athena 2 lumiblocks"]
)
def test_invalid_grids_are_refused_before_any_query(grid: Any) -> None:
    with pytest.raises(
        InvalidRequestError, match=re.escape(repr(grid)) + " is not a grid: give 'n lumiblocks', '1 run'"
    ):
        what_if("no such dataset", sample.settings(), grids=[grid], **RUN3)


@pytest.mark.parametrize("grid", ["4294967296 lumiblocks", "153722868 minutes"])
def test_cells_wider_than_64_bits_are_refused(grid: str) -> None:
    with pytest.raises(InvalidRequestError, match="is not a grid"):
        snap(grid, np.array([0]), np.array([0]), payloads())


@pytest.fixture
def of_sample(dataset: Dataset, queried: None) -> Callable[..., pd.DataFrame]:
    """Return what-ifs of folders and tags of the sample."""
    return lambda where, **options: what_if(dataset, sample.settings(), **where, **options)


@pytest.mark.slow
def test_the_baseline_equals_the_truth_of_the_sample(
    of_sample: Callable[..., pd.DataFrame], truth: pd.DataFrame
) -> None:
    truth = truth.set_index(["db", "schema", "nodefullpath", "tagname"])
    for where in (RUN3, SCT, HV):
        frame = of_sample(where)
        base = "time" if where is HV else "run-lumi"
        assert frame["grid"].tolist() == [AS_ASKED, *GRIDS[base]]
        known = truth.loc[tuple(where.values())]
        assert frame["requests"].iloc[0] == known["different_queries"]
        assert frame["requests"].iloc[-1] >= known["different_payloads_iov"]
        assert (frame["requests"].diff().iloc[4:-1] <= 0).all()  # after Athena's grids coarser and coarser
        assert frame["requests_share"].iloc[0] == 1
        assert str(frame.dtypes["bytes"]) == "Float64"


@pytest.mark.slow
def test_the_advice_names_the_cause_numbers_and_assumptions(
    of_sample: Callable[..., pd.DataFrame], figures: pd.DataFrame
) -> None:
    frame = of_sample(SCT, grids=["1 run", "1 run"])
    assert frame["grid"].tolist() == [AS_ASKED, "1 run"]
    left, every = frame["requests"].iloc[1], frame["requests"].iloc[0]
    advice = frame.attrs["advice"]
    assert "\n" not in advice
    assert advice.startswith("/SCT/DAQ/Config/Chip (none): ")
    assert frame.attrs["cause"] == "IOVs on no grid"
    known = figures.set_index(["db", "schema", "nodefullpath", "tagname"]).loc[tuple(SCT.values())]
    off, different = known["off_grid_queries"], known["different_queries"]
    assert f"{off:,} of {different:,} different queries " in advice
    assert f"Asking by cells of 1 run would leave {left:,} of {every:,} different requests" in advice
    assert "(assumed: one cache for all sites" in advice
    cure = (
        f"Tell the owners of its tasks: ask by cells of 1 run, which leaves {left:,} of {every:,} different requests."
    )
    assert advice == f"/SCT/DAQ/Config/Chip (none): {cure} {frame.attrs['reasons']}"
    assert frame.attrs["cure"] == cure
    assert frame.attrs["repeats"] == {name: known[f"repeated_{name}"] for name in ("queries", "bytes", "dbtime")}
    small = of_sample(RUN3, grids=["payload"]).attrs["advice"]
    assert ": It is below the threshold at which a cause is named: 60 s of database time or 1,000 MB. " in small
    assert small.endswith(" are lost by different queries for some payloads.")
    only = of_sample(RUN3, grids=["payload"], worth_seconds=1).attrs["advice"]
    assert "Asking for the payload's own interval, which the client would have to know," in only
    assert "No tried grid would help much" in of_sample(RUN3, grids=["1 lumiblock"], worth_seconds=1).attrs["advice"]
    assert "No grid was tried" in of_sample(RUN3, grids=[], worth_seconds=1).attrs["advice"]


@pytest.mark.slow
def test_the_cause_of_a_what_if_is_that_of_the_figures(
    of_sample: Callable[..., pd.DataFrame], figures: pd.DataFrame
) -> None:
    causes = figures.set_index(["db", "schema", "nodefullpath", "tagname"])["cause"]
    for where in (RUN3, SCT, HV):
        assert of_sample(where, grids=[]).attrs["cause"] == causes[tuple(where.values())]


def logged(*rows: tuple[int, int, int], **fields: Any) -> list[dict[str, Any]]:
    """Return log rows of `RUN3`, from how often, since and until; each 1 s and 1 MB."""
    row = {**RUN3, "nodetime": "run-lumi", "sqlhash": 1, "squid": "s1", "dbtime": 1_000, "fsize": 10**6, **fields}
    return [{**row, "since": since, "until": until} for count, since, until in rows for _ in range(count)]


def test_advice_on_repeats_is_about_the_squid_and_says_what_would_be_saved(tmp_path: Path) -> None:
    iov = 429_000 * LUMIS
    rows = [
        *logged((91, iov, iov + 30), (31, iov + 10, iov + 40)),
        *logged((11, iov, iov + 30), squid=None, computingsite="SITE"),
        *logged((20, iov, iov + 30), cached=True),
    ]
    frame = what_if(make_dataset(tmp_path / "again", rows), sample.settings(), **RUN3)
    assert frame.attrs["cause"] == "same query not cached"
    advice = frame.attrs["advice"]
    assert "130 of 133 uncached queries came again from the same Squid or site." in advice
    assert "at least 130.0 s of database time (97.7%) and 130.0 MB (97.7%) would be saved" in advice
    assert "Most by the Squid s1: 120 repeats, one query 91 times, 120.0 s." in advice
    assert frame.attrs["cure"] == "Tell the administrators of the Squid s1: it does not keep these answers."
    why = explain(make_dataset(tmp_path / "why", rows), sample.settings(), **RUN3)
    assert "130 queries came uncached again from the same Squid or site" in why.summary
    assert why.askers[["computingsite", "repeated_queries"]].iloc[1].tolist() == ["SITE", 10]
    frame = what_if(make_dataset(tmp_path / "site", rows[122:133] * 7), sample.settings(), **RUN3)
    assert "Most by the site SITE: 76 repeats" in frame.attrs["advice"]
    told = "Tell the administrators of the site SITE: its Squid does not keep these answers."
    assert frame.attrs["cure"] == told


def test_advice_on_queries_on_no_grid_says_what_athenas_grid_would_leave(tmp_path: Path) -> None:
    iov = 429_000 * LUMIS
    rows = logged(*((1, iov + i + (iov + i) % 10 % 7 + 1, iov + i + (iov + i) % 10 % 7 + 31) for i in range(0, 400, 4)))
    frame = what_if(make_dataset(tmp_path / "off", rows), sample.settings(), **RUN3)
    assert frame.attrs["cause"] == "IOVs on no grid"
    off = sum(row["since"] % 10 != 0 for row in rows)
    assert (
        f"{off} of 100 different queries begin at no multiple of a third of their width. Athena"
        in frame.attrs["advice"]
    )
    left = frame.set_index("grid")["requests"]["athena"]
    assert left < 100
    assert f"On Athena's grid with the same widths, {left} would be left." in frame.attrs["advice"]
    points = logged(*((1, iov + i, iov + i) for i in range(1, 100)))
    advice = what_if(make_dataset(tmp_path / "points", points), sample.settings(), **RUN3).attrs["advice"]
    assert "99 of 99 different queries ask for a point of time or a lumiblock, not for an interval." in advice


def test_advice_on_many_queries_names_the_width_that_jobs_ask_by(tmp_path: Path) -> None:
    iov = 429_000 * LUMIS
    starts = [iov + 1_000 - (iov + 1_000) % 10 + 10 * i for i in range(100)]
    rows = logged(*((1, start, start + 30) for start in starts))
    frame = what_if(make_dataset(tmp_path / "many", rows), sample.settings(), **RUN3)
    assert frame.attrs["cause"] == "many queries for few payloads"
    assert "jobs ask by intervals of mostly 30 lumiblocks." in frame.attrs["advice"]
    assert frame["requests"].iloc[:2].tolist() == [100, 100]  # they are on Athena's grid already
    wide = what_if(make_dataset(tmp_path / "wide", rows), sample.settings(), grids=["athena 300 lumiblocks"], **RUN3)
    assert "Asking on Athena's grid, 300 lumiblocks wide, would leave " in wide.attrs["advice"]
    failed = rows[:1] + [{**row, "rejected": True} for row in rows]
    advice = what_if(make_dataset(tmp_path / "failed", failed), sample.settings(), **RUN3).attrs["advice"]
    assert "UPD4-02): Ask those who run the servers why its queries fail" in advice
    assert advice.endswith(" 100 queries failed and 1 were served.")


def test_a_grid_of_the_other_iov_base_is_refused(of_sample: Callable[..., pd.DataFrame]) -> None:
    with pytest.raises(InvalidRequestError, match="for a folder whose IOVs are time: give 'n minutes', 'athena'"):
        of_sample(HV, grids=["10 lumiblocks"])
    with pytest.raises(InvalidRequestError, match="for a folder whose IOVs are run-lumi: give 'n lumiblocks'"):
        of_sample(SCT, grids=["10 minutes"])


def test_tags_without_queries_and_unknown_tags(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "none", [])
    frame = what_if(dataset, sample.settings(), **RUN3)
    assert frame["requests"].tolist() == [0] * 7
    assert frame["bytes_share"].isna().all()
    assert "No served query has an IOV" in frame.attrs["advice"]
    assert what_if_figure(frame).select_one(Label).text == "No served query of this folder and tag has an IOV."
    with pytest.raises(InvalidRequestError, match="These queries of /PIXEL/PixCalib have an unknown tag"):
        what_if(dataset, sample.settings(), **{**RUN3, "tagname": "unknown"})
    with pytest.raises(CoolrError, match="does not have the tag no such tag"):
        what_if(dataset, sample.settings(), **{**RUN3, "tagname": "no such tag"})
    with pytest.raises(InvalidRequestError, match="The IOV base of /NO/SUCH is not known"):
        what_if(dataset, sample.settings(), **{**RUN3, "nodefullpath": "/NO/SUCH"})


def test_only_served_queries_with_an_iov_count(tmp_path: Path) -> None:
    good = {**RUN3, "nodetime": "run-lumi", "sqlhash": 1, "since": 429_000 * LUMIS + 5, "until": 429_000 * LUMIS + 5}
    rows: list[dict[str, Any]] = [
        {**good, "fsize": 100, "dbtime": 10},
        {**good, "fsize": 300, "dbtime": 30, "cached": False},
        {**good, "fsize": 7, "cached": True},  # no body
        {**good, "since": 429_000 * LUMIS + 6, "until": 429_000 * LUMIS + 6, "cached": True},
        {**good, "sqlhash": None},
        *({**good, "sqlhash": 2, flag: True} for flag in ("disconn", "rejected", "procerror")),
        {**good, "sqlhash": 3, "since": -1},
        {**good, "sqlhash": 4, "until": good["since"] - 1},
        {**good, "sqlhash": 5, "tagname": None},
    ]
    frame = what_if(make_dataset(tmp_path / "few", rows), sample.settings(), grids=["1 run"], **RUN3)
    assert frame["requests"].tolist() == [3, 2]
    assert frame["estimated"].iloc[0] == 1  # of the null sqlhash nothing was logged
    assert frame["bytes"].iloc[0] == 600  # three answers of the same row


def test_the_figure_shows_shares_and_exact_texts() -> None:
    rows = payloads((0, 0, 5), (0, 5, OPEN))
    frame = estimate(asked((1, 1, 1), (1, 7, 7), fsize=2_000_000), rows, ["10 lumiblocks"])
    plot = what_if_figure(frame)
    drawn = [renderer for renderer in plot.renderers if isinstance(renderer.glyph, HBar)]
    data = [dict(renderer.data_source.data) for renderer in drawn]
    assert [d["series"][0] for d in data] == ["different requests", "bytes", "database time"]
    assert list(data[0]["length"]) == [100, 50]
    assert list(data[1]["text"]) == ["4.0 MB", "4.0 MB"]
    large = what_if_figure(frame.assign(bytes=[2_845_400_000, 999_900_000]))
    told = [list(one.data_source.data["text"]) for one in large.renderers if isinstance(one.glyph, HBar)]
    assert told[1] == ["2.8 GB", "999.9 MB"]
    path = "/RPC/TRIGGER/CM_THR_ETA"
    frame.attrs["folder"] = FolderTag("OFLP200", "ATLAS_COOLOFL_RPC", path, "RPCTriggerCMThrEta-00")
    assert what_if_figure(frame).above[-1].text == f"What would be left of\n{path}"  # the name is not broken
    with pytest.raises(InvalidRequestError, match=r"no column grid: give one that what_if\(\) returned"):
        what_if_figure(pd.DataFrame())
