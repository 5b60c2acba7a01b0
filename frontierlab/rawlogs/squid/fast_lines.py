"""Lines of Squid's access logs, many at a time: columns that are cut out of a whole block of lines.

A line is cut at its quotes, and the pieces at their blanks; that tells the format too. What does not fit exactly is
left to the slow reader (`odd_lines`): lines with a backslash, with blanks in the URL, with numbers that are none.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from frontierlab.rawlogs.squid.fields import FIELDS, NATIVE_ZONE, NOTHING
from frontierlab.rawlogs.squid.odd_lines import LONGEST, frontier_half, read_odd_lines, wall_ms

__all__ = ["read_lines"]

Numbers = NDArray[np.int64]
Mask = NDArray[np.bool_]

_HEAD, _REQUEST, _MIDDLE = 6, 3, 6  # words of the pieces: `client ident user [time zone] `, the request, ` 200 … `
_NATIVE_WORDS = 10
_NUMBER = r"^[0-9]{1,18}$"


def read_lines(lines: pa.Array) -> tuple[pa.Table, list[tuple[int, str]]]:
    """Read a block of lines.

    Parameters
    ----------
    lines
        The lines as strings, each with its end of line or without.

    Returns
    -------
    tuple
        The lines that were read, with the columns of `fields.FIELDS`, in the order of the lines; and the number of each
        other line with the reason why it is not one of an access log.
    """
    if not len(lines):
        return FIELDS.empty_table(), []
    cut = pc.split_pattern(lines, '"')
    starts = np.asarray(cut.offsets, dtype=np.int64)
    counts = np.diff(starts)
    plain = ~_mask(pc.match_substring(lines, "\\")) & (np.asarray(pc.binary_length(lines)) <= LONGEST)
    tables, read = [], np.zeros(len(lines), dtype=bool)
    for pieces in (7, 9):
        rows = np.flatnonzero(plain & (counts == pieces))
        if len(rows):
            tables.append(_awstats(cut.values, starts[rows] - starts[0], rows, quoted=(pieces - 3) // 2))
    rows = np.flatnonzero(plain & (counts == 1))
    if len(rows):
        tables.append(_native(lines.take(pa.array(rows)), rows))
    for table in tables:
        read[table["number"].to_numpy()] = True
    left = np.flatnonzero(~read)
    odd, refused = read_odd_lines(list(zip(left.tolist(), lines.take(pa.array(left)).to_pylist(), strict=True)))
    found = pa.concat_tables([*tables, odd]).combine_chunks()
    if len(tables) + bool(odd.num_rows) > 1:
        found = found.take(pc.sort_indices(found["number"]))
    return found, refused


def _awstats(values: pa.Array, starts: Numbers, rows: Numbers, quoted: int) -> pa.Table:
    """Return the lines of a format with quoted fields; those that do not fit exactly are left out."""

    def piece(place: int) -> pa.Array:
        return values.take(pa.array(starts + place))

    good = np.ones(len(rows), dtype=bool)
    for between in range(4, 2 * quoted + 2, 2):
        good &= _mask(pc.equal(piece(between), " "))
    good &= _mask(pc.equal(pc.ascii_rtrim_whitespace(piece(2 * quoted + 2)), ""))
    words = [pc.split_pattern(piece(place), " ") for place in range(3)]
    for one, count in zip(words, (_HEAD, _REQUEST, _MIDDLE), strict=True):
        good &= np.asarray(one.value_lengths()) == count
    if not good.all():
        return _awstats(values, starts[good], rows[good], quoted) if good.any() else FIELDS.empty_table()
    head, request, middle = (_columns(one, n) for one, n in zip(words, (_HEAD, _REQUEST, _MIDDLE), strict=True))
    status, wire_bytes, tag, duration = middle[1:5]
    local, ms, fits = _wall_times(head[3])
    zone, zone_fits = _zones(head[4])
    fits &= zone_fits & _are_numbers(status, wire_bytes, duration)
    fits &= _mask(pc.match_substring_regex(request[2], r"^HTTP/[0-9.]+$"))
    fits &= _distinct(tag, lambda text: 0 < text.find(":") < len(text) - 1)
    for ends in (head[5], middle[0], middle[5]):
        fits &= _mask(pc.equal(ends, ""))
    for needed in (*head[:3], request[0]):
        fits &= _mask(pc.not_equal(needed, ""))
    if not fits.all():
        return _awstats(values, starts[fits], rows[fits], quoted) if fits.any() else FIELDS.empty_table()
    first, none = piece(3), pa.repeat(NOTHING, len(rows))
    with_cvmfs = (ms >= 0) & (quoted == 3)
    identity = _halves(first, with_cvmfs) if with_cvmfs.any() else first
    kind = pa.DictionaryArray.from_arrays(
        pa.array(np.where(with_cvmfs, 2, quoted - 2).astype(np.int32)), ["two", "three", "three with cvmfs"]
    )
    return pa.table(
        [
            pa.array(rows),
            kind.dictionary_decode(),
            head[0],
            head[1],
            pa.array(local + np.maximum(ms, 0)),
            zone,
            request[0],
            request[1],
            *(pc.cast(numbers, pa.int64()) for numbers in (status, wire_bytes)),
            tag,
            pc.cast(duration, pa.int64()),
            identity,
            piece(5) if quoted == 2 else none,
        ],
        schema=FIELDS,
    )


def _native(lines: pa.Array, rows: Numbers) -> pa.Table:
    """Return the lines of Squid's own format; those that do not fit exactly are left out."""
    words = pc.ascii_split_whitespace(pc.ascii_rtrim_whitespace(lines))
    good = np.asarray(words.value_lengths()) == _NATIVE_WORDS
    if not good.all():
        return _native(lines.filter(pa.array(good)), rows[good]) if good.any() else FIELDS.empty_table()
    time, duration, client, tag, wire_bytes, method, url, _, hierarchy, _ = _columns(words, _NATIVE_WORDS)
    good = _mask(pc.match_substring_regex(time, r"^[0-9]{10}\.[0-9]{3}$")) & _are_numbers(duration, wire_bytes)
    good &= _mask(pc.match_substring_regex(tag, r"^[^/]+/[0-9]{1,18}$"))
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


