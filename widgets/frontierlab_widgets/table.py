"""Tables with search, sorting and choice of a row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pandas as pd
import traitlets

from frontierlab_widgets.drawn_by_page import DrawnByPage

__all__ = ["Table", "TableColumn"]

_STATIC = Path(__file__).parent / "static"


@dataclass(frozen=True)
class TableColumn:
    """A column of a `Table`.

    Parameters
    ----------
    name
        Name of the frame's column.
    title
        The header.
    help
        The tooltip of the header: meaning and unit.
    text
        Formats a value; by default as it is. A column of formatted numbers is aligned right.
    number
        Whether the column holds numbers.
    below
        Writes a second, quiet line of the cell from the row; by default there is none.
    bar
        Whether a bar behind the number shows its part of the largest one.
    picked
        Whether the column is shown before the user picks columns.
    """

    name: str
    title: str
    help: str = ""
    text: Callable[[Any], str] = str
    number: bool = False
    below: Callable[[dict[str, Any]], str] | None = None
    bar: bool = False
    picked: bool = True


class Table(DrawnByPage):
    """A table of a data frame.

    Values are formatted in the kernel, so that 64-bit integers keep all digits; the page only searches and sorts.

    Parameters
    ----------
    columns
        The columns to show.
    key
        The column that identifies a row.
    empty
        The text of a table without rows.
    label
        What the rows are, for screen readers.

    Attributes
    ----------
    hidden : list of str
        Names of the columns that are not shown; the user picks columns, if some are hidden at first.
    selected : str
        The key of the chosen row; empty if none is chosen.
    search : str
        The text to search for.
    order : list
        The sorted column and the direction (``ascending``, ``descending``); empty for the order of the frame.
    """

    _esm = _STATIC / "table.js"
    _css = _STATIC / "table.css"

    columns: traitlets.List[dict[str, Any]] = traitlets.List().tag(sync=True)
    rows: traitlets.List[dict[str, Any]] = traitlets.List().tag(sync=True)
    empty = traitlets.Unicode().tag(sync=True)
    selected = traitlets.Unicode().tag(sync=True)
    search = traitlets.Unicode().tag(sync=True)
    order = traitlets.List(["", ""]).tag(sync=True)
    label = traitlets.Unicode().tag(sync=True)
    hidden: traitlets.List[str] = traitlets.List().tag(sync=True)
    can_pick = traitlets.Bool(False).tag(sync=True)
    two_lines = traitlets.Bool(False).tag(sync=True)

    def __init__(
        self, columns: Sequence[TableColumn], key: str, empty: str = "There is nothing yet.", label: str = "Rows"
    ) -> None:
        hidden = [column.name for column in columns if not column.picked]
        super().__init__(
            columns=[
                {"name": c.name, "title": c.title, "help": c.help, "number": c.number, "bar": c.bar} for c in columns
            ],
            empty=empty,
            label=label,
            hidden=hidden,
            can_pick=bool(hidden),
            two_lines=any(column.below is not None for column in columns),
        )
        self._columns = list(columns)
        self._key = key

    def show(self, frame: pd.DataFrame, marks: Callable[[dict[str, Any]], str] = lambda record: "") -> None:
        """Show the rows of a frame; the chosen row stays chosen if it still exists.

        Parameters
        ----------
        frame
            A frame with the columns and the key.
        marks
            Returns the CSS class of a row, such as ``bad``.
        """
        rows = []
        for record in cast("list[dict[str, Any]]", frame.to_dict("records")):
            values = [record[column.name] for column in self._columns]
            cells = [_text(value, column) for value, column in zip(values, self._columns, strict=True)]
            keys = [_sortable(value, column) for value, column in zip(values, self._columns, strict=True)]
            below = ["" if column.below is None else column.below(record) for column in self._columns]
            rows.append(
                {"id": str(record[self._key]), "cells": cells, "below": below, "keys": keys, "mark": marks(record)}
            )
        self.rows = rows
        if self.selected and self.selected not in {one["id"] for one in rows}:
            self.selected = ""


def _missing(value: Any) -> bool:
    return value is None or (not isinstance(value, list | tuple) and bool(pd.isna(value)))


def _text(value: Any, column: TableColumn) -> str:
    return "" if _missing(value) else column.text(value)


def _sortable(value: Any, column: TableColumn) -> Any:
    if _missing(value):
        return None
    if isinstance(value, pd.Timestamp):
        return value.timestamp()
    return float(value) if column.number else str(value)
