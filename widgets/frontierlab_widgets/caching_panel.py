"""Caching efficiency in a panel: which folders waste the cache, why, what would help, and the history."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import traitlets
from ipywidgets import Widget

import frontierlab as fl
from frontierlab import jobs
from frontierlab.caching import history
from frontierlab.caching.causes import BELOW, FINE
from frontierlab.caching.ranking import lost_in_words
from frontierlab.catalogue import Catalogue
from frontierlab.engines.own_statements import ANSWERED, answered_in_words
from frontierlab.errors import FrontierlabError, InvalidRequestError
from frontierlab.util.literals import literal
from frontierlab_widgets import elements
from frontierlab_widgets.bokeh_figures import BokehFigures
from frontierlab_widgets.browser_files import Download
from frontierlab_widgets.caching_detail import FolderDetail
from frontierlab_widgets.caching_history import HistoryView
from frontierlab_widgets.caching_work import (
    EXPLAINED,
    FOLDERS,
    KEYS,
    TIPS,
    explain_folder,
    folder_id,
    folder_selection,
    in_whole_dataset,
    origin_of,
    other_notes,
)
from frontierlab_widgets.chosen_datasets import Source, code_of, file_stem, named, window_of, with_payloads
from frontierlab_widgets.closable_box import ClosableBox
from frontierlab_widgets.code_box import CodeBox, Expression, call
from frontierlab_widgets.dataset_fields import CHOICES, DatasetFields
from frontierlab_widgets.figures_panel import FiguresPanel
from frontierlab_widgets.follow_job import follow
from frontierlab_widgets.formatting import notes
from frontierlab_widgets.origin import Origin
from frontierlab_widgets.panel import row
from frontierlab_widgets.table import Table
from frontierlab_widgets.tabs import Tabs
from frontierlab_widgets.work import Work

__all__ = ["CachingPanel"]

_TABS = ("Folders", "History")
_LOST = ("wasted_dbtime", "wasted_bytes", "repeated_dbtime", "repeated_bytes")
_FORMER_TABS = dict.fromkeys(("Waste", "Why", "What would help"), _TABS[0])  # which saved views can have


class CachingPanel(FiguresPanel):
    """Show which folders waste the cache, why, and what would help.

    Parameters
    ----------
    settings
        By default ``Settings()``.

    Attributes
    ----------
    job : str
        The job whose result is shown; empty before the first one.
    figures : DataFrame or None
        The result of `frontierlab.caching.efficiency`: one row per folder and tag, the worst first.
    folder : list
        Database, schema, folder and tag of the chosen row; empty if none is chosen.
    tab : str
        The open view: Folders or History.
    """

    title = "Caching"

    job = traitlets.Unicode().tag(saved=True)
    figures = traitlets.Instance(pd.DataFrame, allow_none=True)
    folder: traitlets.List[str] = traitlets.List().tag(saved=True)
    tab = traitlets.Unicode(_TABS[0]).tag(saved=True)

    @traitlets.validate("tab")
    def _known_tab(self, proposal: Any) -> str:
        tab = _FORMER_TABS.get(proposal["value"], proposal["value"])
        if tab not in _TABS:
            raise traitlets.TraitError(f"{tab!r} is no view of the caching panel. Valid: {', '.join(_TABS)}.")
        return str(tab)

    def build(self) -> list[Widget]:
        """Build the choice of queries, the buttons, the table with the chosen folder beside it, and the history."""
        picker = self.build_picker(folders_only=True)
        whole = elements.Button(description="Whole dataset", tooltip="Remove all choices except the dataset")
        self._download, self._notes = Download(), elements.HTML()
        self._datasets = DatasetFields(self, whole)
        self._show_catalogue()
        self.click(whole, self.clear_choice)
        buttons = self._build_buttons()
        self._tabs = self._build_tabs()
        about = self.watch_origin([self._notes, *self._greyed_pages])
        self.on(self._show_catalogue, "settings", "dataset")
        self.on(self._show_figures, "figures")
        self.on(self._chosen, "folder")
        self.on(self._show_code, "stale", "origin")
        self.on(self._draw_all, "dark")
        self.on(self._opened, "tab")
        return [
            self._datasets,
            *picker,
            buttons,
            self.foot,
            about,
            self._notes,
            self._tabs,
            self._download,
        ]

    def _build_buttons(self) -> Widget:
        buttons = {name: elements.Button(description=name, tooltip=tip) for name, tip in TIPS.items()}
        buttons["Compute"].button_style = "primary"
        self.click(buttons["Compute"], self.compute, always=False, uses=CHOICES)
        of_figures = {"Explain the worst": self.explain_worst, "Store": self.store, "HTML page": self.page}
        for name, action in of_figures.items():
            self.click(buttons[name], action, always=False, when=self.has_figures)
        self.click(buttons["Code"], self.fresh(self._open_code), uses=CHOICES, when=lambda: not self.stale)
        return row(*buttons.values())

    def _build_tabs(self) -> Tabs:
        self._table = Table(
            FOLDERS, "id", "Nothing is computed yet: choose a dataset and click Compute.", label="Folders and tags"
        )
        self._past = HistoryView(lambda stored: self.guarded(lambda: self.compare(stored)), self.fail)
        self._total, self._waste = elements.HTML(), BokehFigures()
        self._one_task = elements.Button(
            description="Only this task", tooltip="Choose the queries of this folder by the chosen task"
        )
        self._detail = FolderDetail(lambda _: self.allow(), *self.build_links(), self._one_task)
        self.click(self._one_task, self.only_task, when=lambda: bool(self._detail.tasks.selected))
        self._code, self._code_box = CodeBox(), ClosableBox()
        self.click(self._code_box.button, self._code_box.shut)
        self._table.observe(lambda change: self.guarded(lambda: self._pick(change["new"])), "selected")
        explained = elements.HTML(EXPLAINED)
        figures = elements.VBox([self._total, self._waste])
        folders = elements.VBox([elements.Box([elements.VBox([self._table, explained]), self._detail, figures])])
        folders.add_class("frontierlab-waste")
        self._greyed_pages = (folders, self._code_box.content, self._past.comparison)
        tabs = Tabs({"Folders": elements.VBox([self._code_box, folders]), "History": self._past}, "Caching")
        traitlets.link((self, "tab"), (tabs.bar, "value"))
        return tabs

    def build_links(self) -> list[Widget]:
        """Build buttons that lead from the chosen folder to other tabs."""
        return []

    def only_task(self) -> None:
        """Choose the queries of the chosen folder by the chosen task."""
        self.selection = self.of_folder().but(taskid=int(self._detail.tasks.selected))

    def of_folder(self) -> fl.Selection:
        """Return the selected queries of the chosen folder."""
        return folder_selection(dict(zip(KEYS, self.folder, strict=True)), self.selection)

    # what to compute

    def refresh(self) -> None:
        """Update the list of datasets."""
        self._datasets.refresh()
        self._show_catalogue()
        self.check_origin()

    def chosen_origin(self, dataset: Source) -> Origin:
        """Return the origin of figures computed from the current choice."""
        return origin_of((dataset.name, dataset.identity, window_of(dataset)), self.selection, self.settings)

    def compute(self) -> None:
        """Compute the figures of the selected queries as a job.

        Raises
        ------
        InvalidRequestError
            No dataset is chosen, or a time in a field is not valid.
        """
        self.require_valid(*CHOICES)
        dataset, settings, selection = self.chosen_dataset(), self.require_settings(), self.selection

        def compute(work: Work) -> tuple[jobs.Job, pd.DataFrame]:
            arguments: dict[str, Any] = {} if dataset.state == "complete" else {"allow_incomplete": True}
            if selection != fl.Selection():
                arguments["selection"] = selection
            job = jobs.submit("caching", settings=with_payloads(dataset, settings), dataset=dataset, **arguments)
            return job, follow(job, work)

        def then(done: tuple[jobs.Job, pd.DataFrame]) -> None:
            job, figures = done
            if figures.empty:
                what = f" in the selection ({selection.in_words()})" if selection != fl.Selection() else ""
                source = named(dataset.name, window_of(dataset))
                raise InvalidRequestError(f"The {source} has no query with an IOV{what}.")
            self.job = job.id
            self._take(figures, settings)
            if not self.stale:
                self.message = f"{len(figures):,} folders and tags, the most wasted or repeated database time first."

        self.begin(compute, then, stage="beginning")
        self.tab = _TABS[0]

    def explain_worst(self) -> None:
        """Explain the folder and tag with the most wasted database time."""
        figures = self._computed()
        known = figures[figures["wasted_dbtime"].notna()]
        if known.empty:
            raise InvalidRequestError("The payloads of these folders are not known; the column Problem says why.")
        if not self._detail.found:
            self.folder = []  # it may be chosen already, with a stopped or failed explanation
        self._pick(folder_id(known.iloc[0]))
        self.tab = _TABS[0]

    def store(self) -> None:
        """Store the computed figures for later comparison, off the main thread."""
        figures, dataset, settings = self._computed(), self.computed_dataset(), self.require_settings()
        what = self.computed_origin().in_words()

        def then(count: int) -> None:
            self.say(f"{count:,} records of {what}, are stored.", "Show the history", self._show_stored)
            self.read_history()

        self.begin(lambda _: history.store(figures, dataset, settings), then, stage="storing")

    def _show_stored(self) -> None:
        self.tab = "History"

    def compare(self, stored: str) -> None:
        """Compare the computed figures with a stored result, by its id in the table of the history."""
        if stored:
            self._past.compare(stored, self._computed(), dark=self.dark)

    def page(self) -> None:
        """Write an HTML page of the figures and explanations, and download it."""
        figures, found = self._computed(), self._detail.found
        dataset = self.computed_dataset()
        with tempfile.TemporaryDirectory() as folder:
            path = fl.caching.page(
                figures,
                Path(folder) / f"{file_stem(dataset)}-caching.html",
                explanations=[found["why"]] if found else [],
                what_ifs=[found["what"]] if found and found["what"] is not None else [],
                title=f"Caching of conditions folders, {' '.join(filter(None, (dataset.name, window_of(dataset))))}",
            )
            self._download.give(path, path.name)
        self.message = f"{path.name} was given to the browser."

    def code(self) -> str:
        """Return the calls that compute the figures, explain a folder and try grids."""
        which = {} if self.selection == fl.Selection() else {"selection": Expression("selection")}
        lines, source = code_of(self.dataset)
        arguments = (source, Expression("settings"))
        lines += [f"selection = fl.{self.selection!r}"] if which else []
        lines.append(call("figures = fl.caching.efficiency", *arguments, **which))
        if self.folder:
            lines += [
                f"folder = {literal(dict(zip(KEYS, self.folder, strict=True)))}",
                call("why = fl.caching.explain", *arguments, Expression("**folder"), **which),
                "fl.caching.explain_figure(why)",
                call("fl.caching.what_if", *arguments, Expression("**folder"), **which),
            ]
        return "\n".join(lines)

    def restore(self, state: Mapping[str, Any] | str) -> None:
        """Restore a state, with the figures of its job if their result still exists."""
        given = dict(json.loads(state) if isinstance(state, str) else state)
        folder = given.pop("folder", [])
        super().restore(given)
        if self.job:
            with self.shown_errors():
                self._take(jobs.open_job(self.job, self.require_settings()).result(0), self.require_settings())
        self.folder = folder

    # what is shown

    def _computed(self) -> pd.DataFrame:
        if self.figures is None:
            raise InvalidRequestError("Nothing is computed yet: choose a dataset and click Compute.")
        self.require_fresh()
        return self.figures

    def _take(self, figures: pd.DataFrame, settings: Any) -> None:
        """Show figures; they carry their dataset and selection."""
        self.figures = figures
        name, identity = figures.attrs.get("dataset", (self.dataset, "unknown"))
        selection = fl.Selection.from_json(figures.attrs.get("selection", {}))
        self.origin = origin_of((name, identity, self._window_of(name, identity)), selection, settings)
        self.check_origin()
        self._show_stale()  # what computed them can differ where their origin does not

    def _window_of(self, name: str, identity: str) -> str:
        """Return the part of the time of what is chosen, if figures are of that; they do not say it themselves."""
        try:
            chosen = self.chosen_dataset()
        except FrontierlabError:
            return ""
        return window_of(chosen) if (chosen.name, chosen.identity) == (name, identity) else ""

    def how_computed(self) -> str:
        """Return a sentence on what counted the queries."""
        attrs = {} if self.figures is None else self.figures.attrs
        return answered_in_words(attrs[ANSWERED]) if ANSWERED in attrs else ""

    def _catalogue(self) -> pd.DataFrame:
        if self.settings is None or not self.settings.catalogue_path.exists():
            return pd.DataFrame(columns=["db", "schema", "nodefullpath", "queries"])
        table = Catalogue.read(self.settings.catalogue_path).table.select(["db", "schema", "node"])
        frame = table.to_pandas().drop_duplicates().rename(columns={"node": "nodefullpath"})
        offered: pd.DataFrame = frame.assign(queries=pd.NA)
        return offered

    def _show_catalogue(self) -> None:
        if self._picker is None:
            return
        empty = pd.DataFrame({"taskid": [], "taskname": [], "queries": []})
        self._picker.offer({"folders": self._catalogue(), "tasks": empty})

    def _show_figures(self) -> None:
        figures = self.figures
        self.folder = []
        self._detail.forget()
        self._past.forget()
        if figures is not None:
            ids = [folder_id(record) for _, record in figures.iterrows()]
            self._table.show(figures.assign(id=ids), lambda record: "bad" if record["problem"] else "")
            self._notes.value = notes(other_notes(figures))
        self._draw_waste()

    def _pick(self, chosen: str) -> None:
        self.folder = json.loads(chosen) if chosen else []

    def _chosen(self) -> None:
        self._table.selected = json.dumps(self.folder) if self.folder else ""
        self.allow()
        self._show_code()
        if self.folder:
            try:
                self._explain()
            except FrontierlabError:
                self.folder = []  # a chosen row would suggest that it is explained
                raise

    def _explain(self) -> None:
        self._computed()
        dataset, folder = self.computed_dataset(), dict(zip(KEYS, self.folder, strict=True))
        settings = with_payloads(dataset, self.require_settings())
        run = partial(explain_folder, dataset, settings, folder, self.computed_origin().selection)
        self.begin(run, self._show_explained, stage="explaining", replaceable=True)
        self._detail.forget(f"{' '.join(self.folder)} is being explained …")

    def _show_explained(self, found: dict[str, Any]) -> None:
        figures = pd.DataFrame(columns=[*KEYS, "cause"]) if self.figures is None else self.figures
        ours = figures[(figures[[*KEYS]] == [*found["why"].folder]).all(axis=1)]
        cause = " ".join(ours["cause"].astype("string"))
        whole = ""
        if cause in (BELOW, FINE):
            whole = in_whole_dataset(self.whole_figures(), [*found["why"].folder], self.computed_origin().selection)
        self._detail.show(found, cause, whole, dark=self.dark)
        self.message = f"{found['why'].folder.nodefullpath} is explained."
        self.allow()

    def whole_figures(self) -> pd.DataFrame | None:
        """Return the figures of all queries of the dataset, if they are known."""
        return None

    def _opened(self) -> None:
        if self.tab == "History":
            self.read_history()

    def read_history(self) -> None:
        """Read the stored figures again, in a separate thread."""
        if self.settings is not None:
            self._past.read(self.settings)

    def _draw_all(self) -> None:
        self._draw_waste()
        self._detail.draw(dark=self.dark)
        self._past.draw(dark=self.dark)

    def _draw_waste(self) -> None:
        if self.figures is not None:
            totals = lost_in_words(self.figures[[*_LOST]].sum().to_dict())
            self._total.value = f"<p>All these folders together: {totals}.</p>"
            self._waste.show([fl.caching.waste_figure(self.figures, words="")], dark=self.dark)

    def _open_code(self) -> None:
        self._code_box.show("Code", self._code)
        self._show_code()
        self.tab = _TABS[0]

    def _show_code(self) -> None:
        """Show the code of the current choice; while the figures are stale, the code of the figures."""
        if self._code_box.is_open and not self.stale:
            self._code.code = self.code()
