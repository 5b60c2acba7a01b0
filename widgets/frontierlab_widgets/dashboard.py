"""A dashboard: one header, and five tabs that show the same view."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import traitlets
from ipywidgets import Widget

import frontierlab as fl
from frontierlab import jobs
from frontierlab_widgets import elements
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
from frontierlab_widgets.lazy_panels import LazyPanels
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
_WITH_VIEW = ("Overview", "Caching", "Explore")
_ALWAYS = ("Overview", "Caching", "Explore", "Datasets")
"""The panels that are made with the dashboard; the others are made when they are opened."""


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
    panels : Mapping
        The panels by their titles. A panel that nobody has opened yet is made when it is looked up.
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

    def build(self) -> list[Widget]:
        """Build the panels, join them, and put the header above them."""
        self._wanted = ""  # the dataset that is shown once it is extracted
        self.add_class("frontierlab-dashboard")
        problem, self.configuration_problem = self.configuration_problem, ""  # the panels say it
        self.panels = LazyPanels(
            _PANELS,
            lambda name, kind: kind(self.settings, problem=problem if name == "Settings" else _SEE),
            self._join,
        )
        elements.show(self._going, False)  # work is in the panels
        self._share = ShareBox(self)
        self._settings_box = elements.VBox(layout=elements.layout(display="none"))
        buttons = [
            _button("Share", "Keep this view, mail it, or show the calls that do the same", self._share.toggle, self),
            _button("Settings", "Show or hide the settings", self._toggle_settings, self),
        ]
        self._running = _button(_running(0), "Show the jobs", lambda: setattr(self, "tab", "Jobs"), self)
        self.header = Header(self, lambda: self.panels["Explore"].undo(), *buttons, self._running)
        self._sections = Tabs(dict.fromkeys(_SECTIONS), "Data")
        self._tabs = Tabs({**dict.fromkeys(_TABS), _DATA: self._sections}, self.title)
        traitlets.link((self, "tab"), (self._tabs.bar, "value"))
        traitlets.link((self, "section"), (self._sections.bar, "value"))
        self.keep_views()
        for name in _ALWAYS:
            self.panels[name]
        self._begin()
        if self.settings is None:
            self.show_settings()
        return [self.header, self.foot, self._share, self._settings_box, self.go_on, self._tabs]

    def _begin(self) -> None:
        """Follow what the user and others do; the panels that are always there are made."""
        self.observe(lambda _: setattr(self, "message", ""), "dataset")  # it offers to choose a dataset
        self.on(self._show_tab, "tab", "section")
        self.on(self._block, "invalid")
        self.tick(self._look, _EVERY)  # lists datasets made elsewhere, in every tab
        self._show_tab()

    def _join(self, name: str, panel: Any) -> None:
        """Put a new panel in its place, and join the traits that it shares; no panel knows another."""
        panel.share_style()  # a notebook that is saved has the style once
        traitlets.link((self, "settings"), (panel, "settings"))
        for trait in _VIEW if name in _WITH_VIEW else ():
            if panel.has_trait(trait):
                traitlets.link((self, trait), (panel, trait))
        self.watch_view(panel)
        if name == "Settings":
            self._settings_box.children = [panel]
        elif name in _SECTIONS:
            self._sections.fill(name, panel)
        else:
            self._tabs.fill(next(tab for tab, one in _TABS.items() if one == name), panel)
        self._lead(name, panel)

    def _lead(self, name: str, panel: Any) -> None:
        """Tell a panel what its links and buttons lead to, and follow what it brings."""
        to = {tab: lambda tab=tab: setattr(self, "tab", tab) for tab in ("Extract", "Datasets", "Explore", "History")}
        if name == "Overview":
            panel.lead(
                sample=self.try_sample,
                extract=to["Extract"],
                open=to["Datasets"],
                figures=lambda figures: self.panels["Caching"].take(figures),
                folder=self._show_folder,
                incident=self._show_incident,
                resume=self._resume,
            )
        elif name == "Caching":
            panel.lead(explore=to["Explore"], history=to["History"])
        elif name == "Explore":
            panel.lead(self.header.leave_out)
        elif name == "History":
            panel.lead(self.look_at, self._show_past_incident, self.panels["Caching"].history_view)
        elif name == "Datasets":
            panel.lead(self.look_at, self._take_raw_logs)
            panel.observe(lambda _: self.guarded(self._relisted), "listed")
        elif name in ("Extract", "Raw logs"):
            panel.observe(lambda change: self.guarded(lambda: self._extracted(change["new"])), "dataset")
            panel.observe(lambda _: self._look(), "phase")  # lists an incomplete dataset after a stop
        if name == "Extract":
            panel.observe(lambda _: self._tell_sample(), ["phase", "progress"])

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
        self.panels["Settings"]
        elements.show(self._settings_box, True)

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
        return {**super().state(), "panels": self.panels.states()}

    def restore(self, state: Mapping[str, Any] | str) -> None:
        """Restore a state; see `Panel.from_state`."""
        given = self.read_state(state)
        inner = {_FORMER_PANELS.get(name, name): one for name, one in given.pop("panels", {}).items()}
        self._restoring = True  # no tab begins to work before it has its own state
        try:
            self._show_tab()
            super().restore({"panel": type(self).__name__, **{name: given[name] for name in sorted(given, key=_order)}})
            for name in self.panels:
                if name in inner:
                    self.panels.restore(name, inner[name])
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

    def _resume(self, name: str) -> None:
        """Go on with the extraction of a dataset, in the table of datasets."""
        self.tab = "Datasets"
        datasets = self.panels["Datasets"]
        datasets.dataset = name
        datasets.resume()

    def _show_past_incident(self, dataset: str, selection: fl.Selection) -> None:
        fl.datasets.open_dataset(dataset, self.require_settings())  # it can be gone
        self.dataset = dataset
        self._show_incident(selection)

    def _show_tab(self) -> None:
        if not self._restoring:
            self.panels[self.open_panel()]
        made = self.panels.made()
        for tab, name in _TABS.items():
            if name in made and made[name].has_trait("shown"):
                made[name].shown = tab == self.tab and not self._restoring
        if self.tab == "History":
            self.panels["Caching"].read_history()

    def _block(self) -> None:
        """An invalid field of the header is one of the tabs that use it."""
        for name in _WITH_VIEW:
            panel = self.panels[name]
            others = {field: text for field, text in panel.invalid.items() if field not in self._blocked}
            panel.invalid = {**others, **self.invalid}
        self._blocked = tuple(self.invalid)

    _blocked: tuple[str, ...] = ()
    _restoring = False

    def _toggle_settings(self) -> None:
        if not elements.is_shown(self._settings_box):
            self.show_settings()
        else:
            elements.show(self._settings_box, False)

    def _look(self) -> None:
        """List the datasets again if their folder has changed, and count running jobs."""
        datasets = self.panels["Datasets"]
        with datasets.shown_errors():
            datasets.look()
        if self.settings is not None:
            with self.shown_errors():
                going = sum(not job.record().has_ended for job in jobs.jobs(self.settings))
                with PANEL_LOCK:
                    self._running.description = _running(going)

    def _relisted(self) -> None:
        self.header.refresh()
        for name in _WITH_VIEW:
            self.panels[name].refresh()


_FORMER_PANELS = {"Connection": "Settings"}


def _order(name: str) -> int:
    """The dataset comes before what is chosen of it, and the open tab last."""
    return {"dataset": 0, "tab": 2}.get(name, 1)


def _running(jobs: int) -> str:
    """Say how many jobs run. The tab Jobs can be on the same page, so the button is not called so too."""
    return f"{jobs or 'No'} job{'s' * (jobs != 1)} running"


def _button(name: str, tooltip: str, action: Any, panel: Panel) -> elements.Button:
    made = elements.Button(description=name, tooltip=tooltip)
    panel.click(made, action)
    return made
