"""What a summary answers is what the queries answer; what it cannot answer, the queries do."""

import functools
import random
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession

import frontierlab as fl
from frontierlab import Selection, extract, filters, open_logs
from frontierlab.engines import Logs, ask
from frontierlab.filters import filter
from frontierlab.filters.bins import TimeBins, ValueBins
from frontierlab.filters.expressions import KIND
from frontierlab.filters.measures import Count, Largest, Sum
from frontierlab.filters.needs import Expression, Need
from frontierlab.filters.question import Question
from frontierlab.filters.summaries import shape_answers
from frontierlab.schema import COLUMNS, IOV_COLUMNS
from frontierlab.selection import QUERY_KINDS
from frontierlab.storage.dataset import Dataset
from frontierlab.storage.summaries import SHAPES, TIMES, Summariser, summary_file, summary_files
from tests.support.examples import examples
from tests.support.logs import START, make_dataset, table
from tests.support.spark_options import for_once

DAY = datetime(2026, 10, 1, tzinfo=UTC)
FROM_A_SUMMARY = {
    **dict.fromkeys(["queries_over_time", "bytes_over_time"], "periods"),
    **dict.fromkeys(["queries_per_db", "uncached_by_kind", "failures_over_time"], "periods"),
    **dict.fromkeys(["long_queries_per_schema", "long_queries_per_node"], "long queries"),
    **dict.fromkeys(["queries_per_schema", "cached_per_schema", "payload_per_schema", "payload_per_node"], "folders"),
    **dict.fromkeys(["cached_share_per_schema", "cached_share_per_node"], "folders"),
    **dict.fromkeys(["bytes_share_per_schema", "bytes_share_per_node"], "folders"),
}

periods = st.tuples(
    st.none()
    | st.sampled_from([DAY, DAY + timedelta(hours=1), DAY + timedelta(minutes=5), DAY + timedelta(seconds=1)]),
    st.none() | st.sampled_from([DAY + timedelta(hours=2), DAY + timedelta(minutes=65), DAY + timedelta(minutes=61)]),
)
selections = st.builds(
    lambda period, **where: Selection(since=period[0], until=period[1], **where),
    period=periods,
    db=st.sampled_from([None, "CONDBR2"]),
    schema=st.sampled_from([None, ["A", None], "it's; --"]),
    nodefullpath=st.sampled_from([None, None, "/a"]),
    kind=st.none() | st.lists(st.sampled_from(QUERY_KINDS), min_size=1),
    min_querytime=st.sampled_from([None, None, 999, 1000]),
)


