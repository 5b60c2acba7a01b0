"""The Spark session: the running one, or a new one sized for a laptop. It can start in the background."""

from __future__ import annotations

import os
import re
import sys
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

import platformdirs

from frontierlab.errors import SparkError
from frontierlab.settings import Settings
from frontierlab.spark.calls import check_java_answers, is_forked, java_has_ended
from frontierlab.spark.java import check_java
from frontierlab.spark.socket import remove_with_java, socket_options
from frontierlab.spark.warmup import warm_up
from frontierlab.util.cancelling import check_cancelled

if TYPE_CHECKING:
    from pyspark import SparkContext
    from pyspark.sql import SparkSession

__all__ = ["START_SECONDS", "session", "start"]

START_SECONDS = 300.0
"""How long `session` waits for Spark to start."""

_LOGGING = Path(__file__).parent / "log4j2.properties"

# By default, Java looks its 300,000 names of classes and methods up in 32,768 lists: a sixth of the time of a start.
# Spark tells Java to ignore options that it does not know.
_LARGE_TABLE = "-XX:+UnlockExperimentalVMOptions -XX:SymbolTableSize=524288"

# pyspark writes these errors, with the Java stack, to standard error; its exceptions contain the same text
_TWICE_SAID = ("DataFrameQueryContextLogger", "SQLQueryContextLogger")

_LOCK = threading.RLock()  # held while the only session starts or changes
_starts: list[Future[SparkSession]] = []  # unfinished starts


def session(settings: Settings | None = None, **options: Any) -> SparkSession:
    """Return the running Spark session, or start a new one sized for a laptop.

    A new session is small (768 MB, the master of `settings`, ``local[2]`` by default), listens on this
    machine only, and works in UTC. It has no web page; ``spark.ui.enabled`` turns the page on, and the page
    listens on every address. With a local master, results come through a Unix socket in a private folder,
    which is removed when Python ends. Starting takes some seconds. With a local master this includes a tiny
    first statement, so that Java has loaded its classes before the user's first statement.

    A session that already runs (for example from the notebook's environment) is used as it is. The filters
    return the same times in any session time zone. If `start` is still starting a session, this call waits
    for it. If the session's Java process has ended (killed, out of memory), a new session starts; logs must
    then be opened again.

    Parameters
    ----------
    settings
        The source of ``spark_master`` and ``spark_options``; by default ``Settings()``.
    **options
        Spark options by name; they override those of the settings:
        ``session(**{"spark.master": "local[4]", "spark.driver.memory": "2g"})``.

    Raises
    ------
    SparkError
        Java is missing or too old; pyspark is not installed; Spark does not start within `START_SECONDS` (300 s);
        the running session does not answer for 120 s; a name is not a Spark option; or an option cannot change
        in the running session, which is left unchanged.
    """
    given = _given(options)
    for begun in tuple(_starts):
        _wait(begun)
    running = _running()
    if running is None:
        return _wait(start(settings, **options))
    with _LOCK:
        return _adapt(running, given)


def start(settings: Settings | None = None, **options: Any) -> Future[SparkSession]:
    """Start the Spark session in the background, and return at once.

    Meanwhile `session`, and every function that needs a session, waits for this start. If a session already
    runs, it is the result. A failed start raises in the result and in every waiting call; the next call
    starts again.

    Parameters
    ----------
    settings, **options
        As for `session`.

    Returns
    -------
    concurrent.futures.Future
        Its ``result(timeout)`` returns the session, or raises as `session` does. It cannot be cancelled.

    Raises
    ------
    SparkError
        A name is not a Spark option; nothing was started.
    """
    given = _given(options)
    begun: Future[SparkSession] = Future()
    begun.set_running_or_notify_cancel()
    _starts.append(begun)

    def work() -> None:
        try:
            found = _session(settings, given)
        except BaseException as error:
            _starts.remove(begun)
            begun.set_exception(error)
        else:
            _starts.remove(begun)
            begun.set_result(found)

    threading.Thread(target=work, name="frontierlab-spark-start", daemon=True).start()
    return begun


def _wait(begun: Future[SparkSession]) -> SparkSession:
    """Wait for a start in another thread, at most `START_SECONDS`; pyspark's own wait for Java is unbounded."""
    deadline = time.monotonic() + START_SECONDS
    while not wait([begun], timeout=0.05).done:
        check_cancelled()
        if time.monotonic() > deadline:
            raise SparkError(
                f"Spark has not started within {START_SECONDS:g} s. What Java wrote to the standard error output may "
                "say why. Ask again to wait longer; restart the notebook's kernel to start anew."
            )
    return begun.result()


