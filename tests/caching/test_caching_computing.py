"""What `frontierlab.caching.computing` gives beside the figures, and how often the rows are read for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

import frontierlab as fl
from frontierlab import Dataset, Settings
from frontierlab.caching import counting
from frontierlab.caching.causes import Worth
from frontierlab.caching.computing import compute
from frontierlab.caching.counting import KEYS, MOST, QUERY, SUMS, Counted, count_queries
from frontierlab.caching.grids import what_if
from frontierlab.caching.queries import FolderTag
from frontierlab.errors import InvalidRequestError


def advice(call: Any) -> str:
    try:
        return str(call())
    except InvalidRequestError as error:
        return str(error)


@pytest.mark.slow
def test_advice_from_the_counts_of_all_folders_is_that_of_what_if(dataset: Dataset, archived: Settings) -> None:
    with compute(dataset, archived, worth=Worth(), progress=False) as computed:
        of_each_cause = computed.frame.drop_duplicates("cause").to_dict("records")
        unknown = computed.frame[computed.frame["tagname"] == "unknown"].head(1).to_dict("records")
        folders = [FolderTag(*(str(row[key]) for key in KEYS)) for row in [*of_each_cause, *unknown]]
        told = [advice(lambda folder=folder: computed.advice(folder)) for folder in folders]
    assert len(folders) >= 4
    alone = [
        advice(lambda folder=folder: what_if(dataset, archived, **folder._asdict()).attrs["advice"])
        for folder in folders
    ]
    assert told == alone


def rows_of(counted: Counted, dataset: Dataset) -> pd.DataFrame:
    folders = counting.count_folders(fl.open_logs(dataset))["folder_hash"]
    columns = ["folder_hash", *QUERY, "asker", "taskid", *SUMS, *MOST]
    rows = counted.read(sorted(map(int, folders))).select(columns).to_pandas()
    return rows.sort_values(columns, ignore_index=True)


def test_slices_with_few_different_queries_are_counted_together(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logs = fl.open_logs(dataset)
    whole = count_queries(logs, tmp_path / "whole", 1)
    monkeypatch.setattr(counting, "PIECE", whole.count() // 2)  # ten slices that hold a fifth of it each
    monkeypatch.setattr(counting, "_SLICE_MB", logs.limits.memory_mb)  # at first, a slice at a time
    sliced = count_queries(logs, tmp_path / "sliced", 10)
    passes = [pq.ParquetFile(path).metadata.num_rows for path in sorted((tmp_path / "sliced").glob("*/*.parquet"))]
    assert 2 <= len(passes) <= 5, "not one of the rows for each slice"
    assert max(passes) <= counting.PIECE
    pd.testing.assert_frame_equal(rows_of(sliced, dataset), rows_of(whole, dataset))
