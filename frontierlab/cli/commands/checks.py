"""``frontierlab checks``: what operators look at every hour."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from frontierlab.cli.command import Call, Command
from frontierlab.cli.endings import CANNOT, FINDINGS, NOTHING
from frontierlab.cli.output import is_terminal, note, rows_of_frame
from frontierlab.cli.tables import escaped
from frontierlab.cli.types import DATASET, Time
from frontierlab.cli.words import in_words_of_options
from frontierlab.util.times import in_words

if TYPE_CHECKING:
    from frontierlab.checks import Findings

__all__ = ["command"]

_CHECKS = (
    *("failed_per_server", "failed_per_task", "threads", "silent_servers"),
    *("bad_sql", "long_queries", "unaligned_iovs", "hit_ratio"),
)
_SHOWN = ("severity", "check", "what", "since", "until", "value", "threshold", "unit")


@click.command(
    "checks",
    cls=Command,
    face="frontierlab.checks.run",
    examples=[
        "frontierlab checks overlay --since 2026-10-01T09:00 --until 2026-10-01T12:00 --every hour",
        "frontierlab checks --index --since 2026-10-01T10:00 --until 2026-10-01T11:00 --json",
    ],
    finds="something found, whether or not all checks could look",
    unseen="it could not be done; or nothing found, but a check could not look: the standard error says why",
)
@click.argument("datasets", metavar="[DATASET]...", nargs=-1, type=DATASET)
@click.option("--index", is_flag=True, help="Look at the es_index of the settings, without extracting.")
@click.option("--since", type=Time(), metavar="TIME", help="From this on. UTC.  [default: one window before --until]")
@click.option(
    "--until",
    type=Time(),
    metavar="TIME",
    help="Before this.  [default: the end of the last whole hour of the datasets, or of the clock for an index]",
)
@click.option(
    "--every",
    metavar="LENGTH",
    help="Look at each window of this length: hour, day, 30min, 6h, 2d.  [default: one window]",
)
@click.option(
    "--check",
    "checks",
    type=click.Choice(_CHECKS),
    metavar="CHECK",
    multiple=True,
    help=f"Run this check only: {', '.join(_CHECKS)}. Can be repeated.  [default: all]",
)
@click.pass_context
def command(ctx: click.Context, /, datasets: tuple[str, ...], index: bool, checks: tuple[str, ...], **when: Any) -> int:
    """Check what operators look at every hour.

    It looks at failed queries per server and per task, threads, silent servers, bad SQL, long queries, IOVs on no grid,
    and the share of cached queries against the week before: in datasets, or in the index. Silent sites, slow databases
    and larger answers are not looked at: frontierlab diagnose finds them. The thresholds are settings
    (check_…); those for an hour are scaled to the length of a window, so that a long one hides a short fault: look at a
    day with --every hour. A check that cannot look is told on the standard error: name those that can with --check, so
    that the exit code is 0 where they find nothing. A terminal shows each finding as a sentence, a pipe as a row of a
    table. The call that shows a finding is in --json.
    """
    from frontierlab.checks.rules import NOT_CHECKED
    from frontierlab.checks.run_checks import run

    if index == bool(datasets):
        raise click.UsageError("Name one or several datasets to look at, or give --index.")
    call: Call = ctx.obj
    source: Any = call.settings if index else datasets[0] if len(datasets) == 1 else [*datasets]
    found = run(source, checks=checks or None, settings=call.settings, **when)
    note(_looked_at(found, default=when["since"] is None and when["until"] is None))
    if not checks:
        note(in_words_of_options(NOT_CHECKED, ctx))
    for text in found.notes:
        note(in_words_of_options(text, ctx))
    for text in found.not_looked_in_words():
        note(in_words_of_options(text, ctx), "Could not look: ")
    if not len(found):
        note(_nothing(found))
    elif not call.out.as_json and is_terminal(sys.stdout):
        # a table has no room for the sentences, which are all that a reader needs
        call.out.text("\n".join(map(escaped, found.found_in_words())))
    else:
        call.out.rows(rows_of_frame(found.frame), list(found.frame.columns) if call.out.as_json else _SHOWN)
    if len(found):
        return FINDINGS
    return CANNOT if len(found.not_looked) else NOTHING


def _looked_at(found: Findings, *, default: bool) -> str:
    """Return which time was looked at, and how more of it is, where the time was not chosen."""
    start, stop = (in_words(time) for time in (found.since, found.until))
    told = f"Looked at {start.removesuffix(' UTC')} to {stop}"
    if not default:
        return f"{told}."
    return f"{told}, the last of the data: --since and --until look at more, with --every hour at each hour of it."


def _nothing(found: Findings) -> str:
    if not len(found.not_looked):
        return "Nothing found."
    whole = found.not_looked.query("since <= @found.since and until >= @found.until")
    if set(found.checks) <= set(whole["check"]):
        return "No check could look: whether there is something to find is not known."
    return "Nothing found by the checks that could look."
