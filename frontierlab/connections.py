"""Check whether the services of the settings can be used: Elasticsearch, COOLR, Redis and Spark."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, NamedTuple

from frontierlab.errors import ConfigurationError, FrontierlabError, Unreached
from frontierlab.settings import Settings

__all__ = ["Connection", "SERVICES", "check"]

_PATIENCE = 20.0  # seconds for a whole answer, and for COOLR, which is retried while it is busy


class Connection(NamedTuple):
    """The result of checking a service.

    Parameters
    ----------
    service
        One of `SERVICES`.
    state
        ``connected``, ``refused``, ``not reached`` (there was no answer), or ``not configured``.
    reason
        What was found, or why the check failed: a sentence without secrets.
    """

    service: str
    state: Literal["connected", "refused", "not reached", "not configured"]
    reason: str


def check(service: str, settings: Settings | None = None) -> Connection:
    """Check whether a service can be used with these settings.

    Parameters
    ----------
    service
        One of `SERVICES`. ``Spark`` starts the session if none runs; if DuckDB answers questions about logs, Spark is
        not configured.
    settings
        By default ``Settings()``.

    Returns
    -------
    Connection
        A failure is a state with a reason; it is not raised.

    Examples
    --------
    >>> check("COOLR", Settings(coolr_archive=None, coolr_host=None)).state
    'not configured'
    """
    settings = settings or Settings()
    try:
        return Connection(service, "connected", SERVICES[service](settings))
    except ConfigurationError as error:
        return Connection(service, "not configured", str(error))
    except FrontierlabError as error:
        return Connection(service, "not reached" if isinstance(error, Unreached) else "refused", str(error))


def _elasticsearch(settings: Settings) -> str:
    from frontierlab.elastic.client import Index
    from frontierlab.elastic.connection import ElasticOptions
    from frontierlab.extraction.examination import examine
    from frontierlab.extraction.request import make_request

    request = make_request(settings, complete=False)
    index = Index(replace(ElasticOptions.of(settings), retry_seconds=0.0), seconds=_PATIENCE)
    try:
        partial = examine(index, request).partial  # raises if documents cannot be read
        documents = index.count({"match_all": {}})
    finally:
        index.close()
    return " ".join([f"{documents:,} documents in {index.name} at {index.url}.", *partial])


def _coolr(settings: Settings) -> str:
    from frontierlab.coolr import Cancelled, connect

    cancelled = threading.Event()
    patience = threading.Timer(_PATIENCE, cancelled.set)
    patience.daemon = True
    hurried = settings.model_copy(update={"coolr_timeout": min(settings.coolr_timeout, _PATIENCE)})
    with connect(hurried, cancelled=cancelled, newer_than=datetime.now(UTC)) as source:
        patience.start()
        try:
            db = settings.db_instances[0]
            schemas = source.schemas(db)
        except Cancelled:
            raise Unreached(
                f"COOLR did not answer within {_PATIENCE:g} s at {settings.coolr_url}. Check coolr_host."
            ) from None
        finally:
            patience.cancel()
    archive = settings.coolr_archive  # the last folders of the path identify the archive
    place = f"in the archive {Path(*archive.parts[-2:])}" if archive else f"at {settings.coolr_url}"
    return f"{len(schemas):,} schemas of {db} {place}."


def _redis(settings: Settings) -> str:
    try:
        from frontierlab.jobs.broker import Broker
    except ImportError as error:
        raise ConfigurationError(f'{error.name} is not installed: pip install "frontierlab[celery]"') from error
    broker = Broker(settings)
    workers = broker.workers()
    return f"{len(workers)} workers at {broker.address}{': ' if workers else ''}{', '.join(workers)}."


def _spark(settings: Settings) -> str:
    from frontierlab.engines.engine_choice import MOST_QUERIES
    from frontierlab.spark import session

    if settings.engine == "duckdb" or (settings.engine == "auto" and settings.spark_master.startswith("local")):
        larger = f" for more than {MOST_QUERIES:,} queries," if settings.engine == "auto" else ""
        raise ConfigurationError(
            f"DuckDB answers questions about logs. Spark is used{larger} with engine = spark, and for Spark DataFrames."
        )
    running = session(settings)
    return f"Spark {running.version} with master {running.sparkContext.master}."


SERVICES: dict[str, Callable[[Settings], str]] = {
    "Elasticsearch": _elasticsearch,
    "COOLR": _coolr,
    "Redis": _redis,
    "Spark": _spark,
}
"""The services, each with the function that checks it."""
