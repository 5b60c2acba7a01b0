"""Odd documents, each with the outcome that extraction must produce.

An oddity is an unusual text for one field of a document. Some texts can be converted to the intended value (a number
in quotes). Some mean that there is no value (null, an empty list). Others cannot be converted: then the document is
malformed, for the reason given here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

import numpy as np

from frontierlab.sample.world.draws import MISSING, Columns
from frontierlab.sample.world.names import NAMES, NUMBER_AS_NAME, index_of
from frontierlab.schema import DOCUMENT_FIELDS, FLAG, INTEGER

__all__ = ["ODDITIES", "Oddity", "Spoilt", "spoil"]

NOT_INTEGER, BEYOND, NOT_FLAG = "not an integer", "beyond int64", "not a flag"
NOT_NAME, NOT_TIME, BARE_DATE = "not a name", "not a time", "a date without a time of day"
ABSENT, SEVERAL, OBJECT = "missing", "an array of several values", "an object"

KEPT, NULL = "kept", "null"
EXACT = 2**53
"""Integers below this are exact as floats, so that ``7.0`` is 7 for every reader of JSON."""


@dataclass(frozen=True)
class Oddity:
    """An unusual text for one field.

    Parameters
    ----------
    field
        The document's field.
    text
        Makes the JSON text from the field's value (an int, a name, or ms since the epoch); an empty text removes the
        field; None leaves this document unchanged.
    outcome
        ``kept`` if the value stays the same, ``null`` if the text means no value; otherwise the reason why the document
        is malformed.
    indexable
        Whether a real Elasticsearch accepts the document (with ``ignore_malformed``) and finds it by its intended time.
    meant
        The value that the text means, if it does not depend on the field's value.
    """

    field: str
    text: Callable[[int | str], str | None]
    outcome: str
    indexable: bool = True
    meant: int | None = None


@dataclass
class Spoilt:
    """The oddities of a chunk.

    ``texts`` has the JSON texts by field and row; ``reasons`` has the reason of each malformed document by row.
    """

    texts: dict[str, dict[int, str]] = field(default_factory=dict)
    reasons: dict[int, str] = field(default_factory=dict)


def _fixed(text: str) -> Callable[[int | str], str]:
    return lambda value: text


def _small(form: str) -> Callable[[int | str], str | None]:
    return lambda value: form.format(value) if abs(int(value)) < EXACT else None


def _integers(name: str) -> list[Oddity]:
    def fixed(text: str, outcome: str, indexable: bool = True) -> Oddity:
        return Oddity(name, _fixed(text), outcome, indexable)

    measured = DOCUMENT_FIELDS[name].measured  # a fraction is rounded, not malformed
    return [
        *(Oddity(name, form.format, KEPT) for form in ('"{}"', '" {} "', "[{}]")),
        *(Oddity(name, _small(form), KEPT) for form in ("{}.0", '"{}.0"')),
        *(fixed(text, NULL) for text in ("null", "[]", "")),
        *(
            Oddity(name, _fixed(text), KEPT, meant=13) if measured else fixed(text, NOT_INTEGER)
            for text in ("12.5", '"12.5"')
        ),
        fixed('"n/a"', NOT_INTEGER),
        Oddity(name, _fixed('""'), NULL, meant=MISSING),
        fixed("true", NOT_INTEGER),
        *(fixed(text, BEYOND) for text in ("9223372036854775808", '"9223372036854775808"')),
        fixed("[1, 2]", SEVERAL),
        fixed('{"value": 1}', OBJECT, indexable=False),
    ]


def _flags(name: str) -> list[Oddity]:
    def words(true: str, false: str) -> Callable[[int | str], str]:
        return lambda value: true if value else false

    return [
        Oddity(name, words('"true"', '"false"'), KEPT),
        Oddity(name, words("1", "0"), KEPT),
        Oddity(name, _fixed("null"), NULL),
        *(Oddity(name, _fixed(text), NOT_FLAG) for text in ('"yes"', "2")),
        Oddity(name, _fixed("[true, false]"), SEVERAL),
        Oddity(name, _fixed('{"value": true}'), OBJECT, indexable=False),
    ]


def _names(name: str) -> list[Oddity]:
    # never null for sqlowner: a row without a schema is not completed, and `completion` does not model that
    nulls = () if name == "sqlowner" else ("null", "[]", "")
    return [
        Oddity(name, lambda value: f'["{value}"]', KEPT),
        *(Oddity(name, _fixed(text), NULL) for text in nulls),
        *(Oddity(name, _fixed(text), NOT_NAME) for text in ("1.5", "true")),
        Oddity(name, _fixed('["a", "b"]'), SEVERAL),
        Oddity(name, _fixed('{"name": "a"}'), OBJECT, indexable=False),
    ]


def _iso(value: int | str, hours: int, form: str) -> str:
    """Write ms since the epoch as ISO 8601 in a time zone; ``form`` is the text around the local time."""
    zone = timezone(timedelta(hours=hours))
    local = datetime.fromtimestamp(int(value) // 1000, zone).strftime("%Y-%m-%dT%H:%M:%S")
    return form.format(f"{local}.{int(value) % 1000:03d}")


def _times() -> list[Oddity]:
    name = "@timestamp"
    same = ((2, '"{}+02:00"'), (2, '"{}+0200"'), (-5, '"{}-05:00"'), (0, '"{}"'), (0, '"{}999Z"'))
    unread = (
        ('"yesterday"', NOT_TIME),
        ('""', ABSENT),
        ("true", NOT_TIME),
        ("1790812800000.5", NOT_TIME),
        ("null", ABSENT),
        ("", ABSENT),
        ('{"time": 1790812800000}', OBJECT),
        ('["2026-10-01T00:00:00Z", "2026-10-01T01:00:00Z"]', SEVERAL),
    )
    return [
        *(Oddity(name, lambda v, h=h, f=f: _iso(v, h, f), KEPT) for h, f in same),  # type: ignore[misc]
        *(Oddity(name, form.format, KEPT) for form in ("{}", '"{}"')),
        Oddity(name, lambda value: f'"{_iso(value, 0, "{}")[:10]}"', BARE_DATE, indexable=False),
        *(Oddity(name, _fixed(text), reason, indexable=False) for text, reason in unread),
    ]


def _all() -> tuple[Oddity, ...]:
    makers = {INTEGER: _integers, FLAG: _flags}
    found = [*_times()]
    for name, column in DOCUMENT_FIELDS.items():
        if name != "@timestamp":
            found += makers.get(column.type, _names)(name)
    return tuple(found)


ODDITIES = _all()
"""All oddities: combinations of a field and a text."""


def spoil(columns: Columns, share: float, rng: np.random.Generator, *, indexable: bool) -> Spoilt:
    """Make about this share of the documents odd, and change ``columns`` to the values that the new texts mean.

    A tenth of the odd documents can be odd in a second field too; a few only have a number as their task name. The
    reason of a malformed document is that of its first malformed field, in the order of a log row's columns.

    Parameters
    ----------
    columns
        Drawn columns; a value that an oddity removes or replaces is changed in place.
    share
        Between 0 and 1.
    rng
        Random number generator.
    indexable
        Use only oddities that Elasticsearch accepts and finds by time.
    """
    count = len(columns["@timestamp"])
    kinds = [k for k in ODDITIES if k.indexable or not indexable]
    by_field: dict[str, list[Oddity]] = {}
    for kind in kinds:
        by_field.setdefault(kind.field, []).append(kind)
    fields = list(by_field)
    spoilt = Spoilt()
    order = list(DOCUMENT_FIELDS)
    for row in np.flatnonzero(rng.random(count) < share).tolist():
        if rng.random() < 0.02:
            columns["taskname"][row] = index_of("taskname", NUMBER_AS_NAME)[0]
            spoilt.texts.setdefault("taskname", {})[row] = NUMBER_AS_NAME
            continue
        number = 2 if rng.random() < 0.1 else 1
        chosen = sorted({fields[k] for k in rng.integers(0, len(fields), number)}, key=order.index)
        for name in chosen:
            _apply(by_field[name][rng.integers(0, len(by_field[name]))], row, columns, spoilt)
    return spoilt


def _apply(kind: Oddity, row: int, columns: Columns, spoilt: Spoilt) -> None:
    name = kind.field
    number = int(columns[name][row])
    missing = MISSING if DOCUMENT_FIELDS[name].type == INTEGER else -1
    if number == missing and kind.outcome in (KEPT, NULL) and kind.meant is None:
        return
    value = NAMES[name][number] if name in NAMES and number >= 0 else number
    text = kind.text(value)
    if text is None:
        return
    spoilt.texts.setdefault(name, {})[row] = text
    if kind.meant is not None:
        columns[name][row] = kind.meant
    elif kind.outcome == NULL:
        columns[name][row] = missing
    elif kind.outcome != KEPT:
        spoilt.reasons.setdefault(row, f"{name}: {kind.outcome}")
