"""The fields of an extraction: quick periods, and how texts are read."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from ipywidgets import Layout

from frontierlab.errors import InvalidRequestError
from frontierlab.util.times import format_time, parse_time
from frontierlab_widgets import elements

__all__ = [
    "PERIODS",
    "STYLE",
    "in_columns",
    "listed",
    "names_in",
    "read_task",
    "read_time",
    "text_field",
    "written",
]

STYLE = {"description_width": "90px"}


def _midnight(now: datetime) -> datetime:
    return now.replace(hour=0, minute=0)


PERIODS: dict[str, Callable[[datetime], tuple[datetime | None, datetime | None]]] = {
    "last hour": lambda now: (now - timedelta(hours=1), now),
    "last 6 hours": lambda now: (now - timedelta(hours=6), now),
    "last 24 hours": lambda now: (now - timedelta(days=1), now),
    "today": lambda now: (_midnight(now), now),
    "yesterday": lambda now: (_midnight(now) - timedelta(days=1), _midnight(now)),
    "last 7 days": lambda now: (now - timedelta(days=7), now),
    "all there is": lambda now: (None, None),
}
"""The quick choices: from the time of the click, in whole minutes, to since and until (UTC)."""


def text_field(description: str, placeholder: str) -> elements.Text:
    """Return a field for a text."""
    return elements.Text(
        description=description,
        placeholder=placeholder,
        continuous_update=False,
        style=STYLE,
        layout=elements.field_layout(),
    )


def in_columns() -> Layout:
    """Return the layout of fields in up to three columns, as many as the page has room for."""
    columns = "repeat(auto-fill, minmax(min(346px, 100%), 1fr))"
    return elements.layout(grid_template_columns=columns, grid_gap="4px 8px", max_width="1080px")


def read_time(text: str) -> str:
    """Read a time, and write it as `written` does; it may be empty."""
    return written(parse_time(text)) if text.strip() else ""


def written(moment: datetime) -> str:
    """Write a time as short as possible without loss."""
    return format_time(moment).removesuffix("Z").removesuffix(".000").removesuffix(":00").removesuffix("T00:00")


def names_in(text: str) -> list[str]:
    """Return the names in a text, with commas between them."""
    return [one.strip() for one in text.split(",") if one.strip()]


def listed(text: str) -> str:
    """Write the names in a text with a comma and a blank between them."""
    return ", ".join(names_in(text))


def read_task(text: str) -> int | None:
    """Read the id of a task; empty is none.

    Raises
    ------
    InvalidRequestError
        It is no whole number.
    """
    if not text.strip():
        return None
    if not text.strip().isdecimal():
        raise InvalidRequestError(
            f"task id {text!r} is not valid: give a whole number, or leave it empty for all tasks."
        )
    return int(text)
