"""Spark for the filters: the session, a dataset's logs, and statements whose results come to pandas.

The session starts when it is first needed (`session`), or in the background (`start`). `run` runs one statement. Logs
that `frontierlab.open_logs` opened become a Spark DataFrame with their ``to_spark()``.
"""

from frontierlab.spark.java import java_version
from frontierlab.spark.sessions import session, start
from frontierlab.spark.statements import run, to_pandas
from frontierlab.spark.types import spark_schema
from frontierlab.util.cancelling import Cancellable, cancellable, check_cancelled

__all__ = [
    "Cancellable",
    "cancellable",
    "check_cancelled",
    "java_version",
    "run",
    "session",
    "spark_schema",
    "start",
    "to_pandas",
]
