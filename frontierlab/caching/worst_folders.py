"""The worst folders of a dataset, and for each what would help: few calls of COOLR, whatever the number of folders."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from frontierlab.caching.counting import KEYS
from frontierlab.caching.efficiencies import efficiency
from frontierlab.caching.grids import what_if
from frontierlab.caching.ranking import lost, ranked
from frontierlab.coolr import Source
from frontierlab.engines.engine_choice import logs_of_datasets
from frontierlab.engines.logs import Logs
from frontierlab.errors import Cancelled, FrontierlabError, InvalidRequestError
from frontierlab.filters import cost_per_node
from frontierlab.selection import Selection, as_selection
from frontierlab.settings import Settings
from frontierlab.storage.store import Datasets
from frontierlab.util.cancelling import check_cancelled
from frontierlab.util.progress import ProgressCallback

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["worst"]

_ASKED = (8, 24, 96)
"""For how many folders COOLR is asked at first, then, and at most."""

_FOLDER = ["db", "schema", "nodefullpath"]


def worst(
    dataset: Logs | Datasets,
    settings: Settings | None = None,
    count: int = 3,
    *,
    selection: Selection | None = None,
    coolr: Source | None = None,
    session: SparkSession | None = None,
    allow_incomplete: bool = False,
    progress: bool | ProgressCallback = True,
) -> pd.DataFrame:
    """Name the folders and tags that lose the most database time, wasted or repeated, and what would help each.

    A folder loses at most the database time that it takes. So COOLR is asked for the folders that take most, until no
    other folder can be among the worst: mostly 8, at most 96.

    Parameters
    ----------
    dataset, settings, selection, coolr, session, allow_incomplete, progress
        As for `frontierlab.caching.efficiency`.
    count
        How many to name, at most.

    Returns
    -------
    pandas.DataFrame
        A row is a folder and tag, the largest of wasted and repeated database time first, with the columns of
        `frontierlab.caching.efficiency`, and

        advice : string, what would help: ``attrs["advice"]`` of `frontierlab.caching.what_if`; null if that is not
            known, and ``problem`` or a note says why
        cure, reasons : string, the parts of the advice: what to do and whom to tell, and why; null likewise

        ``attrs`` are those of `frontierlab.caching.efficiency`. ``attrs["notes"]`` also says for how many folders
        COOLR has no payloads, and whether others could be among the worst.

    Raises
    ------
    InvalidRequestError
        `count` is not a positive number, or `selection` is not one.
    DatasetError, ConfigurationError, StatementError, SparkError, Cancelled
        As `frontierlab.caching.efficiency` raises them.
    """
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise InvalidRequestError(f"count={count!r}: give a whole number of folders, 1 or more.")
    settings, selection = settings or Settings(), as_selection(selection)
    logs, _ = logs_of_datasets(dataset, session=session, settings=settings, allow_incomplete=allow_incomplete)
    costs = cost_per_node(logs, selection, rank_by="dbtime_ms", top=None)
    costs = costs[(costs["part"] == "named") & (costs["dbtime_ms"] > 0)].dropna(subset=_FOLDER).reset_index(drop=True)
    more: dict[str, Any] = {"selection": selection, "coolr": coolr, "allow_incomplete": allow_incomplete}
    frames: list[pd.DataFrame] = []
    asked, notes = 0, []
    for most in _ASKED:
        some = costs.iloc[asked:most]
        frames.append(efficiency(logs, settings, some if len(costs) else None, progress=progress, **more))
        asked += len(some)
        found = _ranked(frames)
        silent = frames[-1].attrs["unavailable"] and all(frame["wasted_dbtime"].isna().all() for frame in frames)
        if silent or asked == len(costs) or _least(found, count) >= costs["dbtime_ms"].iloc[asked]:
            break
    else:
        notes.append(f"Only the {asked} folders that take most database time were looked at, of {len(costs):,}.")
    chosen = found.head(count).reset_index(drop=True)
    notes += _problems(frames)
    told: list[Mapping[Any, Any]] = []
    for row in chosen.to_dict("records"):
        check_cancelled()
        if row["problem"]:
            told.append({})
            continue
        names: dict[str, Any] = {name: str(row[name]) for name in KEYS}
        try:
            told.append(what_if(logs, settings, **names, **more).attrs)
        except Cancelled:
            raise
        except FrontierlabError as error:
            told.append({})
            notes.append(f"What would help {' '.join(names.values())} is not known: {error}")
    for column in ("advice", "cure", "reasons"):
        chosen[column] = pd.Series([one.get(column) for one in told], dtype="string")
    chosen.attrs = {**frames[-1].attrs, "notes": [*dict.fromkeys([*frames[0].attrs["notes"], *notes])]}
    return chosen


def _ranked(frames: list[pd.DataFrame]) -> pd.DataFrame:
    """Return the folders and tags that are known to lose database time, the worst first."""
    found = pd.concat(frames, ignore_index=True) if len(frames) > 1 else frames[0]
    return ranked(found[(lost(found) > 0).fillna(False)])


def _least(found: pd.DataFrame, count: int) -> float:
    return float(lost(found).iloc[count - 1]) if len(found) >= count else -1.0


def _problems(frames: list[pd.DataFrame]) -> list[str]:
    """Return a sentence on the folders and tags that have no payload figures."""
    texts = [text for frame in frames for text in frame["problem"].fillna("") if text]
    if not texts:
        return []
    total = sum(map(len, frames))
    return [f"{len(texts):,} of {total:,} folders and tags have no payload figures, the first: {texts[0]}"]
