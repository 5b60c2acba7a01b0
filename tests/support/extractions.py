"""Compare the datasets of extractions with the sample's truth."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from frontierlab import Dataset, Settings, sample
from frontierlab.sample import World
from tests.services.elasticsearch import ElasticsearchServer


def plain(rows: pa.Table) -> pa.Table:
    """Return the rows sorted, with names as text, so that tables with the same rows are equal."""
    schema = [(f.name, f.type.value_type if pa.types.is_dictionary(f.type) else f.type) for f in rows.schema]
    rows = rows.cast(pa.schema(schema))
    return rows.sort_by([(name, "ascending") for name in rows.column_names])


def assert_same_rows(found: pa.Table, expected: pa.Table) -> None:
    found, expected = plain(found), plain(expected)
    assert found.num_rows == expected.num_rows
    different = [name for name in expected.column_names if not found[name].equals(expected[name])]
    assert not different


def assert_is_the_world(dataset: Dataset, world: World) -> None:
    """Check that a complete dataset has the rows and counts of the world."""
    counts = world.counts
    assert dataset.state == "complete"
    assert dataset.counts.read == counts["read"]
    assert dataset.counts.kept == counts["kept"]
    assert dataset.manifest.left_out == counts["left_out"]
    assert dataset.manifest.malformed == counts["set_aside"]
    assert_same_rows(dataset.to_arrow(), world.logs())
    assert dataset.set_aside().equals(dataset.malformed())  # the name of version 0.1.0
    assert dataset.malformed()["reason"].value_counts().to_dict() == counts["set_aside"]


def elastic_settings(server: ElasticsearchServer, data_dir: Path, index: str, **changes: Any) -> Settings:
    """Return settings with the tests' Elasticsearch and the sample's catalogue."""
    fields: Mapping[str, Any] = {
        "data_dir": data_dir,
        "es_address": server.url,
        "es_user": server.user,
        "es_pswd": server.password,
        "es_ca_certs": server.ca_certs,
        "es_index": index,
        "es_retry_seconds": 60,
    }
    return sample.settings(**{**fields, **changes})


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use parts of 1,000 documents, so that a small world has several."""
    monkeypatch.setenv("FRONTIERLAB_PART_DOCUMENTS", "1000")
