"""What the tests of caching share: the sample as a dataset, and what Spark counts of it, each made once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd
import pytest

import frontierlab as fl
from frontierlab import Dataset, Selection, Settings
from frontierlab.caching.counting import Asker, Counted, count_folders, count_queries, name_askers
from frontierlab.caching.explanation import Explanation, explain
from frontierlab.caching.queries import FolderTag, different_queries
from tests.support.world import sample_truth


@pytest.fixture(scope="session")
def archived(sample_settings: Settings) -> Settings:
    """Settings with the sample's archive of COOLR."""
    return sample_settings


@pytest.fixture(scope="session")
def dataset(sample_settings: Settings) -> Dataset:
    """The sample as a dataset."""
    return fl.datasets.open_dataset("sample", sample_settings)


@pytest.fixture
def truth() -> pd.DataFrame:
    """The caching figures of the sample by brute force."""
    return sample_truth()


@pytest.fixture
def figures(sample_figures: pd.DataFrame) -> pd.DataFrame:
    """The caching figures of the sample by ``efficiency()``."""
    return sample_figures.copy()


@pytest.fixture(scope="session")
def _counts(
    dataset: Dataset, tmp_path_factory: pytest.TempPathFactory
) -> tuple[pd.DataFrame, Counted, dict[int, Asker]]:
    logs = fl.open_logs(dataset)
    queries = count_queries(logs, tmp_path_factory.mktemp("counted") / "queries", 1)
    return count_folders(logs), queries, name_askers(logs)


@pytest.fixture
def counted(_counts: tuple[pd.DataFrame, Counted, dict[int, Asker]], monkeypatch: pytest.MonkeyPatch) -> None:
    """``efficiency()`` takes what Spark has counted of the sample already."""
    monkeypatch.setattr("frontierlab.caching.computing.count_folders", lambda *_: _counts[0].copy())
    monkeypatch.setattr("frontierlab.caching.computing.count_queries", lambda *_: _counts[1])
    monkeypatch.setattr("frontierlab.caching.computing.name_askers", lambda *_: _counts[2])


@pytest.fixture(scope="session")
def _queries() -> dict[FolderTag, pd.DataFrame]:
    return {}


@pytest.fixture
def queried(_queries: dict[FolderTag, pd.DataFrame], monkeypatch: pytest.MonkeyPatch) -> None:
    """Spark is asked once for the different queries of each folder and tag of the sample."""

    def once(logs: Any, folder: FolderTag, selection: Selection | None) -> pd.DataFrame:
        assert selection in (None, Selection())
        if folder not in _queries:
            _queries[folder] = different_queries(logs, folder)
        return _queries[folder].copy()

    monkeypatch.setattr("frontierlab.caching.open_folder.different_queries", once)


@pytest.fixture(scope="session")
def explained(dataset: Dataset, archived: Settings) -> Callable[..., Explanation]:
    """Return explanations of folders and tags of the sample; each is made once."""
    known: dict[FolderTag, Explanation] = {}

    def once(where: Mapping[str, str]) -> Explanation:
        folder = FolderTag(**where)
        if folder not in known:
            known[folder] = explain(dataset, archived, **where)
        return known[folder]

    return once
