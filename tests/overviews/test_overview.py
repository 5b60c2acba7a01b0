"""A look at a real Elasticsearch: every number equals that of the rows that an extraction gives."""

from __future__ import annotations

import dataclasses
import functools

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

import frontierlab as fl
from frontierlab import Selection
from frontierlab.errors import ElasticsearchError, InvalidRequestError
from frontierlab.sample import World
from frontierlab.selection import QUERY_KINDS
from tests.overviews.truth import TABLES, assert_true, numbers, plain, rows_of
from tests.support.examples import examples
from tests.support.extractions import elastic_settings
from tests.support.reference_filters import LISTED, moment

pytestmark = pytest.mark.elasticsearch
WORLD = World(1_500, seed=5, malformed=0, indexable=True)
START, HOUR = 1_790_812_800_000, 3_600_000
DOCUMENT = {"@timestamp": "2026-10-01T10:00:00.000Z", "sqldb": "CONDBR2_RO", "sqlowner": "ATLAS_COOLOFL_PIXEL"}
DAY = {"since": "2026-10-01", "until": "2026-10-02"}


@functools.cache
def world_rows():
    return rows_of(WORLD.logs())


@pytest.fixture(scope="module")
def rows():
    return world_rows()


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
    assert found.documents == counts["read"] == WORLD.documents
    assert found.left_out == counts["left_out"]
    assert found.bin_seconds == 300
    assert found.warnings == ()
    assert found.extraction == ('fl.extract(settings, name="2026-10-01", since="2026-10-01", until="2026-10-02")')


times = st.integers(START, START + 24 * HOUR) | st.sampled_from(
    [START + k * HOUR + d for k in (0, 7, 24) for d in (0, 1)]
)


@hypothesis_settings(max_examples=examples(6))
@given(ends=st.tuples(times, times), top=st.integers(1, 12), width=st.sampled_from([None, 60, 0.5, 86_400, 7_000]))
def test_a_random_window_is_that_of_the_rows(settings, rows, ends, top, width):
    since, until = min(ends), max(ends) + 1
    if width == 0.5:
        until = min(until, since + HOUR)
    window = {"since": moment(since), "until": moment(until)}
    found = look(settings, **window, top=top, bin_seconds=width)
    assert_true(found, rows, Selection(**window), bin_seconds=found.bin_seconds)


@functools.cache
def values(column):
    """Return the values of a column of the world, and one that it does not have."""
    seen = {row[column] for row in world_rows()}
    return [*sorted(seen - {None}), None, 7 if column == "taskid" else "elsewhere"]


@st.composite
def selections(draw):
    where = {}
    for column in draw(st.lists(st.sampled_from(LISTED), max_size=2, unique=True)):
        listed = [value for value in values(column) if column != "db" or value not in (None, "elsewhere")]
        where[column] = draw(st.lists(st.sampled_from(listed), min_size=1, max_size=4))
    where["cached"] = draw(st.sampled_from([None, None, True, False]))
    if not where["cached"] and draw(st.booleans()):
        where["kind"] = draw(st.lists(st.sampled_from(QUERY_KINDS), min_size=1, max_size=3))
    where["min_querytime"] = draw(st.sampled_from([None, None, 0, 1000]))
    return Selection(**where)


@hypothesis_settings(max_examples=examples(12))
@given(chosen=selections())
def test_a_random_selection_is_that_of_the_rows(settings, rows, chosen):
    found = look(settings, selection=chosen, bin_seconds=3_600, top=5)
    assert_true(found, rows, chosen.but(**DAY), bin_seconds=3_600)
    assert found.selection.where()[0] == chosen.where()[0]
    if not found.documents:
        assert found.warnings[0].startswith("No document of this period meets the selection")


@pytest.fixture(scope="module", params=["text", "strings"])
def mapped(request, es, elasticsearch_server, tmp_path_factory):
    """The name of a mapping, settings with an index of it, and its rows; tests only read the index."""
    mapping = request.param
    world = World(1_000, seed=2, malformed=0, indexable=True, numbers_as_strings=mapping == "strings")
    fl.sample.load(es, world, f"test-mapped-{mapping}", mapping=mapping)
    settings = elastic_settings(elasticsearch_server, tmp_path_factory.mktemp("data"), f"test-mapped-{mapping}")
    yield mapping, settings, rows_of(world.logs())
    es.indices.delete(index=f"test-mapped-{mapping}")


