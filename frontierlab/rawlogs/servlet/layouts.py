"""The heads of many lines: those of one servlet differ only in time and id, which stand at fixed places.

A layout is what stays the same: the server's name, and the zone with its offset. Lines are compared with the known
layouts by words of eight bytes; what fits none is read by `frontierlab.rawlogs.servlet.heads.read_heads`, and gives the
layouts of the next lines. Both ways give the same heads.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from frontierlab.rawlogs.servlet.heads import Heads, read_heads
from frontierlab.rawlogs.texts import distinct, leading_digits, words

__all__ = ["HeadReader", "NamedHeads", "Names"]

Integers = NDArray[np.int64]
Bytes = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Words = NDArray[np.uint64]

_STAMP = 22  # bytes of "MM/dd/yy HH:mm:ss.SSS "
_LOOKED_AT = 256  # lines that may show a new layout
_MOST = 16  # layouts that are known; servlets of one Tomcat are few
_SHORTEST = 40
_TEMPLATES = (b"00/00/00", b" 00:00:0", b":00.000 ")  # at 0, 8 and 14 of the stamp


class Names:
    """Numbers for names that are bytes in a block."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self.names: list[str] = [*names]
        self._numbers: dict[bytes, int] = {name.encode(): number for number, name in enumerate(self.names)}

    def number(self, name: bytes) -> int:
        """Return the number of a name, a new one if it was not seen before."""
        found = self._numbers.get(name)
        if found is None:
            found = self._numbers[name] = len(self.names)
            self.names.append(name.decode("utf-8", "backslashreplace"))
        return found

    def of(self, data: Bytes, begin: Integers, length: Integers) -> Integers:
        """Return the numbers of many names; equal ones are looked up once."""
        if not len(begin):
            return np.zeros(0, np.int64)
        codes, examples = distinct(data, begin, length)
        known = [self.number(data[begin[k] : begin[k] + length[k]].tobytes()) for k in examples.tolist()]
        return np.array(known, np.int64)[codes]

    def renamed(self, names: list[str], numbers: Integers) -> Integers:
        """Return the numbers that names have here, from those that they have in another list."""
        known = [self.number(name.encode("utf-8", "surrogatepass")) for name in names]
        return np.array([*known, 0], np.int64)[numbers]


@dataclass
class NamedHeads:
    """What stands before the message in lines, and whether it stands there; see `Heads`.

    Parameters
    ----------
    server, zone
        Numbers of names.
    """

    found: Mask
    server: Integers
    zone: Integers
    time: Integers
    offset: Integers
    request: Integers
    message: Integers

    def take(self, which: Integers) -> NamedHeads:
        """Return the heads of some of the lines."""
        return NamedHeads(**{name: values[which] for name, values in vars(self).items()})

    def put(self, rows: Integers, heads: NamedHeads) -> None:
        """Set the heads of some of the lines."""
        for name, values in vars(heads).items():
            getattr(self, name)[rows] = values


class _Fixed(NamedTuple):
    """Bytes that lines have at a place, as words; the mask leaves out bytes that do not count."""

    pieces: tuple[tuple[int, np.uint64, np.uint64], ...]

    @classmethod
    def of(cls, text: bytes) -> _Fixed:
        """Return the words of a text."""
        if len(text) < 8:
            mask = (1 << 8 * len(text)) - 1
            return cls(((0, np.uint64(int.from_bytes(text, "little")), np.uint64(mask)),))
        places = [*range(0, len(text) - 8, 8), len(text) - 8]
        whole = np.uint64(2**64 - 1)
        return cls(tuple((at, np.uint64(int.from_bytes(text[at : at + 8], "little")), whole) for at in places))

    def stands(self, view: Bytes, at: Integers) -> Integers:
        """Return the numbers of the places where it stands."""
        rows = np.arange(len(at))
        for place, word, mask in reversed(self.pieces):  # names differ at their ends
            rows = rows[(words(view, at[rows] + place) & mask) == word]
        return rows


class _Layout(NamedTuple):
    """What the heads of some lines have in common: ``<name> `` before the stamp, ``<zone> <+hhmm> id=`` behind it."""

    name: bytes
    behind: bytes
    server: int
    zone: int
    offset: int
    name_words: _Fixed
    behind_words: _Fixed


