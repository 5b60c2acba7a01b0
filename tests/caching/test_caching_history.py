from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import filelock
import pandas as pd
import pyarrow.parquet as pq
import pytest
from bokeh.models import HBar
from bokeh.models.annotations import Label
from elasticsearch import Elasticsearch

from frontierlab import Settings
from frontierlab.caching.history import compare, compare_figure, read, store
from frontierlab.caching.history_records import COLUMNS
from frontierlab.errors import DatasetError, ElasticsearchError, InvalidRequestError
from tests.services.elasticsearch import ElasticsearchServer
from tests.support.extractions import elastic_settings
from tests.support.logs import START, make_dataset

KEYS = ["db", "schema", "nodefullpath", "tagname"]
OLD = {
    "folder": "CONDBR2 , ATLAS_COOLOFL_PIXEL , /PIXEL/PixCalib",
    "payloadsize": 1.25,
    "#queries": 1000,
    "#differentqueries": 900,
    "#differentpayloads": 12,
    "tag": "PixCalib-BLK-03",
    "taskid": 41003836,
    "from": "2018-10-01T00:00:00.000Z",
    "to": "2018-10-02T00:00:00.000Z",
}


def results(*rows: tuple[str, str, int, float | None], **columns: Any) -> pd.DataFrame:
    """Return a frame as of efficiency(), from folder, tag, queries and wasted database time of each row."""
    frame = pd.DataFrame(rows, columns=["nodefullpath", "tagname", "queries", "wasted_dbtime"])
    frame = frame.assign(db="CONDBR2", schema="ATLAS_COOLOFL_PIXEL", different_queries=frame["queries"])
    figures = {"different_payloads_iov": 3, "bytes_served": 2**53 + 1, "wasted_bytes": 0.1, "efficiency_iov": 1 / 3}
    frame = frame.assign(**{"cause": "fine", "problem": "", "worst_tasks": "1 (2 different queries, 3 ms)", **figures})
    frame = frame.assign(**columns)
    types = dict.fromkeys(("queries", "different_queries", "different_payloads_iov", "bytes_served"), "Int64")
    frame = frame.astype(types | dict.fromkeys(("wasted_dbtime", "wasted_bytes", "efficiency_iov"), "Float64"))
    frame.attrs["notes"] = ["first note", "second note"]
    return frame


FIRST = results(("/A", "t1", 10, 4_000.0), ("/A", "none", 20, None), ("/B", "t1", 30, 500.0))


@pytest.fixture
def folder_settings(data_dir: Path) -> Settings:
    """A history in the data folder."""
    return Settings(data_dir=data_dir)


@pytest.fixture
def index_settings(elasticsearch_server: ElasticsearchServer, data_dir: Path, index: str) -> Settings:
    """A history in Elasticsearch."""
    return elastic_settings(elasticsearch_server, data_dir, "unused", es_caching_efficiency_index=index)


def check_store_and_read(settings: Settings, folder: Path) -> None:
    """Check that records are read as stored, replaced if stored again, and kept apart by dataset and period."""
    day = make_dataset(folder / "day", [{"time": START}, {"time": START + 1000}])
    assert read(settings).empty
    assert "Nothing is stored in" in read(settings).attrs["notes"][0]
    assert store(FIRST, day, settings) == 3
    assert store(FIRST, day, settings) == 3
    found = read(settings)
    assert len(found) == 3
    assert found.attrs == {"notes": [], "unreadable": []}
    assert list(found.columns) == COLUMNS.names
    _same(found, FIRST)
    assert found["dataset"].unique().tolist() == ["day"]
    assert found["period_since"].unique().tolist() == [pd.Timestamp(START, unit="ms", tz="UTC")]
    assert found["period_until"].unique().tolist() == [pd.Timestamp(START + 1001, unit="ms", tz="UTC")]
    assert found["notes"].unique().tolist() == ["first note\nsecond note"]
    changed = results(("/B", "t1", 31, 100.0))
    store(changed, day, settings)
    _same(read(settings, nodefullpath="/B"), changed)
    assert len(read(settings)) == 3
    period = {"since": "2026-10-05T00:00:00.000Z", "until": "2026-10-06T00:00:00.000Z"}
    store(FIRST, make_dataset(folder / "week", [], request=period), settings)
    assert len(read(settings)) == 6
    assert read(settings, dataset="week")["period_since"].iloc[0] == pd.Timestamp("2026-10-05", tz="UTC")
    assert read(settings, tagname="none", dataset="day")["queries"].tolist() == [20]
    assert store(FIRST.iloc[:0], day, settings) == 0