def _session(settings: Settings | None, given: Mapping[str, str]) -> SparkSession:
    with _LOCK:
        running = _running()
        if running is not None:
            return _adapt(running, given)
        check_java()
        settings = settings or Settings()
        chosen = {"spark.master": settings.spark_master, **settings.spark_options, **given}
        begun = _start(_defaults(chosen["spark.master"]) | socket_options(chosen) | chosen)
        remove_with_java(begun)
        if chosen["spark.master"].startswith("local"):  # executors on other machines could not read the file
            warm_up(begun)
        return begun


def _given(options: Mapping[str, Any]) -> dict[str, str]:
    strange = [name for name in options if not name.startswith("spark.")]
    if strange:
        raise SparkError(f"{strange[0]!r} is no Spark option: their names begin with spark., as spark.master.")
    return {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in options.items()}


def _running() -> SparkSession | None:
    try:
        from pyspark import SparkContext
        from pyspark.errors import PySparkRuntimeError
        from pyspark.sql import SparkSession
    except ImportError as error:
        raise SparkError('pyspark is not installed: pip install "frontierlab[spark]"') from error
    context = SparkContext._active_spark_context
    if context is not None and not is_forked(context) and java_has_ended(context):
        _forget(context)
    elif context is not None:
        check_java_answers(context, "asking for the session")
    try:
        return SparkSession.active()
    except PySparkRuntimeError:  # no session is active
        return None


def _forget(context: SparkContext) -> None:
    """Make pyspark forget a session whose Java process has ended; pyspark's stop() would call that process."""
    from pyspark import SparkContext
    from pyspark.sql import SparkSession

    context._jsc = None
    context.stop()
    SparkContext._gateway = SparkContext._jvm = None
    SparkSession._instantiatedSession = SparkSession._activeSession = None


def _adapt(running: SparkSession, given: Mapping[str, str]) -> SparkSession:
    """Set options in the running session: all of them, or none if one cannot change."""
    changes = {name: value for name, value in given.items() if running.conf.get(name, None) != value}
    fixed = [name for name in changes if not running.conf.isModifiable(name)]
    if fixed:
        raise SparkError(
            f"A Spark session runs already, and {', '.join(fixed)} cannot change in it. End it with "
            "frontierlab.spark.session().stop(), then ask again; open logs must be opened again too."
        )
    for name, value in changes.items():
        running.conf.set(name, value)
    return running


def _defaults(master: str) -> dict[str, str]:
    options = {
        "spark.app.name": "frontierlab",
        "spark.driver.memory": "768m",
        "spark.log.level": "ERROR",
        "spark.driver.extraJavaOptions": f'"-Dlog4j2.configurationFile={_LOGGING.as_uri()}" {_LARGE_TABLE}',
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.execution.arrow.pyspark.enabled": "true",
        # Java never compiles longer methods: a statement with many sums would be interpreted row by row
        "spark.sql.codegen.hugeMethodLimit": "8000",
        # by default, Spark starts a job to list more than 32 files each time logs are opened
        "spark.sql.sources.parallelPartitionDiscovery.threshold": "10000",
        # by default, each statement has a faster map for its first 65,536 groups: more to compile than it saves
        "spark.sql.codegen.aggregate.map.twolevel.enabled": "false",
        # by default, Spark makes a folder spark-warehouse in the notebook's folder
        "spark.sql.warehouse.dir": str(platformdirs.user_cache_path("frontierlab") / "spark-warehouse"),
    }
    if master.startswith("local"):
        cores = re.match(r"local\[(\d+)", master)
        count = int(cores[1]) if cores else (os.cpu_count() or 1) if master != "local" else 1
        options |= {
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            # results are small: more tasks and adaptive replanning would only cost a third of a filter's time
            "spark.sql.adaptive.enabled": "false",
            "spark.sql.shuffle.partitions": str(count),
        }
    return options


def _start(options: Mapping[str, str]) -> SparkSession:
    from py4j.protocol import Py4JError  # type: ignore[import-untyped]
    from pyspark.errors import PySparkException
    from pyspark.logger import PySparkLogger
    from pyspark.sql import SparkSession

    for name in _TWICE_SAID:
        PySparkLogger.getLogger(name).disabled = True
    if options["spark.master"].startswith("local"):
        # by default, Spark's Python workers are the python3 of PATH, which can be of another version
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder
    for name, value in options.items():
        builder = builder.config(name, value)
    try:
        return builder.getOrCreate()
    except (Py4JError, PySparkException) as error:
        reason = next((line for line in str(error).splitlines() if "Exception:" in line), str(error))
        raise SparkError(
            f"Spark did not start with master {options['spark.master']}: {reason.strip()} "
            "(what Java wrote to the standard error output may say more)."
        ) from error
