"""The settings that differ from the defaults, with and without secrets."""

from __future__ import annotations

from typing import Any

from frontierlab import Settings
from frontierlab.settings.sources import is_secret

__all__ = ["changed_settings", "default_of", "without_secrets"]


def changed_settings(settings: Settings | None) -> dict[str, Any]:
    """Return the settings that differ from the default; none of None."""
    found = {} if settings is None else {name: getattr(settings, name) for name in Settings.model_fields}
    return {name: value for name, value in found.items() if value != default_of(name)}


def without_secrets(settings: Settings | None) -> dict[str, Any]:
    """Return the settings that differ from the default, but no secret."""
    changed = changed_settings(settings)
    return {name: value for name, value in changed.items() if not is_secret(Settings.model_fields[name])}


def default_of(name: str) -> Any:
    """Return the default of a setting."""
    return Settings.model_fields[name].get_default(call_default_factory=True)
