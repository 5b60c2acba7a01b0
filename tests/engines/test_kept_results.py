"""Results of statements that further statements read: the same on both engines, and nothing is left on the disk."""

from dataclasses import replace
from pathlib import Path

import pytest

import frontierlab as fl
from frontierlab.engines import ask
from frontierlab.engines.kept_results import kept
from frontierlab.errors import StatementError
from frontierlab.sample.world.incidents import make_day

COUNTED = """\
WITH named AS (SELECT schema, pmod(taskid, 3) AS third FROM {logs})
SELECT schema, third, count(*) AS queries
FROM named
GROUP BY schema, third"""
SUMS = "SELECT schema, sum(queries) AS queries FROM {logs} GROUP BY schema ORDER BY schema"


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keeping")
    opened = fl.open_logs(make_day(folder / "day", 3, 800, quiet=True)[0])
    spill = folder / "spill"
    spill.mkdir()
    return replace(opened, limits=replace(opened.limits, spill_dir=spill))


@pytest.fixture(scope="module")
def expected(logs):
    return ask(
        {"logs": logs},
        "SELECT schema, count(*) AS queries FROM {logs} GROUP BY schema ORDER BY schema",
        description="expected",
    )


def left(logs) -> list[Path]:
    return [path for path in logs.limits.folder.iterdir() if path.name.startswith("frontierlab-kept")]


def sums(part):
    return ask({"logs": part}, SUMS, description="sums").set_index("schema")["queries"]


def test_a_result_can_be_asked_and_is_gone_afterwards(logs, expected):
    with kept(logs, COUNTED, {}, description="counted") as ((whole,), told):
        assert told["engine"] == "duckdb"
        assert len(left(logs)) == 2  # the folder and its lock
        assert sums(whole).to_dict() == expected.set_index("schema")["queries"].to_dict()
    assert left(logs) == []


def test_parts_are_those_of_a_column_and_add_up(logs, expected):
    with kept(logs, COUNTED, {}, description="counted", part="third") as (parts, _):
        assert 2 <= len(parts) <= 4  # no task is one of them
        assert all(part.columns == ["schema", "queries"] for part in parts)
        whole = sum(sums(part).reindex(expected["schema"]).fillna(0) for part in parts)
    assert whole.to_dict() == expected.set_index("schema")["queries"].to_dict()
    assert left(logs) == []


def test_a_statement_that_fails_leaves_nothing(logs):
    with pytest.raises(StatementError), kept(logs, "SELECT pmod(taskid, 0) AS none FROM {logs}", {}, description="bad"):
        raise AssertionError("it was not refused")
    assert left(logs) == []


@pytest.mark.spark
def test_spark_keeps_the_same_and_counts_once(logs, expected, running):
    spark_logs = fl.engines.as_logs(logs, session=running)
    with kept(spark_logs, COUNTED, {}, description="counted", part="third") as ((whole,), told):
        assert told["engine"] == "spark"
        assert "FileScan" not in whole.frame._jdf.queryExecution().executedPlan().toString()
        columns = ["schema", "queries"]
        found = ask({"logs": whole}, SUMS, description="sums")[columns]
        assert found.set_index("schema")["queries"].to_dict() == expected.set_index("schema")["queries"].to_dict()
