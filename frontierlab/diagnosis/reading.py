"""Putting statements to logs, and to the pieces of a baseline, whose bins come before those of the logs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from frontierlab.diagnosis import statements
from frontierlab.diagnosis.baselines import Piece
from frontierlab.diagnosis.series import Clock
from frontierlab.engines.logs import Logs
from frontierlab.engines.own_statements import ANSWERED, Answered, answered, ask
from frontierlab.selection import Selection

__all__ = ["Ints", "Reading", "plain"]

Ints: TypeAlias = NDArray[np.int64]
"""An array of times in ms since the epoch."""


class Reading:
    """Statements on some logs.

    Parameters
    ----------
    logs
        The logs.
    selection
        The queries that are asked about.
    """

    clock: Clock
    pieces: Sequence[tuple[Piece, Ints]]  # of the baseline, with the starts of their bins

    def __init__(self, logs: Logs, selection: Selection) -> None:
        self._logs, self.selection = logs, selection
        self._by: list[Answered] = []

    @property
    def answered(self) -> Answered:
        """What answered the statements."""
        return answered(*self._by)

    def ask(
        self,
        name: str,
        args: Mapping[str, Any],
        selection: Selection | None = None,
        logs: Logs | None = None,
        **parts: str,
    ) -> pd.DataFrame:
        """Put a statement to logs, by default those of the diagnosis.

        Parameters
        ----------
        name
            The name of the statement in `frontierlab.diagnosis.statements`.
        args
            The values of its parameters.
        selection, logs
            By default those of the diagnosis.
        **parts
            What it has in braces.
        """
        statement, values = self.statement_of(name, selection or self.selection, **parts)
        tables = {"logs": logs or self._logs}
        frame = ask(tables, statement, {**args, **values}, description=f"diagnosis: {name.lower()}")
        self._by.append(frame.attrs.pop(ANSWERED))  # pandas would copy it in each operation on the frame
        return frame

    @staticmethod
    def statement_of(name: str, selection: Selection, **parts: str) -> tuple[str, dict[str, Any]]:
        """Return the text of a statement on selected queries, and the values of the selection's parameters."""
        where, values = selection.where()
        return getattr(statements, name).format(where=where.replace("\n", "\n  "), **parts), values

    def count(
        self, name: str, args: Mapping[str, Any], scope: Mapping[str, Any] | None = None, **parts: str
    ) -> pd.DataFrame:
        """Count by bin, in a baseline too: its whole bins come one after the other before the data."""
        plain = {column: plain(value) for column, value in (scope or {}).items()}
        frames = [self.ask(name, args, self.narrowed(plain), self._logs, **parts)]
        for piece, bins, first in self.earlier():
            frame = self.ask(name, args, piece.selection.but(**plain), piece.logs, **parts)
            frames.append(self.moved(frame, bins, first))
        return frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)

    def earlier(self) -> Iterator[tuple[Piece, Ints, int]]:
        """Yield the pieces of the baseline, with the starts of their bins, and the first bin that they have here."""
        first = self.clock.start - self.clock.bin_ms * len(self.clock.before)
        for piece, bins in self.pieces:
            yield piece, bins, first
            first += self.clock.bin_ms * len(bins)

    def moved(self, frame: pd.DataFrame, bins: Ints, first: int) -> pd.DataFrame:
        """Return the rows in the bins of a piece, with the bins that these have here."""
        place = pd.Series(np.arange(len(bins)), index=bins).reindex(frame["bin"])
        known = place.notna().to_numpy()
        moved = first + self.clock.bin_ms * place[known].to_numpy(dtype=np.int64)
        return frame[known].assign(bin=moved).astype({"bin": frame["bin"].dtype})

    def narrowed(self, scope: Mapping[str, Any], **conditions: Any) -> Selection:
        """Return the selection of a scope."""
        return self.selection.but(**{name: plain(value) for name, value in scope.items()}, **conditions)


def plain(value: Any) -> Any:
    """Return a value of a frame as one of Python."""
    return value.item() if hasattr(value, "item") else value
