"""What can be taken out of a dashboard: its view by name, as a file or as JSON, and its work as code."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from frontierlab_widgets import elements
from frontierlab_widgets.browser_files import Download, Upload
from frontierlab_widgets.code_box import CodeBox
from frontierlab_widgets.kept_views import kept_views, read_view
from frontierlab_widgets.panel import row

__all__ = ["ShareBox"]

_STYLE = {"description_width": "initial"}


class ShareBox(elements.VBox):
    """Keep a view, open one, and copy what it does as code. The box is closed at first.

    Parameters
    ----------
    panel
        The dashboard.

    Attributes
    ----------
    shown : str
        The code or the JSON that is shown; empty if none is.
    """

    def __init__(self, panel: Any) -> None:
        self._panel = panel
        self._name = _text("name", "of this view")
        self._names = elements.Dropdown(description="kept views", style=_STYLE, layout=elements.field_layout("260px"))
        self._given = _text("or JSON", "a view as JSON")
        self._code = CodeBox()
        self._box = elements.VBox([self._code], layout=elements.layout(display="none"))
        self._download = Download()
        self._upload = Upload(self._take, panel.fail, ".json")
        self._upload.label = "Open a view from a file"
        buttons = {name: elements.Button(description=name, tooltip=tip) for name, tip in _TIPS.items()}
        actions = {
            "Keep": self._keep,
            "Open by name": lambda: panel.restore(read_view(self._names.value or "", panel.require_settings())),
            "Copy as code": lambda: self._show(panel.code()),
            "Show as JSON": self._show_state,
            "Save as a file": self._save,
            "Open a view": lambda: panel.restore(self._given.value),
            "Close": self.toggle,
        }
        for name, action in actions.items():
            panel.click(buttons[name], action)
        super().__init__(
            [
                row(self._name, buttons["Keep"], self._names, buttons["Open by name"]),
                row(self._given, buttons["Open a view"], elements.Label("or a file:"), self._upload),
                row(*(buttons[name] for name in ("Copy as code", "Show as JSON", "Save as a file", "Close"))),
                self._box,
                self._download,
            ],
            layout=elements.layout(display="none"),
        )
        self.add_class("frontierlab-box")

    @property
    def shown(self) -> str:
        """The code or the JSON that is shown; empty if none is."""
        return "" if not elements.is_shown(self._box) else str(self._code.code)

    def toggle(self) -> None:
        """Open the box, or close it."""
        hidden = not elements.is_shown(self)
        elements.show(self, hidden)
        if hidden:
            self._offer()

    def _offer(self) -> None:
        names = [] if self._panel.settings is None else kept_views(self._panel.settings)
        self._names.options = names or [("none yet", "")]

    def _keep(self) -> None:
        name = self._name.value.strip()
        self._panel.keep(name)
        self._panel.message = f'The view is kept: Dashboard.open("{name}") shows it, also in another notebook.'
        self._offer()

    def _show_state(self) -> None:
        self._panel.require_all_valid()
        self._show(json.dumps(self._panel.state(), indent=1))

    def _save(self) -> None:
        self._panel.require_all_valid()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"{self._name.value.strip() or 'view'}.json"
            path.write_text(json.dumps(self._panel.state(), indent=1), encoding="utf-8")
            self._download.give(path, path.name)
        self._panel.message = f"{path.name} was given to the browser."

    def _take(self, _: str, content: bytes) -> None:
        self._panel.guarded(lambda: self._panel.restore(content.decode(errors="replace")))

    def _show(self, text: str) -> None:
        self._code.code = text
        elements.show(self._box, True)


_TIPS = {
    "Keep": "Keep this view in the data folder, for everybody who uses it",
    "Open by name": "Show the view of this name",
    "Copy as code": "Show the calls that do what the open tab does",
    "Show as JSON": "Show this view as text, to mail it",
    "Save as a file": "Give this view to the browser as a small file",
    "Open a view": "Show the view that the JSON in the field describes",
    "Close": "Close this box",
}


def _text(description: str, placeholder: str) -> elements.Text:
    return elements.Text(
        description=description,
        placeholder=placeholder,
        continuous_update=False,
        style=_STYLE,
        layout=elements.field_layout("260px"),
    )
