"""Caching efficiency: which folders waste Frontier's cache, how much, why, and what would help.

`efficiency` gives the figures of every folder and tag of a dataset; `explain` shows the queries of one against its
payloads; `what_if` says what a coarser grid of IOVs would have saved; `history` keeps results and compares them; `page`
writes them down for one detector group.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from frontierlab.caching.efficiency import efficiency
from frontierlab.caching.what_if import what_if, what_if_figure

if TYPE_CHECKING:
    from frontierlab.caching import history
    from frontierlab.caching.explain import explain
    from frontierlab.caching.explain_plot import explain_figure
    from frontierlab.caching.page import page, waste_figure

__all__ = [
    "efficiency",
    "explain",
    "explain_figure",
    "history",
    "page",
    "waste_figure",
    "what_if",
    "what_if_figure",
]

# these need Bokeh, or the client of Elasticsearch
_LATER = {"explain": "explain", "explain_figure": "explain_plot", "page": "page", "waste_figure": "page"}


class _Package(ModuleType):
    """A package whose functions are not hidden by the modules of the same name, whenever these are loaded."""

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, ModuleType) and name in __all__ and name != "history":
            value = getattr(value, name)
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> Any:
    if name == "history":
        return importlib.import_module(f"{__name__}.history")
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_LATER[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
