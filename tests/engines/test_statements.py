"""Frontierlab's own statements: DuckDB gives the same frames as Spark, and as sqlglot's translation of the text."""

import random
import re
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest
from pyspark.sql import DataFrame, SparkSession

from frontierlab import Selection, filters, open_logs, spark
from frontierlab.caching import counting, explanation, queries
from frontierlab.engines import duck, functions
from frontierlab.engines.builtin import as_duckdb
from frontierlab.engines.tables import Table
from frontierlab.engines.translate import translate
from frontierlab.filters import shown_times
from frontierlab.filters.changes_statement import statement_of_changes
from frontierlab.filters.question import Question
from frontierlab.filters.summaries import shape_answers
from frontierlab.selection import QUERY_KINDS
from frontierlab.spark.summaries import noted_summary
from frontierlab.storage.dataset import Dataset
from frontierlab.storage.summaries import SHAPES, TIMES
from tests.support.logs import START, make_dataset
from tests.support.spark_options import for_once, interpreted

HASHES = ["folder_hash", "slice", "asker"]  # columns of statements of caching; the engines have different hashes
NAMES = ["A", "B", "it's", "", None, "日本"]


def some_rows(seed: int, count: int) -> list[dict[str, Any]]:
    """Rows in which all columns are null now and then."""
    draw = random.Random(seed)

    def of(*values: Any) -> Any:
        return draw.choice([*values, None])

    return [
        {
            "time": START + draw.choice([draw.randrange(7_200_000), 300_000 * draw.randrange(24)]),
            "db": draw.choice(["CONDBR2", "OFLP200"]),
            **{name: draw.choice(NAMES) for name in ("schema", "tagname", "taskname", "squid", "frontierserver")},
            **{name: of(True, False) for name in ("cached", "disconn", "rejected", "procerror")},
            "nodefullpath": of("/a", "/b", "/c"),
            "nodetime": of("time", "run-lumi"),
            "computingsite": of("CERN", "BNL"),
            "taskid": of(1, 2, 2**53 + 1),
            "querytime": of(-5, 0, 99, 100, 1000, draw.randrange(20_000)),
            "dbtime": of(-5, 0, 99, 100, draw.randrange(20_000)),
            "fsize": of(0, 999, 2**40),
            "since": of(-1, 5, 2**62),
            "until": of(-1, 4, 2**63 - 1),
            "sqlhash": of(1, 2, -(2**62)),
        }
        for _ in range(count)
    ]


