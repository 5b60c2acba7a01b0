"""The filters that a report and the explore panel show, by chapter."""

from __future__ import annotations

__all__ = ["ALL_FILTERS", "CHAPTERS"]

CHAPTERS = {
    "Databases and schemas": (
        "queries_per_db",
        "uncached_by_kind",
        "queries_per_schema",
        "cached_per_schema",
        "cached_share_per_schema",
        "payload_per_schema",
        "bytes_share_per_schema",
        "cost_per_schema",
    ),
    "Over time": (
        "queries_over_time",
        "bytes_over_time",
        "long_queries_per_schema",
        "long_queries_per_node",
        "querytime_percentiles",
        "failures_over_time",
        "threads_over_time",
    ),
    "How long queries took": ("queries_by_querytime", "queries_by_dbtime"),
    "Folders": ("cached_share_per_node", "payload_per_node", "bytes_share_per_node", "cost_per_node"),
    "Who asked": ("cost_per_task", "cost_per_server", "cost_per_site", "cost_per_squid"),
}
"""The names of the filters in a report, by chapter and in order."""

_BEYOND = {
    "Over time": ("dbtime_percentiles", "cached_share_over_time", "bytes_per_answer_over_time"),
    "Folders": ("cost_per_tag",),
    "Who asked": ("repeated_queries",),
}  # a report would take longer with them, and tell little more

ALL_FILTERS = {title: (*names, *_BEYOND.get(title, ())) for title, names in CHAPTERS.items()}
"""The names of all filters, by chapter and in order; the explore panel shows all."""
