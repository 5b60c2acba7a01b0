"""What can be taken out of the Explore panel: numbers, SQL and code of a plot, files, and a report of all plots."""

from __future__ import annotations

import inspect
import tempfile
from functools import partial
from html import escape
from pathlib import Path

import pandas as pd
import traitlets
from ipywidgets import Widget

from frontierlab import filters, plots
from frontierlab.errors import InvalidRequestError
from frontierlab.selection import WORDS
from frontierlab_widgets import elements
from frontierlab_widgets.browser_files import Download
from frontierlab_widgets.chosen_datasets import code_of, file_stem
from frontierlab_widgets.closable_box import ClosableBox
from frontierlab_widgets.code_box import CodeBox, Expression, call
from frontierlab_widgets.dataset_fields import CHOICES
from frontierlab_widgets.explore_work import (
    ALL,
    TABS,
    compared,
    keywords_of,
    lacks_window,
    notes_of,
    title_of,
    write_report,
)
from frontierlab_widgets.figures_panel import FiguresPanel
from frontierlab_widgets.formatting import notes
from frontierlab_widgets.panel import row

__all__ = ["FORMS", "ExploreExports"]

FORMS = {"automatic": "auto", "lines": "lines", "a heat map": "heatmap"}
"""How plots draw a series a group over time, by label; see `frontierlab.plots`."""

_FORMED = frozenset(name for name in TABS[ALL] if "form" in inspect.signature(getattr(plots, name)).parameters)


