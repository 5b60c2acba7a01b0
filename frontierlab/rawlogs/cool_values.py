"""What the values of a COOL query say, given what they limit."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from frontierlab.rawlogs.sql_text import Slot

if TYPE_CHECKING:
    from frontierlab.rawlogs.cool_structure import Bound, Limit, Range

__all__ = ["Evaluated", "LAST_CHANNEL", "Values", "evaluated"]

LAST_CHANNEL = 2**32 - 1
"""The last number that a channel can have."""

_WHOLE = re.compile(r"'?([+-]?\d{1,20})'?")
_LARGEST = 2**63 - 1
_Span = tuple[int | None, int | None]
_TEXTS = ("node", "tag_name")


class Evaluated(NamedTuple):
    """What the values of a query say; the meaning is that of `frontierlab.rawlogs.CoolQuery`."""

    folder: int | None
    node: str | None
    tag_ids: tuple[int, ...]
    tag_name: str | None
    since: int | None
    until: int | None
    channels: tuple[tuple[int, int], ...] | None
    unclear: tuple[str, ...]


class Values:
    """The values of a query by the slots of its shape.

    Parameters
    ----------
    slots
        The slots of the shape.
    written
        All values of the text, as written.
    """

    def __init__(self, slots: Sequence[Slot], written: Sequence[str]) -> None:
        self._slots = slots
        self._written = written

    def numbers(self, bound: Bound) -> list[int | None]:
        """Return the whole numbers of a bound; None for each other value, such as a bind without a value."""
        if bound.slot is None:
            return [0]  # IS NULL
        slot = self._slots[bound.slot]
        return [self._number(value, sign, bound.add) for value, sign in zip(slot.values, slot.signs, strict=True)]

    def text(self, bound: Bound) -> str | None:
        """Return the text of a bound; None unless it is one string, or one value of a bind behind the statement."""
        if bound.slot is None or len(self._slots[bound.slot].values) != 1:
            return None
        written = self._written[self._slots[bound.slot].values[0]]
        if len(written) > 1 and written[0] == written[-1] == "'":
            return written[1:-1].replace("''", "'")
        return None

    def _number(self, place: int, sign: int, add: int) -> int | None:
        found = _WHOLE.fullmatch(self._written[place])
        number = None if found is None else sign * int(found[1])
        return number + add if number is not None and -_LARGEST <= number <= _LARGEST else None


def evaluated(limits: Iterable[Limit], values: Values) -> Evaluated:
    """Return what the values of a query say."""
    spans: dict[str, list[_Span]] = {}
    texts: dict[str, str | None] = {}
    unclear: dict[str, None] = {}  # in order
    for role, ranges in limits:
        if role in _TEXTS:
            text = values.text(ranges[0].low) if len(ranges) == 1 and ranges[0].low is not None else None
            texts[role] = text if texts.get(role, text) == text else None
            if texts[role] is None:
                unclear[role] = None
            continue
        found = None if role == "channel_name" else _spans(ranges, values)
        if found is None:
            unclear["channel" if role == "channel_name" else role] = None
        else:
            spans[role] = _both(spans[role], found) if role in spans else found
    for role in unclear:
        spans.pop(role, None)  # another condition of the column was read, but not this one
    folders = _points(spans, "folder", unclear)
    return Evaluated(
        folders[0] if len(folders) == 1 else None,
        texts.get("node"),
        _points(spans, "tag", unclear),
        texts.get("tag_name"),
        _since(spans, unclear),
        _until(spans, unclear),
        _channels(spans),
        tuple(unclear),
    )


def _spans(ranges: tuple[Range, ...], values: Values) -> list[_Span] | None:
    """Return the ranges with their values; None if one is not known."""
    found: list[_Span] = []
    for low, high in ranges:
        lows = [None] if low is None else values.numbers(low)
        highs = lows if high == low else [None] if high is None else values.numbers(high)
        if (low is not None and None in lows) or (high is not None and None in highs):
            return None
        if high == low:
            found += zip(lows, highs, strict=True)
        elif len(lows) == len(highs) == 1:
            found.append((lows[0], highs[0]))
        else:
            return None
    return found or None


def _both(some: list[_Span], others: list[_Span]) -> list[_Span]:
    """Return what is within both; each range is kept once."""
    found: dict[_Span, None] = {}
    for low, high in some:
        for other_low, other_high in others:
            lows = [end for end in (low, other_low) if end is not None]
            highs = [end for end in (high, other_high) if end is not None]
            span = (max(lows) if lows else None, min(highs) if highs else None)
            if span[0] is None or span[1] is None or span[0] <= span[1]:
                found[span] = None
    return [*found]


def _points(spans: dict[str, list[_Span]], role: str, unclear: dict[str, None]) -> tuple[int, ...]:
    found = spans.get(role, [])
    points = {low for low, high in found if low is not None and low == high}
    if any(low is None or low != high for low, high in found) or (role in spans and not points):
        unclear[role] = None
        return ()
    return tuple(sorted(points))


def _since(spans: dict[str, list[_Span]], unclear: dict[str, None]) -> int | None:
    """Return the start of the IOV asked for: IOV_UNTIL is larger."""
    found = spans.get("since")
    if found is None:
        return None
    if len(found) == 1 and found[0][0] is not None and found[0][1] is None:
        return found[0][0] - 1
    unclear["since"] = None
    return None


def _until(spans: dict[str, list[_Span]], unclear: dict[str, None]) -> int | None:
    """Return the end of the IOV asked for: IOV_SINCE is not larger."""
    found = spans.get("until")
    if found is None:
        return None
    if len(found) == 1 and found[0][0] is None and found[0][1] is not None:
        return found[0][1]
    unclear["until"] = None
    return None


def _channels(spans: dict[str, list[_Span]]) -> tuple[tuple[int, int], ...] | None:
    found = spans.get("channel")
    if found is None:
        return None
    ends = {(low or 0, LAST_CHANNEL if high is None else high) for low, high in found}
    return tuple(sorted(ends))
