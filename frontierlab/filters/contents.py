"""What can be chosen in a dataset: its folders and its tasks, with the numbers of their queries."""

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
        What `frontierlab.open_logs` opened.
    catalogue
        Its folders are there too, with 0 where the dataset has no query of them.
    selection
        Which queries are counted; by default all.

    Returns
    -------
    pandas.DataFrame
        A row is a folder, by name: ``db``, ``schema``, ``nodefullpath`` (null where the log names none) and
        ``queries``.
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
        What `frontierlab.open_logs` opened.
    selection
        Which queries are counted; by default all.

    Returns
    -------
    pandas.DataFrame
        A row is a task, the one with the most queries first: ``taskid``, ``taskname`` (null where the log names
        none) and ``queries``. Queries without a task are in none.
    """
    where, args = (selection or Selection()).where("taskid IS NOT NULL")
    text = f"SELECT taskid, max(taskname) AS taskname, count(*) AS queries FROM {{logs}}{where} GROUP BY taskid"
    return spark.run(logs, f"{text} ORDER BY queries DESC, taskid", args, description="tasks of a dataset")