@pytest.fixture
def asked_of(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The summaries that are asked, in order; "queries" for rows."""
    found: list[str] = []
    ask = filter.ask

    def noted(tables: Mapping[str, Logs], *args: Any, **keywords: Any) -> pd.DataFrame:
        frame = ask(tables, *args, **keywords)
        source = tables["logs"].shape or "queries"
        assert frame.attrs["answered"]["from"] == ("summary" if tables["logs"].shape else "queries")
        found.append(source)
        return frame

    monkeypatch.setattr(filter, "ask", noted)
    return found


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Logs:
    rows = [{"time": START + 60_000 * minute, "querytime": 500 * minute, "fsize": 10} for minute in range(130)]
    return open_logs(make_dataset(tmp_path_factory.mktemp("logs") / "logs", rows[:70], rows[70:]))


@pytest.mark.parametrize("name", filters.__all__)
def test_filter_uses_a_summary_if_possible(logs: Logs, asked_of: list[str], name: str) -> None:
    getattr(filters, name)(logs, db="CONDBR2", kind="rejected")
    assert asked_of == [FROM_A_SUMMARY.get(name, "queries")]


@pytest.mark.parametrize(
    ("where", "summary"),
    [
        ({}, "periods"),
        ({"since": "2026-10-01T00:05", "until": "2026-10-01T01:00"}, "periods"),
        ({"since": "2026-10-01T00:05:00.001"}, None),
        ({"until": "2026-10-01T00:04"}, None),
        ({"min_querytime": 1000}, "periods"),
        ({"min_querytime": 999}, None),
        ({"schema": "A", "since": "2026-10-01T01:00"}, "folders"),
        ({"schema": "A", "since": "2026-10-01T01:05"}, None),
        ({"schema": "A", "since": "2026-10-01T01:05", "min_querytime": 1000}, "long queries"),
        ({"tagname": "t"}, None),
        ({"taskid": 1}, None),
        ({"frontierserver": None, "squid": ["a", None]}, None),
        ({"computingsite": "CERN"}, None),
        ({"cached": False}, "periods"),
        ({"bin_seconds": 600}, "periods"),
        ({"bin_seconds": 301}, None),
        ({"bin_seconds": 60}, None),
    ],
)
def test_unaligned_selection_falls_back_to_rows(
    logs: Logs, asked_of: list[str], where: dict[str, Any], summary: str | None
) -> None:
    asked = filters.cached_per_schema if "schema" in where else filters.queries_over_time
    asked(logs, **where)
    assert asked_of == [summary or "queries"]


def test_each_window_of_a_comparison_uses_a_summary_or_rows(logs: Logs, asked_of: list[str]) -> None:
    window = {"since": "2026-10-01T01:00", "until": "2026-10-01T02:00"}
    frame = filters.queries_over_time(logs, **window, compare="-30min")
    assert asked_of == ["periods", "periods"]
    assert frame[["unknown", "unknown_before"]].sum().tolist() == [60, 60]
    filters.queries_over_time(logs, **window, compare="-7min")
    assert asked_of[2:] == ["periods", "queries"]


def test_filtered_logs_have_no_summary(logs: Logs, asked_of: list[str]) -> None:
    assert filters.queries_per_db(Selection(min_querytime=1000).of(logs))["unknown"].tolist() == [128]
    assert filters.queries_per_db(logs)["unknown"].tolist() == [130]
    assert asked_of == ["queries", "periods"]


def test_dataset_with_a_missing_summary_falls_back_to_rows(tmp_path: Path, asked_of: list[str]) -> None:
    dataset = make_dataset(tmp_path / "logs", [{"cached": True}], [{"cached": False}])
    summary_file(dataset.files()[1]).unlink()
    frame = filters.queries_per_db(open_logs(dataset))
    assert asked_of == ["queries"]
    assert frame[["cached", "not_cached"]].to_numpy().tolist() == [[1, 1]]


@pytest.mark.slow
def test_an_extraction_of_many_parts_has_one_summary_of_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRONTIERLAB_PART_DOCUMENTS", "2000")
    dataset = extract(fl.sample.settings(data_dir=tmp_path), source=fl.sample.path(), name="d", progress=False)
    assert len(dataset.files()) > 4
    (combined,) = summary_files(dataset.path, dataset.files())
    found = pq.read_table(combined)
    for shape in ("periods", "folders"):
        assert pc.sum(found.filter(pc.field("summary") == shape)[TIMES]).as_py() == dataset.counts.kept
    assert len(found) < sum(pq.read_metadata(summary_file(file)).num_rows for file in dataset.files())
    logs = open_logs(dataset)
    for name in FROM_A_SUMMARY:
        asked = getattr(filters, name)
        pd.testing.assert_frame_equal(asked(logs, db="CONDBR2"), asked(rows_of(logs), db="CONDBR2"))


def test_incomplete_dataset_falls_back_to_rows(tmp_path: Path, asked_of: list[str]) -> None:
    dataset = make_dataset(tmp_path / "logs", [{"cached": True}], missing=1)
    logs = open_logs(dataset, allow_incomplete=True)
    assert filters.queries_per_db(logs)["cached"].tolist() == [1]
    assert asked_of == ["queries"]


def test_no_summary_if_the_sum_of_bytes_could_overflow(tmp_path: Path) -> None:
    small = make_dataset(tmp_path / "small", [{"fsize": 2**61}, {"fsize": None}]).files()[0]
    assert pq.read_table(summary_file(small))["fsize"].to_pylist() == [2**61] * 2  # one a shape without long ones
    large = make_dataset(tmp_path / "large", [{"fsize": 2**61}, {"fsize": -(2**62)}]).files()[0]
    assert not summary_file(large).exists()


SHARED = settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
SEEDS = st.integers(0, 29)


def some_rows(seed: int, largest: int) -> list[dict[str, Any]]:
    """Rows of three hours that do not depend on anything but the seed, without a number above `largest`."""
    draw = random.Random(seed)

    def flag() -> bool | None:
        return draw.choice([None, True, False])

    def number(*values: int) -> int | None:
        return draw.choice([None, *(min(value, largest) for value in values)])

    return [
        {
            "time": START + draw.choice([draw.randrange(3 * 3_600_000), 300_000 * draw.randrange(36)]),
            "db": draw.choice(["CONDBR2", "OFLP200"]),
            "schema": draw.choice([None, "A", "B", "it's; --"]),
            "nodefullpath": draw.choice([None, "/a", "/b"]),
            "tagname": draw.choice([None, "t"]),
            **{name: flag() for name in ("cached", "disconn", "rejected", "procerror")},
            "querytime": number(-1, 0, 999, 1000, 2**62),
            "since": number(-1, 0, 2**62),
            "fsize": number(0, -3, 1500, 2**50),
        }
        for _ in range(draw.randint(1, 30))
    ]


@pytest.fixture(scope="module")
def random_datasets(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Dataset]:
    """Returns the dataset of a seed, of two parts, which is made when it is first asked for."""
    folder = tmp_path_factory.mktemp("random")

    @functools.cache
    def made(seed: int, largest: int = 2**62) -> Dataset:
        rows = some_rows(seed, largest)
        cut = random.Random(-seed).randint(0, len(rows))
        return make_dataset(folder / f"{seed}-{largest}", rows[:cut], rows[cut:])

    return made


def rows_of(logs: Logs) -> Logs:
    """Return the same logs without their summaries."""
    return logs.where("\nWHERE time IS NOT NULL", {})


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::frontierlab.filters.extracted.NotExtracted")  # of times without a query
@settings(SHARED, max_examples=examples(60))
@given(name=st.sampled_from(sorted(FROM_A_SUMMARY)), seed=SEEDS, selection=selections)
def test_summary_and_rows_give_the_same_answer(
    random_datasets: Callable[..., Dataset], name: str, seed: int, selection: Selection
) -> None:
    asked, logs = getattr(filters, name), open_logs(random_datasets(seed))
    pd.testing.assert_frame_equal(asked(logs, selection), asked(rows_of(logs), selection))


@pytest.mark.filterwarnings("ignore::frontierlab.filters.extracted.NotExtracted")  # of times without a query
@pytest.mark.spark
@settings(SHARED, max_examples=3)
@given(name=st.sampled_from(sorted(FROM_A_SUMMARY)), seed=SEEDS, selection=selections)
def test_summary_and_rows_give_the_same_answer_in_spark(
    random_datasets: Callable[..., Dataset], running: SparkSession, name: str, seed: int, selection: Selection
) -> None:
    asked, logs = getattr(filters, name), open_logs(random_datasets(seed), session=running)
    with for_once(running):  # each kind of filter is compiled in test_filters_agree.py
        found = asked(logs, selection)
        of_rows = asked(rows_of(logs), selection)
    assert found.attrs["answered"]["engine"] == "spark"
    pd.testing.assert_frame_equal(found, of_rows)


# ---- which questions a summary may answer ------------------------------------------------------------

FLAGS = ("cached", "disconn", "rejected", "procerror")
LONG = Expression("querytime >= 1000", Need("querytime", "at least", 1000))
LONGER = Expression("querytime >= 5000", Need("querytime", "at least", 5000))

conditions = st.sampled_from(
    [
        *(Expression.of(flag, flag) for flag in FLAGS),
        Expression.of("schema = 'A' OR cached IS NULL", "schema", "cached"),
        Expression.of("querytime > 999", "querytime"),
        Expression.of("tagname IS NULL", "tagname"),
        Expression("iov_since <> -1", Need("iov_since", "given")),
        Expression.of("iov_since > 0", "iov_since"),
        LONG,
        LONGER,
        "querytime >= 5000",  # says nothing of what it needs
        "NOT cached",
    ]
)
columns = st.sampled_from(["fsize", "querytime", "iov_since"])
measures = st.builds(Count, conditions) | st.builds(Sum, columns, conditions) | st.builds(Largest, columns, conditions)
any_question = st.builds(
    Question,
    st.fixed_dictionaries({"a": st.just(Count()), "b": measures, "c": measures}),
    st.sampled_from([{}, {"db": "db"}, {"schema": "schema"}, {"kind": KIND}, {"late": "querytime >= 5000"}]),
    conditions=st.lists(conditions, max_size=2).map(tuple),
    bins=st.none() | st.sampled_from([TimeBins(300), TimeBins(3600), TimeBins(7), ValueBins("querytime", 1000)]),
)


@pytest.mark.slow
@settings(SHARED, max_examples=examples(100))
@given(question=any_question, seed=SEEDS, selection=selections)
def test_any_question_has_the_same_answer_with_summaries(
    random_datasets: Callable[..., Dataset], question: Question, seed: int, selection: Selection
) -> None:
    logs = open_logs(random_datasets(seed, largest=2**50))  # sums of larger numbers overflow
    answers = []
    for one in (logs, rows_of(logs)):
        asked, statement = question.put_to(one, "any", selection)
        frame = ask({"logs": asked}, statement.text, statement.args, description="any")
        answers.append(frame.sort_values([*frame.columns], ignore_index=True))
    pd.testing.assert_frame_equal(*answers)


@pytest.mark.parametrize(
    ("question", "summary"),
    [
        (Question({"ms": Sum("querytime")}, {"schema": "schema"}), None),
        (Question({"bytes": Sum("fsize")}, {"schema": "schema"}), "folders"),
        (Question({"n": Count()}, {"schema": "schema"}, conditions=(LONG,)), "long queries"),
        (Question({"n": Count(LONG)}, {"schema": "schema"}), "folders"),
        (Question({"n": Count()}, {"schema": "schema"}, conditions=(LONGER,)), None),
        (Question({"n": Count()}, {"schema": "schema"}, conditions=("querytime >= 5000",)), None),
        (Question({"n": Count()}, {"long": "querytime >= 1000"}), None),
        (Question({"n": Count()}, {"querytime": "querytime"}), None),
        (Question({"n": Count("iov_since > 0")}), None),
        (Question({"n": Count()}, {"schema": "schema"}, labels={"tag": "max(tagname)"}), None),
    ],
)
def test_needs_of_a_question_decide_about_the_summary(question: Question, summary: str | None) -> None:
    every, rest = question.needs(Selection())
    assert next((shape.name for shape in SHAPES if shape_answers(shape, every, rest)), None) == summary


@pytest.mark.slow
@pytest.mark.parametrize("name", filters.__all__)
def test_filters_declare_all_columns_that_they_need(logs: Logs, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every column in a filter's SQL is in what it says that it needs."""
    asked: list[tuple[set[str], str]] = []
    put_to = Question.put_to

    def noted(question: Question, *args: Any) -> Any:
        found, statement = put_to(question, *args)
        every, rest = question.needs(*args[2:])
        asked.append(({need.column for need in every | rest}, statement.text))
        return found, statement

    monkeypatch.setattr(Question, "put_to", noted)
    fields = ("schema", "nodefullpath", "tagname", "frontierserver", "computingsite", "squid")
    getattr(filters, name)(logs, **{field: [None, "a"] for field in fields})
    getattr(filters, name)(logs, db="a", taskid=1, kind="rejected", min_querytime=7)
    getattr(filters, name)(logs, since="2026-10-01", until="2026-10-02", cached=True)
    for columns, text in asked:
        words = set(re.findall(r"(?<![:\w])\w+", re.sub("'[^']*'", "", text)))
        assert words & {IOV_COLUMNS.get(column.name, column.name) for column in COLUMNS} <= columns | {"taskname"}, name


@pytest.mark.slow
def test_a_summary_of_many_pieces_stays_small(tmp_path: Path) -> None:
    summariser = Summariser()
    for number in range(50):
        summariser.add(table([{"time": START + second * 1000, "fsize": number} for second in range(600)]))
    summariser.write(tmp_path / "0.summary")
    rows = pq.read_table(tmp_path / "0.summary").filter(pc.field("summary") == "periods")
    assert rows.select(["fsize", TIMES]).to_pylist() == [{"fsize": 300 * 1225, TIMES: 300 * 50}] * 2
