"""The Redis between submitters and workers: it holds the messages and the list of workers.

A message holds only the id of a job. Messages can get lost, with a killed worker or with the data of Redis. So each
worker sends jobs again that nobody runs (`frontierlab.jobs.lost_jobs`). A job can have several messages: the first
worker that claims it runs it, and the others drop theirs.

Each job has a ticket, a separate key. It says whether the job is cancelled, or why no worker can find it.
"""

from __future__ import annotations

import functools
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from frontierlab import errors
from frontierlab._version import __version__
from frontierlab.errors import JobError
from frontierlab.jobs.addresses import broker_url
from frontierlab.settings import Settings
from frontierlab.settings.checks import SOCKET_SCHEME

if TYPE_CHECKING:
    from celery import Celery

    from frontierlab.jobs.records import JobRecord

__all__ = ["Broker", "QUEUE", "READ_PART", "REFUSED", "RUN_JOB", "Unreached", "configuration"]

QUEUE = "frontierlab"
"""The queue of all messages."""

RUN_JOB = "frontierlab.run_job"
"""The task that runs a job."""

READ_PART = "frontierlab.read_part"
"""The task that reads one part of an extraction that another worker leads."""

REFUSED = "refused: "
"""How the ticket of a job begins that no worker can find; the reason follows."""

_TICKET = "frontierlab:job:"
_WORKERS = "frontierlab:workers"
_CANCELLED = "cancelled"
_TICKET_SECONDS = 30 * 86_400
_PRESENT = 30  # seconds after its last announcement for which a worker counts as present
_AWAY = (redis.ConnectionError, redis.TimeoutError)
_PATIENCE = 5  # seconds to wait for an answer


def configuration(settings: Settings) -> dict[str, Any]:
    """Return the Celery configuration for workers and submitters."""
    url = broker_url(settings)
    results = settings.result_backend
    return {
        "broker_url": url,
        "result_backend": None if results is None else results.get_secret_value(),
        "result_expires": 86_400,
        "task_ignore_result": results is None,
        "broker_connection_retry_on_startup": True,
        "broker_transport_options": {
            # Redis redelivers a message later than any job can run; lost jobs are sent again by their record
            "visibility_timeout": settings.job_time_limit + 600,
            "socket_timeout": 30,
            "socket_connect_timeout": _PATIENCE,
            "socket_keepalive": True,
        },
        "accept_content": ["json"],
        "task_serializer": "json",
        "result_serializer": "json",
        "result_accept_content": ["json"],
        "task_default_queue": QUEUE,
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "task_time_limit": settings.job_time_limit + 300,  # later than the job's own limit
        "worker_prefetch_multiplier": 1,
        "worker_cancel_long_running_tasks_on_connection_loss": False,  # the work continues, as the job's record says
        "timezone": "UTC",
        "enable_utc": True,
    }


class Unreached(JobError, errors.Unreached):
    """The broker gave no answer."""


