"""The Spark session, a dataset's logs as a Spark DataFrame, and the way from Spark to pandas."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import platformdirs
import pyarrow as pa

from frontierlab.datasets import Dataset, open_dataset
from frontierlab.errors import DatasetError, SparkError
from frontierlab.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import DataType, StructType

__all__ = ["java_version", "open_logs", "run", "session", "to_pandas"]

JAVA_NEEDED = 17
"""The oldest Java that Spark 4 runs on."""

_LOGGING = Path(__file__).parent / "log4j2.properties"

_INSTALL_JAVA = (
    f"Install Java {JAVA_NEEDED} or newer (Debian, Ubuntu: apt install openjdk-17-jre-headless; "
    "conda: conda install openjdk) and, where there are several, let JAVA_HOME name its folder."
)


def session(settings: Settings | None = None, **options: Any) -> SparkSession:
    """Return the Spark session: the one that runs, or a new one made for a laptop.

    A new one is small (768 MB, the master of `settings`, ``local[2]`` by default), listens on this
    machine only, has no web page (``spark.ui.enabled`` brings it; it listens on every address), and
    works in UTC. Starting takes some seconds. A session that runs already (from the notebook's
    environment, say) is taken as it is: the filters give the same times in whatever zone it works.

    Parameters
    ----------
    settings
        Where ``spark_master`` and ``spark_options`` come from; by default ``Settings()``.
    **options
        Spark's own options by their names, before those of the settings:
        ``session(**{"spark.master": "local[4]", "spark.driver.memory": "2g"})``.

    Raises
    ------
    SparkError
        Java is missing or too old, pyspark is not installed, Spark does not start, an option has no
        name of Spark's, or it cannot change in the session that runs (which is left unchanged).
    """
    given = {name: _option(value) for name, value in options.items()}
    strange = [name for name in given if not name.startswith("spark.")]
    if strange:
        raise SparkError(f"{strange[0]!r} is no Spark option: their names begin with spark., as spark.master.")
    running = _running()
    if running is not None:
        return _adapt(running, given)
    if "PYSPARK_GATEWAY_PORT" not in os.environ:  # there, spark-submit has started Java already
        version = java_version()
        if version < JAVA_NEEDED:
            raise SparkError(f"Java {version} ({_java()}) is too old for Spark. {_INSTALL_JAVA}")
    settings = settings or Settings()
    chosen = {"spark.master": settings.spark_master, **settings.spark_options, **given}
    return _start(_defaults(chosen["spark.master"]) | chosen)


def _running() -> SparkSession | None:
    try:
        from pyspark.errors import PySparkRuntimeError
        from pyspark.sql import SparkSession
    except ImportError as error:
        raise SparkError('pyspark is not installed: pip install "frontierlab[spark]"') from error
    try:
        return SparkSession.active()
    except PySparkRuntimeError:  # there is none
        return None


def _adapt(running: SparkSession, given: Mapping[str, str]) -> SparkSession:
    """Set options in a session that runs, all or none."""
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
        "spark.driver.extraJavaOptions": f'"-Dlog4j2.configurationFile={_LOGGING.as_uri()}"',
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.execution.arrow.pyspark.enabled": "true",
        # without this, more than 32 files are listed by a Spark job before each first look
        "spark.sql.sources.parallelPartitionDiscovery.threshold": "10000",
        # otherwise a folder spark-warehouse appears wherever the notebook runs
        "spark.sql.warehouse.dir": str(platformdirs.user_cache_path("frontierlab") / "spark-warehouse"),
    }
    if master.startswith("local"):
        cores = re.match(r"local\[(\d+)", master)
        count = int(cores[1]) if cores else (os.cpu_count() or 1) if master != "local" else 1
        options |= {
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.sql.shuffle.partitions": str(2 * count),
        }
    return options


def _start(options: Mapping[str, str]) -> SparkSession:
    from py4j.protocol import Py4JError  # type: ignore[import-untyped]
    from pyspark.errors import PySparkException
    from pyspark.sql import SparkSession

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


def _option(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _java() -> str:
    """Return the java program that Spark's own launcher would take."""
    home = os.environ.get("JAVA_HOME")
    if home:
        program = Path(home) / "bin" / ("java.exe" if os.name == "nt" else "java")
        if not program.is_file():
            raise SparkError(f"JAVA_HOME is {home}, where there is no bin/java. {_INSTALL_JAVA}")
        return str(program)
    found = shutil.which("java")
    if found is None:
        raise SparkError(f"Spark needs Java, and there is no java program here. {_INSTALL_JAVA}")
    return found


