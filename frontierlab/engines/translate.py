"""A user's Spark SQL statement as DuckDB's, with the same result.

Each clause, operator and function is on a list of those for which DuckDB gives the same result as Spark; anything else
is an error that names it. The lists of clauses and operators are here, the functions in
`frontierlab.engines.functions`. sqlglot reads and writes the SQL, but translates no function.

Import this module only where a user's statement is asked: sqlglot takes time to load.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from textwrap import shorten
from typing import Any, NoReturn

import sqlglot
from sqlglot import exp
from sqlglot.dialects.duckdb import DuckDB
from sqlglot.dialects.spark import Spark
from sqlglot.errors import ErrorLevel, SqlglotError

from frontierlab.engines.functions import AGGREGATES, HASHES, RANKING, RENAMED, functions
from frontierlab.engines.readings import read_otherwise, with_named_order
from frontierlab.engines.result_names import with_names
from frontierlab.errors import InvalidRequestError

__all__ = ["translate"]

Node = Any  # sqlglot's types differ between its versions


class _SparkSQL(Spark):
    class Parser(Spark.Parser):  # type: ignore[misc, valid-type]
        # functions keep their names
        FUNCTIONS: dict[str, Any] = {}  # noqa: RUF012
        FUNCTION_PARSERS = {"CAST": Spark.Parser.FUNCTION_PARSERS["CAST"]}  # noqa: RUF012
        NO_PAREN_FUNCTIONS: dict[str, Any] = {}  # noqa: RUF012


class _DuckSQL(DuckDB):
    NULL_ORDERING = "nulls_are_small"  # as frontierlab.engines.instance sets it


_BINARY = ("this", "expression")
_CLAUSES: dict[str, tuple[str, ...]] = {
    "Select": (
        *("with", "expressions", "distinct", "from", "joins", "where", "group", "having", "windows"),
        *("order", "limit", "offset"),
    ),
    **dict.fromkeys(("Union", "Except", "Intersect"), (*_BINARY, "distinct", "with", "order", "limit", "offset")),
    "With": ("expressions",),
    "CTE": ("this", "alias"),
    "Subquery": ("this", "alias", "with"),
    "Table": ("this", "alias"),
    "TableAlias": ("this", "columns"),
    "Join": ("this", "on", "using", "side", "kind"),
    "Ordered": ("this", "desc", "nulls_first"),
    "Window": ("this", "partition_by", "order", "spec", "alias", "over"),
    "WindowSpec": ("kind", "start", "start_side", "end", "end_side"),
    "Filter": _BINARY,
    **dict.fromkeys(("From", "Where", "Having"), ("this",)),
    **dict.fromkeys(("Limit", "Offset"), ("expression",)),
    **dict.fromkeys(("Order", "Distinct", "Tuple", "GroupingSets", "Cube", "Rollup"), ("expressions",)),
    "Group": ("expressions", "all"),
}
_OPERATORS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("EQ", "NEQ", "GT", "GTE", "LT", "LTE", "NullSafeEQ", "NullSafeNEQ", "Is", "And", "Or"), _BINARY),
    **dict.fromkeys(("Add", "Sub", "Mul", "Mod", "IntDiv", "BitwiseAnd", "BitwiseOr", "BitwiseRightShift"), _BINARY),
    "Div": (*_BINARY, "typed", "safe"),
    "DPipe": (*_BINARY, "safe"),
    "Like": (*_BINARY, "negate"),
    "Between": ("this", "low", "high"),
    "In": ("this", "expressions", "query"),
    "Case": ("this", "ifs", "default"),
    "If": ("this", "true", "false"),
    "Interval": ("this", "unit"),
    **dict.fromkeys(("Cast", "TryCast"), ("this", "to")),
    **dict.fromkeys(("Not", "Neg", "Paren", "Exists", "Boolean", "Var"), ("this",)),
    "DataType": ("this", "nested"),
}
_NAMES: dict[str, tuple[str, ...]] = {
    "Alias": ("this", "alias"),
    "Column": ("this", "table"),
    "Identifier": ("this", "quoted"),
    "Literal": ("this", "is_string"),
    "Placeholder": ("this",),
    "Anonymous": ("this", "expressions"),
    "Star": (),
    "Null": (),
}
_KNOWN = _CLAUSES | _OPERATORS | _NAMES
_CASTS = {"BIGINT": "bigint", "INT": "int", "DOUBLE": "double", "TEXT": "string"}
_CASTS |= {"DATE": "date", "TIMESTAMPTZ": "timestamp", "TIMESTAMPLTZ": "timestamp"}
_INSTEAD = {
    "round": " (floor(10 * x + 0.5D) / 10 rounds to one digit, floor(x + 0.5D) to none)",
    "approx_count_distinct": " (count(DISTINCT x))",
    **dict.fromkeys(("percentile_approx", "approx_percentile"), " (percentile(x, 0.5))"),
}
_UNITS = frozenset({"SECOND", "MINUTE", "HOUR", "DAY", "WEEK"})
_COMPARISONS = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.NullSafeEQ, exp.Between, exp.In)


@lru_cache(maxsize=256)
def translate(statement: str, tables: tuple[str, ...] = ("logs",)) -> str:
    """Translate a statement.

    Parameters
    ----------
    statement
        One SELECT statement in Spark SQL.
    tables
        The names of the tables that it can use.

    Returns
    -------
    str
        DuckDB's SQL. Parameters are written ``$name``. The columns of its result have the names that Spark gives them.

    Raises
    ------
    InvalidRequestError
        The statement cannot be read, or it uses something for which DuckDB would give another result than Spark.
    """
    try:
        return _translated(statement, tables)
    except RecursionError as error:
        raise InvalidRequestError(
            "The statement is nested too deeply, or a chain of operators in it is too long: write it shorter (a long "
            'list as a parameter, with array_contains), or open the logs with engine="spark".'
        ) from error


def _translated(statement: str, tables: tuple[str, ...]) -> str:
    try:
        trees = [tree for tree in sqlglot.parse(statement, dialect=_SparkSQL) if tree is not None]
    except SqlglotError as error:
        raise InvalidRequestError(
            f"The statement cannot be read as Spark SQL: {_first_line(error)} If it is valid, open the logs with "
            'engine="spark".'
        ) from error
    if len(trees) != 1 or not isinstance(trees[0], exp.Query):
        raise InvalidRequestError("Give one SELECT statement.")
    tree: Node = trees[0]
    known = {name.casefold() for name in tables} | {one.alias.casefold() for one in tree.find_all(exp.CTE)}
    for node in tree.walk(bfs=False):
        _check(node)
        if isinstance(node, exp.Table) and node.name.casefold() not in known:
            raise InvalidRequestError(
                f"There is no table {node.name}; DuckDB has {', '.join(tables)}. Tables and views of a Spark session "
                'need logs opened with engine="spark".'
            )
    tree = with_named_order(with_names(tree))  # after the checks: a name does not help where a function is missing
    for node in reversed(list(tree.walk(bfs=False))):  # inner ones first
        rewrite = _REWRITES.get(type(node).__name__)
        new = node if rewrite is None else rewrite(node)
        if new is not node:
            node.replace(new)
    try:
        return str(
            tree.sql(
                _DuckSQL,
                identify=True,  # words that are names to Spark can be keywords to DuckDB
                normalize_functions=False,
                comments=False,
                unsupported_level=ErrorLevel.RAISE,
            )
        )
    except SqlglotError as error:
        raise InvalidRequestError(
            f'DuckDB has not all of the statement: {error}. Open the logs with engine="spark".'
        ) from error


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0].rstrip(".") + "."


def _refuse(node: Node, instead: str = "") -> NoReturn:
    shown = shorten(node if isinstance(node, str) else node.sql(Spark), 60, placeholder=" …")
    raise InvalidRequestError(
        f"DuckDB does not answer {shown} as Spark does: write it otherwise{instead}, or open the logs with "
        'engine="spark".'
    )


def _check(node: Node) -> None:
    """Refuse a node that is not on the lists."""
    if isinstance(node, exp.Anonymous) and node.name.lower() not in (has := functions() - HASHES):
        raise InvalidRequestError(
            f"DuckDB has no function {node.name.lower()} that gives the same results as Spark's: write it otherwise"
            f"{_INSTEAD.get(node.name.lower(), '')}, "
            f'or open the logs with engine="spark". It has: {", ".join(sorted(has))}.'
        )
    if isinstance(node, exp.Cast):
        _target(node)
    known = _KNOWN.get(type(node).__name__)
    if known is None:
        _refuse(node)
    for name, value in node.args.items():
        if value and name.rstrip("_") not in known:
            _refuse(node.sql(Spark) if not isinstance(value, exp.Expression) else value)
    instead = read_otherwise(node)
    if instead is not None:
        _refuse(node, f" ({instead})")


def _call(name: str, *arguments: Node) -> Node:
    return exp.Anonymous(this=name, expressions=list(arguments))


def _function(node: Node) -> Node:
    name = node.name.lower()
    arguments = node.expressions
    if name not in AGGREGATES and any(isinstance(one, exp.Distinct) for one in arguments):
        _refuse(node)
    if name == "count_if":
        return exp.Filter(this=_call("count", exp.Star()), expression=exp.Where(this=arguments[0]))
    if name == "percentile" and len(arguments) == 3 and not _is_list(arguments[1]):
        x, share, times = arguments
        return _call("list_extract", _call(name, x, _call("list_value", share), times), exp.Literal.number(1))
    found = _call(RENAMED.get(name, name), *arguments)
    return found if isinstance(node.parent, exp.Filter | exp.Window) else _of_64_bits(found)


def _is_list(node: Node) -> bool:
    return isinstance(node, exp.Anonymous) and node.name.lower() in ("array", "list_value")


def _of_64_bits(aggregate: Node) -> Node:
    """Return a sum, which DuckDB makes of 128 bits, with 64; another aggregate unchanged."""
    inner = aggregate
    while isinstance(inner, exp.Filter | exp.Window):
        inner = inner.this
    return _call("_of_64_bits", aggregate) if inner.name.lower() == "sum" else aggregate


def _filter(node: Node) -> Node:
    aggregate, condition = node.this, node.expression.this
    if isinstance(aggregate, exp.Filter):  # of count_if
        both = exp.And(this=exp.Paren(this=aggregate.expression.this), expression=exp.Paren(this=condition))
        found = exp.Filter(this=aggregate.this, expression=exp.Where(this=both))
    elif not isinstance(aggregate, exp.Anonymous) or aggregate.name.lower() not in AGGREGATES:
        _refuse(node)
    else:
        found = exp.Filter(this=aggregate, expression=exp.Where(this=condition))
    return found if isinstance(node.parent, exp.Window) else _of_64_bits(found)


def _window(node: Node) -> Node:
    inner = node.this.this if isinstance(node.this, exp.Filter) else node.this
    if isinstance(inner, exp.Identifier):  # a definition in a WINDOW clause
        return node
    if not isinstance(inner, exp.Anonymous) or inner.name.lower() not in AGGREGATES | RANKING:
        _refuse(node)
    return _of_64_bits(node.copy()) if inner.name.lower() == "sum" else node


def _target(node: Node) -> str:
    """Return the name of the type of a CAST, as the macros have it."""
    kind = _CASTS.get(node.to.this.name) if isinstance(node.to.this, exp.DataType.Type) else None
    if kind is None or node.to.expressions:
        _refuse(f"CAST to {node.to.sql(Spark)}", " (with BIGINT, INT, DOUBLE, STRING, DATE or TIMESTAMP)")
    return kind


def _cast(node: Node) -> Node:
    return _call(f"_cast_to_{_target(node)}", node.this)


def _literal(node: Node) -> Node:
    if node.is_string:
        return node
    text = node.this.lower()
    if "e" not in text and "." in text and not _can_be_decimal(node):
        _refuse(node, f" (as {node.this}D: {node.this}D is a DOUBLE, as columns with fractions are)")
    if text.isdigit() and int(text) >= 2**63:
        _refuse(node)
    return node


def _can_be_decimal(node: Node) -> bool:
    """Return whether both engines take a number with a fraction alike: compared, as a share, and where it is cast."""
    parent = node.parent
    while isinstance(parent, exp.Paren | exp.Neg):
        parent = parent.parent
    if _is_list(parent):
        parent = parent.parent
    if isinstance(parent, exp.TryCast | exp.Cast):
        return bool(parent.to.this.name == "DOUBLE")
    return isinstance(parent, _COMPARISONS) or (
        isinstance(parent, exp.Anonymous) and parent.name.lower() == "percentile"
    )


def _like(node: Node) -> Node:
    negate = node.args.get("negate")
    found = exp.Escape(this=exp.Like(this=node.this, expression=node.expression), expression=exp.Literal.string("\\"))
    return exp.Not(this=exp.Paren(this=found)) if negate else found


def _interval(node: Node) -> Node:
    unit = node.args.get("unit")
    if not isinstance(unit, exp.Var) or unit.name.upper().removesuffix("S") not in _UNITS:
        _refuse(node)
    return node


def _var(node: Node) -> Node:
    if not isinstance(node.parent, exp.Interval):
        _refuse(node)
    return node


def _placeholder(node: Node) -> Node:
    if not isinstance(node.this, str):
        _refuse("a parameter without a name", " (as :name)")
    return node


def _texts(node: Node) -> Node:
    return exp.DPipe(this=_call("_cast_to_string", node.this), expression=_call("_cast_to_string", node.expression))


def _whole_number(node: Node) -> Node:
    if isinstance(node, exp.Sub):
        return _call("_of_64_bits", _call("_subtract", node.this, node.expression))
    return _call("_of_64_bits", type(node)(this=node.this, expression=node.expression))


def _operator(name: str) -> Callable[[Node], Node]:
    return lambda node: _call(name, node.this, node.expression)


_REWRITES: dict[str, Callable[[Node], Node]] = {
    "Anonymous": _function,
    "Filter": _filter,
    "Window": _window,
    "Cast": _cast,
    "TryCast": _cast,
    "Literal": _literal,
    "Like": _like,
    "Interval": _interval,
    "Var": _var,
    "Placeholder": _placeholder,
    "DPipe": _texts,
    "Div": _operator("_divide"),
    "IntDiv": _operator("_whole_divide"),
    "Mod": _operator("mod"),
    **dict.fromkeys(("Add", "Sub", "Mul"), _whole_number),
    "BitwiseRightShift": _operator("shiftright"),
}
