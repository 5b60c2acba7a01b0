"""Address of the broker: from the settings, or from the Redis that was started on this machine for the data folder."""

from __future__ import annotations

import socket
from pathlib import Path

from frontierlab.errors import ConfigurationError
from frontierlab.settings import Settings

__all__ = ["broker_file", "broker_url"]

_SUFFIX = ".url"


def broker_file(settings: Settings) -> Path:
    """Return the file in which the Redis that was started on this machine for a data folder keeps its URL."""
    return settings.data_dir / "jobs" / f"broker-{socket.gethostname()}{_SUFFIX}"


def broker_url(settings: Settings) -> str:
    """Return the URL of the broker, with credentials: from the settings, or of the Redis started for their data folder.

    Raises
    ------
    ConfigurationError
        There is no broker.
    """
    if settings.broker_url is not None:
        return settings.broker_url.get_secret_value()
    file = broker_file(settings)
    try:
        return file.read_text(encoding="utf-8")
    except PermissionError:
        raise ConfigurationError(
            f"The Redis of this data folder on this machine belongs to another user ({file}): set broker_url, or "
            "another data_dir, in the settings."
        ) from None
    except OSError:
        pass
    hosts = [path.name.removeprefix("broker-").removesuffix(_SUFFIX) for path in file.parent.glob(f"broker-*{_SUFFIX}")]
    there = f"; the Redis of this data folder on {', '.join(sorted(hosts))} serves that machine alone" if hosts else ""
    raise ConfigurationError(
        f"There is no broker to carry jobs to workers{there}: set broker_url (redis://host:6379/0) in the settings, or "
        "start a Redis and a worker on this machine: make worker, or frontierlab.jobs.start_worker(settings)."
    )
