"""What caches did and would have done: the model against a naive one, and figures against plain counts."""

from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontierlab import Settings, extract, filters, sample
from frontierlab.caching.grids import GRIDS
from frontierlab.coolr import connect
from frontierlab.errors import InvalidRequestError
from frontierlab.rawlogs import encode_request, squid
from frontierlab.rawlogs.cool_writing import payload_sql
from frontierlab.rawlogs.squid import plots, read_squid_logs
from frontierlab.rawlogs.squid.replay import FETCHED, FOREVER, REVALIDATED, THERE, lifetime_of, replay
from frontierlab.schema import OPEN_IOV
from tests.rawlogs.squid.conftest import Written
from tests.rawlogs.squid.test_read_logs import write

FOLDER = {
    "db": "CONDBR2",
    "schema": "ATLAS_COOLOFL_PIXEL",
    "nodefullpath": "/PIXEL/PixCalib",
    "tagname": "PixCalib-RUN2-DATA-UPD4-12",
}
REQUEST = st.tuples(st.integers(0, 4), st.integers(0, 60), st.booleans(), st.booleans())


def naive(requests: list[tuple[int, int, bool, bool]], lifetime: int) -> list[int]:
    """One request after another, with a dictionary."""
    fresh: dict[int, int] = {}
    found = [THERE] * len(requests)
    for place in sorted(range(len(requests)), key=lambda n: requests[n][1]):
        key, time, forced, held = requests[place]
        if forced or (key not in fresh and not held):
            found[place] = FETCHED
        elif key in fresh and time >= fresh[key]:
            found[place] = REVALIDATED
        elif key in fresh:
            continue
        fresh[key] = time + lifetime
    return found


@given(st.lists(REQUEST, max_size=40), st.integers(1, 100))
def test_the_replay_is_that_of_a_naive_cache(requests: list[tuple[int, int, bool, bool]], lifetime: int) -> None:
    columns = [np.array([one[place] for one in requests]) for place in range(4)]
    keys, ms = (one.astype(np.int64) for one in columns[:2])
    found = replay(keys, ms, lifetime, columns[2].astype(bool), columns[3].astype(bool))
    assert found.tolist() == naive(requests, lifetime)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 50), st.sampled_from(["hit", "revalidated", "miss"]))))
def test_the_lifetime_contradicts_the_fewest_requests(drawn: list[tuple[int, int, str]]) -> None:
    drawn = sorted(drawn, key=lambda one: one[1])
    frame = pd.DataFrame(drawn, columns=["cache_key", "ms", "result_class"]).assign(squid="a")
    found = lifetime_of(frame)
    ages: list[tuple[int, bool]] = []
    contact: dict[int, int] = {}
    for key, ms, class_ in drawn:
        if key in contact and class_ != "miss":
            ages.append((ms - contact[key], class_ == "hit"))
        if class_ != "hit":
            contact[key] = ms

    def wrong(limit: int) -> int:
        return sum((age >= limit) if alive else (age < limit) for age, alive in ages)

    assert found.observed == len(ages)
    assert found.contradicting == wrong(found.milliseconds)
    assert found.contradicting == min(wrong(limit) for limit in (*range(53), FOREVER))


@pytest.mark.slow
def test_the_model_does_what_the_squids_did(squids: Written) -> None:
    frame = squid.what_if_at_squids(squids.logs, **FOLDER)
    rows = squids.logs.to_pandas()
    rows = rows[(rows["nodefullpath"] == FOLDER["nodefullpath"]) & (rows["tagname"] == FOLDER["tagname"])]
    rows = rows[rows["since"] >= 0]
    classes = ("hit", "revalidated", "replaced", "stale", "forced", "miss")
    served = rows[rows["result_class"].isin(classes) & (rows["status"] == 200) & rows["ending"].isna()]
    logged, asked = frame.iloc[0], frame.iloc[1]
    assert [logged["grid"], asked["grid"]] == ["as logged", "as asked"]
    assert logged["requests"] == asked["requests"] == len(served) > 100
    assert logged["sent_on"] == served["sent_on"].sum()
    assert logged["revalidated"] == (served["result_class"] == "revalidated").sum()
    assert frame.attrs["not_served"] == len(rows) - len(served)
    assert 3_500 <= frame.attrs["lifetime_seconds"] <= 4_500  # an hour, as far as requests tell
    assert abs(int(asked["sent_on"]) - int(logged["sent_on"])) <= 0.02 * int(logged["requests"])
    assert (frame["answered_there"] + frame["sent_on"] == frame["requests"]).all()
    assert (frame["revalidated"] + frame["fetched"] == frame["sent_on"]).all()
    tried = [grid for grid in GRIDS["run-lumi"] if grid != "payload"]
    assert frame["grid"].tolist() == ["as logged", "as asked", *tried]
    assert "would be sent on" in frame.attrs["advice"]
    each = squid.what_if_at_squids(squids.logs, **FOLDER, per_squid=True)
    pd.testing.assert_frame_equal(
        each.groupby("grid", sort=False)[["requests", "sent_on", "wire_bytes"]].sum(),
        frame.set_index("grid")[["requests", "sent_on", "wire_bytes"]],
    )
    plots.what_if_at_squids(frame)
    plots.what_if_at_squids(each)


def asking(second: int, since: int, until: int, result: str = "TCP_MISS:HIER_DIRECT", size: int = 1_000) -> str:
    sql = payload_sql("CONDBR2", "ATLAS_COOLOFL_PIXEL", 3, since, until, tag_id=1)
    url = encode_request([sql], base="http://f:8000/atlr/Frontier")
    return (
        f'10.0.0.1 - - [05/Oct/2026:12:{second // 60:02d}:{second % 60:02d} +0000] "GET {url} HTTP/1.0" 200 {size} '
        f'{result} 0 "x" "-" "-"'
    )


