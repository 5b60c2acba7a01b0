"""What a command writes: its result as tables or JSON on the standard output, and notes on the standard error."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import click

from frontierlab.cli.tables import escaped, table
from frontierlab.errors import FrontierlabError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Output", "OutputClosed", "WARNED", "is_terminal", "note", "notes_of", "plain", "rows_of_frame"]

WARNED = "frontierlab.cli.warned"
"""The key of the warnings that were told, in the ``meta`` of a click context."""

_AT_ONCE = 2**16  # characters; Python does not tell that a pipe was closed during a single large write

_LINES = "\n\t"
"""What a text of several lines keeps; a table escapes them too."""


class OutputClosed(BaseException):
    """The reader of the standard output has closed it: ``| head`` has all that it wants."""


class Output:
    """Writes the result of a command.

    Parameters
    ----------
    as_json
        Whether to write JSON instead of tables and sentences.
    """

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json

    def rows(self, rows: Iterable[Mapping[str, Any]], columns: Sequence[str], empty: str = "Nothing found.") -> None:
        """Write rows: as a table, or as JSON with an object a line.

        Parameters
        ----------
        rows
            The rows.
        columns
            Their columns in order.
        empty
            What a reader is told on the standard error if there is no row.
        """
        values = [{name: plain(row.get(name)) for name in columns} for row in rows]
        if not values:
            note(empty)
        elif self.as_json:
            self._write("".join(f"{_as_json(row)}\n" for row in values))
        else:
            width = shutil.get_terminal_size().columns if is_terminal(sys.stdout) else None
            text, dropped = table([[row[name] for name in columns] for row in values], columns, width)
            self._write(text)
            if dropped:
                note(f"The terminal is too narrow for {', '.join(dropped)}: --json or a pipe has all columns.")

    def frame(self, frame: pd.DataFrame, empty: str = "No query matches.") -> None:
        """Write a frame like `rows`, and tell its notes."""
        notes_of(frame)
        self.rows(rows_of_frame(frame), list(map(str, frame.columns)), empty)

    def record(self, values: Mapping[str, Any], text: str) -> None:
        """Write one result: a JSON object on a line, or a text for people."""
        self._write(f"{_as_json(plain(values))}\n" if self.as_json else f"{escaped(text, _LINES)}\n")

    def text(self, text: str) -> None:
        """Write a text for people; nothing if JSON is asked for."""
        if not self.as_json:
            self._write(f"{escaped(text, _LINES)}\n")

    @staticmethod
    def _write(text: str) -> None:
        try:
            for start in range(0, len(text), _AT_ONCE):
                click.echo(text[start : start + _AT_ONCE], nl=False)
        except BrokenPipeError:
            raise OutputClosed from None
        except OSError as error:
            raise FrontierlabError(f"The result cannot be written to the standard output: {error.strerror}.") from error


def note(text: str, kind: str = "") -> None:
    """Tell the user something beside the result, on the standard error."""
    click.echo(escaped(f"{kind}{text}", _LINES), err=True)


def notes_of(frame: pd.DataFrame) -> None:
    """Tell the notes of a frame, but those of which a warning was told already."""
    context = click.get_current_context(silent=True)
    warned = () if context is None else context.meta.get(WARNED, ())
    for text in frame.attrs.get("notes", ()):
        if text not in warned:
            note(text)


def is_terminal(stream: Any) -> bool:
    """Whether a person reads a stream."""
    return bool(stream is not None and stream.isatty())


def rows_of_frame(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a frame with None for missing values; integers stay exact."""
    columns = [
        [value if known else None for value, known in zip(frame[name], frame[name].notna(), strict=True)]
        for name in frame.columns
    ]
    names = [*map(str, frame.columns)]
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def plain(value: Any) -> Any:
    """Return a value as JSON has it: times as ISO 8601 in UTC, integers exact, NaN as null."""
    if hasattr(value, "tolist") and not isinstance(value, str):  # NumPy's numbers and arrays
        value = value.tolist()
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, datetime):
        from frontierlab.util.times import format_time

        return format_time(value) if value.tzinfo else value.isoformat(timespec="milliseconds")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(one) for one in value]
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, (Decimal, PurePath)):
        return str(value)
    raise TypeError(f"A result has a {type(value).__name__}, which JSON cannot hold.")


def _as_json(value: Any) -> str:
    writes_all = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    return json.dumps(value, ensure_ascii=not writes_all, allow_nan=False)
