from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from bokeh.models import HBar
from bokeh.models.annotations import Label, Title
from playwright.sync_api import Browser

from frontierlab import Dataset, Settings
from frontierlab.caching.charts import bars, waste_figure
from frontierlab.caching.explanation import Explanation
from frontierlab.caching.grids import what_if
from frontierlab.caching.html import page
from frontierlab.errors import InvalidRequestError
from tests.caching.test_caching_grids import HV, RUN3
from tests.caching.test_caching_history import results
from tests.support.waiting import until_true

WASTE = results(("/A", "t1", 10, 4_000.0), ("/B", "none", 20, 6_000.0), ("/C", "t1", 30, None))


def lengths(plot: Any) -> list[dict[str, Any]]:
    return [dict(r.data_source.data) for r in plot.renderers if isinstance(r.glyph, HBar)]


def test_bars_of_waste_are_sorted_by_database_time_and_add_up() -> None:
    time, size = lengths(waste_figure(WASTE))
    assert time["row"] == ["/B", "/A t1"]
    assert list(time["length"]) == [60, 40]
    assert time["text"] == ["6.0 s", "4.0 s"]
    assert size["text"] == ["0.0 MB", "0.0 MB"]
    many = results(*((f"/{i}", "t1", 1, 10.0) for i in range(10)))
    time, _ = lengths(waste_figure(many, top=3))
    assert time["row"][-1] == "(7 others)"
    assert sum(time["length"]) == pytest.approx(100)
    assert len(lengths(waste_figure(many, top=9))[0]["row"]) == 10


def test_an_empty_figure_says_why() -> None:
    assert (
        waste_figure(WASTE.iloc[2:]).select_one(Label).text == "The payloads of these folders and tags are not known."
    )
    assert (
        waste_figure(WASTE.iloc[:0]).select_one(Label).text == "The payloads of these folders and tags are not known."
    )
    assert bars("t", "", [], {}, {}, "", "why").select_one(Label).text == "why"


def test_no_waste_is_drawn_as_zero() -> None:
    plot = waste_figure(results(("/A", "t1", 10, 0.0), wasted_bytes=0.0))
    assert [list(data["length"]) for data in lengths(plot)] == [[0], [0]]


def test_invalid_arguments_of_a_page(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequestError, match=r"no column wasted_bytes: give one that efficiency\(\) returned"):
        page(WASTE.drop(columns="wasted_bytes"), tmp_path / "page.html")
    with pytest.raises(InvalidRequestError, match=r"is a folder: give the path of a file in it, such as pixel\.html"):
        page(WASTE, tmp_path)
    what = pd.DataFrame()
    what.attrs["folder"] = "CONDBR2 X /Y t"
    with pytest.raises(InvalidRequestError, match="There is a what-if of CONDBR2 X /Y t, but no explanation"):
        page(WASTE, tmp_path / "page.html", what_ifs=[what])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_figures_of_different_queries_do_not_share_a_page(
    figures: pd.DataFrame, explained: Callable[..., Explanation], tmp_path: Path
) -> None:
    figures.attrs["selection"] = {"taskid": [5]}
    with pytest.raises(InvalidRequestError, match=r"The frame is of the selection \{'taskid': \[5\]\}, but an expl"):
        page(figures, tmp_path / "page.html", explanations=[explained(RUN3)])
    figures.attrs |= {"selection": {}, "dataset": ["sample", "another day"]}
    with pytest.raises(InvalidRequestError, match=r"The frame is of the dataset \['sample', 'another day'\]"):
        page(figures, tmp_path / "page.html", explanations=[explained(RUN3)])
    assert list(tmp_path.iterdir()) == []


def test_a_figure_of_a_selection_says_so() -> None:
    frame = WASTE.copy()
    frame.attrs |= {"dataset": ["day", "1"], "selection": {"taskid": [5]}}
    texts = [getattr(title.text, "text", title.text) for title in waste_figure(frame).select(Title)]
    assert any("The figures cover a part of the queries of day: task 5." in text for text in texts)


def test_names_are_escaped_in_a_page(tmp_path: Path) -> None:
    evil = "</script><script>window.pwned=1</script>"
    frame = results((evil, evil, 10, 4_000.0), cause=evil, problem=evil)
    text = page(frame, tmp_path / "new" / "page.html", title=evil).read_text(encoding="utf-8")
    assert evil not in text
    assert "&lt;script&gt;window.pwned=1" in text
    assert "1 folders and tags, 10 queries, " in text


@pytest.fixture(scope="module")
def written(
    dataset: Dataset,
    archived: Settings,
    sample_figures: pd.DataFrame,
    explained: Callable[..., Explanation],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A page of two folders of the sample; tests only read it."""
    frame = sample_figures[sample_figures["nodefullpath"].isin([RUN3["nodefullpath"], HV["nodefullpath"]])]
    what_ifs = [what_if(dataset, archived, **where) for where in (HV, RUN3)]
    explanations = [explained(where) for where in (RUN3, HV)]
    path = tmp_path_factory.mktemp("written") / "page.html"
    return page(frame, path, explanations=explanations, what_ifs=what_ifs, title="Pixel and LAr")


@pytest.mark.slow
def test_the_page_shows_costs_causes_and_advice(written: Path) -> None:
    text = written.read_text(encoding="utf-8")
    for words in (
        "<h1>Pixel and LAr</h1>",
        "queries with an IOV do not name a folder",
        "below the threshold",
        "The same query again from a Squid or site, not cached: ",
        "IOVs on no grid",
        "<h2>/PIXEL/PixCalib, tag PixCalib-RUN3-DATA-UPD4-02</h2>",
        "What would help",
        "Who asks the same again",
        "folders and tags without payload figures",
        "MB are 10^6 bytes",
    ):
        assert words in text
    assert text.count('class="advice"') == 2


@pytest.mark.browser
def test_the_page_needs_no_network_and_fits_the_window(written: Path, browser: Browser) -> None:
    tab = browser.new_page(viewport={"width": 1400, "height": 900})
    problems: list[str] = []
    asked: list[str] = []
    tab.on("console", lambda said: problems.append(said.text) if said.type in ("error", "warning") else None)
    tab.on("pageerror", lambda error: problems.append(str(error)))
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto(written.as_uri())
    for width in (1400, 700):  # as it opens, and as it follows its window
        tab.set_viewport_size({"width": width, "height": 900})
        until_true(tab, "window.Bokeh && Bokeh.documents.length > 0 && Bokeh.documents[0].is_idle")
        until_true(tab, f"document.documentElement.scrollWidth <= {width}")
        assert tab.locator(".bk-Figure").count() == 1 + 2 * 3 + 2
        assert tab.evaluate("innerWidth") == width
    assert asked == [written.as_uri()]
    assert problems == []
    tab.close()
