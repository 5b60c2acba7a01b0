"""``frontierlab datasets``: the datasets of the data folder."""

from __future__ import annotations

import sys
from typing import Any

import click

from frontierlab.cli.command import Call, Command
from frontierlab.cli.endings import CANNOT, FINDINGS, NOTHING
from frontierlab.cli.group import Group
from frontierlab.cli.output import is_terminal, note
from frontierlab.cli.types import DATASET
from frontierlab.cli.words import elsewhere

__all__ = ["command"]

_COLUMNS = ("name", "state", "rows", "since", "until", "size", "created", "problem")


@click.group("datasets", cls=Group, default="list")
def command() -> None:
    """List the datasets, look at one, rename, export or delete it. Without a command: list."""


@command.command("list", cls=Command, face="frontierlab.datasets.list_datasets", examples=["frontierlab datasets"])
@click.pass_context
def list_(ctx: click.Context) -> None:
    """List the datasets of the data folder.

    rows: queries; since, until: times of the first and the last one; size: bytes; problem: why it cannot be opened.
    """
    from frontierlab.storage.listing import dataset_records

    call: Call = ctx.obj
    folder = call.settings.data_dir
    empty = f"There is no dataset in {folder / 'datasets'} yet. {elsewhere(ctx)}"
    call.out.rows(dataset_records(folder), _COLUMNS, empty)


@command.command(
    "show",
    cls=Command,
    face="frontierlab.datasets.open_dataset",
    examples=["frontierlab datasets show overlay", "frontierlab datasets show overlay --json"],
    finds="the dataset is incomplete, or it lacks something that was asked for",
)
@click.argument("name", type=DATASET)
@click.pass_obj
def show(call: Call, name: str) -> int:
    """Show what a dataset holds, where it is from, and what it lacks."""
    from frontierlab.storage.losses import losses
    from frontierlab.storage.store import open_dataset

    dataset = open_dataset(name, call.settings)
    outcome, complete = dataset.outcome(), dataset.state == "complete"
    lacks = [loss.text for loss in losses(dataset, call.settings)] if complete else []
    counts = outcome.counts
    known: dict[str, Any] = {
        "name": dataset.name,
        "state": "thinned" if dataset.is_thinned else dataset.state,
        "path": dataset.path,
        "read": counts.read,
        "kept": counts.kept,
        "left_out": dict(outcome.left_out),
        "malformed": dict(outcome.malformed),
        "size": dataset.size(),
        "created": dataset.manifest.created,
        "request": dataset.manifest.request,
        "lacks": lacks,
    }
    text = [
        f"{name}: {known['state']}, {dataset.size() / 1e6:,.1f} MB in {dataset.path}",
        f"{counts.read:,} documents read = {counts.kept:,} kept + {counts.left_out:,} left out + "
        f"{counts.malformed:,} malformed",
        *(f"  left out: {number:,} {reason}" for reason, number in outcome.left_out.items()),
        *(f"  malformed: {number:,} {reason}" for reason, number in outcome.malformed.items()),
        f"created {dataset.manifest.created}",
        *(f"{key}: {value}" for key, value in dataset.manifest.request.items() if value not in (None, "", {})),
        *lacks,
    ]
    call.out.record(known, "\n".join(text))
    return NOTHING if complete and not lacks else FINDINGS


@command.command(
    "malformed",
    cls=Command,
    face="frontierlab.Dataset.malformed",
    examples=["frontierlab datasets malformed overlay --json"],
)
@click.argument("name", type=DATASET)
@click.pass_obj
def malformed(call: Call, name: str) -> None:
    """List malformed documents, with the reason."""
    from frontierlab.storage.store import open_dataset

    call.out.frame(open_dataset(name, call.settings).malformed(), "No document was malformed.")


@command.command(
    "export",
    cls=Command,
    face="frontierlab.Dataset.export",
    examples=["frontierlab datasets export overlay overlay.csv"],
    interrupted="No new file is left, and an old one is as it was.",
)
@click.argument("name", type=DATASET)
@click.argument("path", type=click.Path(dir_okay=False))
@click.option("--overwrite", is_flag=True, help="Replace a file that exists.")
@click.pass_obj
def export(call: Call, name: str, path: str, overwrite: bool) -> None:
    """Write all rows of a dataset to one file, which ends in .parquet or .csv."""
    from frontierlab.storage.store import open_dataset

    written = open_dataset(name, call.settings).export(path, overwrite=overwrite)
    call.out.record({"path": written}, str(written))


@command.command(
    "import",
    cls=Command,
    face="frontierlab.datasets.import_parquet",
    examples=["frontierlab datasets import old.parquet from-old"],
    finds="the dataset lacks something: warnings say what",
    interrupted="No dataset was made.",
)
@click.argument("path", type=click.Path(exists=True))
@click.argument("name")
@click.option(
    "--complete/--no-complete", default=True, help="Complete ids and names from the catalogue.  [default: complete]"
)
@click.pass_obj
def import_(call: Call, path: str, name: str, complete: bool) -> int:
    """Make a dataset of Parquet files.

    PATH is a file, or a folder of them.
    """
    from frontierlab.extraction.import_parquet import import_parquet
    from frontierlab.storage.losses import losses

    dataset = import_parquet(path, name, call.settings, complete=complete)
    call.out.record(
        {"name": dataset.name, "rows": dataset.counts.kept}, f"{name}: {dataset.counts.kept:,} rows in {dataset.path}"
    )
    return FINDINGS if losses(dataset, call.settings) else NOTHING


@command.command(
    "rename",
    cls=Command,
    face="frontierlab.datasets.rename_dataset",
    examples=["frontierlab datasets rename overlay overlay-october"],
)
@click.argument("name", type=DATASET)
@click.argument("new_name")
@click.pass_obj
def rename(call: Call, name: str, new_name: str) -> None:
    """Rename a dataset. Its jobs and stored caching figures keep the old name."""
    from frontierlab.storage.store import rename_dataset

    rename_dataset(name, new_name, call.settings)
    call.out.record({"name": new_name}, f"{name} is now {new_name}.")


@command.command(
    "delete",
    cls=Command,
    face="frontierlab.datasets.delete_dataset",
    examples=["frontierlab datasets delete overlay --yes"],
)
@click.argument("name", type=DATASET)
@click.option("--yes", is_flag=True, help="Do not ask before.")
@click.pass_obj
def delete(call: Call, name: str, yes: bool) -> int:
    """Delete a dataset and all its files for good, also a damaged one."""
    from frontierlab.storage.store import delete_dataset

    if not yes:
        if not is_terminal(sys.stdin):
            raise click.UsageError(f"Deleting {name} is for good: give --yes where nobody can be asked.")
        if not click.confirm(f"Delete the dataset {name} for good?", err=True):
            note("Nothing was deleted.")
            return CANNOT
    delete_dataset(name, call.settings)
    call.out.record({"name": name, "deleted": True}, f"{name} is deleted.")
    return NOTHING
