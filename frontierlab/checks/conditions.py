"""The conditions on queries that checks count by, each in two languages: SQL, and queries of Elasticsearch.

A document and its row meet the same conditions, if the index took the values of the document.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from frontierlab.elastic.index_fields import Field
from frontierlab.elastic.queries import NONE, all_of, any_of, in_indices
from frontierlab.elastic.shapes import Shape
from frontierlab.extraction.narrowing import FIELDS, IndexFields
from frontierlab.filters import expressions
from frontierlab.overviews.aggregations import flag
from frontierlab.selection import QUERY_KINDS

__all__ = [
    "CACHED",
    "CACHED_GIVEN",
    "Condition",
    "FAILED",
    "FLAGS_GIVEN",
    "IOV_GIVEN",
    "ON_NO_GRID",
    "SQL_FIELD",
    "SQL_GIVEN",
    "given",
    "longer_than",
    "with_sql",
]

Query = dict[str, Any]
_FLAGS = QUERY_KINDS[:-1]

SQL_FIELD = "sqlquery"
"""The field of documents, and the extra column of datasets, with the text of the SQL."""

_SQL_TEXT = "frontierlab_sqlquery"  # a field of searches alone
_TEXTS = frozenset({"text", "match_only_text"})


@dataclass(frozen=True)
class Condition:
    """A condition on queries.

    Parameters
    ----------
    sql
        The condition in SQL.
    query
        Returns the query for documents of indices of a shape that meet it; the second argument is what is known of
        the field `SQL_FIELD`.
    args
        The values of the parameters in `sql`.
    runtime
        The ``runtime_mappings`` that the query needs, beside those of the shape.
    scripted
        Whether the query is a script, which a server can forbid.
    """

    sql: str
    query: Callable[[Shape, IndexFields], Query]
    args: Mapping[str, Any] = field(default_factory=dict)
    runtime: Mapping[str, Any] = field(default_factory=dict)
    scripted: bool = False


def given(column: str) -> Condition:
    """Return the condition that the log has a value of a column."""

    def query(shape: Shape, _: IndexFields) -> Query:
        mapped = shape.fields.get(FIELDS[column])
        return NONE if mapped is None else {"exists": {"field": mapped.name}}

    return Condition(f"{column} IS NOT NULL", query)


def longer_than(milliseconds: int) -> Condition:
    """Return the condition that a query took more time."""

    def query(shape: Shape, _: IndexFields) -> Query:
        mapped = shape.fields.get("querytime")
        return NONE if mapped is None else {"range": {mapped.name: {"gt": milliseconds}}}

    return Condition("querytime > :long_ms", query, {"long_ms": milliseconds})


FAILED = Condition(str(expressions.FAILED), lambda shape, _: any_of([flag(shape, name, True) for name in _FLAGS]))
"""The condition that a query failed: it was rejected, lost its client, or ended in an error."""

FLAGS_GIVEN = Condition(
    " OR ".join(f"{name} IS NOT NULL" for name in _FLAGS),
    lambda shape, known: any_of([given(name).query(shape, known) for name in _FLAGS]),
)
"""The condition that the log says whether a query failed."""

CACHED = Condition("cached", lambda shape, _: flag(shape, "cached", True))
"""The condition that a query was cached."""

CACHED_GIVEN = Condition(
    "cached IS NOT NULL", lambda shape, _: any_of([flag(shape, "cached", value) for value in (True, False)])
)
"""The condition that the log says whether a query was cached."""

_IOV = "iov_since >= 0 AND iov_until >= iov_since"
_OF_IOV = """
if (doc[params.since].size() == 0 || doc[params.until].size() == 0) return false;
long since = doc[params.since].value; long width = doc[params.until].value - since;
if (since < 0 || width < 0) return false;
"""
_NO_GRID = "long third = width / 3; return third == 0 ? since != 0 : since % third != 0;"


def _script(text: str) -> Callable[[Shape, IndexFields], Query]:
    def query(shape: Shape, _: IndexFields) -> Query:
        ends = shape.fields.get("sqlsin"), shape.fields.get("sqlunt")
        if ends[0] is None or ends[1] is None:
            return NONE
        params = {"since": ends[0].name, "until": ends[1].name}
        return {"script": {"script": {"lang": "painless", "source": _OF_IOV + text, "params": params}}}

    return query


IOV_GIVEN = Condition(_IOV, _script("return true;"), scripted=True)
"""The condition that a query asks for an IOV."""

ON_NO_GRID = Condition(
    # a difference of other ends can have over 64 bits
    f"CASE WHEN NOT ({_IOV}) THEN 1 = 0 WHEN iov_until - iov_since < 3 THEN iov_since <> 0 "
    "ELSE pmod(iov_since, div(iov_until - iov_since, 3)) <> 0 END",
    _script(_NO_GRID),
    scripted=True,
)
"""The condition that the start of the IOV that a query asks for is no multiple of a third of its width.

Athena asks for ``since = key - key % (width // 3)`` and ``until = since + width``.
"""


def _has_sql(shape: Shape, known: IndexFields) -> Query:
    exists: Query = {"exists": {"field": SQL_FIELD}}
    return any_of([exists, _not_taken()]) if SQL_FIELD in known.fields else NONE


def _not_taken() -> Query:
    """Return the query for documents whose text was too long for the index."""
    return {"term": {"_ignored": SQL_FIELD}}


SQL_GIVEN = Condition(f"{SQL_FIELD} IS NOT NULL", _has_sql)
"""The condition that the log has the text of the SQL."""


def with_sql(text: str) -> Condition:
    """Return the condition that the SQL of a query has a text in it, exactly as written.

    In an index that holds the SQL as words, the server finds the documents with these words one after another, and
    reads the text of those alone.
    """

    def wildcard(name: str) -> Query:
        return {"wildcard": {name: {"value": f"*{_escaped(text)}*"}}}

    def query(shape: Shape, known: IndexFields) -> Query:
        types: dict[str, list[str]] = {}
        for index, type_ in known.fields.get(SQL_FIELD, Field()).types_in(shape.indices).items():
            types.setdefault(type_, []).append(index)
        tests = []
        for type_, indices in types.items():
            if type_ in _TEXTS:
                test = all_of([{"match_phrase": {SQL_FIELD: text}}, wildcard(_SQL_TEXT)])
            else:
                test = any_of([wildcard(SQL_FIELD), all_of([_not_taken(), wildcard(_SQL_TEXT)])])
            tests.append(test if len(indices) == len(shape.indices) else all_of([in_indices(indices), test]))
        return any_of(tests)

    source = f"def text = params._source['{SQL_FIELD}']; if (text != null) emit(text.toString());"
    runtime = {_SQL_TEXT: {"type": "keyword", "script": {"lang": "painless", "source": source}}}
    return Condition(f"contains({SQL_FIELD}, :sql_text)", query, {"sql_text": text}, runtime, scripted=True)


def _escaped(text: str) -> str:
    """Return a text as the pattern of a wildcard query that is found as written."""
    return "".join(f"\\{letter}" if letter in "\\*?" else letter for letter in text)
