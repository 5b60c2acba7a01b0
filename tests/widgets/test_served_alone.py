"""A dashboard that is served as a page of its own, without a notebook."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser

import frontierlab as fl
from frontierlab.sample import World
from tests.services.jupyter import JupyterServer
from tests.support.lab import expect

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "dashboard.ipynb"
LONG = 120_000  # ms after which a test that waits has failed

# Stops what moves without an end: Voila's sign that it is at work would be drawn sixty times a second.
AT_REST = """addEventListener("animationstart", () => document.getAnimations()
    .filter(({ effect }) => effect.getComputedTiming().iterations === Infinity)
    .forEach((one) => one.pause()), true)"""


@pytest.mark.browser
def test_voila_serves_a_dashboard_that_works_and_shows_no_code(jupyter: JupyterServer, browser: Browser) -> None:
    settings = fl.sample.settings(data_dir=jupyter.work / "served")
    World(300, seed=3).write(jupyter.work / "dump.ndjson")
    fl.extract(settings, source=jupyter.work / "dump.ndjson", name="day", progress=False)
    text = NOTEBOOK.read_text().replace("data_dir = None", 'data_dir = \\"served\\"')
    (jupyter.work / "dashboard.ipynb").write_text(text)
    before = {kernel["id"] for kernel in jupyter.ask("GET", "/api/kernels")}
    page = browser.new_page(viewport={"width": 1_000, "height": 900})
    page.add_init_script(AT_REST)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    address = f"{jupyter.url}/voila/render/dashboard.ipynb?token={jupyter.token}"
    page.goto(address, wait_until="commit", timeout=LONG)
    tab = page.get_by_role("tab", name="Data", exact=True)
    tab.click(timeout=LONG)
    row = page.get_by_role("grid", name="Datasets").get_by_role("row", name="day")
    row.click()
    page.get_by_role("button", name="Look at it").click()
    count = fl.datasets.open_dataset("day", settings).counts.kept
    expect(page.locator(".frontierlab-count")).to_contain_text(f"{count:,} queries", timeout=LONG)
    expect(page.get_by_role("tab", name="Overview")).to_have_attribute("aria-selected", "true")
    expect(page.get_by_text("from frontierlab_widgets import")).to_have_count(0)
    assert errors == []
    page.close()
    for kernel in jupyter.ask("GET", "/api/kernels"):
        if kernel["id"] not in before:
            jupyter.end_kernel(kernel["id"])