def java_version() -> int:
    """Return the major version of the Java that Spark would start here (8, 17, …).

    Raises
    ------
    SparkError
        There is none, ``JAVA_HOME`` names a folder without one, or it does not tell its version.
    """
    program = _java()
    try:
        answer = subprocess.run([program, "-version"], capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SparkError(f"{program} does not run ({error}). {_INSTALL_JAVA}") from error
    version = re.search(r'version "(?:1\.)?(\d+)', answer.stderr + answer.stdout)
    if version is None:
        said = (answer.stderr or answer.stdout).strip().splitlines()[:1]
        raise SparkError(f"{program} -version names no version (it says {said}). {_INSTALL_JAVA}")
    return int(version[1])


_default_session = session


def open_logs(
    dataset: Dataset | str,
    *,
    session: SparkSession | None = None,
    settings: Settings | None = None,
    allow_incomplete: bool = False,
) -> DataFrame:
    """Open a dataset's logs as a Spark DataFrame.

    A row is one query that reached Frontier; the columns are those of `frontierlab.schema`, with
    the dataset's extra columns at the end. Nothing is read before the first question. ``time`` is
    an instant: Spark shows it in the zone of its session, UTC here.

    Parameters
    ----------
    dataset
        A dataset, or the name of one in the data folder of `settings`.
    session
        The Spark session to use; by default `frontierlab.spark.session` of `settings`.
    settings
        By default ``Settings()``.
    allow_incomplete
        Open what is there of an incomplete dataset; figures from it are then too small.

    Raises
    ------
    DatasetError
        There is no such dataset, or it is incomplete.
    SparkError
        Spark does not start here.
    """
    if isinstance(dataset, str):
        dataset = open_dataset(dataset, settings)
    if dataset.state != "complete" and not allow_incomplete:
        raise DatasetError(
            f"The dataset {dataset.name} is incomplete: figures from it would be too small. The same call of "
            "extract() goes on where it stopped; open_logs(…, allow_incomplete=True) opens what is there."
        )
    spark = session or _default_session(settings)
    schema = _spark_schema(dataset.schema)
    files = [_unglob(path) for path in dataset.files()]
    if not files:
        return spark.createDataFrame([], schema)
    return spark.read.schema(schema).parquet(*files)


def _unglob(path: Path) -> str:
    """Write a path so that Hadoop does not read a pattern in it."""
    return re.sub(r"([\[\]{}*?\\])", r"\\\1", str(path))


def _spark_schema(schema: pa.Schema) -> StructType:
    from pyspark.sql.types import StructField, StructType

    return StructType([StructField(field.name, _spark_type(field.type)) for field in schema])


def _spark_type(type_: pa.DataType) -> DataType:
    from pyspark.sql import types

    if pa.types.is_dictionary(type_):
        return _spark_type(type_.value_type)
    if pa.types.is_list(type_):
        return types.ArrayType(_spark_type(type_.value_type))
    if pa.types.is_timestamp(type_):
        return types.TimestampType() if type_.tz else types.TimestampNTZType()
    known = {
        pa.bool_(): types.BooleanType(),
        pa.int32(): types.IntegerType(),
        pa.int64(): types.LongType(),
        pa.float64(): types.DoubleType(),
        pa.string(): types.StringType(),
        pa.date32(): types.DateType(),
    }
    if type_ not in known:
        raise DatasetError(f"A column of type {type_} cannot be read with Spark. Known: {', '.join(map(str, known))}.")
    return known[type_]


def run(
    logs: DataFrame, sql: str, args: Mapping[str, Any] | None = None, *, description: str | None = None
) -> pd.DataFrame:
    """Run one Spark SQL statement over logs and return its answer.

    Parameters
    ----------
    logs
        What ``{logs}`` in the statement stands for.
    sql
        The statement: ``SELECT count(*) AS queries FROM {logs} WHERE db = :db``.
    args
        The values of its named parameters (``:db``). A time must have a zone.
    description
        What Spark's own pages and monitors call the jobs; by default the statement.

    Returns
    -------
    pandas.DataFrame
        As `to_pandas` makes it.
    """
    with _described(logs.sparkSession, description or sql):
        return to_pandas(logs.sparkSession.sql(sql, args=dict(args or {}), logs=logs))


@contextmanager
def _described(spark: SparkSession, description: str) -> Iterator[None]:
    context, name = spark.sparkContext, "spark.job.description"
    before = context.getLocalProperty(name)
    context.setLocalProperty(name, description)  # of this thread alone
    try:
        yield
    finally:
        context.setLocalProperty(name, before)  # type: ignore[arg-type]  # None takes it away


def to_pandas(answer: DataFrame) -> pd.DataFrame:
    """Run a Spark DataFrame and return it with types that keep every value.

    Integers are ``Int64``, flags ``boolean``, texts ``string`` and fractions ``Float64``, all of
    which can be null; times are UTC in whole milliseconds, whatever the zone of the session.
    (Spark's own ``toPandas`` gives times without a zone, and makes fractions of integers that can be null.)
    """
    table = answer.toArrow()
    instant = pa.timestamp("ms", tz="UTC")
    schema = pa.schema(
        [
            field.with_type(instant) if pa.types.is_timestamp(field.type) and field.type.tz else field
            for field in table.schema
        ]
    )
    frame: pd.DataFrame = table.cast(schema, safe=False).to_pandas(types_mapper=_pandas_type)
    return frame


def _pandas_type(type_: pa.DataType) -> Any:
    if pa.types.is_integer(type_):
        return pd.Int64Dtype()
    if pa.types.is_floating(type_):
        return pd.Float64Dtype()
    if pa.types.is_boolean(type_):
        return pd.BooleanDtype()
    return pd.StringDtype() if pa.types.is_string(type_) or pa.types.is_large_string(type_) else None
