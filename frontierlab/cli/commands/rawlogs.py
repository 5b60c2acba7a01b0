"""``frontierlab rawlogs``: logs of servlets and Squids, read without Elasticsearch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from frontierlab.cli.command import Call, Command
from frontierlab.cli.endings import FINDINGS, NOTHING
from frontierlab.cli.group import Group
from frontierlab.cli.output import note
from frontierlab.cli.words import elsewhere

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["command"]

_COMPLETE = click.option(
    "--complete/--no-complete", default=True, help="Name folders and tags from the catalogue.  [default: complete]"
)
_PERSONAL = click.option(
    "--keep-personal-data",
    is_flag=True,
    help="Store accounts and addresses as they were logged.  [default: replace them by hashes with the setting "
    "personal_data_key]",
)
_FOLLOW = click.option("--follow", is_flag=True, help="Go on reading what is written to the logs.")
_SECONDS = click.option("--seconds", type=float, help="How long to follow.  [default: until it is stopped]")
_PART_SECONDS = click.option(
    "--part-seconds", type=float, default=60.0, show_default=True, help="About how often a part is stored, in seconds."
)
_PATHS = click.argument("paths", metavar="PATH...", nargs=-1, required=True)
_PARTS_STAY = "Nothing was stored, unless the logs are followed: then parts stay, and the same command goes on."


@click.group("rawlogs", cls=Group, default="list")
def command() -> None:
    """Read logs of servlets and Squids, without Elasticsearch. Without a command: list.

    PATH is a log file, also compressed, a folder of them, or a pattern in quotes; rotated files are put in order.
    """


@command.command(
    "list",
    cls=Command,
    face="frontierlab.rawlogs.squid.list_squid_logs",
    examples=["frontierlab rawlogs"],
)
@click.pass_context
def list_(ctx: click.Context) -> None:
    """List the Squid logs that were read. What was read of servlets is in frontierlab datasets."""
    from frontierlab.rawlogs.squid import list_squid_logs

    call: Call = ctx.obj
    frame = list_squid_logs(call.settings)
    folder = call.settings.data_dir / "squid_logs"
    empty = f"There are no Squid logs in {folder} yet: frontierlab rawlogs squid reads some. {elsewhere(ctx)}"
    call.out.frame(frame, empty)


@command.command(
    "servlet",
    cls=Command,
    face="frontierlab.rawlogs.read_servlet_logs",
    examples=[
        "frontierlab rawlogs servlet night servlets",
        "frontierlab rawlogs servlet night 'servlets/*/catalina.out*' --json",
        "frontierlab rawlogs servlet live servlets --follow --seconds 1",
    ],
    finds="lines were set aside: warnings say which",
    interrupted=_PARTS_STAY,
)
@click.argument("name")
@_PATHS
@click.option(
    "--host",
    "hosts",
    multiple=True,
    metavar="PART=NAME",
    help="Name of the machine of logs with PART in their path. Can be repeated.  [default: the server's name in the "
    "lines]",
)
@_FOLLOW
@_SECONDS
@_PART_SECONDS
@_COMPLETE
@_PERSONAL
@click.pass_obj
def servlet(call: Call, /, name: str, paths: tuple[str, ...], hosts: tuple[str, ...], **more: Any) -> int:
    """Read logs of servlets (catalina.out) into the new dataset NAME."""
    from frontierlab.rawlogs import read_servlet_logs

    dataset = read_servlet_logs([*paths], call.settings, name=name, hosts=_pairs(hosts, "--host"), **more)
    lines, counts = dataset.manifest.source["lines"], dataset.counts
    for text in dataset.manifest.notes:
        note(text)
    call.out.record(
        {"name": name, "path": dataset.path, "queries": counts.kept, "left_out": counts.left_out, "lines": lines},
        f"{name}: {counts.kept:,} queries in {dataset.path}, {counts.left_out:,} left out\n{_accounted(lines)}",
    )
    return FINDINGS if lines["set_aside"] else NOTHING


@command.command(
    "squid",
    cls=Command,
    face="frontierlab.rawlogs.read_squid_logs",
    examples=[
        "frontierlab rawlogs squid october squids --timezone Europe/Zurich",
        "frontierlab rawlogs squid live squids --follow --seconds 1",
    ],
    finds="lines were set aside: they are in malformed lines of the Squid logs",
    interrupted=_PARTS_STAY,
)
@click.argument("name")
@_PATHS
@click.option(
    "--timezone",
    default="UTC",
    show_default=True,
    help="Time zone of the Squids' hosts, which the +0000 of their lines hides.",
)
@click.option(
    "--squid",
    "squids",
    multiple=True,
    metavar="PATTERN=NAME",
    help="Name of the Squid of paths like PATTERN. Can be repeated.  [default: what tells the paths apart]",
)
@click.option(
    "--site", "sites", multiple=True, metavar="SQUID=SITE", help="The site of a Squid, by its name. Can be repeated."
)
@_FOLLOW
@_SECONDS
@_PART_SECONDS
@_COMPLETE
@_PERSONAL
@click.pass_obj
def squid(
    call: Call, /, name: str, paths: tuple[str, ...], squids: tuple[str, ...], sites: tuple[str, ...], **more: Any
) -> int:
    """Read access logs of Squids into the new Squid logs NAME."""
    from frontierlab.rawlogs import read_squid_logs

    more |= {"squids": _pairs(squids, "--squid"), "sites": _pairs(sites, "--site"), "progress": True}
    logs = read_squid_logs([*paths], call.settings, name=name, **more)
    lines, found = logs.manifest.lines, logs.manifest
    for text in logs.notes:
        note(text)
    others = sum(found.others.values())
    call.out.record(
        {"name": name, "path": logs.path, "answers": found.rows, "others": found.others, "lines": lines},
        f"{name}: {found.rows:,} answers to requests for Frontier in {logs.path}, {others:,} other lines\n"
        f"{_accounted(lines)}",
    )
    return FINDINGS if lines["set_aside"] else NOTHING


def _accounted(lines: Mapping[str, Any]) -> str:
    aside = sum(lines["set_aside"].values())
    return (
        f"{lines['lines']:,} lines = {lines['used']:,} used + {lines['continuations']:,} continuations + "
        f"{aside:,} set aside"
    )


def _pairs(words: tuple[str, ...], option: str) -> dict[str, str] | None:
    """Return the names by what stands before the equals sign; None without any."""
    pairs = [word.rpartition("=") for word in words]
    for word, (before, equals, after) in zip(words, pairs, strict=True):
        if not (before and equals and after):
            raise click.UsageError(f"{option} {word} has no name behind an equals sign. Write {option} part=name.")
    return {before: after for before, _, after in pairs} or None
