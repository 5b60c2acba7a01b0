"""The names that Spark gives to the columns of a result that have none in the statement."""

from __future__ import annotations

from typing import Any

from sqlglot import exp
from sqlglot.dialects.spark import Spark

from frontierlab.errors import InvalidRequestError

__all__ = ["with_names"]

Node = Any  # sqlglot's types differ between its versions

_NAMED = frozenset({"avg", "count", "count_if", "max", "min", "sum"})


def with_names(tree: Node) -> Node:
    """Return a statement in which all columns that others can see have a name.

    Raises
    ------
    InvalidRequestError
        A column is an expression without a name. Spark makes the name from the expression.
    """
    for select in list(tree.find_all(exp.Select)):
        if _is_seen(select):
            select.set("expressions", [_named(one) for one in select.expressions])
    return tree


def _is_seen(select: Node) -> bool:
    """Return whether the columns are those of the result, or of a table in FROM; else they are part of a condition."""
    node = select
    while isinstance(node.parent, exp.SetOperation):
        if node.arg_key == "expression":  # the first SELECT of a UNION names the columns
            return False
        node = node.parent
    if isinstance(node.parent, exp.Subquery):
        node = node.parent
    return node.parent is None or isinstance(node.parent, exp.From | exp.Join | exp.CTE)


def _named(column: Node) -> Node:
    if isinstance(column, exp.Alias) or column.is_star:
        return column
    name = _name(column)
    if name is None:
        shown = column.sql(Spark, normalize_functions=False)
        raise InvalidRequestError(
            f"Give the column {shown} a name: {shown} AS name. Without one, Spark and DuckDB would name it differently."
        )
    return exp.alias_(column, name, quoted=True)


def _name(column: Node) -> str | None:
    if isinstance(column, exp.Column):
        return str(column.name)
    if not isinstance(column, exp.Anonymous) or column.name.lower() not in _NAMED or len(column.expressions) != 1:
        return None
    (argument,) = column.expressions
    inside: str | None = None
    if isinstance(argument, exp.Star):
        inside = "1"
    elif isinstance(argument, exp.Column):
        inside = argument.name
    elif isinstance(argument, exp.Distinct) and all(isinstance(one, exp.Column) for one in argument.expressions):
        inside = f"DISTINCT {', '.join(one.name for one in argument.expressions)}"
    return None if inside is None else f"{column.name.lower()}({inside})"
