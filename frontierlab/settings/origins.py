"""The settings as a table: each value without secrets, and where it comes from."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

from frontierlab.settings.model import Settings
from frontierlab.settings.sources import from_environment, from_file, is_secret

__all__ = ["HIDDEN", "Origin", "origins"]

HIDDEN = "(hidden)"
"""What is shown of a secret that is set."""


class Origin(NamedTuple):
    """A setting.

    Parameters
    ----------
    key
        Its name.
    value
        Its value; `HIDDEN` for a secret, None if it is not set.
    place
        The line of the file or the variable that gives it, or ``default``.
    description
        What it is, and its valid values.
    """

    key: str
    value: Any
    place: str
    description: str


def origins(config_file: str | os.PathLike[str] | None = None) -> list[Origin]:
    """Return all settings of a configuration file and the environment, with the place of each.

    Parameters
    ----------
    config_file
        As for `frontierlab.Settings`.

    Raises
    ------
    ConfigurationError
        As for `frontierlab.Settings`.
    """
    fields = Settings.model_fields
    settings = Settings(config_file)
    given = {**from_file(config_file, fields), **from_environment(fields)}
    found = []
    for name, field in fields.items():
        value = getattr(settings, name)
        shown = HIDDEN if is_secret(field) and value not in (None, {}) else value
        place = given[name].place if name in given else "default"
        found.append(Origin(name, shown, place, field.description or ""))
    return found
