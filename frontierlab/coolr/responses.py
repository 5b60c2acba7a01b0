"""Check COOLR's responses and convert them to typed tables; both key styles and both payload shapes are read."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from frontierlab.coolr.digest import digest
from frontierlab.errors import CoolrError
from frontierlab.schema import OPEN_IOV

__all__ = [
    "NODES",
    "Node",
    "PAYLOADS",
    "SCHEMAS",
    "TAGS",
    "Tag",
    "Unusable",
    "decode",
    "in_order",
    "read_nodes",
    "read_payloads",
    "read_schemas",
    "read_tags",
]

SCHEMAS = pa.schema([("schemaname", pa.string())])
"""A row is a schema."""

NODES = pa.schema(
    [("nodefullpath", pa.string()), ("node_id", pa.int64()), ("nodetime", pa.string()), ("description", pa.string())]
)
"""A row is a folder; see `Node`."""

TAGS = pa.schema([("tagname", pa.string()), ("tag_id", pa.int64())])
"""A row is a tag of a folder."""

PAYLOADS = pa.schema([("channel", pa.int64()), ("since", pa.int64()), ("until", pa.int64()), ("content", pa.string())])
"""A row is a payload of one channel, valid over ``[since, until)`` in the folder's IOV base. Two rows have equal
``content`` if and only if their payloads have equal values."""

_IOV = ("CHANNEL_ID", "IOV_SINCE", "IOV_UNTIL")
_IOV_NAMES = frozenset(_IOV)
_WHOLE = re.compile(r"-?[0-9]{1,19}")
_LEAST = -(2**63)
# the keys with which a response can name its subject, without underscores and in lower case
_NAMES = {"nodefullpath": "node", "node": "node", "tagname": "tag", "tag": "tag", "schema": "schema", "db": "db"}
_NAMES["schemaname"] = "schema"


class Node(NamedTuple):
    """A folder.

    Parameters
    ----------
    nodefullpath
        Its full path.
    node_id
        Its number in its schema.
    nodetime
        Its IOV base: ``run-lumi`` (run << 32 | lumiblock) or ``time`` (ns since the epoch), or another
        base as named by COOLR; None if COOLR names no base.
    description
        COOLR's description; empty if there is none.
    """

    nodefullpath: str
    node_id: int
    nodetime: str | None
    description: str


class Tag(NamedTuple):
    """A tag of a folder: its name and its number in the folder."""

    tagname: str
    tag_id: int


class Unusable(CoolrError):
    """The response does not answer the request; the text gives the reason."""


def decode(body: bytes) -> Any:
    """Parse JSON without rounding: whole numbers become int, other numbers Decimal.

    Raises
    ------
    Unusable
        The text is not JSON, is cut short, or has an object with a duplicate key.
    """
    try:
        return json.loads(body, parse_float=Decimal, parse_constant=Decimal, object_pairs_hook=_object)
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise Unusable(f"it is not readable JSON ({error})") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("an object has the same key twice")
    return found


def read_schemas(answer: Any, asked: Mapping[str, str]) -> pa.Table:
    """Return the schemas of a response in its order, without duplicates; see `read_nodes`."""
    names = [_text(record, "schemaname") for record in _records(answer, asked, ("schemaname",))]
    return pa.table({"schemaname": list(dict.fromkeys(names))}, SCHEMAS)


def read_nodes(answer: Any, asked: Mapping[str, str]) -> pa.Table:
    """Return the folders of a response.

    Parameters
    ----------
    answer
        The result of `decode`.
    asked
        The parameters of the call, among ``db``, ``schema``, ``node`` and ``tag``. If the response names
        one of these, it must be equal.

    Raises
    ------
    Unusable
        A field is missing or has another type, a folder is listed twice, or the response is for another call.
    """
    nodes = []
    for record in _records(answer, asked, ("nodefullpath", "nodeid", "nodeiovbase")):
        base = record["nodeiovbase"]
        if base is not None and not isinstance(base, str):
            raise Unusable(f"the IOV base of a folder is {_shown(base)}")
        description = record.get("nodedescription", record.get("description"))
        text = description if isinstance(description, str) else ""
        nodes.append(Node(_text(record, "nodefullpath"), _integer(record["nodeid"], "node_id"), base, text))
    return _unique(nodes, NODES)


def read_tags(answer: Any, asked: Mapping[str, str]) -> pa.Table:
    """Return the tags of a response; an empty table if the folder has no tags; see `read_nodes`."""
    records = _records(answer, asked, ("tagname", "tagid"))
    return _unique([Tag(_text(r, "tagname"), _integer(r["tagid"], "tag_id")) for r in records], TAGS)


def read_payloads(answer: Any, asked: Mapping[str, str], since: int, until: int) -> pa.Table:
    """Return the payload rows of a response of either shape, sorted by `in_order`.

    Parameters
    ----------
    answer, asked
        See `read_nodes`.
    since, until
        The requested range, both ends included.

    Raises
    ------
    Unusable
        A field is missing, has another type or exceeds int64; rows have different payload columns; a
        row does not begin before it ends, or is outside the range; or the response is for another call.
    """
    if not isinstance(answer, dict) or not isinstance(answer.get("data_array"), list):
        raise Unusable("it has no list data_array")
    _require_named({_plain(key): value for key, value in answer.items()}, asked)
    rows: list[tuple[int, int, int, str]] = []
    layout: Any = None
    for record in answer["data_array"]:
        if not isinstance(record, dict) or not record:
            raise Unusable(f"a row is {_shown(record)}")
        for channel, start, end, values, found in _rows(record, asked):
            layout = found if layout is None else layout
            if found != layout:
                raise Unusable(f"its rows have different payload columns: {layout} and {found}")
            row = (_integer(channel, "channel"), _integer(start, "IOV_SINCE"), _integer(end, "IOV_UNTIL"))
            if row[1] >= row[2]:
                raise Unusable(f"a row of channel {row[0]} does not begin before it ends: [{row[1]}, {row[2]})")
            if row[1] > until or row[2] <= since:
                raise Unusable(f"a row of channel {row[0]}, [{row[1]}, {row[2]}), is outside the range asked for")
            rows.append((*row, digest(values)))
    columns = zip(*rows, strict=True) if rows else [()] * len(PAYLOADS)
    return in_order(
        pa.table(
            [pa.array(column, kind) for column, kind in zip(columns, PAYLOADS.types, strict=True)], schema=PAYLOADS
        )
    )


def in_order(rows: pa.Table) -> pa.Table:
    """Return payload rows without duplicates, sorted by channel, since, until and content."""
    if rows.schema != PAYLOADS or rows.schema.metadata:
        rows = rows.select(PAYLOADS.names).cast(PAYLOADS)
    rows = rows.combine_chunks()
    if any(column.null_count for column in rows.columns):
        return _grouped(rows)
    keys = [rows[name].to_numpy() for name in PAYLOADS.names[:3]]
    follows, same = _neighbours(keys)
    if follows.all():
        return rows
    order = np.arange(len(keys[0]))
    if not (follows | same).all():
        order = np.lexsort(keys[::-1])
        _, same = _neighbours([key[order] for key in keys])
    if same.any():  # most often a row that both of two ranges contain
        content, again = rows["content"], np.flatnonzero(same)
        if not content.take(order[again]).equals(content.take(order[again + 1])):
            return _grouped(rows)
        order = order[np.concatenate([[True], ~same])]
    return rows.take(order)


def _neighbours(keys: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return of each row but the first whether its keys are greater than those of the row before, or the same."""
    follows = np.zeros(max(0, len(keys[0]) - 1), bool)
    same = ~follows
    for key in keys:
        follows |= same & (key[1:] > key[:-1])
        same &= key[1:] == key[:-1]
    return follows, same


