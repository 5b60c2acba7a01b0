"""Write drawn queries as rows of a dataset, with fields missing as they are in real logs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from frontierlab.sample.world.incidents.draws import Queries, Scene, failed
from frontierlab.sample.world.incidents.incident import FIRST_TASK, TASK_STEP
from frontierlab.sample.world.incidents.tasks import EXTRA
from frontierlab.schema import MISSING_IOV, arrow_schema

__all__ = ["Lacks", "table"]

JOBS = 4_000
FIRST_JOB = 6_700_000_000
BASES = ["run-lumi", "time"]


@dataclass(frozen=True)
class Lacks:
    """Columns that the whole index lacks."""

    squid: bool = False
    computingsite: bool = False
    initthreads: bool = False


def table(scene: Scene, q: Queries, lacks: Lacks) -> pa.Table:
    """Return queries as log rows, in the order of the queries; the schema is `frontierlab.schema.arrow_schema`."""
    places, names, folder, task = scene.places, scene.places.names, q["folder"], q["task"]
    said = q["said"]
    columns: dict[str, pa.Array] = {"time": pa.array(q["time"]).cast(pa.timestamp("ms", tz="UTC"))}
    # the tasks of incidents are named at all sites: what nobody can see is no truth
    hidden = places.anonymous[q["site"]] & (task < len(scene.tasks) - EXTRA)
    nobody = hidden | _some(said, 0, 40)
    columns["taskid"] = pa.array(FIRST_TASK + TASK_STEP * task, mask=nobody)
    columns["pandaid"] = pa.array(FIRST_JOB + JOBS * task + q["job"], mask=nobody)
    columns["taskname"] = _names(task, scene.tasks.names, nobody | _some(said, 1, 10))
    columns["db"] = _names(places.db[folder], names.db)
    columns["schema"] = _names(places.schema[folder], names.schema)
    of_schema = q["query"] == 2
    columns["node_id"] = pa.array(places.node_id[folder], mask=of_schema | _some(said, 2, 10))
    unknown = of_schema | _some(said, 2, 15)
    columns["nodefullpath"] = _names(places.node[folder], names.nodefullpath, unknown)
    columns["nodetime"] = _names(places.time_base[folder].astype(np.int64), BASES, unknown)
    untold = unknown | (_some(said, 3, 30) & places.tagged[folder])
    tag_id = np.where(places.tagged[folder], q["tag"] + 1, 0)
    columns["tag_id"] = pa.array(tag_id, mask=untold)
    columns["tagname"] = _names(places.tag[folder, q["tag"]], names.tagname, untold)
    columns["since"], columns["until"] = pa.array(q["since"]), pa.array(q["until"])
    columns["queryiov"] = pa.array(q["until"] - q["since"], mask=q["since"] == MISSING_IOV)
    columns |= _outcome(q, said)
    columns["frontierserver"] = _names(q["server"], names.frontierserver)
    columns["sqlhash"] = pa.array(q["hash"])
    columns["initthreads"] = pa.array(q["threads"], mask=_some(said, 6, 30) | lacks.initthreads)
    columns["squid"] = _names(q["squid"], names.squid, _some(said, 7, 10) | lacks.squid)
    columns["computingsite"] = _names(q["site"], names.computingsite, _some(said, 8, 20) | lacks.computingsite)
    schema = arrow_schema()
    return pa.Table.from_arrays([columns[name] for name in schema.names], schema=schema)


def _outcome(q: Queries, said: NDArray[Any]) -> dict[str, pa.Array]:
    cached, bad = q["cached"], failed(q)
    columns = {"cached": pa.array(cached)}
    silent = _some(said, 4, 50) & ~bad
    for name in ("disconn", "procerror", "rejected"):
        columns[name] = pa.array(q[name], mask=silent)
    columns["querytime"] = pa.array(q["dbtime"] + q["overhead"])
    columns["dbtime"] = pa.array(q["dbtime"], mask=cached & _some(said, 5, 50))
    columns["fsize"] = pa.array(q["fsize"], mask=cached & _some(said, 5, 80))
    return columns


def _some(said: NDArray[Any], which: int, thousandths: int) -> NDArray[np.bool_]:
    """Return a mask of about this share of the queries; another ``which`` gives an independent one."""
    return (said >> (6 * which)) % 1_009 < thousandths


def _names(values: NDArray[np.int64], known: list[str], missing: Any = False) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(
        pa.array(values.astype(np.int32), mask=np.broadcast_to(missing, len(values))), known
    )
