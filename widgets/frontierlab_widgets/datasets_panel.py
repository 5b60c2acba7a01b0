"""The datasets of the data folder: list, choose, import, export, rename and delete."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from html import escape
from pathlib import Path

import pandas as pd
import traitlets
from ipywidgets import Widget

import frontierlab as fl
from frontierlab import jobs
from frontierlab.errors import FrontierlabError, InvalidRequestError
from frontierlab.storage.losses import losses
from frontierlab_widgets import elements
from frontierlab_widgets.browser_files import MOST_UP, Download, Upload
from frontierlab_widgets.code_box import Expression, call
from frontierlab_widgets.dataset_files import bring_in_file, is_raw_log, marks_of_datasets, new_name_of
from frontierlab_widgets.dataset_names import counted, plain_name, request_again
from frontierlab_widgets.follow_job import follow
from frontierlab_widgets.formatting import megabytes, moment, notes, number, warning_box
from frontierlab_widgets.panel import PANEL_LOCK, Panel, Phase, row
from frontierlab_widgets.table import Table, TableColumn
from frontierlab_widgets.work import Work

__all__ = ["DatasetsPanel"]

_COLUMNS = (
    TableColumn("name", "Name"),
    TableColumn("state", "State", "complete; incomplete: its extraction stopped or still runs; damaged: see below"),
    TableColumn("rows", "Rows", "queries in it", number, number=True),
    TableColumn("since", "First query", "UTC", moment),
    TableColumn("until", "Last query", "UTC", moment),
    TableColumn("size", "Size", "on the disk; MB are 10^6 bytes", megabytes, number=True),
    TableColumn("created", "Extracted", "UTC", moment),
)
_NARROW = {"width": "90px"}
_EVERY = 2.0  # seconds between two checks of the folder


class DatasetsPanel(Panel):
    """List the datasets, and work on the chosen one.

    Parameters
    ----------
    settings
        By default ``Settings()``.

    Attributes
    ----------
    dataset : str
        Name of the chosen dataset; empty if none is chosen.
    new_name : str
        The name that *Rename* gives the chosen dataset.
    path : str
        A file on the server, for *Import path* and *Write to path*.
    import_name : str
        Name of the imported dataset; empty to use the name of the file.
    replace : bool
        Whether *Write to path* may replace a file.
    listed : DataFrame
        The last result of `frontierlab.datasets.list_datasets`.
    """

    title = "Datasets"

    dataset = traitlets.Unicode().tag(saved=True)
    new_name = traitlets.Unicode()
    path = traitlets.Unicode()
    import_name = traitlets.Unicode()
    replace = traitlets.Bool(False)
    listed = traitlets.Instance(pd.DataFrame, allow_none=True)

    def build(self) -> list[Widget]:
        """Build the table, the actions on the chosen dataset, and the two kinds of import."""
        empty = "There is no dataset yet: extract one, or import a file below."
        self._table = Table(_COLUMNS, "name", empty, label="Datasets")
        self._problem = elements.HTML()
        fields = {
            "new_name": self.bind("new_name", _text("new name", "for the chosen dataset"), read=plain_name),
            "path": self.bind("path", _text("path", "of a file or folder on the server"), read=str.strip),
            "import_name": self.bind("import_name", _text("as", "name; empty: the file's name"), read=plain_name),
            "replace": self.bind("replace", elements.Checkbox(description="replace", indent=False, layout=_NARROW)),
        }
        self._download = Download()
        self._upload = Upload(self.take, self.fail, "")  # any name: rotated logs end in numbers
        self._lost = elements.HTML()
        self._confirm = elements.HTML()
        self._doomed = ""
        self._known: object = None
        self._really = elements.HBox(layout=elements.layout(display="none", align_items="center"))
        buttons = {name: elements.Button(description=name, tooltip=tip) for name, tip in _TIPS.items()}
        buttons["Delete"].button_style = "danger"
        yes, no = (
            elements.Button(description="Delete it", button_style="danger"),
            elements.Button(description="Keep it"),
        )
        self._really.children = [self._confirm, yes, no]
        actions: dict[str, Callable[[], object]] = {
            "Refresh": self.refresh,
            "Download": self.download,
            "Write to path": self.write,
            "Rename": self.rename,
            "Resume": self.resume,
            "Delete": self.ask_to_delete,
            "Import path": self.bring_in,
        }
        self._opening = elements.Button(description="Look at it", tooltip="Show the chosen dataset in the Overview")
        elements.show(self._opening, False)  # a dashboard has that tab
        self._open: Callable[[str], object] = lambda name: None
        self._hand_over: Callable[[str, bytes | None], object] = _refuse_raw_logs
        self.click(self._opening, lambda: self._open(self._chosen_name()), when=self._is_chosen)
        for name, action in actions.items():
            when = {"Resume": self._is_incomplete}.get(name, self._is_chosen if name in _ON_THE_CHOSEN else None)
            self.click(buttons[name], action, always=False, uses=_USED.get(name, ()), when=when)
        self.click(yes, self.delete, always=False)
        self.click(no, self._hide_question)
        traitlets.link((self, "dataset"), (self._table, "selected"))
        self.on(self._chosen, "dataset")
        self.observe(lambda _: self.allow(), "dataset")
        self.on(self._show_listed, "listed")
        self.on(self.refresh, "settings")
        self.observe(lambda _: self._allow_upload(), ["phase", "invalid"])
        self.tick(self.look, _EVERY)
        with self.shown_errors():
            self.refresh()
        first = ("Refresh", "Resume", "Download", "Delete")
        return [
            self._table,
            self._problem,
            row(self._opening, *(buttons[name] for name in first), fields["new_name"], buttons["Rename"]),
            self._really,
            row(
                fields["path"],
                fields["import_name"],
                buttons["Import path"],
                buttons["Write to path"],
                fields["replace"],
            ),
            row(
                elements.Label(
                    f"Or import an export, Parquet file or raw log from your machine, up to {MOST_UP / 1e6:g} MB:"
                ),
                self._upload,
            ),
            self._lost,
            self._download,
        ]

    def lead(self, open_dataset: Callable[[str], object], take_raw_logs: Callable[[str, bytes | None], object]) -> None:
        """Say what shows a dataset, and offer it for the chosen one; and what takes a raw log that was given here."""
        self._open, self._hand_over = open_dataset, take_raw_logs
        elements.show(self._opening, True)

    def refresh(self) -> None:
        """List the datasets again."""
        if self.settings is not None:
            known, listed = marks_of_datasets(self.settings), fl.datasets.list_datasets(self.settings)
            with PANEL_LOCK:  # not earlier: reading a remote folder can be slow
                self._known, self.listed = known, listed

    def look(self) -> None:
        """List the datasets again if any process has changed their folder; the check is cheap."""
        if self.settings is not None and marks_of_datasets(self.settings) != self._known:
            self.refresh()

    def take(self, name: str, content: bytes) -> None:
        """Import a file that was uploaded through the browser, off the main thread."""

        def run(work: Work) -> fl.Dataset | None:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / name
                path.write_bytes(content)
                try:
                    return None if is_raw_log(path) else bring_in_file(path, target, settings, work)
                except FrontierlabError as error:  # the message names the user's file, not the temporary copy
                    raise InvalidRequestError(str(error).replace(f"{folder}/", "")) from error

        with PANEL_LOCK, self.shown_errors():
            self.require_valid("import_name")
            self.require_idle()
            settings = self.require_settings()
            target = new_name_of(self.import_name, name, settings)
            self._lost.value = ""
            self.begin(run, lambda done: self._brought_in(done, name, content), stage="reading")

    def bring_in(self) -> None:
        """Import the file at the path, off the main thread.

        Raises
        ------
        InvalidRequestError
            The path is missing, or the name is taken or not valid.
        """
        if not self.path:
            raise InvalidRequestError("Give the path of a Parquet or export file on the server, in the field path.")
        path, settings = Path(self.path).expanduser(), self.require_settings()
        target = new_name_of(self.import_name, path.name, settings)
        self._lost.value = ""

        def run(work: Work) -> fl.Dataset | None:
            return None if is_raw_log(path) else bring_in_file(path, target, settings, work)

        self.begin(run, lambda done: self._brought_in(done, str(path), None), stage="reading")

    def download(self) -> None:
        """Download the chosen dataset as one Parquet file, off the main thread."""
        dataset = self._whole()

        def give(_: Work) -> None:
            with tempfile.TemporaryDirectory() as folder:
                path = dataset.export(Path(folder) / f"{dataset.name}.parquet")
                self._download.give(path, path.name)

        self.begin(
            give,
            lambda _: setattr(self, "message", f"{dataset.name}.parquet was given to the browser."),
            stage="writing",
        )

    def write(self) -> None:
        """Write the chosen dataset to the path on the server, as one Parquet or CSV file, off the main thread.

        Raises
        ------
        InvalidRequestError
            The path is missing, or its file exists and may not be replaced.
        """
        dataset, path, replace = self._whole(), Path(self.path).expanduser(), self.replace
        if not self.path:
            raise InvalidRequestError(
                "Give the path to write to, on the server, in the field path; its name ends in .parquet or .csv."
            )
        if path.exists() and not replace:
            raise InvalidRequestError(f"There is a file {path} already. Tick replace, or give another path.")
        self.begin(
            lambda _: dataset.export(path, overwrite=replace),
            lambda done: setattr(self, "message", f"Written: {done}."),
            stage="writing",
        )

    def resume(self) -> None:
        """Resume the extraction of the chosen dataset, as a job with the same request.

        Raises
        ------
        InvalidRequestError
            The dataset is complete.
        DatasetError
            Its request is not known, as that of an interrupted import.
        """
        name, settings = self._chosen_name(), self.require_settings()
        dataset = fl.datasets.open_dataset(name, settings)
        if dataset.state == "complete":
            raise InvalidRequestError(f"The dataset {name} is complete: there is nothing to resume.")
        if dataset.manifest.source.get("following"):
            raise InvalidRequestError(
                f"The dataset {name} follows raw logs. In Data, Raw logs, give {dataset.manifest.request['source']} "
                f"and the name {name}: Follow goes on with it, and Complete ends it."
            )
        given = request_again(dataset)

        def run(work: Work) -> fl.Dataset:
            done: fl.Dataset = follow(jobs.submit("extraction", settings=settings, name=name, **given), work)
            return done

        self.begin(run, self._resumed, stage="resuming")

    def _resumed(self, dataset: fl.Dataset) -> None:
        self.refresh()
        self.message = f"{dataset.name} is complete: {counted(dataset.counts)}."
        self._lost.value = warning_box(loss.text for loss in losses(dataset, self.require_settings()))

    def rename(self) -> None:
        """Rename the chosen dataset to the name in the field."""
        name = self._chosen_name()
        if not self.new_name:
            raise InvalidRequestError(f"Type another name for {name} into the field new name.")
        self.dataset = self._renamed(fl.datasets.rename_dataset(name, self.new_name, self.require_settings()))

    def ask_to_delete(self) -> None:
        """Ask for confirmation to delete the chosen dataset."""
        self._doomed = self._chosen_name()
        self._confirm.value = f"Delete {escape(self._doomed)} and all its files for good?"
        elements.show(self._really, True)

    def delete(self) -> None:
        """Delete the dataset that was confirmed, off the main thread. This cannot be undone."""
        name, settings = self._doomed or self._chosen_name(), self.require_settings()
        self._hide_question()

        def then(_: None) -> None:
            self.refresh()
            self.message = f"{name} is deleted."

        self.begin(lambda _: fl.datasets.delete_dataset(name, settings), then, stage="deleting")

    def stopped_message(self, error: BaseException | None) -> str:
        """Say that the list shows what remains."""
        self.refresh()
        return "Stopped. The table above shows the datasets that exist; an incomplete one can be resumed or deleted."

    def code(self) -> str:
        """Return the code that opens the chosen dataset."""
        settings = Expression("settings")
        if not self.dataset:
            return call("fl.datasets.list_datasets", settings)
        return call("dataset = fl.datasets.open_dataset", self.dataset, settings)

    def _renamed(self, dataset: fl.Dataset) -> str:
        self.refresh()
        self.message = f"The dataset is called {dataset.name} now."
        return dataset.name

    def _brought_in(self, dataset: fl.Dataset | None, file: str, content: bytes | None) -> None:
        if dataset is None:
            self._hand_over(file, content)
            return
        self.refresh()
        self.dataset = dataset.name
        self.message = f"{dataset.name}: {counted(dataset.counts)}."
        self._lost.value = warning_box(loss.text for loss in losses(dataset, self.require_settings()))

    def _is_incomplete(self) -> bool:
        listed = self.listed
        return listed is not None and "incomplete" in listed.loc[listed["name"] == self.dataset, "state"].tolist()

    def _is_chosen(self) -> bool:
        return bool(self.dataset)

    def _chosen_name(self) -> str:
        if not self.dataset:
            raise InvalidRequestError("Choose a dataset in the table first.")
        return self.dataset

    def _whole(self) -> fl.Dataset:
        """Return the chosen dataset, which must be complete."""
        dataset = fl.datasets.open_dataset(self._chosen_name(), self.require_settings())
        if dataset.state != "complete":
            raise InvalidRequestError(
                f"The dataset {dataset.name} is incomplete. Click Resume first: its extraction goes on where it "
                "stopped."
            )
        return dataset

    def _chosen(self) -> None:
        self._hide_question()
        self._show_problem()

    def _show_problem(self) -> None:
        listed = self.listed
        problems = () if listed is None else listed.loc[listed["name"] == self.dataset, "problem"]
        self._problem.value = notes(filter(None, problems))

    def _hide_question(self) -> None:
        self._doomed = ""
        elements.show(self._really, False)

    def _show_listed(self) -> None:
        self.allow()
        if self.listed is not None:
            self._table.show(self.listed, lambda record: "bad" if record["state"] == "damaged" else "")
        self._show_problem()

    def _allow_upload(self) -> None:
        self._upload.disabled = self.phase is Phase.WORKING or "import_name" in self.invalid


def _refuse_raw_logs(file: str, _: bytes | None) -> None:
    raise InvalidRequestError(f"{file} is a log of a servlet or a Squid. The panel of raw logs reads it.")


_TIPS = {
    "Refresh": "List the datasets again",
    "Resume": "Extract what the chosen dataset lacks: its extraction goes on where it stopped",
    "Download": "The chosen dataset as one Parquet file, through the browser",
    "Delete": "Remove the chosen dataset for good",
    "Rename": "Give the chosen dataset this name",
    "Import path": "Make a dataset of the export file, Parquet file or folder of Parquet files at this path",
    "Write to path": "Write the chosen dataset there, as .parquet or .csv",
}
_ON_THE_CHOSEN = {"Download", "Write to path", "Rename", "Delete"}
_USED = {
    "Rename": ["new_name"],
    "Import path": ["path", "import_name"],
    "Write to path": ["path", "replace"],
}


def _text(description: str, placeholder: str) -> elements.Text:
    return elements.Text(
        description=description, placeholder=placeholder, continuous_update=False, layout=elements.field_layout()
    )
