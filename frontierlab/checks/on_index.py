"""Count the documents of an index for checks, by aggregations: the queries that an extraction would give."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from frontierlab.catalogue import Catalogue
from frontierlab.checks.conditions import SQL_FIELD
from frontierlab.checks.tallies import NotCounted, Row, Tally, added
from frontierlab.checks.windows import MINUTE
from frontierlab.elastic.client import Index
from frontierlab.elastic.errors import QueryRefused
from frontierlab.elastic.queries import NONE, all_of
from frontierlab.elastic.shapes import Mapped, Shape
from frontierlab.extraction.examination import examine
from frontierlab.extraction.narrowing import FIELDS, IndexFields
from frontierlab.extraction.request import Request
from frontierlab.overviews.conditions import FOLDER, completed
from frontierlab.overviews.counting import PAGE, PAGES, Looker, value_of
from frontierlab.overviews.parts import Group, Part, frozen, parts_of, searched
from frontierlab.storage.spans import Span

__all__ = ["IndexCounter"]

_FIELDS = (
    *("@timestamp", "sqldb", "sqlowner", "sqlnodeid", "sqlnodefullpath", "taskid", "frontierserver", "sqlsin"),
    *("sqlunt", "cached", "disconn", "rejected", "procerror", "querytime", "initthreads"),
)
_IOV = ("sqlsin", "sqlunt")
_EXACT = frozenset({"long", "integer", "short", "byte", "unsigned_long"})


class IndexCounter:
    """Counts the documents of an index; use it as a context manager, in which all searches see the same documents.

    Parameters
    ----------
    index
        The index.
    request
        The extraction whose queries are counted; its time does not matter.
    catalogue
        Names folders that documents name by their id; None if there is none.
    now
        The time until which the index holds documents, in UTC milliseconds.

    Attributes
    ----------
    covered
        The time from the first document until now, in one span; no span if there is no document.
    partial
        Empty: an index has all queries that it has.
    notes
        Sentences on documents that were not counted, and on indices that are not read.
    """

    def __init__(self, index: Index, request: Request, catalogue: Catalogue | None, now: int) -> None:
        self._index, self._catalogue = index, catalogue
        self._instances = request.db_instances
        examined = examine(index, request)
        self._known: IndexFields = examined.indices
        self.notes = [*examined.partial, *(note for note in examined.notes if SQL_FIELD not in note)]
        self.partial: list[str] = []
        self._groups = [Group(_exact(shape), names) for shape, names in searched(index, _FIELDS)]
        first = index.ends({"range": {"@timestamp": {"gte": 0, "lt": now, "format": "epoch_millis"}}})[0]
        self.covered = [] if first is None else [Span(first - first % MINUTE, now)]
        self._looker: Looker | None = None

    @contextmanager
    def frozen(self, spans: Sequence[Span]) -> Iterator[None]:
        """Open a point in time, and find the names of the configured databases in the documents of some times.

        Raises
        ------
        PointInTimeLost
            The server has forgotten the point in time; begin again.
        """
        with frozen(self._index, self._groups):
            parts = []
            for group in self._groups:
                for span in spans:
                    query = Part(group, span.start, span.stop).query()
                    documents, group.shards = self._index.count_and_shards(query, group.names)
                    group.documents = max(group.documents, documents)
                parts += [part for span in spans for part in parts_of(group, *span, MINUTE)]
            self._looker = Looker(self._index, parts, lambda what: None)
            self._looker.look_at_databases(self._instances)
            self._note_documents(parts)
            yield

    def _note_documents(self, parts: Sequence[Part]) -> None:
        """Note the documents that are not among the counted queries, or may be read differently."""
        assert self._looker is not None
        found, queries = self._looker.databases, 0
        for part in parts:
            assert part.group.pit is not None
            if "sqldb" in part.group.shape.fields:
                query = part.query(self._configured(part.group.shape))
                queries += self._index.count_in(part.group.pit, query, part.group.shards)
        if left_out := found.documents - queries:
            self.notes.append(
                f"{left_out:,} of {found.documents:,} documents name no configured database (db_instances) and were "
                "not looked at."
            )
        if found.ignored:
            self.notes.append(
                f"{found.ignored:,} documents have a value that the index did not take (malformed or too long), which "
                "an extraction may read."
            )
        if found.unseen:
            self.notes.append(f"{found.unseen:,} documents name one of too many databases: they were not looked at.")

    def has_sql(self) -> str:
        """Return why the text of the SQL cannot be looked at; empty if it can."""
        mapped = self._known.fields.get(SQL_FIELD)
        if mapped is None:
            return f"{self._index.name} has no field {SQL_FIELD}"
        types = set(mapped.types_in(self._known.searched).values())
        if not types or not types <= {"text", "match_only_text", "keyword", "wildcard"}:
            return f"{SQL_FIELD} of {self._index.name} is {mapped.in_words()}, which cannot be searched for a text"
        return ""

    def count(self, tally: Tally) -> list[Row]:
        """Return the numbers of all groups, by searches of their pages."""
        found: dict[tuple[int, tuple[Any, ...]], list[dict[str, int]]] = {}
        keys = FOLDER if "nodefullpath" in tally.keys else tally.keys
        for group in self._groups:
            for part in parts_of(group, *tally.span, tally.width):
                for row in self._counted(part, tally, keys):
                    found.setdefault((row.piece, row.key), []).append(row.numbers)
        if keys == FOLDER:
            found = self._named(found)
        return [Row(piece, key, added(tally, numbers)) for (piece, key), numbers in found.items()]

    def _named(self, found: Mapping[tuple[int, tuple[Any, ...]], Any]) -> dict[tuple[int, tuple[Any, ...]], Any]:
        """Return the numbers by the names of folders, which the catalogue gives to those with an id only."""
        folders = list(dict.fromkeys(key for _, key in found))
        names = {
            folder: tuple(row[column] for column in FOLDER[:3])
            for folder, row in zip(folders, completed(folders, self._catalogue), strict=True)
        }
        named: dict[tuple[int, tuple[Any, ...]], Any] = {}
        for (piece, key), numbers in found.items():
            named.setdefault((piece, names[key]), []).extend(numbers)
        return named

    def _counted(self, part: Part, tally: Tally, keys: Sequence[str]) -> Iterator[Row]:
        shape = part.group.shape
        if "sqldb" not in shape.fields:
            return
        body, runtime = self._body(shape, tally, keys)
        query = all_of([self._configured(shape), *self._only(shape, tally)])
        if query == NONE:
            return
        after: Mapping[str, Any] | None = None
        for _ in range(PAGES):
            if after:
                body["composite"]["after"] = after
            answer = self._asked(part, tally, query, body, runtime)
            for bucket in answer["buckets"]:
                yield from self._rows(bucket, tally, keys)
            after = answer.get("after_key")
            if after is None or len(answer["buckets"]) < PAGE:
                return
        raise NotCounted(f"there are more than {PAGE * PAGES:,} groups in this time: look at less time")

    def _asked(
        self, part: Part, tally: Tally, query: dict[str, Any], body: dict[str, Any], runtime: Mapping[str, Any]
    ) -> dict[str, Any]:
        group = part.group
        assert group.pit is not None
        search = part.query(query), {"all": body}
        try:
            answer = self._index.aggregate(group.pit, *search, group.shards, {**group.shape.runtime, **runtime})
        except QueryRefused as error:
            if not any(one.scripted for one in tally.conditions):
                raise
            raise NotCounted(f"the server refuses the script that this needs ({error})") from error
        found: dict[str, Any] = answer["all"]
        return found

    def _configured(self, shape: Shape) -> dict[str, Any]:
        assert self._looker is not None, "frozen() finds the names"
        return {"terms": {shape.fields["sqldb"].name: sorted(self._looker.databases.names)}}

    def _only(self, shape: Shape, tally: Tally) -> list[dict[str, Any]]:
        return [] if tally.only is None else [tally.only.query(shape, self._known)]

    def _body(self, shape: Shape, tally: Tally, keys: Sequence[str]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the aggregation, and the ``runtime_mappings`` that its conditions need."""
        when = shape.fields["@timestamp"].name
        bins = {"field": when, "fixed_interval": f"{tally.width}ms", "offset": f"{tally.span.start % tally.width}ms"}
        sources: list[dict[str, Any]] = [{"piece": {"date_histogram": bins}}]
        for column in keys:
            if (mapped := shape.fields.get(FIELDS[column])) is not None:
                sources.append({column: {"terms": {"field": mapped.name, "missing_bucket": True}}})
        below = {name: {"filter": one.query(shape, self._known)} for name, one in tally.counted.items()}
        for name, column in tally.largest.items():
            if (mapped := shape.fields.get(FIELDS[column])) is not None:
                below[name] = {"max": {"field": mapped.name}}
        runtime = {name: how for one in tally.conditions for name, how in one.runtime.items()}
        return {"composite": {"size": PAGE, "sources": sources}, "aggregations": below}, runtime

    def _rows(self, bucket: Mapping[str, Any], tally: Tally, keys: Sequence[str]) -> Iterator[Row]:
        values = {column: _value(column, bucket["key"].get(column)) for column in keys}
        if "db" in values:
            instance = str(values["db"]).partition("_")[0]
            if instance not in self._instances:  # another value of an array
                return
            values["db"] = instance
        numbers = {"queries": int(bucket["doc_count"])}
        numbers |= {name: int(bucket[name]["doc_count"]) for name in tally.counted}
        for name in tally.largest:
            if (value := bucket.get(name, {"value": None})["value"]) is not None:
                numbers[name] = int(value)
        yield Row(int(bucket["key"]["piece"]), tuple(values.values()), numbers)


def _value(column: str, value: Any) -> Any:
    return None if value is None else value_of(FIELDS[column], value)


def _exact(shape: Shape) -> Shape:
    """Return a shape in which the ends of IOVs are read from the documents if the index may have rounded them."""
    rounded = [name for name in _IOV if name in shape.fields and shape.fields[name].type not in _EXACT]
    return replace(
        shape,
        fields={**shape.fields, **{name: Mapped(name, "long") for name in rounded}},
        runtime={**shape.runtime, **{name: {"type": "long"} for name in rounded}},
    )
