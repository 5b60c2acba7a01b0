"""Calls of Spark that always end: with a result, an error, a cancellation, or because Java has ended.

The call runs in its own thread while the caller waits. So the caller can stop waiting: by `Cancellable.cancel` from
another thread, or by Ctrl-C. Spark is then told to cancel its jobs, repeatedly, until they have ended.
"""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from textwrap import shorten
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakKeyDictionary, WeakSet

from frontierlab.errors import SparkError, StatementError
from frontierlab.util.cancelling import check_cancelled
from frontierlab.util.leavable_call import LeavableCall

if TYPE_CHECKING:
    from pyspark import SparkContext
    from pyspark.sql import SparkSession

__all__ = [
    "ENDING_SECONDS",
    "SILENT_SECONDS",
    "check_java_answers",
    "in_spark",
    "is_forked",
    "java_has_ended",
    "said_by_spark",
]

Result = TypeVar("Result")

ENDING_SECONDS = 5.0
"""How long a cancelled caller waits for Spark to end its jobs."""

SILENT_SECONDS = 120.0
"""How long a caller waits for Java to answer a trivial request."""

_LOOK = 0.05  # seconds between two checks for a cancellation
_PULSE = 10.0  # seconds between two trivial requests to Java
_HEARD: WeakKeyDictionary[SparkContext, float] = WeakKeyDictionary()  # when Java last answered or failed
_FORKED: WeakSet[SparkContext] = WeakSet()  # contexts of the parent process that forked this one
_NEXT_STEP = "frontierlab.spark.session() starts a new one; open logs must be opened again too."


def in_spark(session: SparkSession, work: Callable[[], Result], what: str, *, description: str | None = None) -> Result:
    """Run calls of pyspark in another thread, and wait for their result.

    The work itself has no time limit: a statement may take hours. Java must answer trivial requests meanwhile.

    Parameters
    ----------
    session
        The Spark session.
    work
        A function that calls pyspark. It runs in another thread, with the caller's job group, pool, tags and
        description. If the caller is cancelled, the thread is left behind.
    what
        The name of the work in error messages.
    description
        The name of its jobs in Spark's web page and monitors.

    Raises
    ------
    Cancelled
        A `cancellable` block around the call was cancelled. Raised when Spark has ended its jobs, or after
        `ENDING_SECONDS`. KeyboardInterrupt is raised in the same way.
    StatementError
        Spark failed.
    SparkError
        Its Java process has ended (raised within seconds), or Java has not answered a trivial request for
        `SILENT_SECONDS`.
    """
    from py4j.protocol import Py4JError  # type: ignore[import-untyped]
    from pyspark import InheritableThread
    from pyspark.errors import PySparkException

    check_cancelled()
    context, tag = session.sparkContext, f"frontierlab-{secrets.token_hex(8)}"
    if context._jsc is None:
        raise SparkError(f"This Spark session was stopped. {_NEXT_STEP}")
    check_java_answers(context, what)

    def tagged() -> Result:
        context.addJobTag(tag)  # tag and description belong to this thread
        if description is not None:
            context.setLocalProperty("spark.job.description", description)
        return work()

    call = LeavableCall(tagged)

    def leave(error: BaseException) -> None:
        if thread.is_alive() and not _end(call, context, tag):
            error.add_note(f"Spark has not ended its work within {ENDING_SECONDS:g} s; it is still being told to.")

    try:
        # this thread inherits the caller's job group, scheduler pool and tags
        thread = InheritableThread(call.run, session=session, name=tag, daemon=True)
        try:
            thread.start()
        except BaseException as error:  # Ctrl-C, when the work runs already
            leave(error)
            raise
        call.wait(_watch(call, thread, context, what), leave, every=_LOOK)
        check_cancelled()
        result = call.result()
        _HEARD[context] = time.monotonic()
        return result
    except (PySparkException, Py4JError, OSError, EOFError) as error:
        raise _as_spark_error(error, context, what) from error


def check_java_answers(context: SparkContext, what: str) -> None:
    """Wait for Java to answer a trivial request.

    Without this check, later calls in the caller's thread would wait forever for a suspended Java process.

    Raises
    ------
    Cancelled
        A `cancellable` block around the call was cancelled.
    SparkError
        Java has not answered for `SILENT_SECONDS`, or the session belongs to the parent of this forked process.
    """
    _require_own(context)
    pulse = _Pulse(context)
    while pulse.silent(what, patience=_LOOK):
        check_cancelled()


def _note_fork() -> None:
    """Mark the session in a forked process: two processes on one connection to Java would mix up their answers."""
    pyspark = sys.modules.get("pyspark")
    context = None if pyspark is None else pyspark.SparkContext._active_spark_context
    if context is not None:
        _FORKED.add(context)
        context._gateway._gateway_client.is_connected = False  # garbage collection here must not release Java's objects


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_fork)


