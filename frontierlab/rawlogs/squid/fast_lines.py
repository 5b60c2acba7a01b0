"""Lines of Squid's access logs, many at a time: columns that are cut out of a whole block of lines.

A line is cut at its blanks and quotes, which tell the format too. What does not fit exactly is
left to the slow reader (`odd_lines`): lines with a backslash, with blanks in the URL, with numbers that are none.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from frontierlab.rawlogs.squid.fields import FIELDS, NATIVE_ZONE, NOTHING, mask_of
from frontierlab.rawlogs.squid.odd_lines import BYTES, DURATION, LONGEST, STATUS, frontier_half, read_odd_lines, wall_ms

__all__ = ["read_lines"]

Numbers = NDArray[np.int64]
Mask = NDArray[np.bool_]

_QUOTES = {6: 2, 8: 3}  # in a line → its quoted fields behind the request
_BLANK, _QUOTE, _BACKSLASH, _END = b' "\\\n'
_COLON, _POINT, _ZERO = b":.0"
_BEGINNING = np.frombuffer(b'     "  "     "', np.uint8)  # the first separators of a line with quoted fields
_DAY, _SECONDS, _MILLISECONDS = 12, 21, 25  # characters of a time with its bracket: of the day, and of the whole
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
    tables, read = [], np.zeros(len(lines), dtype=bool)
    for quotes, quoted in _QUOTES.items():
        rows = np.flatnonzero(plain & (text.quotes_in == quotes))
        if len(rows):
            tables.append(_awstats(text, rows, quotes, quoted))
    rows = np.flatnonzero(plain & (text.quotes_in == 0))
    if len(rows):
        tables.append(_native(lines.take(pa.array(rows)), rows))
    for table in tables:
        read[table["number"].to_numpy()] = True
    left = np.flatnonzero(~read)
    odd, refused = read_odd_lines(list(zip(left.tolist(), lines.take(pa.array(left)).to_pylist(), strict=True)))
    return [table for table in (*tables, odd) if table.num_rows], refused


class _Text:
    """The bytes of lines, and where blanks and quotes are in them.

    Parameters
    ----------
    lines
        The lines. They are not copied.
    """

    def __init__(self, lines: pa.Array) -> None:
        _, offsets, data = lines.buffers()
        self._data = data if data is not None else pa.py_buffer(b"")
        self.bytes = np.frombuffer(self._data, np.uint8)
        self.starts: Numbers = np.frombuffer(offsets, np.int32)[lines.offset : lines.offset + len(lines) + 1].astype(
            np.int64
        )
        first, last = int(self.starts[0]), int(self.starts[-1])
        places = np.flatnonzero(self.bytes[first:last] <= _QUOTE) + first  # few other characters are so small
        signs = self.bytes[places]
        wanted = (signs == _BLANK) | (signs == _QUOTE)
        after = np.full(len(_BEGINNING), last)  # there is always a next one
        self.separators: Numbers = np.concatenate([places[wanted], after])
        self.signs = np.concatenate([signs[wanted], np.zeros(len(after), np.uint8)])
        self.first: Numbers = np.searchsorted(self.separators[: -len(after)], self.starts)
        """The number of the first separator of each line."""
        quotes = np.concatenate([[0], np.cumsum(self.signs == _QUOTE)])[self.first]
        self.quotes: Numbers = self.separators[self.signs == _QUOTE]
        self.first_quote, self.quotes_in = quotes[:-1], np.diff(quotes)

    def rows_with(self, character: int) -> Numbers:
        """Return the numbers of the lines that have a character."""
        first, last = int(self.starts[0]), int(self.starts[-1])
        there = self.bytes[first:last] == character
        if not there.any():
            return np.empty(0, np.int64)
        found: Numbers = np.searchsorted(self.starts, np.flatnonzero(there) + first, side="right") - 1
        return found

    def cut(self, starts: Numbers, ends: Numbers) -> pa.Array:
        """Return the texts between places, which follow each other."""
        if not len(starts):
            return pa.array([], pa.string())
        # every other string of this array is a gap; no byte is copied before `take`
        offsets = np.stack([starts, ends], axis=1).ravel().astype(np.int32)
        both = pa.StringArray.from_buffers(len(offsets) - 1, pa.py_buffer(offsets), self._data)
        return both.take(pa.array(np.arange(0, len(both), 2)))

    def names(self, starts: Numbers, ends: Numbers) -> pa.DictionaryArray:
        """Return the texts between places as `cut` does, each different one once."""
        return self.cut(starts, ends).dictionary_encode()

    def numbers(self, starts: Numbers, ends: Numbers, most: int) -> tuple[Numbers, Mask]:
        """Return the numbers between places, and which of them are a number of `most` digits at most."""
        lengths = ends - starts
        fits = (lengths > 0) & (lengths <= most)
        found, power = np.zeros(len(starts), np.int64), 1
        for place in range(1, int(lengths.max(initial=0, where=fits)) + 1):
            digit = self.bytes[np.maximum(ends - place, 0)] - np.uint8(_ZERO)  # no digit is more than 9 so, also less
            used = lengths >= place
            fits &= ~used | (digit <= 9)
            found += np.where(used, digit, 0).astype(np.int64) * power
            power *= 10
        return np.where(fits, found, 0), fits


def _awstats(text: _Text, rows: Numbers, quotes: int, quoted: int) -> pa.Table:
    """Return the lines of a format with quoted fields; those that do not fit exactly are left out.

    Separators are counted from the start of a line on: five blanks, the request in its quotes with two, five blanks,
    and the quotes of the fields behind, in which there may be blanks.
    """
    places = text.first[rows][:, None] + np.arange(len(_BEGINNING))
    good = (text.signs[places] == _BEGINNING).all(axis=1)
    rows, places = rows[good], places[good]
    if not len(rows):
        return FIELDS.empty_table()
    sign = text.separators[places].T
    at = text.quotes[text.first_quote[rows][:, None] + np.arange(quotes)].T
    start, end = text.starts[rows], text.starts[rows + 1]
    end = end - (text.bytes[end - 1] == _END)
    good = (sign[14] == at[2]) & (at[-1] == end - 1)
    good &= (sign[5] == sign[4] + 1) & (sign[9] == sign[8] + 1) & (sign[14] == sign[13] + 1)
    for place in range(3, quotes - 1, 2):
        good &= (at[place + 1] == at[place] + 2) & (text.bytes[at[place] + 1] == _BLANK)
    for before, after in ((start - 1, sign[0]), (sign[0], sign[1]), (sign[1], sign[2]), (sign[5], sign[6])):
        good &= after > before + 1  # no empty word
    local, ms, fits = _wall_times(text, sign[2] + 1, sign[3])
    zone, zone_fits = _tested(text.names(sign[3] + 1, sign[4]), _is_zone)
    status, status_fits = text.numbers(sign[9] + 1, sign[10], STATUS)
    wire_bytes, bytes_fit = text.numbers(sign[10] + 1, sign[11], BYTES)
    duration, duration_fits = text.numbers(sign[12] + 1, sign[13], DURATION)
    tag, tag_fits = _tested(text.names(sign[11] + 1, sign[12]), lambda word: 0 < word.find(":") < len(word) - 1)
    _, version_fits = _tested(text.names(sign[7] + 1, sign[8]), lambda word: _VERSION.fullmatch(word) is not None)
    good &= fits & zone_fits & status_fits & bytes_fit & duration_fits & tag_fits & version_fits
    identity, with_cvmfs = text.names(at[2] + 1, at[3]), (ms >= 0) & (quoted == 3)
    kinds = pa.array(np.where(with_cvmfs, 2, quoted - 2).astype(np.int32))
    none = _repeated(NOTHING, len(rows))
    table = pa.table(
        [
            pa.array(rows),
            pa.DictionaryArray.from_arrays(kinds, ["two", "three", "three with cvmfs"]),
            text.names(start, sign[0]),
            text.names(sign[0] + 1, sign[1]),
            pa.array(local + np.maximum(ms, 0)),
            pa.DictionaryArray.from_arrays(zone.indices, pc.utf8_rtrim(zone.dictionary, "]")),
            text.names(sign[5] + 1, sign[6]),
            text.names(sign[6] + 1, sign[7]),
            pa.array(status),
            pa.array(wire_bytes),
            tag,
            pa.array(duration),
            _halves(identity, with_cvmfs) if with_cvmfs.any() else identity,
            text.names(at[4] + 1, at[5]) if quoted == 2 else none,
        ],
        schema=FIELDS,
    )
    return table if good.all() else table.filter(pa.array(good))


def _native(lines: pa.Array, rows: Numbers) -> pa.Table:
    """Return the lines of Squid's own format; those that do not fit exactly are left out."""
    words = pc.ascii_split_whitespace(pc.ascii_rtrim_whitespace(lines))
    good = np.asarray(words.value_lengths()) == _NATIVE_WORDS
    if not good.all():
        return _native(lines.filter(pa.array(good)), rows[good]) if good.any() else FIELDS.empty_table()
    time, duration, client, tag, wire_bytes, method, url, _, hierarchy, _ = _columns(words, _NATIVE_WORDS)
    good = mask_of(pc.match_substring_regex(time, r"^[0-9]{10}\.[0-9]{3}$"))
    good &= _are_numbers((duration, DURATION), (wire_bytes, BYTES))
    good &= mask_of(pc.match_substring_regex(tag, rf"^[^/]+/[0-9]{{1,{STATUS}}}$"))
    if not good.all():
        return _native(lines.filter(pa.array(good)), rows[good]) if good.any() else FIELDS.empty_table()
    result, status = _columns(pc.split_pattern(tag, "/"), 2)
    moment = pc.binary_join_element_wise(pc.utf8_slice_codeunits(time, 0, 10), pc.utf8_slice_codeunits(time, 11), "")
    none = _repeated(NOTHING, len(rows))
    return pa.table(
        [
            pa.array(rows),
            _repeated("native", len(rows)),
            client.dictionary_encode(),
            none,
            pc.cast(moment, pa.int64()),
            _repeated(NATIVE_ZONE, len(rows)),
            method.dictionary_encode(),
            url.dictionary_encode(),
            pc.cast(status, pa.int64()),
            pc.cast(wire_bytes, pa.int64()),
            pc.binary_join_element_wise(result, hierarchy, ":").dictionary_encode(),
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
    days = text.names(starts, np.minimum(starts + _DAY, ends))
    known = [_midnight(day) for day in days.dictionary.cast(pa.binary()).to_pylist()]  # a letter can be cut in two
    found = np.array([-1 if one is None else one for one in known], dtype=np.int64)[np.asarray(days.indices)]
    fits &= found >= 0
    for place, most, unit in ((13, 23, 3_600_000), (16, 59, 60_000), (19, 60, 1_000)):
        tens, ones = (text.bytes[np.minimum(starts + place + n, ends)] - np.uint8(_ZERO) for n in (0, 1))
        number = 10 * tens.astype(np.int64) + ones
        fits &= (
            (text.bytes[np.minimum(starts + place - 1, ends)] == _COLON) & (tens <= 9) & (ones <= 9) & (number <= most)
        )
        found += unit * number
    ms = np.full(len(starts), -1, dtype=np.int64)
    rows = np.flatnonzero(fits & (lengths == _MILLISECONDS))
    if len(rows):
        ms[rows], good = text.numbers(starts[rows] + 22, starts[rows] + 25, 3)
        fits[rows] &= good & (text.bytes[starts[rows] + 21] == _POINT)
    return found, ms, fits


def _midnight(day: bytes) -> int | None:
    """Return the beginning of a day such as ``[26/Nov/2026``, in ms since 1970 without a zone."""
    text = day.decode("ascii", "replace")
    return wall_ms(f"{text[1:]}:00:00:00") if text.startswith("[") else None


def _is_zone(text: str) -> bool:
    digits = text[1:5]
    return len(text) == 6 and text[0] in "+-" and text[5] == "]" and digits.isascii() and digits.isdigit()


def _halves(fields: pa.DictionaryArray, which: Mask) -> pa.DictionaryArray:
    """Return fields, of some of them only the half that is a Frontier id."""
    halves = pa.array([frontier_half(text) for text in fields.dictionary.to_pylist()], pa.string())
    found = pc.if_else(pa.array(which), halves.take(fields.indices), fields.dictionary_decode())
    return found.dictionary_encode()


def _tested(texts: pa.DictionaryArray, test: Callable[[str], bool]) -> tuple[pa.DictionaryArray, Mask]:
    """Return texts, and whether each passes a test, which is asked once for each different text."""
    passed = np.array([test(text) for text in texts.dictionary.to_pylist()], dtype=bool)
    return texts, np.asarray(passed[np.asarray(texts.indices)])


def _are_numbers(*columns: tuple[pa.Array, int]) -> Mask:
    """Return in which lines each column has a number of so many digits at most."""
    good = np.ones(len(columns[0][0]), dtype=bool)
    for column, digits in columns:
        good &= mask_of(pc.match_substring_regex(column, rf"^[0-9]{{1,{digits}}}$"))
    return good


def _repeated(text: str, count: int) -> pa.DictionaryArray:
    """Return a column of one text."""
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, np.int32)), [text])


def _columns(words: pa.Array, count: int) -> list[pa.Array]:
    """Return the words of lists that all have the same number of words, as a column for each place."""
    flat, rows = words.flatten(), len(words)
    return [flat.take(pa.array(np.arange(place, place + rows * count, count))) for place in range(count)]