def _same(found: pd.DataFrame, given: pd.DataFrame) -> None:
    found, given = (frame.set_index(KEYS).sort_index() for frame in (found, given))
    types = dict.fromkeys(("cause", "problem", "worst_tasks"), "string")
    pd.testing.assert_frame_equal(found[given.columns], given.astype(types), check_index_type=False)


def test_history_in_the_data_folder(folder_settings: Settings, tmp_path: Path) -> None:
    check_store_and_read(folder_settings, tmp_path)
    assert len(list((folder_settings.data_dir / "caching").glob("*.parquet"))) == 2


def test_figures_of_a_window_are_stored_with_that_period(folder_settings: Settings, tmp_path: Path) -> None:
    day = make_dataset(tmp_path / "day", [{"time": START}, {"time": START + 86_399_999}])
    frame = FIRST.copy()
    frame.attrs |= {"dataset": ["day", day.identity], "selection": {"since": "2026-10-01T06:00:00.000Z"}}
    store(FIRST, day, folder_settings)
    store(frame, day, folder_settings)
    found = read(folder_settings)[["period_since", "period_until"]].drop_duplicates()
    end = pd.Timestamp("2026-10-02", tz="UTC")
    begins = [pd.Timestamp("2026-10-01", tz="UTC"), pd.Timestamp("2026-10-01T06:00", tz="UTC")]
    assert found.to_numpy().tolist() == [[begin, end] for begin in begins]


def test_figures_of_another_dataset_or_of_a_part_are_refused(folder_settings: Settings, tmp_path: Path) -> None:
    day = make_dataset(tmp_path / "day", [{"time": START}])
    frame = FIRST.copy()
    for other in (["sample", day.identity], ["day", "2026-10-02T00:00:00.000Z, complete, 1 documents"]):
        frame.attrs["dataset"] = other
        with pytest.raises(InvalidRequestError, match=rf"are of the dataset {other[0]} .*not of day .*Compute them"):
            store(frame, day, folder_settings)
    frame.attrs |= {"dataset": ["day", day.identity], "selection": {"taskid": [5]}}
    with pytest.raises(InvalidRequestError, match=r"part of the queries \(task 5\).*without that choice"):
        store(frame, day, folder_settings)
    assert read(folder_settings).empty


@pytest.mark.elasticsearch
def test_history_in_elasticsearch(index_settings: Settings, tmp_path: Path, es: Elasticsearch, index: str) -> None:
    check_store_and_read(index_settings, tmp_path)
    fields = es.indices.get_mapping(index=index)[index]["mappings"]["properties"]
    assert fields["bytes_served"] == {"type": "long"}
    assert fields["wasted_dbtime"] == {"type": "double"}
    assert fields["nodefullpath"] == {"type": "keyword"}
    assert fields["period_since"] == {"type": "date"}
    assert es.count(index=index)["count"] == 6


