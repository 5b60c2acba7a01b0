"""``frontierlab sql``: a statement of one's own."""

from __future__ import annotations

import re
import sys
from typing import Any

import click

from frontierlab.cli.command import Call, Command
from frontierlab.cli.sources import opened
from frontierlab.cli.types import DATASET
from frontierlab.errors import InvalidRequestError

__all__ = ["command"]


@click.command(
    "sql",
    cls=Command,
    face="frontierlab.sql",
    examples=[
        "frontierlab sql overlay 'SELECT schema, count(*) AS queries FROM logs GROUP BY schema ORDER BY queries DESC'",
        "frontierlab sql overlay 'SELECT count(*) AS n FROM logs WHERE time >= :start' --param start=2026-10-01T12:00",
    ],
)
@click.argument("dataset", type=DATASET)
@click.argument("statement")
@click.option(
    "--param",
    "parameters",
    multiple=True,
    metavar="NAME=VALUE",
    help="The value of :NAME in the statement: a whole number, a time (2026-10-01T12:00, UTC), true, false, or a text; "
    "a text in double quotes is never another. Can be repeated.",
)
@click.pass_obj
def command(call: Call, dataset: str, statement: str, parameters: tuple[str, ...]) -> None:
    """Run one SQL statement over a dataset.

    In the statement the dataset is the view logs; the statement - is read from the standard input. The time of a query
    is in the column time, the interval of validity that it asks for in iov_since and iov_until.
    """
    from frontierlab import sql

    values = {}
    for parameter in parameters:
        name, equals, text = parameter.partition("=")
        if not equals:
            raise click.UsageError(f"--param {parameter} has no value. Write --param {parameter}=value.")
        values[name] = _value(text)
    if statement == "-":
        statement = sys.stdin.read()
    call.out.frame(sql(opened((dataset,), call.settings), statement, **values), "The result has no row.")


def _value(text: str) -> Any:
    """Return the value of a parameter."""
    from frontierlab.util.times import parse_time

    if text[:1] == text[-1:] == '"' and len(text) > 1:
        return text[1:-1]
    if re.fullmatch(r"[+-]?\d+", text):
        return int(text)
    if text in ("true", "false"):
        return text == "true"
    try:
        return parse_time(text)
    except InvalidRequestError:
        return text
