"""Lines of Squid's access logs, many at a time: columns that are cut out of a whole block of lines.

A line is cut at its quotes, and the pieces at their blanks; that tells the format too. What does not fit exactly is
left to the slow reader (`odd_lines`): lines with a backslash, with blanks in the URL, with numbers that are none.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from frontierlab.rawlogs.squid.fields import FIELDS, NATIVE_ZONE, NOTHING
from frontierlab.rawlogs.squid.odd_lines import BYTES, DURATION, LONGEST, STATUS, frontier_half, read_odd_lines, wall_ms

__all__ = ["read_lines"]

Numbers = NDArray[np.int64]
Mask = NDArray[np.bool_]

_QUOTES = {6: 2, 8: 3}  # in a line → its quoted fields behind the request
_BLANK, _QUOTE, _BACKSLASH, _END = b' "\\\n'
_OPENING, _COLON, _POINT, _ZERO = b"[:.0"
_SECONDS, _MILLISECONDS = 21, 25  # characters of a time with its bracket
_NATIVE_WORDS = 10
_VERSION = re.compile(r"HTTP/[0-9.]+")


def read_lines(lines: pa.Array) -> tuple[list[pa.Table], list[tuple[int, str]]]:
    """Read a block of lines.

    Parameters
    ----------
    lines
        The lines as strings, each with its end of line or without.

    Returns
    -------
    tuple
        Tables of the lines that were read, with the columns of `fields.FIELDS`, each in the order of the lines; and
        the number of each other line with the reason why it is not one of an access log.
    """
    if not len(lines):
        return [], []
    text = _Text(lines)
    plain = np.diff(text.starts) <= LONGEST
    plain[text.rows_with(_BACKSLASH)] = False
    counts = np.bincount(text.rows_with(_QUOTE), minlength=len(lines))
    tables, read = [], np.zeros(len(lines), dtype=bool)
    for quotes, quoted in _QUOTES.items():
        rows = np.flatnonzero(plain & (counts == quotes))
        if len(rows):
            tables.append(_awstats(text, rows, quotes, quoted))
    rows = np.flatnonzero(plain & (counts == 0))
    if len(rows):
        tables.append(_native(lines.take(pa.array(rows)), rows))
    for table in tables:
        read[table["number"].to_numpy()] = True
    left = np.flatnonzero(~read)
    odd, refused = read_odd_lines(list(zip(left.tolist(), lines.take(pa.array(left)).to_pylist(), strict=True)))
    return [table for table in (*tables, odd) if table.num_rows], refused


class _Text:
    """The bytes of lines, and where blanks, quotes and ends of lines are in them.

    Parameters
    ----------
    lines
        The lines. They are not copied.
    """

    def __init__(self, lines: pa.Array) -> None:
        _, offsets, data = lines.buffers()
        self._data = data if data is not None else pa.py_buffer(b"")
        self._places: dict[int, Numbers] = {}
        self.bytes = np.frombuffer(self._data, np.uint8)
        self.starts: Numbers = np.frombuffer(offsets, np.int32)[lines.offset : lines.offset + len(lines) + 1].astype(
            np.int64
        )

    def places(self, character: int) -> Numbers:
        """Return where a character is in the lines."""
        if character not in self._places:
            first = int(self.starts[0])
            self._places[character] = np.flatnonzero(self.bytes[first : int(self.starts[-1])] == character) + first
        return self._places[character]

    def rows_with(self, character: int) -> Numbers:
        """Return the number of the line of each place where a character is."""
        found: Numbers = np.searchsorted(self.starts, self.places(character), side="right") - 1
        return found

    def cut(self, starts: Numbers, ends: Numbers) -> pa.Array:
        """Return the texts between places, which follow each other."""
        if not len(starts):
            return pa.array([], pa.string())
        # every other string of this array is a gap; no byte is copied before `take`
        offsets = np.stack([starts, ends], axis=1).ravel().astype(np.int32)
        both = pa.StringArray.from_buffers(len(offsets) - 1, pa.py_buffer(offsets), self._data)
        return both.take(pa.array(np.arange(0, len(both), 2)))


def _awstats(text: _Text, rows: Numbers, quotes: int, quoted: int) -> pa.Table:
    """Return the lines of a format with quoted fields; those that do not fit exactly are left out.

    Blanks are counted from the start of a line on: five before the request, two in it, five behind it.
    """
    blank = np.append(text.places(_BLANK), np.full(13, text.starts[-1] + 1))  # there is always a next one
    quote = text.places(_QUOTE)
    at = quote[np.searchsorted(quote, text.starts[rows])[:, None] + np.arange(quotes)]
    space = blank[np.searchsorted(blank, text.starts[rows])[:, None] + np.arange(13)]
    end = text.starts[rows + 1]
    end = end - (text.bytes[end - 1] == _END)
    good = (space[:, 4] == at[:, 0] - 1) & (space[:, 5] > at[:, 0]) & (space[:, 6] < at[:, 1])
    good &= (space[:, 7] == at[:, 1] + 1) & (space[:, 11] == at[:, 2] - 1) & (at[:, -1] == end - 1)
    for place in range(3, quotes - 1, 2):
        good &= (at[:, place + 1] == at[:, place] + 2) & (text.bytes[at[:, place] + 1] == _BLANK)
    good &= (space[:, :5] > np.column_stack([text.starts[rows], space[:, :4] + 1])).all(axis=1)  # no empty word
    if not good.any():
        return FIELDS.empty_table()
    rows, at, space = rows[good], at[good], space[good]
    status, wire_bytes, tag, duration = (text.cut(space[:, n] + 1, space[:, n + 1]) for n in range(7, 11))
    local, ms, fits = _wall_times(text, space[:, 2] + 1, space[:, 3])
    zone, zone_fits = _zones(text.cut(space[:, 3] + 1, space[:, 4]))
    fits &= zone_fits & _are_numbers((status, STATUS), (wire_bytes, BYTES), (duration, DURATION))
    fits &= _distinct(text.cut(space[:, 6] + 1, at[:, 1]), lambda version: _VERSION.fullmatch(version) is not None)
    fits &= _distinct(tag, lambda word: 0 < word.find(":") < len(word) - 1)
    fits &= space[:, 5] > at[:, 0] + 1
    first, none = text.cut(at[:, 2] + 1, at[:, 3]), pa.repeat(NOTHING, len(rows))
    with_cvmfs = (ms >= 0) & (quoted == 3)
    kind = pa.DictionaryArray.from_arrays(
        pa.array(np.where(with_cvmfs, 2, quoted - 2).astype(np.int32)), ["two", "three", "three with cvmfs"]
    )
    table = pa.table(
        [
            pa.array(rows),
            kind.dictionary_decode(),
            text.cut(text.starts[rows], space[:, 0]),
            text.cut(space[:, 0] + 1, space[:, 1]),
            pa.array(local + np.maximum(ms, 0)),
            zone,
            text.cut(at[:, 0] + 1, space[:, 5]),
            text.cut(space[:, 5] + 1, space[:, 6]),
            _numbers(status, fits),
            _numbers(wire_bytes, fits),
            tag,
            _numbers(duration, fits),
            _halves(first, with_cvmfs) if with_cvmfs.any() else first,
            text.cut(at[:, 4] + 1, at[:, 5]) if quoted == 2 else none,
        ],
        schema=FIELDS,
    )
    return table if fits.all() else table.filter(pa.array(fits))


def _native(lines: pa.Array, rows: Numbers) -> pa.Table:
    """Return the lines of Squid's own format; those that do not fit exactly are left out."""
    words = pc.ascii_split_whitespace(pc.ascii_rtrim_whitespace(lines))
    good = np.asarray(words.value_lengths()) == _NATIVE_WORDS
    if not good.all():
        return _native(lines.filter(pa.array(good)), rows[good]) if good.any() else FIELDS.empty_table()
    time, duration, client, tag, wire_bytes, method, url, _, hierarchy, _ = _columns(words, _NATIVE_WORDS)
    good = _mask(pc.match_substring_regex(time, r"^[0-9]{10}\.[0-9]{3}$"))
    good &= _are_numbers((duration, DURATION), (wire_bytes, BYTES))
    good &= _mask(pc.match_substring_regex(tag, rf"^[^/]+/[0-9]{{1,{STATUS}}}$"))
    if not good.all():
        return _native(lines.filter(pa.array(good)), rows[good]) if good.any() else FIELDS.empty_table()
    result, status = _columns(pc.split_pattern(tag, "/"), 2)
    moment = pc.binary_join_element_wise(pc.utf8_slice_codeunits(time, 0, 10), pc.utf8_slice_codeunits(time, 11), "")
    none = pa.repeat(NOTHING, len(rows))
    return pa.table(
        [
            pa.array(rows),
            pa.repeat("native", len(rows)),
            client,
            none,
            pc.cast(moment, pa.int64()),
            pa.repeat(NATIVE_ZONE, len(rows)),
            method,
            url,
            pc.cast(status, pa.int64()),
            pc.cast(wire_bytes, pa.int64()),
            pc.binary_join_element_wise(result, hierarchy, ":"),
            pc.cast(duration, pa.int64()),
            none,
            none,
        ],
        schema=FIELDS,
    )


