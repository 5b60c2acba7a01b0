"""The check of frames that a caller passes back to this package."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from frontierlab.errors import InvalidRequestError

__all__ = ["require_columns"]


def require_columns(frame: pd.DataFrame, columns: Iterable[str], origin: str, *, name: str = "This frame") -> None:
    """Check that a frame has columns.

    Parameters
    ----------
    frame
        The frame.
    columns
        The columns that it must have.
    origin
        The call that returns such frames, for the message.
    name
        The name of the frame in the message.

    Raises
    ------
    InvalidRequestError
        A column is missing.
    """
    missing = [column for column in columns if column not in frame]
    if missing:
        raise InvalidRequestError(f"{name} has no column {missing[0]}: give one that {origin} returned.")
