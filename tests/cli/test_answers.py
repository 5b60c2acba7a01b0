"""Answers of commands are those of the functions, for the queries that the options select."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import Result

import frontierlab as fl
from frontierlab.filters.changes_statement import CHANGE_KEYS
from tests.cli.conftest import Run

WINDOW = ("--since", "2026-10-01T12:00", "--until", "2026-10-01T18:00")


def records(done: Result, codes: tuple[int, ...] = (0,)) -> list[dict[str, Any]]:
    assert done.exit_code in codes, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def rows(overlay: Path) -> pd.DataFrame:
    """The rows of the dataset, for computations without the package's own statements."""
    return fl.datasets.open_dataset("overlay").to_pandas()


@pytest.mark.slow
def test_queries_of_a_selection_are_those_that_pandas_counts(rows: pd.DataFrame, run: Run) -> None:
    chosen = rows[
        (rows["time"] >= "2026-10-01T12:00Z")
        & (rows["time"] < "2026-10-01T18:00Z")
        & rows["db"].isin(["CONDBR2", "OFLP200"])
        & rows["cached"].eq(False)
        & (rows["querytime"] >= 50)
    ]
    selecting = [*WINDOW, "--db", "CONDBR2", "--db", "OFLP200", "--not-cached", "--min-querytime", "50"]
    found = records(run("ask", "queries-per-schema", "overlay", *selecting, "--top", "all", "--json"))
    named = {(row["db"], row["schema"]): row["queries"] for row in found if row["part"] == "named"}
    expected = chosen.groupby(["db", "schema"], observed=True).size()
    assert named == expected[expected > 0].to_dict()
    assert len(named) > 5


def test_the_empty_text_selects_what_the_log_does_not_name(rows: pd.DataFrame, run: Run) -> None:
    found = records(run("ask", "queries_per_db", "overlay", "--task", "", "--json"))
    assert sum(row["cached"] + row["not_cached"] + row["unknown"] for row in found) == rows["taskid"].isna().sum() > 0


def test_kinds_tasks_and_sites(rows: pd.DataFrame, run: Run) -> None:
    task = int(rows["taskid"].value_counts().index[0])
    site = str(rows["computingsite"].value_counts().index[0])
    found = records(
        run("ask", "queries_per_db", "overlay", "--task", str(task), "--site", site, "--kind", "disconn", "--json")
    )
    chosen = rows[(rows["taskid"] == task) & (rows["computingsite"] == site) & rows["disconn"].eq(True)]
    assert sum(row["not_cached"] for row in found) == len(chosen[chosen["cached"].eq(False)])


def test_a_table_has_the_numbers_of_the_json(overlay: Path, run: Run) -> None:
    found = records(run("ask", "queries_per_db", "overlay", "--json"))
    lines = run("ask", "queries_per_db", "overlay").stdout.splitlines()
    assert lines[0].split() == [*found[0]]
    assert [line.split() for line in lines[1:]] == [
        ["-" if value is None else str(value) for value in row.values()] for row in found
    ]


def test_integers_and_times_of_sql_are_exact(rows: pd.DataFrame, run: Run) -> None:
    statement = "SELECT max(iov_until) AS last, min(time) AS first, count(*) AS queries FROM logs WHERE db = :db"
    (found,) = records(run("sql", "overlay", statement, "--param", "db=CONDBR2", "--json"))
    chosen = rows[rows["db"] == "CONDBR2"]
    assert found["last"] == int(chosen["until"].max()) > 2**53
    assert found["first"] == chosen["time"].min().isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert found["queries"] == len(chosen)


def test_a_statement_from_the_standard_input(overlay: Path, run: Run) -> None:
    done = run("sql", "overlay", "-", "--param", 'text="7"', "--json", stdin="SELECT :text AS text FROM logs LIMIT 1")
    assert records(done) == [{"text": "7"}]


def test_a_wrong_statement_is_an_error(overlay: Path, run: Run) -> None:
    done = run("sql", "overlay", "SELECT nothing FROM logs")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "nothing" in done.stderr
    assert "Traceback" not in done.stderr


def test_no_query_is_no_output_and_a_word(overlay: Path, run: Run) -> None:
    done = run("ask", "queries_per_db", "overlay", "--db", "nix")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "No query matches.\n")
    done = run("ask", "queries_per_db", "overlay", "--since", "2027-01-01")
    assert (done.exit_code, done.stdout) == (0, "")
    told = "The dataset overlay covers nothing of the time from 2027-01-01 00:00 UTC. Covered: from 2026"
    assert done.stderr.count(told) == 1
    assert done.stderr.endswith("No query matches.\n")


@pytest.mark.slow
def test_changes_between_windows(rows: pd.DataFrame, run: Run) -> None:
    found = records(run("changes", "overlay", *WINDOW, "--rank-by", "failures", "--what", "server", "--json"), (0, 1))
    servers = [row for row in found if row["part"] == "named"]
    assert {row["what"] for row in found} == {"server"}
    failed = rows["disconn"].fillna(False) | rows["rejected"].fillna(False) | rows["procerror"].fillna(False)
    now = (rows["time"] >= "2026-10-01T12:00Z") & (rows["time"] < "2026-10-01T18:00Z")
    before = (rows["time"] >= "2026-10-01T06:00Z") & (rows["time"] < "2026-10-01T12:00Z")
    assert servers
    for row in servers:
        mine = rows["frontierserver"] == row["frontierserver"]
        assert row["failures"] == (mine & now & failed).sum()
        assert row["failures_before"] == (mine & before & failed).sum()


