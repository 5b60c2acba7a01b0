"""The catalogue of nodes and tags: built and refreshed from COOLR."""

from frontierlab.catalogue import find_folders
from frontierlab.coolr.refresh import Current, Refreshed, current, needs_refresh, refresh

__all__ = ["Current", "Refreshed", "current", "find_folders", "needs_refresh", "refresh"]
