"""A panel with figures of a dataset and a selection, which knows when they no longer match the choice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from typing import Any

import traitlets
from ipywidgets import Widget

from frontierlab import Selection
from frontierlab.errors import FrontierlabError, InvalidRequestError
from frontierlab_widgets import elements
from frontierlab_widgets.chosen_datasets import Source, opened
from frontierlab_widgets.origin import Origin
from frontierlab_widgets.panel import PANEL_LOCK, Panel, Phase
from frontierlab_widgets.selection_fields import SelectionFields

__all__ = ["FiguresPanel"]

_STALE = "frontierlab-stale"


class FiguresPanel(Panel):
    """A panel with figures of a dataset, or of a period of several, and a selection.

    When the choice no longer matches the origin of the figures, the figures are stale. Stale figures are greyed, a line
    gives their origin, and no action accepts them, until they are computed again or the choice matches again.

    Attributes
    ----------
    dataset : str
        Name of the chosen dataset; empty for none. Several names and patterns are a period, such as
        ``nightly-*, extra since 2026-10-01 until 2026-11-01`` (see `frontierlab_widgets.chosen_datasets`).
    selection : Selection
        The chosen queries.
    origin : Origin or None
        The origin of the figures; None while there are none.
    stale : str
        Why the figures do not match the choice, a sentence; empty if they match.
    """

    dataset = traitlets.Unicode().tag(saved=True)
    selection = traitlets.Instance(Selection, ()).tag(saved=True)
    origin = traitlets.Instance(Origin, allow_none=True)
    stale = traitlets.Unicode()

    _picker: SelectionFields | None = None

    def build_picker(self, *, folders_only: bool = False) -> list[Widget]:
        """Build the choice of queries; a tab of a dashboard has none, since the header has one."""
        self._picker = SelectionFields(self, folders_only=folders_only)
        return [self._picker]

    def clear_choice(self) -> None:
        """Choose all queries, and forget the text in the fields."""
        if self._picker is None:
            self.selection = Selection()
        else:
            self._picker.clear()

    def chosen_origin(self, dataset: Source) -> Origin:
        """Return the origin of figures computed from the current choice."""
        raise NotImplementedError

    def chosen_dataset(self) -> Source:
        """Open the chosen dataset or period.

        Raises
        ------
        InvalidRequestError
            No dataset is chosen, or the text that names a period is not valid.
        DatasetError
            The dataset does not exist; or the datasets of a period do not go together.
        """
        if not self.dataset:
            raise InvalidRequestError("Choose a dataset first.")
        return opened(self.dataset, self.require_settings())

    def computed_dataset(self) -> Source:
        """Open the dataset or period of the figures.

        Raises
        ------
        InvalidRequestError
            There are no figures, or they are stale, so that the dataset may have changed.
        """
        self.computed_origin()
        self.require_fresh()
        return self.chosen_dataset()

    def computed_origin(self) -> Origin:
        """Return the origin of the figures.

        Raises
        ------
        InvalidRequestError
            There are no figures.
        """
        if not isinstance(self.origin, Origin):
            raise InvalidRequestError("Nothing is computed yet.")
        return self.origin

    def watch_origin(self, greyed: Sequence[Widget], *traits: str) -> Widget:
        """Check the figures whenever dataset, selection, settings or further traits change.

        Parameters
        ----------
        greyed
            Parts of the view that are greyed while the figures are stale.
        *traits
            Further traits that the figures depend on.

        Returns
        -------
        Widget
            The line with the origin of the figures, for the view.
        """
        self._greyed, self._about = greyed, elements.HTML(self.about_figures())
        self.observe(self._look_again, ["dataset", "selection", "settings", "origin", *traits])
        self.observe(self._forget_message, "stale")
        self.observe(self._show_stale, ["stale", "origin", "dataset"])
        return self._about

    def _look_again(self, _: Any) -> None:
        with PANEL_LOCK, self.shown_errors():
            self.check_origin()

    def check_origin(self) -> None:
        """Check whether the figures match the choice, including changes of the dataset by other programs."""
        self.stale = self._why_stale()

    def has_figures(self) -> bool:
        """Return whether there are figures of the current choice."""
        return self.origin is not None and not self.stale

    def require_fresh(self) -> None:
        """Raise if the figures are stale.

        Raises
        ------
        InvalidRequestError
            The figures are stale.
        """
        self.check_origin()
        if self.stale:
            raise InvalidRequestError(self.stale)

    def fresh(self, action: Callable[[], object]) -> Callable[[], object]:
        """Return an action that first checks that the figures are not stale."""

        def act() -> None:
            self.require_fresh()
            action()

        return act

    def _why_stale(self) -> str:
        if self.origin is None:
            return ""
        these = f"These figures are of {self.origin.in_words()}"
        if not self.dataset:
            return f"{these}; no dataset is chosen."
        try:
            differs = self.origin.differs(self.chosen_origin(self.chosen_dataset()))
        except FrontierlabError as error:
            return f"{these}. {error}"
        return f"{these}, {differs}. {self.how_to_refresh()}" if differs else ""

    def _forget_message(self, change: Any) -> None:
        if not change["old"]:
            self.message = ""  # it describes the figures that have become stale

    def _show_stale(self, _: Any = None) -> None:
        # one line while it is worked on: what is below stays in its place
        line = f' frontierlab-line" title="{escape(self.stale)}' * (self.phase is Phase.WORKING)
        stale = f'<div class="frontierlab-note{line}" role="status">{escape(self.stale)}</div>'
        self._about.value = stale if self.stale else self.about_figures()
        for part in self._greyed:
            if self.stale and self.is_greyed(part):
                part.add_class(_STALE)
            else:
                part.remove_class(_STALE)
        self.allow()

    def is_greyed(self, part: Widget) -> bool:
        """Return whether a part of the view is grey while the figures are stale."""
        return True

    def how_to_refresh(self) -> str:
        """Say how to get figures of the current choice."""
        return "Click Compute to update them."

    def how_computed(self) -> str:
        """Return a sentence on what computed the figures; empty if that is not known."""
        return ""

    def about_figures(self) -> str:
        """Return the HTML above figures that are not stale."""
        if self.origin is None:
            return ""
        words = f"Figures of {self.origin.in_words()}. {self.how_computed()}".rstrip()
        return f'<span class="frontierlab-quiet">{escape(words)}</span>'
