"""What an index gives is read rightly, refused by name, or noted: never fewer or other rows without a word."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from elasticsearch import Elasticsearch

import frontierlab as fl
from frontierlab.errors import ElasticsearchError, InterruptedExtraction
from frontierlab.extraction.read_part import read_part
from frontierlab.storage.losses import LimitReached, NothingFound, PartialSource, ValuesUnfit
from tests.services.elasticsearch import ElasticsearchServer
from tests.services.flaky import Answer, Edit, FlakyProxy, Silence
from tests.support.extractions import elastic_settings
from tests.support.indices import DOCUMENT, MAPPING, MIDNIGHT, SINCE, UNTIL, Make, all_like, notes, rows

pytestmark = pytest.mark.elasticsearch


@pytest.fixture
def extract(elasticsearch_server: ElasticsearchServer, data_dir: Path) -> Callable[..., fl.Dataset]:
    """Extract an index; options that settings have are theirs."""
    number = iter(range(100))

    def extract(index: str, **options: Any) -> fl.Dataset:
        changes = {name: options.pop(name) for name in [*options] if name in fl.Settings.model_fields}
        settings = elastic_settings(elasticsearch_server, data_dir, index, **changes)
        given = {"name": f"d{next(number)}", "progress": False, "since": "2026-10-01", "until": "2026-10-02"}
        return fl.extract(settings, complete=False, **given | options)

    return extract


@pytest.fixture(scope="module")
def filled(es: Elasticsearch) -> Iterator[str]:
    """An index of two documents."""
    name = "test-two-documents"
    es.indices.create(index=name, mappings={"properties": MAPPING})
    es.bulk(index=name, operations=[{"index": {}}, DOCUMENT] * 2, refresh=True)
    yield name
    es.indices.delete(index=name)


class TestFieldsThatSourceLacks:
    """What the mapping has and the documents' _source has not."""

    def test_left_out_of_source(self, make: Make, extract: Any) -> None:
        index = make({}, {"sqlsin": 5, "sqlunt": 6}, _source={"excludes": ["sqlsin", "sql*nt"]})
        dataset = extract(index)
        assert rows(dataset) == [(SINCE, UNTIL), (5, 6)]
        assert f"sqlsin is read beside _source: in {index} it is left out of _source." in notes(dataset)

    def test_not_among_what_source_includes(self, make: Make, extract: Any) -> None:
        index = make({}, _source={"includes": ["@timestamp", "sqldb", "cached"]})
        assert rows(extract(index), "since", "until", "taskid", "schema", "cached") == [
            (SINCE, UNTIL, 41_000_000, "ATLAS_COOLOFL_PIXEL", False)
        ]

    def test_index_without_source(self, make: Make, extract: Any) -> None:
        index = make({}, {"cached": True, "sqlsin": None, "sqlunt": None}, _source={"enabled": False})
        dataset = extract(index)
        assert rows(dataset, "since", "until", "cached", "db") == [
            (-1, -1, True, "CONDBR2"),
            (SINCE, UNTIL, False, "CONDBR2"),
        ]
        assert dataset.manifest.iovs_lost == 0
        assert not dataset.manifest.converted

    def test_synthetic_source(self, make: Make, extract: Any) -> None:
        index = make({}, {"sqlsin": 5, "sqlunt": 6}, _source={"mode": "synthetic"})
        assert rows(extract(index)) == [(SINCE, UNTIL), (5, 6)]

    def test_an_alias_and_a_runtime_field(self, make: Make, extract: Any) -> None:
        index = make(
            *({"jeditaskid": task} for task in (500, 501)),
            without=["taskid"],
            fields={"taskid": {"type": "alias", "path": "jeditaskid"}, "jeditaskid": {"type": "long"}},
            runtime={"hour": {"type": "long", "script": "emit(doc['@timestamp'].value.getHour())"}},
        )
        assert rows(extract(index, extra_fields=["hour"]), "taskid", "hour") == [(500, 0), (501, 0)]
        assert rows(extract(index, taskid=501), "taskid") == [(501,)]

    def test_copied_from_another_field(self, make: Make, extract: Any) -> None:
        index = make({"sqlsin": None, "begin": SINCE}, fields={"begin": {"type": "long", "copy_to": "sqlsin"}})
        assert rows(extract(index)) == [(SINCE, UNTIL)]

    def test_in_one_index_of_several(self, make: Make, extract: Any) -> None:
        make({}, name="-a", _source={"excludes": ["sqlsin", "sqlunt"]})
        index = make({"sqlsin": 5, "sqlunt": 6}, name="-b")
        assert rows(extract(all_like(index))) == [(SINCE, UNTIL), (5, 6)]

    def test_lost_values_are_noted_or_refused(self, make: Make, extract: Any) -> None:
        index = make({}, name="-a", fields={"sqlowner": {"type": "text"}}, _source={"excludes": ["sqlowner"]})
        with pytest.warns(PartialSource, match=f"The values of sqlowner cannot be read: in {index} it is left out of"):
            assert rows(extract(index), "schema", "since") == [(None, SINCE)]
        for why, wrong in (("not kept", {"type": "long", "doc_values": False}), ("rounded", {"type": "double"})):
            index = make({}, name=f"-{wrong['type']}", fields={"sqlsin": wrong}, _source={"excludes": ["sqlsin"]})
            match = rf"The values of sqlsin cannot be read: .* {why} in .* column\. Rows without them would be wrong"
            with pytest.raises(ElasticsearchError, match=match):
                extract(index)

    def test_user_without_the_right_to_read_mappings(self, make: Make, extract: Any, es: Elasticsearch) -> None:
        index = make({}, {"sqlsin": 5, "sqlunt": 6}, _source={"excludes": ["sqlsin", "sqlunt"]})
        es.security.put_role(name="reader", indices=[{"names": [index], "privileges": ["read"]}])
        es.security.put_user(username="reader", password="not-secret", roles=["reader"])
        dataset = extract(index, es_user="reader", es_pswd="not-secret")
        assert rows(dataset) == [(SINCE, UNTIL), (5, 6)]
        assert "sqlsin is read beside _source" in notes(dataset)

    def test_unexpectedly_missing_iov_gives_a_warning(
        self, make: Make, extract: Any, elasticsearch_server: ElasticsearchServer
    ) -> None:
        def without(body: dict[str, Any]) -> dict[str, Any]:
            for hit in body["hits"]["hits"]:
                hit["_source"].pop("sqlsin")
            return body

        index = make({}, {}, {"sqlsin": None})
        with FlakyProxy(elasticsearch_server.url, elasticsearch_server.ca_certs) as proxy:
            proxy.faults.append(Edit(without, when="POST /_search", times=None))
            with pytest.warns(
                PartialSource, match="The index has an IOV for 2 documents of d0, but it could not be read"
            ):
                dataset = extract(index, es_address=proxy.url)
        assert dataset.manifest.iovs_lost == 2


