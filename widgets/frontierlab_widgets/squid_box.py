"""The stored Squid logs: hit ratios of the chosen ones, and deleting them."""

from __future__ import annotations

from html import escape
from typing import Any

from frontierlab.errors import InvalidRequestError
from frontierlab.plots.drawing import Drawing
from frontierlab.rawlogs import squid
from frontierlab.util.cancelling import cancellable
from frontierlab_widgets import elements
from frontierlab_widgets.bokeh_figures import BokehFigures
from frontierlab_widgets.formatting import moment, notes, number
from frontierlab_widgets.panel import PANEL_LOCK, row
from frontierlab_widgets.table import Table, TableColumn
from frontierlab_widgets.work import Work

__all__ = ["SquidBox"]

_COLUMNS = (
    TableColumn("name", "Name"),
    TableColumn("rows", "Answers", "to requests for Frontier", number, number=True),
    TableColumn("squids", "Squids", "whose logs these are", number, number=True),
    TableColumn("since", "First", "UTC", moment),
    TableColumn("until", "Last", "UTC", moment),
    TableColumn("created", "Read", "UTC", moment),
)
_BIN = 300  # seconds
_BINS = 1_000  # at most; longer logs have wider bins


class SquidBox(elements.VBox):
    """A table of the Squid logs of the data folder, and the hit ratios of the chosen ones.

    It is hidden while there are none.

    Parameters
    ----------
    panel
        The panel that it is in, which does its work.

    Attributes
    ----------
    table : Table
        The Squid logs; ``selected`` is the name of the chosen ones.
    figures : BokehFigures
        Their hit ratios.
    """

    def __init__(self, panel: Any) -> None:
        self._panel = panel
        self._doomed = ""
        self.table = Table(_COLUMNS, "name", "There are no Squid logs yet.", label="Squid logs")
        self.figures = BokehFigures()
        self._problem, self._question = elements.HTML(), elements.HTML()
        show = elements.Button(
            description="Hit ratios", tooltip="What the Squids did with requests, over time and where"
        )
        delete = elements.Button(
            description="Delete these", button_style="danger", tooltip="Remove the chosen Squid logs"
        )
        yes, no = (
            elements.Button(description="Delete them", button_style="danger"),
            elements.Button(description="Keep them"),
        )
        self._really = row(self._question, yes, no)
        elements.show(self._really, False)
        for button, action in ((show, self.show), (delete, self._ask)):
            panel.click(button, action, always=False, when=lambda: bool(self.table.selected))
        panel.click(yes, self._delete, always=False)
        panel.click(no, self._keep)
        self.table.observe(lambda _: self._chosen(), "selected")
        panel.on(self.refresh, "settings")
        panel.observe(lambda _: panel.guarded(self._darken), "dark")
        self._drawn: dict[str, Drawing] = {}
        super().__init__(
            [
                elements.HTML("<h4>Squid logs</h4>"),
                self.table,
                self._problem,
                row(show, delete),
                self._really,
                self.figures,
            ]
        )
        with panel.shown_errors():
            self.refresh()

    def refresh(self, chosen: str = "") -> None:
        """List the Squid logs again, and choose those of this name."""
        settings = self._panel.settings
        if settings is None:
            return
        listed = squid.list_squid_logs(settings)
        with PANEL_LOCK:
            self.table.show(listed, lambda record: "bad" if record["problem"] else "")
            self._problem.value = notes(filter(None, listed["problem"]))
            elements.show(self, len(listed))
            if chosen:
                self.table.selected = chosen

    def show(self) -> None:
        """Ask for the hit ratios of the chosen Squid logs off the main thread, and draw them."""
        name, settings = self._name(), self._panel.require_settings()

        def run(work: Work) -> dict[str, Drawing]:
            running = cancellable()
            work.when_stopped(running.cancel)
            logs = squid.open_squid_logs(name, settings)
            ends = logs.manifest.since or 0, logs.manifest.until or 0
            width = max(_BIN, -(-(ends[1] - ends[0]) // 1_000 // _BINS // _BIN) * _BIN)
            with running:
                frames = {
                    "hit_ratio_over_time": squid.hit_ratio_over_time(logs, bin_seconds=width),
                    "hit_ratio_per_squid": squid.hit_ratio_per_squid(logs),
                    "hit_ratio_per_folder": squid.hit_ratio_per_folder(logs, top=10),
                }
            return {name: getattr(squid.plots, name).drawing(frame) for name, frame in frames.items()}

        def then(drawn: dict[str, Drawing]) -> None:
            self._drawn = drawn
            self.figures.draw(drawn, dark=self._panel.dark, prepare=lambda _: None)
            self._panel.message = f"Hit ratios of the Squid logs {name}."

        self._panel.begin(run, then, at_rest=self.figures.refresh, stage="asking the Squid logs")

    def _name(self) -> str:
        if not self.table.selected:
            raise InvalidRequestError("Choose Squid logs in the table first.")
        return str(self.table.selected)

    def _chosen(self) -> None:
        self._keep()
        self._drawn = {}
        self.figures.hide()  # they are of others
        self._panel.allow()

    def _ask(self) -> None:
        self._doomed = self._name()
        self._question.value = f"Delete the Squid logs {escape(self._doomed)} for good?"
        elements.show(self._really, True)

    def _keep(self) -> None:
        self._doomed = ""
        elements.show(self._really, False)

    def _delete(self) -> None:
        name, settings = self._doomed, self._panel.require_settings()
        self._keep()

        def then(_: None) -> None:
            self.refresh()
            self._panel.message = f"The Squid logs {name} are deleted."

        self._panel.begin(lambda _: squid.delete_squid_logs(name, settings), then, stage="deleting")

    def _darken(self) -> None:
        if self._drawn:
            self.figures.draw(self._drawn, dark=self._panel.dark, prepare=lambda _: None)
            self.figures.refresh()
