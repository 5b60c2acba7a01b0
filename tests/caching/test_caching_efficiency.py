"""Caching efficiency against the truth of the sample, and of rows with known figures."""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
from pathlib import Path

import pandas as pd
import pytest
from pyspark.sql import SparkSession

import frontierlab as fl
from frontierlab import Dataset, Settings, sample
from frontierlab.caching import counting
from frontierlab.caching.computing import COLUMNS
from frontierlab.caching.efficiencies import efficiency
from frontierlab.caching.explanation import explain
from frontierlab.caching.grids import what_if
from frontierlab.catalogue import Catalogue, find_folders
from frontierlab.errors import ConfigurationError, DatasetError, InvalidRequestError
from frontierlab.sample import World
from frontierlab.schema import OPEN_IOV
from tests.caching.truth import KEY, PIXEL, PIXEL_TAG, RUN, asked, assert_is_the_truth, by_key
from tests.support.logs import make_dataset
from tests.support.spark_options import for_once

# ---- the sample


@pytest.mark.slow
def test_figures_of_the_sample_equal_its_truth(figures: pd.DataFrame, archived: Settings, truth: pd.DataFrame) -> None:
    frame = figures
    assert tuple(frame.columns) == COLUMNS
    assert list(frame.columns[:9]) == [
        *KEY, "queries", "different_queries", "different_payloads_iov", "different_payloads_content", "empty_queries",
    ]  # fmt: skip
    assert_is_the_truth(frame, truth)
    unknown = {key for key, row in by_key(truth).items() if pd.isna(row["different_payloads_iov"])}
    problems = {key for key, row in by_key(frame).items() if row["problem"]}
    assert problems == unknown  # a problem where the truth has no figures, and nowhere else
    assert {str(kind) for kind in frame.dtypes} == {"string", "Int64", "Float64"}
    pairs = [[frame[[f"{kind}_{cost}" for kind in ("wasted", "repeated")]].max(axis=1)] for cost in ("dbtime", "bytes")]
    order = list(zip(*(-costs.fillna(-1) for [costs] in pairs), strict=True))
    assert order == sorted(order)
    assert not [*archived.data_dir.glob(".counting-*")]


def test_answers_over_time_have_the_same_bytes(dataset: Dataset, figures: pd.DataFrame) -> None:
    frame = fl.filters.bytes_per_answer_over_time(dataset, top=None, bin_seconds=3600)
    found = frame.fillna({"tagname": counting.UNKNOWN_TAG}).dropna(subset=KEY).groupby([*KEY])["bytes"].sum()
    served = figures.set_index([*KEY])["bytes_served"].sort_index()
    pd.testing.assert_series_equal(found[found > 0], served[served > 0], check_names=False)
    assert (served > 0).sum() > 100


@pytest.mark.spark
def test_spark_gives_the_same_figures(tmp_path: Path, running: SparkSession) -> None:
    small = sample.settings(data_dir=tmp_path)
    World(4_000, seed=3).write(tmp_path / "dump.ndjson")
    dataset = fl.extract(small, source=tmp_path / "dump.ndjson", name="small", progress=False)
    frame, figures = (efficiency(dataset, small, session=session, progress=False) for session in (running, None))
    pd.testing.assert_frame_equal(frame, figures, check_exact=False, rtol=1e-12)
    engines = [one.attrs["answered"]["engine"] for one in (frame, figures)]
    assert engines == ["spark", "duckdb"]
    assert len(figures) > 50
    assert figures["different_payloads_content"].sum() > 100
    worst = {name: figures.loc[0, name] for name in KEY}
    with for_once(running):
        theirs, ours = (explain(dataset, small, session=session, **worst) for session in (running, None))
        tried = [what_if(dataset, small, session=session, **worst) for session in (running, None)]
    for name in ("queries", "intervals", "tasks"):
        assert len(getattr(ours, name)) > 1
        pd.testing.assert_frame_equal(getattr(theirs, name), getattr(ours, name))
    assert theirs.totals == ours.totals
    pd.testing.assert_frame_equal(*tried, check_exact=False, rtol=1e-12)