def a_selection(draw: random.Random) -> Selection:
    """A selection of some of these rows, and of whole five minutes, so that summaries answer some questions."""
    since = datetime.fromtimestamp(START // 1000, UTC) + timedelta(minutes=5 * draw.randrange(6))
    where: dict[str, Any] = {"since": since} if draw.random() < 0.5 else {}
    where |= {"until": since + timedelta(hours=1)} if draw.random() < 0.5 else {}
    where |= {"schema": draw.sample(NAMES, 3)} if draw.random() < 0.3 else {}
    where |= {"taskid": [1, None]} if draw.random() < 0.2 else {}
    where |= {"kind": draw.sample(QUERY_KINDS, 2)} if draw.random() < 0.2 else {}
    where |= {"min_querytime": 1000} if draw.random() < 0.3 else {}
    return Selection(**where)


@dataclass
class Asked:
    """A statement, its tables, and the columns that need not agree."""

    text: str
    args: Mapping[str, Any]
    shape: str = ""
    hashes: bool = False
    tables: tuple[str, ...] = ("logs",)


def of_filters(name: str, selection: Selection) -> Iterator[Asked]:
    question: Question = getattr(filters, name).__wrapped__()
    statement = question.statement(name, selection)
    yield Asked(statement.text, statement.args)
    every, rest = question.needs(selection)
    for shape in SHAPES:
        if not question.values and shape_answers(shape, every, rest):
            statement = question.statement(name, selection, times=TIMES)
            yield Asked(statement.text, statement.args, shape.name)


def of_others(selection: Selection) -> Iterator[Asked]:
    statement = shown_times._DAYS.statement("days", selection)
    yield Asked(statement.text, statement.args)
    statement = statement_of_changes(selection, Selection(db="CONDBR2"))
    yield Asked(statement.text, statement.args, tables=("before", "now"))
    condition, args = counting._condition(["/a", "/b"], selection)
    asked = counting._ASKED.format(condition=condition, asker=counting._ASKER)
    yield Asked(asked + counting._FOLDERS, args, hashes=True)
    different = counting._QUERIES.format(some=counting._SOME)
    limits = {"slices": 3, "first_slice": 0, "next_slices": 3}
    yield Asked(f"{asked}{different}\nSORT BY folder_hash, slice", {**args, **limits}, hashes=True)
    where, args = queries.served(queries.FolderTag("CONDBR2", "A", "/a", "unknown"), selection)
    yield Asked(queries._DIFFERENT.format(where=where), args)
    yield Asked(explanation._TASKS.format(where=where), args)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return make_dataset(tmp_path_factory.mktemp("statements") / "logs", some_rows(1, 300), some_rows(2, 100))


def in_order(frame: pd.DataFrame, asked: Asked) -> pd.DataFrame:
    """Return the rows in an order that does not depend on the engine."""
    frame = frame.drop(columns=HASHES, errors="ignore") if asked.hashes else frame
    texts = [str(row) for row in frame.itertuples(index=False)]
    return frame.iloc[sorted(range(len(texts)), key=texts.__getitem__)].reset_index(drop=True)


def with_duckdb(dataset: Dataset, asked: Asked, statement: str, run: Any = duck.run_own) -> pd.DataFrame:
    table = Table.of(dataset)
    rows = table.summary(asked.shape) if asked.shape else table
    assert rows is not None
    return in_order(run(dict.fromkeys(asked.tables, rows), statement, asked.args), asked)


def with_spark(logs: DataFrame, asked: Asked) -> pd.DataFrame:
    summary = noted_summary(logs)
    assert summary is not None
    rows = summary(asked.shape) if asked.shape else logs
    answer = logs.sparkSession.sql(asked.text, args=dict(asked.args), **dict.fromkeys(asked.tables, rows))
    return in_order(spark.to_pandas(answer), asked)


@pytest.mark.spark
def test_statements_have_the_same_frame_with_both_engines(running: SparkSession, dataset: Dataset) -> None:
    logs = open_logs(dataset, session=running).to_spark()
    draw = random.Random(3)
    # those of rows are compared with plain Python in both engines, see test_filters_agree.py
    asked = [one for name in filters.__all__ for one in of_filters(name, a_selection(draw)) if one.shape]
    asked += of_others(Selection(min_querytime=0))
    assert {one.shape for one in asked} == {"", *(shape.name for shape in SHAPES)}
    for one in asked:
        # filters, changes and the figures of caching are compiled in their own tests
        elsewhere = for_once if one.shape else interpreted if one.hashes or len(one.tables) > 1 else None
        with elsewhere(running) if elsewhere else nullcontext():
            theirs = with_spark(logs, one)
        ours = with_duckdb(dataset, one, as_duckdb(one.text))
        pd.testing.assert_frame_equal(ours, theirs, check_exact=False, rtol=1e-12, obj=one.text)


@pytest.mark.slow
def test_statements_have_the_same_frame_when_sqlglot_translates_them(dataset: Dataset) -> None:
    draw = random.Random(4)
    for _ in range(2):
        selection = a_selection(draw)
        asked = [one for name in filters.__all__ for one in of_filters(name, selection)] + [*of_others(selection)]
        for one in asked:
            if any(name in one.text for name in functions.HASHES):  # users' statements cannot have these
                continue
            ours = with_duckdb(dataset, one, as_duckdb(one.text))
            plain = re.sub(r"\{(\w+)\}", r"`\1`", one.text.replace("SORT BY", "ORDER BY"))
            parsed = with_duckdb(dataset, one, translate(plain, one.tables), duck.run)
            pd.testing.assert_frame_equal(ours, parsed, obj=one.text)


@pytest.mark.parametrize(
    ("statement", "shown"),
    [
        ("SELECT a / b FROM {logs}", "'/ b FROM"),
        ("SELECT a % b FROM {logs}", "'% b FROM"),
        ("SELECT percentile_approx(a, 1) FROM {logs}", "'percentile_approx"),
        ("SELECT 'it\\'s' FROM {logs}", "'it"),
        ("SELECT 'it''s' FROM {logs}", "'it"),
        ("SELECT 1.5 FROM {logs}", "'1"),
        ("SELECT a FROM {logs} TABLESAMPLE (1 ROWS)", "'TABLESAMPLE"),
        ("SELECT `a` FROM {logs}", "'`a`"),
        ('SELECT "a" FROM {logs}', '"a"'),
        ("SELECT CAST(a AS INT) FROM {logs}", "'CAST"),
        ("SELECT a -- comment\nFROM {logs}", "comment"),
    ],
)
def test_what_the_engines_could_read_differently_is_refused(statement: str, shown: str) -> None:
    with pytest.raises(ValueError, match=f"not in the part of SQL that both engines read alike: .*{re.escape(shown)}"):
        as_duckdb(statement)


def test_sums_have_64_bits_and_other_words_change_as_little_as_they_can() -> None:
    statement = (
        "SELECT coalesce(sum(a) FILTER (WHERE (b = ':x') AND c IN (:x, :y_1)), 0) AS n, sum((a)), array(0.5D, 1D) AS s"
        "\nFROM {logs} SORT BY n"
    )
    assert as_duckdb(statement) == (
        "SELECT coalesce(CAST(sum(a) FILTER (WHERE (b = ':x') AND c IN ($x, $y_1)) AS BIGINT), 0) AS n, "
        'CAST(sum((a)) AS BIGINT), list_value(0.5e0, 1e0) AS s\nFROM "logs" ORDER BY n'
    )
