"""Hit ratios against the truth of the sample world, computed with pandas from what was written."""

from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import frontierlab as fl
from frontierlab import Settings
from frontierlab.errors import InvalidRequestError
from frontierlab.rawlogs import squid
from frontierlab.rawlogs.squid import plots, read_squid_logs
from tests.rawlogs.squid.conftest import Written
from tests.rawlogs.squid.test_read_logs import write

HITS = {"TCP_MEM_HIT", "TCP_HIT", "TCP_IMS_HIT", "TCP_CF_HIT", "TCP_MEM_HIT_ABORTED"}
SQUID_HITS = HITS | {"TCP_NEGATIVE_HIT", "TCP_REFRESH_UNMODIFIED", "TCP_REFRESH_FAIL_OLD"}


def counted(rows: pd.DataFrame) -> dict[str, object]:
    """What the filters count, in plain Python."""
    denied = int((rows["result"] == "TCP_DENIED").sum())
    rows = rows[rows["result"] != "TCP_DENIED"]
    result = rows["result"]
    requests = len(rows)
    there = int((result.isin(HITS | {"TCP_NEGATIVE_HIT"})).sum())
    sent_on = int(rows["sent_on"].sum())
    own = int(result.isin(SQUID_HITS).sum())
    again = int((result == "TCP_REFRESH_UNMODIFIED").sum())
    return {
        "requests": requests,
        "answered_there": there,
        "sent_on": sent_on,
        "squid_hits": own,
        "negative_hits": int((result == "TCP_NEGATIVE_HIT").sum()),
        "revalidated": again,
        "replaced": int((result == "TCP_REFRESH_MODIFIED").sum()),
        "stale": int((result == "TCP_REFRESH_FAIL_OLD").sum()),
        "failed": 0,
        "forced": int((result == "TCP_CLIENT_REFRESH_MISS").sum()),
        "missed": int(result.isin({"TCP_MISS", "TCP_MISS_ABORTED"}).sum()),
        "unknown": int((result == "TCP_NEW_IDEA").sum()),
        "denied": denied,
        "not_understood": 0,
        "tunnels": 0,
        "aborted": int(result.str.endswith("_ABORTED").sum()),
        "without_task": int(rows["taskid"].isna().sum()),
        "wire_bytes": int(rows["wire_bytes"].sum()),
        "hit_percent": 100 * there / requests if requests else None,
        "squid_hit_percent": 100 * own / requests if requests else None,
        "revalidated_percent": 100 * again / requests if requests else None,
        "fetches_per_request": sent_on / requests if requests else None,
    }


def assert_row(row: pd.Series, rows: pd.DataFrame) -> None:
    for name, value in counted(rows).items():
        assert (pd.isna(row[name]) and value is None) or row[name] == pytest.approx(value), name


def test_hit_ratios_over_time_equal_the_truth(squids: Written) -> None:
    frame = squid.hit_ratio_over_time(squids.logs, bin_seconds=3600)
    bins = squids.truth.answers["time"].dt.floor("h")
    assert len(frame) == (bins.max() - bins.min()) // pd.Timedelta("1h") + 1
    for _, row in frame.iterrows():
        assert_row(row, squids.truth.answers[bins == row["time"]])
    assert frame["requests"].sum() == (squids.truth.answers["result"] != "TCP_DENIED").sum()


@pytest.mark.parametrize(("per", "key"), [("task", "taskid"), ("squid", "squid"), ("site", "computingsite")])
def test_hit_ratios_per_group_equal_the_truth(squids: Written, per: str, key: str) -> None:
    frame = getattr(squid, f"hit_ratio_per_{per}")(squids.logs, top=None)
    truth = squids.truth.answers.assign(computingsite=squids.truth.answers["squid"].map(squids.truth.sites))
    assert frame["requests"].sum() == (truth["result"] != "TCP_DENIED").sum()
    for _, row in frame.iterrows():
        these = truth[key].isna() if row["part"] == "missing" else (truth[key] == row[key]).fillna(False)
        assert_row(row, truth[these])
    assert frame["requests"].fillna(0).diff().iloc[1 : len(frame) - 1].le(0).all()


