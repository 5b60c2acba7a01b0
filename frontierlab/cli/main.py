"""The entry point ``frontierlab``, and the names of its commands."""

from __future__ import annotations

import io
import sys
from typing import NoReturn

import click

from frontierlab import __version__
from frontierlab.cli.endings import INTERRUPTED
from frontierlab.cli.group import LazyGroup

__all__ = ["COMMANDS", "main", "root"]

COMMANDS = (
    *("overview", "extract", "datasets", "ask", "sql", "report", "diagnose", "caching", "changes"),
    *("checks", "catalogue", "rawlogs", "nights", "jobs", "worker", "config", "completion"),
)
"""The commands, in the order of ``--help``; each is a module of `frontierlab.cli.commands`."""

root = LazyGroup(
    "frontierlab",
    names=COMMANDS,
    package="frontierlab.cli.commands",
    help="""Query logs of the ATLAS Frontier servers: extract, complete, ask, compare, report.

    Results are on the standard output: tables, or JSON with --json. All else that is said, and progress on a terminal,
    are on the standard error. Times are UTC; a period holds its beginning, and not its end. Servers, folders and
    secrets are in the configuration file: frontierlab config --help. DATASET is the name of a dataset, or a pattern of
    names such as 'nightly-*', whose datasets are read as one.
    """,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
"""The command ``frontierlab``."""
click.version_option(__version__, prog_name="frontierlab", message="%(prog)s %(version)s")(root)


def main() -> NoReturn:
    """Run the command line with the arguments of the process, and exit."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that has no … is shown an escape
    try:
        code = root.main(prog_name="frontierlab", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):  # before the command began
        code = INTERRUPTED
    sys.exit(code)
