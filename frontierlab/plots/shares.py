"""Figures of shares: cached queries and bytes, by schema and folder (plots 11 to 14)."""

from __future__ import annotations

import pandas as pd

from frontierlab.plots.drawing import Drawing
from frontierlab.plots.grouped import grouped
from frontierlab.plots.making import as_plot
from frontierlab.plots.style import CACHED_SERIES, COLOURS, Series

__all__ = ["bytes_share_per_node", "bytes_share_per_schema", "cached_share_per_node", "cached_share_per_schema"]

_BYTES = (Series("bytes", "bytes, not cached", COLOURS[1], "square"),)


@as_plot
def cached_share_per_schema(frame: pd.DataFrame, *, selection: str | None = None, top: int = 20) -> Drawing:
    """Draw the shares of cached and other queries of each schema.

    See `frontierlab.plots` for the parameters.
    """
    return grouped(
        frame,
        "cached_share_per_schema",
        ["db", "schema"],
        CACHED_SERIES,
        title="Cached part of each schema's queries",
        selection=selection,
        axis="% of the schema's queries",
        top=top,
        percent=True,
    )


@as_plot
def cached_share_per_node(frame: pd.DataFrame, *, selection: str | None = None, top: int = 20) -> Drawing:
    """Draw the shares of cached and other queries of each folder.

    See `frontierlab.plots` for the parameters.
    """
    return grouped(
        frame,
        "cached_share_per_node",
        ["db", "schema", "nodefullpath"],
        CACHED_SERIES,
        title="Cached part of each folder's queries",
        selection=selection,
        axis="% of the folder's queries",
        top=top,
        percent=True,
    )


@as_plot
def bytes_share_per_schema(frame: pd.DataFrame, *, selection: str | None = None, top: int = 20) -> Drawing:
    """Draw each schema's share of the bytes.

    See `frontierlab.plots` for the parameters.
    """
    return grouped(
        frame,
        "bytes_share_per_schema",
        ["db", "schema"],
        _BYTES,
        title="Bytes by schema, not cached",
        selection=selection,
        axis="% of the bytes of the selected queries",
        top=top,
        unit="bytes",
        share="all",
        percent=True,
    )


@as_plot
def bytes_share_per_node(frame: pd.DataFrame, *, selection: str | None = None, top: int = 20) -> Drawing:
    """Draw each folder's share of the bytes.

    See `frontierlab.plots` for the parameters.
    """
    return grouped(
        frame,
        "bytes_share_per_node",
        ["db", "schema", "nodefullpath"],
        _BYTES,
        title="Bytes by folder, not cached",
        selection=selection,
        axis="% of the bytes of the selected queries",
        top=top,
        unit="bytes",
        share="all",
        percent=True,
    )