def test_a_selection_means_the_same_under_other_mappings(mapped):
    _, settings, logs = mapped
    folder = logs[0]["nodefullpath"]
    for chosen in (
        Selection(nodefullpath=[folder, None], cached=False, min_querytime=300),
        Selection(taskid=[logs[0]["taskid"], None], schema=logs[0]["schema"]),
        Selection(kind=["rejected", "first query"], db=logs[0]["db"], tagname=[logs[0]["tagname"], None]),
    ):
        found = look(settings, selection=chosen, bin_seconds=3_600)
        assert found.queries
        assert_true(found, logs, chosen.but(**DAY), bin_seconds=3_600)


def test_the_call_that_follows_extracts_what_was_counted(settings):
    chosen = Selection(since="2026-10-01T03:00", until="2026-10-01T19:00", db="CONDBR2", cached=False)
    found = fl.overview(settings, selection=chosen, progress=False)
    namespace = {"fl": fl, "settings": settings}
    dataset = eval(found.extraction.replace("settings, ", "settings, progress=False, ", 1), namespace)
    assert dataset.counts.kept == found.queries > 100
    assert dataset.counts.read == found.documents
    assert_true(found, rows_of(dataset.to_arrow()), chosen, bin_seconds=found.bin_seconds)


def test_too_many_folders_in_a_selection_name_the_way_out(settings, monkeypatch):
    monkeypatch.setattr("frontierlab.overviews.conditions._MOST", 3)
    with pytest.raises(InvalidRequestError, match=r"fit into a search\. Select fewer, or extract"):
        look(settings, selection=Selection(nodefullpath=[one for one in values("nodefullpath") if one]))


def test_a_selection_by_a_field_that_the_index_lacks_names_it(es, elasticsearch_server, data_dir, index):
    es.indices.create(index=index, mappings={"dynamic": False, "properties": {"@timestamp": {"type": "date"}}})
    es.index(index=index, document=DOCUMENT, refresh=True)
    with pytest.raises(ElasticsearchError, match="cannot be filtered by squid: the mapping lacks that field"):
        look(elastic_settings(elasticsearch_server, data_dir, index), selection=Selection(squid="s"))


def test_an_extraction_of_the_same_window_has_the_same_rows(settings):
    """The truth of the other tests is the world's; this one asks the extraction itself."""
    window = {"since": "2026-10-01T06:00", "until": "2026-10-01T09:30:00.001"}
    found = look(settings, **window)
    dataset = fl.extract(settings, name="same", progress=False, **window)
    assert found.documents == dataset.counts.read
    assert found.left_out == dataset.manifest.left_out
    assert_true(found, rows_of(dataset.to_arrow()), Selection(**window), bin_seconds=60)


def test_other_mappings_give_the_same_numbers(mapped):
    mapping, settings, logs = mapped
    found = look(settings)
    assert_true(found, logs, Selection(**DAY), bin_seconds=300)
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