def _wall_times(text: _Text, starts: Numbers, ends: Numbers) -> tuple[Numbers, Numbers, Mask]:
    """Return times such as ``[26/Nov/2026:19:18:33.123``: whole seconds in ms, their ms or -1, and what is a time."""
    lengths = ends - starts
    fits = (lengths == _SECONDS) | (lengths == _MILLISECONDS)
    fits &= text.bytes[starts] == _OPENING
    minutes = text.cut(starts + 1, np.minimum(starts + 18, ends)).dictionary_encode()
    known = [wall_ms(f"{one}:00") for one in minutes.dictionary.to_pylist()]
    local = np.array([-1 if one is None else one for one in known], dtype=np.int64)[np.asarray(minutes.indices)]
    fits &= local >= 0

    def character(place: int) -> Numbers:
        found: Numbers = text.bytes[np.minimum(starts + place, ends)].astype(np.int64)
        return found

    def digits(*places: int) -> Numbers:
        number = np.zeros(len(starts), dtype=np.int64)
        for place in places:
            digit = character(place) - _ZERO
            fits[used] &= ((digit >= 0) & (digit <= 9))[used]
            number = 10 * number + digit
        return number

    used = np.ones(len(starts), dtype=bool)
    seconds = digits(19, 20)
    fits &= (character(18) == _COLON) & (seconds <= 60)
    used = lengths == _MILLISECONDS
    ms = np.full(len(starts), -1, dtype=np.int64)
    if used.any():
        ms[used] = digits(22, 23, 24)[used]
        fits[used] &= (character(21) == _POINT)[used]
    return local + 1000 * seconds, ms, fits


