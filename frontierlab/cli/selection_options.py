"""The options for a selection of queries, one for each field of `frontierlab.Selection`."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import click

from frontierlab.cli.types import MaybeMissing, Time

if TYPE_CHECKING:
    from frontierlab.selection import Selection

__all__ = ["SelectionOption", "selection_of", "selection_options"]

_PREFIX = "selection_"  # of the names of these parameters, so that a command can have its own since
_SHORT = {
    "nodefullpath": "folder",
    "tagname": "tag",
    "taskid": "task",
    "frontierserver": "server",
    "computingsite": "site",
}
_TIME = {"type": Time(), "metavar": "TIME"}
_OTHERS: dict[str, dict[str, Any]] = {
    "since": {**_TIME, "help": "Time of the query: from this on. UTC; 2026-10-01, 2026-10-01T12:30."},
    "until": {**_TIME, "help": "Time of the query: before this."},
    "taskid": {"type": MaybeMissing(click.INT), "metavar": "NUMBER", "multiple": True},
    "cached": {"default": None, "help": "Answered without, or only with a database query."},
    "min_querytime": {"type": click.IntRange(min=0), "metavar": "MS", "help": "The shortest query time."},
}
_HELP = {
    "db": "Database instance, such as CONDBR2.",
    "schema": "Schema, such as ATLAS_COOLOFL_PIXEL.",
    "nodefullpath": "Full path of a folder.",
    "tagname": "Name of a tag.",
    "taskid": "Number of a PanDA task.",
    "frontierserver": "Frontier server.",
    "computingsite": "Site that asked.",
    "squid": "Squid that asked.",
    "kind": "Kind of a query that was not cached.",
}


class SelectionOption(click.Option):
    """An option for a field of a selection.

    Parameters
    ----------
    keyword
        The field.
    """

    def __init__(self, keyword: str) -> None:
        name = _SHORT.get(keyword, keyword).replace("_", "-")
        flags = f"--{name}/--not-{name}" if keyword == "cached" else f"--{name}"
        names = {"type": MaybeMissing(click.STRING), "metavar": "NAME", "multiple": True}
        more: dict[str, Any] = {"help": _HELP.get(keyword), **_OTHERS.get(keyword, names)}
        if keyword == "kind":
            from frontierlab.selection import QUERY_KINDS

            more |= {"type": click.Choice(QUERY_KINDS), "metavar": None}
        if more.get("multiple"):
            more["help"] = f"{more['help'] or ''} Can be repeated."
        super().__init__([flags, f"{_PREFIX}{keyword}"], **more)
        self.keyword = keyword


@functools.cache
def selection_options() -> tuple[SelectionOption, ...]:
    """Return the options, in the order of the fields."""
    from frontierlab.selection import Selection

    return tuple(SelectionOption(field.name) for field in fields(Selection))


def selection_of(params: dict[str, Any], options: Iterable[SelectionOption]) -> Selection:
    """Return the selection of these options of a call, and remove them from its parameters.

    Raises
    ------
    InvalidRequestError
        Two options contradict each other.
    """
    from frontierlab.selection import Selection

    given = {option.keyword: params.pop(str(option.name)) for option in options}
    return Selection(**{name: value for name, value in given.items() if value not in (None, ())})
