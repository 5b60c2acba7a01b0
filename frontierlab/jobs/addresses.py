"""Address of the broker: from the settings, or from the Redis that was started for the data folder."""

from __future__ import annotations

import json
import socket
from pathlib import Path

from frontierlab.errors import ConfigurationError
from frontierlab.settings import Settings

__all__ = ["broker_file", "broker_url"]


def broker_file(settings: Settings) -> Path:
    """Return the file in which the Redis that was started on this machine for a data folder keeps its address."""
    return settings.data_dir / "jobs" / f"broker-{socket.gethostname()}.json"


def broker_url(settings: Settings) -> str:
    """Return the URL of the broker, with credentials: from the settings, or of the Redis started for their data folder.

    Raises
    ------
    ConfigurationError
        There is no broker.
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
