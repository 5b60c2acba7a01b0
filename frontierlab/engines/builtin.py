"""Frontierlab's own Spark SQL statements, as DuckDB's.

These statements keep to a part of Spark SQL that DuckDB reads in the same way, with the functions of
`frontierlab.engines.functions`. Only a few words differ, so no parser is needed (`frontierlab.engines.translate` has
one, for statements of users).
"""

from __future__ import annotations

import re
from functools import lru_cache

from frontierlab.engines.functions import RENAMED, functions

__all__ = ["as_duckdb"]

_TOKEN = re.compile(
    r"""(?P<text>'[^'\\]*'(?!'))
      | :(?P<parameter>[A-Za-z_]\w*)
      | \{(?P<table>[a-z]\w*)\}
      | (?P<fraction>\d+(?:\.\d+)?)D\b
      | (?P<function>[a-z]\w*|IF)\(
      | (?P<same>\d+\b(?!\.) | [a-z_]\w*\b(?!\() | <> | != | <= | >= | -(?!-) | [=<>+*(),.] | \s+)
      | (?P<keyword>[A-Z]+)\b""",
    re.VERBOSE,
)

_FILTER = re.compile(r"\s*FILTER\s*\(")

_KEYWORDS = frozenset(
    {
        *("SELECT", "DISTINCT", "AS", "FROM", "WHERE", "GROUP", "BY", "GROUPING", "SETS", "HAVING", "ORDER", "SORT"),
        *("ASC", "DESC", "LIMIT", "WITH", "UNION", "ALL", "FILTER"),
        *("AND", "OR", "NOT", "IN", "IS", "NULL", "BETWEEN", "CASE", "WHEN", "THEN", "ELSE", "END"),
    }
)


@lru_cache(maxsize=256)
def as_duckdb(statement: str) -> str:
    """Translate one of frontierlab's own statements.

    Parameters
    ----------
    statement
        Spark SQL: keywords in capital letters, names in small letters, tables in braces (``{logs}``). Sums are of
        integers.

    Returns
    -------
    str
        DuckDB's SQL. Tables are names in double quotes, and parameters are written ``$name``.

    Raises
    ------
    ValueError
        The statement uses something else, such as the operator ``/``; the message shows it.
    """
    pieces: list[str] = []
    open_: list[str] = []  # what each parenthesis that is not closed yet belongs to
    place, next_opens = 0, ""
    while place < len(statement):
        found = _TOKEN.match(statement, place)
        if found is None or not _is_known(found):
            raise ValueError(f"This is not in the part of SQL that both engines read alike: {statement[place:][:40]!r}")
        place = found.end()
        pieces.append(_translated(found))
        if found[0].endswith("("):
            open_.append("sum" if found[0] == "sum(" else next_opens)
            next_opens = ""
        elif found[0] == ")":
            closed = open_.pop()
            if closed == "sum" and _FILTER.match(statement, place):
                next_opens = "filter of a sum"
            elif closed:
                pieces.append(" AS BIGINT)")
    return "".join(pieces)


def _is_known(found: re.Match[str]) -> bool:
    name, keyword = found["function"], found["keyword"]
    return (name is None or name.lower() in functions()) and (keyword is None or keyword in _KEYWORDS)


def _translated(found: re.Match[str]) -> str:
    match found.lastgroup, found[0]:
        case "parameter", _:
            return f"${found['parameter']}"
        case "table", _:
            return f'"{found["table"]}"'
        case "fraction", _:
            return f"{found['fraction']}e0"
        case _, "sum(":
            return "CAST(sum("
        case "function", _:
            return f"{RENAMED.get(found['function'], found['function'])}("
        case _, "SORT":  # SORT BY sorts within a file that Spark writes; DuckDB writes one file
            return "ORDER"
    return found[0]
