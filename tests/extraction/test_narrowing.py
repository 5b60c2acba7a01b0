"""A selection in indices of all kinds: what a mapping cannot decide is read and decided, or refused before reading."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from elasticsearch import Elasticsearch

import frontierlab as fl
from frontierlab import Selection
from frontierlab.errors import ElasticsearchError
from tests.services.elasticsearch import ElasticsearchServer
from tests.support.extractions import elastic_settings
from tests.support.indices import Make, all_like, notes, rows

pytestmark = pytest.mark.elasticsearch

FOLDER, SCHEMA = "/PIXEL/PixCalib", "ATLAS_COOLOFL_PIXEL"
UNNAMED = {"sqlnodefullpath": None, "sqlnodeid": 3}
IDS = {"sqlnodeid": {"type": "long"}, "sqltagid": {"type": "long"}, "sqltagname": {"type": "keyword"}}
TEXT = {"type": "text"}
Extract = Callable[..., fl.Dataset]


@pytest.fixture
def extract(elasticsearch_server: ElasticsearchServer, data_dir: Path) -> Extract:
    """Extract a selection of an index; options that settings have are theirs."""
    number = iter(range(100))

    def extract(index: str, *, complete: bool = True, dry_run: bool = False, **where: Any) -> Any:
        changes = {name: where.pop(name) for name in [*where] if name in fl.Settings.model_fields}
        return fl.extract(
            elastic_settings(elasticsearch_server, data_dir, index, **changes),
            name=f"d{next(number)}",
            selection=Selection(**where),
            complete=complete,
            dry_run=dry_run,
            progress=False,
        )

    return extract


def tasks(dataset: fl.Dataset) -> list[int]:
    """Return the numbers of tasks, by which a test knows its documents."""
    return sorted(dataset.to_arrow()["taskid"].to_pylist())


class TestFolders:
    """A document names its folder and tag by name, by id, or by both."""

    def test_folder_is_found_by_name_and_by_id(self, make: Make, extract: Extract) -> None:
        documents: list[dict[str, Any]] = [
            {"taskid": 1},
            {"taskid": 2, **UNNAMED},
            {"taskid": 3, **UNNAMED, "sqlowner": "ATLAS_COOLOFL_MDT"},  # another folder with this id
            {"taskid": 4, "sqlnodefullpath": None},
            {"taskid": 5, "sqlnodefullpath": "/PIXEL/PixdEdx", "sqlnodeid": 3},  # the name decides
            {"taskid": 6, **UNNAMED, "sqlnodeid": 6},
        ]
        index = make(*documents, fields=IDS)
        dataset = extract(index, nodefullpath=FOLDER)
        assert tasks(dataset) == [1, 2]
        assert dataset.counts.read == 2
        assert tasks(extract(index, nodefullpath=FOLDER, complete=False)) == [1]
        assert tasks(extract(index, nodefullpath=[FOLDER, None])) == [1, 2, 3, 4]

    def test_tag_is_found_by_name_by_id_and_where_a_folder_has_none(self, make: Make, extract: Extract) -> None:
        untagged = {"sqlowner": "ATLAS_COOLONL_SCT", "sqlnodefullpath": "/SCT/DAQ/Config/Chip"}
        documents: list[dict[str, Any]] = [
            {"taskid": 1, "sqltagname": "PixCalib-BLK-03"},
            {"taskid": 2, "sqltagid": 3},
            {"taskid": 3, "sqltagid": 3, **UNNAMED},
            {"taskid": 4, **untagged},
            {"taskid": 5, "sqltagid": 0, **untagged},
            {"taskid": 6},
        ]
        index = make(*documents, fields=IDS)
        assert tasks(extract(index, tagname="PixCalib-BLK-03")) == [1, 2, 3]
        assert tasks(extract(index, tagname="none")) == [4, 5]
        assert tasks(extract(index, tagname=[None])) == [6]

    def test_catalogue_without_the_folder_gives_the_rows_of_the_whole(
        self, make: Make, extract: Extract, tmp_path: Path
    ) -> None:
        known = pq.read_table(fl.sample.path("catalogue.parquet"))
        old = tmp_path / "old.parquet"
        pq.write_table(known.filter([name != FOLDER for name in known["node"].to_pylist()]), old)
        index = make({"taskid": 1}, {"taskid": 2, **UNNAMED}, fields=IDS)
        assert tasks(extract(index, nodefullpath=FOLDER, coolr_file=old)) == [1]
        assert tasks(extract(index, nodefullpath=[None], coolr_file=old)) == [2]

    def test_index_without_names_of_folders_is_read_and_decided(self, make: Make, extract: Extract) -> None:
        unmapped = {**IDS, "sqlnodefullpath": None}
        one = make({"taskid": 1}, {"taskid": 2, **UNNAMED}, name="-a", fields=unmapped, dynamic=False)
        make({"taskid": 3}, {"taskid": 4, "sqlnodefullpath": "/other"}, name="-b", fields=IDS)
        dataset = extract(all_like(one), nodefullpath=FOLDER)
        assert tasks(dataset) == [1, 2, 3]
        assert f"{one} cannot be searched by sqlnodefullpath" in notes(dataset)
        with pytest.raises(ElasticsearchError, match=f"documents of {one} cannot be filtered by sqlnodefullpath"):
            extract(all_like(one), nodefullpath=FOLDER, complete=False)


class TestMappings:
    """Fields that differ by index."""

    def test_text_without_exact_values_is_read_and_decided(self, make: Make, extract: Extract) -> None:
        one = make({"taskid": 1}, {"taskid": 2, "sqlowner": "pixel"}, name="-a", fields={"sqlowner": TEXT})
        raw = TEXT | {"fields": {"raw": {"type": "keyword", "ignore_above": 8}}}
        make({"taskid": 3}, {"taskid": 4, "sqlowner": "pixel"}, name="-b", fields={"sqlowner": raw})
        dataset = extract(all_like(one), schema=SCHEMA)
        assert tasks(dataset) == [1, 3]
        assert dataset.manifest.left_out == {"outside the selection": 1}
        assert f"{one} cannot be searched by sqlowner (the field is text)" in notes(dataset)
        told = str(extract(all_like(one), schema=SCHEMA, dry_run=True))
        assert told.startswith("3 documents in 1 part,")
        assert "the most that the selection can have" in told
        assert "(2 of the first 3 documents are kept)" in told

    def test_values_that_an_index_ignores_are_found(self, make: Make, extract: Extract) -> None:
        odd = {
            name: {"type": kind, "ignore_malformed": True}
            for name, kind in {"taskid": "integer", "cached": "boolean"}.items()
        }
        index = make(
            {"pandaid": 1, "cached": "True"},
            {"pandaid": 2, "cached": 1},
            {"pandaid": 3, "cached": True, "taskid": " 12 "},
            {"pandaid": 4, "taskid": 12},
            {"pandaid": 5, "taskid": 2**40},
            fields={**odd, "pandaid": {"type": "long"}},
        )
        assert rows(extract(index, cached=True), "pandaid") == [(1,), (2,), (3,)]
        assert rows(extract(index, taskid=12), "pandaid") == [(3,), (4,)]
        assert rows(extract(index, taskid=[2**40, 7]), "pandaid") == [(5,)]

    def test_kinds_of_flags_that_are_words_in_one_index(self, make: Make, extract: Extract) -> None:
        flags = ("cached", "disconn", "rejected", "procerror")
        usual: list[dict[str, Any]] = [
            {"taskid": 1, "rejected": True},
            {"taskid": 2, "rejected": True, "disconn": True},
            {"taskid": 3},
            {"taskid": 4, "cached": True},
            {"taskid": 5, "procerror": True},
        ]
        words = [
            {
                name: str(value) if isinstance(value, bool) else value + 10
                for name, value in {"cached": False, **one}.items()
            }
            for one in usual
        ]
        one = make(*usual, name="-a", fields={name: {"type": "boolean"} for name in flags})
        make(*words, name="-b", fields={name: {"type": "keyword"} for name in flags})
        assert tasks(extract(all_like(one), kind="rejected")) == [1, 11]
        assert tasks(extract(all_like(one), kind=["first query", "procerror"])) == [3, 5, 13, 15]
        dataset = extract(all_like(one), cached=True)
        assert tasks(dataset) == [4, 14]
        assert "cached is boolean in" in notes(dataset)

    def test_fractions_of_querytime_are_rounded_before_they_are_compared(self, make: Make, extract: Extract) -> None:
        index = make(*({"taskid": n, "querytime": time} for n, time in enumerate([999.4, 999.5, 1000, "1001", None])))
        assert tasks(extract(index, min_querytime=1000)) == [1, 2, 3]

    def test_database_is_found_with_any_suffix(self, make: Make, extract: Extract) -> None:
        names = ["CONDBR2", "CONDBR2_RO", "CONDBR2_", "CONDBR20", "OFLP200"]
        index = make(*({"taskid": n, "sqldb": name} for n, name in enumerate(names)))
        dataset = extract(index, db="CONDBR2")
        assert tasks(dataset) == [0, 1, 2]
        assert dataset.counts.read == 3

    def test_field_that_no_document_of_an_index_has_is_missing_there(self, make: Make, extract: Extract) -> None:
        one = make(
            {"taskid": 1, "squid": "s"}, {"taskid": 2, "squid": "t"}, name="-a", fields={"squid": {"type": "keyword"}}
        )
        make({"taskid": 3}, name="-b")
        assert tasks(extract(all_like(one), squid="s")) == [1]
        assert tasks(extract(all_like(one), squid=["t", None])) == [2, 3]
        other = make({"taskid": 4, "squid": "s"}, name="-c", dynamic=False)
        with pytest.raises(ElasticsearchError, match=f"^The documents of {other} cannot be filtered by squid"):
            extract(all_like(one), squid="s")

    def test_more_values_than_one_query_may_have(self, make: Make, extract: Extract) -> None:
        index = make({"taskid": 1}, {"taskid": 70_001}, {"taskid": 2**33})
        dataset = extract(index, taskid=range(70_000))
        assert tasks(dataset) == [1]
        assert dataset.counts.read == 1

    def test_indices_of_another_cluster_that_differ(self, make: Make, extract: Extract, es: Elasticsearch) -> None:
        text = make({"taskid": 1}, {"taskid": 2, "sqlowner": "pixel"}, name="-a", fields={"sqlowner": TEXT})
        exact = make({"taskid": 3}, {"taskid": 4, "sqlowner": "pixel"}, name="-b")
        unmapped = make({"taskid": 5}, name="-c", fields={"sqlowner": None}, dynamic=False)
        [node] = es.nodes.info(metric="transport")["nodes"].values()
        near = {"mode": "proxy", "proxy_address": node["transport"]["publish_address"]}
        es.cluster.put_settings(persistent={"cluster.remote.near": near})
        try:
            dataset = extract(f"near:{text},near:{exact}", schema=SCHEMA)
            assert tasks(dataset) == [1, 3]
            assert dataset.counts.read == 3
            with pytest.raises(
                ElasticsearchError, match=f"^The documents of near:{unmapped} cannot be filtered by sqlo"
            ):
                extract(f"near:{text},near:{unmapped}", schema=SCHEMA)
        finally:
            es.cluster.put_settings(persistent={"cluster.remote.near.*": None})


class TestManifests:
    """What the manifest keeps of a selection, and how an extraction resumes."""

    def test_extraction_of_an_earlier_version_is_resumed(
        self, make: Make, extract: Extract, data_dir: Path, elasticsearch_server: ElasticsearchServer
    ) -> None:
        index = make({"taskid": 1}, {"taskid": 2})
        dataset = extract(index, taskid=1, since="2026-10-01", until="2026-10-02")
        manifest = json.loads((dataset.path / "manifest.json").read_text())
        manifest["state"] = "incomplete"
        manifest["request"].pop("selection")
        manifest["search"] = {"lenient": False, "_source": True, "shards": 1}
        (dataset.path / "manifest.json").write_text(json.dumps(manifest))
        shutil.rmtree(dataset.path / "parts")
        settings = elastic_settings(elasticsearch_server, data_dir, index)
        again = fl.extract(settings, name="d0", taskid=1, since="2026-10-01", until="2026-10-02", progress=False)
        assert tasks(again) == [1]
