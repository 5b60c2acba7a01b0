"""What can be chosen in a dataset: folders, tasks."""

from frontierlab.filters.contents import folders, tasks

__all__ = ["folders", "tasks"]
