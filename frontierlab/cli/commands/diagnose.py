"""``frontierlab diagnose``: what went wrong, without being asked where to look."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from frontierlab.cli.command import Call, Command
from frontierlab.cli.endings import FINDINGS, NOTHING
from frontierlab.cli.output import note, rows_of_frame
from frontierlab.cli.sources import opened
from frontierlab.cli.types import DATASET

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["command"]


@click.command(
    "diagnose",
    cls=Command,
    face="frontierlab.diagnose",
    examples=[
        "frontierlab diagnose overlay --output diagnosis.html",
        "frontierlab diagnose nightly-2026-10-02 --baseline previous",
        "frontierlab diagnose --history --since 2026-10-01 --folder /PIXEL/PixCalib",
    ],
    interrupted="Nothing was written.",
    selects=True,
    finds="incidents were found",
)
@click.argument("datasets", metavar="[DATASET]...", nargs=-1, type=DATASET)
@click.option("--store", is_flag=True, help="Also store the incidents in the history, to see which come again.")
@click.option("--history", is_flag=True, help="List the stored incidents instead, of all or of one dataset.")
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
    call: Call,
    /,
    datasets: tuple[str, ...],
    store: bool,
    history: bool,
    baselines: tuple[str, ...],
    output: str | None,
    selection: Any,
) -> int:
    """Find what went wrong: incidents with their names, times, costs and what helps.

    The most costly incident is first; --history lists the stored ones of a time or a scope, the oldest first. With
    --json each is an object with all columns of the incidents. What is normal is taken from the datasets themselves, if
    no baseline is given: name whole days.
    """
    from frontierlab import diagnose
    from frontierlab.diagnosis import history as kept

    if history:
        if store or baselines or output is not None or len(datasets) > 1:
            raise click.UsageError("--history lists what is stored: it takes one DATASET at most, and no other option.")
        name = next(iter(datasets), None)
        return _list(call, kept.read(call.settings, selection=selection, dataset=name), name)
    if not datasets:
        raise click.UsageError("Name one or several datasets to diagnose, or give --history.")
    baseline: Any = [*baselines] if len(baselines) > 1 else baselines[0] if baselines else None
    logs = opened(datasets, call.settings)
    found = diagnose(logs, baseline=baseline, selection=selection, settings=call.settings)
    if call.out.as_json:
        for text in found.notes:
            note(text)
        call.out.rows(rows_of_frame(found.incidents), list(found.incidents.columns), "Nothing unusual was found.")
    else:
        lines = [
            f"{number}. {one.sentence}{f' {one.belongs_to}'.rstrip()}\n   {one.advice} Tell {one.tell}."
            for number, one in enumerate(found, 1)
        ]
        lines = lines or ["Nothing unusual was found."]
        call.out.text("\n".join([found.head, *lines, *found.order, *found.always, *found.notes, ""]))
    if output is not None:
        note(f"Written: {found.to_html(output)}")
    if store:
        note(f"{kept.store(found, call.settings):,} incidents are stored in the history.")
    return FINDINGS if len(found) else NOTHING


def _list(call: Call, frame: pd.DataFrame, dataset: str | None) -> int:
    """List stored incidents: sentences in a terminal or a pipe, all columns as JSON."""
    if not frame.attrs["diagnosed"]:
        note(f"No diagnosis{f' of the dataset {dataset}' * (dataset is not None)} is stored: --store stores one.")
    for text in frame.attrs["notes"]:
        note(text)
    if call.out.as_json:
        call.out.rows(rows_of_frame(frame), list(frame.columns), "No incidents are stored.")
    else:
        again = [f" (on {row['days']} days)" * (row["days"] > 1) for row in frame.to_dict("records")]
        lines = [f"{text}{more}" for text, more in zip(frame["sentence"], again, strict=True)]
        diagnosed = len(frame.attrs["diagnosed"])
        found = f"{len(frame):,} incident{'s' * (len(frame) != 1)}"
        lines.append(f"{found} in {diagnosed:,} diagnos{'is' if diagnosed == 1 else 'es'}")
        call.out.text("\n".join(lines))
    return FINDINGS if len(frame) else NOTHING
