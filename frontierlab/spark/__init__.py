"""Spark for the filters: the session, a dataset's logs, and statements whose results come to pandas.

The session starts when it is first needed (`session`), or in the background (`start`). `open_logs` opens
a dataset in the session, `run` runs one statement, and `cancellable` lets another thread cancel a statement.
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
