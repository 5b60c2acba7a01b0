"""The functions of Spark SQL to which DuckDB gives the same results."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

__all__ = ["AGGREGATES", "HASHES", "RANKING", "RENAMED", "functions", "macros"]

AGGREGATES = frozenset(
    {
        *("avg", "bool_and", "bool_or", "count", "grouping", "max", "min", "sum"),
        *("stddev", "stddev_pop", "stddev_samp", "var_pop", "var_samp", "variance"),
    }
)
"""Aggregates of the same name and meaning in both engines; with DuckDB only these can have DISTINCT, FILTER or OVER."""

RANKING = frozenset({"dense_rank", "lag", "lead", "rank", "row_number"})
"""Functions of the same name and meaning in both engines that need OVER."""

RENAMED = {"array": "list_value", "every": "bool_and", "mean": "avg", "some": "bool_or", "struct": "row"}
"""Functions of Spark that have another name in DuckDB."""

HASHES = frozenset({"xxhash64"})
"""Functions for frontierlab's own statements, which compare hashes within a statement. The engines' numbers differ."""

_SCALARS = frozenset({"abs", "coalesce", "exp", "greatest", "if", "ifnull", "least", "nullif"})
_MACROS = Path(__file__).parent / "functions.sql"


@cache
def macros() -> str:
    """Return the SQL that defines macros for the other functions."""
    return _MACROS.read_text(encoding="utf-8")


@cache
def functions() -> frozenset[str]:
    """Return the names of the functions of Spark SQL that a statement can use with DuckDB."""
    spark = re.findall(r'^CREATE MACRO "?([a-z]\w*)', macros(), re.MULTILINE)
    return AGGREGATES | RANKING | _SCALARS | RENAMED.keys() | set(spark)
