from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from frontierlab import Selection, filters, open_logs
from frontierlab.errors import DatasetError, InvalidRequestError
from frontierlab.filters.compare import Before
from frontierlab.filters.shown_times import ShownTimes, shown_times
from frontierlab.reports.beginning import PARTS, Beginning
from frontierlab.reports.chapters import ALL_FILTERS, CHAPTERS
from frontierlab.reports.report import report
from frontierlab.settings import Settings
from frontierlab.util.progress import Progress
from tests.support.logs import START, make_dataset
from tests.support.waiting import until_true

SCRIPT = "</script><script>window.pwned = 1</script>"
ROWS: list[dict[str, Any]] = [
    {"time": START + 1000 * n, "schema": name, "cached": n % 2 == 0}
    for n, name in enumerate(
        ["ATLAS_COOLOFL_PIXEL", "ATLAS_COOLOFL_PIXEL", "ATLAS_COOLOFL_SCT", None, SCRIPT, "$$A^2$$"]
    )
]
ROWS += [{"time": START + 400_000, "db": "OFLP200", "schema": "ATLAS_COOLOFL_RPC", "cached": None}]


def test_a_chapter_has_each_filter() -> None:
    assert sorted(name for names in ALL_FILTERS.values() for name in names) == sorted(filters.__all__)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw two plots only, for tests of the rest of the page."""
    some = {"Databases": ("queries_per_db",), "Over time": ("queries_over_time",)}
    monkeypatch.setattr("frontierlab.reports.report.CHAPTERS", some)
    monkeypatch.setattr("frontierlab.reports.report.begin", lambda *_: Beginning())


@pytest.mark.slow
def test_a_report_is_written_into_the_datasets_folder(tmp_path: Path) -> None:
    dataset = make_dataset(
        tmp_path / "day",
        ROWS,
        counts={"read": 12, "kept": 7, "left_out": 3, "set_aside": 2},
        left_out={"another database": 3},
        set_aside={"<fsize>: not an integer": 2},
        notes=["A note & more."],
    )
    path = report(dataset)
    assert path == dataset.path / "report.html"
    text = path.read_text(encoding="utf-8")
    assert "queries from 2026-10-01 00:00 to 2026-10-01 00:06:40 UTC" in text
    for reason, count in (("documents read", 12), ("another database", 3), ("&lt;fsize&gt;: not an integer", 2)):
        assert f'{reason}</td><td class="number">{count}</td>' in text
    assert "A note &amp; more." in text
    filters_shown = sum(map(len, CHAPTERS.values()))
    assert text.count("SQL of this plot</summary>") == filters_shown
    assert "7 queries: all" in text
    assert "<td>ATLAS_COOLOFL_PIXEL</td>" in text
    assert "<dt>read from</dt><dd>logs.ndjson</dd>" in text
    assert text.count('class="warning"') == 1
    assert "2 of 12 documents are malformed and are not in day: &lt;fsize&gt;: not an integer 2." in text
    assert SCRIPT not in text
    assert [p.name for p in dataset.path.iterdir() if "report" in p.name] == ["report.html"]


@pytest.mark.usefixtures("few")
def test_a_report_is_written_to_the_given_path(tmp_path: Path) -> None:
    path = report(make_dataset(tmp_path / "day", ROWS), path=tmp_path / "new folder" / "r.html")
    assert path == tmp_path / "new folder" / "r.html"
    assert path.read_text(encoding="utf-8").endswith("</html>")


@pytest.mark.usefixtures("few")
def test_a_report_warns_of_figures_that_are_too_small(tmp_path: Path) -> None:
    limited = make_dataset(
        tmp_path / "limited",
        ROWS,
        limit={"limit_queries": 1_000_000, "available": 2_500_000, "cut_at": "2026-10-01T00:07:00.000Z"},
        request={"cached": False, "taskid": 77, "source": "https://es:9200", "index": "frontier-new-*"},
        partial=["The index frontier-new-2026-09 was closed & not read."],
    )
    text = report(limited).read_text(encoding="utf-8")
    assert "limit_queries (1,000,000) cut limited at 2026-10-01T00:07:00.000Z" in text
    assert "<dt>read from</dt><dd>frontier-new-*</dd>" in text
    assert "The index frontier-new-2026-09 was closed &amp; not read." in text
    assert "2,500,000 documents" in text
    assert "Only queries with task 77, not cached were extracted" in text
    assert "shares of cached queries say nothing here" in text


@pytest.mark.usefixtures("few")
def test_a_report_warns_of_missing_files(tmp_path: Path) -> None:
    half = make_dataset(tmp_path / "half", ROWS[:3], ROWS[3:], missing=1)
    half.files()[0].unlink()
    text = report(half).read_text(encoding="utf-8")
    assert "The plots count 4 queries, but the dataset says that it has 7" in text
    whole = make_dataset(tmp_path / "whole", ROWS)
    whole.files()[0].unlink()
    with pytest.raises(DatasetError, match="Files of the dataset whole are missing: 0 of its 7 rows"):
        report(whole)


@pytest.mark.slow
@pytest.mark.usefixtures("few")
def test_an_incomplete_and_an_empty_dataset_have_reports(tmp_path: Path) -> None:
    index = {"source": "https://es:9200", "index": ["frontier-new-2026-09", "frontier_sql"]}
    half = make_dataset(tmp_path / "half", ROWS[:3], missing=1, request=index)
    text = report(half).read_text(encoding="utf-8")
    assert "This dataset is incomplete" in text
    assert "<dt>read from</dt><dd>frontier-new-2026-09, frontier_sql</dd>" in text
    assert 'kept: queries in this dataset</td><td class="number">3</td>' in text
    assert text.count('class="warning"') == 1
    empty = make_dataset(tmp_path / "empty", [])
    text = report(empty).read_text(encoding="utf-8")
    assert "There are no queries in these logs." in text
    assert "no queries</dd>" in text


@pytest.mark.slow
@pytest.mark.usefixtures("few")
def test_a_long_period_has_wider_bins(tmp_path: Path) -> None:
    day = 86_400_000
    year = make_dataset(tmp_path / "year", [{"time": START + day * n} for n in range(0, 500, 5)])
    text = report(year).read_text(encoding="utf-8")
    assert "-- :bin_ms = 86400000" in text
    assert "far outside" not in text


@pytest.mark.slow
@pytest.mark.usefixtures("few")
def test_plots_over_time_show_where_the_queries_are(tmp_path: Path) -> None:
    rows = [*({"time": START + 1000 * n} for n in range(5)), {"time": 0}]
    text = report(make_dataset(tmp_path / "outlier", rows)).read_text(encoding="utf-8")
    assert ":bin_ms = 300000" in text
    assert "Plots over time show the queries from 2026-10-01 00:00 UTC, to 2026-10-02 00:00 UTC. " in text
    assert "1 of 6 queries are far outside and not in them: 1 on 1970-01-01 (UTC)." in text
    assert "6 queries: all" in text
    assert len(text) < 4_000_000
    ends = make_dataset(tmp_path / "ends", [{"time": 0}, {"time": 8_993_894_400_000}])  # in 1970 and 2255
    text = report(ends).read_text(encoding="utf-8")
    assert "1 of 2 queries are far outside and not in them: 1 on 2255-01-03 (UTC)." in text


def test_the_period_of_most_queries_and_what_is_outside_in_words(tmp_path: Path) -> None:
    day = 86_400_000
    times = [START, START + day, START + 20 * day, 0, *(day * 1000 + hour for hour in range(3)), day * 1020]
    times += [day * 3000, day * 5000, day * 7000, day * 7001]
    logs = open_logs(make_dataset(tmp_path / "logs", [{"time": time} for time in [*times, *[START] * 9]]))
    found = shown_times(logs, Selection(db="CONDBR2"))
    assert found.selection == Selection(db="CONDBR2", since="2026-10-01", until="2026-10-22")
    assert "9 of 21 queries are far outside and not in them: 4 from 1972-09-27 to 1972-10-17, " in found.outside
    assert "2 from 1989-03-02 to 1989-03-03, 1 on 1970-01-01, 2 in 2 other periods (UTC)" in found.outside
    window = Selection(since="2026-10-01T12:00", until="2027-10-01")
    assert shown_times(logs, window) == ShownTimes(window)  # a tenth of its days is enough
    close = Selection(since="2026-10-01", until="2026-10-03")
    assert shown_times(logs, close) == ShownTimes(close)
    assert shown_times(logs, Selection(db="nix")) == ShownTimes(Selection(db="nix"))
    other = Before(logs, Selection(db="a"), timedelta(days=7))
    moved = found.of(other, Selection())
    assert moved == Before(logs, Selection(db="a", since="2026-09-24", until="2026-10-15"), timedelta(days=7))
    assert ShownTimes(close).of(other, close) is other
    assert found.of(None, Selection()) is None


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Progress]]:
    """A report of all plots, compared with the window before, and its records of progress."""
    window = Selection(db="CONDBR2", since="2026-10-01T00:00:03", until="2026-10-01T00:00:06")
    dataset = make_dataset(tmp_path_factory.mktemp("report") / "day", ROWS)
    told: list[Progress] = []
    return report(dataset, window, compare="previous", progress=told.append), told


@pytest.mark.browser  # it is in the process of the browser's test, for which the report is made anyway
def test_a_selection_compared_with_the_window_before(compared: tuple[Path, list[Progress]]) -> None:
    path, told = compared
    text = path.read_text("utf-8")
    assert "3 queries: database CONDBR2, from 2026-10-01 00:00:03 UTC, to 2026-10-01 00:00:06 UTC" in text
    assert "compared with</dt><dd>2026-10-01 00:00 to 2026-10-01 00:00:03 UTC" in text
    assert "<th class=number>queries change</th>" in text
    assert "FROM {before}" in text
    assert 'class="warning"' not in text
    assert [told[-1].done, told[-1].total] == [sum(map(len, CHAPTERS.values())) + len(PARTS)] * 2


def test_a_report_that_is_stopped_leaves_the_earlier_one(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "day", ROWS)
    (dataset.path / "report.html").write_text("earlier")

    def stop(record: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        report(dataset, progress=stop)
    assert (dataset.path / "report.html").read_text() == "earlier"
    assert [p.name for p in dataset.path.iterdir() if "report" in p.name] == ["report.html"]


@pytest.mark.usefixtures("few")
def test_a_selection_without_queries_leaves_the_earlier_report(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "day", ROWS)
    (dataset.path / "report.html").write_text("earlier")
    with pytest.raises(InvalidRequestError, match=r"no queries of the selection \(schema ATLAS_COOLOFL_PIXL\)"):
        report(dataset, Selection(schema="ATLAS_COOLOFL_PIXL"), findings=False)
    assert (dataset.path / "report.html").read_text() == "earlier"


def test_a_window_to_compare_with_needs_a_selection_with_one(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "day", ROWS)
    with pytest.raises(InvalidRequestError, match="needs a window to compare: give since=… and until=…"):
        report(dataset, compare="previous")


def test_a_folder_as_path_and_an_unknown_dataset_are_refused(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "day", ROWS)
    with pytest.raises(InvalidRequestError, match=r"is a folder: give the path of a file in it"):
        report(dataset, path=tmp_path)
    with pytest.raises(InvalidRequestError, match=r"day.pdf cannot be written: .* ends in \.html, such as report.html"):
        report(dataset, path=tmp_path / "day.pdf")
    with pytest.raises(DatasetError, match="There is no dataset 'nix'"):
        report("nix", settings=Settings(data_dir=tmp_path))


@pytest.mark.browser
def test_the_page_stands_alone_and_fits(compared: tuple[Path, list[Progress]], browser: Browser) -> None:
    path, _ = compared
    page = browser.new_page(viewport={"width": 700, "height": 900})
    problems: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: problems.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri())
    until_true(page, "window.Bokeh && Bokeh.documents.length > 0 && Bokeh.documents[0].is_idle")
    assert page.locator(".bk-Figure").count() == sum(map(len, CHAPTERS.values())) + 1
    assert page.evaluate("window.pwned") is None
    assert page.evaluate("document.documentElement.scrollWidth") <= 700
    assert page.locator("pre").first.is_visible() is False
    page.get_by_text("SQL of this plot").first.click()
    assert "FROM {logs}" in page.locator("pre").first.inner_text()
    assert asked == [path.as_uri()]
    assert problems == []
