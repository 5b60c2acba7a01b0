"""Panels in a real JupyterLab, and in Notebook 7, in a real browser."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from frontierlab_widgets.browser_files import MOST_UP
from PIL import Image
from playwright.sync_api import Browser, Locator

import frontierlab as fl
from frontierlab.reports.chapters import ALL_FILTERS
from frontierlab.sample import World
from tests.services.elasticsearch import ElasticsearchServer
from tests.services.flaky import Delay, FlakyProxy
from tests.services.jupyter import JupyterServer
from tests.support.lab import Lab, expect
from tests.support.waiting import until_true

pytestmark = [pytest.mark.browser, pytest.mark.jupyter]
LONG = 180_000  # ms after which a test that waits has failed

# How many plots a tab has where a test is about the panel; tabs that tests open one after the other differ.
FEW = {"Who asked": 2, "Databases and schemas": 3, "Over time": 2, "How long queries took": 1, "Folders": 3}

PRESS = 250  # ms; Bokeh takes a button that is held still for 300 ms for a press, and what follows is no drag
WATCH_DRAG = """() => {
    let down = 0;
    addEventListener("pointerdown", () => { down = performance.now(); window.stillBeforeDrag = null }, true);
    addEventListener("pointermove", () => { window.stillBeforeDrag ??= performance.now() - down }, true);
}"""

# The numbers on the page that are broken over two lines.
BROKEN = """panel => [...panel.querySelectorAll(
        "td.number, .frontierlab-tile b, .frontierlab-count, .frontierlab-bar-track + *")]
    .filter((one) => one.checkVisibility() && one.firstChild)
    .filter((one) => {
        const range = document.createRange();
        range.selectNodeContents(one.firstChild); // what is below a number can have lines of its own
        return new Set([...range.getClientRects()].map(({ top }) => Math.round(top))).size > 1;
    }).map((one) => one.textContent)"""

# The tables that are cut off on the right and do not say so.
CUT = """panel => [...panel.querySelectorAll(".frontierlab-table")].filter((one) => one.checkVisibility())
    .filter((one) => {
        const scroll = one.querySelector(".frontierlab-table-scroll");
        return scroll.scrollWidth > scroll.clientWidth + 1 && !one.textContent.includes("scroll right");
    }).map((one) => one.textContent.slice(0, 200))"""

# The cells of tables with whole names that hide a part of them.
HIDDEN = """panel => [...panel.querySelectorAll(".frontierlab-two-lines :is(td, th button, .frontierlab-below)")]
    .filter((one) => one.checkVisibility() && one.scrollWidth > one.clientWidth + 1)
    .map((one) => one.textContent)"""

# The filters of the header that others cover or that are cut to a few letters.
CRAMPED = """panel => [...panel.querySelectorAll(".frontierlab-chip")].filter((one) => {
        const text = one.firstChild, box = one.getBoundingClientRect();
        const there = document.elementFromPoint(box.right - 14, (box.top + box.bottom) / 2);
        return !one.contains(there) || (text.scrollWidth > text.clientWidth + 1 && text.clientWidth < 100);
    }).map((one) => one.textContent)"""

# What can be used or is a figure, and has no name for a screen reader.
NAMELESS = """panel => [...panel.querySelectorAll(
        "input, select, textarea, button, table, [role=grid], [role=tablist], [role=list], [role=figure]")]
    .filter((one) => one.checkVisibility())
    .filter((one) => !(one.getAttribute("aria-label") || one.title || one.matches("button") && one.textContent.trim()
        || one.labels?.length && one.labels[0].textContent.trim()))
    .map((one) => one.outerHTML.slice(0, 200))"""

# Texts with a contrast below 4.5 to what is behind them, also of what is disabled.
PALE = """panel => {
    const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
    const light = (colour) => {
        const [r, g, b] = parts(colour).map((one) => one / 255)
            .map((one) => one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const over = (top, below) => {
        const [r, g, b, a = 1] = parts(top);
        const under = parts(below);
        return `rgb(${[r, g, b].map((one, at) => a * one + (1 - a) * under[at])})`;
    };
    const known = new Map([[null, "rgb(255, 255, 255)"]]);
    const behind = (one) => {
        if (!known.has(one)) known.set(one, over(getComputedStyle(one).backgroundColor, behind(one.parentElement)));
        return known.get(one);
    };
    const texts = document.createTreeWalker(panel, NodeFilter.SHOW_TEXT);
    const found = new Set();
    while (texts.nextNode()) {
        const one = texts.currentNode.parentElement;
        const isLeftOut = one.closest("style, script, option, .bk-Figure");
        if (!texts.currentNode.data.trim() || !one.checkVisibility() || isLeftOut) continue;
        const ground = behind(one);
        const [a, b] = [light(over(getComputedStyle(one).color, ground)), light(ground)];
        const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        if (contrast < 4.5) found.add(`${contrast.toFixed(2)} ${one.className} ${texts.currentNode.data.slice(0, 40)}`);
    }
    return [...found];
}"""

# A panel with a table that its work updates.
UPDATED = """
import ipywidgets, pandas as pd
from frontierlab_widgets import Panel
from frontierlab_widgets.table import Table, TableColumn

class Updated(Panel):
    def build(self):
        self.table, self.rows = Table([TableColumn("name", "Name")], "name", label="Names"), list("abcd")
        go = ipywidgets.Button(description="Go")
        self.click(go, self.go, always=False)
        self.show()
        return [self.table, go]
    def show(self):
        self.table.show(pd.DataFrame({"name": self.rows}))
    def go(self):
        self.rows = ["new", *self.rows]
        self.begin(lambda work: work.stopping.wait(0.5), lambda _: self.show())

Updated(fl.Settings(data_dir="data"))
"""

# Adds copies of the last cell and its output below it.
REPEAT_LAST_CELL = """count => {
    const { sharedModel } = jupyterapp.shell.currentWidget.content.model;
    const { id, ...cell } = sharedModel.cells.at(-1).toJSON(); // each cell has an id of its own
    sharedModel.insertCells(sharedModel.cells.length, Array.from({ length: count }, () => structuredClone(cell)));
}"""

# returns once the theme is loaded
THEME = "theme => jupyterapp.commands.execute('apputils:change-theme', { theme })"

START = """
import os
import frontierlab as fl
from frontierlab_widgets import Dashboard, DatasetsPanel, ExplorePanel, ExtractPanel, JobsPanel
settings = fl.sample.settings(data_dir="data")
"""

# The same with one panel, where the kernel ends soon: all panels take two seconds to import.
START_BRIEFLY = """
import frontierlab as fl
from frontierlab_widgets import DatasetsPanel
settings = fl.sample.settings(data_dir="data")
"""


def pixels(place: Locator) -> np.ndarray:
    """The picture of a place on the page: rows, columns, red, green and blue."""
    return np.asarray(Image.open(io.BytesIO(place.screenshot())).convert("RGB")).astype(int)


# How many figures of the page have this text above them.
WITH_WORDS = """(words) => Math.max(...Bokeh.documents.flatMap((one) => one.roots()).map((root) =>
    [...root.references()].filter(({ text }) => text === words).length))"""


def share(picture: np.ndarray, colour: tuple[int, int, int]) -> float:
    """Which share of a picture has a colour, or nearly."""
    return float((np.abs(picture - np.array(colour)).max(axis=2) < 24).mean())


def coloured(picture: np.ndarray) -> float:
    """Which share of a picture is neither black, white nor grey."""
    return float((picture.max(axis=2) - picture.min(axis=2) > 60).mean())


def until_drawn(lab: Lab, figures: int) -> list[Locator]:
    """Wait for so many figures that have come to rest."""
    expect(lab.panel.locator(".bk-Figure")).to_have_count(figures, timeout=LONG)
    until_true(lab.page, "Bokeh.documents.length && Bokeh.documents.every((one) => one.is_idle)", timeout=LONG)
    return lab.panel.locator(".bk-Figure").all()


def drag(lab: Lab, figure: Locator, meanwhile: Callable[[], object]) -> None:
    """Drag over a fifth of a figure, and do something in the middle of the drag.

    It is done again if the first move came so late that Bokeh takes the drag for a press.
    """
    figure.scroll_into_view_if_needed()
    box = figure.bounding_box()
    assert box is not None
    left, right, y = box["x"] + box["width"] * 0.4, box["x"] + box["width"] * 0.6, box["y"] + box["height"] * 0.6
    lab.page.evaluate(WATCH_DRAG)
    for _ in range(10):  # on a busy machine
        lab.page.mouse.move(left, y)
        lab.page.mouse.down()
        lab.page.mouse.move((left + right) / 2, y, steps=5)
        meanwhile()
        lab.page.mouse.move(right, y, steps=5)
        lab.page.mouse.up()
        if lab.page.evaluate("window.stillBeforeDrag") < PRESS:
            return
    pytest.fail(f"this machine is too busy: no drag of ten began within {PRESS} ms")


def opacity(place: Locator) -> float:
    """How much of a place is seen, with all that it is in."""
    seen = place.evaluate(
        """(one) => {
            let seen = 1;
            // what Bokeh draws is in shadow trees
            for (; one; one = one.parentElement ?? one.getRootNode().host) seen *= getComputedStyle(one).opacity;
            return seen;
        }"""
    )
    return float(seen)


def until_seen(expected: float, *places: Locator) -> None:
    """Wait until so much of each place is seen; widgets change one after the other."""
    until = time.monotonic() + 20
    while (seen := [opacity(place) for place in places]) != pytest.approx([expected] * len(places)):
        assert time.monotonic() < until, seen
        places[0].page.wait_for_timeout(50)


@pytest.fixture(scope="module")
def sample(jupyter: JupyterServer) -> fl.Settings:
    """A dataset of the sample in the server's folder."""
    settings = fl.sample.settings(data_dir=jupyter.work / "data")
    fl.extract(settings, source=fl.sample.path(), name="sample", progress=False)
    return settings


@pytest.fixture(scope="module")
def in_lab(jupyter: JupyterServer, browser: Browser) -> Iterator[Lab]:
    """A notebook in JupyterLab with its kernel, which all tests share: to load a page takes seconds of a processor."""
    with Lab(jupyter, browser, "in-lab.ipynb") as lab:
        lab.page.evaluate("jupyterapp.shell.collapseLeft()")
        yield lab


@pytest.fixture(scope="module")
def in_notebook7(jupyter: JupyterServer, browser: Browser) -> Iterator[Lab]:
    """A notebook in Notebook 7."""
    with Lab(jupyter, browser, "in-notebook-7.ipynb", page="notebooks") as lab:
        yield lab


class SharedNotebook:
    """Tests that show what they need in a notebook that they share."""

    OPENED = "in_lab"

    @pytest.fixture
    @classmethod
    def lab(cls, request: pytest.FixtureRequest) -> Iterator[Lab]:
        """The notebook; errors in its consoles fail the test."""
        opened: Lab = request.getfixturevalue(cls.OPENED)
        opened.known_in_log = []
        yield opened
        opened.check()


class InSharedNotebook(SharedNotebook):
    """What is the same in JupyterLab and in Notebook 7."""

    def test_a_figure_is_shown_in_a_cell(self, lab: Lab) -> None:
        lab.show(
            "import frontierlab as fl; from bokeh.io import show; from bokeh.plotting import figure",
            "fl.plots.output_notebook()",
        )
        lab.in_kernel("plot = figure(height=200); plot.line([1, 2], [1, 2]); show(plot)")
        expect(lab.page.locator(".jp-OutputArea-output .bk-Figure")).to_have_count(1)

    def test_an_error_of_a_callback_fails_a_test(self, lab: Lab) -> None:
        lab.show(
            "import ipywidgets",
            "button = ipywidgets.Button(description='Bad')",
            "button.add_class('frontierlab-panel')",
            "button.on_click(lambda _: 1 / 0)",
            "button",
        )
        lab.panel.click()
        lab.in_kernel("pass")  # the click is handled before this
        with pytest.raises(AssertionError, match="in the log console: ZeroDivisionError: division by zero"):
            lab.check()


class Death(SharedNotebook):
    """The end of a kernel: after all other tests of its page, or one more kernel would import all panels."""

    def test_a_panel_says_that_its_kernel_died(self, lab: Lab, sample: fl.Settings) -> None:
        lab.show(START_BRIEFLY, "DatasetsPanel(settings)")
        expect(lab.panel.get_by_role("row")).to_have_count(2)
        lab.server.kill_kernel(lab.kernel)
        expect(lab.panel.locator(".frontierlab-ended")).to_contain_text("The kernel")
        died = lab.page.get_by_role("dialog")
        expect(died).to_contain_text("appears to have died")
        died.get_by_role("button").last.click()
        lab.until_connected()


class TestJupyterLab(InSharedNotebook):
    """What all panels have in common, shown with panels that need no service."""

    def test_after_a_restart_a_panel_says_so_and_its_state_is_restored(self, lab: Lab, sample: fl.Settings) -> None:
        lab.show(START_BRIEFLY, "panel = DatasetsPanel(settings); panel")
        lab.panel.get_by_role("row").nth(1).click()
        lab.in_kernel("import json; json.dump(panel.state(), open('state.json', 'w'))")
        lab.command("notebook:restart-kernel")
        lab.page.get_by_role("button", name="Confirm Kernel Restart").click()
        ended = lab.panel.locator(".frontierlab-ended")
        expect(ended).to_contain_text("The kernel was restarted")
        expect(lab.button("Refresh")).not_to_be_focused()
        assert lab.button("Refresh").evaluate("button => button.closest('[inert]') !== null")
        for theme in ("JupyterLab Dark", "JupyterLab Light"):  # a kernel that has ended is not told
            lab.page.evaluate(THEME, theme)
        lab.in_kernel(START_BRIEFLY, "panel = DatasetsPanel.from_state(open('state.json').read(), settings); panel")
        again = lab.page.locator(".frontierlab-panel").last
        expect(again.get_by_role("row", selected=True)).to_contain_text("sample")
        expect(again.locator(".frontierlab-ended")).to_be_hidden()

    def test_a_panel_works_by_keyboard_on_a_narrow_dark_page(self, lab: Lab, sample: fl.Settings) -> None:
        lab.show(START, "panel = DatasetsPanel(settings); panel", width=760)
        lab.page.evaluate(THEME, "JupyterLab Dark")
        search = lab.panel.get_by_role("searchbox")
        search.focus()
        lab.page.keyboard.type("nothing of the kind")
        expect(lab.panel.get_by_text("Nothing here matches")).to_be_visible()
        search.fill("")
        expect(lab.panel.get_by_role("row")).to_have_count(2)
        for _ in range(8):  # past the buttons of the head, to the first row
            lab.page.keyboard.press("Tab")
        lab.page.keyboard.press("Enter")
        expect(lab.panel.get_by_role("row", selected=True)).to_contain_text("sample")
        expect(lab.button("Delete")).to_be_enabled()  # a button that is not takes no focus
        lab.button("Delete").focus()
        lab.page.keyboard.press("Enter")
        expect(lab.panel.get_by_text("Delete sample and all its files for good?")).to_be_visible()
        lab.button("Keep it").focus()
        lab.page.keyboard.press("Space")
        expect(lab.panel.get_by_text("for good?")).to_be_hidden()
        assert lab.panel.evaluate("panel => panel.scrollWidth <= panel.clientWidth + 1")
        assert pixels(lab.panel).mean() < 80
        lab.page.evaluate(THEME, "JupyterLab Light")
        assert fl.datasets.open_dataset("sample", sample).state == "complete"

    def test_an_update_leaves_the_focus_where_it_was(self, lab: Lab) -> None:
        lab.show(START, UPDATED)
        names = lab.panel.get_by_role("grid", name="Names")
        names.get_by_role("row", name="a", exact=True).focus()
        lab.page.keyboard.press("ArrowDown")
        lab.page.keyboard.press("ArrowDown")
        expect(names.get_by_role("row", name="c", exact=True)).to_be_focused()
        lab.button("Go").evaluate("button => button.click()")  # a real click would take the focus
        expect(names.get_by_role("row")).to_have_count(6)
        expect(names.get_by_role("row", name="c", exact=True)).to_be_focused()
        lab.button("Go").focus()
        lab.page.keyboard.press("Enter")
        expect(lab.button("Go")).to_be_disabled()
        expect(names.get_by_role("row")).to_have_count(7)
        expect(lab.button("Go")).to_be_focused()

    def test_files_are_uploaded_and_downloaded(self, lab: Lab, sample: fl.Settings, tmp_path) -> None:
        lab.show(START, "panel = DatasetsPanel(settings); panel")
        field = lab.panel.get_by_label("Upload a file")
        field.set_input_files({"name": "bad.parquet", "mimeType": "", "buffer": b"PAR1 and nothing"})
        expect(lab.panel.get_by_role("alert")).to_contain_text("cannot be read as a Parquet file")
        field.set_input_files({"name": "big.parquet", "mimeType": "", "buffer": bytes(MOST_UP + 1)})
        expect(lab.panel.get_by_role("alert")).to_contain_text("a transfer through the browser has 5 MB at most")
        World(2_000, seed=3).write(tmp_path / "small.ndjson")
        field.set_input_files(tmp_path / "small.ndjson")
        expect(lab.panel.get_by_role("row", selected=True)).to_contain_text("small")
        with lab.page.expect_download() as download:
            lab.button("Download").click()
        download.value.save_as(tmp_path / "back.parquet")
        rows = fl.datasets.open_dataset("small", sample).counts.kept
        assert fl.datasets.import_parquet(tmp_path / "back.parquet", "back", sample).counts.kept == rows
        lab.panel.get_by_role("button", name="Rows").click()
        expect(lab.panel.get_by_role("row").nth(1)).to_contain_text("sample")  # the largest first
        lab.button("Refresh").click()
        expect(lab.panel.get_by_role("row")).to_have_count(4)
        lab.panel.get_by_role("button", name="Rows").click()
        expect(lab.panel.get_by_role("row").nth(3)).to_contain_text("sample")
        lab.panel.get_by_role("row").nth(1).focus()
        for key, place in (("End", 3), ("PageUp", 1), ("PageDown", 3), ("Home", 1)):
            lab.page.keyboard.press(key)
            expect(lab.panel.get_by_role("row").nth(place)).to_be_focused()
        for name in ("small", "back"):
            fl.datasets.delete_dataset(name, sample)

    def test_an_invalid_time_is_marked_and_disables_the_buttons(self, lab: Lab, sample: fl.Settings) -> None:
        lab.show(START, "panel = ExtractPanel(settings, source=str(fl.sample.path()), name='day'); panel", width=700)
        lab.button("Look first").click()
        expect(lab.panel.get_by_text("documents, from")).to_be_visible()
        expect(lab.button("Extract")).to_be_enabled()
        since = lab.field("since (UTC)")
        plain = since.evaluate("field => getComputedStyle(field).borderTopColor")
        since.fill("yesterday noon")
        since.press("Tab")
        expect(lab.panel.get_by_role("alert")).to_have_text(re.compile("'yesterday noon' is not a time: write 2026"))
        expect(lab.button("Look first")).to_be_disabled()
        expect(lab.button("Extract")).to_be_disabled()
        assert since.evaluate("field => getComputedStyle(field).borderTopColor") != plain
        below = lab.panel.get_by_role("alert").bounding_box()
        above = since.bounding_box()
        assert below is not None
        assert above is not None
        assert 0 <= below["y"] - (above["y"] + above["height"]) < 20
        assert lab.panel.evaluate("panel => panel.scrollWidth <= panel.clientWidth + 1")
        since.fill("2026-10-01")
        since.press("Tab")
        expect(lab.panel.get_by_role("alert")).to_have_count(0)
        expect(lab.button("Look first")).to_be_enabled()
        expect(lab.button("Extract")).to_be_disabled()  # of another request nobody has looked

    def test_a_timer_runs_only_while_its_panel_is_shown(self, lab: Lab, sample: fl.Settings) -> None:
        lab.show(
            START,
            "import ipywidgets, frontierlab_widgets.kernel_status as status",
            "usual = status.ASK_SECONDS, status.GONE_SECONDS",
            "status.ASK_SECONDS, status.GONE_SECONDS = 0.2, 3.0",
            "panel = JobsPanel(settings)",
            "tabs = ipywidgets.Tab([ipywidgets.VBox(), panel], titles=['other', 'jobs'])",
            "tabs.add_class('frontierlab-panel')",
        )

        def ticks(expected: bool) -> None:
            """Ask the kernel until it says so: between two cells it handles what the page tells it."""
            until = time.monotonic() + LONG / 1_000
            answers = lab.page.get_by_text(re.compile("ticks (True|False)"))
            said = ""
            while said != f"ticks {expected}":
                assert time.monotonic() < until, said
                lab.in_kernel("print('ticks', panel._timers[0]._thread is not None)")
                said = answers.last.inner_text().strip()
                lab.page.wait_for_timeout(200)

        ticks(False)
        lab.panel.get_by_role("tab", name="jobs").click()
        ticks(True)
        lab.panel.get_by_role("tab", name="other").click()
        ticks(False)
        lab.in_kernel("status.ASK_SECONDS, status.GONE_SECONDS = usual")

    def test_a_tab_shows_its_page_before_the_kernel_answers(self, lab: Lab) -> None:
        lab.show(
            "import ipywidgets",
            "from frontierlab_widgets.tabs import Tabs",
            "tabs = Tabs({'one': ipywidgets.HTML('first page'), 'two': ipywidgets.HTML('second page')}, 'Pages')",
            "tabs.bar.unobserve_all('value')",  # as a kernel that is busy
            "panel = ipywidgets.VBox([tabs]); panel.add_class('frontierlab-panel'); panel",
        )
        expect(lab.panel.get_by_text("first page")).to_be_visible()
        lab.panel.get_by_role("tab", name="two").click()
        expect(lab.panel.get_by_text("second page")).to_be_visible()
        expect(lab.panel.get_by_text("first page")).to_be_hidden()

    def test_a_name_is_shown_as_text_not_html(self, lab: Lab, sample: fl.Settings) -> None:
        hostile = "<img src=x onerror=window.hacked=1>"
        (sample.data_dir / "datasets" / hostile).mkdir()
        lab.show(START, f"panel = DatasetsPanel(settings, dataset={hostile!r}); panel")
        expect(lab.panel.get_by_role("row", selected=True)).to_contain_text(hostile)
        lab.button("Delete").click()
        expect(lab.panel.get_by_text(f"Delete {hostile} and all its files")).to_be_visible()
        assert lab.page.evaluate("window.hacked") is None
        (sample.data_dir / "datasets" / hostile).rmdir()

    def test_an_unexpected_error_is_shown(self, lab: Lab, sample: fl.Settings) -> None:
        lab.show(START, "panel = DatasetsPanel(settings); panel")
        lab.in_kernel("usual, fl.datasets.list_datasets = fl.datasets.list_datasets, lambda settings: 1 / 0")
        lab.button("Refresh").click()
        expect(lab.panel.get_by_role("alert")).to_contain_text("There was an unexpected error: ZeroDivisionError")
        lab.known_in_log.append("There was an unexpected error: ZeroDivisionError")  # the kernel's log has the details
        lab.in_kernel("fl.datasets.list_datasets = usual")


@pytest.fixture
def slow(elasticsearch_server: ElasticsearchServer) -> Iterator[FlakyProxy]:
    """A proxy of Elasticsearch that answers each search after a quarter of a second."""
    with FlakyProxy(elasticsearch_server.url, elasticsearch_server.ca_certs) as proxy:
        proxy.faults.append(Delay(when="POST /_search", seconds=0.25, times=None))
        yield proxy


@pytest.mark.elasticsearch
def test_an_extraction_shows_its_progress_and_can_be_stopped(
    jupyter: JupyterServer,
    browser: Browser,
    slow: FlakyProxy,
    elasticsearch_server: ElasticsearchServer,
    es,
    index: str,
) -> None:
    fl.sample.load(es, World(4_000, seed=6, indexable=True), index)
    variables = {
        "ES_ADDRESS": slow.url,
        "ES_USER": elasticsearch_server.user,
        "ES_PSWD": elasticsearch_server.password,
        "ES_INDEX": index,
        "ES_PAGE": "100",
        "ES_SLICES": "1",
        "PART_DOCUMENTS": "1000",
    }
    file = jupyter.folder / "home" / "es.txt"
    file.write_text("\n".join(f"{name} = {value}" for name, value in variables.items()))
    file.chmod(0o600)
    start = "import frontierlab as fl\nfrom frontierlab_widgets import ExtractPanel"
    cell = f'settings = fl.sample.settings(config_file="{file}", data_dir="extracted"); p = ExtractPanel(settings); p'
    with Lab(jupyter, browser, "extract.ipynb", start, cell) as lab:
        lab.run()
        for label, text in (("since (UTC)", "2026-10-01"), ("until (UTC)", "2026-10-02"), ("name", "day")):
            lab.field(label).fill(text)
            lab.field(label).press("Tab")
        lab.button("Look first").click()
        expect(lab.panel.get_by_text("4,000 documents, from")).to_be_visible(timeout=LONG)
        lab.button("Extract").click()
        line = lab.panel.get_by_text(re.compile(r"reading, [\d,]+ of 4,000, [\d,.]+ a second, .* left"))
        line.wait_for()
        first = line.inner_text()
        expect(line).not_to_have_text(first)
        lab.button("Stop").click()
        expect(lab.panel.get_by_text("The dataset day is incomplete")).to_be_visible(timeout=LONG)
        stopped = fl.datasets.open_dataset("day", fl.Settings(data_dir=jupyter.work / "extracted"))
        assert (stopped.state, stopped.counts.read < 4_000) == ("incomplete", True)
        slow.faults.clear()
        lab.button("Look first").click()
        expect(lab.panel.get_by_text("4,000 documents, from")).to_be_visible(timeout=LONG)
        lab.button("Extract").click()
        expect(lab.panel.get_by_text("day is complete: 4,000 documents read")).to_be_visible(timeout=LONG)


@pytest.mark.spark
class TestExplore:
    CELLS = (START, 'panel = ExplorePanel(settings, dataset="sample"); panel')

    @pytest.fixture(scope="class")
    @classmethod
    def lab(cls, in_lab: Lab, sample: fl.Settings) -> Iterator[Lab]:
        """The notebook, with the panel of the class."""
        in_lab.show(*cls.CELLS)
        until_drawn(in_lab, len(ALL_FILTERS["Databases and schemas"]))  # with fewer, another tab could be taken for it
        yield in_lab
        in_lab.check()

    @pytest.fixture(scope="class")
    @staticmethod
    def few(lab: Lab) -> Iterator[Lab]:
        """The notebook, with two plots a tab, for tests of the panel."""
        lab.in_kernel(
            "from frontierlab_widgets.explore_work import TABS\n"
            "all_plots = {**TABS}\n"
            f"TABS.update({{name: TABS[name][:count] for name, count in {FEW}.items()}})\n"
            "panel.draw()"  # the open tab can show all of its plots
        )
        until_drawn(lab, FEW["Databases and schemas"])
        yield lab
        lab.in_kernel("TABS.update(all_plots)")

    def test_every_plot_of_a_tab_is_drawn(self, lab: Lab) -> None:
        for figure in until_drawn(lab, len(ALL_FILTERS["Databases and schemas"])):
            assert coloured(pixels(figure)) > 0.002, figure.inner_text()

    @pytest.mark.parametrize("tab", [name for name in ALL_FILTERS if name != "Databases and schemas"])
    def test_every_tab_is_drawn(self, few: Lab, tab: str) -> None:
        # a few of its plots: tests/plots draws each of them in a browser
        chosen = few.panel.get_by_role("tab", name=tab)
        former = few.panel.locator(".bk-Figure").first.element_handle()
        chosen.click()
        former.wait_for_element_state("hidden", timeout=LONG)  # two tabs have the same number of plots
        for figure in until_drawn(few, FEW[tab]):
            assert coloured(pixels(figure)) > 0.002, figure.inner_text()

    def test_every_picker_changes_the_selection(self, few: Lab) -> None:
        few.panel.get_by_role("tab", name="Who asked").click()
        picked = {"database": "CONDBR2", "schema": "ATLAS_COOLOFL_PIXEL", "folder": "/PIXEL/PixCalib"}
        for label, name in picked.items():
            choice = few.field(label)
            option = choice.locator("option", has_text=re.compile(rf"^{re.escape(name)}\s\([\d,]+\)$"))
            choice.select_option(value=option.get_attribute("value"))
            expect(few.panel.get_by_text("Selected:")).to_contain_text(name)
        few.field("queries").select_option("not cached")
        few.field("find a task").fill("overlay")
        tasks = few.field("tasks").locator("option")
        expect(tasks.first).to_contain_text("overlay")
        few.field("tasks").select_option(index=0)
        expect(few.panel.get_by_text("Selected:")).to_contain_text("task ")
        until_drawn(few, FEW["Who asked"])
        few.button("All queries").click()
        expect(few.panel.get_by_text("Selected: all queries")).to_be_visible()
        few.button("Undo").click()
        expect(few.panel.get_by_text("Selected:")).to_contain_text("/PIXEL/PixCalib")
        few.button("All queries").click()

    def test_stale_plots_are_grey_and_an_invalid_time_draws_nothing(self, few: Lab) -> None:
        few.panel.get_by_role("tab", name="Databases").click()
        until_drawn(few, FEW["Databases and schemas"])
        few.button("SQL").click()
        code = few.panel.locator(".frontierlab-code pre")
        expect(code).to_contain_text("GROUP BY")
        few.field("since (UTC)").fill("yesterday noon")
        few.field("since (UTC)").press("Tab")
        expect(few.panel.get_by_text("'yesterday noon' is not a time").first).to_be_visible()
        expect(few.button("Draw again")).to_be_disabled()
        few.field("database").select_option(index=1)
        expect(
            few.panel.get_by_text("These figures are of dataset sample, all queries, not of the selection")
        ).to_be_visible()
        for name in ("Numbers", "SQL", "Code", "CSV", "Parquet"):
            expect(few.button(name)).to_be_disabled()
        figure = few.panel.locator(".bk-Figure").first
        until_seen(0.75, figure, code)
        assert coloured(pixels(figure)) == 0
        few.button("All queries").click()
        expect(few.button("CSV")).to_be_enabled()
        until_seen(1, figure, code)
        assert coloured(pixels(figure)) > 0.002
        few.button("Close").click()
        expect(code).to_be_hidden()

    def test_a_range_brushed_while_figures_change_is_the_window_and_can_be_undone(self, few: Lab) -> None:
        few.panel.get_by_role("tab", name="Over time").click()
        expect(few.button("CSV")).to_be_enabled()
        name = few.field("database").locator("option", has_text="CONDBR2").inner_text()

        def change_the_figures() -> None:
            few.field("database").select_option(label=name)
            expect(few.panel.get_by_text("Selected: database CONDBR2")).to_be_visible()
            few.page.wait_for_timeout(500)  # by now the figures of all queries cannot be saved
            expect(few.button("CSV")).to_be_enabled()
            assert not few.page.evaluate(WITH_WORDS, "database CONDBR2")  # they wait, or they would end the drag

        drag(few, until_drawn(few, FEW["Over time"])[0], change_the_figures)
        expect(few.panel.get_by_text("Selected:")).to_contain_text("database CONDBR2, from 2026-10-01 ")
        assert few.field("since (UTC)").input_value().startswith("2026-10-01T")
        few.button("Undo").click()
        until_true(few.page, f"({WITH_WORDS})('database CONDBR2') === {FEW['Over time']}", timeout=LONG)
        few.button("Undo").click()
        expect(few.panel.get_by_text("Selected: all queries")).to_be_visible()

    def test_a_choice_updates_the_figures_of_the_page_and_of_pages_opened_later(self, few: Lab) -> None:
        few.panel.get_by_role("tab", name="Over time").click()
        for figure in until_drawn(few, FEW["Over time"]):
            figure.evaluate("one => { one.isTheSame = true }")
        name = few.field("database").locator("option", has_text="CONDBR2").inner_text()
        few.field("database").select_option(label=name)
        until_true(few.page, f"({WITH_WORDS})('database CONDBR2') === {FEW['Over time']}", timeout=LONG)
        expect(few.button("CSV")).to_be_enabled()
        updated = until_drawn(few, FEW["Over time"])
        assert [figure.evaluate("one => one.isTheSame ?? false") for figure in updated] == [True, True]
        updated[0].scroll_into_view_if_needed()
        box = updated[0].bounding_box()
        assert box is not None
        few.page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.6)
        hovered = few.page.get_by_text(re.compile(r"2026-10-01 \d\d:\d\d:00 to 2026-10-01")).first
        expect(hovered).to_be_visible()
        few.page.mouse.move(1, 1)
        expect(hovered).to_be_hidden()
        pictures = [pixels(figure) for figure in updated]
        assert all(coloured(picture) > 0.002 for picture in pictures)
        few.save_and_reload()  # a page that draws them for the first time draws the same
        until_drawn(few, FEW["Over time"])[0].scroll_into_view_if_needed()
        for figure, former in zip(until_drawn(few, FEW["Over time"]), pictures, strict=True):
            picture = pixels(figure)
            assert picture.shape == former.shape
            assert (np.abs(picture - former).max(axis=2) > 60).mean() < 0.005
        expect(few.panel.get_by_role("tab", selected=True)).to_contain_text("Over time")
        assert (few.server.work / few.name).stat().st_size < 20_000  # BokehJS alone has over a million bytes
        second = few.context.new_page()
        second.goto(few.server.address(few.name, "notebooks"))  # of the same kernel, in Notebook 7
        figures = second.locator(".bk-Figure")
        expect(figures).to_have_count(FEW["Over time"], timeout=LONG)
        until_true(second, "Bokeh.documents.every((one) => one.is_idle)", timeout=LONG)
        assert coloured(pixels(figures.first)) > 0.002
        second.close()
        few.button("All queries").click()
        expect(few.button("CSV")).to_be_enabled()

    def test_in_the_dark_figures_are_dark_with_light_axes(self, few: Lab) -> None:
        few.panel.get_by_role("tab", name="How long").click()
        until_drawn(few, FEW["How long queries took"])
        few.command("apputils:change-theme", theme="JupyterLab Dark")
        until_true(
            few.page,
            "Bokeh.documents.some((one) => one.roots().some((root) =>"
            " [...root.references()].some((m) => m.background_fill_color === '#1e1e1e')))",
            timeout=LONG,
        )
        for figure in until_drawn(few, FEW["How long queries took"]):
            picture = pixels(figure)
            assert np.median(picture) < 60
            assert share(picture, (0xDD, 0xDD, 0xDD)) > 0.0005  # ticks, labels and titles
            assert share(picture, (255, 255, 255)) < 0.01
        few.command("apputils:change-theme", theme="JupyterLab Light")

    def test_the_code_is_copied(self, few: Lab) -> None:
        few.button("Code").click()
        few.button("Copy").click()
        expect(few.button("Copied")).to_be_visible()
        copied = few.page.evaluate("navigator.clipboard.readText()")
        assert "fl.plots.queries_by_querytime(frame)" in copied or "fl.plots." in copied

    def test_numbers_are_downloaded(self, few: Lab, tmp_path) -> None:
        with few.page.expect_download() as download:
            few.button("CSV").click()
        download.value.save_as(tmp_path / "a.csv")
        assert (tmp_path / "a.csv").read_text().count("\n") > 2


class TestNotebook7(InSharedNotebook):
    OPENED = "in_notebook7"

    @pytest.fixture(scope="class")
    @classmethod
    def settings(cls, in_notebook7: Lab) -> fl.Settings:
        """Settings of a folder where a dashboard extracts the sample and shows its worst folder, after two clicks."""
        lab = in_notebook7
        lab.show(START, 'board = Dashboard(fl.Settings(data_dir="fresh")); board')
        lab.page.evaluate("window.clicks = 0; addEventListener('click', () => { window.clicks += 1 }, true)")
        lab.button("Try it on the sample").click()
        lab.button("Why, who, and what helps").first.click(timeout=LONG)
        expect(lab.panel.get_by_text("is explained")).to_be_visible(timeout=LONG)
        assert lab.page.evaluate("window.clicks") == 2
        return fl.sample.settings(data_dir=lab.server.work / "fresh")

    def test_two_clicks_lead_from_an_empty_folder_to_the_worst_folder_its_task_and_its_fix(
        self, lab: Lab, settings: fl.Settings
    ) -> None:
        worst = fl.caching.efficiency("sample", settings, progress=False).iloc[0]
        which = worst[["db", "schema", "nodefullpath", "tagname"]].to_dict()
        why, helps = (ask("sample", settings, **which) for ask in (fl.caching.explain, fl.caching.what_if))
        detail = lab.panel.locator(".frontierlab-detail")
        told = (why.summary, helps.attrs["cure"], helps.attrs["reasons"])
        for text in (*which.values(), *told, str(why.tasks["taskid"].iloc[0])):
            expect(detail.get_by_text(text).first).to_be_visible()
        expect(lab.panel.get_by_role("tab", name="Waste")).to_have_attribute("aria-selected", "true")
        expect(detail.locator(".bk-Figure").first).to_be_visible(timeout=LONG)
        until_true(lab.page, "Bokeh.documents.every((one) => one.is_idle)", timeout=LONG)
        again = [share(pixels(figure), (0xD5, 0x5E, 0x00)) for figure in detail.locator(".bk-Figure").all()]
        assert max(again) > 0.01, again  # asked again for the same payload

    def test_a_filter_changes_the_figures_of_the_open_tab_and_is_taken_off(
        self, lab: Lab, settings: fl.Settings
    ) -> None:
        figures = lab.panel.get_by_text("Figures of dataset sample")
        expect(figures).to_contain_text("all queries", timeout=LONG)
        count = lab.panel.locator(".frontierlab-count")
        logs = fl.open_logs("sample", settings=settings)
        part, whole = (
            int(fl.filters.cost_per_schema(logs, selection, top=None)["queries"].sum())
            for selection in (fl.Selection(db="CONDBR2"), fl.Selection())
        )
        lab.field("Add a filter").fill("database condbr")
        option = lab.panel.locator("li[role=option]")
        expect(option).to_have_count(1)
        expect(option).to_contain_text(f"{part:,}")
        lab.field("Add a filter").press("Enter")
        expect(count).to_contain_text(f"{part:,} of {whole:,} queries")
        expect(figures).to_contain_text("database CONDBR2", timeout=LONG)
        rows = lab.panel.get_by_role("grid", name="Folders and tags").get_by_role("row")
        assert {re.search(r"[A-Z]+2\d*", row.inner_text())[0] for row in rows.all()[1:6]} == {"CONDBR2"}
        lab.button("Take off database: CONDBR2").click()
        expect(count).to_contain_text(f"{whole:,} queries")
        expect(figures).to_contain_text("all queries")


class TestNotebook7AtItsEnd(Death):
    OPENED = "in_notebook7"


class TestDashboard(SharedNotebook):
    """The flow of the dashboard, in JupyterLab."""

    def test_tabs_work_after_a_reload_below_long_cells(self, lab: Lab, sample: fl.Settings) -> None:
        lab.show("print('a long cell\\n' * 40)")
        lab.page.evaluate(REPEAT_LAST_CELL, 20)
        lab.in_kernel(START, "board = Dashboard(settings, tab='Data'); board")
        lab.save_and_reload()
        lab.page.evaluate(
            """async () => {
                const notebook = jupyterapp.shell.currentWidget.content;
                await notebook.scrollToItem(notebook.widgets.length - 1, 'end');
            }"""
        )
        for name in ("History", "Data", "Extract", "Jobs"):
            tab = lab.panel.get_by_role("tab", name=name, exact=True)
            tab.click()
            expect(tab).to_have_attribute("aria-selected", "true")
        expect(lab.button("Start a worker")).to_be_visible()
        lab.panel.get_by_role("tab", name="Jobs").press("Home")
        expect(lab.panel.get_by_role("tab", name="Extract")).to_be_focused()
        expect(lab.button("Look first")).to_be_visible()

    def test_after_a_restart_one_click_shows_the_last_view_again(self, lab: Lab, sample: fl.Settings) -> None:
        lab.show(
            START,
            "secret = fl.Settings(**{**dict(settings), 'es_user': 'me', 'es_pswd': 'hunter-2'})",
            "board = Dashboard(secret, tab='Datasets'); board",
        )
        lab.field("dataset").select_option("sample")
        lab.field("since (UTC)").fill("2026-10-01T10:00")
        lab.field("since (UTC)").press("Tab")
        chip = lab.panel.get_by_text("from 2026-10-01 10:00 UTC")
        expect(chip.first).to_be_visible()
        kept = sample.data_dir / "views"
        until = time.monotonic() + LONG / 1_000
        while not any("T10:00" in file.read_text() for file in kept.glob("last-*.json")):
            assert time.monotonic() < until
            lab.page.wait_for_timeout(50)
        assert not [file for file in kept.iterdir() if "hunter" in file.read_text()]
        lab.command("notebook:restart-kernel")
        lab.page.get_by_role("button", name="Confirm Kernel Restart").click()
        ended = lab.panel.locator(".frontierlab-ended").filter(visible=True)
        expect(ended).to_contain_text("The kernel was restarted")
        table = lab.panel.get_by_role("grid").filter(visible=True)
        assert opacity(table) >= 0.75  # legible
        chains = "one => getComputedStyle(one, '::before').content"
        for widget in lab.panel.locator(".jupyter-widgets-disconnected").all()[:20]:
            assert widget.evaluate(chains) in ("none", "normal", '""')
        lab.button("Copy this view").click()
        expect(lab.button("Copied")).to_be_visible()
        copied = lab.page.evaluate("navigator.clipboard.readText()")
        assert '"dataset": "sample"' in copied
        assert "hunter" not in copied
        lab.until_connected()
        lab.button("Restore this view").click()
        again = lab.page.locator(".frontierlab-dashboard").filter(visible=True)
        expect(again.locator(".frontierlab-ended").filter(visible=True)).to_have_count(0, timeout=LONG)
        expect(again.get_by_label("dataset", exact=True)).to_have_value("sample", timeout=LONG)
        expect(again.get_by_text("from 2026-10-01 10:00 UTC").first).to_be_visible()
        expect(again.get_by_role("tab", name="Datasets", exact=True)).to_have_attribute("aria-selected", "true")
        again.get_by_role("tab", name="Jobs", exact=True).click()  # it lives
        expect(again.get_by_role("button", name="Start a worker")).to_be_visible()

    def test_two_dashboards_see_datasets_made_elsewhere_and_one_resumes(self, lab: Lab, sample: fl.Settings) -> None:
        World(600, seed=3).write(sample.data_dir / "dump.ndjson")
        cell = "Dashboard(settings, tab='Datasets')"
        lab.show(START, f"import ipywidgets; ipywidgets.VBox([{cell}, {cell}])")
        boards = lab.page.locator(".frontierlab-dashboard")
        expect(boards).to_have_count(2)
        path = fl.extract(sample, source=sample.data_dir / "dump.ndjson", name="elsewhere", progress=False).path
        manifest = path / "manifest.json"
        manifest.write_text(manifest.read_text().replace('"complete"', '"incomplete"', 1))
        for board in boards.all():
            expect(board.get_by_role("row", name="elsewhere")).to_contain_text("incomplete")
            expect(board.get_by_label("dataset", exact=True).locator("option", has_text="elsewhere")).to_have_count(1)
        first, second = boards.all()
        first.get_by_role("row", name="elsewhere").click()
        first.get_by_role("button", name="Resume").click()
        expect(first.get_by_text("elsewhere is complete:")).to_be_visible(timeout=LONG)
        expect(second.get_by_role("row", name="elsewhere")).not_to_contain_text("incomplete")
        for board in (first, second):  # what has finished is told, and moves nobody
            expect(board.get_by_label("dataset", exact=True)).to_have_value("choose …")
            expect(board.get_by_role("tab", name="Datasets", exact=True)).to_have_attribute("aria-selected", "true")
        (sample.data_dir / "there.csv").touch()
        first.get_by_label("path", exact=True).fill(str(sample.data_dir / "there.csv"))
        first.get_by_label("path", exact=True).press("Tab")
        first.get_by_role("button", name="Write to path").click()
        expect(first.get_by_role("alert").filter(visible=True)).to_contain_text("Tick replace")
        first.get_by_role("button", name="Look at it").click()
        expect(first.get_by_label("dataset", exact=True)).to_have_value("elsewhere")
        expect(second.get_by_label("dataset", exact=True)).to_have_value("choose …")
        fl.datasets.delete_dataset("elsewhere", sample)

    @pytest.fixture(scope="class")
    @classmethod
    def board(cls, in_lab: Lab, sample: fl.Settings) -> None:
        """A dashboard of the sample, in which tests choose the tab and the size of the window."""
        in_lab.show(START, 'board = Dashboard(settings, dataset="sample"); board')

    def test_a_click_on_a_bar_adds_a_chip_and_with_shift_leaves_it_out(
        self, lab: Lab, sample: fl.Settings, board: None
    ) -> None:
        lab.page.set_viewport_size({"width": 1_300, "height": 1_600})
        lab.panel.get_by_role("tab", name="Explore").click()
        bars = lab.panel.locator("button.frontierlab-bar-row")
        expect(bars).to_have_count(10, timeout=LONG)
        lab.field("by").select_option("site")
        lab.field("measure").select_option("database time")
        bar = lab.panel.get_by_role("list", name="database time by site").locator("button").first
        site = bar.locator(".frontierlab-bar-name > span").first.inner_text()
        logs = fl.open_logs("sample", settings=sample)
        costs = fl.filters.cost_per_site(logs, rank_by="dbtime_ms", top=None)
        assert site == costs["computingsite"].iloc[0]
        expect(bar).to_contain_text(f"{costs['dbtime_ms_percent'].iloc[0]:.1f} %")
        bar.click(modifiers=["Shift"])
        expect(lab.panel.get_by_text(f"site: not {site}")).to_be_visible()
        left = int(costs.loc[costs["computingsite"].fillna("") != site, "queries"].sum())
        expect(lab.panel.locator(".frontierlab-count")).to_contain_text(f"{left:,} of")
        lab.button("Undo").click()
        expect(lab.panel.locator(".frontierlab-chip")).to_have_count(0)
        expect(bar).to_contain_text(site)
        bar.focus()
        lab.page.keyboard.press("ArrowDown")
        lab.page.keyboard.press("Enter")
        expect(lab.panel.locator(".frontierlab-chip")).to_contain_text(f"site: {costs['computingsite'].iloc[1]}")
        header, field = lab.panel.locator(".frontierlab-header"), lab.field("Add a filter")
        lab.page.set_viewport_size({"width": 1_400, "height": 1_000})
        lab.field("compare with").select_option("the window before")
        expect(lab.button("Compare with nothing")).to_be_visible()
        assert header.bounding_box()["height"] < 85  # two lines
        field.click()
        expect(lab.panel.locator("li[role=option]").first).to_be_visible()
        field.press("Escape")
        lab.button(f"Take off site: {costs['computingsite'].iloc[1]}").press("Enter")
        expect(lab.panel.locator(".frontierlab-chip")).to_have_count(0)
        expect(field).to_be_focused()
        expect(field).to_have_attribute("aria-expanded", "false")  # the list would cover the tabs
        assert lab.panel.get_by_role("listbox").filter(visible=True).count() == 0
        lab.button("Compare with nothing").click()
        site = "computingsite=['CERN', 'BNL', 'NIKHEF'], "
        for count, more in ((2, ""), (4, "db='CONDBR2', cached=False, ")):
            window = "since='2026-10-01T09:50', until='2026-10-01T11:00'"
            lab.in_kernel(f"board.selection = fl.Selection({site}{more}{window})")
            expect(lab.panel.locator(".frontierlab-chip")).to_have_count(count)
            assert lab.panel.evaluate(CRAMPED) == []
        lab.page.set_viewport_size({"width": 1_300, "height": 600})
        lab.panel.locator(".bk-Figure").filter(visible=True).first.scroll_into_view_if_needed()
        expect(lab.panel.locator(".frontierlab-header")).to_be_in_viewport(ratio=0.9)  # it stays
        lab.in_kernel("board.selection = fl.Selection()")

    def test_at_700_pixels_numbers_are_whole_and_everything_has_a_name_and_contrast(
        self, lab: Lab, board: None
    ) -> None:
        lab.page.set_viewport_size({"width": 700, "height": 1_600})
        lab.panel.get_by_role("tab", name="Overview").click()
        expect(lab.panel.get_by_text("against the time before")).to_be_visible(timeout=LONG)
        for theme in ("JupyterLab Light", "JupyterLab Dark"):
            lab.page.evaluate(THEME, theme)
            for tab in ("Overview", "Waste", "Explore", "History", "Data", "Extract", "Raw logs", "Jobs"):
                lab.panel.get_by_role("tab", name=tab, exact=True).click()
                shown = {"Waste": "Folders and tags", "Data": None, "Jobs": "Jobs", "History": "Incidents"}.get(tab)
                if shown:
                    expect(lab.panel.get_by_role("grid", name=shown)).to_be_visible(timeout=LONG)
                assert lab.panel.locator(".frontierlab-header").bounding_box()["height"] < 150
                assert lab.panel.evaluate(BROKEN) == []
                assert lab.panel.evaluate(CUT) == []
                assert lab.panel.evaluate(HIDDEN) == []
                assert lab.panel.evaluate(NAMELESS) == []
                assert lab.panel.evaluate(PALE) == []
                assert lab.panel.evaluate("panel => panel.scrollWidth <= panel.clientWidth + 1")
                assert lab.panel.evaluate("panel => panel.getBoundingClientRect().right <= innerWidth")
                if tab == "Explore":
                    expect(lab.panel.get_by_role("figure", name="Queries over time")).to_be_visible(timeout=LONG)
            lab.button("More ▾").click()
            for box in ("Share", "Settings"):
                lab.button(box).click()
            expect(lab.field("es_address")).to_be_visible()
            for what in (NAMELESS, PALE):
                assert lab.panel.evaluate(what) == []
            for box in ("Share", "Settings", "Less ▴"):
                lab.button(box).click()
            expect(lab.field("es_address")).to_be_hidden()
        wide = lab.panel.get_by_text("more columns: scroll right").filter(visible=True)
        lab.page.set_viewport_size({"width": 500, "height": 1_000})
        expect(wide.first).to_be_visible()
        lab.page.evaluate(THEME, "JupyterLab Light")


class TestJupyterLabAtItsEnd(Death):
    pass
