"""Caching efficiency, by hand: which folders waste the cache, why, what would help, and what was before."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import ipywidgets as widgets
import pandas as pd
import traitlets

import frontierlab as fl
from frontierlab import jobs
from frontierlab.caching import history
from frontierlab.catalogue import Catalogue
from frontierlab.errors import InvalidRequestError
from frontierlab_widgets.caching_history import History
from frontierlab_widgets.caching_work import FOLDERS, KEYS, WHAT_IF, explained, id_of, picked_folders
from frontierlab_widgets.code import Code
from frontierlab_widgets.figures import Figures, load_bokeh
from frontierlab_widgets.following import follow
from frontierlab_widgets.panel import Panel, row
from frontierlab_widgets.picking import Picker
from frontierlab_widgets.table import Table
from frontierlab_widgets.transfer import Download
from frontierlab_widgets.words import notes
from frontierlab_widgets.work import Work

__all__ = ["CachingPanel"]

_TABS = ("Folders", "Waste", "Why", "What would help", "History")


class CachingPanel(Panel):
    """Which folders waste the cache, why, and what would help.

    Parameters
    ----------
    settings
        By default ``Settings()``.

    Attributes
    ----------
    dataset : str
        Name of the dataset; empty for none.
    selection : Selection
        Of it, database, schema and folder say which folders are computed; without them all are.
    job : str
        The job whose result is shown; empty before the first.
    figures : DataFrame or None
        As `frontierlab.caching.efficiency` gave it: a row a folder and tag, the worst first.
    folder : list
        Database, schema, folder and tag of the chosen row; empty where none is.
    tab : str
        Which view is open.
    """

    title = "Caching"

    dataset = traitlets.Unicode().tag(kept=True)
    selection = traitlets.Instance(fl.Selection, ()).tag(kept=True)
    job = traitlets.Unicode().tag(kept=True)
    figures = traitlets.Instance(pd.DataFrame, allow_none=True)
    folder = traitlets.List().tag(kept=True)
    tab = traitlets.Enum(_TABS, _TABS[0]).tag(kept=True)

    def build(self) -> list[widgets.Widget]:
        """Make the choice of folders, the buttons, and the five views."""
        self._explained: dict[str, Any] = {}
        self._datasets = widgets.Dropdown(
            description="dataset", options=[("choose …", "")], style={"description_width": "initial"}
        )
        self._picker = Picker(self, folders_only=True)
        buttons = {name: widgets.Button(description=name, tooltip=tip) for name, tip in _TIPS.items()}
        buttons["Compute"].button_style = "primary"
        self._download, self._code = Download(), Code()
        self._notes = widgets.HTML()
        self.choose("dataset", self._datasets)
        self._show_datasets()
        self.click(buttons["Compute"], self.compute, always=False)
        self.click(buttons["Explain the worst"], self.explain_worst, always=False)
        self.click(buttons["Store"], self.store, always=False)
        self.click(buttons["HTML page"], self.page, always=False)
        self.click(buttons["Code"], self._show_code)
        self.on(self._show_datasets, "settings", "dataset")
        self.on(self._show_figures, "figures")
        self.on(self._chosen, "folder")
        self.on(self._draw_all, "dark")
        self.on(self._opened, "tab")
        self._tabs = self._build_tabs()
        return [
            row(self._datasets, self._picker),
            row(*buttons.values()),
            self.foot,
            self._notes,
            self._tabs,
            self._download,
        ]

    def _build_tabs(self) -> widgets.Tab:
        self._table = Table(FOLDERS, "id", "Nothing is computed yet: choose a dataset and click Compute.")
        self._told = widgets.HTML("<p>Choose a row of the table: why it wastes the cache is worked out then.</p>")
        self._advice = widgets.HTML("<p>Choose a row of the table first.</p>")
        self._grids = Table(WHAT_IF, "grid", "Choose a row of the table first.")
        self._past = History(lambda stored: self.guarded(lambda: self.compare(stored)))
        self._views = {name: Figures() for name in ("Waste", "Why", "What would help")}
        self._table.observe(lambda change: self.guarded(lambda: self._pick(change["new"])), "selected")
        pages = [
            [self._table, self._code],
            [self._views["Waste"]],
            [self._told, self._views["Why"]],
            [self._advice, self._grids, self._views["What would help"]],
            [self._past],
        ]
        self._code.layout.display = "none"
        tabs = widgets.Tab([widgets.VBox(page) for page in pages], titles=_TABS)
        tabs.observe(lambda change: setattr(self, "tab", _TABS[change["new"] or 0]), "selected_index")
        return tabs

    # what is asked for

    def refresh(self) -> None:
        """See which datasets there are now."""
        self._show_datasets()

    def compute(self) -> None:
        """Compute the figures of the chosen folders, as a job.

        Raises
        ------
        InvalidRequestError
            No dataset is chosen.
        """
        dataset, settings, picked = self._dataset(), self.settings, self._picked()

        def compute(work: Work) -> tuple[jobs.Job, pd.DataFrame]:
            arguments = {} if dataset.state == "complete" else {"allow_incomplete": True}
            if picked != fl.Selection():
                arguments["folders"] = picked_folders(dataset, settings, picked, work)
            job = jobs.submit("caching", settings=settings, dataset=dataset.name, **arguments)
            return job, follow(job, work)

        def then(done: tuple[jobs.Job, pd.DataFrame]) -> None:
            job, figures = done
            self.job, self.figures = job.id, figures
            self.tab = _TABS[0]
            self._notes.value = notes(job.warnings)
            self.message = f"{len(figures):,} folders and tags, the most wasted database time first."

        self.begin(compute, then, stage="beginning")

    def explain_worst(self) -> None:
        """Explain the folder and tag with the most wasted database time."""
        figures = self._computed()
        known = figures[figures["wasted_dbtime"].notna()]
        if known.empty:
            raise InvalidRequestError("No folder here has a payload that is known; the column Problem says why.")
        self._pick(id_of(known.iloc[0]))
        self.tab = "Why"

    def store(self) -> None:
        """Store what is computed, to compare with it later; off the main thread."""
        figures, dataset, settings = self._computed(), self._dataset(), self.settings

        def then(count: int) -> None:
            self.message = f"{count:,} records are stored."
            self.tab = "History"
            self._show_history()

        self.begin(lambda _: history.store(figures, dataset, settings), then, stage="storing")

    def compare(self, stored: str) -> None:
        """Compare what is computed with a stored result, by its id in the table of the history."""
        if stored:
            self._past.compare(stored, self._computed(), dark=self.dark)

    def page(self) -> None:
        """Write the page of what is computed, with what was explained, and give it to the reader's machine."""
        figures, found = self._computed(), self._explained
        with tempfile.TemporaryDirectory() as folder:
            path = fl.caching.page(
                figures,
                Path(folder) / f"{self.dataset}-caching.html",
                explanations=[found["why"]] if found else [],
                what_ifs=[found["what"]] if found and found["what"] is not None else [],
                title=f"Caching of conditions folders, {self.dataset}",
            )
            self._download.give(path, path.name)
        self.message = f"{path.name} was given to the browser."

    def code(self) -> str:
        """Return the calls that compute, explain and try."""
        picked = self._picked()
        lines, which = [], ""
        if picked != fl.Selection():
            which = ", folders"
            lines = [
                f'logs = fl.open_logs("{self.dataset}", settings=settings)',
                f"folders = fl.contents.folders(logs, selection=fl.{picked!r}).dropna()",
            ]
        lines.append(f'figures = fl.caching.efficiency("{self.dataset}", settings{which})')
        if self.folder:
            worst = ", ".join(f'"{key}": "{value}"' for key, value in zip(KEYS, self.folder, strict=True))
            lines += [
                f"folder = {{{worst}}}",
                f'why = fl.caching.explain("{self.dataset}", settings, **folder)',
                "fl.caching.explain_figure(why)",
                f'fl.caching.what_if("{self.dataset}", settings, **folder)',
            ]
        return "\n".join(lines)

    def restore(self, state: Mapping[str, Any] | str) -> None:
        """Show what a state says; figures are those of the job that computed them, where its result is still there."""
        given = dict(json.loads(state) if isinstance(state, str) else state)
        folder = given.pop("folder", [])
        super().restore(given)
        if self.job:
            with self.shown_errors():
                self.figures = jobs.open_job(self.job, self.settings).result(0)
        self.folder = folder

    # what is shown

    def _dataset(self) -> fl.Dataset:
        if not self.dataset:
            raise InvalidRequestError("Choose a dataset first.")
        return fl.datasets.open_dataset(self.dataset, self.settings)

    def _computed(self) -> pd.DataFrame:
        if self.figures is None:
            raise InvalidRequestError("Nothing is computed yet: choose a dataset and click Compute.")
        return self.figures

    def _picked(self) -> fl.Selection:
        """Return what the selection says of folders; times and tasks are not for these figures."""
        return fl.Selection(**{level: getattr(self.selection, level) for level in KEYS[:3]})

    def _catalogue(self) -> pd.DataFrame:
        if self.settings is None or not self.settings.catalogue_path.exists():
            return pd.DataFrame(columns=["db", "schema", "nodefullpath", "queries"])
        table = Catalogue.read(self.settings.catalogue_path).table.select(["db", "schema", "node"])
        frame = table.to_pandas().drop_duplicates().rename(columns={"node": "nodefullpath"})
        return frame.assign(queries=pd.NA)

    def _show_datasets(self) -> None:
        names = [] if self.settings is None else fl.datasets.list_datasets(self.settings)["name"].tolist()
        self.offer(self._datasets, [("choose …", ""), *((name, name) for name in names)], self.dataset)
        empty = pd.DataFrame({"taskid": [], "taskname": [], "queries": []})
        self._picker.offer({"folders": self._catalogue(), "tasks": empty})

    def _show_figures(self) -> None:
        figures = self.figures
        self.folder, self._explained = [], {}
        self._past.forget()
        if figures is not None:
            ids = [id_of(record) for _, record in figures.iterrows()]
            self._table.show(figures.assign(id=ids), lambda record: "bad" if record["problem"] else "")
        self._draw_view("Waste")

    def _pick(self, chosen: str) -> None:
        self.folder = json.loads(chosen) if chosen else []

    def _chosen(self) -> None:
        self._table.selected = json.dumps(self.folder) if self.folder else ""
        if not self.folder or not self.dataset:
            return
        dataset, settings, folder = self._dataset(), self.settings, dict(zip(KEYS, self.folder, strict=True))
        self.begin(
            lambda work: explained(dataset, settings, folder, work),
            self._show_explained,
            stage="explaining",
            replaceable=True,
        )

    def _show_explained(self, found: dict[str, Any]) -> None:
        self._explained = found
        why, what = found["why"], found["what"]
        problem = [found["problem"]] if found["problem"] else []
        self._told.value = f"<h4>{escape(' '.join(self.folder))}</h4>{notes(problem)}"
        self._advice.value = "" if what is None else f"<p><b>{escape(what.attrs.get('advice', ''))}</b></p>"
        if what is not None:
            self._grids.show(what)
        if self.tab not in ("Why", "What would help"):
            self.tab = "Why"
        self.message = f"{why.folder.nodefullpath} is explained: Why, and What would help."
        for name in ("Why", "What would help"):
            self._draw_view(name)

    def _opened(self) -> None:
        self._tabs.selected_index = _TABS.index(self.tab)
        if self.tab == "History":
            self._show_history()

    def _show_history(self) -> None:
        if self.settings is not None:
            self._notes.value = notes(self._past.read(self.settings))

    def _draw_all(self) -> None:
        for name in self._views:
            self._draw_view(name)
        self._past.draw(dark=self.dark)

    def _draw_view(self, name: str) -> None:
        """Draw what a view shows, new: figures of before are in another document, perhaps of another theme."""
        drawn: list[Any] = []
        if name == "Waste" and self.figures is not None:
            drawn = [fl.caching.waste_figure(self.figures)]
        elif name == "Why" and self._explained:
            drawn = [fl.caching.explain_figure(self._explained["why"])]
        elif name == "What would help" and self._explained and self._explained["what"] is not None:
            drawn = [fl.caching.what_if_figure(self._explained["what"])]
        if drawn:
            self._views[name].show(drawn, dark=self.dark)

    def _show_code(self) -> None:
        self._code.code = self.code()
        self._code.layout.display = ""
        self.tab = _TABS[0]

    def _repr_mimebundle_(self, **keywords: Any) -> Any:
        load_bokeh()
        return super()._repr_mimebundle_(**keywords)


_TIPS = {
    "Compute": "Compute the figures of the folders that are picked, or of all",
    "Explain the worst": "Choose the folder with the most wasted database time",
    "Store": "Keep what is computed, to compare with it later",
    "HTML page": "What is computed and explained, on one page for a detector group",
    "Code": "Show the calls that do this",
}
