"""The conditions of a selection as chips that are taken off one by one, and a searchable list to add more."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import traitlets

from frontierlab.selection import LISTED, WORDS, Selection
from frontierlab.util.times import in_words
from frontierlab_widgets.drawn_by_page import DrawnByPage

__all__ = ["Chips", "chips_of", "choices_of", "without"]

_STATIC = Path(__file__).parent / "static"
_SHOWN = 2  # values that a chip names
_MOST = 400  # values of a column that are offered, those with the most queries


class Chips(DrawnByPage):
    """Chips, each with a button that takes it off, and a field that finds what can be added.

    Parameters
    ----------
    take_off
        Called with the id of a chip.
    add
        Called with the column and the value of a choice.
    ask
        Called when the choices are needed and there are none.

    Attributes
    ----------
    chips : list
        ``id`` and ``text`` of each chip.
    choices : list
        ``column``, ``word``, ``value`` (text), ``label`` and ``queries`` of what can be added, the most first.
    note : str
        What the list of choices lacks.
    """

    _esm = _STATIC / "chips.js"
    _css = _STATIC / "chips.css"

    chips: traitlets.List[dict[str, str]] = traitlets.List().tag(sync=True)
    choices: traitlets.List[dict[str, Any]] = traitlets.List().tag(sync=True)
    note = traitlets.Unicode().tag(sync=True)

    def __init__(
        self, take_off: Callable[[str], object], add: Callable[[str, str], object], ask: Callable[[], object]
    ) -> None:
        super().__init__()
        self._take_off, self._add, self._ask = take_off, add, ask
        self.on_msg(self._received)

    def _received(self, _: Any, content: dict[str, Any], buffers: Any) -> None:
        if "off" in content:
            self._take_off(content["off"])
        elif "add" in content:
            self._add(*content["add"])
        elif "ask" in content:
            self._ask()


def chips_of(selection: Selection, known: Mapping[str, Sequence[Any]] | None = None) -> list[dict[str, str]]:
    """Return a chip for each condition of a selection.

    Parameters
    ----------
    selection
        The selection.
    known
        All values of columns that are known: of a list that lacks few of them, a chip names those that it lacks.
    """
    found = []
    for column in (*LISTED, "kind"):
        values = getattr(selection, column)
        if values is not None:
            word = WORDS.get(column, column)
            found.append({"id": column, "text": f"{word}: {_named(values, (known or {}).get(column, ()))}"})
    if selection.cached is not None:
        found.append({"id": "cached", "text": "cached" if selection.cached else "not cached"})
    if selection.min_querytime is not None:
        found.append({"id": "min_querytime", "text": f"query time from {selection.min_querytime:,} ms"})
    if selection.since is not None or selection.until is not None:
        found.append({"id": "time", "text": _time(selection)})
    return found


def without(selection: Selection, chip: str) -> Selection:
    """Return a selection without the condition of a chip."""
    return selection.but(**(dict.fromkeys(("since", "until")) if chip == "time" else {chip: None}))


def choices_of(counts: Mapping[str, pd.DataFrame]) -> tuple[list[dict[str, Any]], str]:
    """Return what can be added, and a sentence on what is left out.

    Parameters
    ----------
    counts
        A frame a column of a selection, with the columns ``value``, ``label`` and ``queries``, the most first.
    """
    found: list[dict[str, Any]] = []
    left_out = []
    for column, frame in counts.items():
        rows = frame.head(_MOST)
        found += [
            {"column": column, "word": WORDS[column], "value": str(v), "label": str(label), "queries": int(n)}
            for v, label, n in zip(rows["value"], rows["label"], rows["queries"], strict=True)
        ]
        if len(frame) > _MOST:
            left_out.append(f"the {_MOST} largest of {len(frame):,} {WORDS[column]}s")
    found += [
        {"column": "cached", "word": "queries", "value": value, "label": label, "queries": -1}
        for value, label in (("true", "cached"), ("false", "not cached"))
    ]
    return found, f"Listed are {', '.join(left_out)}." if left_out else ""


def _time(selection: Selection) -> str:
    """Write the ends of the time; of two on one day the second is the time of day."""
    since, until = selection.since, selection.until
    if since is None or until is None:
        return f"to {in_words(until)}" if since is None else f"from {in_words(since)}"
    end = in_words(until)
    shown = end.split(" ", 1)[1] if since.date() == until.date() else end
    return f"from {in_words(since).removesuffix(' UTC')} to {shown}"


def _named(values: Sequence[Any], known: Sequence[Any]) -> str:
    missing = [value for value in known if value not in values]
    if len(values) > _SHOWN and 0 < len(missing) <= _SHOWN:
        return f"not {', '.join(map(_text, missing))}"
    more = f" and {len(values) - _SHOWN:,} more" * (len(values) > _SHOWN)
    return f"{', '.join(map(_text, values[:_SHOWN]))}{more}"


def _text(value: Any) -> str:
    return "(none named)" if value is None else str(value)
