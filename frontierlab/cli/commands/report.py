"""``frontierlab report``: a page of all plots."""

from __future__ import annotations

from typing import Any

import click

from frontierlab.cli.command import Call, Command
from frontierlab.cli.sources import compare_option
from frontierlab.cli.types import DATASET

__all__ = ["command"]


@click.command(
    "report",
    cls=Command,
    face="frontierlab.report",
    examples=["frontierlab report overlay --output overlay.html --since 2026-10-01T06:00 --until 2026-10-01T12:00"],
    interrupted="No new page was written, and an old one is as it was.",
    selects=True,
)
@click.argument("dataset", type=DATASET)
@click.option(
    "--output",
    "path",
    type=click.Path(dir_okay=False),
    help="The file to write, which ends in .html; an existing report is replaced.  [default: report.html in the folder "
    "of the dataset]",
)
@compare_option
@click.option(
    "--findings/--no-findings",
    default=True,
    help="Begin with the incidents and the worst folders.  [default: findings]",
)
@click.pass_obj
def command(call: Call, dataset: str, path: str | None, compare: str | None, findings: bool, selection: Any) -> None:
    """Write a report of a dataset as one page.

    The page begins with the incidents and the worst folders. It is HTML that can be read offline. The dataset may be
    incomplete.
    """
    from frontierlab import report

    written = report(
        dataset, selection, path=path, compare=compare, findings=findings, settings=call.settings, progress=True
    )
    call.out.record({"path": written}, str(written))