@pytest.mark.elasticsearch
def test_documents_of_the_older_tool(index_settings: Settings, tmp_path: Path, es: Elasticsearch, index: str) -> None:
    bad = [
        {**OLD, "folder": "CONDBR2 /PIXEL/PixCalib"},
        {**OLD, "#queries": "many"},
        {**OLD, "from": "yesterday"},
        {name: value for name, value in OLD.items() if name != "#queries"},
        {"something": "else"},
    ]
    odd = {**OLD, "#queries": "70", "#differentqueries": 60.0, "tag": None, "taskid": "", "payloadsize": "0.5"}
    es.indices.create(index=index, mappings={"enabled": False})
    for document in (OLD, odd, *bad):
        es.index(index=index, document=document)
    es.indices.refresh(index=index)
    found = read(index_settings)
    assert len(found) == 2
    first, second = found.sort_values("queries", ascending=False).to_dict("records")
    assert [first[key] for key in KEYS] == ["CONDBR2", "ATLAS_COOLOFL_PIXEL", "/PIXEL/PixCalib", "PixCalib-BLK-03"]
    assert first["mean_payload_size"] == 1_250_000
    assert [first[name] for name in ("queries", "different_queries", "different_payloads_iov")] == [1000, 900, 12]
    assert first["taskid"] == 41003836
    assert first["period_until"] == pd.Timestamp("2018-10-02", tz="UTC")
    assert pd.isna(first["dataset"])
    assert second["tagname"] == "unknown"
    assert (second["queries"], second["different_queries"], second["mean_payload_size"]) == (70, 60, 500_000)
    unreadable = found.attrs["unreadable"]
    assert len(unreadable) == len(bad)
    assert {json.loads(text).get("folder", "") for _, text in unreadable} == {OLD["folder"], bad[0]["folder"], ""}
    reasons = " | ".join(reason for reason, _ in unreadable)
    for reason in ("is not 'database , schema , path'", "invalid literal", "is not a time", "it lacks '#queries'"):
        assert reason in reasons
    assert found.attrs["notes"][0].startswith("5 records cannot be read, the first: ")


@pytest.mark.elasticsearch
def test_new_records_beside_old_documents(
    index_settings: Settings, tmp_path: Path, es: Elasticsearch, index: str
) -> None:
    es.index(index=index, document=OLD, refresh=True)
    store(FIRST, make_dataset(tmp_path / "day", [{"time": START}]), index_settings)
    found = read(index_settings)
    assert len(found) == 4
    assert found["period_since"].is_monotonic_increasing
    assert read(index_settings, nodefullpath="/PIXEL/PixCalib")["queries"].tolist() == [1000]


@pytest.mark.elasticsearch
def test_the_error_of_refused_records_has_no_secret(
    index_settings: Settings, tmp_path: Path, es: Elasticsearch, index: str, elasticsearch_server: ElasticsearchServer
) -> None:
    dataset = make_dataset(tmp_path / "day", [{"time": START}])
    es.indices.create(index=index, mappings={"properties": {"queries": {"type": "date"}}})
    with pytest.raises(ElasticsearchError, match=r"mapper \[queries\] cannot be changed") as caught:
        store(FIRST, dataset, index_settings)
    assert elasticsearch_server.password not in str(caught.value)
    es.indices.delete(index=index)
    es.indices.create(index=index, mappings={"runtime": {}}, settings={"index.mapping.total_fields.limit": 5})
    with pytest.raises(ElasticsearchError, match="Limit of total fields"):
        store(FIRST, dataset, index_settings)


def test_a_damaged_file_is_reported_and_other_files_are_read(folder_settings: Settings, tmp_path: Path) -> None:
    store(FIRST, make_dataset(tmp_path / "day", [{"time": START}]), folder_settings)
    (folder_settings.data_dir / "caching" / "bad.parquet").write_bytes(b"no parquet")
    found = read(folder_settings)
    assert len(found) == 3
    assert found.attrs["unreadable"][0][0].startswith("bad.parquet: ")
    assert "1 records cannot be read" in found.attrs["notes"][0]


