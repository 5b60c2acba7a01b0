"""Take the pictures of the panels for docs/panels.md (``make pictures``), from the sample.

JupyterLab and Chromium are started as in the tests.
"""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Locator, sync_playwright

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from frontierlab.rawlogs import write_servlet_logs  # noqa: E402
from frontierlab.sample import World  # noqa: E402
from tests.services.chromium import ChromiumServer  # noqa: E402
from tests.services.jupyter import JupyterServer  # noqa: E402
from tests.support.lab import Lab  # noqa: E402

PICTURES = ROOT / "docs" / "pictures"
LONG = 300_000  # ms
CELL = """\
import frontierlab as fl
from frontierlab_widgets import Dashboard

board = Dashboard(fl.Settings(data_dir="data"))
board
"""
MOST = 1_100  # pixels of height
WINDOW = {"width": 1_400, "height": 2_400}


# do not show where the project is on this machine
ANONYMOUS = """
(panel, root) => {
    const texts = document.createTreeWalker(panel, NodeFilter.SHOW_TEXT);
    const plain = (text) => text.replaceAll(root, "…").replace(/\\/tmp\\/[^\\s'"\\/]+/g, "…");
    while (texts.nextNode()) texts.currentNode.data = plain(texts.currentNode.data);
    for (const field of panel.querySelectorAll("input:not([type=file])")) field.value = plain(field.value);
}
"""


def keep(place: Locator, name: str) -> None:
    """Write a picture with few colours, to keep the file small."""
    place.evaluate(ANONYMOUS, str(ROOT))
    picture = Image.open(io.BytesIO(place.screenshot())).convert("RGB")
    picture = picture.crop((0, 0, picture.width, min(picture.height, MOST)))
    picture.quantize(128, dither=Image.Dither.NONE).save(PICTURES / f"{name}.png", optimize=True)
    sys.stdout.write(f"{name}.png: {(PICTURES / f'{name}.png').stat().st_size / 1e3:.0f} kB\n")


def tab(lab: Lab, name: str) -> None:
    """Open a tab."""
    lab.panel.get_by_role("tab", name=name).filter(visible=True).first.click()


def drawn(lab: Lab) -> None:
    """Wait until all work is done and the figures are stable."""
    lab.page.wait_for_timeout(1_000)  # time for a click to start its work
    lab.panel.get_by_role("button", name=re.compile("Stop$")).filter(visible=True).first.wait_for(
        state="hidden", timeout=LONG
    )
    lab.page.wait_for_function("Bokeh.documents.every((one) => one.is_idle)", timeout=LONG)
    lab.page.wait_for_timeout(1_000)


def raw_log(folder: Path) -> Path:
    """Write the log of a servlet of the sample world, with some lines of others."""
    write_servlet_logs(World(400, seed=5, malformed=0, faithful=True), folder, noise=0.05)
    return next(folder.rglob("catalina.out"))


def take(lab: Lab) -> None:
    """Go through all tabs, as a new user would."""
    lab.page.set_default_timeout(LONG)
    lab.command("application:toggle-left-area")
    lab.run()
    keep(lab.panel, "start")
    lab.button("Try it on the sample").click()
    lab.panel.get_by_text("against the time before").wait_for()
    drawn(lab)
    keep(lab.panel, "overview")
    lab.button("Why, who, and what helps").first.click()
    lab.panel.get_by_text("is explained").wait_for()
    drawn(lab)
    keep(lab.panel, "caching")
    tab(lab, "Explore")
    drawn(lab)
    lab.panel.locator("button.frontierlab-bar-row").nth(1).click()
    lab.panel.locator(".frontierlab-chip").first.wait_for()
    drawn(lab)
    keep(lab.panel, "explore")
    tab(lab, "Over time")
    drawn(lab)
    keep(lab.panel, "explore-over-time")
    lab.button("All queries").click()  # one folder would be a line
    tab(lab, "One plot")
    lab.field("plot").select_option("long queries per folder")
    drawn(lab)
    keep(lab.panel, "explore-heatmap")
    lab.button("Undo").click()
    lab.panel.locator(".frontierlab-chip").first.wait_for()
    lab.command("apputils:change-theme", theme="JupyterLab Dark")
    lab.page.wait_for_timeout(4_000)
    drawn(lab)
    tab(lab, "Overview")
    drawn(lab)
    keep(lab.panel, "overview-dark")
    lab.command("apputils:change-theme", theme="JupyterLab Light")
    lab.button("All queries").click()
    lab.page.set_viewport_size({"width": 760, "height": 3_600})
    lab.panel.get_by_text("198 folders and tags").wait_for()
    drawn(lab)
    keep(lab.panel, "overview-narrow")
    lab.page.set_viewport_size(WINDOW)
    tab(lab, "Data")
    lab.panel.get_by_role("grid", name="Datasets").wait_for()
    keep(lab.panel, "datasets")
    tab(lab, "Extract")
    lab.button("Look first").click()
    lab.panel.get_by_text("documents, from").wait_for()
    keep(lab.panel, "extract")
    tab(lab, "Raw logs")
    lab.panel.get_by_label("Upload a log").set_input_files(raw_log(lab.server.work / "logs"))
    lab.panel.get_by_text("1 log of Frontier servlets").wait_for()
    lab.button("Read").click()
    lab.panel.get_by_text("lines = ").wait_for()
    drawn(lab)
    keep(lab.panel, "raw-logs")
    tab(lab, "Jobs")
    lab.panel.get_by_role("grid", name="Jobs").wait_for()
    lab.panel.get_by_role("row").filter(visible=True).nth(1).click()
    lab.page.wait_for_timeout(1_500)
    keep(lab.panel, "jobs")
    lab.button("Settings").click()
    lab.button("Test").click()
    lab.panel.get_by_text("Spark: not configured").wait_for()
    drawn(lab)
    keep(lab.panel, "connection")


def main() -> None:
    """Take all pictures."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    with JupyterServer() as server, ChromiumServer() as chromium, sync_playwright() as playwright:
        browser = playwright.chromium.connect(chromium.address)
        with Lab(server, browser, "pictures.ipynb", CELL, **WINDOW) as lab:
            take(lab)
        browser.close()


if __name__ == "__main__":
    main()
