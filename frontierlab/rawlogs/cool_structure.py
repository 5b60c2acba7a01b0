"""What a shape of COOL SQL asks for, read from its syntax tree: tables, and which values limit which columns.

This loads sqlglot, so `frontierlab.rawlogs.cool_sql` imports it when a shape is met for the first time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple, TypeVar

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from frontierlab.errors import FrontierlabError
from frontierlab.rawlogs.sql_text import FIRST_SLOT

__all__ = ["Bound", "COOL_TABLE", "Limit", "NotCool", "Range", "Structure", "read_structure"]

T = TypeVar("T")

_OF_FOLDER = re.compile(r"([A-Z][A-Z0-9]{0,15})_F(\d{4,9})_([A-Z][A-Z0-9_]*)")
_OF_INSTANCE = re.compile(
    r"([A-Z][A-Z0-9]{0,15})_(NODES|TAGS|TAG2TAG|IOVTABLES|CHANNELTABLES|DB_ATTRIBUTES|SHARED_SEQUENCES)"
)
COOL_TABLE = re.compile(rf"(?<![A-Z0-9_$#])(?:{_OF_FOLDER.pattern}|{_OF_INSTANCE.pattern})(?![A-Z0-9_$#])")
"""What the name of a COOL table looks like, in upper case."""

_SYSTEM = frozenset(
    [
        *(
            "OBJECT_ID",
            "CHANNEL_ID",
            "IOV_SINCE",
            "IOV_UNTIL",
            "USER_TAG_ID",
            "SYS_INSTIME",
            "LASTMOD_DATE",
            "ORIGINAL_ID",
        ),
        *("NEW_HEAD_ID", "PAYLOAD_ID", "PAYLOAD_SET_ID", "PAYLOAD_N_ITEMS", "PAYLOAD_ITEM_ID", "CHANNEL_NAME"),
        *("LAST_OBJECT_ID", "HAS_NEW_DATA", "DESCRIPTION", "ROWNUM"),
    ]
)
_SINCE, _UNTIL = "IOV_SINCE", "IOV_UNTIL"
# the roles of columns, and the kinds of tables in which a column has its role
_ROLES: dict[str, tuple[str, frozenset[str]]] = {
    "USER_TAG_ID": ("tag", frozenset({"IOVS"})),
    "TAG_ID": ("tag", frozenset({"IOV2TAG", "TAGS"})),
    "TAG_NAME": ("tag_name", frozenset({"TAGS"})),
    "NODE_ID": ("folder", frozenset({"NODES", "TAGS"})),
    "NODE_FULLPATH": ("node", frozenset({"NODES"})),
    "CHANNEL_ID": ("channel", frozenset({"IOVS", "CHANNELS", "IOV2TAG", "PAYLOAD"})),
    "CHANNEL_NAME": ("channel_name", frozenset({"CHANNELS"})),
    _SINCE: ("until", frozenset({"IOVS", "IOV2TAG"})),  # a row is in the answer if IOV_SINCE <= until
    _UNTIL: ("since", frozenset({"IOVS", "IOV2TAG"})),  # … and IOV_UNTIL > since
}
_FLIPPED: dict[type[exp.Expr], type[exp.Expr]] = {
    exp.GT: exp.LT,
    exp.LT: exp.GT,
    exp.GTE: exp.LTE,
    exp.LTE: exp.GTE,
    exp.EQ: exp.EQ,
}


class NotCool(FrontierlabError):
    """A statement is no COOL query; the text says why."""


class Bound(NamedTuple):
    """One end of a range: the value of a slot, moved by `add`; or NULL without a slot."""

    slot: int | None
    add: int = 0


class Range(NamedTuple):
    """Values from `low` to `high`, both included; None is no limit."""

    low: Bound | None
    high: Bound | None


class Limit(NamedTuple):
    """A condition that holds for the whole answer: a column with a role is within one of the ranges.

    Without ranges, the condition limits the column in a way that is not read.
    """

    role: str
    ranges: tuple[Range, ...]


class Structure(NamedTuple):
    """What a shape asks for. Names are None where the statement names several or none."""

    instance: str | None
    schema: str | None
    table_kind: str | None
    tables: tuple[str, ...]
    folder: int | None
    limits: tuple[Limit, ...]
    asks_payload: bool | None
    unclear: tuple[str, ...]


class _Table(NamedTuple):
    schema: str | None
    instance: str
    folder: int | None
    kind: str


def read_structure(text: str) -> Structure:
    """Read what a statement asks for.

    Parameters
    ----------
    text
        The statement, with the marked values of `frontierlab.rawlogs.sql_text.parsable`.

    Raises
    ------
    NotCool
        It is no SELECT statement of COOL's tables, or cannot be parsed.
    """
    selects = list(_selects(_parsed(text)))
    tables = [table for select in selects for one in select.find_all(exp.Table) if (table := _cool(one)) is not None]
    if not tables:
        raise NotCool("it reads no table of COOL")
    main = next((select for select in selects if any(_own_tables(select))), selects[-1])
    own = dict(_own_tables(main))
    unclear = [
        f"several {name}s"
        for name, values in (
            ("instance", {table.instance for table in tables}),
            ("schema", {table.schema for table in tables}),
            ("folder", {table.folder for table in tables} - {None}),
        )
        if len(values) > 1
    ]
    unclear += [] if own else ["tables"]
    kinds = sorted({table.kind for table in own.values()})
    return Structure(
        instance=_only(table.instance for table in tables),
        schema=_only(table.schema for table in tables),
        table_kind=_leading(kinds),
        tables=tuple(kinds),
        folder=_only(table.folder for table in tables if table.folder is not None),
        limits=tuple(limit for select in selects for limit in _limits(select, own)),
        asks_payload=_asks_payload(selects, own) if own else None,
        unclear=tuple(unclear),
    )


def _parsed(text: str) -> exp.Expr:
    try:
        statements = sqlglot.parse(text, dialect="oracle")
    except RecursionError:
        raise NotCool("it is nested too deeply to be parsed") from None
    except SqlglotError as error:
        reason = str(error).split("\n")[0][:200]
        raise NotCool(f"it cannot be parsed as SQL ({reason})") from None
    if len(statements) != 1 or statements[0] is None:
        raise NotCool("it is not one statement")
    return statements[0]


def _selects(statement: exp.Expr) -> Iterator[exp.Select]:
    """Yield the outermost SELECT, and while it only reads a subquery, that one."""
    inner: exp.Expr | None = statement
    while inner is not None:
        while isinstance(inner, (exp.Subquery, exp.Paren)):
            inner = inner.this
        if not isinstance(inner, exp.Select):
            raise NotCool("it is no plain SELECT statement")
        yield inner
        source = inner.args.get("from_") or inner.args.get("from")
        alone = not inner.args.get("joins")
        inner = source.this if alone and source is not None and isinstance(source.this, exp.Subquery) else None


def _own_tables(select: exp.Select) -> Iterator[tuple[str, _Table]]:
    source = select.args.get("from_") or select.args.get("from")
    sources = [source.this] if source is not None else []
    sources += [join.this for join in select.args.get("joins") or ()]
    for one in sources:
        table = _cool(one) if isinstance(one, exp.Table) else None
        if table is not None:
            yield one.alias_or_name.upper(), table


def _cool(table: exp.Table) -> _Table | None:
    schema = table.db.upper() or None
    name = table.name.upper()
    found = _OF_FOLDER.fullmatch(name)
    if found is not None:
        return _Table(schema, found[1], int(found[2]), found[3])
    found = _OF_INSTANCE.fullmatch(name)
    # such names are also those of tables that are not COOL's, unless the schema is one of COOL
    return _Table(schema, found[1], None, found[2]) if found is not None and "COOL" in (schema or "") else None


def _limits(select: exp.Select, own: dict[str, _Table]) -> Iterator[Limit]:
    where = select.args.get("where")
    conditions = [where.this] if where is not None else []
    conditions += [
        join.args["on"]
        for join in select.args.get("joins") or ()
        if join.args.get("on") is not None and not join.args.get("side")
    ]
    for condition in conditions:
        for part in _flat(condition, exp.And):
            yield from _limit(part, own)


def _limit(condition: exp.Expr, own: dict[str, _Table]) -> Iterator[Limit]:
    ranges: list[tuple[str, Range]] = []
    for choice in _flat(condition, exp.Or):
        # a choice such as CHANNEL_ID >= 1 AND CHANNEL_ID <= 5 is one range
        parts = [_range(part, own) for part in _flat(choice, exp.And)]
        known = [part for part in parts if part is not None]
        if not known or len(known) != len(parts) or len({role for role, _ in known}) != 1:
            break
        if len(known) > 1 and any(len(spans) != 1 for _, spans in known):
            break
        role = known[0][0]
        if len(known) == 1:
            ranges += [(role, span) for span in known[0][1]]
            continue
        lows = [span.low for _, (span,) in known if span.low is not None]
        highs = [span.high for _, (span,) in known if span.high is not None]
        if len(lows) > 1 or len(highs) > 1:
            break
        ranges.append((role, Range(lows[0] if lows else None, highs[0] if highs else None)))
    else:
        if len({role for role, _ in ranges}) == 1:
            yield Limit(ranges[0][0], tuple(span for _, span in ranges))
            return
    yield from (Limit(role, ()) for role in sorted(_limited(condition, own)))


def _limited(condition: exp.Expr, own: dict[str, _Table]) -> set[str]:
    """Return the roles of columns that a condition limits in a way that is not read."""
    if isinstance(condition, exp.Binary):
        left, right = condition.left, condition.right
        if isinstance(left, exp.Column) and isinstance(right, exp.Column):
            return set()  # a join of two tables
        larger = left if isinstance(condition, (exp.GTE, exp.GT)) else right
        if isinstance(condition, (exp.GTE, exp.GT, exp.LTE, exp.LT)) and _role(larger, own) == "until":
            return set()  # the lower limit of IOV_SINCE: with which row of a channel the answer starts
    roles = {_role(column, own) or _unknown_role(column, own) for column in _columns(condition)}
    return {role for role in roles if role is not None}


def _unknown_role(column: exp.Column, own: dict[str, _Table]) -> str | None:
    """Return the role that a column may have whose table is not known, such as that of a subquery."""
    role, _ = _ROLES.get(column.name.upper(), (None, None))
    return role if column.table and column.table.upper() not in own else None


def _columns(condition: exp.Expr) -> Iterator[exp.Column]:
    """Yield the columns of a condition, without those of its subqueries."""
    for node in condition.walk(prune=lambda node: isinstance(node, (exp.Select, exp.Subquery))):
        if isinstance(node, exp.Column):
            yield node


def _range(condition: exp.Expr, own: dict[str, _Table]) -> tuple[str, list[Range]] | None:
    condition = condition.unnest()
    if isinstance(condition, exp.Is) and isinstance(condition.expression, exp.Null):
        return _with_role(condition.this, own, [Range(Bound(None), Bound(None))])
    if isinstance(condition, exp.In) and not condition.args.get("query"):
        places = [_slot(value) for value in condition.expressions]
        known = [place for place in places if place is not None]
        spans = [Range(Bound(place), Bound(place)) for place in known]
        return _with_role(condition.this, own, spans) if spans and len(known) == len(places) else None
    if isinstance(condition, exp.Between):
        low, high = _slot(condition.args["low"]), _slot(condition.args["high"])
        spans = [] if low is None or high is None else [Range(Bound(low), Bound(high))]
        return _with_role(condition.this, own, spans) if spans else None
    return _compared(condition, own) if isinstance(condition, exp.Binary) else None


def _compared(condition: exp.Binary, own: dict[str, _Table]) -> tuple[str, list[Range]] | None:
    kind: type[exp.Expr] = type(condition)
    if kind not in _FLIPPED:
        return None
    column, value = condition.left, _slot(condition.right)
    if value is None:
        kind, column, value = _FLIPPED[kind], condition.right, _slot(condition.left)
    if value is None:
        return None
    low = Bound(value, int(kind is exp.GT)) if kind in (exp.EQ, exp.GT, exp.GTE) else None
    high = Bound(value, -int(kind is exp.LT)) if kind in (exp.EQ, exp.LT, exp.LTE) else None
    return _with_role(column, own, [Range(low, high)])


def _with_role(column: exp.Expr, own: dict[str, _Table], spans: list[Range]) -> tuple[str, list[Range]] | None:
    role = _role(column, own)
    return None if role is None else (role, spans)


def _role(column: exp.Expr, own: dict[str, _Table]) -> str | None:
    column = column.unnest()
    if not isinstance(column, exp.Column) or column.name.upper() not in _ROLES:
        return None
    role, kinds = _ROLES[column.name.upper()]
    if column.table:
        table = own.get(column.table.upper())
        return role if table is not None and table.kind in kinds else None
    return role if any(table.kind in kinds for table in own.values()) else None


def _slot(value: exp.Expr) -> int | None:
    value = value.unnest()
    if not isinstance(value, exp.Literal):
        return None
    text = str(value.this)
    if value.is_string:
        return int(text[5:]) if re.fullmatch(r"slot \d+", text) else None
    return int(text) - FIRST_SLOT if text.isdecimal() and int(text) >= FIRST_SLOT else None


def _flat(condition: exp.Expr, kind: type[exp.Connector]) -> list[exp.Expr]:
    """Return what AND or OR joins, without recursion: chains can have thousands of conditions."""
    parts, left = [], [condition]
    while left:
        part = left.pop().unnest()
        if isinstance(part, kind):
            left += [part.right, part.left]
        else:
            parts.append(part)
    return parts


def _asks_payload(selects: list[exp.Select], own: dict[str, _Table]) -> bool:
    if not any(table.kind in ("IOVS", "PAYLOAD") for table in own.values()):
        return False
    for select in selects:
        shown = [one for one in select.expressions if not isinstance(one.unalias(), exp.Count)]
        stars = [one for one in shown if one.find(exp.Star) is not None]
        if stars and select is not selects[-1]:
            continue  # the subquery says which columns these are
        return any(_is_payload(one, own) for one in shown)
    return False


def _is_payload(shown: exp.Expr, own: dict[str, _Table]) -> bool:
    star = shown.unalias()
    if isinstance(star, exp.Star):
        return True
    for column in _columns(shown):
        table = own.get(column.table.upper()) if column.table else None
        if table is not None and table.kind not in ("IOVS", "PAYLOAD"):
            continue
        if isinstance(column.this, exp.Star) or column.name.upper() not in _SYSTEM:
            return True
    return False


def _leading(kinds: list[str]) -> str | None:
    for kind in ("IOVS", "PAYLOAD", "IOV2TAG"):
        if kind in kinds:
            return kind
    return kinds[0] if kinds else None


def _only(values: Iterator[T]) -> T | None:
    found = {*values}
    return found.pop() if len(found) == 1 else None
