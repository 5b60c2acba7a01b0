"""A dashboard's views: kept by name on request, and the last one by itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Self

import traitlets

from frontierlab import Settings
from frontierlab.errors import ConfigurationError, InvalidRequestError
from frontierlab_widgets import elements
from frontierlab_widgets.code_box import Expression, call
from frontierlab_widgets.kept_views import LAST, ViewKeeper, forget_old_views, keep_view, last_view, new_key, read_view
from frontierlab_widgets.lazy_panels import LazyPanels
from frontierlab_widgets.panel import PANEL_LOCK, Panel
from frontierlab_widgets.plain_settings import without_secrets

__all__ = ["KeptViews"]


class _Open:
    """``Dashboard.open("name")``; of a dashboard itself, ``open`` is what ipywidgets calls so."""

    def __get__(self, board: KeptViews | None, kind: type[KeptViews]) -> Callable[..., Any]:
        method: Callable[..., Any] = kind.open_view if board is None else super(KeptViews, board).open
        return method


class KeptViews(Panel):
    """A panel of panels that keeps its state in the data folder.

    Attributes
    ----------
    key : str
        The name under which the view is kept by itself.
    go_on : Button
        Goes on with the view that was kept last; hidden if there is none.
    """

    panels: LazyPanels
    key = traitlets.Unicode()

    _keeper: ViewKeeper | None = None

    open = _Open()

    @classmethod
    def open_view(cls, name: str = LAST, settings: Settings | None = None) -> Self:
        """Open a view that was kept by name, in Share or by `keep`; ``Dashboard.open`` is the same.

        Parameters
        ----------
        name
            Its name; ``last`` is the last view that a dashboard kept by itself.
        settings
            By default ``Settings()``.

        Raises
        ------
        InvalidRequestError
            There is no such view; the message names those that there are. Or its file is damaged.
        ConfigurationError
            The configuration cannot be read.
        """
        chosen = settings or Settings()
        board = cls.from_state(read_view(name, chosen), chosen)
        if name.startswith(f"{LAST}-"):  # it goes on with the view of a kernel that has ended
            board.key = name
        return board

    @classmethod
    def reopen(cls, key: str, given: Mapping[str, Any]) -> Self:
        """Show a view that a dashboard kept by itself, in a new kernel; the page calls this for *Restore this view*.

        Parameters
        ----------
        key
            The name under which it was kept.
        given
            The settings without secrets. A secret that the configuration lacks, such as a password that was typed,
            must be typed again; until then, what needs it is left out too.

        Raises
        ------
        InvalidRequestError
            There is no such view.
        ConfigurationError
            The configuration cannot be read.
        """
        alone = {name: value for name, value in given.items() if name != "es_user"}  # it needs its password
        try:
            return cls.open_view(key, Settings(**given))
        except ConfigurationError as error:
            board = cls.open_view(key, Settings(**alone))
            board.fail(error)
            return board

    def keep(self, name: str) -> None:
        """Keep this view by name, for `open`; an earlier one of the name is replaced.

        Raises
        ------
        InvalidRequestError
            The name or a field is not valid, or the file cannot be written.
        """
        self.require_all_valid()
        keep_view(name, self.state(), self.require_settings())

    def require_all_valid(self) -> None:
        """Raise if a field is invalid, because a state would differ from what is seen.

        Raises
        ------
        InvalidRequestError
            A field is invalid; the message names it.
        """
        for panel in (self, *self.panels.made().values()):
            panel.require_valid()

    def keep_views(self) -> None:
        """Begin to keep the view by itself; this makes the button `go_on`."""
        self.go_on = elements.Button(layout=elements.layout(display="none"))
        self.click(self.go_on, lambda: self.restore(read_view(LAST, self.require_settings())))
        self.key = new_key()
        self._watch_view()
        self._offer_last()

    def close(self) -> None:
        """Close the panel; the view is kept."""
        if self._keeper is not None:
            self._keeper.end()
        super().close()

    def _watch_view(self) -> None:
        self._keeper = ViewKeeper(self._keep_last, self.fail)
        self.watch_view(self)
        self.observe(self._keeper.changed, ["key", "settings"])

    def watch_view(self, panel: Panel) -> None:
        """Keep the view after each change of a panel that is part of it."""
        assert self._keeper is not None
        panel.observe(self._keeper.changed, panel.saved_traits())

    def _keep_last(self) -> None:
        """Keep the view in its file, and in the page for the case that the kernel ends."""
        with PANEL_LOCK:
            if self.settings is None or self.comm is None:
                return
            state, settings = self.state(), self.require_settings()
            given = Expression(call("dict", **without_secrets(settings)))
            self._kernel_status.kept = json.dumps(state, indent=1)
            self._kernel_status.again = "\n".join(
                ["from frontierlab_widgets import Dashboard", call("Dashboard.reopen", self.key, given)]
            )
        keep_view(self.key, state, settings)
        forget_old_views(settings)

    def _offer_last(self) -> None:
        """Offer the view that a dashboard of this data folder kept last, while none is chosen here."""
        found = None if self.settings is None else last_view(self.settings)
        if found is None:
            return
        try:
            state = read_view(LAST, self.require_settings())
        except InvalidRequestError:  # it is damaged: there is nothing to go on with
            return
        if state.get("dataset"):
            self.go_on.description = f"Go on with {state['dataset']}, {state.get('tab', '')}"
            self.go_on.tooltip = "Show the view that a dashboard of this data folder showed last"
            elements.show(self.go_on, True)
            self.observe(lambda _: elements.show(self.go_on, False), "dataset")
