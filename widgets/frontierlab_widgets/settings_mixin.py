"""The settings of a panel, or why there are none."""

from __future__ import annotations

from typing import ClassVar

import traitlets

from frontierlab import Settings
from frontierlab.errors import ConfigurationError, InvalidRequestError
from frontierlab_widgets.formatting import sentence

__all__ = ["SettingsMixin"]


class SettingsMixin(traitlets.HasTraits):
    """Reads the configuration once, and remembers why it cannot be read.

    Attributes
    ----------
    settings : Settings or None
        None while the configuration cannot be read.
    configuration_problem : str
        Why there are no settings, and what to do about it; empty if there are settings.
    """

    next_step: ClassVar[str] = "Correct it, and run this cell again."
    """What to do where the configuration cannot be read."""

    settings = traitlets.Instance(Settings, allow_none=True)
    configuration_problem = traitlets.Unicode()

    def read_settings(self, settings: Settings | None, problem: str = "") -> None:
        """Take the settings; without settings and without a known problem, read the configuration."""
        if settings is None and not problem:
            try:
                settings = Settings()
            except ConfigurationError as error:
                problem = f"{sentence(error)} {self.next_step}"
        self.settings = settings
        self.configuration_problem = "" if settings is not None else problem

    def require_settings(self) -> Settings:
        """Return the settings.

        Raises
        ------
        InvalidRequestError
            The configuration cannot be read.
        """
        if not isinstance(self.settings, Settings):
            raise InvalidRequestError(self.configuration_problem)
        return self.settings

    @traitlets.observe("settings")
    def _forget_problem(self, _: object) -> None:
        if self.settings is not None:
            self.configuration_problem = ""