class TestManyGroups:
    """What is counted, and told, where the server does not give all groups: small limits stand for a large index."""

    @pytest.mark.parametrize("limit", [6, 11])
    def test_shown_values_are_counted_exactly_and_the_choice_is_told(self, settings, rows, monkeypatch, limit):
        monkeypatch.setattr("frontierlab.overviews.counting.GROUPS", limit)
        found = look(settings, top=4)
        for name in ("tasks", "sites", "squids"):
            (key,) = TABLES[name][1]
            table = plain(getattr(found, name))
            assert [row["part"] for row in table] == ["named"] * 4 + ["other", "missing"]
            assert [row["groups"] for row in table] == [1, 1, 1, 1, None, 1]
            for row in table[:4]:
                assert {column: row[column] for column in numbers([])} == numbers(
                    [r for r in rows if r[key] == row[key]]
                )
            assert table[5]["queries"] == sum(r[key] is None for r in rows)
            assert sum(row["queries"] for row in table) == found.queries
            assert sum(row["bytes"] for row in table) == found.over_time["bytes"].sum()
            told = [text for text in (*found.warnings, *found.notes) if text.startswith(f"There are many {name}")]
            assert len(told) == 1
            elsewhere = max(
                numbers([r for r in rows if r[key] == value])["queries"] for value in hidden(rows, key, table)
            )
            if "has at most" in told[0]:
                assert elsewhere <= int(told[0].split("at most ")[1].split()[0].replace(",", ""))
            else:  # the choice is certain
                assert elsewhere <= table[3]["queries"]

    def test_all_tasks_have_their_names(self, settings, rows, monkeypatch):
        monkeypatch.setattr("frontierlab.overviews.counting.GROUPS", 10)
        for row in plain(look(settings, top=3).tasks)[:3]:
            names = [r["taskname"] for r in rows if r["taskid"] == row["taskid"] and r["taskname"] is not None]
            assert row["taskname"] == max(names)

    def test_many_pages_of_folders_are_read(self, settings, rows, monkeypatch):
        monkeypatch.setattr("frontierlab.overviews.counting.PAGE", 7)
        monkeypatch.setattr("frontierlab.overviews.counting.PAGES", 1_000)
        assert_true(look(settings), rows, Selection(**DAY), bin_seconds=300)

    def test_too_many_folders_are_told_and_schemas_still_counted(self, settings, rows, monkeypatch):
        monkeypatch.setattr("frontierlab.overviews.counting.PAGE", 80)
        monkeypatch.setattr("frontierlab.overviews.counting.PAGES", 1)
        found = look(settings, top=5)
        assert any(text.startswith("There are more folders than could be counted") for text in found.warnings)
        assert found.folders["queries"].sum() == found.queries
        monkeypatch.undo()
        assert plain(found.schemas) == plain(look(settings, top=5).schemas)

    def test_slices_of_time_add_up(self, settings, rows, monkeypatch):
        monkeypatch.setattr("frontierlab.overviews.parts.SLICE_DOCUMENTS", 550)
        window = {"since": "2026-10-01T00:00:00.123", "until": "2026-10-01T23:59:59.987"}
        assert_true(look(settings, **window), rows, Selection(**window), bin_seconds=300)
        monkeypatch.setattr("frontierlab.overviews.parts.SLICE_BINS", 500)
        assert_true(look(settings, **window, bin_seconds=60), rows, Selection(**window), bin_seconds=60)

    def test_too_many_names_of_databases_are_told(self, settings, monkeypatch):
        monkeypatch.setattr("frontierlab.overviews.counting.NAMES", 2)
        found = look(settings)
        assert found.left_out["another database"] == WORLD.documents - found.queries - found.left_out["no database"]
        assert any("name one of too many databases" in text for text in found.warnings)

    def test_names_as_numbers_and_as_text_are_the_same_values(self, es, settings, index, monkeypatch):
        monkeypatch.setattr("frontierlab.overviews.counting.GROUPS", 2)
        for kind in ("long", "keyword"):
            properties = fl.sample.world.loading.mapping()["properties"] | {"squid": {"type": kind}}
            es.indices.create(index=f"{index}-{kind}", mappings={"properties": properties})
        try:
            for kind, squid in [("long", 7), ("long", 8), ("long", 9), ("long", 9), ("keyword", "9"), ("keyword", "7")]:
                es.index(index=f"{index}-{kind}", document={**DOCUMENT, "squid": squid})
            es.indices.refresh(index=f"{index}-*")
            found = look(settings.model_copy(update={"es_index": (f"{index}-*",)}), top=2)
        finally:
            es.indices.delete(index=[f"{index}-long", f"{index}-keyword"])
        shown = [(row["squid"], row["queries"]) for row in plain(found.squids)]
        assert shown[0] == ("9", 3)
        assert sum(queries for _, queries in shown) == 6

    def test_a_sum_that_floating_point_rounds_is_told(self, es, elasticsearch_server, data_dir, index):
        es.indices.create(index=index, mappings=fl.sample.world.loading.mapping())
        for size in (2**53, 1):
            document = {"@timestamp": "2026-10-01T10:00:00.000Z", "sqldb": "CONDBR2", "cached": False, "fsize": size}
            es.index(index=index, document=document, refresh=True)
        found = look(elastic_settings(elasticsearch_server, data_dir, index))
        assert "Sums from 2^53 on are rounded." in found.notes


def hidden(rows, key, table):
    """Return the values of a column that a table does not show."""
    return {row[key] for row in rows} - {row[key] for row in table} - {None}


