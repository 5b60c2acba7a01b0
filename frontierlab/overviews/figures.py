"""The figures of an overview, and its page."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from bokeh.layouts import column
from bokeh.models import Column
from bokeh.models.widgets import Div

from frontierlab import plots
from frontierlab.filters.expressions import add_percent
from frontierlab.pages.target import target_of

if TYPE_CHECKING:
    from frontierlab.overviews.result import Overview

__all__ = ["figures", "write_page"]

_CACHED = ["cached", "not_cached", "unknown"]


def figures(overview: Overview) -> Column:
    """Return the figures of an overview in a column; a table without a named group has none."""
    drawn: list[Any] = [
        plots.queries_over_time(overview.over_time),
        plots.bytes_over_time(overview.over_time),
        plots.uncached_by_kind(overview.kinds),
        plots.queries_per_db(overview.databases),
        plots.cached_per_schema(overview.schemas),
        plots.cached_share_per_node(_shares(overview.folders)),
    ]
    others = {
        plots.cost_per_task: overview.tasks,
        plots.cost_per_server: overview.servers,
        plots.cost_per_site: overview.sites,
        plots.cost_per_squid: overview.squids,
    }
    drawn += [plot(frame) for plot, frame in others.items() if (frame["part"] == "named").any()]
    return column(*plots.link(drawn), sizing_mode="stretch_width")


def _shares(frame: pd.DataFrame) -> pd.DataFrame:
    shares = add_percent(frame, _CACHED, frame[_CACHED].sum(axis=1))
    shares.attrs = frame.attrs
    return shares


def write_page(overview: Overview, path: str | os.PathLike[str]) -> Path:
    """Write the text and the figures of an overview as one page."""
    target = target_of(path, "look.html")
    text = Div(text=overview._repr_html_(), sizing_mode="stretch_width")
    return plots.save(column(text, figures(overview), sizing_mode="stretch_width"), target)
