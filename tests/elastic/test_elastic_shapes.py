"""Indices are grouped by their mapping, and the field to search in each group is found."""

from __future__ import annotations

from typing import Any

from frontierlab.elastic.shapes import Mapped, Shape, asked_names, merged, shapes

FIELDS = ["@timestamp", "sqlowner", "taskid", "fsize", "cached"]


def caps(*indices: str, **fields: dict[str, Any]) -> dict[str, Any]:
    """Return an answer in which a time is mapped everywhere, and these fields (``__`` stands for a dot)."""
    named = {name.replace("__", "."): types for name, types in fields.items()}
    return {"indices": list(indices), "fields": {"@timestamp": {"date": can()}, **named}}


def can(*indices: str, searchable: bool = True, aggregatable: bool = True, **more: Any) -> dict[str, Any]:
    return {
        "searchable": searchable,
        "aggregatable": aggregatable,
        **({"indices": list(indices)} if indices else {}),
        **more,
    }


def test_names_below_a_field_are_asked_for() -> None:
    assert asked_names(["sqldb", "fsize"]) == ["sqldb", "sqldb.keyword", "fsize", "fsize.keyword"]


def test_indices_of_one_mapping_are_one_shape() -> None:
    (found,) = shapes(caps("a", "b", sqlowner={"keyword": can()}, fsize={"long": can()}), FIELDS)
    assert found == Shape(
        ("a", "b"),
        {
            "@timestamp": Mapped("@timestamp", "date"),
            "sqlowner": Mapped("sqlowner", "keyword"),
            "fsize": Mapped("fsize", "long"),
        },
    )


def test_text_is_searched_by_the_keyword_below_it_in_the_indices_that_have_one() -> None:
    answer = caps(
        *("a", "b", "c"),
        sqlowner={"text": can("a", "b", aggregatable=False), "keyword": can("c")},
        sqlowner__keyword={"keyword": can("a"), "unmapped": can("b", "c")},
    )
    found = {shape.indices: shape for shape in shapes(answer, FIELDS)}
    assert found["a",].fields["sqlowner"] == Mapped("sqlowner.keyword", "keyword")
    assert found["c",].fields["sqlowner"] == Mapped("sqlowner", "keyword")
    assert found["b",].runtime == {"sqlowner": {"type": "keyword"}}


def test_capability_that_only_some_indices_lack() -> None:
    column = can(aggregatable=False, non_aggregatable_indices=["b"])
    found = {shape.indices: shape for shape in shapes(caps("a", "b", sqlowner={"keyword": column}), FIELDS)}
    assert (found["a",].runtime, found["b",].runtime) == ({}, {"sqlowner": {"type": "keyword"}})


def test_numbers_as_keywords_serve_as_names_and_not_as_sums() -> None:
    (found,) = shapes(caps("a", taskid={"keyword": can()}, fsize={"keyword": can()}), FIELDS)
    assert found.fields["taskid"] == Mapped("taskid", "keyword")
    assert found.fields["fsize"] == Mapped("fsize", "long")
    assert found.runtime == {"fsize": {"type": "long"}}


def test_fields_that_are_not_mapped_are_in_no_shape() -> None:
    answer = caps("a", "b", cached={"boolean": can("a"), "unmapped": can("b")})
    assert {shape.indices: "cached" in shape.fields for shape in shapes(answer, FIELDS)} == {
        ("a",): True,
        ("b",): False,
    }


def test_merged_shape_reads_only_what_differs_from_documents() -> None:
    answer = caps("a", "b", fsize={"long": can()}, cached={"boolean": can("a"), "long": can("b")})
    found = merged(shapes(answer, FIELDS))
    assert found.indices == ("a", "b")
    assert found.runtime == {"cached": {"type": "keyword"}}
    assert found.fields["fsize"] == Mapped("fsize", "long")


def test_names_that_are_too_long_for_a_url_are_separated() -> None:
    many = [f"frontier-{number:04}-{'x' * 180}" for number in range(40)]
    found = shapes(caps("other", *many, cached={"boolean": can(*many), "long": can("other")}), FIELDS)
    assert sorted(index for shape in found for index in shape.indices) == sorted(["other", *many])
    assert all(sum(map(len, shape.indices)) + len(shape.indices) <= 3_200 for shape in found)
    assert len(found) == 4
