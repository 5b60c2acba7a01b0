"""Where the broker is: as the settings say, or as the Redis that was started for a data folder does."""

from __future__ import annotations

import json
import socket
from pathlib import Path

from frontierlab.errors import ConfigurationError
from frontierlab.settings import Settings

__all__ = ["broker_file", "broker_url"]


def broker_file(settings: Settings) -> Path:
    """Return where the Redis that was started on this machine for a data folder says how to reach it."""
    return settings.data_dir / "jobs" / f"broker-{socket.gethostname()}.json"


def broker_url(settings: Settings) -> str:
    """Return the URL of the broker, credentials included: that of the settings, or of the Redis started for them.

    Raises
    ------
    ConfigurationError
        There is neither.
    """
    if settings.broker_url is not None:
        return settings.broker_url.get_secret_value()
    try:
        return str(json.loads(broker_file(settings).read_text(encoding="utf-8"))["url"])
    except (OSError, ValueError, KeyError):
        raise ConfigurationError(
            "There is no broker to carry jobs to workers: set broker_url (redis://host:6379/0) in the settings, or "
            "start a Redis and a worker on this machine: make worker, or frontierlab.jobs.start_worker(settings)."
        ) from None
