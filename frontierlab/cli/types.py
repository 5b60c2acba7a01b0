"""How texts of the command line become values."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

import click
from click.shell_completion import CompletionItem

from frontierlab.errors import FrontierlabError, InvalidRequestError

__all__ = ["Age", "DATASET", "MaybeMissing", "NumberOrAll", "Time", "Word"]

_UNITS = {"s": "seconds", "min": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class Time(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.5 alone
    """A point in time; UTC if it has no zone."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Return the time in UTC."""
        from frontierlab.util.times import parse_time

        try:
            return parse_time(value)
        except InvalidRequestError as error:
            self.fail(str(error), param, ctx)


class Age(click.ParamType):  # type: ignore[type-arg]
    """A length of time, such as 30d."""

    name = "age"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Return the length."""
        found = re.fullmatch(rf"(\d{{1,6}})({'|'.join(_UNITS)})", str(value))
        if found is None:
            self.fail(f"{value!r} is not a length of time. Valid: a whole number and {', '.join(_UNITS)}.", param, ctx)
        return timedelta(**{_UNITS[found[2]]: int(found[1])})


class NumberOrAll(click.ParamType):  # type: ignore[type-arg]
    """A whole number, or the word all, which is None."""

    name = "number|all"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | None:
        """Return the number, or None."""
        if value in ("all", None):
            return None
        try:
            return int(value)
        except ValueError:
            self.fail(f"{value!r} is not a whole number, and not the word all.", param, ctx)


class MaybeMissing(click.ParamType):  # type: ignore[type-arg]
    """A value of a column; the empty text is a value that is missing in the log.

    Parameters
    ----------
    type_
        The type of other values.
    """

    def __init__(self, type_: Any) -> None:
        self._type = type_
        self.name = type_.name

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the value; None if it is missing."""
        return None if value in ("", None) else self._type.convert(value, param, ctx)


class Word(click.ParamType):  # type: ignore[type-arg]
    """The name of something in the data folder, which the shell can complete.

    Parameters
    ----------
    name
        The name of the type.
    known
        Returns the valid names for settings. It is called when the shell completes a word.
    """

    def __init__(self, name: str, known: Any) -> None:
        self.name = name
        self._known = known

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name; the function that uses it checks it."""
        return str(value)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Return the names that begin with `incomplete`; none if the settings cannot be read."""
        from frontierlab.settings import Settings

        try:
            names = self._known(Settings(ctx.params.get("config")))
        except (FrontierlabError, OSError):  # there is nobody to tell while a word is completed
            return []
        return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def _datasets(settings: Any) -> list[str]:
    from frontierlab.storage.listing import dataset_names

    return dataset_names(settings.data_dir)


DATASET = Word("dataset", _datasets)
"""The name of a dataset."""