def _zones(texts: pa.Array) -> tuple[pa.Array, Mask]:
    """Return zones such as ``+0000]`` without their bracket, and whether each is one."""
    fits = _distinct(texts, lambda text: len(text) == 6 and text[0] in "+-" and text[5] == "]" and _digits(text[1:5]))
    return pc.utf8_rtrim(texts, "]"), fits


def _digits(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _halves(fields: pa.Array, which: Mask) -> pa.Array:
    encoded = fields.dictionary_encode()
    texts = encoded.dictionary.to_pylist()
    halves = pa.array([frontier_half(text) for text in texts]).take(encoded.indices)
    return pc.if_else(pa.array(which), halves, fields)


def _distinct(texts: pa.Array, test: Any) -> Mask:
    """Return whether each text passes a test, which is asked once for each different text."""
    encoded = texts.dictionary_encode()
    passed = np.array([bool(test(text)) for text in encoded.dictionary.to_pylist()], dtype=bool)
    return np.asarray(passed[np.asarray(encoded.indices)])


def _are_numbers(*columns: tuple[pa.Array, int]) -> Mask:
    """Return in which lines each column has a number of so many digits at most."""
    good = np.ones(len(columns[0][0]), dtype=bool)
    for column, digits in columns:
        good &= _mask(pc.match_substring_regex(column, rf"^[0-9]{{1,{digits}}}$"))
    return good


def _numbers(texts: pa.Array, fits: Mask) -> pa.Array:
    """Return texts as numbers; those of lines that do not fit are 0."""
    return pc.cast(texts if fits.all() else pc.if_else(pa.array(fits), texts, "0"), pa.int64())


def _columns(words: pa.Array, count: int) -> list[pa.Array]:
    """Return the words of lists that all have the same number of words, as a column for each place."""
    flat, rows = words.flatten(), len(words)
    return [flat.take(pa.array(np.arange(place, place + rows * count, count))) for place in range(count)]


def _mask(found: pa.Array) -> Mask:
    return np.asarray(found.to_numpy(zero_copy_only=False), dtype=bool)
