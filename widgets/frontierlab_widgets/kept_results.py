"""Results of this kernel that are shown again without being worked out again."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Generic, TypeVar

from frontierlab_widgets.origin import Origin

__all__ = ["KeptResults"]

Result = TypeVar("Result")


class KeptResults(Generic[Result]):
    """The latest results by their origin, for all panels of the kernel.

    An origin holds the identity of its dataset, so results of a dataset that has changed are not found again.

    Parameters
    ----------
    most
        How many are kept.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._results: OrderedDict[Origin, Result] = OrderedDict()

    def get(self, origin: Origin) -> Result | None:
        """Return the result of an origin; None if it is not kept."""
        with self._lock:
            if origin in self._results:
                self._results.move_to_end(origin)
            return self._results.get(origin)

    def keep(self, origin: Origin, result: Result) -> None:
        """Keep a result; the one that was used longest ago makes room for it."""
        with self._lock:
            self._results[origin] = result
            self._results.move_to_end(origin)
            while len(self._results) > self._most:
                self._results.popitem(last=False)

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._results.clear()
