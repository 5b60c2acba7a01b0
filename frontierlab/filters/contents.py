"""The folders and tasks of a dataset, with their numbers of queries, to choose from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from frontierlab import spark
from frontierlab.catalogue import Catalogue
from frontierlab.filters.expressions import NODE, QUERIES
from frontierlab.filters.question import Question
from frontierlab.selection import Selection

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["folders", "tasks"]


def folders(logs: DataFrame, catalogue: Catalogue | None = None, selection: Selection | None = None) -> pd.DataFrame:
    """Count the queries of each folder.

    Parameters
    ----------
    logs
        Logs from `frontierlab.open_logs`.
    catalogue
        Adds its folders, with 0 queries if the dataset has none.
    selection
        Which queries are counted; by default all.

    Returns
    -------
    pandas.DataFrame
        A row is a folder, sorted by name: ``db``, ``schema``, ``nodefullpath`` (null if the log names no
        folder) and ``queries``.
    """
    asked, statement = Question(QUERIES, NODE).put_to(logs, "folders of a dataset", selection or Selection())
    found = spark.run(asked, statement.text, statement.args, description=statement.name)
    if catalogue is not None:
        known = catalogue.table.select(["db", "schema", "node"]).to_pandas().drop_duplicates()
        known = known.rename(columns={"node": "nodefullpath"}).astype("string").assign(queries=0)
        found = pd.concat([found, known.astype(found.dtypes)], ignore_index=True)
        found = found.groupby([*NODE], dropna=False)["queries"].sum().reset_index()
    return found.sort_values([*NODE], ignore_index=True)


def tasks(logs: DataFrame, selection: Selection | None = None) -> pd.DataFrame:
    """Count the queries of each task.

    Parameters
    ----------
    logs
        Logs from `frontierlab.open_logs`.
    selection
        Which queries are counted; by default all.

    Returns
    -------
    pandas.DataFrame
        A row is a task, most queries first: ``taskid``, ``taskname`` (null if the log gives no name) and
        ``queries``. Queries without a task are not counted.
    """
    where, args = (selection or Selection()).where("taskid IS NOT NULL")
    text = f"SELECT taskid, max(taskname) AS taskname, count(*) AS queries FROM {{logs}}{where} GROUP BY taskid"
    return spark.run(logs, f"{text} ORDER BY queries DESC, taskid", args, description="tasks of a dataset")
