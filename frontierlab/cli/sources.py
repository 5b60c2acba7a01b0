"""The datasets that a question is put to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from frontierlab.cli.types import DATASET

if TYPE_CHECKING:
    from frontierlab.settings import Settings

__all__ = ["compare_option", "datasets_argument", "opened"]


def datasets_argument(command: Any) -> Any:
    """Give a command the argument DATASET…, as ``datasets``."""
    return click.argument("datasets", metavar="DATASET...", nargs=-1, required=True, type=DATASET)(command)


def compare_option(command: Any) -> Any:
    """Give a command the option ``--compare``."""
    return click.option(
        "--compare",
        metavar="WHEN",
        help="Compare with previous (the window of the same length before), -7d (s, min, h, d, w), or the window "
        "that begins at this time.",
    )(command)


def opened(datasets: tuple[str, ...], settings: Settings) -> Any:
    """Return the logs of datasets."""
    from frontierlab import open_logs

    asked: Any = datasets[0] if len(datasets) == 1 else [*datasets]
    return open_logs(asked, settings=settings)