class TestFolderNames:
    """Folders that documents name by their id only."""

    @pytest.fixture
    def of_one(self, es, index):
        """A function that makes an index of one document."""

        def make(**fields):
            es.indices.create(index=index, mappings=fl.sample.world.loading.mapping())
            es.index(index=index, document={**DOCUMENT, **fields}, refresh=True)
            return index

        return make

    def test_catalogue_names_them(self, elasticsearch_server, data_dir, of_one):
        settings = elastic_settings(elasticsearch_server, data_dir, "x")
        known = fl.catalogue.Catalogue.read(settings.catalogue_path).table.to_pylist()
        folder = next(row for row in known if (row["db"], row["schema"]) == ("CONDBR2", "ATLAS_COOLOFL_PIXEL"))
        found = look(elastic_settings(elasticsearch_server, data_dir, of_one(sqlnodeid=folder["node_id"])))
        assert plain(found.folders)[0]["nodefullpath"] == folder["node"]

    def test_unknown_id_is_noted(self, elasticsearch_server, data_dir, of_one):
        found = look(elastic_settings(elasticsearch_server, data_dir, of_one(sqlnodeid=10**6)))
        assert plain(found.folders)[0]["part"] == "missing"
        assert "1 queries name their folder only by an id that the catalogue lacks." in found.notes

    def test_selection_without_a_catalogue_tells_what_it_may_lack(self, elasticsearch_server, data_dir, of_one):
        name = of_one(sqlnodeid=3)
        settings = elastic_settings(elasticsearch_server, data_dir, name, coolr_file=data_dir / "none.parquet")
        found = look(settings, selection=Selection(nodefullpath="/PIXEL/PixCalib"))
        assert found.queries == 0
        assert found.warnings[0].startswith(
            "1 queries name their folder or tag only by an id, and there is no catalogue"
        )

    def test_without_a_catalogue_a_warning_counts_them(self, elasticsearch_server, data_dir, of_one):
        name = of_one(sqlnodeid=3)
        found = look(elastic_settings(elasticsearch_server, data_dir, name, coolr_file=data_dir / "none.parquet"))
        assert plain(found.folders)[0]["part"] == "missing"
        assert found.warnings == (
            "1 queries name their folder only by an id, and there is no catalogue yet: they are unnamed.",
        )


@pytest.fixture(scope="module")
def found(settings):
    return look(settings, top=3)


class TestShowing:
    """What a reader gets to see."""

    def test_text_has_the_numbers_and_the_call(self, found):
        text = str(found)
        largest = plain(found.folders)[0]
        assert (
            f"per folder: {largest['db']} {largest['schema']} {largest['nodefullpath']} {largest['queries']:,} ("
            in text
        )
        assert f"{found.documents:,} documents, without" in text
        assert found.extraction in text
        assert (
            repr(found)
            == f"<Overview: test-overview: {found.queries:,} queries, 2026-10-01 00:00 to 2026-10-02 00:00 UTC>"
        )

    def test_notebook_text_is_escaped_and_names_parts(self, found):
        page = dataclasses.replace(found, index="<a&b>", warnings=("too <few>",))._repr_html_()
        assert "&lt;a&amp;b&gt;" in page
        assert "<b>too &lt;few&gt;</b>" in page
        assert "<a&b>" not in page
        assert "(none named)" in page
        assert f"({plain(found.tasks)[3]['groups']} others)" in page

    def test_figures_are_drawn_from_the_frames(self, found):
        from bokeh.models import ColumnDataSource

        figures = found.figure().children
        assert len(figures) == 10
        drawn = [
            source.data["queries_text"]
            for source in figures[6].select(ColumnDataSource)
            if "queries_text" in source.data
        ]
        assert drawn[0][0].startswith(f"{plain(found.tasks)[0]['queries']:,}")
        assert figures[0].x_range is figures[1].x_range
        assert found.figure().children[0] is not figures[0]

    def test_others_whose_number_is_not_known_are_drawn(self, settings, monkeypatch):
        monkeypatch.setattr("frontierlab.overviews.counting.GROUPS", 6)
        found = look(settings, top=3)
        assert "(others)" in found._repr_html_()
        assert found.figure().children

    def test_page_holds_text_and_figures(self, found, tmp_path):
        path = found.to_html(tmp_path / "look.html")
        page = path.read_text()
        assert "test-overview" in page
        assert "Queries over time" in page
        assert "<script src" not in page
        with pytest.raises(InvalidRequestError, match=r"look.png cannot be written: .* a path that ends in \.html"):
            found.to_html(tmp_path / "look.png")

    def test_nothing_is_drawn_for_nothing(self, settings):
        found = look(settings, since="2020-01-01", until="2020-01-02")
        assert len(found.figure().children) == 6