@pytest.mark.slow
def test_hit_ratios_per_folder_and_tag_equal_those_of_the_rows(squids: Written) -> None:
    rows = squids.logs.to_pandas()
    for per, keys in (
        ("folder", ["db", "schema", "nodefullpath"]),
        ("tag", ["db", "schema", "nodefullpath", "tagname"]),
    ):
        frame = getattr(squid, f"hit_ratio_per_{per}")(squids.logs, top=None)
        assert frame["part"].ne("missing").sum() > 5
        for row in frame[frame["part"] == "named"].itertuples():
            these = np.logical_and.reduce([(rows[key] == getattr(row, key)).to_numpy(bool) for key in keys])
            assert_row(frame.loc[row.Index], rows[these])


def test_the_share_without_a_task_stands_beside_figures_per_task(squids: Written) -> None:
    frame = squid.hit_ratio_per_task(squids.logs, top=3)
    truth = squids.truth.answers[squids.truth.answers["result"] != "TCP_DENIED"]
    none = int(truth["taskid"].isna().sum())
    assert none > 0
    assert frame.attrs["without_task"] == {"requests": none, "percent": pytest.approx(100 * none / len(truth))}
    drawing = plots.hit_ratio_per_task.drawing(frame)
    assert f"{100 * none / len(truth):.1f} % of the requests name no task" in drawing.words


def test_what_is_left_out_of_the_requests_is_said(squids: Written, tmp_path: Path, settings: Settings) -> None:
    truth = squids.truth.answers
    denied = truth[truth["result"] == "TCP_DENIED"]
    assert len(denied) > 0
    told = f"{len(denied):,} answers are no requests to the cache, and are not among the requests: denied or redirected"
    for frame in (
        squid.hit_ratio_over_time(squids.logs),
        squid.hit_ratio_per_tag(squids.logs, top=2),
        squid.what_caches_did(squids.logs),
        squid.fetch_ratio(squids.logs),
    ):
        assert sum(note.startswith(told) for note in frame.attrs["notes"]) == 1
    name = truth["squid"].iloc[0]
    of_squid = squid.hit_ratio_per_site(squids.logs, squid=name)
    assert of_squid["denied"].sum() == (denied["squid"] == name).sum()
    lines = [line(0, "NONE_NONE", "HIER_NONE"), line(31, "TCP_TUNNEL", "HIER_DIRECT"), line(62, "TCP_HIT", "HIER_NONE")]
    write(tmp_path / "logs", "access.log", *lines)
    logs = read_squid_logs(tmp_path / "logs", settings, name="others", complete=False)
    note = "2 answers are no requests to the cache, and are not among the requests: not understood 1, tunnels 1. "
    assert any(one.startswith(note) for one in squid.hit_ratio_per_squid(logs).attrs["notes"])
    frame = squid.fetch_ratio(logs)
    assert frame[["half_hours", "requests", "fetches"]].to_numpy().tolist() == [[1, 1, 0]]
    assert any(one.startswith(note) for one in frame.attrs["notes"])


def test_a_selection_selects(squids: Written) -> None:
    truth = squids.truth.answers
    task = int(truth["taskid"].value_counts().index[0])
    since = truth["time"].min() + pd.Timedelta("6h")
    frame = squid.hit_ratio_per_squid(squids.logs, fl.Selection(taskid=task), since=since.isoformat(), top=None)
    chosen = truth[(truth["taskid"] == task).fillna(False) & (truth["time"] >= since)]
    for row in frame.itertuples():
        assert_row(frame.loc[row.Index], chosen[chosen["squid"] == row.squid])
    assert frame.attrs["selection"].startswith(f"task {task}")
    statement = squid.hit_ratio_per_squid.sql(taskid=task)
    assert "GROUP BY 1" in str(statement)


def test_fields_of_frontier_alone_are_refused(squids: Written) -> None:
    with pytest.raises(InvalidRequestError, match=r"cannot be selected by cached: only Frontier.* Valid: since"):
        squid.hit_ratio_per_squid(squids.logs, fl.Selection(cached=True))
    with pytest.raises(TypeError, match="has no keyword cached"):
        squid.hit_ratio_per_squid(squids.logs, cached=True)
    with pytest.raises(InvalidRequestError, match="rank_by='hits'"):
        squid.hit_ratio_per_squid(squids.logs, rank_by="hits")
    with pytest.raises(InvalidRequestError, match="are no Squid logs"):
        squid.hit_ratio_per_squid(3)


