"""Every number of a diagnosis' page that counts queries is that of a filter, or of pandas over the same rows."""

import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest
from playwright.sync_api import Browser

import frontierlab as fl
from frontierlab.diagnosis import Diagnosis, Incident
from frontierlab.diagnosis.finding import DIMENSIONS
from tests.support.waiting import until_true

COSTS = ("queries", "dbtime", "overhead", "bytes", "failures")
CURRENCIES = {
    "queries": "of the day's queries",
    "dbtime": "of the day's database time",
    "overhead": "of the day's query time outside of the database",
    "bytes": "of the day's bytes",
    "failures": "of the day's failed queries",
}
OWN = {"load": "queries", "iov_flood": "dbtime", "wrong_iov": "dbtime", "cache_bypass": "dbtime"}
AMOUNTS = {"queries": "{:,.0f}".format, "bytes": lambda value: f"{value / 1e6:,.1f} MB"}
AMOUNTS |= dict.fromkeys(("dbtime", "overhead"), lambda value: f"{value / 1e3:,.0f} s")
EXCESS = dict(zip(COSTS, ("queries", "dbtime_ms", "overhead_ms", "bytes", ""), strict=True))


@pytest.fixture
def diagnosis(sample_diagnosis: Diagnosis) -> Diagnosis:
    return sample_diagnosis


@pytest.fixture(scope="module")
def rows(sample_settings: fl.Settings) -> pd.DataFrame:
    """The queries of the sample, with what each cost."""
    frame = fl.datasets.open_dataset("sample", sample_settings).to_pandas()
    failed = frame[["disconn", "rejected", "procerror"]].fillna(False).any(axis=1)
    over = (frame["querytime"] - frame["dbtime"].fillna(0)).clip(lower=0).fillna(0)
    costs = {"queries": 1, "overhead": over, "bytes": frame["fsize"].fillna(0), "failures": failed.astype(int)}
    return frame.assign(**costs, dbtime=frame["dbtime"].fillna(0))


@pytest.fixture(scope="module")
def page(
    sample_diagnosis: Diagnosis, tmp_path_factory: pytest.TempPathFactory, browser: Browser
) -> list[list[list[str]]]:
    """The cells of the tables of the incidents, as a browser shows them, and the facts above each."""
    diagnosis = sample_diagnosis
    path = diagnosis.to_html(tmp_path_factory.mktemp("page") / "page.html")
    shown = browser.new_page(viewport={"width": 700, "height": 900}, color_scheme="dark")
    problems: list[str] = []
    shown.on("pageerror", lambda error: problems.append(str(error)))
    shown.goto(path.as_uri())
    until_true(shown, "window.Bokeh && Bokeh.documents.length > 0 && Bokeh.documents[0].is_idle")
    assert problems == []
    assert shown.locator(".bk-Figure").count() == len(diagnosis) + 1
    assert shown.evaluate("document.documentElement.scrollWidth") <= 700
    assert [item.inner_text().split("\n")[0] for item in shown.locator("ol > li").all()] == [
        f"{one.kind}: {one.sentence}" for one in diagnosis
    ]
    for number in range(1, len(diagnosis) + 1):
        assert shown.locator(f"#incident-{number}").count() == 1
    return [
        section.evaluate("""one => [
            [...one.querySelectorAll("dl > *")].map((cell) => cell.innerText),
            ...[...one.querySelectorAll("table tr")].map((row) => [...row.cells].map((cell) => cell.innerText))
        ]""")
        for section in shown.locator("section").all()
    ]


def of_scope(rows: pd.DataFrame, one: Incident, names: Sequence[str] = DIMENSIONS) -> pd.DataFrame:
    scope = {name: one.row[name] for name in names if one.row[name] is not None}
    inside = pd.Series(True, index=rows.index)
    for name, value in scope.items():
        inside &= (rows[name] == value).fillna(False)
    return rows[inside]


@pytest.mark.browser
def test_the_numbers_of_each_incident_are_those_of_its_queries(
    diagnosis: Diagnosis, rows: pd.DataFrame, page: list[list[list[str]]], sample_settings: fl.Settings
) -> None:
    logs = fl.open_logs("sample", settings=sample_settings)
    assert f"{len(rows):,} queries" in diagnosis.head
    assert len(page) == len(diagnosis) > 3
    for one, (facts, _, *table) in zip(diagnosis, page, strict=True):
        told = dict(zip(facts[::2], facts[1::2], strict=True))
        costs = fl.filters.cost_per_server(logs, one.selection, top=None)
        assert told["queries"] == f"{costs['queries'].sum():,}"
        mine, since, until = of_scope(rows, one), one.row["since"], one.row["until"]
        parts = {
            "before": (mine[mine["time"] < since], since - diagnosis.since),
            "during": (mine[(mine["time"] >= since) & (mine["time"] < until)], until - since),
            "after": (mine[mine["time"] >= until], diagnosis.until - until),
        }
        assert [line[0] for line in table] == [*parts]
        for (part, length), line in zip(parts.values(), table, strict=True):
            hour = part[[*COSTS]].sum() / (length / pd.Timedelta(hours=1))
            ours = (hour[[*COSTS]] / [1, 1e3, 1e3, 1e6, 1]).tolist()
            assert [float(cell.replace(",", "")) for cell in line[1:]] == pytest.approx(ours, abs=0.51, rel=1e-3)
        assert costs["failures"].sum() == parts["during"][0]["failures"].sum()


