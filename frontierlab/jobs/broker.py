"""The Redis between those who submit jobs and the workers: messages, and who is there.

A message holds the id of a job, nothing else. Beside it lies a ticket, a key of the job's own: where the Redis loses
its data both are gone, and whoever follows the job notices.
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

from frontierlab._version import __version__
from frontierlab.errors import JobError
from frontierlab.jobs.addresses import broker_url
from frontierlab.settings import Settings

if TYPE_CHECKING:
    from frontierlab.jobs.records import JobRecord

__all__ = ["Broker", "QUEUE", "READ_PART", "RUN_JOB", "configuration"]

QUEUE = "frontierlab"
"""The queue of all messages."""

RUN_JOB = "frontierlab.run_job"
"""The task that runs a job."""

READ_PART = "frontierlab.read_part"
"""The task that reads a part of an extraction for a worker elsewhere."""

_TICKET = "frontierlab:job:"
_WORKERS = "frontierlab:workers"
_CANCELLED = "cancelled"
_TICKET_SECONDS = 30 * 86_400
_TASK_ID = re.compile(r'"id":\s*"([^"]+)"')
_PRESENT = 30  # seconds for which a worker counts as there after its last word
_PATIENCE = 5  # seconds for an answer


def configuration(settings: Settings) -> dict[str, Any]:
    """Return the configuration of Celery, for workers and for those who submit."""
    url = broker_url(settings)
    results = settings.result_backend
    return {
        "broker_url": url,
        "result_backend": None if results is None else results.get_secret_value(),
        "result_expires": 86_400,
        "task_ignore_result": results is None,
        "broker_connection_retry_on_startup": True,
        "broker_transport_options": {
            # after which a message goes to another worker; running tasks push it on, see Broker.hold
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
        "task_time_limit": settings.job_time_limit + 300,  # the job's own limit comes first
        "worker_prefetch_multiplier": 1,
        "worker_cancel_long_running_tasks_on_connection_loss": False,  # the work goes on, and its record says so
        "timezone": "UTC",
        "enable_utc": True,
    }


class Broker:
    """The Redis that the settings name.

    Parameters
    ----------
    settings
        ``broker_url``, or the data folder for which one was started.

    Raises
    ------
    ConfigurationError
        There is none.

    Attributes
    ----------
    address : str
        What it is, without credentials: host, port and number; or that it was started for the data folder, and on which
        machine, for its port changes with each start.
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
            raise JobError(
                f"The broker {self.address} does not answer ({type(error).__name__}: {error}). Is its Redis running, "
                "and is broker_url right?"
            ) from error

    def send(self, record: JobRecord) -> None:
        """Send a job to the workers.

        Raises
        ------
        JobError
            The broker cannot be reached; nothing was sent.
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
        """Return what is known of a job that was sent: ``queued``, or why no worker takes it; None where nothing."""
        with self._asking() as client:
            found = client.get(_TICKET + id)
        return None if found is None else str(found)

    def note(self, id: str, text: str) -> None:
        """Leave word for those who follow a job."""
        with self._asking() as client:
            client.set(_TICKET + id, text, ex=_TICKET_SECONDS)

    def forget(self, id: str) -> None:
        """Remove the ticket of a job that has ended."""
        with self._asking() as client:
            client.delete(_TICKET + id)

    def cancel(self, id: str) -> None:
        """Tell whoever runs a job that it is cancelled, even where the folder of records is slow to show it."""
        with self._asking() as client:
            client.set(_TICKET + id, _CANCELLED, ex=_TICKET_SECONDS, xx=True)

    def hold(self, delivery: str | None, id: str) -> bool:
        """Keep the message of work that goes on from being given to another; return whether its job is cancelled.

        Parameters
        ----------
        delivery
            The tag under which Celery's transport lists the message as not acknowledged, by the time of its delivery.
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
        """Say that this worker is there."""
        with self._asking() as client:
            client.zremrangebyscore(_WORKERS, "-inf", time.time() - 10 * _PRESENT)
            client.zadd(_WORKERS, {_this_worker(): time.time()})

    def leave(self) -> None:
        """Say that this worker ends."""
        with self._asking() as client:
            client.zrem(_WORKERS, _this_worker())

    def missing(self) -> set[str]:
        """Return the jobs whose message is neither queued nor with a worker, though they have a ticket.

        A worker that ends just after Redis has handed it a message, and before it has said so, takes that with it.
        """
        with self._asking() as client:
            tickets = [str(key).removeprefix(_TICKET) for key in client.scan_iter(match=f"{_TICKET}*", count=1_000)]
            if not tickets:
                return set()
            messages = [*client.lrange(QUEUE, 0, -1), *client.hvals("unacked")]
        return {*tickets} - {id for message in messages for id in _TASK_ID.findall(str(message))}

    def workers(self) -> list[str]:
        """Return the workers that are there: machine, process and version of each."""
        with self._asking() as client:
            found = client.zrangebyscore(_WORKERS, time.time() - _PRESENT, "+inf")
        return [str(worker) for worker in found]


def _address(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port or 6379}{parts.path.rstrip('/') or '/0'}"


def _this_worker() -> str:
    # all processes of a worker are one: children have its process group, or that of the shell which it leads
    return f"{socket.gethostname()} {os.getpgid(0)} frontierlab {__version__}"


@functools.lru_cache(maxsize=8)
def _redis(url: str) -> redis.Redis:
    return redis.Redis.from_url(
        url,
        decode_responses=True,
        socket_timeout=_PATIENCE,
        socket_connect_timeout=_PATIENCE,
        retry=Retry(NoBackoff(), 1),  # a connection that was idle may have been closed
    )


_apps: dict[str, Celery] = {}


def _celery(url: str, settings: Settings) -> Celery:
    """Return the Celery that sends to a broker; one each, for it keeps connections."""
    if url not in _apps:
        app, values = Celery("frontierlab", set_as_current=False), configuration(settings)
        # workers wait for messages; who sends waits for Redis to take one
        values["broker_transport_options"]["socket_timeout"] = _PATIENCE
        app.conf.update(values)
        _apps[url] = app
    return _apps[url]