@pytest.mark.slow
def test_significant_changes_are_findings(overlay: Path, run: Run) -> None:
    found = records(run("changes", "overlay", *WINDOW, "--top", "all", "--json"), (1,))
    taken = [row for row in found if row["part"] == "named" and row["significant"]]
    assert taken
    kinds = Counter(row["what"] for row in taken)
    quiet = [kind for kind in CHANGE_KEYS if kind not in kinds]
    assert quiet
    ((kind, _),) = kinds.most_common(1)
    for one in (quiet[0], kind):
        assert run("changes", "overlay", *WINDOW, "--what", one).exit_code == (one in kinds)
    of_kind = [row["factor"] for row in taken if row["what"] == kind]
    factors = [max(factor, 1 / factor) if factor else float("inf") for factor in of_kind]
    for factor, more in ((1, len(factors)), (2, sum(one > 2 for one in factors)), (1e9, factors.count(float("inf")))):
        done = run("changes", "overlay", *WINDOW, "--what", kind, "--top", "1", "--fail-over", str(factor))
        assert done.exit_code == (1 if more else 0)
        assert (f"{more:,} of " in done.stderr) == bool(more)


@pytest.mark.slow
def test_changes_between_a_dataset_and_itself_are_none(overlay: Path, run: Run) -> None:
    assert run("changes", "overlay", "overlay").exit_code == 0
    assert run("changes", "overlay", "overlay", "--compare", "-1d").exit_code == 2


@pytest.mark.slow
def test_changes_say_what_the_data_do_not_cover(overlay: Path, run: Run) -> None:
    done = run("changes", "overlay", *WINDOW, "--compare", "-1d")
    assert done.exit_code == 2
    assert "The dataset overlay covers nothing of the time from 2026-09-30 12:00 UTC" in done.stderr
    late = ("--since", "2026-10-01T18:00", "--until", "2026-10-02T06:00", "--what", "server")
    for form in ([], ["--json"]):
        done = run("changes", "overlay", *late, *form)
        assert "The dataset overlay covers 50 % of the time from 2026-10-01 18:00" in done.stderr


def test_a_comparison_needs_a_window(overlay: Path, run: Run) -> None:
    done = run("changes", "overlay")
    assert done.exit_code == 2
    assert "--compare previous needs a window" in done.stderr


@pytest.mark.slow
def test_stored_figures_come_back(overlay: Path, run: Run) -> None:
    computed = records(run("caching", "efficiency", "overlay", "--db", "CONDBR2", "--store", "--json"))
    stored = records(run("caching", "history", "--dataset", "overlay", "--json"))
    wasted = {(row["nodefullpath"], row["tagname"]): row["wasted_dbtime"] for row in computed}
    assert {(row["nodefullpath"], row["tagname"]): row["wasted_dbtime"] for row in stored} == wasted
    worst = computed[0]
    of_folder = [f"--{key}={worst[key]}" for key in ("db", "schema")]
    of_folder += ["--folder", worst["nodefullpath"], "--tag", worst["tagname"]]
    (why,) = records(run("caching", "explain", "overlay", *of_folder, "--json"))
    assert why["totals"]["queries"] == worst["queries"]
    assert sum(row["queries"] for row in why["tasks"]) >= worst["queries"]
    (tried,) = records(run("caching", "what-if", "overlay", *of_folder, "--grid", "payload", "--json"))
    assert [row["grid"] for row in tried["grids"]] == ["as asked", "payload"]
    assert tried["advice"].startswith(f"{worst['nodefullpath']} ({worst['tagname']}): {tried['cure']}")
    told = run("caching", "what-if", "overlay", *of_folder, "--grid", "payload")
    assert told.stdout.endswith(f"\n{tried['advice']}\n")
    few = run("caching", "efficiency", "overlay", "--db", "CONDBR2", "--top", "2", "--json")
    assert records(few) == computed[:2]
    assert f"the 2 worst of {len(computed)} folders and tags" in few.stderr
    nowhere = run("caching", "history", "--dataset", "nowhere")
    assert (nowhere.stdout, nowhere.stderr.count("No figures of the dataset nowhere are stored.")) == ("", 1)


@pytest.mark.slow
def test_several_datasets_are_asked_as_one(empty: Path, dump: Path, run: Run) -> None:
    for name, *window in (["half-1", "--until", "2026-10-01T12:00"], ["half-2", "--since", "2026-10-01T12:00"]):
        done = run("extract", name, "--source", str(dump), *window)
        assert done.exit_code == 0, done.stderr
    both = [records(run("ask", "queries_per_db", *names, "--json")) for names in (["half-1", "half-2"], ["half-*"])]
    kept = sum(fl.datasets.open_dataset(name).counts.kept for name in ("half-1", "half-2"))
    assert both[0] == both[1]
    assert sum(row["cached"] + row["not_cached"] + row["unknown"] for row in both[0]) == kept
    (count,) = records(run("sql", "half-*", "SELECT count(*) AS queries FROM logs", "--json"))
    assert count == {"queries": kept}
