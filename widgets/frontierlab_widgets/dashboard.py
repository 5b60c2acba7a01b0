"""All panels, with one shared selection."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import ipywidgets as widgets
import traitlets

import frontierlab as fl
from frontierlab_widgets.caching_panel import CachingPanel
from frontierlab_widgets.chosen_datasets import read_text
from frontierlab_widgets.code_box import CodeBox
from frontierlab_widgets.connection_panel import ConnectionPanel
from frontierlab_widgets.datasets_panel import DatasetsPanel
from frontierlab_widgets.explore_panel import ExplorePanel
from frontierlab_widgets.extract_panel import ExtractPanel
from frontierlab_widgets.jobs_panel import JobsPanel
from frontierlab_widgets.panel import Panel, row
from frontierlab_widgets.tabs import Tabs

__all__ = ["Dashboard"]

_EVERY = 2.0  # seconds between two checks of the folder of datasets
_SEE = "The configuration cannot be read: see Settings."
_PANELS: dict[str, type[Panel]] = {
    "Settings": ConnectionPanel,
    "Extract": ExtractPanel,
    "Datasets": DatasetsPanel,
    "Explore": ExplorePanel,
    "Caching": CachingPanel,
    "Jobs": JobsPanel,
}


_FORMER = {"Connection": "Settings"}
"""Earlier titles of tabs, which saved views can have."""


class Dashboard(Panel):
    """All panels, with the same settings, dataset and selection.

    Parameters
    ----------
    settings
        By default ``Settings()``.

    Attributes
    ----------
    dataset : str
        Name of the dataset in all panels, or several as a period in Explore and Caching; empty for none.
    selection : Selection
        The selected queries of the dataset.
    tab : str
        The open panel.
    panels : dict
        The panels by the titles of their tabs.
    """

    title = "Frontier"
    next_step = ConnectionPanel.next_step  # its panel shows the problem

    dataset = traitlets.Unicode().tag(saved=True)
    selection = traitlets.Instance(fl.Selection, ()).tag(saved=True)
    tab = traitlets.Enum([*_PANELS], "Settings").tag(saved=True)

    def build(self) -> list[widgets.Widget]:
        """Build the panels, join them, and add the code and the state below."""
        problems = {name: self.configuration_problem if name == "Settings" else _SEE for name in _PANELS}
        self._wanted = ""  # the dataset that is shown once it is extracted
        self.panels = {name: kind(self.settings, problem=problems[name]) for name, kind in _PANELS.items()}
        self.configuration_problem = ""  # the panels say it
        self._join()
        self._tabs = Tabs(self.panels, self.title)
        traitlets.link((self, "tab"), (self._tabs.bar, "value"))
        sample = widgets.Button(
            description="Try it on the sample", tooltip="Extract the sample that comes with frontierlab, and look at it"
        )
        code = widgets.Button(description="Copy as code", tooltip="Show the calls that do what the open panel does")
        state = widgets.Button(description="Keep this view", tooltip="Show this view as JSON, to save or mail it")
        self._given = widgets.Text(placeholder="a saved view, as JSON", continuous_update=False)
        reopen = widgets.Button(description="Open a view", tooltip="Show the view that the JSON in the field describes")
        hide = widgets.Button(description="Hide", tooltip="Hide the box with code or JSON")
        self._code = CodeBox()
        self._box = widgets.HBox([self._code, hide], layout=widgets.Layout(display="none"))
        self.click(sample, self.try_sample)
        self.click(code, lambda: self._show_text(self.code()))
        self.click(state, self._keep)
        self.click(reopen, lambda: self.restore(self._given.value))
        self.click(hide, lambda: setattr(self._box.layout, "display", "none"))
        return [row(sample, code, state, self._given, reopen), self._box, self.foot, self._tabs]

    def _join(self) -> None:
        """Join the shared traits of the panels; no panel knows another."""
        for panel in self.panels.values():
            traitlets.link((self, "settings"), (panel, "settings"))
        for name in ("Explore", "Caching"):
            traitlets.link((self, "dataset"), (self.panels[name], "dataset"))
            traitlets.link((self, "selection"), (self.panels[name], "selection"))
        extract, datasets = self.panels["Extract"], self.panels["Datasets"]
        one_of = (lambda text: read_text(text).single), str  # of a period, no row of the table is chosen
        traitlets.link((self, "dataset"), (datasets, "dataset"), transform=one_of)
        extract.observe(lambda change: self.guarded(lambda: self._extracted(change["new"])), "dataset")
        self.observe(lambda _: setattr(self, "message", ""), "dataset")  # it offers to choose a dataset
        extract.observe(lambda _: self._look(), "phase")  # lists an incomplete dataset after a stop
        datasets.observe(lambda _: self.guarded(self._relisted), "listed")
        self.tick(self._look, _EVERY)  # lists datasets made elsewhere, in every tab

    def try_sample(self) -> None:
        """Extract the sample, unless it is extracted already, and show it.

        Raises
        ------
        InvalidRequestError
            The extract panel is working. Nothing was changed.
        """
        extract = self.panels["Extract"]
        extract.require_idle()
        extract.use_sample()
        known = fl.datasets.list_datasets(self.settings)
        if extract.name in known.loc[known["state"] == "complete", "name"].tolist():
            self._look_at(extract.name)
            return
        self._wanted = "" if self.dataset else extract.name  # nobody is taken away from another dataset
        self.tab = "Extract"
        extract.look(then=extract.extract)

    def code(self) -> str:
        """Return the code of the open panel.

        Raises
        ------
        InvalidRequestError
            A field of the open panel is invalid.
        """
        panel = self.panels[self.tab]
        panel.require_valid()
        first = ["import frontierlab as fl", ""]
        if self.tab != "Settings":
            first.append(self.panels["Settings"].code())
        return "\n".join([*first, panel.code()])

    def state(self) -> dict[str, Any]:
        """Return the state of all panels; see `Panel.state`."""
        return {**super().state(), "panels": {name: panel.state() for name, panel in self.panels.items()}}

    def restore(self, state: Mapping[str, Any] | str) -> None:
        """Restore a state; see `Panel.from_state`."""
        given = self.read_state(state)
        inner = {_FORMER.get(name, name): one for name, one in given.pop("panels", {}).items()}
        tab = _FORMER.get(given.get("tab", self.tab), given.get("tab", self.tab))
        super().restore({"panel": type(self).__name__, **given, "tab": tab})
        for name, panel in self.panels.items():
            if name in inner:
                panel.restore(inner[name])

    def _extracted(self, name: str) -> None:
        """Say that a dataset is extracted, with a link to it; one that the user asked to look at is shown."""
        self.panels["Datasets"].refresh()
        if name and name == self._wanted:
            self._look_at(name)
        elif name:
            self.say(f"The dataset {name} is extracted.", "Look at it", lambda: self._look_at(name))
        self._wanted = ""

    def _look_at(self, name: str) -> None:
        self.panels["Datasets"].refresh()
        self.dataset = name
        self.tab = "Explore"

    def _look(self) -> None:
        """List the datasets again if their folder has changed."""
        datasets = self.panels["Datasets"]
        with datasets.shown_errors():
            datasets.look()

    def _relisted(self) -> None:
        for name in ("Explore", "Caching"):
            self.panels[name].refresh()

    def _keep(self) -> None:
        """Show the state as JSON; raise if a field is invalid, because the state would differ from the view."""
        for panel in self.panels.values():
            panel.require_valid()
        self._show_text(json.dumps(self.state(), indent=1))

    def _show_text(self, text: str) -> None:
        self._code.code = text
        self._box.layout.display = ""
