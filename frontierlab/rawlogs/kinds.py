"""What a log is, told from its first lines."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal, TypeAlias

import pyarrow as pa

from frontierlab.rawlogs.lines import first_lines
from frontierlab.rawlogs.servlet.heads import first_time
from frontierlab.rawlogs.servlet.recorded import is_recorded
from frontierlab.rawlogs.squid.fast_lines import read_lines

__all__ = ["LogKind", "kind_of_log"]

LogKind: TypeAlias = Literal["servlet", "squid"]
"""What wrote a log: a Frontier servlet, or a Squid."""

_LOOKED_AT = 2_000  # lines; what Tomcat says at its start stands before a servlet's first line
_OF_A_SQUID = 200  # lines; the first one of an access log is one of a Squid, unless it was cut by the rotation


def kind_of_log(file: str | os.PathLike[str]) -> LogKind | None:
    """Tell from the first lines of a log what wrote it.

    Parameters
    ----------
    file
        A file, plain or compressed. At most 2,000 lines at its beginning are read.

    Returns
    -------
    str or None
        ``servlet`` if one of the lines is a Frontier servlet's, printed or recorded: `read_servlet_logs` reads the log.
        ``squid`` if half of the first 200 lines or more are of an access log of a Squid, in any of its formats:
        `read_squid_logs` reads it. None if the file is neither, is empty, or cannot be read.

    Examples
    --------
    >>> fl.rawlogs.kind_of_log("/logs/lpad1/catalina.out.1.gz")  # doctest: +SKIP
    'servlet'
    """
    lines = first_lines(Path(file).expanduser(), _LOOKED_AT)
    if first_time(lines) is not None or is_recorded(lines):
        return "servlet"
    texts = [line.decode("utf-8", "replace") for line in lines[:_OF_A_SQUID] if line.strip()]
    if not texts:
        return None
    tables, _ = read_lines(pa.array(texts, pa.string()))
    return "squid" if 2 * sum(table.num_rows for table in tables) >= len(texts) else None
