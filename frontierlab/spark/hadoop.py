"""The options of Hadoop, which reads and writes files for Spark."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["forget_origins"]


def forget_origins(session: SparkSession) -> None:
    """Let Hadoop forget from which file it has each option.

    For each dataset of a statement, Spark makes a copy of all options for its tasks. Hadoop compresses the origin of
    each of 1,100 options on its own: a tenth of the processor time of a small statement. Only a listing of options
    shows the origins.

    Parameters
    ----------
    session
        A session that has read a file, since Hadoop loads some options then.
    """
    from py4j.protocol import Py4JError  # type: ignore[import-untyped]

    context = session.sparkContext
    options = context._jsc.hadoopConfiguration()
    with suppress(Py4JError):  # of a Hadoop that keeps them elsewhere
        origins = options.getClass().getDeclaredField("updatingResource")
        origins.setAccessible(True)
        # py4j would clear the map that is there one origin after the other, with thousands of calls
        origins.set(options, getattr(context._jvm, "java.util.concurrent.ConcurrentHashMap")())