def test_causes_overlaps_tasks_and_notes(dataset: Dataset, figures: pd.DataFrame) -> None:
    frame = figures
    pixel = by_key(frame)[(*PIXEL, PIXEL_TAG)]
    assert pixel["cause"] == "IOVs on no grid"
    assert set(frame.loc[frame["problem"] != "", "cause"]) == {"below the threshold"}
    assert set(frame.loc[frame["overlapping_rows"] > 0, "nodefullpath"]) == {"/LAR/BadChannelsOfl/BadChannels"}
    logs = dataset.to_pandas()
    mine = logs[(logs["nodefullpath"] == PIXEL[2]) & (logs["tagname"] == PIXEL_TAG) & (logs["db"] == PIXEL[0])]
    mine = mine[(mine["since"] >= 0) & (mine["until"] >= mine["since"])]
    mine = mine[~mine[["disconn", "procerror", "rejected"]].fillna(False).any(axis=1)]
    different = mine.drop_duplicates(["taskid", "sqlhash", "since", "until"]).groupby("taskid").size()
    task, count = different.idxmax(), different.max()
    time = mine.loc[(mine["taskid"] == task) & ~mine["cached"].fillna(False), "dbtime"].sum()
    assert pixel["worst_tasks"].split("; ")[0] == f"{task} ({count} different queries, {time} ms)"
    assert len(pixel["worst_tasks"].split("; ")) == 3
    assert frame.attrs["notes"] == [
        "133 queries with an IOV do not name a folder; no row counts them.",
        "Of the queries that were not cached, 6 name neither Squid nor site; they count as no repeats.",
    ]


@pytest.mark.slow
def test_a_selection_limits_the_figures_the_explanation_and_the_what_if(dataset: Dataset, archived: Settings) -> None:
    window = fl.Selection(schema=PIXEL[1], since="2026-10-01T06:00", until="2026-10-01T12:00")
    frame = efficiency("sample", archived, selection=window, progress=False)
    logs = dataset.to_pandas()
    logs = logs[(logs["time"] >= window.since) & (logs["time"] < window.until)]
    logs = logs[(logs["since"] >= 0) & (logs["until"] >= logs["since"]) & logs["nodefullpath"].notna()]
    logs = logs[~logs[["disconn", "procerror", "rejected"]].fillna(False).any(axis=1)]
    logs = logs[logs["schema"] == PIXEL[1]]
    expected = logs.assign(tagname=logs["tagname"].astype("string").fillna("unknown")).groupby(KEY, observed=True)
    served = frame[frame["queries"] > 0].set_index(KEY)
    assert served["queries"].to_dict() == expected.size().to_dict()
    assert frame.attrs["selection"] == json.loads(window.to_json())
    assert frame.attrs["dataset"] == ["sample", dataset.identity]
    part = f"The figures cover a part of the queries of sample: {window.in_words()}."
    assert frame.attrs["notes"][0] == part
    worst = frame.iloc[0]
    where = worst[KEY].to_dict()
    why = fl.caching.explain(dataset, archived, **where, selection=window)
    assert (why.totals["queries"], why.tasks["queries"].sum()) == (worst["queries"], worst["queries"])
    what = fl.caching.what_if(dataset, archived, **where, selection=window)
    assert what["requests"].iloc[0] == worst["different_queries"]
    assert why.notes == what.attrs["notes"] == [part]


@pytest.mark.slow
def test_figures_do_not_depend_on_the_size_of_pieces(
    dataset: Dataset, archived: Settings, truth: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "PIECE", 1_000)  # the largest folder alone has more queries
    number = truth.groupby(KEY[:3]).ngroup()
    some = truth[(number % 4 == 0) | (number == number[truth["queries"].idxmax()])].reset_index(drop=True)
    assert some["queries"].max() > 1_000
    assert (some["queries"] < 500).sum() > 20  # several are in a piece
    assert_is_the_truth(efficiency(dataset, archived, some, progress=False), some)


# ---- rows with known figures


