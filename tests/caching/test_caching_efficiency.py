"""Caching efficiency against the truth of the sample, and against a COOLR that fails and lies."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from pyspark.sql import SparkSession

import frontierlab as fl
from frontierlab import Dataset, Settings, sample
from frontierlab.caching import counting
from frontierlab.caching.counting import Counted, count_folders, count_queries
from frontierlab.caching.efficiencies import COLUMNS, efficiency
from frontierlab.caching.folder_figures import ask_coolr, payloads_of
from frontierlab.catalogue import Catalogue
from frontierlab.coolr import Archive, Cancelled, Coolr
from frontierlab.coolr.calls import Caller
from frontierlab.coolr.refresh import find_folders
from frontierlab.coolr.responses import in_order
from frontierlab.errors import ConfigurationError, CoolrError, DatasetError, InvalidRequestError
from frontierlab.sample import World
from frontierlab.schema import OPEN_IOV
from tests.caching.test_caching_answer_sets import by_rule, conditions, table
from tests.services.coolr import CoolrServer, Trouble
from tests.support.logs import make_dataset

pytestmark = pytest.mark.spark

KEY = ["db", "schema", "nodefullpath", "tagname"]
PIXEL = ("CONDBR2", "ATLAS_COOLOFL_PIXEL", "/PIXEL/PixCalib")
PIXEL_TAG = "PixCalib-RUN2-DATA-UPD4-12"
RUN = 313929 << 32


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def dataset(home: Path) -> Dataset:
    return fl.extract(sample.settings(data_dir=home), source=sample.path(), name="sample", progress=False)


@pytest.fixture(scope="module")
def truth() -> pd.DataFrame:
    return World().truth()


@pytest.fixture(scope="module")
def once_counted(
    dataset: Dataset, running: SparkSession, tmp_path_factory: pytest.TempPathFactory
) -> tuple[pd.DataFrame, Counted]:
    """What Spark counts of the dataset."""
    logs = fl.open_logs(dataset, session=running)
    return count_folders(logs), count_queries(logs, tmp_path_factory.mktemp("counted") / "queries", 1)


@pytest.fixture
def counted(once_counted: tuple[pd.DataFrame, Counted], monkeypatch: pytest.MonkeyPatch) -> None:
    """Spark has counted the dataset already: the test is about COOLR."""
    module = sys.modules["frontierlab.caching.efficiencies"]
    monkeypatch.setattr(module, "count_folders", lambda *_: once_counted[0].copy())
    monkeypatch.setattr(module, "count_queries", lambda *_: once_counted[1])


@pytest.fixture
def server() -> Iterator[CoolrServer]:
    with CoolrServer(World()) as server:
        yield server


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Caller, "_sleep", lambda self, wait: None)


@pytest.fixture(autouse=True)
def _session(running: SparkSession) -> None:
    """Spark runs, with its warm-up done."""


def archived(home: Path) -> Settings:
    return sample.settings(data_dir=home)


def live(server: CoolrServer, data_dir: Path, **changes: object) -> Settings:
    return Settings(coolr_host=server.host, data_dir=data_dir, **changes)


def by_key(frame: pd.DataFrame) -> dict[tuple[str, ...], dict[str, object]]:
    return {tuple(row[name] for name in KEY): row for row in frame.to_dict("records")}


def assert_is_true(row: dict[str, object], expected: dict[str, object], names: list[str]) -> None:
    for name in names:
        if pd.isna(expected[name]):
            assert pd.isna(row[name]), name
        else:
            assert row[name] == pytest.approx(expected[name], rel=1e-9, abs=0), name


def assert_is_the_truth(frame: pd.DataFrame, truth: pd.DataFrame) -> None:
    """Every folder and tag is there; its figures are true, or those of payloads are null and the row says why."""
    found, expected = by_key(frame), by_key(truth)
    assert found.keys() == expected.keys()
    plain = ["queries", "different_queries", "cached", "uncached", "failed", "half_given", "backwards"]
    plain.append("bytes_served")
    for key, row in found.items():
        assert_is_true(row, expected[key], plain)
        rest = [name for name in truth.columns if name not in (*KEY, *plain)]
        if row["problem"]:
            assert all(pd.isna(row[name]) for name in rest)
        else:
            assert_is_true(row, expected[key], rest)


def asked_alone(frame: pd.DataFrame) -> set[tuple[str, ...]]:
    return {key for key, row in by_key(frame).items() if row["problem"]}


# ---- the sample


def test_the_sample_is_exactly_the_truth(dataset: Dataset, home: Path, truth: pd.DataFrame) -> None:
    frame = efficiency("sample", archived(home), progress=False)
    assert tuple(frame.columns) == COLUMNS
    assert list(frame.columns[:9]) == [
        *KEY, "queries", "different_queries", "different_payloads_iov", "different_payloads_content", "empty_queries",
    ]  # fmt: skip
    assert_is_the_truth(frame, truth)
    unknown = {key for key, row in by_key(truth).items() if pd.isna(row["different_payloads_iov"])}
    assert asked_alone(frame) == unknown  # a problem where the truth has nothing, and nowhere else
    assert {str(kind) for kind in frame.dtypes} == {"string", "Int64", "Float64"}
    known = frame[frame["wasted_dbtime"].notna()]
    order = list(zip(-known["wasted_dbtime"], -known["wasted_bytes"], strict=True))
    assert order == sorted(order)
    assert frame["wasted_dbtime"].isna().sum() == frame["wasted_dbtime"].tail(len(unknown)).isna().sum()
    assert not [*home.glob(".counting-*")]


def test_causes_overlaps_tasks_and_notes(dataset: Dataset, home: Path) -> None:
    frame = efficiency(dataset, archived(home), progress=False)
    pixel = by_key(frame)[(*PIXEL, PIXEL_TAG)]
    assert pixel["cause"] == "many queries for few payloads"
    assert frame.loc[frame["cause"] == "mostly empty answers", "nodefullpath"].tolist() == ["/PIXEL/PixMapOverlay"]
    assert set(frame.loc[frame["problem"] != "", "cause"]) == {"not known"}
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
    assert frame.attrs["notes"] == ["133 queries with an IOV do not name a folder, and are in no row."]


def test_of_a_window_only_its_queries_enter_here_and_in_what_explains_it(dataset: Dataset, home: Path) -> None:
    window = fl.Selection(schema=PIXEL[1], since="2026-10-01T06:00", until="2026-10-01T12:00")
    frame = efficiency(dataset, archived(home), selection=window, progress=False)
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
    part = f"The figures are of part of the dataset sample: {window.in_words()}."
    assert frame.attrs["notes"][0] == part
    worst = frame.iloc[0]
    where = worst[KEY].to_dict()
    why = fl.caching.explain(dataset, archived(home), **where, selection=window)
    assert (why.totals["queries"], why.tasks["queries"].sum()) == (worst["queries"], worst["queries"])
    what = fl.caching.what_if(dataset, archived(home), **where, selection=window)
    assert what["requests"].iloc[0] == worst["different_queries"]
    assert why.notes == what.attrs["notes"] == [part]


def test_in_small_pieces_it_is_the_same(
    dataset: Dataset, home: Path, truth: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "PIECE", 300)  # 8 pieces of the largest folder
    assert_is_the_truth(efficiency(dataset, archived(home), progress=False), truth)


@pytest.mark.usefixtures("counted")
@pytest.mark.parametrize(("style", "shape"), [("snake", 1), ("camel", 2)])
def test_from_a_server_it_is_the_same(
    dataset: Dataset, data_dir: Path, truth: pd.DataFrame, style: str, shape: int
) -> None:
    with CoolrServer(World(), style=style, shape=shape, texts=shape == 2) as server:
        frame = efficiency(dataset, live(server, data_dir), progress=False)
        assert_is_the_truth(frame, truth)
        assert server.busiest <= 4
        calls = server.count("payloads")
        assert server.count() == calls
        assert calls <= 2 * len(frame)  # far fewer than the 16,000 queries


def test_calls_do_not_grow_with_queries(server: CoolrServer, data_dir: Path, tmp_path: Path) -> None:
    calls = []
    for count in (10, 1_000):
        rows = [asked(RUN + 7 * i % 1_000, sqlhash=i) for i in range(count)] + [asked(RUN + 1_000), asked(RUN)]
        before = server.count()
        made = make_dataset(tmp_path / f"d{count}", rows)
        assert efficiency(made, live(server, data_dir / str(count)), progress=False)["queries"].sum() == count + 2
        calls.append(server.count() - before)
    assert calls[0] == calls[1] <= 2


# ---- a COOLR that fails and lies


@pytest.mark.usefixtures("counted")
@pytest.mark.parametrize(
    "trouble",
    [
        Trouble(when="payloads", status=404, rate=0.2),
        Trouble(when="payloads", status=503, rate=0.2),
        *[Trouble(when="payloads", lie=lie, rate=0.2) for lie in ("named folder", "outside", "reversed")],
        *[Trouble(when="payloads", lie=lie, rate=0.2) for lie in ("truncated", "garbled", "cut")],
    ],
    ids=lambda trouble: trouble.lie or trouble.status,
)
def test_no_number_is_lost_or_changed(
    dataset: Dataset, server: CoolrServer, data_dir: Path, truth: pd.DataFrame, trouble: Trouble
) -> None:
    server.troubles.append(trouble)
    frame = efficiency(dataset, live(server, data_dir), progress=False)
    assert trouble.struck > 10
    assert_is_the_truth(frame, truth)
    assert (frame["problem"] == "").sum() > 20
    again = efficiency(dataset, live(server, data_dir), progress=False)  # what was right is not asked for again
    assert_is_the_truth(again, truth)


@pytest.mark.usefixtures("counted")
def test_a_field_that_is_missing_is_a_problem_of_its_row(
    dataset: Dataset, server: CoolrServer, data_dir: Path, truth: pd.DataFrame
) -> None:
    server.troubles.append(Trouble(when="PixCalib-RUN2", lie="missing"))
    frame = efficiency(dataset, live(server, data_dir), progress=False)
    assert_is_the_truth(frame, truth)
    row = by_key(frame)[(*PIXEL, PIXEL_TAG)]
    assert "lacks IOV_UNTIL" in row["problem"]
    assert PIXEL_TAG in row["problem"]
    assert row["queries"] > 0
    assert row["cause"] == "not known"


@pytest.mark.usefixtures("counted")
@pytest.mark.parametrize("confirm", [False, True])
def test_another_folders_rows_are_found_out(
    dataset: Dataset, server: CoolrServer, data_dir: Path, truth: pd.DataFrame, confirm: bool
) -> None:
    """They do not say whose they are; but answers that meet have to agree, or all are asked for twice."""
    server.troubles.append(Trouble(when="payloads.*T0BLOB", lie="folder", times=1))
    frame = efficiency(dataset, live(server, data_dir, coolr_confirm=confirm, coolr_connections=1), progress=False)
    assert_is_the_truth(frame, truth)
    problems = [
        row["problem"] for key, row in by_key(frame).items() if "T0BLOB" in key[2] and row["tagname"] != "unknown"
    ]
    assert sum("agree" in problem or "different answers" in problem for problem in problems) == 1


@pytest.mark.usefixtures("counted")
def test_a_slow_server_costs_nothing_but_time(dataset: Dataset, data_dir: Path, truth: pd.DataFrame) -> None:
    with CoolrServer(World(), delay=0.05) as server:
        assert_is_the_truth(efficiency(dataset, live(server, data_dir), progress=False), truth)


def test_who_asks_coolr_for_a_folder_can_leave() -> None:
    over, asked = threading.Event(), threading.Event()
    stop = threading.Event()
    work = fl.spark.cancellable()

    def ask() -> None:
        asked.set()
        stop.wait(60)
        over.set()

    def cancel() -> None:
        asked.wait(60)
        work.cancel()

    threading.Thread(target=cancel).start()
    with work, pytest.raises(fl.errors.Cancelled):
        ask_coolr(ask, stop)
    assert over.is_set()
    assert ask_coolr(lambda: 7, stop) == 7
    with pytest.raises(CoolrError, match="why"):
        ask_coolr(lambda: (_ for _ in ()).throw(CoolrError("why")), stop)


# ---- rows before the range


@given(conditions())
def test_a_later_row_that_ended_before_the_range_counts(case: tuple[list[tuple], list[tuple]]) -> None:
    """COOL begins at the latest row of a channel, even where that ended before all queries."""
    rows, queries = case
    if not queries:
        return
    everything = table(rows)

    class Everything:
        calls = 0

        def payloads(self, db, schema, node, tag, since, until, nodetime=None) -> pa.Table:
            self.calls += 1
            meets = [r for r in rows if r[1] <= until and r[2] > since]
            return in_order(table(meets))

    source = Everything()
    since, until = min(q[0] for q in queries), max(q[1] for q in queries)
    got = payloads_of(source, dict(zip(KEY, "dsnt", strict=True)), since, until)
    assert source.calls <= 2
    kept = [tuple(row.values()) for row in got.to_pylist()]
    assert len(set(kept)) == len(kept) <= everything.num_rows
    for query in queries:
        assert {kept[n] for n in by_rule(query, kept)} == {rows[n] for n in by_rule(query, rows)}


# ---- what is odd, and what is asked


def asked(since: int, until: int | None = None, **fields: object) -> dict[str, object]:
    row = {"schema": PIXEL[1], "nodefullpath": PIXEL[2], "tagname": PIXEL_TAG, "nodetime": "run-lumi", "sqlhash": 1}
    return {**row, "since": since, "until": since if until is None else until, "cached": False, **fields}


def test_nulls_repeats_and_shifts(tmp_path: Path, home: Path) -> None:
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
    frame = efficiency(make_dataset(tmp_path / "odd", rows[:5], rows[5:]), archived(home), progress=False)
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
    assert frame.attrs["notes"] == ["2 queries with an IOV do not name a folder, and are in no row."]


def test_failed_queries_alone(tmp_path: Path, home: Path) -> None:
    rows = [asked(RUN, rejected=True), asked(RUN, tagname="NoSuchTag", procerror=True)]
    frame = efficiency(make_dataset(tmp_path / "failed", rows), archived(home), progress=False)
    assert frame["queries"].tolist() == frame["different_payloads_iov"].tolist() == [0, 0]
    assert frame["failed"].tolist() == [1, 1]
    assert frame["wasted_dbtime"].tolist() == [0.0, 0.0]
    assert frame["efficiency_iov"].isna().all()
    assert set(frame["cause"]) == {"mostly failed queries"}


def test_open_ends_and_large_values_lose_no_digit(tmp_path: Path, home: Path) -> None:
    rows = [asked(OPEN_IOV - 1), asked(OPEN_IOV - 2, OPEN_IOV), asked(OPEN_IOV, OPEN_IOV), asked(0, OPEN_IOV)]
    row = efficiency(make_dataset(tmp_path / "open", rows), archived(home), progress=False).iloc[0]
    assert row["different_queries"] == 4
    assert row["different_payloads_iov"] == 2  # the last row, and all rows
    assert row["empty_queries"] == row["different_empty_queries"] == 1  # no row holds beyond the open end


def test_a_dataset_without_queries(tmp_path: Path, home: Path) -> None:
    for number, rows in enumerate(([], [asked(-1)])):
        frame = efficiency(make_dataset(tmp_path / f"none{number}", rows), archived(home), progress=False)
        assert frame.empty
        assert tuple(frame.columns) == COLUMNS
        assert frame.attrs["notes"] == []


def test_some_folders(dataset: Dataset, home: Path, truth: pd.DataFrame) -> None:
    frame = efficiency(dataset, archived(home), [PIXEL], progress=False)
    expected = truth[(truth[KEY[:3]] == PIXEL).all(axis=1)]
    assert len(frame) > 1
    assert_is_the_truth(frame, expected)
    catalogue = Catalogue.read(sample.path("catalogue.parquet"))
    frame = efficiency(dataset, archived(home), find_folders(catalogue, node="/PIXEL/Pix"), progress=False)
    expected = truth[truth["nodefullpath"].str.startswith("/PIXEL/Pix")]
    assert_is_the_truth(frame, expected)
    assert_is_the_truth(
        efficiency(dataset, archived(home), frame.head(3), progress=False),
        expected.merge(frame.head(3)[KEY[:3]].drop_duplicates().astype(object)),
    )


def test_a_folder_that_is_not_there(dataset: Dataset, home: Path, tmp_path: Path) -> None:
    wrong = (*PIXEL[:2], "/PIXEL/PixCalibs")
    with pytest.raises(InvalidRequestError, match=r"no query of the folder .*PixCalibs\. Similar ones: .*PixCalib,"):
        efficiency(dataset, archived(home), [PIXEL, wrong], progress=False)
    catalogue = pd.DataFrame([PIXEL, wrong], columns=["db", "schema", "node"])
    frame = efficiency(dataset, archived(home), catalogue, progress=False)
    assert set(frame["nodefullpath"]) == {PIXEL[2]}
    assert f"No query of the dataset asks for a payload of {' '.join(wrong)}." in frame.attrs["notes"]
    with pytest.raises(InvalidRequestError, match=r"no query of the folder .* Similar ones: |There: none"):
        efficiency(make_dataset(tmp_path / "none", []), archived(home), [PIXEL], progress=False)


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        ([], "folders is empty"),
        (["/PIXEL/PixCalib"], r"is not \(db, schema, nodefullpath\)"),
        ([("CONDBR2", None, "/A")], "three texts"),
        (pd.DataFrame({"db": ["CONDBR2"]}), "needs the columns db, schema and node"),
    ],
)
def test_what_is_no_list_of_folders(dataset: Dataset, home: Path, folders: object, message: str) -> None:
    with pytest.raises(InvalidRequestError, match=message):
        efficiency(dataset, archived(home), folders, progress=False)


def test_partial_datasets_say_so(tmp_path: Path, home: Path) -> None:
    part = make_dataset(tmp_path / "part", [asked(RUN)], missing=1)
    with pytest.raises(DatasetError, match="allow_incomplete"):
        efficiency(part, archived(home), progress=False)
    frame = efficiency(part, archived(home), allow_incomplete=True, progress=False)
    assert frame.attrs["notes"] == ["The dataset part is incomplete: the figures are of the parts that are there."]
    cut = make_dataset(
        tmp_path / "cut",
        [asked(RUN)],
        request={"cached": False, "taskid": 7},
        limit={"limit_queries": 5, "available": 9, "cut_at": "2026-10-01T00:00:00.000Z", "cut_at_ms": 1},
    )
    notes = efficiency(cut, archived(home), progress=False).attrs["notes"]
    assert [note.split(":")[0] for note in notes] == [
        "limit_queries=5 cut the dataset at 2026-10-01T00",
        "The dataset was extracted with cached=False",
        "The dataset was extracted with taskid=7",
    ]


def test_without_coolr_nothing_is_counted(dataset: Dataset, home: Path) -> None:
    records = []
    with pytest.raises(ConfigurationError, match="coolr_host is not set"):
        efficiency(dataset, Settings(data_dir=home), progress=records.append)
    assert records == []


# ---- progress and cancel


def test_progress_counts_then_asks(dataset: Dataset, home: Path, truth: pd.DataFrame) -> None:
    records = []
    efficiency(dataset, archived(home), progress=records.append)
    stages = [record.stage for record in records]
    assert stages == sorted(stages)  # counting, then folders
    assert set(stages) == {"counting", "folders"}
    done = [record.done for record in records if record.stage == "folders"]
    assert done == sorted(done)
    assert (done[0], done[-1]) == (0, len(truth))
    assert records[-1].total == len(truth)


@pytest.mark.parametrize("stage", ["counting", "folders"])
def test_cancelled(dataset: Dataset, server: CoolrServer, data_dir: Path, stage: str) -> None:
    server.troubles.append(Trouble(when="payloads", delay=0.02))
    cancelled = threading.Event()
    with pytest.raises(Cancelled, match=f"cancelled while {stage}"):
        efficiency(
            dataset,
            live(server, data_dir),
            progress=lambda record: record.stage == stage and cancelled.set(),
            cancelled=cancelled,
        )
    assert server.count() < 20
    assert not [*data_dir.glob(".counting-*")]


def test_progress_stops_it_by_raising(dataset: Dataset, server: CoolrServer, data_dir: Path) -> None:
    server.troubles.append(Trouble(when="payloads", delay=0.02))

    def stop(record: object) -> None:
        if record.done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        efficiency(dataset, live(server, data_dir), progress=stop)
    assert server.count() < 40


def test_a_source_of_ones_own_stays_open(dataset: Dataset, server: CoolrServer, data_dir: Path, home: Path) -> None:
    settings = live(server, data_dir)
    with Coolr(settings) as source:
        efficiency(dataset, archived(home), [PIXEL], coolr=source, progress=False)
        assert source.tags(*PIXEL)
    with pytest.raises(CoolrError, match="is no archive"):
        efficiency(dataset, Settings(data_dir=home, coolr_archive=data_dir / "none"), progress=False)
    assert isinstance(Archive(sample.path().parent), Archive)


def test_functions_are_not_hidden_by_their_modules() -> None:
    code = (
        "import importlib, frontierlab as fl\n"
        "importlib.import_module('frontierlab.caching.html')\n"
        "names = [name for name in fl.caching.__all__ if name != 'history']\n"
        "print(all(type(getattr(fl.caching, name)).__name__ == 'function' for name in names))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"


def test_importing_loads_neither_spark_nor_bokeh() -> None:
    heavy = ("pyspark", "bokeh")
    code = f"import sys, frontierlab as fl; fl.caching.efficiency; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