class ExploreExports(FiguresPanel):
    """A panel of plots, one of which is chosen: its numbers, SQL and code are shown, and it is given as a file.

    Attributes
    ----------
    compare : str
        What the plots are compared with; see `ExplorePanel`.
    plot : str
        The plot whose numbers, SQL and code can be shown.
    form : str
        How plots draw a series a group over time: ``lines``, ``heatmap``, or ``auto`` (a heat map if there are many).
    below : str
        What is shown of that plot: Numbers, SQL or Code; empty for nothing.
    frames : dict
        The results of the filters, by the name of the plot.
    not_compared : str
        Why the plots are not compared with what was chosen, a sentence; empty if they are.
    """

    compare = traitlets.Unicode().tag(saved=True)
    plot = traitlets.Enum([*TABS[ALL]], TABS[ALL][0]).tag(saved=True)
    form = traitlets.Enum([*FORMS.values()], "auto").tag(saved=True)
    below = traitlets.Enum(["", "Numbers", "SQL", "Code"], "")
    frames = traitlets.Dict()
    not_compared = traitlets.Unicode()

    def build_exports(self) -> list[Widget]:
        """Build the row of actions, and what they show."""
        choice = elements.Dropdown(
            description="plot", options=[(title_of(name), name) for name in TABS[ALL]], style=_STYLE
        )
        labels = {form: label for label, form in FORMS.items()}
        series = elements.Dropdown(
            description="series as",
            options=[*FORMS],
            tooltip="automatic: lines, or a heat map if there are more than eight",
            style=_STYLE,
            layout=elements.layout(width="190px"),
        )
        forms = self.bind("form", series, read=FORMS.__getitem__, show=labels.__getitem__)
        buttons = {name: elements.Button(description=name, tooltip=tip) for name, tip in _TIPS.items()}
        self._download = Download()
        self._code = CodeBox()
        self._below = ClosableBox()
        self.click(self._below.button, lambda: setattr(self, "below", ""))
        of_figures = {name: partial(setattr, self, "below", name) for name in ("Numbers", "SQL", "Code")}
        of_figures |= {name: partial(self.export, name.lower()) for name in ("CSV", "Parquet")}
        for name, action in of_figures.items():
            self.click(buttons[name], self.fresh(action), uses=CHOICES, when=self.has_figures)
        self.click(buttons["HTML report"], self.report, always=False, uses=CHOICES)
        self.on(self._show_below, "below", "plot", "frames", "stale", "form")
        return [row(self.bind("plot", choice), forms, *buttons.values()), self._below, self._download]

    def sql(self) -> str:
        """Return the SQL of the chosen plot, with the values of its parameters."""
        return str(
            getattr(filters, self.plot).sql(self.selection, **keywords_of(self.plot, self.frames.get(self.plot)))
        )

    def code(self) -> str:
        """Return the code that makes the chosen plot."""
        keywords = {**compared(self.comparison()), **keywords_of(self.plot, self.frames.get(self.plot))}
        period, logs = code_of(self.dataset)
        lines = [
            *period,
            call("logs = fl.open_logs", logs, settings=Expression("settings")),
            f"selection = fl.{self.selection!r}",
            call(f"frame = fl.filters.{self.plot}", Expression("logs"), Expression("selection"), **keywords),
            call(f"fl.plots.{self.plot}", Expression("frame"), **self.form_of(self.plot)),
        ]
        return "\n".join(lines)

    def form_of(self, plot: str) -> dict[str, str]:
        """Return the argument of a plot that chooses between lines and a heat map; none if it has no such choice."""
        return {"form": self.form} if plot in _FORMED else {}

    def export(self, kind: str) -> None:
        """Download the numbers of the chosen plot as ``csv`` or ``parquet``."""
        frame, stem = self._frame(), file_stem(self.computed_dataset())
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"{stem}-{self.plot}.{kind}"
            frame.to_csv(path, index=False) if kind == "csv" else frame.to_parquet(path)
            self._download.give(path, path.name)
        given = f"{path.name}, {len(frame):,} rows, was given to the browser."
        self.message = " ".join([given, *notes_of([frame])])

    def comparison(self) -> str:
        """Return what the plots are compared with: `compare`, or nothing where that is impossible."""
        impossible = self.not_compared and not self.stale
        return "" if impossible or lacks_window(self.compare, self.selection) else self.compare

    def report(self) -> None:
        """Write a report of all plots off the main thread, and download it."""
        stem, settings, compare = file_stem(self.chosen_dataset()), self.require_settings(), self.comparison()
        write = partial(write_report, self.dataset, settings, self.selection, compare, self._download.give)
        without = " Nothing is compared in it." if self.compare and not compare else ""
        self.begin(write, lambda _: setattr(self, "message", f"{stem}.html was given to the browser.{without}"))

    def build_comparison(self) -> Widget:
        """Build what says that nothing is compared, and why; it is shown when that is so."""
        told = elements.HTML(layout=elements.layout(flex="1 1 400px"))
        nothing = elements.Button(description="Compare with nothing", tooltip="Take the comparison off")
        self.click(nothing, lambda: setattr(self, "compare", ""))
        box = row(told, nothing)

        def show() -> None:
            elements.show(box, self.not_compared)
            told.value = "".join(notes([f"Nothing is compared. {self.not_compared}"])) if self.not_compared else ""

        self.on(show, "not_compared")
        show()
        return box

    def _show_below(self) -> None:
        """Show the numbers, SQL or code of the chosen plot; while the plots are stale, those of the drawn plots."""
        if not self.below:
            self._below.shut()
        elif not self.stale:
            if self.below == "Numbers":
                shown: Widget = self._numbers()
            else:
                shown, self._code.code = self._code, self.sql() if self.below == "SQL" else self.code()
            self._below.show(f"{self.below}: {title_of(self.plot)}", shown)

    def _numbers(self) -> elements.HTML:
        if self.plot not in self.frames:
            return elements.HTML(f"<p>{escape(title_of(self.plot))} is not drawn: open the tab that has it.</p>")
        frame = self.frames[self.plot]
        text = frame.head(_SHOWN).rename(columns=WORDS).to_html(index=False, border=0, na_rep="")
        more = f"<p>The first {_SHOWN} of {len(frame):,} rows; CSV and Parquet have all.</p>"
        more *= len(frame) > _SHOWN
        return elements.HTML(f'{notes(notes_of([frame]))}<div class="frontierlab-numbers">{text}</div>{more}')

    def _frame(self) -> pd.DataFrame:
        if self.plot not in self.frames:
            raise InvalidRequestError(f"{title_of(self.plot)} is not drawn: open the tab that has it.")
        frame: pd.DataFrame = self.frames[self.plot]
        return frame


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
