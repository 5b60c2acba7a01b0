"""Which logs are of servlets, and whether they have printed lines or records."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, TypeAlias

from frontierlab.errors import InvalidRequestError
from frontierlab.rawlogs.lines import first_lines
from frontierlab.rawlogs.log_files import LogSet, Paths, find_logs
from frontierlab.rawlogs.servlet.heads import first_time
from frontierlab.rawlogs.servlet.recorded import is_recorded

__all__ = ["Form", "began", "find_servlet_logs", "form_of"]

_LOOKED_AT = 2_000  # lines at the beginning of a file that show what it is

Form: TypeAlias = Literal["printed", "recorded"]
"""What a log has: lines that servlets print, beside which records repeat them; or only records of a servlet of 2025."""


def began(file: Path) -> int | None:
    """Return the time of the first line of a file; None if it is not near its beginning."""
    return first_time(first_lines(file))


def form_of(files: Iterable[Path]) -> Form | None:
    """Return what the files of a log have; None if there is no line of a servlet near the beginning of any of them."""
    lines = [first_lines(file, _LOOKED_AT) for file in files]
    if any(first_time(some) is not None for some in lines):
        return "printed"
    return "recorded" if any(map(is_recorded, lines)) else None


def find_servlet_logs(paths: Paths, *, follow: bool = False) -> list[LogSet]:
    """Find servlet logs, their rotated files in the order of their first lines.

    Parameters
    ----------
    paths
        As for `frontierlab.rawlogs.read_servlet_logs`.
    follow
        Whether they are to be followed. Then logs can be empty, and each of the others must be a servlet's.

    Raises
    ------
    InvalidRequestError
        A path does not exist, no file was found, or none of them holds a line of a servlet near its beginning.
    """
    logs = find_logs(paths, began, follow=follow)
    others = [log for log in logs if form_of(log.files) is None and not (follow and _is_empty(log.files))]
    if len(others) == len(logs) or (follow and others):
        raise InvalidRequestError(
            f"No servlet log was found: the first lines of {', '.join(str(log.path) for log in others[:5])} are not "
            "lines of a Frontier servlet. Such a line begins '<server> MM/dd/yy HH:mm:ss.SSS <zone> <+hhmm> id=<n> '."
        )
    return logs


def _is_empty(files: Sequence[Path]) -> bool:
    return not any(first_lines(file) for file in files)
