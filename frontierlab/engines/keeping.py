"""Results of DuckDB's statements that further statements read, in files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from frontierlab.engines import duck
from frontierlab.engines.asking import Answered, answering
from frontierlab.engines.builtin import as_duckdb
from frontierlab.engines.logs import DuckLogs
from frontierlab.engines.tables import Rows, Table
from frontierlab.util.files import scratch_path

__all__ = ["kept"]

_PREFIX = "frontierlab-kept-"


@contextmanager
def kept(
    logs: DuckLogs, statement: str, args: Mapping[str, Any], *, description: str, part: str = ""
) -> Iterator[tuple[list[DuckLogs], Answered]]:
    """Yield the result of one statement as logs that further statements can be put to, and what answered.

    DuckDB writes it to Parquet files in its folder for intermediate results, which are removed at the end; what a
    killed process has left there is removed by the next call.

    Parameters
    ----------
    logs
        The logs that the statement reads as ``{logs}``.
    statement, args, description
        As for `frontierlab.engines.asking.ask`.
    part
        A column by whose values the result is parted: there are logs for each value, without this column. By default,
        all rows are in the same logs.

    Raises
    ------
    StatementError, DatasetError, Cancelled
        As for `frontierlab.engines.asking.ask`; nothing is left on the disk.
    """
    with scratch_path(logs.limits.folder, _PREFIX) as folder:
        folder.mkdir()
        with answering(logs) as told:
            duck.write(
                {"logs": logs.selected},
                as_duckdb(statement),
                folder / ("parts" if part else "all.parquet"),
                args,
                description=description,
                limits=logs.limits,
                part=part,
            )
        parts = sorted((folder / "parts").iterdir()) if part else [folder]
        yield [_opened(logs, sorted(one.glob("*.parquet"))) for one in parts], told


def _opened(logs: DuckLogs, files: list[Path]) -> DuckLogs:
    rows = Rows(tuple(files), pq.read_schema(files[0]))
    return replace(logs, table=Table((rows,), {}), conditions=())
