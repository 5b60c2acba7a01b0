"""Checks of random logs have the findings of an independent computation, in DuckDB and in Spark."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

import frontierlab as fl
from frontierlab.util.times import from_milliseconds
from tests.checks.planted import BAD, HOUR, MINUTE, WEEK, Rows, dataset, query
from tests.checks.reference import Told, findings, told
from tests.support.logs import START
from tests.support.random_logs import NASTY
from tests.support.spark_options import interpreted

HOURS = 9
WINDOWS = [("1h", HOUR), ("30min", 30 * MINUTE), ("2h", 2 * HOUR), (None, 6 * HOUR), ("20min", 20 * MINUTE)]


def some(draw: random.Random) -> dict[str, Any]:
    """Return a query; the rarer values are the interesting ones."""

    def one(*values: Any) -> Any:
        return draw.choice(values)

    begin = one(0, 7, 300, 2**62, -1, None, draw.randrange(10**15))
    time = START + draw.randrange(HOURS * HOUR) // one(1, MINUTE) * 1 if draw.random() < 0.6 else 0
    time = time or START + one(0, WEEK) // -1 + draw.randrange(HOURS) * HOUR + one(-1, 0, 1, MINUTE)
    return query(
        time,
        db=one("CONDBR2", "CONDBR2", "OFLP200"),
        schema=one("A", None, *NASTY[:2]),
        nodefullpath=one("/a", "/a", None, NASTY[0]),
        taskid=one(1, 2, 2**53 + 1, None),
        frontierserver=one("s1", "s1", "s2", None, NASTY[9]),
        since=begin,
        until=one(None, begin, begin + 2, begin + 3, begin + 21, 2**63 - 1, 5) if begin is not None else one(None, 5),
        **{
            name: draw.random() < 0.15 if draw.random() < 0.9 else None for name in ("disconn", "rejected", "procerror")
        },
        cached=one(True, False, None),
        querytime=one(1, 5000, 10_000, 10_001, 2**40, None, -3),
        initthreads=one(3, 400, 401, None, None),
        sqlquery=one("SELECT 1", "SELECT 1", None, f"x {BAD} y", BAD.lower(), "SELECT %_\\"),
    )


def logs(seed: int) -> Rows:
    draw = random.Random(seed)
    return [some(draw) for _ in range(draw.choice([40, 200, 400]))]


def limits(seed: int) -> fl.Settings:
    """Return thresholds that a few queries reach."""
    draw = random.Random(seed)
    return fl.Settings(
        check_failed_per_server=draw.choice([1, 3, 6]),
        check_failed_per_task=draw.choice([0, 2]),
        check_silent_spoke_hours=draw.choice([2, 3]),
        check_bad_sql_hours=draw.choice([1, 2, 3]),
        check_long_bin_minutes=draw.choice([3, 7, 45, 90]),
        check_long_queries=draw.choice([1, 4]),
        check_long_percent=draw.choice([0, 40]),
        check_unaligned_queries=draw.choice([1, 3]),
        check_unaligned_percent=draw.choice([0, 50, 99]),
        check_hit_queries=draw.choice([1, 2]),
    )


def plain(found: fl.checks.Findings) -> list[Told]:
    rows = found.frame.astype(object).where(found.frame.notna(), None).to_dict("records")
    scope = ("frontierserver", "taskid", "db", "schema", "nodefullpath")
    return [
        told(
            row["check"],
            *(row[name].value // 1_000_000 for name in ("since", "until")),
            row["value"],
            row["threshold"],
            **{name: row[name] for name in scope},
        )
        for row in rows
    ]


def agree(seed: int, source: Any, rows: Rows) -> None:
    every, length = WINDOWS[seed % len(WINDOWS)]
    since, until = START + 3 * HOUR, START + 9 * HOUR
    window = [from_milliseconds(time) for time in (since, until)]
    found = fl.checks.run(source, *window, every=every, settings=limits(seed))
    expected = findings(rows, since, until, length, limits(seed))
    assert sorted(plain(found), key=repr) == sorted(expected, key=repr)
    if len(rows) > 40:
        assert len(found) > 20
        assert len({*found.frame["check"]}) > 4


@pytest.mark.parametrize("seed", range(5))
def test_random_logs_have_the_findings_of_plain_python(seed: int, tmp_path: Path) -> None:
    rows = logs(seed)
    agree(seed, dataset(tmp_path / "d", rows, until=START + 9 * HOUR), rows)


@pytest.mark.spark
def test_random_logs_have_the_same_findings_in_spark(running: SparkSession, tmp_path: Path) -> None:
    rows = logs(3)
    made = dataset(tmp_path / "d", rows, until=START + 9 * HOUR)
    logs_of_it = fl.open_logs(made, session=running)
    with interpreted(running):
        agree(3, logs_of_it, rows)
    window = [from_milliseconds(START + hour * HOUR) for hour in (4, 5)]
    frame = logs_of_it.to_spark()  # the time that it covers is not known, but from its first to its last query
    found = fl.checks.run(frame, *window, checks=["threads", "failed_per_server"], settings=limits(3))
    assert len(found) > 1
    assert len(found.not_looked) == 0
    assert found.frame.equals(fl.checks.run(made, *window, checks=found.checks, settings=limits(3)).frame)
