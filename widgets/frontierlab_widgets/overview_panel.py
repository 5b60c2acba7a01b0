"""The first tab: what a dataset holds, when something went wrong, which folders waste most, and what changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from html import escape
from typing import Any

import traitlets
from ipywidgets import Layout, Widget

from frontierlab import Selection
from frontierlab.caching.ranking import lost
from frontierlab.diagnosis.figures import queries_figure
from frontierlab.errors import InvalidRequestError
from frontierlab_widgets import elements
from frontierlab_widgets.bokeh_figures import BokehFigures
from frontierlab_widgets.caching_work import KEYS
from frontierlab_widgets.chosen_datasets import Source, code_of, incomplete, incomplete_names
from frontierlab_widgets.code_box import Expression, call
from frontierlab_widgets.figures_panel import FiguresPanel
from frontierlab_widgets.formatting import error_box, sentence, warning_box
from frontierlab_widgets.kept_results import KeptResults
from frontierlab_widgets.origin import Origin
from frontierlab_widgets.overview_words import HEADS, changes_told, folder_told, incident_told, incidents_counted
from frontierlab_widgets.overview_work import STEPS, WORST, Step, look_over, origin_of, tiles, waiting
from frontierlab_widgets.panel import Phase

__all__ = ["OverviewPanel"]


_KEPT: KeptResults[dict[str, Step]] = KeptResults(8)
_RESUME = "Resume goes on with the extraction where it stopped, in Data."
_STOPPED = "Stopped before this was looked for. Another choice, or this tab when it is opened again, looks anew."
_CARDS = {
    "sample": ("Try it on the sample", "A day of queries that comes with frontierlab. No server is needed."),
    "extract": ("Extract from Elasticsearch", "Choose a period, look at it first, then store it as a dataset."),
    "open": (
        "Open a file",
        "An export, a Parquet file, or raw logs of servlets or Squids, here or on the server.",
    ),
}


class OverviewPanel(FiguresPanel):
    """Tiles, the incidents of `frontierlab.diagnose`, the worst folders with advice, and what changed.

    Parameters
    ----------
    settings
        By default ``Settings()``.

    Attributes
    ----------
    dataset, selection
        See `FiguresPanel`.
    compare : str
        What the queries are compared with; see `ExplorePanel`.
    shown : bool
        Whether its tab is open: what is not seen is not asked.
    found : dict
        The `Step` of each step that is done, by its name.
    """

    title = "Overview"

    compare = traitlets.Unicode().tag(saved=True)
    shown = traitlets.Bool(True)
    found = traitlets.Dict()

    def build(self) -> list[Widget]:
        """Build the cards, and the parts that the steps fill."""
        self._leads: dict[str, Callable[..., object]] = {}
        self._cards = elements.HBox([*map(self._card, _CARDS)], layout=_wrapping())
        self._tiles, self._lacks, self._changed = elements.HTML(), elements.HBox(), elements.HTML()
        self._worst_folders: list[list[str]] = []
        self._worst = elements.VBox(layout=elements.layout(grid_gap="8px"))
        self._timeline, self._incidents = BokehFigures(), elements.VBox()
        self._heads = heads = {name: elements.HTML() for name in HEADS}
        columns = elements.HBox(
            [
                _column("3 1 480px", heads["incidents"], self._timeline, self._incidents),
                _column("2 1 340px", heads["folders"], self._worst, heads["changes"], self._changed),
            ],
            layout=_wrapping(),
        )
        self._all = elements.VBox([self._lacks, self._tiles, columns])
        about = self.watch_origin([self._all], "compare")
        self.on(self._follow, "dataset", "selection", "compare", "settings", "shown", "invalid")
        self.on(self._darken, "dark")
        self.on(self._show_heads, "phase")
        self._show_all()
        return [self._cards, self.foot, about, self._all]

    def lead(self, **actions: Callable[..., object]) -> None:
        """Say what the buttons do: ``sample``, ``extract``, ``open``, ``folder``, ``incident`` and ``resume``."""
        self._leads.update(actions)

    def chosen_origin(self, dataset: Source) -> Origin:
        """Return the origin of results of the current choice."""
        return origin_of(dataset, self.selection, self.settings, self.compare)

    def how_to_refresh(self) -> str:
        """Say how to get results of the current choice; they are being worked out."""
        return "Those are being worked out."

    def about_figures(self) -> str:
        """Return nothing: the header says what the results are of."""
        return ""

    def refresh(self) -> None:
        """Look again whether the dataset has changed."""
        self.check_origin()
        self._follow()

    def code(self) -> str:
        """Return the calls that give what the tab shows."""
        lines, source = code_of(self.dataset)
        settings, selection = Expression("settings"), Expression("selection")
        return "\n".join(
            [
                *lines,
                f"selection = fl.{self.selection!r}",
                call("logs = fl.open_logs", source, settings=settings),
                call("fl.filters.cost_per_schema", Expression("logs"), selection),
                call("diagnosis = fl.diagnose", Expression("logs"), selection=selection, settings=settings),
                "diagnosis.incidents, diagnosis.figure()",
                call("folders = fl.caching.efficiency", source, settings, selection=selection),
                "worst = folders.iloc[0][['db', 'schema', 'nodefullpath', 'tagname']].to_dict()".replace("'", '"'),
                call("fl.caching.what_if", source, settings, Expression("**worst"), selection=selection),
            ]
        )

    def look(self) -> None:
        """Look at the current choice, off the main thread.

        Raises
        ------
        InvalidRequestError
            No dataset is chosen, or a field is not valid.
        """
        self.require_valid()
        if not self.dataset:
            raise InvalidRequestError("Choose a dataset first.")
        asked = partial(look_over, self.dataset, self.require_settings(), self.selection, self.compare)
        self.found = {}
        self._show_all()
        self.begin(asked, self._looked, each=self._take, stage="opening the dataset", replaceable=True)

    def _follow(self) -> None:
        """Show what is known of the current choice, or look at it if the tab is open."""
        elements.show(self._cards, not self.dataset)
        elements.show(self._all, self.dataset)
        if not self.dataset or self.settings is None or self.invalid:
            return
        chosen = self.chosen_dataset()
        self._show_lacks(chosen)
        wanted = self.chosen_origin(chosen)
        if (known := _KEPT.get(wanted)) is not None:
            if self.origin != wanted or len(self.found) < len(STEPS):
                self._stop_looking()
                self.found, self.origin = known, wanted
                self._show_all()
                self._hand_on(known["folders"])
        elif self.shown and not self._is_looking_at(wanted):
            self._looking_at = wanted
            self.look()

    _looking_at: Origin | None = None

    def _is_looking_at(self, wanted: Origin) -> bool:
        return self._going_on() is not None and self._looking_at == wanted

    def _stop_looking(self) -> None:
        going = self._going_on()
        if going is not None and going.replaceable:
            self.stop()

    def _take(self, step: Step) -> None:
        self.found = {**self.found, step.name: step}
        self.origin = step.origin
        self._show_step(step.name)
        self.check_origin()
        self._hand_on(step)

    def _hand_on(self, step: Step) -> None:
        if step.name == "folders" and step.error is None and "figures" in self._leads:
            self._leads["figures"](step.result)

    def _looked(self, origin: Origin) -> None:
        if all(step.error is None for step in self.found.values()):
            _KEPT.keep(origin, dict(self.found))

    def _show_lacks(self, chosen: Source) -> None:
        """Say that datasets are incomplete, before any number is shown, with a button that goes on with each."""
        parts: list[Widget] = []
        for name in incomplete_names(chosen):
            button = elements.Button(description="Resume", tooltip=f"Go on with the extraction of {name}", icon="play")
            self.click(button, partial(self._leads_to, "resume", name))
            parts.append(button)
        if parts:
            told = elements.HTML(warning_box([*incomplete(chosen), _RESUME]), layout=elements.layout(flex="1 1 300px"))
            parts = [told, *parts]
        former, self._lacks.children = self._lacks.children, parts
        for part in former:
            part.close()

    # the parts

    def _result(self, name: str) -> Any:
        return self.found[name].result if name in self.found else None

    def _failure(self, name: str) -> str:
        failed = self.found[name].error if name in self.found else None
        return "" if failed is None else error_box(sentence(failed))

    def _show_all(self) -> None:
        for name in STEPS:
            self._show_step(name)

    def _show_step(self, name: str) -> None:
        if name == "numbers" or name == "folders":
            numbers, failed = self._result("numbers"), bool(self._failure("folders"))
            made = "" if numbers is None else tiles(numbers, self._result("folders"), failed=failed)
            self._tiles.value = made or self._failure("numbers")
        if name in ("folders", "advice"):
            self._show_worst()
        if name == "timeline" and "incidents" not in self.found:
            self._draw_timeline()
        if name == "incidents":
            self._show_incidents()
        if name == "changes":
            self._show_changes()

    def _show_heads(self) -> None:
        """Show what is waited for at the place where it will be; a stopped look says so."""
        for name in HEADS:
            if name not in self.found:
                self._head(name)

    def _head(self, name: str, told: str = "") -> None:
        """Show a heading with what is below it: what was found, what failed, or what is waited for."""
        if name not in self.found and self.dataset:
            counted = self._result("numbers")
            ended = self.phase in (Phase.STOPPED, Phase.FAILED)
            words = _STOPPED if ended else waiting(name, None if counted is None else counted["queries"])
            told = f'<p class="frontierlab-quiet" role="status">{escape(words)}</p>'
        self._heads[name].value = f"<h4>{HEADS[name]}</h4>{self._failure(name)}{told}"

    def _replace(self, box: Widget, parts: list[Widget]) -> None:
        """Show other parts in a box, and close the former ones."""
        former, box.children = box.children, parts
        for part in former:
            for widget in part.children:
                widget.close()
            part.close()

    def _show_worst(self) -> None:
        figures, advice = self._result("folders"), self._result("advice") or []
        records = [] if figures is None else _losing(figures)
        none = "<p>No folder wastes database time: none was asked different queries for the same answers, or the same "
        none += "again.</p>"
        self._head("folders", none if figures is not None and not records else "")
        folders = [[str(record[key]) for key in KEYS] for record in records]
        if folders != self._worst_folders:
            self._replace(self._worst, [self._folder(folder) for folder in folders])
            self._worst_folders = folders
        told, whole = [*advice, *[None] * WORST], self._whole_figures()
        for card, record, one in zip(self._worst.children, records, told, strict=False):
            card.children[0].value = folder_told(record, one, self.selection, whole)

    def _whole_figures(self) -> Any:
        """Return the figures of all queries of the dataset, if they were looked at; else None."""
        if not isinstance(self.origin, Origin):
            return None
        for compared in dict.fromkeys((self.origin.compared, ())):
            known = _KEPT.get(replace(self.origin, selection=Selection(), compared=compared))
            if known is not None:
                return known["folders"].result
        return None

    def _folder(self, folder: list[str]) -> Widget:
        """Return the card of a folder. It stays when its advice comes: a click on a closed button is lost."""
        name = folder[KEYS.index("nodefullpath")]
        button = elements.Button(description="Why, who, and what helps", tooltip=f"Explain {name}", icon="search")
        self.click(button, partial(self._leads_to, "folder", folder))
        return _card_of([elements.HTML(), button], "0 0 auto")

    def _show_incidents(self) -> None:
        """Show the incidents, and draw them over time."""
        found = self._result("incidents")
        self._head("incidents", "" if found is None else f"<p>{escape(incidents_counted(found))}</p>")
        self._draw_timeline()
        incidents = [] if found is None else [self._incident(place, one) for place, one in enumerate(found, 1)]
        self._replace(self._incidents, incidents)

    def _incident(self, place: int, incident: Any) -> Widget:
        text = elements.HTML(incident_told(place, incident), layout=elements.layout(flex="1 1 300px"))
        button = elements.Button(description="Show", tooltip=f"Choose the queries of incident {place}")
        self.click(button, partial(self._leads_to, "incident", incident.selection))
        return elements.HBox([button, text], layout=elements.layout(align_items="flex-start", width="100%"))

    def _draw_timeline(self) -> None:
        """Draw the queries over time, with the incidents as soon as they are known."""
        found, counted = self._result("incidents"), self._result("timeline")
        if found is not None:
            self._timeline.show([found.timeline()], dark=self.dark)
        elif counted is not None and len(counted):
            words = self.selection.in_words()
            self._timeline.show([queries_figure(counted, "Queries over time", words)], dark=self.dark)
        else:
            self._timeline.hide()

    def _show_changes(self) -> None:
        found = self._result("changes")
        self._head("changes")
        self._changed.value = "" if found is None else changes_told(found)

    def _darken(self) -> None:
        self._draw_timeline()

    def _leads_to(self, name: str, *what: Any) -> None:
        if name not in self._leads:
            raise InvalidRequestError("This leads to another tab: open a Dashboard.")
        self._leads[name](*what)

    def _card(self, name: str) -> Widget:
        title, text = _CARDS[name]
        button = elements.Button(description=title, button_style="primary" if name == "sample" else "")
        self.click(button, partial(self._leads_to, name))
        return _card_of([button, elements.HTML(f"<p>{escape(text)}</p>")])


def _losing(figures: Any) -> list[dict[Any, Any]]:
    """Return the worst folders; one that is known to lose nothing is none of them."""
    worst = figures.head(WORST)
    found: list[dict[Any, Any]] = worst[(lost(worst) > 0).fillna(True)].to_dict("records")
    return found


def _column(flex: str, *parts: Widget) -> elements.VBox:
    return elements.VBox([*parts], layout=elements.layout(flex=flex, min_width="0", max_width="100%"))


def _wrapping() -> Layout:
    return elements.layout(flex_flow="row wrap", grid_gap="8px", align_items="stretch")


def _card_of(parts: list[Widget], flex: str = "1 1 280px") -> elements.VBox:
    made = elements.VBox(parts, layout=elements.layout(flex=flex, min_width="0", max_width="100%"))
    made.add_class("frontierlab-card")
    return made