def _grouped(rows: pa.Table) -> pa.Table:
    distinct = rows.group_by(PAYLOADS.names).aggregate([]).cast(PAYLOADS)
    return distinct.sort_by([(name, "ascending") for name in PAYLOADS.names]).combine_chunks()


def _rows(record: dict[str, Any], asked: Mapping[str, str]) -> list[tuple[Any, Any, Any, list[Any], Any]]:
    """Return channel, since, until, payload values and payload columns of each row in a member of data_array."""
    if _IOV_NAMES.isdisjoint(record) and all(isinstance(value, list) for value in record.values()):
        short = next((value for value in record.values() if len(value) < len(_IOV)), None)
        if short is not None:
            raise Unusable(f"a row lacks fields: {_shown(short)}")
        return [(key, v[1], v[2], [v[0], *v[3:]], len(v) - 2) for key, v in record.items()]
    if not _IOV_NAMES.issubset(record):
        lacking = [name for name in _IOV if name not in record]
        raise Unusable(f"a row lacks {', '.join(lacking)}: {_shown(record)}")
    names, folders = _split(tuple(record))
    for name in folders:
        _require_named({"nodefullpath": record[name]}, asked)
    channel, since, until = (record[name] for name in _IOV)
    return [(channel, since, until, [record[name] for name in names], names)]


@functools.lru_cache(maxsize=64)  # the rows of a response have the same keys
def _split(keys: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """Return the payload columns of a row, and the keys that name its folder."""
    folders = [key for key in sorted(keys) if _plain(key) == "nodefullpath"]
    return [key for key in sorted(keys) if key not in folders and key not in _IOV], folders


def _records(answer: Any, asked: Mapping[str, str], needed: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return the members of a list with normalised keys; each must have the `needed` keys."""
    if not isinstance(answer, list):
        raise Unusable("it is not a list")
    records = []
    for member in answer:
        if not isinstance(member, dict):
            raise Unusable(f"a member of the list is {_shown(member)}")
        record = {_plain(key): value for key, value in member.items()}
        lacking = [key for key in needed if key not in record]
        if lacking:
            raise Unusable(f"a member of the list lacks {', '.join(lacking)}: {_shown(member)}")
        _require_named(record, asked)
        records.append(record)
    return records


def _require_named(record: Mapping[str, Any], asked: Mapping[str, str]) -> None:
    for key, name in _NAMES.items():
        value = record.get(key)
        if isinstance(value, str) and value and value != asked.get(name, value):
            raise Unusable(f"it is about the {name} {value}, not {asked[name]}")


def _unique(records: list[Any], schema: pa.Schema) -> pa.Table:
    for place, what in ((0, schema.names[0]), (1, schema.names[1])):
        seen: set[Any] = set()
        for record in records:
            if record[place] in seen:
                raise Unusable(f"{what} {record[place]} is listed twice")
            seen.add(record[place])
    return pa.Table.from_pylist([record._asdict() for record in records], schema)


def _plain(key: str) -> str:
    return key.replace("_", "").lower()


def _text(record: Mapping[str, Any], key: str) -> str:
    value = record[key]
    if not isinstance(value, str) or not value:
        raise Unusable(f"{key} is {_shown(value)}, not a text")
    return value


def _integer(value: Any, what: str) -> int:
    if type(value) is int and _LEAST <= value <= OPEN_IOV:
        return value
    if isinstance(value, str) and _WHOLE.fullmatch(value):
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not _LEAST <= value <= OPEN_IOV:
        raise Unusable(f"{what} is {_shown(value)}, not a whole number of 64 bits")
    return value


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}…"
