"""The datasets of the data folder: seen, chosen, brought in, taken away, renamed, deleted."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ipywidgets as widgets
import pandas as pd
import traitlets

import frontierlab as fl
from frontierlab.errors import InvalidRequestError
from frontierlab_widgets.following import follow
from frontierlab_widgets.panel import Panel, Phase, row
from frontierlab_widgets.table import Column, Table
from frontierlab_widgets.transfer import Download, Upload
from frontierlab_widgets.words import megabytes, moment, number
from frontierlab_widgets.work import Work

__all__ = ["DatasetsPanel"]

_COLUMNS = (
    Column("name", "Name"),
    Column("state", "State", "complete; incomplete: its extraction stopped or goes on; damaged: see below"),
    Column("rows", "Rows", "queries that are in it", number, number=True),
    Column("since", "First query", "UTC", moment),
    Column("until", "Last query", "UTC", moment),
    Column("size", "Size", "on the disk; MB are 10^6 bytes", megabytes, number=True),
    Column("created", "Extracted", "UTC", moment),
)
_WIDE = widgets.Layout(width="340px", max_width="98%")
_ACCEPT = ".parquet,.ndjson,.json,.jsonl,.gz,.zst"


class DatasetsPanel(Panel):
    """What datasets there are, and what can be done with one.

    Parameters
    ----------
    settings
        By default ``Settings()``.

    Attributes
    ----------
    dataset : str
        Name of the chosen dataset; empty where none is.
    listed : DataFrame
        As `frontierlab.datasets.list_datasets` gave it last.
    """

    title = "Datasets"

    dataset = traitlets.Unicode().tag(kept=True)
    listed = traitlets.Instance(pd.DataFrame, allow_none=True)

    def build(self) -> list[widgets.Widget]:
        """Make the table, what is done with the chosen one, and the two ways in."""
        self._table = Table(_COLUMNS, "name", "There is no dataset yet: extract one, or bring in a file below.")
        self._problem = widgets.HTML()
        self._name = widgets.Text(description="name", placeholder="new name", layout=_WIDE)
        self._path = widgets.Text(description="path", placeholder="on the server", layout=_WIDE)
        self._download = Download()
        self._upload = Upload(self.take, self.fail, _ACCEPT)
        self._confirm = widgets.HTML()
        self._really = widgets.HBox(layout=widgets.Layout(display="none", align_items="center"))
        buttons = {name: widgets.Button(description=name, tooltip=tip) for name, tip in _TIPS.items()}
        buttons["Delete"].button_style = "danger"
        yes, no = widgets.Button(description="Delete it", button_style="danger"), widgets.Button(description="Keep it")
        self._really.children = [self._confirm, yes, no]
        actions: dict[str, Callable[[], object]] = {
            "Refresh": self.refresh,
            "Download": self.download,
            "Write to path": self.write,
            "Rename": self.rename,
            "Delete": self.ask_to_delete,
            "Import path": self.bring_in,
        }
        for name, action in actions.items():
            self.click(buttons[name], action, always=False)
        self.click(yes, self.delete, always=False)
        self.click(no, self._hide_question)
        traitlets.link((self, "dataset"), (self._table, "selected"))
        self.on(self._chosen, "dataset")
        self.on(self._show_listed, "listed")
        self.on(self.refresh, "settings")
        self.observe(lambda _: setattr(self._upload, "disabled", self.phase is Phase.WORKING), "phase")
        with self.shown_errors():
            self.refresh()
        first = ("Refresh", "Download", "Delete")
        return [
            self._table,
            self._problem,
            row(*(buttons[name] for name in first), self._name, buttons["Rename"]),
            self._really,
            row(widgets.Label("Bring in a Parquet or export file, up to 5 MB:"), self._upload),
            row(self._path, buttons["Import path"], buttons["Write to path"]),
            self._download,
        ]

    def refresh(self) -> None:
        """List the datasets anew."""
        if self.settings is not None:
            self.listed = fl.datasets.list_datasets(self.settings)

    def take(self, name: str, content: bytes) -> None:
        """Make a dataset of a file that came through the browser; off the main thread."""
        with self.shown_errors():
            target, settings = _name_of(self._name.value, name), self.settings

            def bring_in(work: Work) -> fl.Dataset:
                with tempfile.TemporaryDirectory() as folder:
                    path = Path(folder) / name
                    path.write_bytes(content)
                    return _bring_in(path, target, settings, work)

            self.begin(bring_in, self._brought_in, stage="reading")

    def bring_in(self) -> None:
        """Make a dataset of the file at the path; off the main thread.

        Raises
        ------
        InvalidRequestError
            No path is given.
        """
        if not self._path.value.strip():
            raise InvalidRequestError("Give the path of a Parquet or export file on the server.")
        path, settings = Path(self._path.value.strip()).expanduser(), self.settings
        target = _name_of(self._name.value, path.name)
        self.begin(lambda work: _bring_in(path, target, settings, work), self._brought_in, stage="reading")

    def download(self) -> None:
        """Give the chosen dataset to the reader's machine, as one Parquet file; off the main thread."""
        dataset = self._opened()

        def give(_: Work) -> None:
            with tempfile.TemporaryDirectory() as folder:
                path = dataset.export(Path(folder) / f"{dataset.name}.parquet")
                self._download.give(path, path.name)

        self.begin(give, lambda _: setattr(self, "message", f"{dataset.name}.parquet was given to the browser."))

    def write(self) -> None:
        """Write the chosen dataset to the path on the server, as one Parquet or CSV file; off the main thread.

        Raises
        ------
        InvalidRequestError
            No path is given.
        """
        dataset, path = self._opened(), self._path.value.strip()
        if not path:
            raise InvalidRequestError("Give the path to write to, on the server; its name ends in .parquet or .csv.")
        self.begin(lambda _: dataset.export(path), lambda done: setattr(self, "message", f"Written: {done}."))

    def rename(self) -> None:
        """Give the chosen dataset the name in the field."""
        self.dataset = self._renamed(
            fl.datasets.rename_dataset(self._chosen_name(), self._name.value.strip(), self.settings)
        )

    def ask_to_delete(self) -> None:
        """Ask whether the chosen dataset is to be deleted."""
        self._confirm.value = f"Delete {self._chosen_name()} and all its files for good?"
        self._really.layout.display = ""

    def delete(self) -> None:
        """Delete the chosen dataset for good."""
        name = self._chosen_name()
        self._hide_question()
        fl.datasets.delete_dataset(name, self.settings)
        self.refresh()
        self.message = f"{name} is deleted."

    def code(self) -> str:
        """Return the calls that open the chosen dataset."""
        return (
            f'dataset = fl.datasets.open_dataset("{self.dataset}", settings)'
            if self.dataset
            else ("fl.datasets.list_datasets(settings)")
        )

    def _renamed(self, dataset: fl.Dataset) -> str:
        self.refresh()
        self.message = f"It is called {dataset.name} now."
        return dataset.name

    def _brought_in(self, dataset: fl.Dataset) -> None:
        self.refresh()
        self.dataset = dataset.name
        counts = dataset.counts
        self.message = (
            f"{dataset.name}: {counts.read:,} rows read = {counts.kept:,} kept + {counts.left_out:,} left out + "
            f"{counts.set_aside:,} set aside."
        )

    def _chosen_name(self) -> str:
        if not self.dataset:
            raise InvalidRequestError("Choose a dataset in the table first.")
        return self.dataset

    def _opened(self) -> fl.Dataset:
        return fl.datasets.open_dataset(self._chosen_name(), self.settings)

    def _chosen(self) -> None:
        self._hide_question()
        listed = self.listed
        problem = "" if listed is None else "".join(listed.loc[listed["name"] == self.dataset, "problem"])
        self._problem.value = f'<div class="frontierlab-note">{problem}</div>' if problem else ""

    def _hide_question(self) -> None:
        self._really.layout.display = "none"

    def _show_listed(self) -> None:
        self._table.show(self.listed, lambda record: "bad" if record["state"] == "damaged" else "")
        self._chosen()


_TIPS = {
    "Refresh": "List the datasets anew",
    "Download": "The chosen dataset as one Parquet file, through the browser",
    "Delete": "Remove the chosen dataset for good",
    "Rename": "Give the chosen dataset this name",
    "Import path": "Make a dataset of the Parquet or export file at this path on the server",
    "Write to path": "Write the chosen dataset there, as .parquet or .csv",
}


def _name_of(given: str, file: str) -> str:
    """Return the name of the new dataset: as given, or that of the file without its suffixes."""
    return given.strip() or file.split(".")[0]


def _bring_in(path: Path, name: str, settings: Any, work: Work) -> fl.Dataset:
    if not path.is_file():
        raise InvalidRequestError(f"There is no file {path} on the server.")
    with path.open("rb") as file:
        is_parquet = file.read(4) == b"PAR1" or path.suffix == ".parquet"
    if is_parquet:
        return fl.datasets.import_parquet(path, name, settings)
    job = fl.jobs.submit("extraction", settings=settings, source=path, name=name)
    dataset: fl.Dataset = follow(job, work)
    if dataset.counts.kept == 0:
        dataset.delete()
        raise InvalidRequestError(f"{path.name} holds no query logs. {' '.join(job.warnings)}")
    return dataset