class Broker:
    """The Redis that the settings name.

    Parameters
    ----------
    settings
        ``broker_url``, or the data folder for which a Redis was started.

    Raises
    ------
    ConfigurationError
        There is no broker.

    Attributes
    ----------
    address : str
        The broker without credentials: host, port and number, or socket and machine. For a Redis started for the data
        folder: that fact and the machine, because its socket changes with each start.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._url = broker_url(settings)
        self.address = _address(self._url) if settings.broker_url else f"of the data folder on {socket.gethostname()}"

    @contextmanager
    def _asking(self) -> Iterator[redis.Redis]:
        try:
            yield _redis(self._url)
        except redis.RedisError as error:
            away = isinstance(error, _AWAY) and not isinstance(error, redis.AuthenticationError)
            kind = Unreached if away else JobError
            hint = "Is its Redis running, and is broker_url right?"
            if self._settings.broker_url is None:
                hint = "Start one on this machine: make worker, or frontierlab.jobs.start_worker(settings)."
            raise kind(
                f"The broker {self.address} does not answer ({type(error).__name__}: {error}). {hint}"
            ) from error

    def send(self, record: JobRecord) -> None:
        """Send a job to the workers.

        Raises
        ------
        JobError
            The broker cannot be reached. Nothing was sent.
        """
        with self._asking() as client:
            client.set(_TICKET + record.id, "queued", ex=_TICKET_SECONDS)
        try:
            self._publish(RUN_JOB, record.id, id=record.id, version=__version__)
        except JobError:
            self.forget(record.id)
            raise

    def send_parts(self, id: str, dataset: str, numbers: list[int]) -> None:
        """Offer parts of an extraction to other workers."""
        for number in numbers:
            name = f"{id}-part-{number}"
            self._publish(READ_PART, name, id=id, dataset=dataset, number=number, version=__version__)

    def _publish(self, task: str, task_id: str, **arguments: Any) -> None:
        try:
            import kombu.exceptions  # here: who only asks the broker needs no Celery

            _celery(self._url, self._settings).send_task(task, kwargs=arguments, task_id=task_id, retry=False)
        except ImportError as error:
            raise JobError(f'Celery cannot be loaded ({error}): pip install "frontierlab[celery]"') from error
        except (kombu.exceptions.OperationalError, redis.RedisError, OSError) as error:
            raise JobError(f"The broker {self.address} did not accept the message ({error}).") from error

    def ticket(self, id: str) -> str | None:
        """Return the ticket of a job: ``queued``, ``cancelled`` or `REFUSED` with a reason; None if it has none."""
        with self._asking() as client:
            found = client.get(_TICKET + id)
        return None if found is None else str(found)

    def refuse(self, id: str, reason: str) -> None:
        """Write into the ticket of a job why this worker does not run it."""
        with self._asking() as client:
            client.set(_TICKET + id, REFUSED + reason, ex=_TICKET_SECONDS)

    def forget(self, id: str) -> None:
        """Remove the ticket of a job that has ended."""
        with self._asking() as client:
            client.delete(_TICKET + id)

    def cancel(self, id: str) -> None:
        """Tell the runner of a job that the job is cancelled, in case the data folder shows it late."""
        with self._asking() as client:
            client.set(_TICKET + id, _CANCELLED, ex=_TICKET_SECONDS, xx=True)

    def pulse(self, id: str) -> bool:
        """Announce that this worker is present, and return whether the job that it runs is cancelled."""
        with self._asking() as client, client.pipeline() as pipe:
            pipe.zadd(_WORKERS, {_this_worker(): time.time()})
            pipe.get(_TICKET + id)
            return bool(pipe.execute()[-1] == _CANCELLED)

    def announce(self) -> None:
        """Announce that this worker is present."""
        with self._asking() as client:
            client.zremrangebyscore(_WORKERS, "-inf", time.time() - 10 * _PRESENT)
            client.zadd(_WORKERS, {_this_worker(): time.time()})

    def leave(self) -> None:
        """Announce that this worker ends."""
        with self._asking() as client:
            client.zrem(_WORKERS, _this_worker())

    def queued(self) -> int:
        """Return the number of messages that no worker has taken yet."""
        with self._asking() as client:
            return int(client.llen(QUEUE))  # Celery documents that a queue in Redis is a list of its name

    def workers(self) -> list[str]:
        """Return the workers that are present: machine, process and version of each."""
        with self._asking() as client:
            found = client.zrangebyscore(_WORKERS, time.time() - _PRESENT, "+inf")
        return [str(worker) for worker in found]


def _address(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme == SOCKET_SCHEME:
        return f"{parts.path}/{parts.query.removeprefix('virtual_host=') or '0'} on {socket.gethostname()}"
    return f"{parts.hostname}:{parts.port or 6379}{parts.path.rstrip('/') or '/0'}"


def _this_worker() -> str:
    # all processes of a worker count as one: they share its process group, or that of the shell that it leads
    return f"{socket.gethostname()} {os.getpgid(0)} frontierlab {__version__}"


@functools.lru_cache(maxsize=8)
def _redis(url: str) -> redis.Redis:
    if urlsplit(url).scheme == SOCKET_SCHEME:  # Celery's way to write it
        url = url.replace(SOCKET_SCHEME, "unix", 1).replace("?virtual_host=", "?db=")
    return redis.Redis.from_url(
        url,
        decode_responses=True,
        socket_timeout=_PATIENCE,
        socket_connect_timeout=_PATIENCE,
        retry=Retry(NoBackoff(), 1),  # an idle connection may have been closed
    )


_apps: dict[str, Celery] = {}


def _celery(url: str, settings: Settings) -> Celery:
    """Return the Celery application of a broker; one per broker, because it keeps connections."""
    from celery import Celery

    if url not in _apps:
        app, values = Celery("frontierlab", set_as_current=False), configuration(settings)
        # workers wait for messages; submitters wait until Redis accepts one
        values["broker_transport_options"]["socket_timeout"] = _PATIENCE
        app.conf.update(values)
        _apps[url] = app
    return _apps[url]
