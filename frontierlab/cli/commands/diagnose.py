"""``frontierlab diagnose``: what went wrong, without being asked where to look."""

from __future__ import annotations

from typing import Any

import click

from frontierlab.cli.command import Call, Command
from frontierlab.cli.endings import FINDINGS, NOTHING
from frontierlab.cli.output import note, rows_of_frame
from frontierlab.cli.sources import datasets_argument, opened

__all__ = ["command"]


@click.command(
    "diagnose",
    cls=Command,
    face="frontierlab.diagnose",
    examples=[
        "frontierlab diagnose overlay --output diagnosis.html",
        "frontierlab diagnose nightly-2026-10-02 --baseline previous",
    ],
    interrupted="Nothing was written.",
    selects=True,
    finds="incidents were found",
)
@datasets_argument
@click.option(
    "--baseline",
    "baselines",
    metavar="DATASET|WORD",
    multiple=True,
    help="What is normal: datasets (give it several times), previous (the time of the same length just before), or "
    "weekdays (the same time of the week in the four weeks before). By default the datasets themselves.",
)
@click.option("--output", metavar="FILE", help="Also write a page of text and figures, which ends in .html.")
@click.pass_obj
def command(
    call: Call, /, datasets: tuple[str, ...], baselines: tuple[str, ...], output: str | None, selection: Any
) -> int:
    """Find what went wrong: incidents with their names, times, costs and what helps.

    The most costly incident is first. With --json each is an object with all columns of the incidents. What is normal
    is taken from the datasets themselves, if no baseline is given: name whole days.
    """
    from frontierlab import diagnose

    baseline: Any = [*baselines] if len(baselines) > 1 else baselines[0] if baselines else None
    logs = opened(datasets, call.settings)
    found = diagnose(logs, baseline=baseline, selection=selection, settings=call.settings)
    if call.out.as_json:
        for text in found.notes:
            note(text)
        call.out.rows(rows_of_frame(found.incidents), list(found.incidents.columns), "Nothing unusual was found.")
    else:
        call.out.text(f"{found}\n")
    if output is not None:
        note(f"Written: {found.to_html(output)}")
    return FINDINGS if len(found) else NOTHING