class TestTimes:
    """The mapping's own forms of times."""

    @pytest.mark.parametrize(
        ("form", "value"),
        [
            ("epoch_second", 1_790_812_800),
            ("epoch_millis", 1_790_812_800_000),
            ("yyyy/MM/dd HH:mm:ss||epoch_second", "2026/10/01 00:00:00"),
            ("strict_date_optional_time||epoch_second", MIDNIGHT),
        ],
    )
    def test_a_form_of_the_index(self, make: Make, extract: Any, form: str, value: Any) -> None:
        date = {"type": "date", "format": form}
        index = make({"@timestamp": value, "day": value}, fields={"@timestamp": date, "day": date})
        dataset = extract(index, extra_fields=["day"])
        [(time, day)] = rows(dataset, "time", "day")
        assert time.isoformat() == day.isoformat() == "2026-10-01T00:00:00+00:00"
        assert dataset.manifest.request["extra_fields"] == {"day": "time"}

    def test_nanoseconds_in_one_index_and_milliseconds_in_the_other(self, make: Make, extract: Any) -> None:
        make({"@timestamp": "2026-10-01T00:00:00.123456789Z"}, name="-a", fields={"@timestamp": {"type": "date_nanos"}})
        index = make({"@timestamp": "2026-10-01T00:00:01.500Z"}, name="-b")
        found = [time.isoformat() for (time,) in rows(extract(all_like(index), since=None), "time")]
        assert found == ["2026-10-01T00:00:00.123000+00:00", "2026-10-01T00:00:01.500000+00:00"]
        with pytest.warns(LimitReached, match="limit_queries"):
            assert extract(all_like(index), limit_queries=1).counts.kept == 1


