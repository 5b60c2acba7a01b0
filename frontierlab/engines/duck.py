"""Statements that DuckDB runs on the Parquet files of datasets, with the results that Spark gives."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait
from contextlib import suppress
from pathlib import Path
from textwrap import shorten
from typing import Any, TypeVar

import duckdb
import pandas as pd
import pyarrow as pa

from frontierlab.engines.fetched import fetched
from frontierlab.engines.instance import Limits, connection, spill_space
from frontierlab.engines.tables import Table
from frontierlab.errors import InvalidRequestError, StatementError
from frontierlab.util.cancelling import check_cancelled
from frontierlab.util.frames import as_frame

__all__ = ["run", "run_own", "write"]

Result = TypeVar("Result")

ENDING_SECONDS = 5.0
"""How long a cancelled caller waits for DuckDB to end the statement."""

_LOOK = 0.05  # seconds between two checks for a cancellation
_ROW_GROUP = 122_880  # rows; DuckDB's own default
_NOT_UNDERSTOOD = (duckdb.ParserException, duckdb.BinderException, duckdb.CatalogException, duckdb.SyntaxException)
_OWN_NAME = (  # what DuckDB says of a missing column, because translate gives each column its name as an alias
    re.compile(r'Column "(.*)" referenced that exists in the SELECT clause'),
    re.compile(r'Alias with name ""(.*)"" exists, but aliases cannot be used'),  # in GROUP BY
)
_TYPES = re.compile(
    r"(BIGINT|INTEGER|SMALLINT|TINYINT|HUGEINT|DOUBLE|BOOLEAN|VARCHAR|DATE|TIMESTAMP WITH TIME ZONE|\"NULL\")(\[\])*"
)


def run(
    tables: Mapping[str, Table],
    statement: str,
    args: Mapping[str, Any] | None = None,
    *,
    description: str | None = None,
    limits: Limits | None = None,
) -> pd.DataFrame:
    """Run one statement of a user and return its result, with the types of `frontierlab.spark.to_pandas`.

    It can be called from several threads at once. The statement has no time limit. Its types are looked at before it
    runs, for which DuckDB plans it once more.

    Parameters
    ----------
    tables
        The tables of the statement, by name.
    statement
        DuckDB's SQL, from `frontierlab.engines.translate.translate`.
    args
        The values of its named parameters. A time must have a zone.
    description
        The name of the statement in error messages; by default the statement itself.
    limits
        The limits of memory, threads and disk; by default ``Limits()``.

    Raises
    ------
    InvalidRequestError
        DuckDB does not understand the statement, or a column of the result has a type that Spark would return
        otherwise. Nothing was run.
    StatementError
        The statement failed: a division by zero, an overflow, a missing file, too little memory and disk.
    Cancelled
        A `frontierlab.cancellable` block around the call was cancelled. Raised when DuckDB has stopped, mostly
        within 0.1 s, or after `ENDING_SECONDS`. KeyboardInterrupt is raised in the same way.
    """

    def to_frame(one: duckdb.DuckDBPyConnection) -> pd.DataFrame:
        return as_frame(_to_arrow(_relation(one, tables, statement, args)))

    return _asked(tables, description or statement, limits, to_frame)


def run_own(
    tables: Mapping[str, Table],
    statement: str,
    args: Mapping[str, Any] | None = None,
    *,
    description: str | None = None,
    limits: Limits | None = None,
) -> pd.DataFrame:
    """Run one of frontierlab's own statements and return its result, as `run` but planned once.

    The parameters and the errors are those of `run`.

    Parameters
    ----------
    statement
        DuckDB's SQL, from `frontierlab.engines.builtin.as_duckdb`.
    """

    def to_frame(one: duckdb.DuckDBPyConnection) -> pd.DataFrame:
        _set_variables(one, tables)
        one.execute(_with_tables(tables, statement), dict(args or {}))
        return fetched(one)

    return _asked(tables, description or statement, limits, to_frame)


def write(
    tables: Mapping[str, Table],
    statement: str,
    target: Path,
    args: Mapping[str, Any] | None = None,
    *,
    description: str | None = None,
    limits: Limits | None = None,
    part: str = "",
) -> None:
    """Run one statement and write its result to a Parquet file, without holding it in memory.

    The other parameters and the errors are those of `run`. If the call raises, `target` can hold part of a file.

    Parameters
    ----------
    target
        The file.
    part
        A column by whose values the rows are parted: `target` is then a folder with a folder of files for each value,
        without this column.
    """

    def to_file(one: duckdb.DuckDBPyConnection) -> None:
        answer = _relation(one, tables, statement, args)
        by = [part] if part else None
        answer.write_parquet(str(target), compression="zstd", row_group_size=_ROW_GROUP, partition_by=by)

    _asked(tables, description or statement, limits, to_file)


def _relation(
    one: duckdb.DuckDBPyConnection, tables: Mapping[str, Table], statement: str, args: Mapping[str, Any] | None
) -> duckdb.DuckDBPyRelation:
    """Return the answer of a statement, which is planned and does not run yet."""
    _set_variables(one, tables)
    for name, table in tables.items():
        one.execute(f'CREATE TEMP VIEW "{name}" AS {table.sql()}')
    answer = one.sql(statement, params=dict(args or {}))
    _check_types(answer)
    return answer


def _set_variables(one: duckdb.DuckDBPyConnection, tables: Mapping[str, Table]) -> None:
    for table in tables.values():
        for variable, value in table.args.items():
            one.execute(f"SET VARIABLE {variable} = $value", {"value": value})


def _with_tables(tables: Mapping[str, Table], statement: str) -> str:
    """Return an own statement with its tables in a WITH clause: a view would be planned on its own."""
    if not tables:
        return statement
    parts = [f'"{name}" AS NOT MATERIALIZED ({table.sql(statement)})' for name, table in tables.items()]
    rest = statement.removeprefix("WITH ")
    return f"WITH {', '.join(parts)}{' ' if rest == statement else ', '}{rest}"


def _to_arrow(answer: duckdb.DuckDBPyRelation) -> pa.Table:
    table = answer.to_arrow_table()
    fields = [f.with_type(pa.int64()) if pa.types.is_decimal(f.type) else f for f in table.schema]
    return table.cast(pa.schema(fields))  # a HUGEINT comes as a decimal without fraction


def _asked(
    tables: Mapping[str, Table],
    description: str,
    limits: Limits | None,
    work: Callable[[duckdb.DuckDBPyConnection], Result],
) -> Result:
    check_cancelled()
    limits = limits or Limits()
    what = shorten(description, 80, placeholder=" …")
    try:
        one = connection(limits)
    except (OSError, duckdb.Error) as error:
        raise StatementError(f"DuckDB does not start with {limits}: {_told(error)}") from error

    try:
        return _interruptible(one, work)
    except _NOT_UNDERSTOOD as error:
        columns = "; ".join(f"{name}: {', '.join(table.columns)}" for name, table in tables.items())
        raise InvalidRequestError(
            f"DuckDB does not understand the statement: {_told(error)} Columns of {columns}."
        ) from error
    except duckdb.OutOfMemoryException as error:
        raise StatementError(_too_large(what, limits)) from error
    except pa.ArrowInvalid as error:
        raise StatementError(f"DuckDB failed at {what}: a whole number of the result has over 64 bits.") from error
    except duckdb.Error as error:
        raise StatementError(f"DuckDB failed at {what}: {_told(error)}") from error


def _interruptible(one: duckdb.DuckDBPyConnection, work: Callable[[duckdb.DuckDBPyConnection], Result]) -> Result:
    """Run the work in another thread, so that this one can stop waiting; close the connection afterwards."""
    done: Future[Result] = Future()

    def run_and_close() -> None:
        try:
            result = work(one)
        except BaseException as error:
            one.close()
            done.set_exception(error)
        else:
            one.close()
            done.set_result(result)

    thread = threading.Thread(target=run_and_close, name="frontierlab-duckdb", daemon=True)
    try:
        thread.start()  # Ctrl-C can come before it returns, when the statement runs already
        while not wait([done], timeout=_LOOK).done:
            check_cancelled()
    except BaseException as left:  # Ctrl-C too
        if not _end(one, done):
            left.add_note(f"DuckDB has not ended its work within {ENDING_SECONDS:g} s; it is still being told to.")
        raise
    check_cancelled()
    return done.result()


def _end(one: duckdb.DuckDBPyConnection, done: Future[Any]) -> bool:
    """Tell DuckDB to stop, and return whether it stopped within `ENDING_SECONDS`."""

    def tell() -> None:
        with suppress(duckdb.Error):  # the connection was closed
            while not wait([done], timeout=_LOOK).done:
                one.interrupt()  # repeated: between two calls there is nothing to interrupt

    threading.Thread(target=tell, name="frontierlab-duckdb-end", daemon=True).start()
    return bool(wait([done], timeout=ENDING_SECONDS).done)


def _check_types(answer: duckdb.DuckDBPyRelation) -> None:
    for name, type_ in zip(answer.columns, map(str, answer.types), strict=True):
        if not _TYPES.fullmatch(type_):
            raise InvalidRequestError(
                f"The column {name} would be {type_}, for which Spark has another type. Write its expression otherwise "
                '(a number with a fraction as 1.5D), or open the logs with engine="spark".'
            )


def _too_large(what: str, limits: Limits) -> str:
    return (
        f"{what} needs more memory and disk than it can have: {limits.memory_mb} MB of memory, and "
        f"{spill_space(limits) / 1e9:.1f} GB in {limits.folder} (1 GiB of its disk stays free). Give DuckDB more "
        "memory or a folder on a larger disk, select fewer queries, or group by fewer columns."
    )


def _told(error: Exception) -> str:
    """Return the first line of DuckDB's message, without the name of the kind of error."""
    line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    for known in _OWN_NAME:
        if (found := known.search(line)) is not None:
            return f"There is no column {found[1]}."
    return re.sub(r"^[A-Z][\w -]* Error: ", "", line).rstrip(".!") + "."
