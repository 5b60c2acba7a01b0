"""The panels of a dashboard, each made when it is first needed: what nobody opens is neither made nor saved."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from frontierlab_widgets.panel import PANEL_LOCK, Panel

__all__ = ["LazyPanels"]


class LazyPanels(Mapping[str, Panel]):
    """Panels by title; a panel is made when it is looked up.

    Parameters
    ----------
    kinds
        The classes of the panels, by title.
    make
        Makes a panel of a class, given the title.
    join
        Called once with the title and the panel, as soon as there is one.
    """

    def __init__(
        self,
        kinds: Mapping[str, type[Panel]],
        make: Callable[[str, type[Panel]], Panel],
        join: Callable[[str, Panel], object],
    ) -> None:
        self._kinds, self._make, self._join = kinds, make, join
        self._made: dict[str, Panel] = {}
        self._states: dict[str, dict[str, Any]] = {}

    def __getitem__(self, title: str) -> Panel:
        with PANEL_LOCK:
            if title not in self._made:
                panel = self._made[title] = self._make(title, self._kinds[title])
                self._join(title, panel)
                if title in self._states:
                    panel.restore(self._states.pop(title))
            return self._made[title]

    def __iter__(self) -> Iterator[str]:
        return iter(self._kinds)

    def __len__(self) -> int:
        return len(self._kinds)

    def made(self) -> dict[str, Panel]:
        """Return the panels that there are by now, in order."""
        with PANEL_LOCK:
            return {title: self._made[title] for title in self._kinds if title in self._made}

    def states(self) -> dict[str, dict[str, Any]]:
        """Return the states of the panels that there are, and those that wait for their panels."""
        made = {title: panel.state() for title, panel in self.made().items()}
        known = {**self._states, **made}
        return {title: known[title] for title in self._kinds if title in known}

    def restore(self, title: str, state: Mapping[str, Any]) -> None:
        """Restore the state of a panel; one that is not there yet takes it when it is made.

        Raises
        ------
        InvalidRequestError
            The state is not one of this panel.
        """
        kind = self._kinds[title]
        fits = state.get("panel") == (kind.saved_as or kind.__name__)
        known = state.keys() - {"panel"} <= kind.class_traits(saved=True).keys()
        if title in self._made or not fits or not known:
            self[title].restore(state)
        else:
            self._states[title] = {**state}