def test_results_are_counted_under_their_own_names(squids: Written) -> None:
    frame = squid.results_of_squids(squids.logs)
    counts = squids.truth.answers["result"].value_counts()
    assert dict(zip(frame["result"], frame["answers"], strict=True)) == counts.to_dict()
    classes = squids.truth.answers.groupby("result")["result_class"].first()
    assert dict(zip(frame["result"], frame["result_class"], strict=True)) == classes.to_dict()
    assert squids.logs.manifest.unknown_results == {"TCP_NEW_IDEA": counts["TCP_NEW_IDEA"]}
    assert squids.logs.manifest.results == counts.to_dict()
    assert any("TCP_NEW_IDEA" in note for note in frame.attrs["notes"])


def test_several_logs_are_asked_as_one(squids: Written) -> None:
    frame = squid.results_of_squids([squids.logs, squids.logs])
    assert frame["answers"].sum() == 2 * len(squids.truth.answers)


def line(minute: int, result: str, hierarchy: str) -> str:
    hour, minute = divmod(minute, 60)
    url = "http://f:8000/atlr/Frontier/type=frontier_request:1:DEFAULT&encoding=BLOBzip5&p1=eNo_"
    return (
        f'10.0.0.1 - - [05/Oct/2026:{hour:02d}:{minute:02d}:00 +0000] "GET {url} HTTP/1.0" 200 10 '
        f'{result}:{hierarchy} 0 "x" "-" "-"'
    )


def test_fetches_by_requests_are_those_of_half_hours(tmp_path: Path, settings: Settings) -> None:
    busy = [line(0, "TCP_MISS", "HIER_DIRECT")] * 400 + [line(31, "TCP_HIT", "HIER_NONE")] * 600
    idle = [line(0, "TCP_MISS", "HIER_DIRECT")] * 499
    write(tmp_path / "logs", "busy.log", *busy)
    write(tmp_path / "logs", "idle.log", *idle)
    logs = read_squid_logs(tmp_path / "logs", settings, name="fr", sites="CERN", complete=False)
    frame = squid.fetch_ratio(logs).set_index("squid")
    assert frame.loc["busy", "half_hours"] == 2
    assert frame["fetches_per_request"].to_dict() == {"busy": 0.4, "idle": 0.0}  # fewer than 500 in a half hour
    assert frame["of_site"].tolist() == [0.4, 0.4]
    assert frame["step"].tolist() == [1, 1]
    assert frame["week"].tolist() == [pd.Timestamp("2026-10-05", tz="UTC")] * 2
    assert squid.fetch_ratio(logs, squid="idle")["of_site"].tolist() == [0.0]


@pytest.mark.slow
def test_figures_show_what_the_frames_hold(squids: Written) -> None:
    frame = squid.hit_ratio_over_time(squids.logs, bin_seconds=3600)
    ratios = plots.hit_ratio_over_time.drawing(frame)
    assert ratios.x.kind == "datetime"
    shown = ratios.marks[0].data["y"][: len(frame)]
    assert shown == pytest.approx(frame["hit_percent"].to_numpy(float, na_value=np.nan), nan_ok=True)
    plots.requests_over_time(frame)
    for per in ("folder", "tag", "task", "site", "squid"):
        groups = getattr(squid, f"hit_ratio_per_{per}")(squids.logs, top=4)
        drawing = getattr(plots, f"hit_ratio_per_{per}").drawing(groups)
        bars = drawing.marks[0].data
        total = sum(bars[name].sum() for name in ("answered_there", "revalidated", "fetched", "neither"))
        assert total == groups.loc[groups["part"] != "other", "requests"].sum()  # the others together have no bar
        getattr(plots, f"hit_ratio_per_{per}")(groups, percent=True)
    empty = squid.hit_ratio_over_time(squids.logs, since="2001-01-01", until="2001-01-02")
    assert plots.hit_ratio_over_time.drawing(empty).nothing
    with pytest.raises(InvalidRequestError, match=r"what hit_ratio_per_task returns"):
        plots.hit_ratio_per_task(frame)


def test_a_window_without_requests_has_empty_bins(squids: Written) -> None:
    since = squids.truth.answers["time"].max() + timedelta(days=1)
    frame = squid.hit_ratio_over_time(squids.logs, since=since, until=since + timedelta(hours=1))
    assert frame["requests"].sum() == 0
    assert frame["hit_percent"].isna().all()
