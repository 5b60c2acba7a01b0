"""A choice in the Explore panel, from the change of its trait to the updated figures, in the kernel.

``python -m benchmarks.explore`` makes a dataset of the embedded sample and one with five million queries. It opens each
in an Explore panel without a page, makes choices one after the other, and prints a table of milliseconds, each the
median of the choices of several rounds.

- first figure: until the message with the first figure of the tab is sent; the others are grey until theirs is
- all figures: until the message with the last figure of the tab is sent
- done: until saved state and new pages have the figures too, and the panel has ended its work
- drawn anew: what drawing and sending all figures of the tab takes if each choice draws new ones
- of that, asking: the filters of the tab
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from frontierlab_widgets import ExplorePanel
from frontierlab_widgets.bokeh_figures import BokehFigures
from frontierlab_widgets.explore_work import TABS, keywords_of

import frontierlab as fl
from benchmarks.filters import make
from frontierlab import Selection, filters, plots
from frontierlab.storage.store import Dataset

LONG = 600  # seconds for a choice
CHOICES = [
    Selection(db="CONDBR2"),
    Selection(db="CONDBR2", cached=False),
    Selection(db="CONDBR2", schema="ATLAS_COOLOFL_PIXEL"),
    Selection(since="2026-10-01T06:00", until="2026-10-01T12:00"),
    Selection(),
]
ALONE = {"One plot": ("queries_over_time",)}
MEASURES = ("first figure", "all figures", "done", "asking", "drawn anew")


clock = time.perf_counter


def milliseconds(call: Any) -> float:
    """Return the duration of a call."""
    began = clock()
    call()
    return 1000 * (clock() - began)


def choose(panel: ExplorePanel, selection: Selection) -> dict[str, float]:
    """Make a choice, and return what it takes."""
    sent: list[float] = []
    usual = BokehFigures.draw

    def draw(figures: BokehFigures, *args: Any, **keywords: Any) -> None:
        usual(figures, *args, **keywords)
        sent.append(clock())

    BokehFigures.draw = draw  # type: ignore[method-assign]
    try:
        began = clock()
        panel.selection = selection
        if not panel.wait(LONG) or panel.error:
            raise SystemExit(f"The choice failed: {panel.error or 'it takes too long'}.")
        done = clock()
    finally:
        BokehFigures.draw = usual  # type: ignore[method-assign]
    figures = len(panel.frames)
    marks = {"first figure": sent[0], "all figures": sent[figures - 1], "done": done}
    return {name: 1000 * (moment - began) for name, moment in marks.items()}


def beside(panel: ExplorePanel, logs: Any, anew: BokehFigures) -> dict[str, float]:
    """Return what the filters of a choice take, and what drawing its figures anew takes."""
    names = [*panel.frames]

    def ask() -> None:
        for name in names:
            getattr(filters, name)(logs, panel.selection, **keywords_of(name, panel.frames[name]))

    def draw() -> None:
        anew.show(plots.link([getattr(plots, name)(panel.frames[name]) for name in names]), dark=False)

    return {"asking": milliseconds(ask), "drawn anew": milliseconds(draw)}


def measured(dataset: Dataset, settings: fl.Settings, tab: str, rounds: int) -> Iterator[dict[str, float]]:
    """Yield what each choice takes; the first round warms up and is not counted."""
    panel, anew = ExplorePanel(settings, dataset=dataset.name, tab=tab), BokehFigures()
    if not panel.wait(LONG) or panel.error:
        raise SystemExit(f"The first plots failed: {panel.error or 'they take too long'}.")
    logs = fl.open_logs(dataset, settings=settings)
    for number in range(-1, rounds):
        for selection in CHOICES:
            took = {**choose(panel, selection), **beside(panel, logs, anew)}
            if number >= 0:
                yield took
    panel.close()


def show(dataset: Dataset, settings: fl.Settings, tabs: list[str], rounds: int) -> None:
    """Print the rows of a dataset."""
    for tab in tabs:
        times = [*measured(dataset, settings, tab, rounds)]
        medians = [statistics.median(one[name] for one in times) for name in MEASURES]
        cells = " | ".join(f"{median:,.0f}" for median in medians)
        print(f"| {dataset.counts.kept:,} | {tab}, {len(TABS[tab])} | {cells} |", flush=True)


def main() -> None:
    """Run the command; see its ``--help``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--queries", type=int, default=5_000_000, help="queries of the large dataset; 0: the sample only"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dataset", type=Path, help="the folder of a large dataset that is there already")
    parser.add_argument("--tabs", nargs="+", default=["One plot", "Databases and schemas", "Over time"])
    parser.add_argument(
        "--processor", action="store_true", help="processor time, which other work on the machine changes less"
    )
    options = parser.parse_args()
    if options.processor:
        global clock
        clock = time.process_time
    TABS.update(ALONE)
    ExplorePanel.tab.values = [*TABS]
    print(
        f"{options.rounds} rounds of {len(CHOICES)} choices, {os.cpu_count()} processors; milliseconds"
        f"{' of processor time' * options.processor}\n"
    )
    print(f"| queries | tab, figures | {' | '.join(MEASURES)} |\n|---:|---|{'---:|' * len(MEASURES)}")
    with tempfile.TemporaryDirectory() as folder:
        settings = fl.sample.settings(data_dir=Path(folder))
        small = fl.extract(settings, source=fl.sample.path(), name="sample", progress=False)
        show(small, settings, options.tabs, options.rounds)
        if options.dataset:
            large = Dataset(options.dataset)
            settings = settings.model_copy(update={"data_dir": options.dataset.parents[1]})
            show(large, settings, options.tabs, options.rounds)
        elif options.queries:
            show(make(Path(folder), options.queries), settings, options.tabs, options.rounds)


if __name__ == "__main__":
    main()
