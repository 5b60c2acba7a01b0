"""What a check cannot look at is told as such, with its reason and its time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import frontierlab as fl
from frontierlab.checks.rules import CHECKS
from frontierlab.errors import ConfigurationError, DatasetError, InvalidRequestError
from frontierlab.util.times import from_milliseconds
from tests.checks.planted import BAD, HOUR, MINUTE, SINCE, UNTIL, Rows, dataset, few, healthy, several
from tests.support.logs import START, make_dataset

WINDOW = {"since": from_milliseconds(SINCE), "until": from_milliseconds(UNTIL)}


def run(source: Any, **options: Any) -> fl.checks.Findings:
    return fl.checks.run(source, **{**WINDOW, "settings": few(), **options})


def unseen(found: fl.checks.Findings) -> dict[str, str]:
    """Return the checks that could not look at all of the time, and why."""
    assert not found.not_looked["check"].duplicated().any()
    return dict(zip(found.not_looked["check"], found.not_looked["why"], strict=True))


@pytest.mark.parametrize(
    ("checks", "missing", "why"),
    [
        (["failed_per_server", "failed_per_task"], ("disconn", "rejected", "procerror"), "whether it failed"),
        (["failed_per_task"], ("taskid",), "no query names a task"),
        (["threads"], ("initthreads",), "how many threads there were"),
        (["silent_servers"], ("frontierserver",), "no query names a server"),
        (["bad_sql"], ("sqlquery",), "no query has the text of its SQL"),
        (["long_queries"], ("querytime",), "how long it took"),
        (["unaligned_iovs"], ("since",), "no query asks for an IOV"),
        (["hit_ratio"], ("cached",), "whether it was cached"),
    ],
)
def test_a_field_that_no_query_has(tmp_path: Path, checks: list[str], missing: tuple[str, ...], why: str) -> None:
    rows = [row | dict.fromkeys(missing) for row in healthy()]
    found = run(dataset(tmp_path / "d", rows), checks=checks)
    assert len(found) == 0
    told = unseen(found)
    assert [*told] == checks
    assert all(why in told[check] for check in checks)
    assert [*found.not_looked["since"]] == [WINDOW["since"]] * len(checks) or checks == ["silent_servers"]
    assert "could not look" in str(found)
    assert "Could not look" in found._repr_html_()


def test_datasets_without_the_sql(tmp_path: Path) -> None:
    made = make_dataset(tmp_path / "d", several(5), request={"since": "2026-10-01", "until": "2026-10-02"})
    assert "extract them with the extra field sqlquery" in unseen(run(made, checks="bad_sql"))["bad_sql"]
    made = make_dataset(tmp_path / "e", [], extra={"sqlquery": "integer"}, request={"since": "2026-10-01"})
    assert "sqlquery is int64, not text" in unseen(run(made, checks="bad_sql"))["bad_sql"]


def test_time_that_the_data_do_not_cover(tmp_path: Path) -> None:
    rows = [row for row in healthy() if row["time"] >= SINCE]
    made = dataset(tmp_path / "d", rows, since=SINCE)
    told = unseen(run(made))
    assert [*told] == ["silent_servers", "bad_sql", "hit_ratio"]
    assert "they are there from 2026-10-01 03:00 to 2026-10-01 04:00 UTC" in told["silent_servers"]
    assert told["hit_ratio"].startswith("nothing to compare with a week before: the data do not cover")
    late = run(made, since=WINDOW["since"], until=WINDOW["until"] + timedelta(minutes=1))
    assert {*unseen(late)} == {*CHECKS}


def test_too_many_in_a_part_of_the_time_are_found_all_the_same(tmp_path: Path) -> None:
    half = SINCE + HOUR // 2
    rows = several(101, half, UNTIL, rejected=True, taskid=9, initthreads=401, sqlquery=BAD)
    found = run(dataset(tmp_path / "d", rows, since=half))
    assert [*found.frame["check"]] == ["failed_per_server", "failed_per_task", "threads", "bad_sql"]
    assert {*unseen(found)} == {*CHECKS}


def test_hours_that_are_not_covered_are_told_as_one_time(tmp_path: Path) -> None:
    made = dataset(tmp_path / "d", several(50, START + HOUR, START + 2 * HOUR), since=START + HOUR)
    day = {"since": "2026-10-01", "until": "2026-10-02", "every": "1h"}
    found = run(made, **day, checks=["threads"])
    times = [(row["since"].hour, row["until"].hour, row["why"][:17]) for row in found.not_looked.to_dict("records")]
    assert times == [(0, 1, "the data do not c"), (2, 4, "there is no query"), (4, 0, "the data do not c")]
    assert "1 of 1 checks could not look at some or all of the time" in repr(found)


def test_a_gap_between_datasets(tmp_path: Path) -> None:
    one = dataset(tmp_path / "a", several(30, START, SINCE), since=START, until=SINCE)
    other = dataset(tmp_path / "b", several(30, SINCE + 1, UNTIL), since=SINCE + 1, until=UNTIL)
    found = run([one, other], checks=["threads", "silent_servers"])
    assert {*unseen(found)} == {"threads", "silent_servers"}
    assert any("No dataset covers the time" in note for note in found.notes)
    whole = dataset(tmp_path / "c", several(30, SINCE, UNTIL), since=SINCE, until=UNTIL)
    assert len(run([one, whole], checks=["threads", "silent_servers"]).not_looked) == 0


def test_an_hour_without_a_query(tmp_path: Path) -> None:
    rows = [row for row in healthy() if row["time"] < SINCE]
    found = run(dataset(tmp_path / "d", rows))
    assert {*unseen(found)} == {*CHECKS} - {"silent_servers", "bad_sql"}
    assert [*found.frame["check"]] == ["silent_servers"] * 2


def test_only_some_of_the_queries(tmp_path: Path) -> None:
    rows: Rows = [*healthy(), *several(200, rejected=True, taskid=9)]
    made = dataset(tmp_path / "d", rows, request={"selection": {"frontierserver": ["one.example"]}})
    found = run(made)
    assert [*found.frame["check"]] == ["failed_per_server", "failed_per_task"]
    told = unseen(found)
    assert {*told} == {*CHECKS}
    assert all("server one.example" in why for why in told.values())
    chosen = run(fl.Selection(taskid=7).of(dataset(tmp_path / "e", rows)), checks=["threads"])
    assert "Only some of the queries" in unseen(chosen)["threads"]


def test_the_last_whole_hour_is_looked_at_by_default(tmp_path: Path) -> None:
    rows = several(100, START - 1, UNTIL + 20 * MINUTE)
    made = make_dataset(tmp_path / "d", rows)
    found = fl.checks.run(made, settings=few(), checks="threads")
    assert (found.since, found.until) == (WINDOW["since"], WINDOW["until"])
    found = fl.checks.run(made, every="2h", settings=few(), checks="threads")
    assert (found.since, found.every) == (WINDOW["since"] - timedelta(hours=1), 7200)
    found = fl.checks.run(made, since=WINDOW["since"] - timedelta(hours=2), settings=few(), checks="threads")
    assert (found.since, found.until) == (WINDOW["since"] - timedelta(hours=2), WINDOW["until"])


def test_bounds_that_nobody_asked_for_cover_their_minute(tmp_path: Path) -> None:
    made = make_dataset(tmp_path / "d", several(60, SINCE + 59_999, UNTIL - 1))
    assert len(run(made, checks="threads").not_looked) == 0
    made = make_dataset(tmp_path / "e", several(60, SINCE + 60_000, UNTIL - 1))
    assert {*unseen(run(made, checks="threads"))} == {"threads"}


def test_an_incomplete_dataset_is_refused(tmp_path: Path) -> None:
    made = make_dataset(tmp_path / "d", several(5), missing=1)
    with pytest.raises(DatasetError, match="incomplete"):
        run(made)
    opened = fl.open_logs(made, allow_incomplete=True)
    assert {*unseen(run(opened, checks=["threads"]))} == {"threads"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"every": "90s"}, "every='90s' is not a length of time"),
        ({"every": timedelta(seconds=90)}, "is not a length of time"),
        ({"every": "7h"}, "is no multiple of every='7h': move since or until"),
        ({"every": "1min", "since": "2026-01-01"}, "more than 10,000 windows of every='1min'"),
        ({"until": WINDOW["since"]}, "must be later than since"),
        ({"since": "now"}, "'now' is not a time"),
        ({"checks": ["threads", "speed"]}, "There is no check speed. There are: failed_per_server,"),
        ({"checks": []}, "checks is an empty list"),
    ],
)
def test_arguments_that_are_not_valid_are_refused(tmp_path: Path, options: dict[str, Any], said: str) -> None:
    made = dataset(tmp_path / "d", several(5))
    with pytest.raises(InvalidRequestError, match=said):
        run(made, **options)


def test_logs_without_any_time_need_one(tmp_path: Path) -> None:
    made = make_dataset(tmp_path / "d", [])
    with pytest.raises(InvalidRequestError, match="cover no time: give since and until"):
        fl.checks.run(made)


def test_a_server_is_silent_for_less_than_it_spoke_before() -> None:
    with pytest.raises(ConfigurationError, match="check_silent_spoke_hours must be more than check_silent_hours"):
        fl.Settings(check_silent_hours=3)


def test_thresholds_for_an_hour_fit_the_window(tmp_path: Path) -> None:
    made = dataset(tmp_path / "d", several(60, SINCE, SINCE + HOUR // 2, rejected=True))
    found = run(made, checks="failed_per_server", every="30min")
    assert [(row["value"], row["threshold"]) for row in found.frame.to_dict("records")] == [(60, 50)]
    assert found.frame["until"][0] == datetime(2026, 10, 1, 3, 30, tzinfo=UTC)
    assert len(run(made, checks="failed_per_server")) == 0
