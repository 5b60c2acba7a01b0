"""Tables of datasets of which only some spans of time count."""

from pathlib import Path

import pandas as pd
import pytest

from frontierlab.engines import Table, duck
from frontierlab.storage.portions import Portion
from frontierlab.storage.spans import Span
from tests.support.logs import START, make_dataset

MINUTE = 60_000
ROW = {"db": "A", "schema": "S", "cached": True, "fsize": 7}
SUMS = "SELECT sum({times}) AS queries, sum(fsize) AS bytes FROM logs WHERE querytime >= 1000"


def ask(statement: str, table: Table | None) -> pd.DataFrame:
    assert table is not None
    return duck.run({"logs": table}, statement)


@pytest.mark.parametrize(
    ("spans", "minutes"),
    [
        (None, range(60)),
        ([(0, 20)], range(20)),
        ([(7, 20), (33, 48)], [*range(7, 20), *range(33, 48)]),  # in the middle of the bins of all summaries
        ([(10, 20), (50, 90)], [*range(10, 20), *range(50, 60)]),
        ([], []),
    ],
)
def test_rows_and_summaries_are_those_of_the_spans(tmp_path, spans, minutes):
    rows = [{"time": START + n * MINUTE, "fsize": 1 << n % 40, "querytime": 900 + 10 * n} for n in range(60)]
    cut = make_dataset(tmp_path / "cut", rows[:30], rows[30:])
    whole = make_dataset(tmp_path / "whole", [{"fsize": 7, "querytime": 2_000, "times": "x"}], extra={"times": "name"})
    asked = None if spans is None else [Span(START + a * MINUTE, START + b * MINUTE) for a, b in spans]
    table = Table.of(Portion(cut) if asked is None else Portion.of(cut, asked), whole)
    counted = [rows[n] for n in minutes if rows[n]["querytime"] >= 1_000]
    expected = [len(counted) + 1, sum(row["fsize"] for row in counted) + 7]
    assert ask(SUMS.format(times=1), table).iloc[0].tolist() == expected
    for name in ("periods", "long queries", "folders"):
        assert ask(SUMS.format(times="times"), table.summary(name)).iloc[0].tolist() == expected


def test_a_summary_is_read_where_no_bin_is_cut(tmp_path):
    rows = [{"time": START + n * MINUTE} for n in range(120)]
    dataset = make_dataset(tmp_path / "logs", rows)

    def summarised(start, stop):
        table = Table.of(Portion.of(dataset, [Span(START + start * MINUTE, START + stop * MINUTE)]))
        return [
            name
            for name in ("periods", "folders")
            if "read_parquet" in table.summary(name).sql() and ".summary'" in table.summary(name).sql()
        ]

    assert summarised(-90, 500) == ["periods", "folders"]  # no row is outside
    assert summarised(-90, 60) == ["periods", "folders"]
    assert summarised(5, 60) == ["periods"]
    assert summarised(7, 60) == []


@pytest.mark.parametrize(
    ("statement", "answer"),
    [
        ("SELECT count(*) AS n FROM logs", {"n": 2}),
        ("SELECT max(FSIZE * 2) AS n FROM logs", {"n": 14}),
        ('SELECT "my size" AS n FROM logs WHERE fsize = 7', {"n": 3}),
        ("SELECT schema AS db, db AS schema FROM logs WHERE cached", {"db": "S", "schema": "A"}),
    ],
)
def test_an_own_statement_has_the_columns_that_it_mentions(
    tmp_path: Path, statement: str, answer: dict[str, object]
) -> None:
    table = Table.of(make_dataset(tmp_path / "one", [ROW | {"my size": 3}, {}], extra={"my size": "integer"}))
    assert duck.run_own({"logs": table}, statement).to_dict("records") == [answer]
    assert '"taskid"' not in table.sql(statement)
    chosen = table.where("schema = $name", {"name": "S"})
    assert duck.run_own({"logs": chosen}, "SELECT max(fsize) AS n FROM logs")["n"].tolist() == [7]


@pytest.mark.parametrize("what", ["*", "DISTINCT *", "db AS first, *", "logs.*", "*, 1 AS one"])
def test_an_own_statement_can_ask_for_all_columns(tmp_path: Path, what: str) -> None:
    table = Table.of(make_dataset(tmp_path / "one", [ROW]))
    found = duck.run_own({"logs": table}, f"SELECT {what} FROM logs")
    assert table.sql(f"SELECT {what} FROM logs") == table.sql()
    assert {*table.columns} <= {*found}
