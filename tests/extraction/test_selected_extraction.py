"""Extraction of a selection: from a file and from Elasticsearch, the rows are those of the whole, filtered."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from elasticsearch import Elasticsearch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import frontierlab as fl
from frontierlab import Selection
from frontierlab.errors import DatasetError, InvalidRequestError
from frontierlab.extraction.request import make_request
from frontierlab.extraction.selected import selected
from frontierlab.sample import World
from frontierlab.selection import QUERY_KINDS
from frontierlab.storage.losses import LimitReached, NothingKept
from tests.services.elasticsearch import ElasticsearchServer
from tests.support.examples import examples
from tests.support.extractions import assert_same_rows, elastic_settings
from tests.support.logs import table
from tests.support.random_logs import WORLDS, selections, world
from tests.support.reference_filters import LISTED, Rows, milliseconds, moment, selects

DAY = {"since": "2026-10-01", "until": "2026-10-02"}
# (mapping, world): the same documents as real installations index them, in three indices of one pattern
PARTS = {
    "standard": World(1_500, seed=21, malformed=0.15, indexable=True),
    "text": World(1_500, seed=22, malformed=0.15, indexable=True),
    "strings": World(1_500, seed=23, malformed=0.15, indexable=True, numbers_as_strings=True),
}


@functools.cache
def rows_of(which: str) -> Rows:
    """Return the rows of a part, or of all parts, as plain Python values; times in ms since the epoch."""
    parts = PARTS.values() if which == "all" else [PARTS[which]]
    rows = [row for part in parts for row in part.logs().to_pylist()]
    return [{**row, "time": milliseconds(row["time"])} for row in rows]


@functools.cache
def _values(which: str, column: str) -> st.SearchStrategy[list[Any]]:
    seen = sorted({row[column] for row in rows_of(which)}, key=str)
    strange: list[Any] = [7, -1, 2**40, 2**63 - 1] if column == "taskid" else ["elsewhere", "", None]
    if column == "db":
        strange = [None]
    return st.lists(st.sampled_from([*seen, *seen, *strange]), min_size=1, max_size=4)


@st.composite
def extracted(draw: st.DrawFn, which: str) -> Selection:
    """Draw a selection whose values are for the most part in the rows."""
    where: dict[str, Any] = {}
    for column in draw(st.lists(st.sampled_from(LISTED), max_size=2, unique=True)):
        where[column] = draw(_values(which, column))
    where["cached"] = draw(st.sampled_from([None, None, True, False]))
    if not where["cached"] and draw(st.integers(0, 3)) == 0:
        where["kind"] = draw(st.lists(st.sampled_from(QUERY_KINDS), min_size=1, max_size=3))
    where["min_querytime"] = draw(st.sampled_from([None, None, 0, 13, 1000]))
    if draw(st.booleans()):
        since = draw(st.sampled_from([row["time"] for row in rows_of(which)[:200]]))
        where["since"] = moment(since)
        where["until"] = where["since"] + timedelta(hours=draw(st.sampled_from([1, 6])))
    return Selection(**where)


def in_plain_python(which: str, selection: Selection) -> Rows:
    return [row for row in rows_of(which) if selects(selection)(row)]


def number() -> Callable[[], str]:
    count = iter(range(10_000))
    return lambda: f"d{next(count)}"


NAME = number()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("exports")
    found = {which: folder / f"{which}.ndjson" for which in (*PARTS, "all")}
    for which, part in PARTS.items():
        part.write(found[which])
    found["all"].write_bytes(b"".join(found[which].read_bytes() for which in PARTS))
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


def check(dataset: fl.Dataset, which: str, selection: Selection) -> None:
    """Check rows and counts of an extraction of a selection."""
    counts = dataset.counts
    assert counts.read == counts.kept + counts.left_out + counts.malformed
    expected = in_plain_python(which, selection)
    assert counts.kept == len(expected)
    assert_same_rows(dataset.to_arrow(), table(expected))
    assert Selection.of_request(dataset.manifest.request) == in_order(selection).but(since=None, until=None)


def in_order(selection: Selection) -> Selection:
    lists = {name: getattr(selection, name) for name in (*LISTED, "kind")}
    return selection.but(
        **{name: sorted(v, key=lambda one: (one is None, one)) for name, v in lists.items() if v is not None}
    )


quiet = settings(max_examples=examples(5), deadline=None, suppress_health_check=[*HealthCheck])


@given(st.data())
def test_mask_of_rows_is_that_of_an_independent_implementation(data: st.DataObject) -> None:
    logs = world(data.draw(st.integers(0, WORLDS - 1)))
    selection = data.draw(selections(logs.seed))
    assert selected(table(logs.rows), selection).to_pylist() == [selects(selection)(row) for row in logs.rows]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")
@given(data=st.data())
@quiet
def test_selection_of_a_file_gives_the_rows_of_the_whole(
    data: st.DataObject, files: dict[str, Path], folder: Path
) -> None:
    selection = data.draw(extracted("all"))
    dataset = fl.extract(
        fl.sample.settings(data_dir=folder), name=NAME(), source=files["all"], selection=selection, progress=False
    )
    check(dataset, "all", selection)
    assert dataset.counts.read == 4_500


@pytest.mark.elasticsearch
class TestElasticsearch:
    """The same from a real Elasticsearch, in mappings that differ by index."""

    @pytest.fixture(scope="class")
    def pattern(self, es: Elasticsearch) -> Iterator[str]:
        for mapping, part in PARTS.items():
            fl.sample.load(es, part, f"test-selected-{mapping}", mapping=mapping)  # type: ignore[arg-type]
        yield "test-selected-"
        es.indices.delete(index=[f"test-selected-{mapping}" for mapping in PARTS])

    @pytest.mark.filterwarnings("ignore::UserWarning")
    @pytest.mark.parametrize("which", [*PARTS, "all"])
    @given(data=st.data())
    @quiet
    def test_selection_of_an_index_gives_the_rows_of_the_whole(
        self, data: st.DataObject, which: str, pattern: str, elasticsearch_server: ElasticsearchServer, folder: Path
    ) -> None:
        selection = data.draw(extracted(which))
        index = pattern + which.replace("all", "*")
        options = elastic_settings(elasticsearch_server, folder, index)
        dataset = fl.extract(options, name=NAME(), selection=selection, progress=False)
        check(dataset, which, selection)


class TestRequests:
    """What may be asked, and how an extraction of it resumes."""

    @pytest.fixture(autouse=True)
    def much_is_malformed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("FRONTIERLAB_LOSS_WARNING_SHARE", "0.5")

    @pytest.fixture
    def export(self, files: dict[str, Path]) -> Path:
        return files["standard"]

    @pytest.mark.parametrize(
        ("options", "where", "message"),
        [
            ({"cached": True}, {"cached": False}, "cached is given twice, as True and in the selection"),
            ({"taskid": 5}, {"taskid": [5, 6]}, "taskid is given twice, as 5 and in the selection"),
            ({"since": "2026-10-01"}, {"since": "2026-10-01T01:00"}, "since is given twice, as '2026-10-01' and"),
            ({"cached": True}, {"kind": "rejected"}, "kind is that of queries that were not cached"),
            ({"until": "2026-10-01"}, {"since": "2026-10-02"}, "until .* is not after since"),
            ({}, {"db": "CONDBR2_RO"}, "db CONDBR2_RO is not in db_instances.* Valid: CONDBR2, OFLP200"),
        ],
    )
    def test_contradictions_are_refused(
        self, settings: fl.Settings, export: Path, options: Any, where: Any, message: str
    ) -> None:
        with pytest.raises(InvalidRequestError, match=message):
            fl.extract(settings, name="d", source=export, selection=Selection(**where), progress=False, **options)
        assert not [*settings.data_dir.glob("datasets/[!.]*")]

    def test_selection_of_another_type_is_refused(self, settings: fl.Settings, export: Path) -> None:
        with pytest.raises(InvalidRequestError, match=r"selection={'db': 'CONDBR2'} is not valid: give a frontierlab"):
            fl.extract(settings, name="d", source=export, selection={"db": "CONDBR2"}, progress=False)  # type: ignore[call-overload]

    def test_equal_requests_are_equal_however_they_are_written(self, settings: fl.Settings) -> None:
        one = make_request(settings, source="f", selection=Selection(cached=False, taskid=7, schema=["B", None, "A"]))
        two = make_request(settings, source="f", cached=False, taskid=7, selection=Selection(schema=["A", "B", None]))
        assert one == two
        assert one.selection == {"schema": ["A", "B", None]}

    @pytest.mark.slow
    def test_another_selection_does_not_resume(self, settings: fl.Settings, export: Path) -> None:
        class Stop(Exception):
            pass

        def stop(progress: Any) -> None:
            if progress.done:
                raise Stop

        few = settings.model_copy(update={"part_documents": 300})
        where = Selection(cached=False, min_querytime=10)
        with pytest.raises(Stop):
            fl.extract(few, name="d", source=export, selection=where, progress=stop)
        match = r"another request: selection was {'min_querytime': 10} and is now {'min_querytime': 11}"
        with pytest.raises(DatasetError, match=match):
            fl.extract(few, name="d", source=export, selection=where.but(min_querytime=11), progress=False)
        check(fl.extract(few, name="d", source=export, selection=where, progress=False), "standard", where)

    @pytest.mark.slow
    def test_limit_counts_the_selected_documents_of_a_file(self, data_dir: Path, export: Path) -> None:
        where = Selection(cached=True)
        there = len(in_plain_python("standard", where))
        settings = fl.sample.settings(data_dir=data_dir, limit_queries=there)
        check(fl.extract(settings, name="d", source=export, selection=where, progress=False), "standard", where)
        less = settings.model_copy(update={"limit_queries": there - 1})
        with pytest.warns(LimitReached, match=f"there are {there:,} documents"):
            dataset = fl.extract(less, name="less", source=export, selection=where, progress=False)
        assert there - 5 < dataset.counts.kept < there

    def test_dry_run_of_a_file_says_how_many_of_the_first_are_kept(self, settings: fl.Settings, export: Path) -> None:
        dry = fl.extract(settings, source=export, selection=Selection(cached=True), dry_run=True)
        assert dry.documents == 1_500
        assert re.search(r"the selection decides then\. It keeps \d+ of the first 1,000", str(dry))

    def test_job_extracts_a_selection(self, settings: fl.Settings, export: Path) -> None:
        where = Selection(schema="ATLAS_COOLOFL_PIXEL", cached=False)
        job = fl.jobs.submit(
            "extraction", settings=settings, backend="inline", name="d", source=export, selection=where
        )
        check(job.result(), "standard", where)
        assert job.record().arguments["selection"] == json.loads(where.to_json())

    def test_nothing_kept_gives_the_reason(self, settings: fl.Settings, export: Path) -> None:
        with pytest.warns(NothingKept, match=r"None of 1,500 documents .*outside the selection [\d,]+"):
            fl.extract(settings, name="d", source=export, selection=Selection(schema="X"), progress=False)

    @pytest.mark.slow
    def test_exported_dataset_keeps_its_selection_when_imported(
        self, settings: fl.Settings, export: Path, tmp_path: Path
    ) -> None:
        where = Selection(schema=["ATLAS_COOLOFL_PIXEL"])
        dataset = fl.extract(settings, name="d", source=export, selection=where, progress=False)
        again = fl.datasets.import_parquet(dataset.export(tmp_path / "d.parquet"), "e", settings)
        assert Selection.of_request(again.manifest.request) == where
