"""``frontierlab checks``: findings as tables and JSON, and the exit codes for cron."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

import frontierlab as fl
from tests.cli.conftest import Run

WINDOW = ("--since", "2026-10-01T10:00", "--until", "2026-10-01T11:00")


@pytest.mark.slow
def test_findings_are_those_of_the_function_and_the_code_is_1(overlay: Path, run: Run) -> None:
    done = run("checks", "overlay", *WINDOW, "--json")
    assert done.exit_code == 1, done.stderr
    found = fl.checks.run("overlay", since="2026-10-01T10:00", until="2026-10-01T11:00")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(row["check"], row["value"], row["call"]) for row in rows] == [
        *zip(found.frame["check"], found.frame["value"], found.frame["call"], strict=True)
    ]
    assert rows[0]["since"] == "2026-10-01T10:00:00.000Z"
    for row in rows:
        assert isinstance(eval(row["call"], {"fl": fl}), pd.DataFrame)
    head, limits, *unseen = done.stderr.splitlines()
    assert head == "Looked at 2026-10-01 10:00 to 2026-10-01 11:00 UTC."
    assert limits.startswith("No check looks for sites that are silent")
    assert "frontierlab diagnose …" in limits
    assert unseen == [f"Could not look: {one}" for one in found.not_looked_in_words()]
    assert "bad_sql: the datasets have no text of the SQL" in done.stderr
    table = run("checks", "overlay", *WINDOW).stdout
    assert len(table.splitlines()) == len(found) + 1
    assert found.frame["what"][0] in table


@pytest.mark.parametrize(
    ("checks", "code", "said"),
    [
        (["threads", "failed_per_task"], 0, "Nothing found.\n"),
        (["threads", "hit_ratio"], 2, "Could not look: hit_ratio: nothing to compare with a week before"),
    ],
)
@pytest.mark.slow
def test_nothing_found_is_0_and_2_where_a_check_could_not_look(
    overlay: Path, run: Run, checks: list[str], code: int, said: str
) -> None:
    done = run("checks", "overlay", *(word for check in checks for word in ("--check", check)))
    assert (done.exit_code, done.stdout) == (code, "")
    assert said in done.stderr
    assert done.stderr.startswith(
        "Looked at 2026-10-01 23:00 to 2026-10-02 00:00 UTC, the last of the data: --since and --until look at more, "
    )
    assert "No check looks" not in done.stderr  # of checks that were chosen


@pytest.mark.parametrize(
    ("checks", "days", "said"),
    [
        (["threads", "hit_ratio"], (), "Nothing found by the checks that could look.\n"),
        (
            ["threads", "long_queries"],
            ("--since", "2026-11-01", "--until", "2026-11-02"),
            "No check could look: whether there is something to find is not known.\n",
        ),
    ],
)
def test_what_was_not_looked_at_is_not_called_nothing(
    overlay: Path, run: Run, checks: list[str], days: tuple[str, ...], said: str
) -> None:
    done = run("checks", "overlay", *days, *(word for check in checks for word in ("--check", check)))
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.endswith(said)
    assert "Nothing found.\n" not in done.stderr


def test_a_terminal_shows_whole_sentences(overlay: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("frontierlab.cli.commands.checks.is_terminal", lambda stream: True)
    monkeypatch.setenv("COLUMNS", "80")
    done = run("checks", "overlay", *WINDOW)
    found = fl.checks.run("overlay", since="2026-10-01T10:00", until="2026-10-01T11:00")
    assert done.exit_code == 1
    assert done.stdout.splitlines() == [
        f"{severity}: {what} (2026-10-01 10:00 to 2026-10-01 11:00 UTC)"
        for severity, what in zip(found.frame["severity"], found.frame["what"], strict=True)
    ]


def test_each_hour_of_a_day(overlay: Path, run: Run) -> None:
    day = ("--since", "2026-10-01", "--until", "2026-10-02", "--every", "hour", "--check", "threads", "--json")
    rows = [json.loads(line) for line in run("checks", "overlay", *day).stdout.splitlines()]
    logs = fl.datasets.open_dataset("overlay").to_pandas()
    largest = logs.groupby([logs["time"].dt.floor("h"), "frontierserver"], observed=True)["initthreads"].max()
    assert len(rows) == int((largest > 400).sum()) > 3
    assert max(row["value"] for row in rows) == largest.max()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "Name one or several datasets to look at, or give --index."),
        (["overlay", "--index"], "Name one or several datasets to look at, or give --index."),
        (["overlay", "--every", "90s"], "--every 90s is not a length of time"),
        (["overlay", "--check", "speed"], "'speed' is not one of"),
        (["--index"], "es_address is not set"),
    ],
)
def test_what_is_not_valid_names_what_is(overlay: Path, run: Run, words: list[str], said: str) -> None:
    done = run("checks", *words)
    assert (done.exit_code, done.stdout) == (2, "")
    assert said in done.stderr
