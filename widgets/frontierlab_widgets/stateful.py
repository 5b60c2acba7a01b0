"""Save what a panel shows as JSON, and restore it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import traitlets

from frontierlab import Settings
from frontierlab.errors import InvalidRequestError
from frontierlab.selection import Selection

__all__ = ["StatefulMixin"]


class StatefulMixin(traitlets.HasTraits):
    """Saves the traits that are tagged ``saved``."""

    saved_as: ClassVar[str] = ""
    """The name of the class in a state; by default its own."""

    def saved_traits(self) -> list[str]:
        """Return the names of the traits that make up the state."""
        return sorted(self.traits(saved=True))

    def state(self) -> dict[str, Any]:
        """Return what the panel shows, as a dict for JSON.

        Times are absolute and UTC. Settings and secrets are not included.
        """
        values = {name: getattr(self, name) for name in self.saved_traits()}
        plain = {name: json.loads(v.to_json()) if isinstance(v, Selection) else v for name, v in values.items()}
        return {"panel": self.saved_as or type(self).__name__, **plain}

    @classmethod
    def from_state(cls, state: Mapping[str, Any] | str, settings: Settings | None = None) -> Self:
        """Make a panel from a saved state.

        Parameters
        ----------
        state
            The result of `state`, or its JSON text.
        settings
            By default ``Settings()``.

        Raises
        ------
        InvalidRequestError
            The state belongs to something else.
        """
        panel = cls(settings)
        panel.restore(state)
        return panel

    def read_state(self, state: Mapping[str, Any] | str) -> dict[str, Any]:
        """Return the values of a state, given as JSON text or as a dict.

        Raises
        ------
        InvalidRequestError
            The state belongs to something else.
        """
        name = self.saved_as or type(self).__name__
        try:
            given = dict(json.loads(state) if isinstance(state, str) else state)
        except (TypeError, ValueError) as error:
            raise InvalidRequestError(f"This is not the state of a panel: {error}.") from None
        if given.pop("panel", None) != name:
            raise InvalidRequestError(f"This is not the state of a {name}: give what its state() returned.")
        return given

    def restore(self, state: Mapping[str, Any] | str) -> None:
        """Restore a state; see `from_state`."""
        given = self.read_state(state)
        unknown = sorted(given.keys() - {*self.saved_traits()})
        if unknown:
            raise InvalidRequestError(
                f"This state has {', '.join(unknown)}, which {type(self).__name__} does not know. It knows: "
                f"{', '.join(self.saved_traits())}."
            )
        for name, value in given.items():
            try:
                setattr(self, name, Selection.from_json(value) if isinstance(getattr(self, name), Selection) else value)
            except traitlets.TraitError as error:
                raise InvalidRequestError(f"This state has a value of {name} that is not valid: {error}") from None