def test_nulls_repeated_queries_and_bad_iovs(tmp_path: Path, archived: Settings) -> None:
    rows = [
        asked(RUN, fsize=100, dbtime=10, squid="a", taskid=1),
        asked(RUN, fsize=None, dbtime=None, squid=None),  # the same query
        asked(RUN, sqlhash=None, fsize=200, dbtime=30, squid="a", cached=None, disconn=None),  # null flags are false
        asked(RUN, sqlhash=None, cached=True, squid="b"),
        asked(RUN, sqlhash=0, cached=True),  # 0 is not null
        asked(RUN, disconn=True, fsize=1_000),
        asked(RUN, -1),
        asked(-1, RUN),
        asked(None, None),
        asked(RUN + 1, RUN),
        asked(RUN, tagname=None, fsize=7),
        asked(RUN, nodefullpath=None),
        asked(RUN, schema=None),
    ]
    frame = efficiency(make_dataset(tmp_path / "odd", rows[:5], rows[5:]), archived, progress=False)
    found = {row["tagname"]: row for row in frame.to_dict("records")}
    assert found.keys() == {PIXEL_TAG, "unknown"}
    row = found[PIXEL_TAG]
    counts = ("queries", "different_queries", "cached", "uncached", "failed", "half_given", "backwards", "bytes_served")
    assert [row[name] for name in counts] == [5, 3, 2, 3, 1, 2, 1, 300]
    assert row["different_payloads_iov"] == 1
    assert row["wasted_bytes"] == 2 * 150
    assert row["wasted_dbtime"] == 1 * 20
    assert row["wasted_bytes_squid"] == 1 * 150
    assert row["wasted_dbtime_squid"] == 1 * 20
    assert row["mean_payload_size"] == 150
    assert row["worst_tasks"] == "no task (3 different queries, 30 ms); 1 (1 different queries, 10 ms)"
    assert found["unknown"]["bytes_served"] == 7
    assert "is not known" in found["unknown"]["problem"]
    assert (row["repeated_queries"], row["repeated_dbtime"], row["dbtime"]) == (0, 0, 40)
    assert row["off_grid_queries"] == 3  # an IOV that is a point has no third
    assert pd.isna(found["unknown"]["repeated_queries"])  # its one query names no Squid and no site
    assert frame.attrs["notes"] == [
        "2 queries with an IOV do not name a folder; no row counts them.",
        "Of the queries that were not cached, 2 name neither Squid nor site; they count as no repeats.",
    ]


def test_only_failed_queries(tmp_path: Path, archived: Settings) -> None:
    rows = [asked(RUN, rejected=True), asked(RUN, tagname="NoSuchTag", procerror=True)]
    frame = efficiency(make_dataset(tmp_path / "failed", rows), archived, progress=False)
    assert frame["queries"].tolist() == frame["different_payloads_iov"].tolist() == [0, 0]
    assert frame["failed"].tolist() == [1, 1]
    assert frame["wasted_dbtime"].tolist() == [0.0, 0.0]
    assert frame["efficiency_iov"].isna().all()
    assert set(frame["cause"]) == {"mostly failed queries"}


def test_open_ends_and_large_values_are_exact(tmp_path: Path, archived: Settings) -> None:
    rows = [asked(OPEN_IOV - 1), asked(OPEN_IOV - 2, OPEN_IOV), asked(OPEN_IOV, OPEN_IOV), asked(0, OPEN_IOV)]
    row = efficiency(make_dataset(tmp_path / "open", rows), archived, progress=False).iloc[0]
    assert row["different_queries"] == 4
    assert row["different_payloads_iov"] == 2  # the last row, and all rows
    assert row["empty_queries"] == row["different_empty_queries"] == 1  # no row holds beyond the open end


def test_dataset_without_queries_for_payloads(tmp_path: Path, archived: Settings) -> None:
    for number, rows in enumerate(([], [asked(-1)])):
        frame = efficiency(make_dataset(tmp_path / f"none{number}", rows), archived, progress=False)
        assert frame.empty
        assert tuple(frame.columns) == COLUMNS
        assert frame.attrs["notes"] == []


# ---- a choice of folders, and notes


@pytest.mark.slow
def test_one_folder_is_counted_alone(dataset: Dataset, archived: Settings, truth: pd.DataFrame) -> None:
    frame = efficiency(dataset, archived, [PIXEL], progress=False)
    expected = truth[(truth[KEY[:3]] == PIXEL).all(axis=1)]
    assert len(frame) > 1
    assert_is_the_truth(frame, expected)


@pytest.mark.usefixtures("counted")
@pytest.mark.slow
def test_folders_of_the_catalogue_and_of_other_figures(
    dataset: Dataset, archived: Settings, truth: pd.DataFrame
) -> None:
    catalogue = Catalogue.read(sample.path("catalogue.parquet"))
    frame = efficiency(dataset, archived, find_folders(catalogue, node="/PIXEL/Pix"), progress=False)
    expected = truth[truth["nodefullpath"].str.startswith("/PIXEL/Pix")]
    assert_is_the_truth(frame, expected)
    assert_is_the_truth(
        efficiency(dataset, archived, frame.head(3), progress=False),
        expected.merge(frame.head(3)[KEY[:3]].drop_duplicates().astype(object)),
    )


