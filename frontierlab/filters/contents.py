"""The folders and tasks of a dataset, with their numbers of queries, to choose from."""

from __future__ import annotations

import pandas as pd

from frontierlab.catalogue import Catalogue
from frontierlab.engines.engine_choice import Source, as_logs
from frontierlab.engines.own_statements import ANSWERED, ask
from frontierlab.filters.expressions import NODE, QUERIES
from frontierlab.filters.question import Question
from frontierlab.selection import Selection, as_selection

__all__ = ["folders", "tasks"]


def folders(logs: Source, catalogue: Catalogue | None = None, selection: Selection | None = None) -> pd.DataFrame:
    """Count the queries of each folder.

    Parameters
    ----------
    logs
        Logs from `frontierlab.open_logs`, or a dataset, the name of one, or a list of these.
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
    asked, statement = Question(QUERIES, NODE).put_to(as_logs(logs), "folders of a dataset", as_selection(selection))
    found = ask({"logs": asked}, statement.text, statement.args, description=statement.name)
    answered = found.attrs[ANSWERED]
    if catalogue is not None:
        known = catalogue.table.select(["db", "schema", "node"]).to_pandas().drop_duplicates()
        known = known.rename(columns={"node": "nodefullpath"}).astype("string").assign(queries=0)
        found = pd.concat([found, known.astype(found.dtypes)], ignore_index=True)
        found = found.groupby([*NODE], dropna=False)["queries"].sum().reset_index()
    found = found.sort_values([*NODE], ignore_index=True)
    found.attrs[ANSWERED] = answered
    return found


def tasks(logs: Source, selection: Selection | None = None) -> pd.DataFrame:
    """Count the queries of each task.

    Parameters
    ----------
    logs
        Logs from `frontierlab.open_logs`, or a dataset, the name of one, or a list of these.
    selection
        Which queries are counted; by default all.

    Returns
    -------
    pandas.DataFrame
        A row is a task, most queries first: ``taskid``, ``taskname`` (null if the log gives no name) and
        ``queries``. Queries without a task are not counted.
    """
    where, args = as_selection(selection).where("taskid IS NOT NULL")
    text = f"SELECT taskid, max(taskname) AS taskname, count(*) AS queries FROM {{logs}}{where} GROUP BY taskid"
    text += " ORDER BY queries DESC, taskid"
    return ask({"logs": as_logs(logs)}, text, args, description="tasks of a dataset")
