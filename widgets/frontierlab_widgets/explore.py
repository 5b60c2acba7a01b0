"""A dataset, looked at: what is asked of which folder, when, how long, by whom."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ipywidgets as widgets
import pandas as pd
import traitlets
from bokeh.events import SelectionGeometry
from bokeh.models import BoxSelectTool

import frontierlab as fl
from frontierlab import filters, plots
from frontierlab.errors import InvalidRequestError
from frontierlab.times import from_milliseconds
from frontierlab_widgets.asking import ALL, COMPARE, OTHER, TABS, ask, comparison, keywords_of, other_logs, title_of
from frontierlab_widgets.code import Code
from frontierlab_widgets.figures import Figures, load_bokeh
from frontierlab_widgets.panel import Panel, row
from frontierlab_widgets.picking import Picker
from frontierlab_widgets.transfer import Download
from frontierlab_widgets.words import error_box, notes
from frontierlab_widgets.work import Work

__all__ = ["ExplorePanel"]

_PAST = 50


class ExplorePanel(Panel):
    """All plots of a dataset, of whatever part of it is picked.

    Parameters
    ----------
    settings
        By default ``Settings()``.

    Attributes
    ----------
    dataset : str
        Name of the dataset; empty for none.
    selection : Selection
        Which of its queries.
    tab : str
        Which plots: one of the chapters of a report, or all.
    compare : str
        What they are compared with: empty for nothing, ``previous``, ``-7d`` or another window as filters take it,
        or ``dataset:`` and the name of another dataset.
    plot : str
        The plot whose numbers, SQL and code are at hand.
    frames : dict
        What the filters returned, by the name of the plot.
    """

    title = "Explore"

    dataset = traitlets.Unicode().tag(kept=True)
    selection = traitlets.Instance(fl.Selection, ()).tag(kept=True)
    tab = traitlets.Enum([*TABS], next(iter(TABS))).tag(kept=True)
    compare = traitlets.Unicode().tag(kept=True)
    plot = traitlets.Enum([*TABS[ALL]], TABS[ALL][0]).tag(kept=True)
    frames = traitlets.Dict()

    def build(self) -> list[widgets.Widget]:
        """Make the pickers, the tabs with the figures, and what can be done with a plot."""
        self._past: list[fl.Selection] = []
        self._going_back = False
        self._drawn = ""
        self._datasets = widgets.Dropdown(description="dataset", options=[("choose …", "")], style=_STYLE)
        self._against = widgets.Dropdown(description="compare with", style=_STYLE)
        self._picker = Picker(self)
        self._undo = widgets.Button(description="Undo", tooltip="Take the last choice back")
        whole = widgets.Button(description="Everything", tooltip="Take all choices back")
        draw = widgets.Button(description="Draw anew", tooltip="Ask the dataset again")
        self._figures = Figures()
        self._notes = widgets.HTML()
        self._tabs = widgets.Tab([widgets.VBox() for _ in TABS], titles=tuple(TABS))
        self.choose("dataset", self._datasets)
        self.choose("compare", self._against)
        self.click(self._undo, self.undo)
        self.click(whole, lambda: setattr(self, "selection", fl.Selection()))
        self.click(draw, self.draw)
        self._show_choices()
        self.bind("tab", self._tabs_value())
        self.observe(self._remember, "selection")
        self.on(self._show_choices, "settings", "compare")
        self.on(self._another, "dataset")
        self.on(self.draw, "selection", "tab", "compare")
        self.on(self._show_figures, "dark")
        self._undo.disabled = True
        return [
            row(self._datasets, self._against, self._undo, whole, draw),
            self._picker,
            *self._build_plot(),
            self.foot,
            self._notes,
            self._tabs,
        ]

    def _build_plot(self) -> list[widgets.Widget]:
        choice = widgets.Dropdown(
            description="plot", options=[(title_of(name), name) for name in TABS[ALL]], style=_STYLE
        )
        buttons = {name: widgets.Button(description=name, tooltip=tip) for name, tip in _TIPS.items()}
        self._download = Download()
        self._code = Code()
        self._below = widgets.VBox()
        self.bind("plot", choice)
        self.click(buttons["CSV"], lambda: self.export("csv"))
        self.click(buttons["Parquet"], lambda: self.export("parquet"))
        self.click(buttons["HTML report"], self.report, always=False)
        self.click(buttons["Numbers"], self.show_numbers)
        self.click(buttons["SQL"], lambda: self._show_code(self.sql()))
        self.click(buttons["Code"], lambda: self._show_code(self.code()))
        return [row(choice, *buttons.values()), self._below, self._download]

    def _tabs_value(self) -> widgets.Widget:
        """Return something whose value is the title of the tab that is open."""
        value = widgets.Text(self.tab)
        names = [*TABS]
        self._tabs.observe(lambda change: setattr(value, "value", names[change["new"] or 0]), "selected_index")
        value.observe(lambda change: setattr(self._tabs, "selected_index", names.index(change["new"])), "value")
        return value

    # what is picked

    def refresh(self) -> None:
        """See which datasets there are now."""
        self._show_choices()

    def undo(self) -> None:
        """Take the last change of the selection back."""
        if self._past:
            self._going_back = True
            try:
                self.selection = self._past.pop()
            finally:
                self._going_back = False
            self._undo.disabled = not self._past

    def brush(self, start: float, stop: float) -> None:
        """Take a range of time as the window: milliseconds from the epoch, UTC, as a figure gives them."""
        first, last = sorted((start, stop))
        window = int(first), max(int(first) + 1, -int(-last // 1))
        self.selection = self.selection.but(
            **dict(zip(("since", "until"), map(from_milliseconds, window), strict=True))
        )

    def _remember(self, change: Any) -> None:
        if not self._going_back:
            self._past = [*self._past[-_PAST:], change["old"]]
        self._undo.disabled = not self._past

    def _show_choices(self) -> None:
        """Offer the datasets there are, to look at and to compare with."""
        names = [] if self.settings is None else fl.datasets.list_datasets(self.settings)["name"].tolist()
        self.offer(self._datasets, [("choose …", ""), *((name, name) for name in names)], self.dataset)
        others = {f"dataset {name}": f"{OTHER}{name}" for name in names if name != self.dataset}
        self.offer(self._against, [*{**COMPARE, **others}.items()], self.compare)

    def _another(self) -> None:
        self._show_choices()
        self._picker.forget()
        self.frames, self._drawn = {}, ""
        self.draw()

    def restore(self, state: Mapping[str, Any] | str) -> None:
        """Show what a state says."""
        super().restore(state)
        self._past = []
        self._undo.disabled = True

    # what is drawn

    def draw(self) -> None:
        """Ask the questions of the open tab, off the main thread, and draw the answers."""
        if not self.dataset:
            return
        asked = functools.partial(
            ask, self.dataset, self.settings, self.selection, self.compare, TABS[self.tab], self._picker.contents
        )
        self.begin(asked, self._asked, stage="opening the dataset", replaceable=True)

    def _asked(self, answer: Mapping[str, Any]) -> None:
        self._picker.offer(answer["contents"])
        self._notes.value = notes(answer["notes"]) + "".join(map(error_box, answer["errors"]))
        self.frames = {**answer["frames"]}
        self._drawn = self.tab
        if self.plot not in self.frames and self.frames:
            self.plot = next(iter(self.frames))
        self._show_figures()

    def _show_figures(self) -> None:
        if not self._drawn:
            return
        figures = plots.link([getattr(plots, name)(frame) for name, frame in self.frames.items()])
        for figure in figures:
            brush = figure.select_one(BoxSelectTool)
            if brush is not None:  # over time
                figure.toolbar.active_drag = brush
                figure.on_event(SelectionGeometry, self._brushed)
        self._figures.show(figures, dark=self.dark)
        boxes = dict(zip(TABS, self._tabs.children, strict=True))
        for title, box in boxes.items():
            box.children = [self._figures] if title == self._drawn else []

    def _brushed(self, event: Any) -> None:
        if event.final and event.geometry.get("type") == "rect":
            self.guarded(lambda: self.brush(event.geometry["x0"], event.geometry["x1"]))

    # what is taken away

    def sql(self) -> str:
        """Return the SQL of the chosen plot, with the values of its parameters."""
        return str(
            getattr(filters, self.plot).sql(self.selection, **keywords_of(self.plot, self.frames.get(self.plot)))
        )

    def code(self) -> str:
        """Return the calls that ask for the chosen plot and draw it."""
        keywords = keywords_of(self.plot, self.frames.get(self.plot)).items()
        more = comparison(self.compare) + "".join(f", {name}={value!r}" for name, value in keywords)
        lines = [
            f'logs = fl.open_logs("{self.dataset}", settings=settings)',
            f"selection = fl.{self.selection!r}",
            f"frame = fl.filters.{self.plot}(logs, selection{more})",
            f"fl.plots.{self.plot}(frame)",
        ]
        return "\n".join(lines)

    def export(self, kind: str) -> None:
        """Give the numbers of the chosen plot to the reader's machine: ``csv`` or ``parquet``."""
        frame = self._frame()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"{self.dataset}-{self.plot}.{kind}"
            frame.to_csv(path, index=False) if kind == "csv" else frame.to_parquet(path)
            self._download.give(path, path.name)
        self.message = f"{path.name}, {len(frame):,} rows, was given to the browser."

    def report(self) -> None:
        """Write a report of all plots, off the main thread, and give it to the reader's machine."""
        if not self.dataset:
            raise InvalidRequestError("Choose a dataset first.")
        dataset, selection, settings = self.dataset, self.selection, self.settings
        compare = other_logs(self.compare, settings)

        def write(work: Work) -> None:
            running = fl.spark.cancellable()
            work.when_stopped(running.cancel)
            with running, tempfile.TemporaryDirectory() as folder:
                path = fl.report(
                    dataset,
                    selection,
                    path=Path(folder) / f"{dataset}.html",
                    compare=compare,
                    settings=settings,
                    progress=work.report,
                )
                self._download.give(path, path.name)

        self.begin(write, lambda _: setattr(self, "message", f"{dataset}.html was given to the browser."))

    def show_numbers(self) -> None:
        """Show the numbers of the chosen plot below it."""
        frame = self._frame()
        text = frame.head(_SHOWN).to_html(index=False, border=0, na_rep="")
        more = (
            f"<p>The first {_SHOWN} of {len(frame):,} rows; CSV and Parquet have all.</p>"
            if len(frame) > _SHOWN
            else ""
        )
        self._below.children = [widgets.HTML(f'<div style="overflow-x: auto">{text}</div>{more}')]

    def _frame(self) -> pd.DataFrame:
        if self.plot not in self.frames:
            raise InvalidRequestError(f"{title_of(self.plot)} is not drawn: open the tab that has it.")
        return self.frames[self.plot]

    def _show_code(self, text: str) -> None:
        self._code.code = text
        self._below.children = [self._code]

    def _repr_mimebundle_(self, **keywords: Any) -> Any:
        load_bokeh()
        return super()._repr_mimebundle_(**keywords)


_STYLE = {"description_width": "initial"}
_SHOWN = 200
_TIPS = {
    "Numbers": "Show the numbers of the chosen plot",
    "SQL": "Show the Spark SQL of the chosen plot",
    "Code": "Show the calls that draw the chosen plot",
    "CSV": "The numbers of the chosen plot, as a file",
    "Parquet": "The numbers of the chosen plot, as a file that keeps their types",
    "HTML report": "All plots of this selection on one page that needs no network",
}