def test_a_grid_saves_what_can_be_counted_by_hand(tmp_path: Path, settings: Settings) -> None:
    run = 430_000 << 32
    # four lumiblocks of one run, each asked for once; then the first of them again, when its copy has expired
    lines = [asking(60 * n, run + n, run + n, size=1_000 + n) for n in range(4)]
    lines.append(asking(600, run, run, "TCP_REFRESH_UNMODIFIED:HIER_DIRECT"))
    lines.append(asking(601, run, run, "TCP_MISS_ABORTED:HIER_DIRECT"))
    for name in ("one", "two"):
        write(tmp_path / "logs", f"{name}.log", *lines)
    logs = read_squid_logs(tmp_path / "logs", settings, name="grid")
    frame = squid.what_if_at_squids(logs, **FOLDER, grids=["1 run"], lifetime=timedelta(minutes=5)).set_index("grid")
    assert frame["requests"].tolist() == [10, 10, 10]
    assert frame["fetched"].to_dict() == {"as logged": 8, "as asked": 8, "1 run": 2}
    assert frame["revalidated"].tolist() == [2, 2, 2]
    assert frame["wire_bytes"].tolist() == [8_012, 8_012, 2_006]
    assert frame.loc["1 run", "sent_on_share"] == pytest.approx(0.4)
    assert frame.loc["1 run", "hit_percent"] == pytest.approx(60)
    assert frame.attrs["not_served"] == 2
    one = squid.what_if_at_squids(logs, **FOLDER, grids=["1 run"], lifetime=timedelta(hours=1))
    assert one["revalidated"].tolist() == [2, 0, 0]


def test_what_cannot_be_replayed_is_refused(squids: Written) -> None:
    with pytest.raises(InvalidRequestError, match="is not a grid"):
        squid.what_if_at_squids(squids.logs, **FOLDER, grids=["1 year"])
    with pytest.raises(InvalidRequestError, match="give more than no time"):
        squid.what_if_at_squids(squids.logs, **FOLDER, lifetime=timedelta(0))
    with pytest.raises(InvalidRequestError, match="give the grids to try"):
        squid.what_if_at_squids(squids.logs, **{**FOLDER, "tagname": "no such tag"})
    frame = squid.what_if_at_squids(squids.logs, **{**FOLDER, "tagname": "no such tag"}, grids=["1 run"])
    assert frame["requests"].sum() == 0
    assert "no served request" in frame.attrs["advice"]


def test_queries_between_the_same_bounds_of_payloads_share_a_copy(tmp_path: Path, settings: Settings) -> None:
    with connect(settings) as coolr:
        rows = coolr.payloads(*FOLDER.values(), 0, OPEN_IOV, "run-lumi")
    bounds = sorted({*rows["since"].to_pylist(), *rows["until"].to_pylist()})
    start = next(first for first, last in pairwise(bounds) if first > 0 and last - first > 3)
    lines = [asking(n, start + n, start + n) for n in range(3)] + [asking(3, start - 1, start - 1)]
    write(tmp_path / "logs", "access.log", *lines)
    logs = read_squid_logs(tmp_path / "logs", settings, name="payloads")
    frame = squid.what_if_at_squids(logs, settings, **FOLDER, grids=["payload"]).set_index("grid")
    assert frame["fetched"].to_dict() == {"as logged": 4, "as asked": 4, "payload": 2}


def test_athenas_grid_is_among_the_choices(tmp_path: Path, settings: Settings) -> None:
    first = 430_000 << 32
    # the same width of 9, moved by 1: on Athena's grid all begin at a multiple of 3
    lines = [asking(n, first + n, first + n + 9) for n in range(3)]
    write(tmp_path / "logs", "access.log", *lines)
    logs = read_squid_logs(tmp_path / "logs", settings, name="athena")
    frame = squid.what_if_at_squids(logs, **FOLDER).set_index("grid")
    since = {first + n - (first + n) % 3 for n in range(3)}
    assert frame.loc["athena", "fetched"] == len(since)
    assert frame.loc["as asked", "fetched"] == 3


@pytest.mark.slow
def test_squids_stand_beside_what_frontier_saw(squids: Written) -> None:
    dataset = extract(squids.settings, source=sample.path(), name="frontier", progress=False)
    frame = squid.what_caches_did(squids.logs, dataset)
    theirs = squid.hit_ratio_per_tag(squids.logs, top=None)
    since, until = squids.truth.answers["time"].min(), squids.truth.answers["time"].max()
    ours = filters.cost_per_tag(dataset, since=since, until=until + timedelta(milliseconds=1), top=None)
    assert frame["requests"].sum() == theirs["requests"].sum()
    assert frame["frontier_queries"].sum() == ours["queries"].sum()
    keys = [*FOLDER]
    row = frame.set_index(keys).loc[tuple(FOLDER.values())]
    assert row["sent_on"] == theirs.set_index(keys).loc[tuple(FOLDER.values()), "sent_on"]
    assert row["frontier_queries"] == ours.set_index(keys).loc[tuple(FOLDER.values()), "queries"]
    assert row["frontier_bytes"] == ours.set_index(keys).loc[tuple(FOLDER.values()), "bytes"]
    assert any("queries of all Squids" in note for note in frame.attrs["notes"])
    alone = squid.what_caches_did(squids.logs, nodefullpath="/PIXEL/PixCalib")
    assert alone["frontier_queries"].isna().all()
    assert set(alone["nodefullpath"]) == {"/PIXEL/PixCalib"}
