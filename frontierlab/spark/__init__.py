"""Spark as the filters use it: the session, a dataset's logs, and the way from a statement to pandas.

The session starts when it is first needed (`session`), or in the background (`start`). `open_logs` opens
a dataset in it, `run` asks one statement, and `cancellable` lets another thread end that.
"""

from frontierlab.spark.cancelling import Cancellable, cancellable, check_cancelled
from frontierlab.spark.java import java_version
from frontierlab.spark.logs import open_logs
from frontierlab.spark.sessions import session, start
from frontierlab.spark.statements import run, to_pandas
from frontierlab.spark.types import spark_schema

__all__ = [
    "Cancellable",
    "cancellable",
    "check_cancelled",
    "java_version",
    "open_logs",
    "run",
    "session",
    "spark_schema",
    "start",
    "to_pandas",
]