@pytest.mark.usefixtures("counted")
def test_a_folder_that_the_dataset_does_not_have(dataset: Dataset, archived: Settings) -> None:
    wrong = (*PIXEL[:2], "/PIXEL/PixCalibs")
    with pytest.raises(InvalidRequestError, match=r"no query of the folder .*PixCalibs\. Similar ones: .*PixCalib,"):
        efficiency(dataset, archived, [PIXEL, wrong], progress=False)
    catalogue = pd.DataFrame([PIXEL, wrong], columns=["db", "schema", "node"])
    frame = efficiency(dataset, archived, catalogue, progress=False)
    assert set(frame["nodefullpath"]) == {PIXEL[2]}
    assert f"The dataset has no query for a payload of {' '.join(wrong)}." in frame.attrs["notes"]


def test_a_folder_of_an_empty_dataset(archived: Settings, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequestError, match=r"no query of the folder .*PixCalib\. The dataset has: none"):
        efficiency(make_dataset(tmp_path / "none", []), archived, [PIXEL], progress=False)


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        ([], "folders is empty"),
        (["/PIXEL/PixCalib"], r"is not a \(db, schema, nodefullpath\)"),
        ([("CONDBR2", None, "/A")], "three texts"),
        (pd.DataFrame({"db": ["CONDBR2"]}), "needs the columns db, schema and node"),
    ],
)
def test_invalid_lists_of_folders(dataset: Dataset, archived: Settings, folders: object, message: str) -> None:
    with pytest.raises(InvalidRequestError, match=message):
        efficiency(dataset, archived, folders, progress=False)


def test_notes_say_why_figures_are_partial(tmp_path: Path, archived: Settings) -> None:
    part = make_dataset(tmp_path / "part", [asked(RUN, squid="s")], missing=1)
    with pytest.raises(DatasetError, match="allow_incomplete"):
        efficiency(part, archived, progress=False)
    frame = efficiency(part, archived, allow_incomplete=True, progress=False)
    assert frame.attrs["notes"] == ["The dataset part is incomplete: the figures cover only its complete parts."]
    cut = make_dataset(
        tmp_path / "cut",
        [asked(RUN, squid="s")],
        request={"cached": False, "taskid": 7},
        limit={"limit_queries": 5, "available": 9, "cut_at": "2026-10-01T00:00:00.000Z", "cut_at_ms": 1},
    )
    notes = efficiency(cut, archived, progress=False).attrs["notes"]
    assert [note.split(":")[0] for note in notes] == [
        "limit_queries=5 cut the dataset at 2026-10-01T00",
        "The dataset was extracted with task 7, not cached",
        "Other queries of the same folders are not in it",
    ]
    selected = make_dataset(tmp_path / "selected", [asked(RUN, squid="s")], request={"selection": {"schema": ["A"]}})
    assert efficiency(selected, archived, progress=False).attrs["notes"] == [
        "The dataset was extracted with schema A: the figures cover only such queries."
    ]


def test_missing_coolr_is_an_error_before_counting(dataset: Dataset, archived: Settings) -> None:
    records = []
    with pytest.raises(ConfigurationError, match="coolr_host is not set"):
        efficiency(dataset, Settings(data_dir=archived.data_dir), progress=records.append)
    assert records == []


# ---- progress, and imports


@pytest.mark.slow
@pytest.mark.usefixtures("counted")
def test_progress_reports_counting_then_folders(dataset: Dataset, archived: Settings, truth: pd.DataFrame) -> None:
    records = []
    efficiency(dataset, archived, progress=records.append)
    stages = [record.stage for record in records]
    assert stages == sorted(stages)  # counting, then folders
    assert set(stages) == {"counting", "folders"}
    done = [record.done for record in records if record.stage == "folders"]
    assert done == sorted(done)
    assert (done[0], done[-1]) == (0, len(truth))
    assert records[-1].total == len(truth)


def test_modules_do_not_hide_functions_of_the_package() -> None:
    for module in pkgutil.iter_modules(fl.caching.__path__, "frontierlab.caching."):
        importlib.import_module(module.name)
    names = [name for name in fl.caching.__all__ if name != "history"]
    assert all(inspect.isfunction(getattr(fl.caching, name)) for name in names)
