"""How many random examples a test has: all in the full run, a tenth in `make test-fast`."""

from __future__ import annotations

import os

FAST = os.environ.get("TEST_FAST") == "1"
"""Whether this is `make test-fast`."""


def examples(number: int) -> int:
    """Return the number of examples in this run; `number` is that of the full run."""
    return max(2, number // 10) if FAST else number
