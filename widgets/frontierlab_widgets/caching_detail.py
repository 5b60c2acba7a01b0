"""The chosen folder of the caching panel: why it wastes the cache, who asked, and what would help."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Any

from ipywidgets import Widget

import frontierlab as fl
from frontierlab_widgets import elements
from frontierlab_widgets.bokeh_figures import BokehFigures
from frontierlab_widgets.caching_work import TASKS, WHAT_IF
from frontierlab_widgets.formatting import capital, cure_box, notes, paragraph
from frontierlab_widgets.panel import row
from frontierlab_widgets.table import Table

__all__ = ["NOT_EXPLAINED", "FolderDetail"]

NOT_EXPLAINED = "Choose a row of the table: why it wastes the cache, who asked and what would help is shown here."
"""What stands there before a folder is chosen."""


class FolderDetail(elements.VBox):
    """Cause and advice of a folder, its tasks, its queries against its IOVs, and coarser grids.

    Parameters
    ----------
    choose
        Called with the id of the chosen task, as text; empty if none is chosen.
    *actions
        Buttons below the advice.

    Attributes
    ----------
    found : dict
        What `frontierlab_widgets.caching_work.explain_folder` returned; empty before.
    """

    def __init__(self, choose: Callable[[str], object], *actions: Widget) -> None:
        self.found: dict[str, Any] = {}
        self.told, self.advice = elements.HTML(), elements.HTML()
        self.tasks = Table(TASKS, "taskid", "No task is named.", label="Tasks that asked for this folder")
        self.grids = Table(WHAT_IF, "grid", label="What would be left on coarser grids")
        self.why, self.help = BokehFigures(), BokehFigures()
        self._heads = {name: elements.HTML(f"<h4>{name}</h4>") for name in ("Who asked", "Why", "What would help")}
        self._actions = row(*actions)
        self.tasks.observe(lambda change: choose(change["new"]), "selected")
        super().__init__(
            [
                *(self.told, self.advice, self._actions, self._heads["Who asked"], self.tasks),
                *(self._heads["Why"], self.why, self._heads["What would help"], self.grids, self.help),
            ],
            layout=elements.layout(flex="1 1 440px", min_width="0", max_width="100%"),
        )
        self.add_class("frontierlab-detail")
        self.forget()

    def show(self, found: dict[str, Any], cause: str, whole: str = "", *, dark: bool) -> None:
        """Show an explanation.

        Parameters
        ----------
        found
            What `frontierlab_widgets.caching_work.explain_folder` returned.
        cause
            The cause that the figures of the folder give.
        whole
            A sentence on the figures of the whole dataset.
        dark
            Whether the page's theme is dark.
        """
        self.found = found
        why, what = found["why"], found["what"]
        problem = [found["problem"]] if found["problem"] else []
        head = f"<h4>{escape(str(why.folder))}</h4>"
        attrs = {} if what is None else what.attrs
        self.told.value = f"{head}<p>{escape(capital(cause))}</p>{cure_box(attrs.get('cure', ''))}"
        reasons = [why.summary, attrs.get("reasons", ""), whole]
        self.advice.value = "".join(map(paragraph, reasons)) + notes([*problem, *why.notes])
        self.tasks.selected = ""
        self.tasks.show(found["tasks"])
        if what is not None:
            self.grids.show(what)
        self._reveal(True, what is not None)
        self.draw(dark=dark)

    def forget(self, told: str = NOT_EXPLAINED) -> None:
        """Clear it, because another folder is chosen or the figures have changed."""
        self.found = {}
        self.tasks.selected = ""
        self.told.value, self.advice.value = f"<p>{escape(told)}</p>", ""
        self._reveal(False, False)

    def draw(self, *, dark: bool) -> None:
        """Draw the figures."""
        if self.found:
            self.why.show([fl.caching.explain_figure(self.found["why"], words="")], dark=dark)
            if self.found["what"] is not None:
                self.help.show([fl.caching.what_if_figure(self.found["what"], words="")], dark=dark)

    def _reveal(self, explained: bool, tried: bool) -> None:
        of_why = (self._actions, self._heads["Who asked"], self.tasks, self._heads["Why"], self.why)
        for parts, shown in ((of_why, explained), ((self._heads["What would help"], self.grids, self.help), tried)):
            for part in parts:
                elements.show(part, shown)
