"""The Redis between submitters and workers: it holds the messages and the list of workers.

A message holds only the id of a job. Each message has a ticket, a separate key of the job. If Redis loses its data,
the ticket is lost too, so those who follow the job notice.
"""

from __future__ import annotations

import functools
import os
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import kombu.exceptions
import redis
from celery import Celery
from redis.backoff import NoBackoff
from redis.retry import Retry

from frontierlab import errors
from frontierlab._version import __version__
from frontierlab.errors import JobError
from frontierlab.jobs.addresses import broker_url
from frontierlab.settings import Settings

if TYPE_CHECKING:
    from frontierlab.jobs.records import JobRecord

__all__ = ["Broker", "QUEUE", "READ_PART", "RUN_JOB", "Unreached", "configuration"]

QUEUE = "frontierlab"
"""The queue of all messages."""

RUN_JOB = "frontierlab.run_job"
"""The task that runs a job."""

READ_PART = "frontierlab.read_part"
"""The task that reads one part of an extraction that another worker leads."""

_TICKET = "frontierlab:job:"
_WORKERS = "frontierlab:workers"
_CANCELLED = "cancelled"
_TICKET_SECONDS = 30 * 86_400
_TASK_ID = re.compile(r'"id":\s*"([^"]+)"')
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
            # then the message goes to another worker; running tasks postpone that, see Broker.hold
            "visibility_timeout": settings.job_lost_seconds,
            "unacked_restore_interval": min(5, settings.job_lost_seconds),
            "unacked_restore_throttle": 1,
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
        The broker without credentials: host, port and number. For a Redis started for the data folder: that fact and
        the machine, because its port changes with each start.
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
            raise kind(
                f"The broker {self.address} does not answer ({type(error).__name__}: {error}). Is its Redis running, "
                "and is broker_url right?"
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
            _celery(self._url, self._settings).send_task(task, kwargs=arguments, task_id=task_id, retry=False)
        except (kombu.exceptions.OperationalError, redis.RedisError, OSError) as error:
            raise JobError(f"The broker {self.address} takes no job ({error}).") from error

    def ticket(self, id: str) -> str | None:
        """Return the ticket of a job: ``queued``, or why no worker takes the job; None if there is no ticket."""
        with self._asking() as client:
            found = client.get(_TICKET + id)
        return None if found is None else str(found)

    def note(self, id: str, text: str) -> None:
        """Write a text into the ticket of a job, for those who follow the job."""
        with self._asking() as client:
            client.set(_TICKET + id, text, ex=_TICKET_SECONDS)

    def forget(self, id: str) -> None:
        """Remove the ticket of a job that has ended."""
        with self._asking() as client:
            client.delete(_TICKET + id)

    def cancel(self, id: str) -> None:
        """Tell the runner of a job that the job is cancelled, in case the data folder shows it late."""
        with self._asking() as client:
            client.set(_TICKET + id, _CANCELLED, ex=_TICKET_SECONDS, xx=True)

    def hold(self, delivery: str | None, id: str) -> bool:
        """Keep Redis from redelivering the message of running work; return whether the job is cancelled.

        Parameters
        ----------
        delivery
            The delivery tag under which Celery's transport lists the unacknowledged message.
        id
            The job.
        """
        with self._asking() as client, client.pipeline() as pipe:
            if delivery is not None:
                pipe.zadd("unacked_index", {delivery: time.time()}, xx=True)
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

    def missing(self) -> set[str]:
        """Return the jobs that have a ticket but whose message is neither queued nor with a worker.

        A worker that ends between receiving a message and registering it loses the message.
        """
        with self._asking() as client:
            tickets = [str(key).removeprefix(_TICKET) for key in client.scan_iter(match=f"{_TICKET}*", count=1_000)]
            if not tickets:
                return set()
            messages = [*client.lrange(QUEUE, 0, -1), *client.hvals("unacked")]
        return {*tickets} - {id for message in messages for id in _TASK_ID.findall(str(message))}

    def workers(self) -> list[str]:
        """Return the workers that are present: machine, process and version of each."""
        with self._asking() as client:
            found = client.zrangebyscore(_WORKERS, time.time() - _PRESENT, "+inf")
        return [str(worker) for worker in found]


def _address(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port or 6379}{parts.path.rstrip('/') or '/0'}"


def _this_worker() -> str:
    # all processes of a worker count as one: they share its process group, or that of the shell that it leads
    return f"{socket.gethostname()} {os.getpgid(0)} frontierlab {__version__}"


@functools.lru_cache(maxsize=8)
def _redis(url: str) -> redis.Redis:
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
    if url not in _apps:
        app, values = Celery("frontierlab", set_as_current=False), configuration(settings)
        # workers wait for messages; submitters wait until Redis accepts one
        values["broker_transport_options"]["socket_timeout"] = _PATIENCE
        app.conf.update(values)
        _apps[url] = app
    return _apps[url]