def is_forked(context: SparkContext) -> bool:
    """Return whether a session belongs to the parent of this forked process."""
    return context in _FORKED


def _require_own(context: SparkContext) -> None:
    if is_forked(context):
        raise SparkError(
            "This process was forked from the one that started Spark, and cannot use that session. Begin it with "
            'multiprocessing.get_context("spawn"), or before Spark starts; or use threads.'
        )


def _watch(call: LeavableCall[Any], thread: threading.Thread, context: SparkContext, what: str) -> Callable[[], None]:
    """Return a function that raises if the wait for a call must end: it was cancelled, or Java is gone or silent."""
    pulse: _Pulse | None = None
    begun = time.monotonic()

    def look() -> None:
        nonlocal pulse
        check_cancelled()
        if not thread.is_alive() and not call.has_ended():  # Java ended before the work started
            raise _gone(what)
        if pulse is not None and pulse.silent(what):
            return
        if time.monotonic() - max(begun, _HEARD.get(context, begun)) > _PULSE:
            pulse = _Pulse(context)

    return look


class _Pulse:
    """A trivial request to Java in its own thread, because a suspended process neither answers nor fails."""

    def __init__(self, context: SparkContext) -> None:
        self._context = context
        self._answered = threading.Event()
        self._asked = time.monotonic()
        threading.Thread(target=self._ask, name="frontierlab-pulse", daemon=True).start()

    def silent(self, what: str, patience: float = 0) -> bool:
        """Return whether Java has not answered after `patience` seconds; raise after `SILENT_SECONDS`."""
        if self._answered.wait(patience):
            return False
        if time.monotonic() - self._asked > SILENT_SECONDS:
            raise SparkError(
                f"Spark does not answer: its Java process has been silent for {SILENT_SECONDS:g} s during "
                f"{_shortened(what)}. It may be stopped, or out of memory. End it, or restart the notebook's kernel."
            )
        return True

    def _ask(self) -> None:
        with suppress(Exception):  # the work meets the same error and reports it
            _ = self._context.version
        _HEARD[self._context] = time.monotonic()
        self._answered.set()


def _end(call: LeavableCall[Any], context: SparkContext, tag: str) -> bool:
    """Tell Spark to cancel the work, and return whether the work ended within `ENDING_SECONDS`."""

    def tell() -> None:
        pause = _LOOK
        with suppress(Exception):  # Java has ended
            while not call.has_ended(pause):
                context.cancelJobsWithTag(tag)  # repeated: between two jobs of a statement no job is active
                pause = min(2 * pause, 1)

    threading.Thread(target=tell, name=f"{tag}-end", daemon=True).start()
    return call.has_ended(ENDING_SECONDS)


def java_has_ended(context: SparkContext, patience: float = 0, otherwise: bool = False) -> bool:
    """Return whether a session's Java process has ended; return `otherwise` if pyspark did not start that process."""
    process = getattr(context._gateway, "proc", None)
    if process is None:
        return otherwise
    with suppress(subprocess.TimeoutExpired):
        process.wait(patience)
    return process.poll() is not None


def _as_spark_error(error: Exception, context: SparkContext, what: str) -> SparkError:
    from py4j.protocol import Py4JNetworkError

    if java_has_ended(context, patience=1.0, otherwise=isinstance(error, Py4JNetworkError | ConnectionError)):
        return _gone(what)
    return StatementError(f"Spark failed at {_shortened(what)}: {said_by_spark(error)}")


def _gone(what: str) -> SparkError:
    return SparkError(
        f"Spark is gone: its Java process has ended, seen at {_shortened(what)}. It was killed, or ran out of memory; "
        f"what it wrote to the standard error output may say more. {_NEXT_STEP}"
    )


def _shortened(what: str) -> str:
    return shorten(what, 80, placeholder=" …")


def said_by_spark(error: Exception) -> str:
    """Return the message of a Spark error without error codes, query plan and Java stack."""
    lines = [line.strip(": \t") for line in str(error).splitlines()]
    told = [line for line in lines if line and not re.match(r"An error occurred|at |.*thrown in awaitResult", line)]
    line = told[0].removeprefix("Caused by: ") if told else type(error).__name__
    place = re.search(r"line \d+,? pos \d+", line)
    line = re.sub(r"^(\w+\.)+\w+: ", "", line)  # the Java class
    line = re.sub(r"\s*SQLSTATE: \w+.*$", "", re.sub(r"^\[[\w.]+\] ", "", line)).rstrip(".")
    return f"{line} ({place[0]})." if place else f"{line}."