def test_files_of_an_older_version_are_read_and_kept(folder_settings: Settings, tmp_path: Path) -> None:
    newer = ["selection", "repeated_by", "dbtime", "repeated_queries", "repeated_bytes", "repeated_dbtime"]
    newer += ["off_grid_queries", "wasted_bytes_content", "wasted_dbtime_content"]
    dataset = make_dataset(tmp_path / "day", [{"time": START}])
    store(FIRST, dataset, folder_settings)
    [path] = (folder_settings.data_dir / "caching").glob("*.parquet")
    table = pq.read_table(path).drop_columns(newer)  # as it was written before these figures existed
    pq.write_table(table, path)
    found = read(folder_settings)
    assert found.attrs["unreadable"] == []
    assert list(found.columns) == COLUMNS.names
    _same(found, FIRST)
    assert found[newer].isna().all(axis=None)
    store(results(("/B", "t1", 31, 100.0), repeated_dbtime=7), dataset, folder_settings)
    again = read(folder_settings)
    assert sorted(again["queries"]) == [10, 20, 31]
    assert again["repeated_dbtime"].dropna().tolist() == [7]
    changes = compare(found, results(("/B", "t1", 31, 100.0), repeated_dbtime=7))
    assert changes["repeated_dbtime_before"].isna().all()
    assert changes["repeated_dbtime_after"].dropna().tolist() == [7]
    texts = [r.data_source.data["text"] for r in compare_figure(changes, figure_of="repeated_dbtime").renderers]
    assert ["0.0 s" in text for text in texts] == [False, False, True, True]  # what was stored has none


def test_figures_of_different_parts_are_not_compared(folder_settings: Settings, tmp_path: Path) -> None:
    part, window = FIRST.copy(), FIRST.copy()
    part.attrs["selection"] = {"taskid": [5], "since": "2026-10-01T00:00:00.000Z"}
    window.attrs["selection"] = {"schema": ["A"], "since": "2026-10-01T00:00:00.000Z"}
    with pytest.raises(InvalidRequestError, match=r"before is of all queries; after is of task 5\. Compute both"):
        compare(FIRST, part)
    assert compare(part, part).attrs["notes"] == [
        "Both results are of a part of the queries: task 5.",
        "before is of a window: from 2026-10-01 00:00 UTC.",
        "after is of a window: from 2026-10-01 00:00 UTC.",
    ]
    assert compare(FIRST, window).attrs["notes"] == ["after is of a window: from 2026-10-01 00:00 UTC."]
    extracted = make_dataset(tmp_path / "task", [{"time": START}], request={"taskid": 5})
    store(FIRST, extracted, folder_settings)
    with pytest.raises(InvalidRequestError, match="before is of task 5; after is of all queries"):
        compare(read(folder_settings), FIRST)
    computed = FIRST.copy()
    computed.attrs["extracted"] = ['{"taskid": [5]}']
    assert compare(read(folder_settings), computed).attrs["notes"] == [
        "Both results are of a part of the queries: task 5."
    ]


def test_frames_without_figures_are_refused(folder_settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequestError, match=r"no column queries: give one that efficiency\(\) returned"):
        store(FIRST.drop(columns="queries"), make_dataset(tmp_path / "day", []), folder_settings)
    assert not (folder_settings.data_dir / "caching").exists()


def test_comparison_of_two_results() -> None:
    after = results(("/A", "t1", 20, 1_000.0), ("/B", "t1", 30, 600.0), ("/C", "t1", 5, 50.0))
    frame = compare(FIRST, after)
    assert frame["nodefullpath"].tolist() == ["/A", "/B", "/C", "/A"]
    assert frame["state"].tolist() == ["both", "both", "appeared", "vanished"]
    assert frame["wasted_dbtime_change"].iloc[:2].tolist() == [-3000, 100]
    assert frame["wasted_dbtime_ratio"].iloc[:2].tolist() == [0.25, 1.2]
    assert frame["queries_change"].iloc[0] == 10
    assert frame["bytes_served_after"].iloc[0] == 2**53 + 1
    assert frame["queries_change"].iloc[2:].isna().all()
    assert frame.attrs["notes"] == ["Vanished: /A (none).", "Appeared: /C (t1)."]
    zero = compare(results(("/A", "t1", 1, 0.0)), results(("/A", "t1", 1, 2.0)))
    assert zero["wasted_dbtime_ratio"].isna().all()
    same = compare(FIRST.iloc[::-1], FIRST)  # nothing changed: the largest first
    assert same["nodefullpath"].tolist() == ["/A", "/B", "/A"]