class TestFilters:
    """Filters on what not all indices map as expected."""

    def test_filter_by_an_unmapped_field_is_refused(self, make: Make, extract: Any) -> None:
        fields = {"cached": None, "taskid": None}
        index = make({"taskid": 0}, {"taskid": 1, "cached": True}, fields=fields, dynamic=False)
        assert extract(index).counts.kept == 2
        with pytest.raises(ElasticsearchError, match=rf"{index} cannot be filtered by cached: .*without cached"):
            extract(index, cached=False)
        with pytest.raises(ElasticsearchError, match=rf"{index} cannot be filtered by taskid: .*without taskid"):
            extract(index, taskid=1)

    def test_filter_by_a_field_unmapped_in_one_index_is_refused(self, make: Make, extract: Any) -> None:
        one = make({}, name="-a")
        other = make({}, name="-b", fields={"cached": None}, dynamic=False)
        empty = make(name="-c", fields={"cached": None})
        with pytest.raises(ElasticsearchError, match=f"^The documents of {other} cannot be filtered by cached"):
            extract(all_like(other), cached=False)
        assert extract(f"{one},{empty}", cached=False).counts.kept == 1

    def test_an_index_that_has_no_times(self, make: Make, extract: Any) -> None:
        make({}, name="-a")
        other = make({}, name="-b", fields={"@timestamp": None}, dynamic=False)
        with pytest.raises(
            ElasticsearchError,
            match=f"^The documents of {other} cannot be filtered by @timestamp: .*Leave out of es_index",
        ):
            extract(all_like(other))

    def test_flags_as_numbers_in_one_index(self, make: Make, extract: Any) -> None:
        one = make({"cached": 1}, {"cached": 0}, name="-a", fields={"cached": {"type": "long"}})
        two = make({"cached": True}, {"cached": "false"}, name="-b")
        both = all_like(one)
        assert rows(extract(both), "cached") == [(False,), (False,), (True,), (True,)]
        dataset = extract(both, cached=True)
        assert rows(dataset, "cached") == [(True,), (True,)]
        assert f"cached is boolean in {two} and long in {one}: 1 counts as true, and 0 as false." in notes(dataset)
        assert rows(extract(both, cached=False), "cached") == [(False,), (False,)]

    def test_filter_by_task_with_other_types_of_taskid(self, make: Make, extract: Any) -> None:
        index = make({"taskid": "501"}, {"taskid": 502}, name="-a", fields={"taskid": {"type": "keyword"}})
        assert rows(extract(index, taskid=501), "taskid") == [(501,)]
        index = make({"taskid": 501}, {"taskid": 502}, name="-b", fields={"taskid": {"type": "double"}})
        assert rows(extract(index, taskid=501), "taskid") == [(501,)]

    def test_filter_by_a_field_that_is_not_indexed_is_refused(self, make: Make, extract: Any) -> None:
        index = make({}, fields={"taskid": {"type": "long", "index": False, "doc_values": False}})
        with pytest.raises(ElasticsearchError, match=r"by taskid: the field is long, and not indexed"):
            extract(index, taskid=41_000_000)

    def test_warning_of_an_empty_period_names_the_period_of_the_index(self, make: Make, extract: Any) -> None:
        index = make({}, {"@timestamp": "2026-10-03T12:00:00.000Z", "cached": True})
        here = "The index has documents"
        with pytest.warns(NothingFound, match=f"{here} from 2026-10-01 00:00 UTC to 2026-10-03 12:00 UTC"):
            extract(index, since="2020-01-01", until="2020-01-02")
        with pytest.warns(NothingFound, match=f"{here} that meet the filters from 2026-10-03 12:00 UTC to 2026-10-03"):
            extract(index, cached=True)
        with pytest.warns(NothingFound, match=f"{here} from .*, but none that meets the filters"):
            extract(index, taskid=7)
        assert here in str(extract(index, since="2020-01-01", until="2020-01-02", dry_run=True))
        with pytest.warns(NothingFound, match="has no documents at all"):
            extract(make(name="-empty", fields={"cached": None}), cached=False)


