"""A dashboard: one header, and five tabs that show the same view."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ipywidgets as widgets
import traitlets

import frontierlab as fl
from frontierlab import jobs
from frontierlab_widgets.chosen_datasets import read_text
from frontierlab_widgets.connection_panel import ConnectionPanel
from frontierlab_widgets.datasets_panel import DatasetsPanel
from frontierlab_widgets.explore_tab import ExploreTab
from frontierlab_widgets.extract_panel import ExtractPanel
from frontierlab_widgets.formatting import progress_line
from frontierlab_widgets.header import Header
from frontierlab_widgets.history_panel import HistoryPanel
from frontierlab_widgets.jobs_panel import JobsPanel
from frontierlab_widgets.kept_mixin import KeptViews
from frontierlab_widgets.overview_panel import OverviewPanel
from frontierlab_widgets.panel import PANEL_LOCK, Panel, Phase
from frontierlab_widgets.raw_logs_panel import RawLogsPanel
from frontierlab_widgets.share_box import ShareBox
from frontierlab_widgets.tabs import Tabs
from frontierlab_widgets.waste_tab import WasteTab

__all__ = ["Dashboard"]

_EVERY = 2.0  # seconds between two checks of the folders of datasets and jobs
_SEE = "The configuration cannot be read: see Settings."
_PANELS: dict[str, type[Panel]] = {
    "Settings": ConnectionPanel,
    "Overview": OverviewPanel,
    "Caching": WasteTab,
    "Explore": ExploreTab,
    "History": HistoryPanel,
    "Extract": ExtractPanel,
    "Raw logs": RawLogsPanel,
    "Datasets": DatasetsPanel,
    "Jobs": JobsPanel,
}
_TABS = {"Overview": "Overview", "Waste": "Caching", "Explore": "Explore", "History": "History"}  # tab: panel
_DATA = "Data"
_SECTIONS = ("Extract", "Raw logs", "Datasets", "Jobs")
_FORMER = {"Connection": "Settings", "Caching": "Waste"}
"""Earlier titles of tabs, which saved views and notebooks can have; those of Data are its sections today."""
_VIEW = ("dataset", "selection", "compare")


class Dashboard(KeptViews):
    """All panels, with one view: the same settings, dataset, selection and comparison.

    The view is kept by itself in the folder ``views`` of the data folder, without settings and secrets: after a restart
    of the kernel, one click shows it again.

    Parameters
    ----------
    settings
        By default ``Settings()``.

    Attributes
    ----------
    dataset : str
        Name of the dataset in all tabs, or several as a period; empty for none.
    selection : Selection
        The selected queries of the dataset.
    compare : str
        What they are compared with; see `ExplorePanel`.
    tab : str
        The open tab: Overview, Waste, Explore, History or Data. Titles of panels that are within a tab today open it.
    section : str
        The open section of the tab Data: Extract, Raw logs, Datasets or Jobs.
    panels : dict
        The panels by their titles.
    """

    title = "Frontier"
    next_step = ConnectionPanel.next_step  # its panel shows the problem

    dataset = traitlets.Unicode().tag(saved=True)
    selection = traitlets.Instance(fl.Selection, ()).tag(saved=True)
    compare = traitlets.Unicode().tag(saved=True)
    tab = traitlets.Unicode("Overview").tag(saved=True)
    section = traitlets.Enum(_SECTIONS, "Datasets").tag(saved=True)

    @traitlets.validate("tab")
    def _known_tab(self, proposal: Any) -> str:
        tab = _FORMER.get(proposal["value"], proposal["value"])
        if tab in _SECTIONS:
            self.section, tab = tab, _DATA
        if tab == "Settings":
            self.show_settings()
            return self.tab
        if tab not in (*_TABS, _DATA):
            valid = ", ".join((*_TABS, _DATA))
            raise traitlets.TraitError(f"{tab!r} is no tab of a dashboard. Valid: {valid}.")
        return str(tab)

    def build(self) -> list[widgets.Widget]:
        """Build the panels, join them, and put the header above them."""
        self._wanted = ""  # the dataset that is shown once it is extracted
        self.add_class("frontierlab-dashboard")
        problems = {name: self.configuration_problem if name == "Settings" else _SEE for name in _PANELS}
        self.panels = {name: kind(self.settings, problem=problems[name]) for name, kind in _PANELS.items()}
        for panel in self.panels.values():
            panel.share_style()  # a notebook that is saved has the style once
        self.configuration_problem = ""  # the panels say it
        self._going.layout.display = "none"  # work is in the panels
        self._share = ShareBox(self)
        self._settings_box = widgets.VBox([self.panels["Settings"]], layout=widgets.Layout(display="none"))
        buttons = [
            _button("Share", "Keep this view, mail it, or show the calls that do the same", self._share.toggle, self),
            _button("Settings", "Show or hide the settings", self._toggle_settings, self),
        ]
        self._running = _button("Jobs", "Show the jobs", lambda: setattr(self, "tab", "Jobs"), self)
        self.header = Header(self, lambda: self.panels["Explore"].undo(), *buttons, self._running)
        data = Tabs({name: self.panels[name] for name in _SECTIONS}, "Data")
        self._tabs = Tabs({**{tab: self.panels[name] for tab, name in _TABS.items()}, _DATA: data}, self.title)
        traitlets.link((self, "tab"), (self._tabs.bar, "value"))
        traitlets.link((self, "section"), (data.bar, "value"))
        self._join()
        self.keep_views()
        if self.settings is None:
            self.show_settings()
        return [self.header, self.foot, self._share, self._settings_box, self.go_on, self._tabs]

    def _join(self) -> None:
        """Join the shared traits of the panels; no panel knows another."""
        for panel in self.panels.values():
            traitlets.link((self, "settings"), (panel, "settings"))
        for name in ("Overview", "Explore", "Caching"):
            for trait in _VIEW:
                if self.panels[name].has_trait(trait):
                    traitlets.link((self, trait), (self.panels[name], trait))
        overview, waste, explore = (self.panels[name] for name in ("Overview", "Caching", "Explore"))
        overview.lead(
            sample=self.try_sample,
            extract=lambda: setattr(self, "tab", "Extract"),
            open=lambda: setattr(self, "tab", "Datasets"),
            figures=waste.take,
            folder=self._show_folder,
            incident=self._show_incident,
        )
        waste.lead(explore=lambda: setattr(self, "tab", "Explore"), history=lambda: setattr(self, "tab", "History"))
        explore.lead(self.header.leave_out)
        self.panels["History"].lead(self.look_at, self._show_past_incident, waste.history_view)
        extract, raw, datasets = (self.panels[name] for name in ("Extract", "Raw logs", "Datasets"))
        datasets.lead(self.look_at, self._take_raw_logs)
        raw.observe(lambda change: self.guarded(lambda: self._extracted(change["new"])), "dataset")
        extract.observe(lambda change: self.guarded(lambda: self._extracted(change["new"])), "dataset")
        self.observe(lambda _: setattr(self, "message", ""), "dataset")  # it offers to choose a dataset
        extract.observe(lambda _: self._look(), "phase")  # lists an incomplete dataset after a stop
        extract.observe(lambda _: self._tell_sample(), ["phase", "progress"])
        datasets.observe(lambda _: self.guarded(self._relisted), "listed")
        self.on(self._show_tab, "tab")
        self.on(self._block, "invalid")
        self.tick(self._look, _EVERY)  # lists datasets made elsewhere, in every tab
        self._show_tab()

    # what the user asks for

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
            self.look_at(extract.name)
            return
        self._wanted = extract.name
        extract.look(then=extract.extract)

    def look_at(self, name: str) -> None:
        """Show a dataset, or several as a period, in the Overview."""
        self.panels["Datasets"].refresh()
        if read_text(name).single and name != self.dataset:
            self.selection = fl.Selection()
        self.dataset = name
        self.tab = "Overview"

    def show_settings(self) -> None:
        """Show the settings."""
        self._settings_box.layout.display = ""

    def code(self) -> str:
        """Return the code of the open tab.

        Raises
        ------
        InvalidRequestError
            A field of the open tab is invalid.
        """
        panel = self.panels[self.open_panel()]
        panel.require_valid()
        return "\n".join(["import frontierlab as fl", "", self.panels["Settings"].code(), panel.code()])

    def open_panel(self) -> str:
        """Return the title of the panel in the open tab."""
        return self.section if self.tab == _DATA else _TABS[self.tab]

    def state(self) -> dict[str, Any]:
        """Return the state of all panels; see `Panel.state`."""
        return {**super().state(), "panels": {name: panel.state() for name, panel in self.panels.items()}}

    def restore(self, state: Mapping[str, Any] | str) -> None:
        """Restore a state; see `Panel.from_state`."""
        given = self.read_state(state)
        inner = {_FORMER_PANELS.get(name, name): one for name, one in given.pop("panels", {}).items()}
        self._restoring = True  # no tab begins to work before it has its own state
        try:
            self._show_tab()
            super().restore({"panel": type(self).__name__, **{name: given[name] for name in sorted(given, key=_order)}})
            for name, panel in self.panels.items():
                if name in inner:
                    panel.restore(inner[name])
        finally:
            self._restoring = False
            self._show_tab()

    def close(self) -> None:
        """Close the dashboard and its panels; the view is kept."""
        if self._keeper is not None:  # it was built
            self.header.stop()
        super().close()

    # what follows

    def _extracted(self, name: str) -> None:
        """Say that a dataset is complete, with a link to it; one that the user asked to look at is shown."""
        if not name:
            return
        self.panels["Datasets"].refresh()
        if name == self._wanted and not self.dataset:
            self.look_at(name)
        else:
            self.say(f"The dataset {name} is complete.", "Look at it", lambda: self.look_at(name))
        self._wanted = ""

    def _take_raw_logs(self, file: str, content: bytes | None) -> None:
        """Hand over a file that was to be imported and is a raw log, and say where it is read."""
        raw = self.panels["Raw logs"]
        if content is None:
            raw.paths = file
            raw.look()
        else:
            raw.take(file, content)
        self.say(f"{file} is a raw log.", "Read it in Raw logs", lambda: setattr(self, "tab", "Raw logs"))

    def _tell_sample(self) -> None:
        """Tell how far the extraction of the sample is that was asked for, or why there is none."""
        extract = self.panels["Extract"]
        with PANEL_LOCK:
            if not self._wanted:
                return
            if extract.phase in (Phase.FAILED, Phase.STOPPED):
                self._wanted, self.message, self.error = "", extract.message, extract.error
            elif extract.progress is not None:
                self.message = f"The sample is being extracted ({progress_line(extract.progress)}); it is shown then."

    def _show_folder(self, folder: list[str]) -> None:
        self.tab = "Waste"
        self.panels["Caching"].choose_folder(folder)

    def _show_incident(self, selection: fl.Selection) -> None:
        self.selection = selection
        self.tab = "Explore"

    def _show_past_incident(self, dataset: str, selection: fl.Selection) -> None:
        fl.datasets.open_dataset(dataset, self.require_settings())  # it can be gone
        self.dataset = dataset
        self._show_incident(selection)

    def _show_tab(self) -> None:
        for tab, name in _TABS.items():
            if self.panels[name].has_trait("shown"):
                self.panels[name].shown = tab == self.tab and not self._restoring
        if self.tab == "History":
            self.panels["Caching"].read_history()

    def _block(self) -> None:
        """An invalid field of the header is one of the tabs that use it."""
        for name in ("Overview", "Caching", "Explore"):
            panel = self.panels[name]
            others = {field: text for field, text in panel.invalid.items() if field not in self._blocked}
            panel.invalid = {**others, **self.invalid}
        self._blocked = tuple(self.invalid)

    _blocked: tuple[str, ...] = ()
    _restoring = False

    def _toggle_settings(self) -> None:
        hidden = self._settings_box.layout.display == "none"
        self._settings_box.layout.display = "" if hidden else "none"

    def _look(self) -> None:
        """List the datasets again if their folder has changed, and count running jobs."""
        datasets = self.panels["Datasets"]
        with datasets.shown_errors():
            datasets.look()
        if self.settings is not None:
            with self.shown_errors():
                going = sum(not job.record().has_ended for job in jobs.jobs(self.settings))
                with PANEL_LOCK:
                    self._running.description = f"Jobs: {going} running" if going else "Jobs"

    def _relisted(self) -> None:
        self.header.refresh()
        for name in ("Overview", "Explore", "Caching"):
            self.panels[name].refresh()


_FORMER_PANELS = {"Connection": "Settings"}


def _order(name: str) -> int:
    """The dataset comes before what is chosen of it, and the open tab last."""
    return {"dataset": 0, "tab": 2}.get(name, 1)


def _button(name: str, tooltip: str, action: Any, panel: Panel) -> widgets.Button:
    made = widgets.Button(description=name, tooltip=tooltip)
    panel.click(made, action)
    return made
