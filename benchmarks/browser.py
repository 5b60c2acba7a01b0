"""The dashboard in a browser: a choice in Explore on the sample, and the Overview of a dataset.

``python -m benchmarks.browser`` starts JupyterLab and Chromium as the tests do, opens a dashboard on the sample in the
tab Explore, and makes choices by clicks: a bar, then *Undo*. A row of the table is a plot; milliseconds,
medians of the clicks after the first two:

- figure: from the click until the first frame in which the large plot has its new data and is drawn
- bars: until the bars are those of the new choice
- kernel, browser: processor time of the kernel and of all of Chromium from the click until both, and until half a
  second later, when saved notebooks have the figures too
- messages, kB: what the kernel sent in that time

``--dataset FOLDER`` opens the Overview of that dataset instead, with nothing kept, and prints when each of its parts
was on the page, in seconds from the choice of the dataset, and the processor time until the last one.

Other work on the machine changes the seconds of the clock several times over, and processor time less.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from pathlib import Path
from typing import Any, NamedTuple

import psutil
from playwright.sync_api import Locator, Page, sync_playwright

from tests.services.chromium import ChromiumServer
from tests.services.jupyter import JupyterServer
from tests.support.lab import Lab

LONG = 60_000  # ms
PLOTS = ("queries_over_time", "queries_per_schema", "payload_per_node")
WINDOW = {"width": 1_400, "height": 1_200}
START = """\
import frontierlab as fl
from frontierlab_widgets import Dashboard
settings = fl.sample.settings(data_dir={data!r})
"""
EXPLORE = """\
fl.extract(settings, source=fl.sample.path(), name="sample", progress=False)
board = Dashboard(settings, dataset="sample", tab="Explore")
board
"""

# Milliseconds from the next click until the figure and the bars are on the screen.
WATCH = """() => {
    const roots = () => Bokeh.documents.flatMap((one) => one.roots());
    const drawn = () => roots().reduce((sum, { tags }) => sum + (tags[0] ?? 0), 0);
    const bars = () => [...document.querySelectorAll(".frontierlab-bar-row")].map((one) => one.textContent).join();
    window.taken = new Promise((done) => addEventListener("click", ({ timeStamp }) => {
        const [figureBefore, barsBefore] = [drawn(), bars()];
        const found = {};
        const look = () => {
            const now = performance.now() - timeStamp;
            if (drawn() !== figureBefore && Bokeh.documents.every((one) => one.is_idle)) found.figure ??= now;
            if (bars() !== barsBefore) found.bars ??= now;
            if (found.figure && found.bars) requestAnimationFrame(() => done(found));
            else requestAnimationFrame(look);
        };
        requestAnimationFrame(look);
    }, { capture: true, once: true }));
}"""

PARTS = {
    "numbers": ".frontierlab-tile",
    "queries over time": ".bk-Figure",
    "folders": ".frontierlab-card h5",
    "incidents": "text=/^Show$/",
    "what changed": "text=/against the time before/",
}
"""What shows that a part of the Overview is there."""


class Used(NamedTuple):
    """Processor time in ms of the kernel and of Chromium, and what came from the kernel."""

    kernel: float
    browser: float
    messages: int
    size: int


class Meter:
    """Measures what is used from one call to the next."""

    def __init__(self, page: Page, server: JupyterServer, chromium: ChromiumServer) -> None:
        self._server, self._chromium = server, chromium
        self._sizes: list[int] = []
        listening = page.context.new_cdp_session(page)
        listening.on("Network.webSocketFrameReceived", lambda told: self._sizes.append(_size(told)))
        listening.send("Network.enable")
        self._before = self._processors()

    def _processors(self) -> tuple[float, float]:
        kernels = [one for one in self._server._kernels() if any("ipykernel" in word for word in one.cmdline())]
        assert self._chromium._process is not None
        pages = [child for one in self._chromium._process.processes() for child in one.children(recursive=True)]
        return _milliseconds(kernels), _milliseconds(pages)

    def used(self) -> Used:
        """Return what was used since the last call."""
        now, before = self._processors(), self._before
        self._before, sizes = now, [*self._sizes]
        self._sizes.clear()
        return Used(now[0] - before[0], now[1] - before[1], len(sizes), sum(sizes))


def _size(told: dict[str, Any]) -> int:
    data = str(told["response"]["payloadData"])
    return len(data) if told["response"]["opcode"] == 1 else 3 * len(data) // 4  # binary data come as base64


def _milliseconds(processes: list[psutil.Process]) -> float:
    return 1_000 * sum(sum(one.cpu_times()[:2]) for one in {one.pid: one for one in processes}.values())


def choose(page: Page, what: Locator) -> dict[str, float]:
    """Click, and return the milliseconds until the figure and the bars."""
    page.evaluate(WATCH)
    what.click()
    found: dict[str, float] = page.evaluate("window.taken")
    return found


def choices(lab: Lab, meter: Meter, rounds: int) -> list[dict[str, float]]:
    """Choose bars and undo that, and return what each choice took."""
    took = []
    for number in range(rounds):
        bars = lab.page.locator("button.frontierlab-bar-row").filter(visible=True)
        for what in (bars.nth(number % 4), lab.button("Undo").filter(visible=True).first):
            meter.used()
            one = choose(lab.page, what)
            lab.page.wait_for_timeout(1_200)  # what saved notebooks get follows at rest
            took.append({**one, **meter.used()._asdict()})
    return took[2:]


def explore(lab: Lab, server: JupyterServer, chromium: ChromiumServer, rounds: int) -> None:
    """Print what choices in Explore take."""
    names = ("figure", "bars", "kernel", "browser", "messages", "kB")
    print(f"| plot | {' | '.join(names)} |\n|---|{'---:|' * len(names)}")
    lab.in_kernel(EXPLORE)
    meter = Meter(lab.page, server, chromium)
    for plot in PLOTS:
        lab.in_kernel(f"board.panels['Explore'].plot = {plot!r}")
        lab.page.locator(".bk-Figure").filter(visible=True).first.wait_for(timeout=LONG)
        lab.page.wait_for_timeout(3_000)
        took = [{**one, "kB": one["size"] / 1_000} for one in choices(lab, meter, rounds)]
        print(f"| {plot} | {' | '.join(f'{statistics.median(one[name] for one in took):,.0f}' for name in names)} |")


def overview(lab: Lab, server: JupyterServer, chromium: ChromiumServer, name: str, pictures: Path | None) -> None:
    """Print when the parts of the Overview are there."""
    lab.in_kernel("board = Dashboard(settings)\nboard")
    lab.panel.get_by_role("tab", name="Overview").wait_for()
    meter = Meter(lab.page, server, chromium)
    began = time.monotonic()
    lab.in_kernel(f"board.dataset = {name!r}")
    left = dict(PARTS)
    while left:
        for part, selector in [*left.items()]:
            if lab.panel.locator(selector).filter(visible=True).count():
                print(f"{part}: {time.monotonic() - began:.1f} s", flush=True)
                del left[part]
        lab.page.wait_for_timeout(100)
    used = meter.used()
    print(f"processor time: kernel {used.kernel / 1e3:.1f} s, browser {used.browser / 1e3:.1f} s")
    if pictures is not None:
        lab.page.wait_for_timeout(2_000)
        lab.panel.screenshot(path=pictures)


def main() -> None:
    """Run the command; see its ``--help``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=8, help="bars to choose for each plot")
    parser.add_argument("--dataset", type=Path, help="the folder of a dataset whose Overview is opened")
    parser.add_argument("--picture", type=Path, help="a file for a picture of that Overview")
    options = parser.parse_args()
    data = str(options.dataset.resolve().parents[1]) if options.dataset else "data"
    print(f"{os.cpu_count()} processors, for which {os.getloadavg()[0]:.0f} programs wait\n")
    with JupyterServer() as server, ChromiumServer() as chromium, sync_playwright() as playwright:
        browser = playwright.chromium.connect(chromium.address)
        with Lab(server, browser, "benchmark.ipynb", START.format(data=data), **WINDOW) as lab:
            lab.page.set_default_timeout(LONG)
            lab.command("application:toggle-left-area")
            lab.run()
            if options.dataset:
                overview(lab, server, chromium, options.dataset.name, options.picture)
            else:
                explore(lab, server, chromium, options.rounds)
        browser.close()


if __name__ == "__main__":
    main()
