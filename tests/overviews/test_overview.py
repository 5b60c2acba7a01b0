"""A look at a real Elasticsearch: every number equals that of the rows that an extraction gives."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

import frontierlab as fl
from frontierlab import Selection
from frontierlab.sample import World
from tests.overviews.truth import assert_true, plain, rows_of
from tests.support.examples import examples
from tests.support.extractions import elastic_settings
from tests.support.reference_filters import moment

pytestmark = pytest.mark.elasticsearch
WORLD = World(3_000, seed=5, malformed=0, indexable=True)
START, HOUR = 1_790_812_800_000, 3_600_000
DAY = {"since": "2026-10-01", "until": "2026-10-02"}


@pytest.fixture(scope="module")
def rows():
    return rows_of(WORLD.logs())


@pytest.fixture(scope="module")
def filled(es):
    """An index with the documents of `WORLD`, in two shards."""
    fl.sample.load(es, WORLD, "test-overview")
    yield "test-overview"
    es.indices.delete(index="test-overview")


@pytest.fixture(scope="module")
def settings(elasticsearch_server, tmp_path_factory, filled):
    return elastic_settings(elasticsearch_server, tmp_path_factory.mktemp("data"), filled)


def look(settings, **options):
    return fl.overview(settings, **{"progress": False, **DAY, **options})


def test_a_day_is_that_of_the_world(settings, rows):
    found = look(settings)
    assert_true(found, rows, Selection(**DAY), bin_seconds=300)
    counts = WORLD.counts
    assert found.documents == counts["read"] == 3_000
    assert found.left_out == counts["left_out"]
    assert found.bin_seconds == 300
    assert found.warnings == ()
    assert found.extraction == (
        'fl.extract(settings, name="2026-10-01", since="2026-10-01T00:00:00.000Z", until="2026-10-02T00:00:00.000Z")'
    )


times = st.integers(START, START + 24 * HOUR) | st.sampled_from(
    [START + k * HOUR + d for k in (0, 7, 24) for d in (0, 1)]
)


@hypothesis_settings(max_examples=examples(12))
@given(ends=st.tuples(times, times), top=st.integers(1, 12), width=st.sampled_from([None, 60, 0.5, 86_400, 7_000]))
def test_a_random_window_is_that_of_the_rows(settings, rows, ends, top, width):
    since, until = min(ends), max(ends) + 1
    if width == 0.5:
        until = min(until, since + HOUR)
    window = {"since": moment(since), "until": moment(until)}
    found = look(settings, **window, top=top, bin_seconds=width)
    assert_true(found, rows, Selection(**window), bin_seconds=found.bin_seconds)


def test_an_extraction_of_the_same_window_has_the_same_rows(settings):
    """The truth of the other tests is the world's; this one asks the extraction itself."""
    window = {"since": "2026-10-01T06:00", "until": "2026-10-01T09:30:00.001"}
    found = look(settings, **window)
    dataset = fl.extract(settings, name="same", progress=False, **window)
    assert found.documents == dataset.counts.read
    assert found.left_out == dataset.manifest.left_out
    assert_true(found, rows_of(dataset.to_arrow()), Selection(**window), bin_seconds=60)


@pytest.mark.parametrize("mapping", ["text", "strings"])
def test_other_mappings_give_the_same_numbers(es, elasticsearch_server, data_dir, index, mapping):
    world = World(1_000, seed=2, malformed=0, indexable=True, numbers_as_strings=mapping == "strings")
    fl.sample.load(es, world, index, mapping=mapping)
    found = look(elastic_settings(elasticsearch_server, data_dir, index))
    assert_true(found, rows_of(world.logs()), Selection(**DAY), bin_seconds=300)
    assert any("fsize" in note and "documents are read for it" in note for note in found.notes) == (
        mapping == "strings"
    )


def test_values_that_the_index_did_not_take_are_told(es, elasticsearch_server, data_dir, index):
    world = World(1_000, seed=7, malformed=0.2, indexable=True)
    fl.sample.load(es, world, index)
    found = look(elastic_settings(elasticsearch_server, data_dir, index))
    assert any("have a value that the index did not take" in note for note in found.notes)
    assert found.documents == 1_000
    assert 0 < found.queries - world.counts["kept"] <= sum(world.counts["set_aside"].values())
    assert int(found.over_time[["cached", "not_cached", "unknown"]].to_numpy().sum()) == found.queries
    for name in ("databases", "schemas", "folders", "tasks", "servers", "sites", "squids"):
        assert abs(sum(row["queries"] for row in plain(getattr(found, name))) - found.queries) < 20, name
