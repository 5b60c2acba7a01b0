"""Wait for a condition that another thread or process fulfils."""

from __future__ import annotations

import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from playwright.sync_api import Page

T = TypeVar("T")


def wait_for(condition: Callable[[], T], what: str = "the expected condition", seconds: float = 60) -> T:
    """Wait until a condition holds, and return its value; fail after a number of seconds."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{what} did not come within {seconds:g} s"
        time.sleep(0.01)
    return found


def until_true(page: Page, expression: str, **options: Any) -> None:
    """Wait until an expression is true on a page.

    It is asked ten times a second: to ask in each frame, as Playwright does otherwise, makes the browser draw frames.
    """
    page.wait_for_function(expression, polling=100, **options)


def until_duckdb_runs() -> None:
    """Wait until DuckDB runs a statement of another thread of this process."""

    def runs() -> bool:
        frames = sys._current_frames()
        ours = [one.ident for one in threading.enumerate() if one.name == "frontierlab-duckdb"]
        stacks = [traceback.extract_stack(frames[ident]) for ident in ours if ident in frames]
        lines = [frame.line or "" for stack in stacks for frame in stack]
        return any(call in line for line in lines for call in ("to_arrow_table(", "execute(_with_tables("))

    wait_for(runs, "a running statement")