def _wall_times(texts: pa.Array) -> tuple[Numbers, Numbers, Mask]:
    """Return times such as ``[26/Nov/2026:19:18:33.123``: whole seconds in ms, their ms or -1, and what is a time."""
    lengths = np.asarray(pc.binary_length(texts))
    encoded = pc.utf8_slice_codeunits(texts, 0, 21).dictionary_encode()
    known = [
        (wall_ms(text[1:]) if text.startswith("[") and len(text) == 21 else None)
        for text in encoded.dictionary.to_pylist()
    ]
    each = np.array([-1 if one is None else one for one in known], dtype=np.int64)
    local = each[np.asarray(encoded.indices)]
    fits = (local >= 0) & np.isin(lengths, (21, 25))
    ms = np.full(len(local), -1, dtype=np.int64)
    exact = np.flatnonzero(lengths == 25)
    if len(exact):
        rest = pc.utf8_slice_codeunits(texts.take(pa.array(exact)), 21)
        right = _mask(pc.match_substring_regex(rest, r"^\.[0-9]{3}$"))
        fits[exact[~right]] = False
        digits = pc.utf8_slice_codeunits(rest.filter(pa.array(right)), 1)
        ms[exact[right]] = np.asarray(pc.cast(digits, pa.int64()))
    return local, ms, fits


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


def _are_numbers(*columns: pa.Array) -> Mask:
    good = np.ones(len(columns[0]), dtype=bool)
    for column in columns:
        good &= _mask(pc.match_substring_regex(column, _NUMBER))
    return good


def _columns(words: pa.Array, count: int) -> list[pa.Array]:
    """Return the words of lists that all have the same number of words, as a column for each place."""
    flat, rows = words.flatten(), len(words)
    return [flat.take(pa.array(np.arange(place, place + rows * count, count))) for place in range(count)]


def _mask(found: pa.Array) -> Mask:
    return np.asarray(found.to_numpy(zero_copy_only=False), dtype=bool)
