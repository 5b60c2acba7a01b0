"""Figures of query numbers by database, kind, schema and folder (plots 1 to 6)."""

from __future__ import annotations

import pandas as pd

from frontierlab.plots.drawing import Drawing
from frontierlab.plots.grouped import grouped
from frontierlab.plots.making import as_plot
from frontierlab.plots.style import CACHED_SERIES, COLOURS, PAYLOAD_SERIES, Scale, Series

__all__ = [
    "cached_per_schema",
    "payload_per_node",
    "payload_per_schema",
    "queries_per_db",
    "queries_per_schema",
    "uncached_by_kind",
]

_QUERIES = (Series("queries", "queries", COLOURS[0]),)
_UNCACHED = (Series("queries", "not cached", COLOURS[1], "square"),)


@as_plot
def queries_per_db(
    frame: pd.DataFrame, *, selection: str | None = None, scale: Scale = "auto", top: int = 20
) -> Drawing:
    """Draw the queries of each database, cached and not.

    See `frontierlab.plots` for the parameters.
    """
    return grouped(
        frame,
        "queries_per_db",
        ["db"],
        CACHED_SERIES,
        title="Queries per database",
        selection=selection,
        axis="queries",
        top=top,
        scale=scale,
    )


@as_plot
def uncached_by_kind(
    frame: pd.DataFrame, *, selection: str | None = None, scale: Scale = "auto", top: int = 20
) -> Drawing:
    """Draw the queries that were not cached, by kind.

    See `frontierlab.plots` for the parameters.
    """
    return grouped(
        frame,
        "uncached_by_kind",
        ["kind"],
        _UNCACHED,
        title="Queries not cached, by kind",
        selection=selection,
        axis="queries",
        top=top,
        scale=scale,
        share="all",
    )


@as_plot
def queries_per_schema(
    frame: pd.DataFrame, *, selection: str | None = None, scale: Scale = "auto", top: int = 20
) -> Drawing:
    """Draw the queries of each schema.

    See `frontierlab.plots` for the parameters.
    """
    return grouped(
        frame,
        "queries_per_schema",
        ["db", "schema"],
        _QUERIES,
        title="Queries per schema",
        selection=selection,
        axis="queries",
        top=top,
        scale=scale,
        share="all",
    )


@as_plot
def cached_per_schema(
    frame: pd.DataFrame, *, selection: str | None = None, scale: Scale = "auto", top: int = 20
) -> Drawing:
    """Draw the queries of each schema, cached and not.

    See `frontierlab.plots` for the parameters.
    """
    return grouped(
        frame,
        "cached_per_schema",
        ["db", "schema"],
        CACHED_SERIES,
        title="Queries per schema, cached and not",
        selection=selection,
        axis="queries",
        top=top,
        scale=scale,
    )


@as_plot
def payload_per_schema(
    frame: pd.DataFrame, *, selection: str | None = None, scale: Scale = "auto", top: int = 20
) -> Drawing:
    """Draw the queries of each schema with and without a payload request.

    See `frontierlab.plots` for the parameters.
    """
    return grouped(
        frame,
        "payload_per_schema",
        ["db", "schema"],
        PAYLOAD_SERIES,
        title="Payload queries per schema",
        selection=selection,
        axis="queries",
        top=top,
        scale=scale,
    )


@as_plot
def payload_per_node(
    frame: pd.DataFrame, *, selection: str | None = None, scale: Scale = "auto", top: int = 20
) -> Drawing:
    """Draw the queries of each folder with and without a payload request.

    See `frontierlab.plots` for the parameters.
    """
    return grouped(
        frame,
        "payload_per_node",
        ["db", "schema", "nodefullpath"],
        PAYLOAD_SERIES,
        title="Payload queries per folder",
        selection=selection,
        axis="queries",
        top=top,
        scale=scale,
    )