@pytest.mark.slow
def test_the_cost_is_the_excess_as_a_share_of_the_day(diagnosis: Diagnosis, rows: pd.DataFrame) -> None:
    day = rows[[*COSTS]].sum()
    for one in diagnosis:
        name = f"excess_{EXCESS[one.currency]}" if EXCESS[one.currency] else "failures"
        share = abs(one.row[name]) / day[one.currency]
        assert one.cost == pytest.approx(share, rel=0.01)
        (said,) = re.findall(r"It cost ([^.]+(?:\.\d[^.]*)*)\.", one.sentence)
        most = f"{100 * one.cost:.1f}% {CURRENCIES[one.currency]}"
        own = OWN.get(one.kind, one.currency)
        if own != one.currency:
            excess = abs(one.row[f"excess_{EXCESS[own]}"]) / day[own]
            its = most.replace("the day's", "its")
            most = f"{100 * excess:.1f}% {CURRENCIES[own]}, and {its}"
        amounts = ""
        if one.kind in ("slow_database", "slow_server", "payload_growth", "load"):
            mine, excess = of_scope(rows, one), one.row[f"excess_{EXCESS[own]}"]
            there = mine[(mine["time"] >= one.row["since"]) & (mine["time"] < one.row["until"])][own].sum()
            amounts = f" (in all {AMOUNTS[own](there)}, expected {AMOUNTS[own](there - excess)})"
        assert said == most.replace(CURRENCIES[own], CURRENCIES[own] + amounts)


@pytest.mark.slow
def test_what_was_seen_is_counted(diagnosis: Diagnosis, rows: pd.DataFrame) -> None:
    counted = set()
    for one in diagnosis:
        mine = of_scope(rows, one, DIMENSIONS[:3] if one.kind in ("iov_flood", "wrong_iov") else DIMENSIONS)
        during = mine[(mine["time"] >= one.row["since"]) & (mine["time"] < one.row["until"])]
        if one.kind == "rejections":
            assert one.row["seen"] == during["rejected"].fillna(False).sum()
        elif one.kind == "load":
            assert f"brought {len(during):,} queries; servers had {one.row['factor']:.1f} times" in one.sentence
        elif one.kind == "iov_flood":
            key = ["sqlhash", "since", "until"]
            served = mine[~mine["cached"].fillna(False) & (mine["failures"] == 0)]
            fresh = served.sort_values("time").drop_duplicates([*key, "tagname"])
            fresh = fresh[fresh["time"].isin(during["time"])]
            assert one.row["seen"] <= len(fresh)
            assert one.row["seen"] == pytest.approx(len(fresh), rel=0.1)  # some are off the grid
        elif one.kind == "wrong_iov":
            assert one.row["seen"] <= len(during)
        else:
            assert one.row["factor"] == pytest.approx(one.row["seen"] / one.row["normal"])
        counted.add(one.kind)
    assert {"rejections", "load", "iov_flood"} <= counted


@pytest.mark.slow
def test_nothing_needs_the_network(diagnosis: Diagnosis, tmp_path: Path) -> None:
    text = diagnosis.to_html(tmp_path / "page.html").read_text("utf-8")
    assert not re.search(r"<(script|link|img)[^>]*(src|href)=", text)


@pytest.mark.slow
def test_a_gap_between_datasets_is_no_silence(settings: fl.Settings) -> None:
    for name, since, until in (("early", "2026-10-01T00:00", "2026-10-01T08:00"), ("late", "2026-10-01T12:00", None)):
        fl.extract(settings, source=fl.sample.path(), name=name, since=since, until=until, progress=False)
    day = fl.datasets.period(["early", "late"], settings=settings)
    found = fl.diagnose(day, settings=settings, progress=False)
    assert "No dataset covers the time from 2026-10-01 08:00 to 2026-10-01 12:00 UTC." in found.notes
    assert "silence" not in set(found.incidents["kind"])


@pytest.mark.slow
def test_the_largest_tasks_of_an_incident_without_a_task_are_named(
    diagnosis: Diagnosis, sample_settings: fl.Settings
) -> None:
    (flood,) = [one for one in diagnosis if one.kind == "iov_flood"]
    assert flood.row["taskid"] is None
    rows = fl.filters.cost_per_task(fl.open_logs("sample", settings=sample_settings), flood.selection, top=None)
    counts = rows.dropna(subset=["taskid"]).set_index("taskid")["queries"].nlargest(3)
    shares = counts / rows["queries"].sum()
    named = ", ".join(f"{task} ({share:.0%})" for task, share in shares[shares >= 0.1].items())
    assert flood.tell == f"the owners of the largest tasks by queries: {named}, and the experts of the folder"