class TestPartialAnswers:
    """What is matched and not read is an error, or warned of."""

    def test_closed_and_hidden_indices_of_a_pattern(self, make: Make, extract: Any) -> None:
        shown = make({}, name="-a")
        closed = make({}, name="-b", closed=True)
        hidden = make({}, name="-c", settings={"index.hidden": True})
        match = rf"es_index matches indices that are not read: {closed} \(closed\), {hidden} \(hidden\)\."
        with pytest.warns(PartialSource, match=match):
            assert extract(all_like(shown)).counts.kept == 1
        assert extract(f"{shown},{hidden}").counts.kept == 2
        with pytest.raises(ElasticsearchError, match=f"The index {closed} is closed and cannot be read. Open it"):
            extract(f"{shown},{closed}")
        with pytest.raises(ElasticsearchError, match="There is no index nowhere on"):
            extract(f"{shown},nowhere")

    def test_an_alias_with_a_filter(self, make: Make, extract: Any) -> None:
        index = make({}, {"cached": True}, aliases={"some-cached": {"filter": {"term": {"cached": True}}}})
        dataset = extract("some-cached")
        assert dataset.counts.kept == 1
        assert f"give only some of the documents: some-cached (of {index})" in notes(dataset)
        assert "give only some" not in notes(extract(f"some-cached,{index}"))

    def test_a_data_stream(self, extract: Any, es: Elasticsearch, index: str) -> None:
        mappings = {"properties": MAPPING, "_source": {"excludes": ["sqlsin"]}}
        es.indices.put_index_template(
            name=index, index_patterns=[f"{index}-*"], data_stream={}, template={"mappings": mappings}, priority=500
        )
        # the server of tests cannot delete it: it goes with the server
        es.index(index=f"{index}-stream", document=DOCUMENT, op_type="create", refresh=True)
        dataset = extract(f"{index}-*")
        assert rows(dataset) == [(SINCE, UNTIL)]
        assert not dataset.manifest.partial

    def test_unavailable_remote_cluster_is_an_error(self, filled: str, extract: Any, es: Elasticsearch) -> None:
        gone = {"mode": "proxy", "proxy_address": "127.0.0.1:9", "skip_unavailable": True}
        es.cluster.put_settings(persistent={"cluster.remote.gone": gone})
        try:
            with pytest.raises(ElasticsearchError, match=r"gone:frontier did not answer, so .* cannot be read in full"):
                extract(f"{filled},gone:frontier")
            with pytest.raises(ElasticsearchError, match="cannot reach a remote cluster of gone:frontier"):
                extract("gone:frontier")
        finally:
            es.cluster.put_settings(persistent={"cluster.remote.gone.*": None})

    def test_an_index_of_another_cluster(self, make: Make, extract: Any, es: Elasticsearch) -> None:
        index = make({}, {"sqlsin": 5, "sqlunt": 6}, _source={"excludes": ["sqlsin", "sqlunt"]})
        [node] = es.nodes.info(metric="transport")["nodes"].values()
        near = {"mode": "proxy", "proxy_address": node["transport"]["publish_address"]}
        es.cluster.put_settings(persistent={"cluster.remote.near": near})
        try:
            assert rows(extract(f"near:{index}")) == [(SINCE, UNTIL), (5, 6)]
        finally:
            es.cluster.put_settings(persistent={"cluster.remote.near.*": None})

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"_clusters": {"total": 2, "successful": 1, "skipped": 1}}, "of its clusters one was skipped"),
            (
                {"_clusters": {"partial": 1, "details": {"far": {"status": "partial"}}}},
                "of its clusters far is partial",
            ),
            ({"_shards": {"total": 2, "failed": 1}}, "1 of its shards failed"),
            ({"timed_out": True}, "the search timed out"),
            ({"terminated_early": True}, "the search ended early"),
        ],
    )
    @pytest.mark.parametrize("skip", range(4), ids=["count", "second count", "sample", "count in the point in time"])
    def test_each_kind_of_partial_answer_is_an_error(
        self, filled: str, extract: Any, proxy: FlakyProxy, change: dict[str, Any], message: str, skip: int
    ) -> None:
        proxy.faults.append(Edit(lambda body: body | change, when="_search", skip=skip))
        with pytest.raises((ElasticsearchError, InterruptedExtraction), match=f"did not answer in full: {message}"):
            extract(filled, es_address=proxy.url)

    def test_point_in_time_with_fewer_shards_than_planned_is_an_error(
        self, filled: str, extract: Any, proxy: FlakyProxy
    ) -> None:
        proxy.faults.append(Edit(lambda body: body | {"_shards": {"total": 0, "failed": 0}}, when="_search", skip=3))
        with pytest.raises(InterruptedExtraction, match="had 1 shards at first, and has 0 now"):
            extract(filled, es_address=proxy.url)

    @pytest.fixture
    def proxy(self, elasticsearch_server: ElasticsearchServer) -> Iterator[FlakyProxy]:
        with FlakyProxy(elasticsearch_server.url, elasticsearch_server.ca_certs) as proxy:
            yield proxy


