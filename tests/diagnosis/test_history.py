"""Stored incidents are read back as they were, replaced as a whole, and known again on other days."""

import dataclasses
import threading
from pathlib import Path
from typing import Any

import filelock
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bokeh.models import FactorRange

import frontierlab as fl
from frontierlab.diagnosis import Diagnosis, history
from frontierlab.diagnosis.result import COLUMNS, UNNAMED, frame_of
from frontierlab.errors import DatasetError, InvalidRequestError
from frontierlab.selection import Selection

PIXEL = {"db": "CONDBR2", "schema": "ATLAS_COOLOFL_PIXEL", "nodefullpath": "/PIXEL/PixCalib"}


@pytest.fixture
def settings(tmp_path: Path) -> fl.Settings:
    return fl.Settings(data_dir=tmp_path)


def row(kind: str, day: int, hour: int = 9, **more: Any) -> dict[str, Any]:
    since = pd.Timestamp(2026, 10, day, hour, tz="UTC")
    text = f"{kind} on day {day}"
    return dict.fromkeys(COLUMNS) | {
        "kind": kind,
        "since": since,
        "until": since + pd.Timedelta(hours=1),
        "ongoing": False,
        "queries": 2**60 + day,
        "normal": 0.1,
        "sentence": text,
        **more,
    }


def diagnosis(day: int, *rows: dict[str, Any], **more: Any) -> Diagnosis:
    nothing = pd.DataFrame()
    made = Diagnosis(
        incidents=frame_of(rows),
        chronic=nothing,
        looked_at=nothing,
        cleared=nothing,
        explained=nothing,
        source=f"nightly-2026-10-{day:02}",
        selection=Selection(),
        since=pd.Timestamp(2026, 10, day, tz="UTC"),
        until=pd.Timestamp(2026, 10, day + 1, tz="UTC"),
        queries=1000 * day,
        notes=("The logs lack initthreads.",),
        answered={},
        total=nothing,
        details=(),
    )
    return dataclasses.replace(made, **more)


@pytest.fixture
def week(settings: fl.Settings) -> list[dict[str, Any]]:
    """A flood on the first and third day by other tasks, a slow server on two, a busy task, and a quiet day."""
    days = {
        1: [row("iov_flood", 1, taskid=1, **PIXEL), row("load", 1, 12, taskid=7)],
        2: [row("slow_server", 2, frontierserver="f1"), row("load", 2, taskid=8)],
        3: [row("slow_server", 3, frontierserver="f1"), row("iov_flood", 3, 5, taskid=2, **PIXEL)],
        4: [],
    }
    for day, rows in days.items():
        assert history.store(diagnosis(day, *rows), settings) == len(rows)
    return sorted((one for rows in days.values() for one in rows), key=lambda one: one["since"])


def test_incidents_are_read_as_they_were_stored(settings: fl.Settings, week: list[dict[str, Any]]) -> None:
    found = history.read(settings)
    of_diagnosis = ["dataset", "diagnosed_since", "diagnosed_until", "stored"]
    assert list(found.columns) == [*of_diagnosis, *COLUMNS, "days"]
    pd.testing.assert_frame_equal(found[[*COLUMNS]], frame_of(week))
    assert found["dataset"].tolist() == [f"nightly-2026-10-{one['since'].day:02}" for one in week]
    assert (found["diagnosed_since"] == found["since"].dt.floor("D")).all()
    assert [one[0][-2:] + f" {one[3]}" for one in found.attrs["diagnosed"]] == [
        "01 1000",
        "02 2000",
        "03 3000",
        "04 4000",
    ]
    assert found.attrs["notes"] == []


def test_what_came_again_is_known(settings: fl.Settings, week: list[dict[str, Any]]) -> None:
    found = history.read(settings)
    days = dict(zip(found["sentence"], found["days"], strict=True))
    # the flood came by another task, which is no part of its lasting scope; each load is one of its own
    again = ("iov_flood on day 1", "iov_flood on day 3", "slow_server on day 2", "slow_server on day 3")
    assert days == dict.fromkeys(again, 2) | {"load on day 1": 1, "load on day 2": 1}
    later = history.read(settings, selection=Selection(since="2026-10-02"))
    assert later.loc[later["kind"] == "iov_flood", "days"].tolist() == [1]


def test_incidents_are_selected(settings: fl.Settings, week: list[dict[str, Any]]) -> None:
    def told(**more: Any) -> list[str]:
        return history.read(settings, **more)["sentence"].tolist()

    assert told(selection=Selection(nodefullpath="/PIXEL/PixCalib")) == ["iov_flood on day 1", "iov_flood on day 3"]
    assert told(selection=Selection(taskid=[2, 8])) == ["load on day 2", "iov_flood on day 3"]
    assert told(kind="load", dataset="nightly-2026-10-02") == ["load on day 2"]
    window = Selection(since="2026-10-01T10:00", until="2026-10-01T12:00:01")  # the flood ended as it begins
    assert told(selection=window) == ["load on day 1"]
    assert [one[0] for one in history.read(settings, selection=window).attrs["diagnosed"]] == ["nightly-2026-10-01"]
    with pytest.raises(InvalidRequestError, match="cannot be selected by not cached"):
        told(selection=Selection(cached=False))
    with pytest.raises(InvalidRequestError, match="'flood' is no kind of incidents: give one of iov_flood"):
        told(kind="flood")


