"""Turn a selection into filters of an Elasticsearch query.

The filters only narrow the search: every document whose row meets the selection passes them. What a server cannot
decide exactly (a folder that a document names by its id, a name in analysed text, a number written as text) passes too,
and is decided on the completed rows (`frontierlab.extraction.selected`). A filter decides in each index by the field
that holds exact values there: the field itself, or a sub-field such as ``.keyword``.

Where no rows are made (`frontierlab.overview`), the filters are `certain`: only documents pass whose values are in the
index as the selection gives them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from frontierlab.catalogue import Catalogue
from frontierlab.elastic.index_fields import Field
from frontierlab.elastic.queries import ALL, NONE, all_of, any_of, in_indices, missing, none_of, terms
from frontierlab.errors import InvalidRequestError
from frontierlab.schema import COLUMNS
from frontierlab.selection import LISTED, QUERY_KINDS, Selection

__all__ = ["COMPLETED", "FIELDS", "IndexFields", "Narrowing", "combined", "fields_of", "narrowing"]

Query = dict[str, Any]
Test = Callable[[str, str], Query]
"""``(field, type)`` → the query for the documents whose values may be among the wanted ones."""

FIELDS = {column.name: column.field for column in COLUMNS if column.field is not None}
"""The columns that come from a document → the document's field."""
COMPLETED = {"nodefullpath": "node_id", "tagname": "tag_id"}
"""The columns that a catalogue completes, and the columns that they are completed from."""

_NAMES = ("keyword", "constant_keyword", "wildcard")
_BITS = {"byte": 7, "short": 15, "integer": 31, "long": 63}
_RANGES = {name: range(-(2**bits), 2**bits) for name, bits in _BITS.items()} | {"unsigned_long": range(2**64)}
_NUMBERS = (*_RANGES, "double", "float")
_FLAGS = ("boolean", *_NUMBERS)
_GIVEN = tuple(name for name in LISTED if name not in COMPLETED)  # by a document itself
_PLAIN_INTEGER = "-?(0|[1-9][0-9]*)"
# how a flag can be written in an index of keywords, if it is plainly the one or the other
_WORDS = {
    True: ["true", "True", "TRUE", "1", "1.0"],
    False: ["false", "False", "FALSE", "0", "0.0"],
}


class Narrowing(NamedTuple):
    """The filters for a selection.

    Parameters
    ----------
    filters
        Queries that a document must meet, beside the period.
    exact
        Whether the server decides the selection exactly; otherwise more documents are read than are kept.
    notes
        Sentences about conditions that the server cannot decide at all in some indices.
    """

    filters: list[Query]
    exact: bool
    notes: list[str]


@dataclass(frozen=True)
class IndexFields:
    """What is known of the fields of the searched indices.

    Parameters
    ----------
    searched
        Names of the indices.
    fields
        Their fields and sub-fields, by name (``sqlowner``, ``sqlowner.keyword``).
    absent
        Field → the indices in which no document has it.
    """

    searched: Sequence[str]
    fields: Mapping[str, Field]
    absent: Mapping[str, Collection[str]] = field(default_factory=dict)


def combined(indices: IndexFields, values: Mapping[str, Sequence[Any]]) -> Query:
    """Return the certain filter for documents that have one of the given values in each column; None is missing."""
    maker = _Maker(indices, certain=True)
    return all_of([maker.listed(column, given) for column, given in values.items()])


def fields_of(selection: Selection, complete: bool) -> list[str]:
    """Return the fields of documents that a selection is decided by.

    Parameters
    ----------
    selection
        The selection.
    complete
        Whether folders and tags are completed from the catalogue, so that ids count too.
    """
    columns = [name for name in (*_GIVEN, *COMPLETED) if getattr(selection, name) is not None]
    if complete and not COMPLETED.keys().isdisjoint(columns):
        columns += ["schema", *(COMPLETED[name] for name in COMPLETED if name in columns)]
    if selection.cached is not None or selection.kind:
        columns.append("cached")
    if selection.kind:
        columns += QUERY_KINDS[:-1]
    if selection.min_querytime is not None:
        columns.append("querytime")
    return [FIELDS[column] for column in dict.fromkeys(columns)]


