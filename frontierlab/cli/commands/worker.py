"""``frontierlab worker``: a worker for jobs, until Ctrl-C."""

from __future__ import annotations

import click

from frontierlab.cli.command import Call, Command
from frontierlab.cli.endings import CANNOT, FINDINGS, NOTHING, Terminated

__all__ = ["command"]


@click.command(
    "worker",
    cls=Command,
    face="frontierlab.jobs.start_worker",
    examples=["frontierlab worker", "frontierlab worker --check"],
    finds="with --check: no worker of this machine is there",
    results=False,
)
@click.option("--check", is_flag=True, help="Only list the workers; none is started.")
@click.pass_obj
def command(call: Call, check: bool) -> int:
    """Run a worker on this machine.

    It also starts a Redis if the settings name none. Ctrl-C or SIGTERM ends both, with the exit code 0.
    """
    from frontierlab.jobs import local_services

    if check:
        return FINDINGS if local_services.check(call.settings) else NOTHING
    try:
        return CANNOT if local_services.serve(call.settings) else NOTHING
    except (KeyboardInterrupt, Terminated):
        return NOTHING