class HeadReader:
    """Reads the heads of the lines of one log."""

    def __init__(self, servers: Iterable[str] = (), zones: Iterable[str] = ()) -> None:
        self.servers, self.zones = Names(servers), Names(zones)
        self._layouts: dict[tuple[bytes, bytes], _Layout] = {}

    def read(self, view: Bytes, begin: Integers, feeds: Integers) -> NamedHeads:
        """Return the heads of lines, from the places where lines begin and of their line feeds."""
        count = len(begin)
        heads = NamedHeads(np.zeros(count, bool), *(np.zeros(count, np.int64) for _ in range(6)))
        left = np.arange(count)
        for layout in [*self._layouts.values()]:
            left = self._by_layout(layout, view, begin, feeds, left, heads)
        while len(left):
            looked_at, left = left[:_LOOKED_AT], left[_LOOKED_AT:]
            new = self._slowly(view, begin, feeds, looked_at, heads)
            for layout in new:
                left = self._by_layout(layout, view, begin, feeds, left, heads)
            if not new:
                self._slowly(view, begin, feeds, left, heads)
                break
        return heads

    def _slowly(
        self, view: Bytes, begin: Integers, feeds: Integers, rows: Integers, heads: NamedHeads
    ) -> list[_Layout]:
        """Read some lines whatever they look like; return the layouts that they have and that were not known."""
        found = read_heads(view, begin[rows], feeds[rows])
        own = np.flatnonzero(found.found)
        some = found.take(own)
        at = begin[rows[own]]
        names, zones = self.servers.of(view, at, some.name), self.zones.of(view, some.zone_at, some.zone)
        heads.put(
            rows[own],
            NamedHeads(np.ones(len(own), bool), names, zones, some.time, some.offset, some.request, some.message),
        )
        return self._learned(view, at[:_LOOKED_AT], some, names, zones)

    def _learned(self, view: Bytes, begin: Integers, heads: Heads, servers: Integers, zones: Integers) -> list[_Layout]:
        new = []
        for k in np.flatnonzero(heads.request[: len(begin)] >= 0).tolist():
            if len(self._layouts) >= _MOST:
                break
            low, at, size = int(begin[k]), int(heads.zone_at[k]), int(heads.zone[k])
            name = view[low : low + int(heads.name[k]) + 1].tobytes()
            behind = view[at : at + size + len(" +0000 id=")].tobytes()
            if (name, behind) not in self._layouts:
                numbers = int(servers[k]), int(zones[k]), int(heads.offset[k])
                layout = _Layout(name, behind, *numbers, _Fixed.of(name), _Fixed.of(behind))
                self._layouts[name, behind] = layout
                new.append(layout)
        return new

    @staticmethod
    def _by_layout(
        layout: _Layout, view: Bytes, begin: Integers, feeds: Integers, left: Integers, heads: NamedHeads
    ) -> Integers:
        """Read those of the lines that are left that have this layout; return the others."""
        at = begin[left]
        rows = layout.name_words.stands(view, at)
        stamp = at[rows] + len(layout.name)
        fits = layout.behind_words.stands(view, stamp + _STAMP)
        rows, stamp = rows[fits], stamp[fits]
        if not len(rows):
            return left
        time, good = _times(view, stamp)
        place = stamp + (_STAMP + len(layout.behind))
        request, digits = leading_digits(words(view, place))
        place += digits
        end = words(view, place)
        is_blank = (end & np.uint64(0xFF)) == 32
        keepalive = (end & np.uint64(0xFFFFFFFF)) == int.from_bytes(b"-ka ", "little")
        place += np.where(keepalive, 4, 1)
        place += view[place] == 32  # servlets 3.19 to 3.22 print two blanks
        good &= (digits > 0) & (digits < 8) & (is_blank | keepalive)
        good &= feeds[left[rows]] - at[rows] > _SHORTEST
        done = left[rows[good]]
        heads.found[done] = True
        heads.server[done], heads.zone[done], heads.offset[done] = layout.server, layout.zone, layout.offset
        heads.time[done] = time[good] - layout.offset * 60_000
        heads.request[done], heads.message[done] = request[good], place[good]
        others = np.ones(len(left), bool)
        others[rows[good]] = False
        return left[others]


def _times(view: Bytes, at: Integers) -> tuple[Integers, Mask]:
    """Return ms since the epoch from stamps ``MM/dd/yy HH:mm:ss.SSS ``, and whether they are times."""
    day, clock, second = (
        words(view, at + place) ^ np.uint64(int.from_bytes(text, "little"))
        for place, text in zip((0, 8, 14), _TEMPLATES, strict=True)
    )
    good = np.ones(len(at), bool)
    for values, text in zip((day, clock, second), _TEMPLATES, strict=True):
        digits = np.uint64(int.from_bytes(bytes(0xF0 if sign == ord("0") else 0 for sign in text), "little"))
        signs = np.uint64(int.from_bytes(bytes(0 if sign == ord("0") else 0xFF for sign in text), "little"))
        nibbles = values & np.uint64(0x0F0F0F0F0F0F0F0F)
        good &= (((values | (nibbles + np.uint64(0x0606060606060606))) & digits) | (values & signs)) == 0
    days, real = _days(np.where(good, day, np.uint64(0)))
    hour, minute = _pair(clock, 1), _pair(clock, 4)
    seconds = _pair(second, 1)
    millis = _pair(second, 4) * 10 + ((second >> np.uint64(48)) & np.uint64(0xFF)).astype(np.int64)
    good &= real & (hour < 24) & (minute < 60) & (seconds < 61)
    return (((days * 24 + hour) * 60 + minute) * 60 + seconds) * 1_000 + millis, good


def _pair(values: Words, place: int) -> Integers:
    """Return the number of two digits at a place in words of digits."""
    tens, ones = values >> np.uint64(8 * place), values >> np.uint64(8 * place + 8)
    return ((tens & np.uint64(0xFF)) * np.uint64(10) + (ones & np.uint64(0xFF))).astype(np.int64)


def _days(values: Words) -> tuple[Integers, Mask]:
    """Return days since the epoch from words of the digits of ``MM/dd/yy``, and whether they are days."""
    if not len(values) or (values == values[0]).all():  # one day, nearly always
        days, real = _days_of(values[:1])
        return np.repeat(days, len(values)), np.repeat(real, len(values))
    distinct_, code = np.unique(values, return_inverse=True)
    days, real = _days_of(distinct_)
    return days[code], real[code]


def _days_of(values: Words) -> tuple[Integers, Mask]:
    month, day, year = (_pair(values, place) for place in (0, 3, 6))
    real = (month >= 1) & (month <= 12) & (day >= 1)
    months = ((2000 + year - 1970) * 12 + np.where(real, month, 1) - 1).astype("datetime64[M]")
    days = months.astype("datetime64[D]").astype(np.int64) + day - 1
    return days, real & (days < (months + 1).astype("datetime64[D]").astype(np.int64))