def narrowing(
    selection: Selection, indices: IndexFields, catalogue: Catalogue | None, complete: bool, *, certain: bool = False
) -> Narrowing:
    """Return the filters for a selection; its times are not used.

    Parameters
    ----------
    selection
        The selection.
    indices
        The indices, and their `fields_of` the selection.
    catalogue
        The catalogue that completes the rows; None if there is none yet.
    complete
        Whether rows are completed.
    certain
        Whether documents that the server cannot decide are left out; with that, `complete` must be False.

    Raises
    ------
    InvalidRequestError
        With `certain`: the server cannot decide a condition in an index.
    """
    maker = _Maker(indices, certain)
    filters = [maker.listed(name, getattr(selection, name)) for name in _GIVEN]
    for name, by_id in COMPLETED.items():
        values = getattr(selection, name)
        if values is not None:
            filters.append(maker.completed(name, by_id, values, catalogue) if complete else maker.listed(name, values))
    if selection.cached is not None or selection.kind:
        filters.append(maker.flag("cached", bool(selection.cached)))
    if selection.kind:
        filters.append(any_of(maker.kind(kind) for kind in selection.kind))
    if selection.min_querytime is not None:
        filters.append(maker.at_least("querytime", selection.min_querytime))
    return Narrowing([one for one in filters if one != ALL], maker.exact, maker.notes)


