"""Panels over frontierlab for JupyterLab and Notebook 7.

Panels hold no logic that scripts need: ``code()`` returns the same work as calls of the library. The traits of a panel
are its interface. ``state()`` returns what the panel shows as JSON, and ``from_state()`` restores it.
"""

from importlib import import_module as _import_module
from typing import Any

__all__ = [
    "CachingPanel",
    "ConnectionPanel",
    "Dashboard",
    "DatasetsPanel",
    "ExplorePanel",
    "ExtractPanel",
    "JobsPanel",
    "Panel",
    "Phase",
    "RawLogsPanel",
]

_PLACES = {
    "CachingPanel": "caching_panel",
    "ConnectionPanel": "connection_panel",
    "Dashboard": "dashboard",
    "DatasetsPanel": "datasets_panel",
    "ExplorePanel": "explore_panel",
    "ExtractPanel": "extract_panel",
    "JobsPanel": "jobs_panel",
    "Panel": "panel",
    "Phase": "panel",
    "RawLogsPanel": "raw_logs_panel",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(_import_module(f"{__name__}.{_PLACES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