class TestExtraFields:
    """An extra field costs no row."""

    def test_values_of_extra_fields_that_do_not_fit_are_null(self, make: Make, extract: Any) -> None:
        fields = {
            "tags": {"type": "keyword"},
            "day": {"type": "date"},
            "other": {"properties": {"a": {"type": "long"}}},
        }
        index = make({"tags": ["a", "b"], "day": "2026-10-01", "other": {"a": 2**60 + 1}}, {"taskid": 2}, fields=fields)
        with pytest.warns(ValuesUnfit, match=r"null in d0: tags 1\. extra_fields={'tags': 'json'} keeps such values"):
            assert rows(extract(index, extra_fields=["tags"]), "tags") == [(None,), (None,)]
        dataset = extract(index, extra_fields={"tags": "json", "day": None, "other": None})
        assert rows(dataset, "tags", "other") == [('["a","b"]', f'{{"a":{2**60 + 1}}}'), (None, None)]
        [day] = [day for (day,) in rows(dataset, "day") if day]
        assert day.isoformat() == "2026-10-01T00:00:00+00:00"
        assert dataset.manifest.request["extra_fields"] == {"tags": "json", "day": "time", "other": "json"}

    def test_types_that_differ_between_indices(self, make: Make, extract: Any) -> None:
        one = make({"size": 1}, name="-a", fields={"size": {"type": "long"}})
        make({"size": "two"}, name="-b", fields={"size": {"type": "keyword"}})
        dataset = extract(all_like(one), extra_fields=["size"])
        assert rows(dataset, "size") == [('"two"',), ("1",)]
        assert "size is keyword in " in notes(dataset)


class TestSecondReaders:
    """The index is asked once; what was found out is in the manifest."""

    def test_helper_reads_a_part_although_the_server_is_busy(
        self, make: Make, elasticsearch_server: ElasticsearchServer, data_dir: Path
    ) -> None:
        index = make({}, {"sqlsin": 5, "sqlunt": 6}, _source={"excludes": ["sqlsin", "sqlunt"]})
        with FlakyProxy(elasticsearch_server.url, elasticsearch_server.ca_certs) as proxy:
            settings = elastic_settings(elasticsearch_server, data_dir, index, es_address=proxy.url)
            options = {"name": "d", "since": "2026-10-01", "until": "2026-10-02", "complete": False, "progress": False}
            proxy.faults.append(Answer(403, {"error": "no", "status": 403}, when="POST .*_pit", skip=1))
            with pytest.raises(InterruptedExtraction, match="does not let this user read"):
                fl.extract(settings, **options)
            proxy.faults += [
                Answer(503, {"error": "busy", "status": 503}, when=when) for when in ("_pit", "_field_caps")
            ]
            before = len(proxy.requests)
            assert read_part("d", 0, settings, lambda progress: None)
            assert not any("_field_caps" in seen.line or "_mapping" in seen.line for seen in proxy.requests[before:])
            assert rows(fl.extract(settings, **options)) == [(SINCE, UNTIL), (5, 6)]


class Stop(BaseException):
    """What a progress function raises to stop the work."""


class TestStopping:
    """An extraction that is stopped does not wait for the search in flight."""

    @pytest.mark.parametrize("when", ["_field_caps", "_search", "_pit", "POST /_search"])
    @pytest.mark.parametrize("dry_run", [False, True])
    def test_running_search_is_abandoned_when_stopped(
        self, filled: str, extract: Any, elasticsearch_server: ElasticsearchServer, when: str, dry_run: bool
    ) -> None:
        fault = Silence(when=when, times=None)

        def stop(progress: Any) -> None:
            if fault.struck:
                raise Stop

        with FlakyProxy(elasticsearch_server.url, elasticsearch_server.ca_certs) as proxy:
            proxy.faults.append(fault)
            with pytest.raises(Stop):
                extract(filled, es_address=proxy.url, progress=stop, dry_run=dry_run)
            assert fault.left.wait(30)
