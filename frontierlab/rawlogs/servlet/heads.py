"""The heads of lines of a servlet: server, time, zone and id, before the message."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from frontierlab.rawlogs.servlet.messages import Kind
from frontierlab.rawlogs.texts import PADDING, lengths, numbers, windows

__all__ = ["HEAD", "Heads", "first_time", "is_logback", "numbers_in", "past_place", "read_heads"]

Integers = NDArray[np.int64]
Bytes = NDArray[np.uint8]
Mask = NDArray[np.bool_]

_NAME = 80  # longest name of a server
_ZONE = 24  # longest name of a time zone
_STAMP = b"dd/dd/dd dd:dd:dd.ddd "
_LOGBACK = b"dddd-dd-dd dd:dd:dd,ddd "
_DIGITS = np.array([k for k, sign in enumerate(_STAMP) if sign == ord("d")])
_SIGNS = np.array([k for k, sign in enumerate(_STAMP) if sign != ord("d")])
_SIGN_VALUES = np.frombuffer(_STAMP, np.uint8)[_SIGNS]

HEAD = re.compile(
    rb"(?P<server>\S{1,80}) (?P<month>\d\d)/(?P<day>\d\d)/(?P<year>\d\d) "
    rb"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)\.(?P<ms>\d{3}) (?P<zone>\S{1,24}) "
    rb"(?P<sign>[+-])(?P<hours>\d\d)(?P<minutes>\d\d) (?:id=(?P<id>\d+)(?:-ka)?|FrontierInit) "
)
"""What stands before a message, where a few lines are looked at; `read_heads` reads many."""


def first_time(lines: Iterable[bytes]) -> int | None:
    """Return the time of the first line of a servlet, UTC in ms since the epoch; None if there is none."""
    for line in lines:
        if (found := HEAD.match(line)) is not None:
            number = {name: int(found[name]) for name in ("month", "day", "hour", "minute", "second", "ms")}
            shift = timedelta(hours=int(found["hours"]), minutes=int(found["minutes"]))
            try:
                local = datetime(2000 + int(found["year"]), number["month"], number["day"], tzinfo=UTC)
            except ValueError:
                continue
            local += timedelta(hours=number["hour"], minutes=number["minute"], seconds=number["second"])
            moment = local - shift if found["sign"] == b"+" else local + shift
            return int(moment.timestamp()) * 1000 + number["ms"]
    return None


@dataclass
class Heads:
    """What stands before the message in lines, and whether it stands there."""

    found: Mask
    name: Integers
    zone_at: Integers
    zone: Integers
    time: Integers
    offset: Integers
    request: Integers
    message: Integers

    def take(self, which: Integers) -> Heads:
        """Return the heads of some of the lines."""
        return Heads(*(getattr(self, one.name)[which] for one in fields(self)))


def read_heads(view: Bytes, begin: Integers, feeds: Integers) -> Heads:
    """Read the heads of lines: ``<server> MM/dd/yy HH:mm:ss.SSS <zone> <+hhmm> <id> ``."""
    count = len(begin)
    name = lengths(view, begin, _NAME + 1)
    at = np.minimum(begin + name + 1, len(view) - PADDING)
    stamp = windows(view, at, len(_STAMP))
    digits = stamp[:, _DIGITS] - 48
    found = (
        (name > 0)
        & (name <= _NAME)
        & (feeds - begin > 40)
        & (stamp[:, _SIGNS] == _SIGN_VALUES).all(1)
        & (digits < 10).all(1)
    )
    rows = np.flatnonzero(found)
    good = at[rows]
    zone_at = good + len(_STAMP)
    zone = lengths(view, zone_at, _ZONE + 1)
    shift = windows(view, zone_at + zone + 1, 6)
    sign = np.where(shift[:, 0] == ord("-"), -1, 1)
    hours = shift[:, 1:5].astype(np.int64) - 48
    fine = (
        (zone > 0)
        & (zone <= _ZONE)
        & np.isin(shift[:, 0], (ord("+"), ord("-")))
        & (shift[:, 5] == 32)
        & ((hours >= 0) & (hours < 10)).all(1)
    )
    offset = sign * ((hours[:, 0] * 10 + hours[:, 1]) * 60 + hours[:, 2] * 10 + hours[:, 3])
    time, real = _times(digits[rows].astype(np.int64))
    after = zone_at + zone + 7
    request, message, is_id = _ids(view, np.minimum(after, len(view) - PADDING))
    fine &= real & is_id & (message <= feeds[rows]) & (np.abs(offset) < 24 * 60)
    message = np.minimum(message, feeds[rows])
    found[rows] = fine

    def whole(values: Integers) -> Integers:
        wide = np.zeros(count, np.int64)
        wide[rows] = values
        return wide

    columns = (zone_at, zone, time - offset * 60_000, offset, request, message)
    return Heads(found, name, *(whole(values) for values in columns))


def is_logback(view: Bytes, begin: Integers) -> Mask:
    """Whether lines begin with the time that logback prints: those of a servlet of 2025 repeat its other lines."""
    stamp = windows(view, begin, len(_LOGBACK))
    is_digit = (stamp >= ord("0")) & (stamp <= ord("9"))
    wanted = np.frombuffer(_LOGBACK, np.uint8)
    fits: Mask = np.logical_and.reduce(np.where(wanted == ord("d"), is_digit, stamp == wanted), axis=1)
    return fits


def _times(digits: Integers) -> tuple[Integers, Mask]:
    """Return ms since the epoch from the digits of ``MMddyyHHmmssSSS``, and whether it is a time."""
    pair = digits[:, 0:12:2] * 10 + digits[:, 1:12:2]
    month, day, year, hour, minute, second = (pair[:, k] for k in range(6))
    real = (month >= 1) & (month <= 12) & (day >= 1) & (hour < 24) & (minute < 60) & (second < 61)
    safe = np.where(real, month, 1)
    months = ((2000 + year - 1970) * 12 + safe - 1).astype("datetime64[M]")
    days = months.astype("datetime64[D]").astype(np.int64) + day - 1
    real &= days < (months + 1).astype("datetime64[D]").astype(np.int64)
    millis = digits[:, 12] * 100 + digits[:, 13] * 10 + digits[:, 14]
    return ((days * 24 + hour) * 60 + minute) * 60_000 + second * 1_000 + millis, real


def _ids(view: Bytes, at: Integers) -> tuple[Integers, Integers, Mask]:
    """Return the ids of requests (-1 for the servlet itself), where messages begin, and whether an id stands there."""
    is_request = (view[at] == ord("i")) & (view[at + 1] == ord("d")) & (view[at + 2] == ord("="))
    number, behind = numbers(view, np.where(is_request, at + 3, len(view) - 1))
    is_request &= number >= 0
    keepalive = is_request & (view[behind] == ord("-"))
    behind = np.where(keepalive, behind + 3, behind)
    words = lengths(view, at, 40)
    is_init = ~is_request & (words > 0) & (view[at] == ord("F")) & (view[at + 8] == ord("I"))
    behind = np.where(is_request, behind, at + words)
    known = (is_request | is_init) & (view[behind] == 32)
    message = behind + 1
    message += view[np.minimum(message, len(view) - 1)] == 32  # servlets 3.19 to 3.22 print two blanks
    return np.where(is_request, number, -1), message, known


def past_place(view: Bytes, message: Integers, feeds: Integers) -> Integers:
    """Return where messages begin behind ``<File.java> +<line> ``, which high verbosity prints.

    Names of Java's files begin with a capital letter.
    """
    message = np.minimum(message, len(view) - PADDING)
    word = lengths(view, message, 60)
    end = message + word
    java = (word > 5) & (view[message] >= ord("A")) & (view[message] <= ord("Z"))
    for back, sign in enumerate(reversed(b".java")):
        java &= view[np.maximum(end - 1 - back, 0)] == sign
    java &= view[np.minimum(end + 1, len(view) - 1)] == ord("+")
    rows = np.flatnonzero(java)
    if not len(rows):
        return message
    number, behind = numbers(view, np.minimum(end[rows] + 2, len(view) - 1))
    good = (number >= 0) & (view[behind] == 32)
    behind = behind + 1
    behind += view[np.minimum(behind, len(view) - 1)] == 32
    moved = message.copy()
    moved[rows[good]] = behind[good]
    return np.minimum(moved, feeds)


def numbers_in(view: Bytes, message: Integers, kind: Integers) -> tuple[Integers, Integers]:
    """Return the two numbers of each message; see `Messages`."""
    first, second = np.full(len(kind), -1, np.int64), np.full(len(kind), -1, np.int64)

    def of(kind_: Kind) -> Integers:
        return np.flatnonzero(kind == kind_)

    rows = of(Kind.STOP)
    first[rows], behind = numbers(view, message[rows] + len(b"stop threads="))
    elapsed = view[np.minimum(behind + 1, len(view) - 1)] == ord("e")  # " elapsed msecs=" up to 3.7
    second[rows], _ = numbers(view, behind + np.where(elapsed, len(b" elapsed msecs="), len(b" msecs=")))
    rows = of(Kind.ROWS)
    first[rows], behind = numbers(view, message[rows] + len(b"rows="))
    second[rows], _ = numbers(view, behind + len(b", full size="))
    rows = of(Kind.ACQUIRED)
    first[rows], behind = numbers(view, message[rows] + len(b"DB connection acquired active="))
    second[rows], _ = numbers(view, behind + len(b" msecs="))
    for one, begin in (
        (Kind.FINISHED, b"DB query finished msecs="),
        (Kind.TRANSFERRED, b"DB data transferred msecs="),
    ):
        rows = of(one)
        second[rows], _ = numbers(view, message[rows] + len(begin))
    for one, begin in (
        (Kind.PROCESSING_ERROR, b"Error while processing payload "),
        (Kind.DISCONNECTED, b"Client disconnected while processing payload "),
    ):
        rows = of(one)
        first[rows], _ = numbers(view, message[rows] + len(begin))
    return first, second
