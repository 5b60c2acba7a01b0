"""COOL SQL: what a query asks for, from its text.

COOL writes its queries in few shapes, which differ in values alone. So `read_cool_sql` cuts the values out of a text,
and reads a shape only when it is new; a known shape costs microseconds. Shapes that differ in the folder alone are
parsed once. What is not understood stays None and is named
in ``unclear``; nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from frontierlab.rawlogs.cool_templates import named, template_of
from frontierlab.rawlogs.cool_values import Values, evaluated
from frontierlab.rawlogs.sql_text import Canonical, Slot, canonical, parsable, split, sql_hash, without_binds

if TYPE_CHECKING:
    from frontierlab.rawlogs.cool_structure import Structure

__all__ = ["CoolQuery", "CoolReader", "read_cool_sql"]

_MOST_TOKENS = 20_000  # 200 kB of SQL; a request of 8,192 bytes seldom holds more
_DEEPEST = 40
_ENTRY = 2_000  # bytes of an entry without its text
_K = TypeVar("_K")
_V = TypeVar("_V")


class CoolQuery(NamedTuple):
    """What a query asks for.

    Parameters
    ----------
    fingerprint
        16 hexadecimal digits: equal for queries that differ only in values, white space, case, comments, and generated
        names (aliases of tables, names of query blocks in hints); other hints give another fingerprint.
    not_cool
        Why this is no COOL query; None if it is one. If it is none, everything below is None or empty.
    instance, schema
        The database instance (``CONDBR2``) and the schema, in upper case.
    table_kind
        The kind of the table that the answer comes from: ``IOVS`` if one is read, else ``PAYLOAD``, ``CHANNELS``,
        ``NODES``, ``TAGS``, …
    tables
        The kinds of all tables that the query joins, sorted.
    folder
        The number of the folder: of ``CONDBR2_F0003_IOVS`` 3; of ``NODES`` and ``TAGS`` the ``NODE_ID`` asked for.
    node
        The full path of the folder, where the query names it.
    tag_ids
        The numbers of the tags asked for, sorted; ``IS NULL`` is 0, no tag. Empty if the query names none.
    tag_name
        The name of the tag, where the query names it.
    since, until
        The IOV asked for, in the folder's IOV base; None if the query gives no such limit.
    channels
        The channels asked for, as (first, last), both included, sorted; None for all channels.
    asks_payload
        Whether the answer has columns of the payload; a count has none. None if ``unclear`` names the tables.
    unclear
        What the query limits or names in a way that is not read, such as ``channel`` or ``several folders``;
        ``tables`` if COOL's tables are read only within other parts of the query.
    """

    fingerprint: str
    not_cool: str | None = None
    instance: str | None = None
    schema: str | None = None
    table_kind: str | None = None
    tables: tuple[str, ...] = ()
    folder: int | None = None
    node: str | None = None
    tag_ids: tuple[int, ...] = ()
    tag_name: str | None = None
    since: int | None = None
    until: int | None = None
    channels: tuple[tuple[int, int], ...] | None = None
    asks_payload: bool | None = None
    unclear: tuple[str, ...] = ()

    @property
    def is_cool(self) -> bool:
        """Whether this is a COOL query."""
        return self.not_cool is None

    @property
    def shape(self) -> int | None:
        """A hash of all that is asked but the IOV, the ``sqlhash`` of rows with an IOV; None if some of it is unclear.

        Queries with the same shape and the same IOV are the same query.
        """
        if not self.is_cool or self.unclear:
            return None
        return sql_hash(repr((self.fingerprint, self.tag_ids, self.tag_name, self.channels, self.folder, self.node)))

    @property
    def tag_id(self) -> int | None:
        """The number of the tag; None if the query names none or several."""
        return self.tag_ids[0] if len(self.tag_ids) == 1 else None

    @property
    def channel(self) -> int | None:
        """The channel; None if the query asks for all or several."""
        if self.channels is None or len(self.channels) != 1 or self.channels[0][0] != self.channels[0][1]:
            return None
        return self.channels[0][0]


class _Shape(NamedTuple):
    fingerprint: str
    slots: tuple[Slot, ...]
    structure: Structure | str  # or why it is no COOL query


class CoolReader:
    """Reads COOL SQL and remembers the shapes that it has seen; several threads may use it.

    Parameters
    ----------
    megabytes
        About how much text of shapes is remembered; the oldest are forgotten.
    """

    def __init__(self, megabytes: float = 16.0) -> None:
        self.parsed = 0  # number of times that sqlglot was asked
        self._shapes: _Bounded[tuple[str, ...], _Shape] = _Bounded(int(megabytes * 750_000))
        self._structures: _Bounded[str, Structure | str] = _Bounded(int(megabytes * 200_000))
        self._templates: _Bounded[str, Structure] = _Bounded(int(megabytes * 50_000))
        self._lock = Lock()

    def read(self, text: str) -> CoolQuery:
        """Return what a query asks for, as `read_cool_sql`."""
        text, binds = without_binds(text)
        stretches, values = split(text)
        shape = self._shapes.get(stretches)
        if shape is None:
            with self._lock:
                shape = self._shape(text, values)
                self._shapes.put(stretches, shape, len(text))
        if isinstance(shape.structure, str):
            return CoolQuery(shape.fingerprint, shape.structure)
        if binds:
            given = iter(binds)
            values = [next(given, value) if value == "?" else value for value in values]
        return _query(shape.fingerprint, shape.structure, Values(shape.slots, values))

    def _shape(self, text: str, values: list[str]) -> _Shape:
        shape = canonical(text)
        structure = self._structures.get(shape.fingerprint)
        if structure is None:
            structure = self._structure(shape, values)
            self._structures.put(shape.fingerprint, structure, len(text))
        return _Shape(shape.fingerprint, tuple(shape.slots), structure)

    def _structure(self, shape: Canonical, values: list[str]) -> Structure | str:
        if len(shape.tokens) > _MOST_TOKENS or shape.deepest > _DEEPEST:
            return f"it is too long or too deep to be parsed (at most {_MOST_TOKENS:,} words and {_DEEPEST} levels)"
        from frontierlab.rawlogs.cool_structure import COOL_TABLE, NotCool, read_structure

        if COOL_TABLE.search("\n".join(shape.tokens)) is None:
            return "it reads no table of COOL"
        template = template_of(shape.tokens)
        try:
            if template is None:
                return self._parse(" ".join(parsable(shape, values)), read_structure)
            text = " ".join(parsable(shape._replace(tokens=template[0]), values))
            structure = self._templates.get(text)
            if structure is None:
                structure = self._parse(text, read_structure)
                self._templates.put(text, structure, len(text))
            return named(structure, template[1])
        except NotCool as reason:
            return str(reason)

    def _parse(self, text: str, read_structure: Callable[[str], Structure]) -> Structure:
        self.parsed += 1
        return read_structure(text)


def read_cool_sql(text: str) -> CoolQuery:
    """Return what a query asks for, from the text of its SQL.

    Text of any kind is taken: what is no COOL query has the reason in ``not_cool``. Values of binds (``:name``, ``?``)
    are not known, unless they follow the statement as ``:value1:value2``, as some clients write them.

    Parameters
    ----------
    text
        The SQL, as `frontierlab.rawlogs.decode_request` gives it or as a servlet log has it.

    Examples
    --------
    >>> read_cool_sql('SELECT CHANNEL_ID FROM "ATLAS_COOLONL_SCT"."CONDBR2_F0026_CHANNELS"').folder
    26
    """
    return _READER.read(text)


class _Bounded(Generic[_K, _V]):
    """A dictionary that forgets the oldest entries when their texts together are longer than `size`."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._used = 0
        self._entries: dict[_K, tuple[_V, int]] = {}

    def get(self, key: _K) -> _V | None:
        entry = self._entries.get(key)
        return None if entry is None else entry[0]

    def put(self, key: _K, value: _V, length: int) -> None:
        cost = length + _ENTRY
        if key in self._entries or cost > self._size:
            return
        while self._used + cost > self._size:
            self._used -= self._entries.pop(next(iter(self._entries)))[1]
        self._entries[key] = (value, cost)
        self._used += cost


def _query(fingerprint: str, structure: Structure, values: Values) -> CoolQuery:
    found = evaluated(structure.limits, values)
    folder = structure.folder if structure.folder is not None else found.folder
    return CoolQuery(
        fingerprint,
        None,
        structure.instance,
        structure.schema,
        structure.table_kind,
        structure.tables,
        folder,
        found.node,
        found.tag_ids,
        found.tag_name,
        found.since,
        found.until,
        found.channels,
        structure.asks_payload,
        structure.unclear + found.unclear,
    )


_READER = CoolReader()
