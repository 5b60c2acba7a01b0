"""Caching efficiency with a COOLR that is slow, fails or sends wrong rows."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings

import frontierlab as fl
from frontierlab import Dataset, Settings
from frontierlab.caching.efficiencies import efficiency
from frontierlab.caching.payloads import ask_coolr, payloads_of
from frontierlab.coolr import Cancelled, Coolr
from frontierlab.coolr.calls import Caller
from frontierlab.coolr.responses import in_order
from frontierlab.errors import CoolrError
from tests.caching.test_caching_answer_sets import by_rule, conditions, table
from tests.caching.truth import KEY, PIXEL, PIXEL_TAG, RUN, asked, assert_is_the_truth, by_key
from tests.services.coolr import CoolrServer, Trouble
from tests.support.examples import examples
from tests.support.logs import make_dataset
from tests.support.world import sample_world

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])


@pytest.fixture
def server() -> Iterator[CoolrServer]:
    with CoolrServer(sample_world()) as server:
        yield server


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Caller, "_sleep", lambda self, wait: None)


BADLY_CACHED = ["/PIXEL/PixCalib", "/MDT/T0BLOB", "/LAR/DCS/HV/BARREl/I16", "/LAR/BadChannelsOfl/BadChannels"]


@pytest.fixture
def half(truth: pd.DataFrame) -> pd.DataFrame:
    """The truth of every second folder, and of those that cache badly."""
    number = truth.groupby(KEY[:3]).ngroup()
    return truth[(number % 2 == 0) | truth["nodefullpath"].isin(BADLY_CACHED)].reset_index(drop=True)


@pytest.fixture
def few(truth: pd.DataFrame) -> pd.DataFrame:
    """The truth of the folders that cache badly, for faults of one of them or of all alike."""
    return truth[truth["nodefullpath"].isin(BADLY_CACHED)].reset_index(drop=True)


def live(server: CoolrServer, data_dir: Path, **changes: object) -> Settings:
    return Settings(coolr_host=server.host, data_dir=data_dir, **changes)


@pytest.mark.usefixtures("counted")
@pytest.mark.parametrize(("style", "shape"), [("snake", 1), ("camel", 2)])
@pytest.mark.slow
def test_figures_from_a_live_coolr_equal_the_truth(
    dataset: Dataset, data_dir: Path, truth: pd.DataFrame, half: pd.DataFrame, style: str, shape: int
) -> None:
    """All figures from one kind of COOLR, and half of them from another."""
    folders, expected = (None, truth) if shape == 1 else (half, half)
    with CoolrServer(sample_world(), style=style, shape=shape, texts=shape == 2) as server:
        frame = efficiency(dataset, live(server, data_dir), folders, progress=False)
        assert_is_the_truth(frame, expected)
        assert server.busiest <= 4
        calls = server.count("payloads")
        assert server.count() == calls
        assert calls <= 2 * len(frame)  # far fewer than the 16,000 queries


def test_number_of_calls_does_not_grow_with_queries(server: CoolrServer, data_dir: Path, tmp_path: Path) -> None:
    calls = []
    for count in (10, 1_000):
        rows = [asked(RUN + 7 * i % 1_000, sqlhash=i) for i in range(count)] + [asked(RUN + 1_000), asked(RUN)]
        before = server.count()
        made = make_dataset(tmp_path / f"d{count}", rows)
        assert efficiency(made, live(server, data_dir / str(count)), progress=False)["queries"].sum() == count + 2
        calls.append(server.count() - before)
    assert calls[0] == calls[1] <= 2


# ---- a COOLR that fails or sends wrong rows


@pytest.mark.usefixtures("counted")
@pytest.mark.parametrize(
    "faults",
    [
        [{"status": 404}, {"status": 503}, {"lie": "truncated"}, {"lie": "garbled"}, {"lie": "cut"}],
        [{"lie": "named folder"}, {"lie": "outside"}, {"lie": "reversed"}],
    ],
    ids=["failed calls", "wrong rows"],
)
@pytest.mark.slow
def test_a_failing_coolr_changes_no_figure(
    dataset: Dataset, server: CoolrServer, data_dir: Path, half: pd.DataFrame, faults: list[dict[str, Any]]
) -> None:
    troubles = [Trouble(when="payloads", rate=0.1, seed=seed, **fault) for seed, fault in enumerate(faults)]
    server.troubles += troubles
    frame = efficiency(dataset, live(server, data_dir), half, progress=False)
    assert min(trouble.struck for trouble in troubles) > 5
    assert_is_the_truth(frame, half)
    assert (frame["problem"] == "").sum() > 5
    again = efficiency(dataset, live(server, data_dir), half, progress=False)
    assert_is_the_truth(again, half)


@pytest.mark.slow
@pytest.mark.usefixtures("counted")
def test_a_missing_field_is_the_problem_of_its_row(
    dataset: Dataset, server: CoolrServer, data_dir: Path, few: pd.DataFrame
) -> None:
    server.troubles.append(Trouble(when="PixCalib-RUN2", lie="missing"))
    frame = efficiency(dataset, live(server, data_dir), few, progress=False)
    assert_is_the_truth(frame, few)
    row = by_key(frame)[(*PIXEL, PIXEL_TAG)]
    assert "lacks IOV_UNTIL" in row["problem"]
    assert PIXEL_TAG in row["problem"]
    assert row["queries"] > 0
    assert row["cause"] == "not known"


@pytest.mark.usefixtures("counted")
@pytest.mark.parametrize("confirm", [False, True])
@pytest.mark.slow
def test_rows_of_another_folder_are_detected(
    dataset: Dataset, server: CoolrServer, data_dir: Path, few: pd.DataFrame, confirm: bool
) -> None:
    """Rows do not name their folder; but responses that meet must agree, or each call is made twice."""
    server.troubles.append(Trouble(when="payloads.*T0BLOB.*RUN3-Upd4-11", lie="folder", times=1))
    settings = live(server, data_dir, coolr_confirm=confirm, coolr_connections=1)
    frame = efficiency(dataset, settings, few, progress=False)
    assert_is_the_truth(frame, few)
    problems = [
        row["problem"] for key, row in by_key(frame).items() if "T0BLOB" in key[2] and row["tagname"] != "unknown"
    ]
    assert sum("for the same IOVs" in problem or "different answers" in problem for problem in problems) == 1


@pytest.mark.slow
@pytest.mark.usefixtures("counted")
def test_a_slow_coolr_gives_the_same_figures(dataset: Dataset, data_dir: Path, few: pd.DataFrame) -> None:
    with CoolrServer(sample_world(), delay=0.05) as server:
        assert_is_the_truth(efficiency(dataset, live(server, data_dir), few, progress=False), few)


def test_a_call_of_coolr_can_be_cancelled() -> None:
    over, asked = threading.Event(), threading.Event()
    stop = threading.Event()
    work = fl.cancellable()

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


@settings(max_examples=examples(100))
@given(conditions())
def test_a_row_that_ended_before_the_range_hides_earlier_rows(case: tuple[list[tuple], list[tuple]]) -> None:
    """COOL starts at the latest row of a channel, even if that row ended before all queries."""
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


# ---- cancelling, and a COOLR of the caller


@pytest.mark.parametrize("stage", ["counting", "folders"])
@pytest.mark.slow
def test_cancelling_at_each_stage(dataset: Dataset, server: CoolrServer, data_dir: Path, stage: str) -> None:
    server.troubles.append(Trouble(when="payloads", delay=0.02))
    cancelled = threading.Event()
    with pytest.raises(Cancelled, match=f"cancelled at the stage {stage}"):
        efficiency(
            dataset,
            live(server, data_dir),
            progress=lambda record: record.stage == stage and cancelled.set(),
            cancelled=cancelled,
        )
    assert server.count() < 20
    assert not [*data_dir.glob(".counting-*")]


@pytest.mark.usefixtures("counted")
def test_an_error_of_the_progress_function_stops_it(dataset: Dataset, server: CoolrServer, data_dir: Path) -> None:
    server.troubles.append(Trouble(when="payloads", delay=0.02))

    def stop(record: object) -> None:
        if record.done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        efficiency(dataset, live(server, data_dir), progress=stop)
    assert server.count() < 40


@pytest.mark.usefixtures("counted")
def test_a_coolr_of_the_caller_stays_open(
    dataset: Dataset, server: CoolrServer, data_dir: Path, archived: Settings
) -> None:
    with Coolr(live(server, data_dir)) as source:
        efficiency(dataset, archived, [PIXEL], coolr=source, progress=False)
        assert source.tags(*PIXEL)
    with pytest.raises(CoolrError, match="is not an archive"):
        efficiency(dataset, Settings(data_dir=archived.data_dir, coolr_archive=data_dir / "none"), progress=False)