class _Maker:
    """Makes the filters of one selection, and notes what they cannot decide."""

    def __init__(self, indices: IndexFields, certain: bool = False) -> None:
        self._indices = indices
        self._certain = certain
        self.exact = True
        self.notes: list[str] = []

    def listed(self, column: str, values: Sequence[Any] | None) -> Query:
        """Return the filter for any of the values of a column; None is a missing value."""
        if values is None:
            return ALL
        name = FIELDS[column]
        if column in ("taskid", "node_id", "tag_id"):
            return self._decided(name, (*_NUMBERS, *_NAMES), self._number(values), None in values)
        return self._decided(name, _NAMES, _database(values) if column == "db" else _name(values), None in values)

    def completed(self, column: str, by_id: str, values: Sequence[str | None], catalogue: Catalogue | None) -> Query:
        """Return the filter for folders or tags that documents name by name or by id alone."""
        self.exact = False
        unnamed = self.listed(column, [None])
        named = self.listed(column, values)
        if catalogue is None or None in values:
            return any_of([named, unnamed])
        name, known = ("node", catalogue.table) if column == "nodefullpath" else ("tag", catalogue.table)
        rows = known.filter(pc.is_in(known[name], value_set=pa.array(values, pa.string())))
        ids = [one for one in pc.unique(rows[by_id]).to_pylist() if one is not None]
        if 0 in ids and column == "tagname":  # a document of a folder without tags may give no tag at all
            ids.append(None)
        schemas = pc.unique(rows["schema"]).to_pylist()
        by_ids = [unnamed, self.listed(by_id, ids), self.listed("schema", schemas)] if ids else [NONE]
        return any_of([named, all_of(by_ids)])

    def flag(self, column: str, wanted: bool) -> Query:
        """Return the filter for a flag; 1 counts as true, and 0 as false."""

        def test(name: str, type_: str) -> Query:
            if type_ in _NAMES and self._certain:
                return terms(name, _WORDS[wanted])
            if type_ in _NAMES:
                self.exact = False
                return all_of([{"exists": {"field": name}}, none_of([terms(name, _WORDS[not wanted])])])
            return terms(name, [wanted if type_ == "boolean" else int(wanted)])

        return self._decided(FIELDS[column], (*_FLAGS, *_NAMES), test, False)

    def kind(self, kind: str) -> Query:
        """Return the filter for a kind: its flag, and no flag before it."""
        flags = QUERY_KINDS[:-1]
        before = flags[: flags.index(kind)] if kind in flags else flags
        if self._certain:
            own = self.flag(kind, True) if kind in flags else ALL
            return all_of([own, *(none_of([self.flag(flag, True)]) for flag in before)])
        certain = [FIELDS[flag] for flag in before if self._types(FIELDS[flag]) <= {"boolean"}]
        self.exact &= len(certain) == len(before)
        excluded = none_of([terms(name, [True]) for name in certain]) if certain else ALL
        return all_of([self.flag(kind, True) if kind in flags else ALL, excluded])

    def at_least(self, column: str, least: int) -> Query:
        """Return the filter for a measured number; the index may have cut a fraction that a row rounds up."""
        if not self._certain:
            self.exact, least = False, least - 1
        return self._decided(FIELDS[column], _NUMBERS, lambda name, _: {"range": {name: {"gte": least}}}, False)

    def _number(self, values: Sequence[int | None]) -> Test:
        numbers = [value for value in values if value is not None]

        def test(name: str, type_: str) -> Query:
            if type_ in _NAMES and self._certain:
                return any_of(_terms(name, list(map(str, numbers))))
            if type_ in _NAMES:  # also what is written in another way: "12.0", " 12"
                self.exact = False
                odd = all_of([{"exists": {"field": name}}, none_of([{"regexp": {name: _PLAIN_INTEGER}}])])
                return any_of([*_terms(name, list(map(str, numbers))), odd])
            possible = _RANGES.get(type_)  # a server refuses a number that the type cannot hold
            return any_of(_terms(name, [one for one in numbers if possible is None or one in possible]))

        return test

    def _types(self, name: str) -> set[str]:
        return set(self._indices.fields.get(name, Field()).types)

    def _decided(self, name: str, types: Collection[str], test: Test, or_missing: bool) -> Query:
        """Return a filter that tests in each index the field with exact values there; without one it passes all."""
        places = self._places(name, types)
        groups: dict[tuple[str, str] | None, list[str]] = {}
        for index in self._indices.searched:
            groups.setdefault(places.get(index), []).append(index)
        absent = {*self._indices.absent.get(name, ())}
        undecided = [index for index in groups.get(None, []) if index not in absent]
        if undecided and self._certain:
            types_there = self._indices.fields.get(name, Field()).in_words()
            raise InvalidRequestError(
                f"{', '.join(sorted(undecided))} cannot be searched by {name} (the field is {types_there}). Extract "
                "the period and filter its rows, or leave the condition out."
            )
        if undecided:
            self._note(name, undecided)
        found = []
        for place, group in groups.items():
            if place is None:
                query = ALL if or_missing else NONE
            else:
                exact, type_ = place
                lacks = [missing(one) for one in dict.fromkeys((name, exact))] if or_missing else []
                query = any_of([test(exact, type_), *lacks, *([] if self._certain else [_ignored(name, exact)])])
            members = [index for index in group if place is not None or index in absent]
            if members:
                found.append(query if len(members) == len(self._indices.searched) else _within(members, query))
        return any_of([*found, *([in_indices(undecided)] if undecided else [])])

    def _places(self, name: str, types: Collection[str]) -> dict[str, tuple[str, str]]:
        """Return the field with exact values, and its type, of each index that has one."""
        below = sorted(one for one in self._indices.fields if one.startswith(f"{name}."))
        found: dict[str, tuple[str, str]] = {}
        for one in (name, *below):
            mapped = self._indices.fields.get(one)
            for index, type_ in mapped.types_in(self._indices.searched).items() if mapped else ():
                if type_ in types and (one == name or type_ in _NAMES):
                    found.setdefault(index, (one, type_))
        return found

    def _note(self, name: str, indices: Sequence[str]) -> None:
        self.exact = False
        types = self._indices.fields.get(name, Field()).in_words()
        text = (
            f"{', '.join(sorted(indices))} cannot be searched by {name} (the field is {types}): all documents of the "
            "period that meet the other conditions are read there, and the rows decide."
        )
        if text not in self.notes:
            self.notes.append(text)


def _terms(name: str, values: Sequence[Any]) -> list[Query]:
    return [terms(name, values)] if values else []


def _name(values: Sequence[str | None]) -> Test:
    return lambda name, _: any_of(_terms(name, [value for value in values if value is not None]))


def _database(values: Sequence[str | None]) -> Test:
    """Return the test for database instances, which documents name with any suffix after ``_``."""
    instances = [value for value in values if value is not None]
    return lambda name, _: any_of(
        [*_terms(name, instances), *({"prefix": {name: f"{instance}_"}} for instance in instances)]
    )


def _ignored(*names: str) -> Query:
    """Return the query for documents with a value that the index ignored as malformed or too long."""
    return {"terms": {"_ignored": list(dict.fromkeys(names))}}


def _within(indices: Sequence[str], query: Query) -> Query:
    return query if query == NONE else all_of([in_indices(indices), query])
