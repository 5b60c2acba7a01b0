"""``frontierlab catalogue``: the folders and tags of COOL."""

from __future__ import annotations

from typing import Any

import click

from frontierlab.cli.command import Call, Command
from frontierlab.cli.endings import FINDINGS, NOTHING
from frontierlab.cli.group import Group
from frontierlab.cli.output import note

__all__ = ["command"]


@click.group("catalogue", cls=Group)
def command() -> None:
    """Build or search the catalogue of folders."""


@command.command(
    "refresh",
    cls=Command,
    face="frontierlab.catalogues.refresh",
    examples=["frontierlab catalogue refresh"],
    finds="COOLR did not give some lists; their former rows are kept",
    interrupted="The catalogue is as it was. The same command goes on with the answers that are kept.",
)
@click.option("--force", is_flag=True, help="Ask for everything again, even if the catalogue is fresh.")
@click.pass_obj
def refresh(call: Call, force: bool) -> int:
    """Build the catalogue again if it is old.

    That is: if it is missing, lacks a database instance, or is older than coolr_refresh_hours.
    """
    from frontierlab.catalogues import refresh as build

    done = build(call.settings, force=force)
    for failure in done.failures:
        note(" ".join([*filter(None, failure[:4]), failure.error]), "Warning: ")
    table, path = done.catalogue.table, call.settings.catalogue_path
    call.out.record(
        {"path": path, "rows": table.num_rows, "when": done.when, "failures": len(done.failures)},
        f"{path}: {table.num_rows:,} folders and tags, of {done.when:%Y-%m-%d %H:%M} UTC",
    )
    return FINDINGS if done.failures else NOTHING


@command.command(
    "find",
    cls=Command,
    face="frontierlab.catalogues.find_folders",
    examples=["frontierlab catalogue find --db CONDBR2 --folder pixel"],
)
@click.option("--db", metavar="PART", help="Part of the database instance; upper and lower case are equal, as in all.")
@click.option("--schema", metavar="PART", help="Part of the schema.")
@click.option("--folder", "node", metavar="PART", help="Part of the full path of the folder.")
@click.option("--tag", metavar="PART", help="Part of the tag.")
@click.option("--node-id", type=click.INT, help="Number of the folder.")
@click.option("--tag-id", type=click.INT, help="Number of the tag.")
@click.pass_obj
def find(call: Call, /, **parts: Any) -> None:
    """List folders and tags of the catalogue."""
    from frontierlab.catalogue import Catalogue
    from frontierlab.catalogues import find_folders

    found = find_folders(Catalogue.read(call.settings.catalogue_path), **parts)
    call.out.frame(found, "No folder of the catalogue meets this.")
