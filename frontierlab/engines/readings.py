"""Parts of a Spark SQL statement that sqlglot or DuckDB would read in another way than Spark does."""

from __future__ import annotations

from typing import Any

from sqlglot import exp

__all__ = ["read_otherwise", "with_named_order"]

Node = Any  # sqlglot's types differ between its versions

_BITS = (
    *(exp.BitwiseAnd, exp.BitwiseOr, exp.BitwiseXor, exp.BitwiseLeftShift, exp.BitwiseRightShift),
    exp.DPipe,
)
_TESTS = (
    *(exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.NullSafeEQ, exp.NullSafeNEQ),
    *(exp.Is, exp.In, exp.Between, exp.Like),
)
_VALUES = frozenset(
    {
        *("current_catalog", "current_date", "current_role", "current_schema", "current_time", "current_timestamp"),
        *("current_user", "localtime", "localtimestamp", "session_user", "user"),
    }
)  # functions that DuckDB writes without parentheses; a column of the same name, if there is one, comes first
_OPERANDS = ("this", "expression", "low", "high")


def read_otherwise(node: Node) -> str | None:
    """Return how to write a part of a statement so that all read it alike; None if they do already.

    Parameters
    ----------
    node
        A part of the tree that sqlglot makes of Spark SQL, before it is rewritten.
    """
    if isinstance(node, exp.Column) and not node.table and node.name.lower() in _VALUES:
        return f"as logs.{node.name} if it is a column"
    operands = [operand for name in _OPERANDS if isinstance(operand := node.args.get(name), exp.Expression)]
    if isinstance(node, _BITS):  # for sqlglot, these operators bind alike
        mixed = any(isinstance(one, _BITS) and type(one) is not type(node) for one in operands)
        if mixed or (isinstance(node, exp.DPipe) and isinstance(node.expression, exp.Add | exp.Sub)):
            return "with more parentheses"
    if isinstance(node, _TESTS) and any(isinstance(one, (*_TESTS, exp.Not)) for one in operands):
        return "with more parentheses"
    if isinstance(node, exp.In) and node.args.get("query") and not _decides_rows(node):
        return "with EXISTS"  # elsewhere than in WHERE, Spark makes false of a null
    if isinstance(node, exp.Select) and any(isinstance(one, exp.Star) for one in node.expressions):
        joins = node.args.get("joins") or []
        if any(join.args.get("using") for join in joins):
            return "with the names of the columns"  # Spark puts the columns of USING first
    return None


def _decides_rows(node: Node) -> bool:
    parent = node.parent
    while isinstance(parent, exp.And | exp.Or | exp.Not | exp.Paren):
        parent = parent.parent
    return isinstance(parent, exp.Where | exp.Having)


def with_named_order(tree: Node) -> Node:
    """Return a statement whose ORDER BY expressions do not depend on the names of its result's columns.

    In an expression, a name means a column of the result to Spark, and to DuckDB a column of a table. So each name is
    replaced with what the column of the result is. A name alone, without an expression, means the same to both.
    """
    for select in list(tree.find_all(exp.Select)):
        order = select.args.get("order")
        columns = {one.alias.casefold(): one.this for one in select.expressions if isinstance(one, exp.Alias)}
        for term in () if order is None else order.expressions:
            if isinstance(term.this, exp.Column):
                continue
            for name in list(term.this.find_all(exp.Column)):
                meant = None if name.table else columns.get(name.name.casefold())
                if meant is not None and not isinstance(meant, exp.Column):
                    name.replace(exp.Paren(this=meant.copy()))
    return tree
