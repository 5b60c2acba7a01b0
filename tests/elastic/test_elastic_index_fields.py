"""Which fields of an index are asked for beside ``_source``, and how."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from frontierlab.elastic.index_fields import Field, beside_source, kind_of, read_caps, requests
from frontierlab.elastic.pages import Page, documents

LONG, DATE = {"type": "long"}, {"type": "date"}


@pytest.mark.parametrize(
    ("mapping", "reason"),
    [
        ({"properties": {"x": LONG}}, None),
        ({"properties": {"x": DATE | {"format": "strict_date_optional_time||epoch_millis"}}}, None),
        ({"properties": {"x": LONG}, "_source": {"excludes": ["y", "xx*", "x.a"]}}, None),
        ({"properties": {"x": LONG}, "_source": {"includes": ["x.*"]}}, None),
        ({"properties": {}, "_source": {"enabled": False}}, None),
        ({"properties": {"x": LONG}, "_source": {"mode": "synthetic"}}, None),
        ({"properties": {"x": {"type": "alias", "path": "y"}, "y": LONG}}, "an alias of y"),
        ({"properties": {"x": LONG}, "runtime": {"x": LONG}}, "a runtime field"),
        ({"properties": {"x": {"type": "constant_keyword", "value": "a"}}}, "a constant of the index"),
        ({"properties": {"x": LONG}, "_source": {"enabled": False}}, "without a _source"),
        ({"properties": {"x": LONG}, "_source": {"excludes": ["*"]}}, "left out of _source"),
        ({"properties": {"x": LONG}, "_source": {"includes": ["y*"]}}, "left out of _source"),
        (
            {"properties": {"x": LONG, "a": {"properties": {"b": LONG | {"copy_to": ["x"]}}}}},
            "copied from other fields",
        ),
        ({"properties": {"x": LONG | {"script": "emit(1)"}}}, "computed by a script"),
        ({"properties": {"x": LONG | {"null_value": 0}}}, "filled in where it is null"),
        ({"properties": {"x": DATE | {"format": "epoch_second"}}}, "in the form epoch_second"),
    ],
)
def test_fields_missing_in_source(mapping: dict[str, Any], reason: str | None) -> None:
    assert beside_source(mapping, ["x", "nowhere"]) == ({} if reason is None else {"x": reason})


def test_values_come_from_columns_where_all_indices_have_them() -> None:
    fields = {
        "time": Field({"date": [], "date_nanos": []}),
        "number": Field({"long": []}),
        "text": Field({"text": []}, columnar=False),
        "either": Field({"date": ["a"], "long": ["b"]}),
    }
    assert requests(fields, fields) == {
        "docvalue_fields": [
            {"field": "time", "format": "yyyy-MM-dd'T'HH:mm:ss.SSSX"},
            {"field": "number"},
            {"field": "either"},
        ],
        "fields": [{"field": "text"}],
    }


def test_field_capabilities_are_read() -> None:
    said = {"searchable": True, "aggregatable": True}
    answer = {
        "fields": {
            "x": {"long": {**said, "indices": ["a"]}, "unmapped": {"indices": ["b"], **said}},
            "y": {"unmapped": said},
        }
    }
    assert read_caps(answer) == {"x": Field({"long": ["a"]}, ["b"])}


@pytest.mark.parametrize(
    ("types", "kind"),
    [
        (["long", "integer"], "integer"),
        (["long", "double"], "json"),
        (["keyword", "text"], "name"),
        (["date", "date_nanos"], "time"),
        (["object"], "json"),
        (["geo_point"], "json"),
        (["unsigned_long"], "name"),
    ],
)
def test_type_of_an_extra_field(types: list[str], kind: str) -> None:
    assert kind_of(Field({type_: [] for type_ in types})) == kind


@pytest.mark.parametrize(
    ("hit", "document"),
    [
        ('{"_source":{"a":1}}', '{"a":1}'),
        ('{"_source": { "a" : 1 } ,"fields":{"b":[9223372036854775807]}}', '{"b":9223372036854775807,"a" : 1 }'),
        ('{"_source":{"a":1},"fields":{"a":[1,2]}}', '{"a":[1,2],"a":1}'),
        ('{"_source":{},"fields":{"b":["x"]}}', '{"b":"x"}'),
        ('{"fields":{"b":["x"]}}', '{"b":"x"}'),
        ('{"_source":{"a":1},"fields":{}}', '{"a":1}'),
        ("{}", "{}"),
    ],
)
def test_values_beside_source_come_first(hit: str, document: str) -> None:
    page = msgspec.json.decode(f'{{"hits":{{"hits":[{hit}]}}}}', type=Page)
    assert [bytes(found).decode() for found in documents(page)] == [document]
