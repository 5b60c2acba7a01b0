"""The fields of the panel of raw logs: what each says, and how its text is checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ipywidgets import Widget

from frontierlab.rawlogs.squid.clock import zone_of
from frontierlab_widgets import elements
from frontierlab_widgets.raw_files import pairs

__all__ = ["PAIRS", "STYLE", "TEXTS", "checked", "grid", "text_field", "zone"]

STYLE = {"description_width": "90px"}

PAIRS: Mapping[str, str] = {
    "hosts": "PART=NAME, part of a path and the machine's name, such as lpad1=lpad1.cern.ch",
    "squids": "the Squid's name, or PATTERN=NAME, such as */squid1/*=squid1",
    "sites": "the site, or SQUID=SITE, such as squid1=CERN",
}
TEXTS = {
    "paths": ("files", "/logs/*/catalina.out*", "Log files, folders and patterns on the server, with commas between"),
    "name": ("name", "such as night", "Of the dataset, or of the Squid logs"),
    "hosts": ("machines", "lpad1=lpad1.cern.ch", f"Machines by path; empty: names in the lines. {PAIRS['hosts']}"),
    "timezone": ("time zone", "Europe/Zurich", "Of the Squids' hosts: most formats write local time, and +0000 to it"),
    "squids": ("Squid", "empty: told from the paths", f"Write {PAIRS['squids']}"),
    "sites": ("site", "empty: none", f"Write {PAIRS['sites']}"),
}


def text_field(description: str, placeholder: str, tooltip: str) -> elements.Text:
    """Return a field of text."""
    return elements.Text(
        description=description,
        placeholder=placeholder,
        tooltip=tooltip,
        continuous_update=False,
        style=STYLE,
        layout=elements.field_layout(),
    )


def grid(*fields: Widget) -> elements.GridBox:
    """Put fields side by side, as many as there is room for."""
    columns = "repeat(auto-fill, minmax(min(346px, 100%), 1fr))"
    layout = elements.layout(grid_template_columns=columns, grid_gap="4px 8px", max_width="1080px")
    return elements.GridBox(fields, layout=layout)


def zone(text: str) -> str:
    """Check the name of a time zone; an empty one is UTC."""
    zone_of(text.strip() or "UTC")
    return text.strip() or "UTC"


def checked(what: str) -> Callable[[str], str]:
    """Return what checks a text of names, or of pairs as `what` says."""

    def read(text: str) -> str:
        pairs(text, what)
        return text.strip()

    return read