def test_a_diagnosis_replaces_what_was_stored_of_the_same_time(
    settings: fl.Settings, week: list[dict[str, Any]]
) -> None:
    history.store(diagnosis(3), settings)
    found = history.read(settings)
    assert "nightly-2026-10-03" not in set(found["dataset"])
    assert len(found.attrs["diagnosed"]) == 4


def test_a_part_and_what_has_no_name_are_refused(settings: fl.Settings) -> None:
    with pytest.raises(InvalidRequestError, match=r"only part of the queries \(schema A\)"):
        history.store(diagnosis(1, selection=Selection(schema="A")), settings)
    with pytest.raises(InvalidRequestError, match="a Spark DataFrame has no name"):
        history.store(diagnosis(1, source=UNNAMED), settings)
    assert history.store(diagnosis(1, selection=Selection(since="2026-10-01T06:00")), settings) == 0


def test_no_more_than_the_most_costly_are_kept(settings: fl.Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("frontierlab.diagnosis.history._MOST", 2)
    rows = [row(kind, 1, hour) for hour, kind in enumerate(("load", "silence", "failures"))]
    assert history.store(diagnosis(1, *rows), settings) == 2
    assert history.read(settings)["kind"].tolist() == ["load", "silence"]


def test_damaged_and_newer_files_are_said_and_older_ones_read(
    settings: fl.Settings, week: list[dict[str, Any]], tmp_path: Path
) -> None:
    folder = tmp_path / "diagnosis"
    (folder / "bad.parquet").write_bytes(b"PAR1")
    first = next(path for path in sorted(folder.glob("nightly-2026-10-01*")))
    table = pq.read_table(first)
    pq.write_table(table.drop_columns(["tell", "squid"]), first)  # of a version without these columns
    newer = dict(table.schema.metadata)
    newer[b"frontierlab.diagnosis"] = newer[b"frontierlab.diagnosis"].replace(b'"format": 1', b'"format": 2')
    pq.write_table(table.replace_schema_metadata(newer), folder / "newer.parquet")
    pq.write_table(pa.table({"x": [1]}), folder / "other.parquet")
    found = history.read(settings)
    assert len(found) == len(week)
    assert found.attrs["notes"][0].startswith("3 stored diagnoses cannot be read, the first: bad.parquet")


def test_a_full_disk_and_another_writer_leave_what_was_there(
    settings: fl.Settings, week: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("frontierlab.diagnosis.history.pq.write_table", full)
        with pytest.raises(DatasetError, match=r"is left as it was: .*No space left"):
            history.store(diagnosis(1), settings)
    monkeypatch.setattr("frontierlab.storage.history_files._LONGEST_WAIT", 0.05)
    with filelock.FileLock(tmp_path / "diagnosis" / ".lock"), pytest.raises(DatasetError, match="by another process"):
        threads_store(settings)
    assert len(history.read(settings)) == len(week)
    assert not [
        path.name for path in (tmp_path / "diagnosis").iterdir() if path.suffix not in (".parquet", ".lock", "")
    ]


def threads_store(settings: fl.Settings) -> None:
    """Store in another thread, as the lock is one of a thread; raise what it raised."""
    raised: list[BaseException] = []

    def store() -> None:
        try:
            history.store(diagnosis(1), settings)
        except DatasetError as error:
            raised.append(error)

    thread = threading.Thread(target=store)
    thread.start()
    thread.join(60)
    raise raised[0]


def test_many_writers_leave_whole_files(settings: fl.Settings) -> None:
    rows = [row("load", 1, hour, taskid=hour) for hour in range(20)]
    threads = [threading.Thread(target=history.store, args=(diagnosis(1, *rows), settings)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(history.read(settings)) == 20


def test_the_figure_has_a_row_for_each_kind_and_scope(settings: fl.Settings, week: list[dict[str, Any]]) -> None:
    plot = history.figure(history.read(settings))
    rows = plot.select_one(FactorRange).factors[::-1]
    labels = [str(plot.yaxis[0].major_label_overrides[name]).replace("\n", "") for name in rows]
    assert [label.split(" ·")[0] for label in labels] == ["slow_server", "iov_flood", "load", "load"]
    (bars,) = plot.renderers
    assert sorted(bars.data_source.data["sentence"]) == sorted(one["sentence"] for one in week)
    assert history.figure(history.read(settings, kind="silence")) is not None
    with pytest.raises(InvalidRequestError, match="no column"):
        history.figure(pd.DataFrame({"x": [1]}))
