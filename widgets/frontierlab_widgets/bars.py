"""Bars with names and numbers, each of which can be chosen or left out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import traitlets

from frontierlab_widgets.drawn_by_page import DrawnByPage

__all__ = ["Bars"]

_STATIC = Path(__file__).parent / "static"


class Bars(DrawnByPage):
    """Horizontal bars below each other, by mouse or keyboard.

    Names of any length and exact numbers are text of the page, which figures cannot offer.

    Parameters
    ----------
    choose
        Called with the id of a bar, and whether it is to be left out.

    Attributes
    ----------
    label : str
        The name of the bars.
    bars : list
        ``id`` (empty for a bar that cannot be chosen), ``name``, ``above`` (what the name is part of), ``text`` (the
        number) and ``share`` (of the longest bar, 0 to 1; None is a number without a bar) of each.
    empty : str
        What stands there without bars.
    """

    _esm = _STATIC / "bars.js"
    _css = _STATIC / "bars.css"

    label = traitlets.Unicode().tag(sync=True)
    bars: traitlets.List[dict[str, Any]] = traitlets.List().tag(sync=True)
    empty = traitlets.Unicode("No query matches.").tag(sync=True)

    def __init__(self, choose: Callable[[str, bool], object]) -> None:
        super().__init__()
        self._choose = choose
        self.on_msg(self._received)

    def _received(self, _: Any, content: dict[str, Any], buffers: Any) -> None:
        if "chosen" in content:
            self._choose(content["chosen"], bool(content.get("out")))