def test_only_one_period_is_compared_with_another(folder_settings: Settings, tmp_path: Path) -> None:
    for name, hours in (("before", 24), ("after", 12)):
        store(
            FIRST,
            make_dataset(tmp_path / name, [{"time": START}, {"time": START + 3_600_000 * hours}]),
            folder_settings,
        )
    before, after = (read(folder_settings, dataset=name) for name in ("before", "after"))
    notes = compare(before, after).attrs["notes"]
    assert notes == ["The periods have different lengths, 24.0 h and 12.0 h; this alone changes totals."]
    with pytest.raises(InvalidRequestError, match=r"before holds /A \(none\) more than once: choose one dataset"):
        compare(read(folder_settings), after)
    with pytest.raises(InvalidRequestError, match="after has no column wasted_bytes"):
        compare(before, after.drop(columns="wasted_bytes"))


@pytest.mark.parametrize("of", ["wasted_dbtime", "wasted_bytes", "queries", "efficiency_iov"])
def test_the_figure_of_a_comparison(of: str) -> None:
    after = results(("/A", "t1", 20, 1_000.0), ("/B", "t1", 30, 600.0), ("/C", "t1", 5, 50.0))
    plot = compare_figure(compare(FIRST, after), figure_of=of, top=3)
    before, now = [dict(r.data_source.data) for r in plot.renderers if isinstance(r.glyph, HBar)]
    assert (before["series"][0], now["series"][0]) == ("before", "after")
    if of == "wasted_dbtime":
        assert before["row"] == ["/A t1", "/B t1", "/C t1 (appeared)"]
        assert before["text"] == ["4.0 s", "0.5 s", "none"]
        assert list(now["length"]) == [1.0, 0.6, 0.05]


def test_an_empty_comparison_says_so() -> None:
    empty = FIRST.iloc[:0]
    plot = compare_figure(compare(empty, empty))
    assert plot.select_one(Label).text == "Neither result has a folder to compare."


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: compare_figure(FIRST), r"no column wasted_dbtime_before: give one that compare\(\) returned"),
        (
            lambda: compare_figure(compare(FIRST, FIRST), figure_of="speed"),
            "figure_of='speed' cannot be compared: choose one of queries",
        ),
    ],
)
def test_invalid_arguments_of_the_figure(wrong: Callable[[], object], message: str) -> None:
    with pytest.raises(InvalidRequestError, match=message):
        wrong()


def test_locked_or_damaged_files_are_left_unchanged(
    folder_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = make_dataset(tmp_path / "a", [])
    store(FIRST, dataset, folder_settings)
    [path] = (folder_settings.data_dir / "caching").glob("*.parquet")
    before = path.read_bytes()
    monkeypatch.setattr("frontierlab.storage.history_files._LONGEST_WAIT", 0.1)
    with (
        filelock.FileLock(path.with_name(".lock"), is_singleton=False),
        pytest.raises(DatasetError, match=r"written by another process for 0\.1 seconds\. Nothing was stored"),
    ):
        store(FIRST, dataset, folder_settings)
    assert path.read_bytes() == before
    path.write_bytes(b"damaged")
    with pytest.raises(DatasetError, match=r"cannot be read or written, and is left as it was"):
        store(FIRST, dataset, folder_settings)
    assert path.read_bytes() == b"damaged"
