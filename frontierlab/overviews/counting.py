"""Put the searches of an overview, part by part, and add up what they count."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from frontierlab.documents.lenient import MalformedDocument, convert_text, converter_of
from frontierlab.elastic.client import Index
from frontierlab.extraction.narrowing import FIELDS
from frontierlab.overviews import aggregations
from frontierlab.overviews.aggregations import EXACT, ZERO, Counts, added, counts_of
from frontierlab.overviews.parts import Group, Part
from frontierlab.schema import DOCUMENT_FIELDS
from frontierlab.selection import QUERY_KINDS

__all__ = ["Counted", "Databases", "GROUPS", "Key", "Looker", "NAMES", "PAGE", "PAGES", "Values", "value_of"]

GROUPS = 2_000
"""The most values of a field in one answer; the largest of a shard are sent by it."""

PAGE = 5_000
"""Combinations of values, such as those that name folders, in one answer."""

PAGES = 20
"""The most answers with combinations of values, for a slice of time."""

NAMES = 10_000
"""The most names of databases that are told apart."""

Key: TypeAlias = tuple[Any, ...]
"""A combination of values."""


@dataclass
class Databases:
    """How many documents there are, by what they ask for.

    Parameters
    ----------
    names
        The values of ``sqldb`` that name a configured database.
    documents, unnamed
        All documents, and those without a database.
    ignored
        The documents with a value that the index did not take.
    unseen
        The documents of databases that were too many to be told apart.
    """

    names: set[str] = field(default_factory=set)
    documents: int = 0
    unnamed: int = 0
    ignored: int = 0
    unseen: int = 0

    def left_out(self, queries: int) -> dict[str, int]:
        """Return the documents that are not among the queries of the configured databases, by reason."""
        rest = {"no database": self.unnamed, "another database": self.documents - self.unnamed - queries}
        return {reason: count for reason, count in rest.items() if count}


@dataclass
class Counted:
    """The numbers of combinations of values.

    Parameters
    ----------
    counts
        Values, None where missing → their numbers.
    whole
        Whether these are all combinations.
    """

    counts: dict[Key, Counts] = field(default_factory=dict)
    whole: bool = True

    def add(self, key: Key, counts: Counts) -> None:
        """Add numbers to those of a combination."""
        self.counts[key] = added(self.counts.get(key, ZERO), counts)


@dataclass
class Values(Counted):
    """The numbers of the values of one field.

    Parameters
    ----------
    counts, whole
        As in `Counted`. If the values are not whole, these are the largest, counted exactly.
    most_elsewhere
        The most queries that a value can have which is not among them.
    """

    most_elsewhere: int = 0


@dataclass
class _Answer:
    """The largest values of a field in one part.

    ``group`` is the id of the group of indices; ``forms`` has the keys of each value; ``counts`` may be too small by
    ``error``; a value that is not among them has at most ``unseen`` queries.
    """

    group: int
    forms: dict[Any, set[Any]] = field(default_factory=dict)
    counts: Counter[Any] = field(default_factory=Counter)
    error: int = 0
    unseen: int = 0

    def most(self, value: Any) -> int:
        """Return the most queries that a value can have; None is a value that was never seen."""
        return self.counts[value] + self.error if value is not None and value in self.counts else self.unseen


class Looker:
    """Puts the searches of one overview.

    Parameters
    ----------
    index, parts
        What is searched.
    told
        Called after each search.
    """

    def __init__(self, index: Index, parts: Sequence[Part], told: Callable[[str], object]) -> None:
        self._index = index
        self._parts = parts
        self._told = told
        self.databases = Databases()
        self.rounded = False

    def _asked(
        self, what: str, ask: Callable[[Part], tuple[Mapping[str, Any], Sequence[dict[str, Any]]]]
    ) -> Iterator[tuple[Part, dict[str, Any]]]:
        """Search the parts; `ask` returns the aggregations and more conditions for a part, or no aggregations."""
        for part in self._parts:
            wanted, more = ask(part)
            if wanted:
                yield part, part.ask(self._index, wanted, *more)
            self._told(what)

    def _configured(self, part: Part) -> dict[str, Any]:
        mapped = part.group.shape.fields.get("sqldb")
        return {"terms": {mapped.name: sorted(self.databases.names)}} if mapped else {"match_none": {}}

    def look_at_databases(self, instances: Sequence[str]) -> None:
        """Count all documents, and find the names of the configured databases."""
        found = self.databases

        def ask(part: Part) -> tuple[Mapping[str, Any], Sequence[dict[str, Any]]]:
            every: dict[str, Any] = {"filter": {"match_all": {}}}
            wanted: dict[str, Any] = {"all": every, "ignored": {"filter": {"exists": {"field": "_ignored"}}}}
            if (mapped := part.group.shape.fields.get("sqldb")) is None:
                return wanted | {"none": every}, ()
            how = {"field": mapped.name, "size": NAMES}
            return wanted | {"named": {"terms": how}, "none": {"missing": {"field": mapped.name}}}, ()

        for _, answer in self._asked("databases", ask):
            found.documents += answer["all"]["doc_count"]
            found.unnamed += answer["none"]["doc_count"]
            found.ignored += answer["ignored"]["doc_count"]
            named = answer.get("named", {"buckets": (), "sum_other_doc_count": 0})
            found.unseen += named["sum_other_doc_count"]
            names = (str(bucket["key"]) for bucket in named["buckets"])
            found.names.update(name for name in names if name.partition("_")[0] in instances)

    def over_time(self, width: int) -> dict[int, dict[str, int]]:
        """Return the numbers of each bin with queries: its start in UTC milliseconds → column → number."""
        found: dict[int, dict[str, int]] = {}
        columns = ("cached", "not_cached", *QUERY_KINDS)
        for _, answer in self._asked(
            "over time",
            lambda part: ({"bins": aggregations.over_time(part.group.shape, width)}, [self._configured(part)]),
        ):
            for bucket in answer["bins"]["buckets"]:
                counts = Counter({name: bucket[name]["doc_count"] for name in columns})
                counts["queries"] = bucket["doc_count"]
                counts["bytes"] = round(bucket["not_cached"].get("bytes", {"value": 0})["value"])
                sums = Counter(found.get(int(bucket["key"]), {}))
                sums.update(counts)
                found[int(bucket["key"])] = dict(sums)
        return found

    def combinations(self, columns: Sequence[str]) -> Counted:
        """Count all combinations of the values of columns, the first of which is ``db``."""
        found = Counted()
        for part in self._parts:
            found.whole &= self._combined(part, columns, found, self._configured(part))
            self._told("folders")
        return found

    def combinations_in(self, group: Group, columns: Sequence[str], condition: dict[str, Any]) -> Counted:
        """Count all combinations of the values of columns in the documents of a group that meet a condition."""
        found = Counted()
        for part in self._parts:
            if part.group is group:
                found.whole &= self._combined(part, columns, found, self._configured(part), condition)
        return found

    def _combined(self, part: Part, columns: Sequence[str], found: Counted, *more: dict[str, Any]) -> bool:
        """Count the combinations in a part; return whether these were all."""
        shape = part.group.shape
        fields = [FIELDS[column] for column in columns]
        if "sqldb" not in shape.fields:
            return True
        missing = [name for name in fields if name not in shape.fields]
        after: Mapping[str, Any] | None = None
        for _ in range(PAGES):
            answer = part.ask(self._index, {"all": aggregations.composite(shape, fields, PAGE, after)}, *more)["all"]
            for bucket in answer["buckets"]:
                values = {**dict.fromkeys(missing), **bucket["key"]}
                if values["sqldb"] in self.databases.names:  # not another value of an array
                    instance = str(values["sqldb"]).partition("_")[0]
                    rest = (value_of(name, values[name]) for name in fields[1:])
                    found.add((instance, *rest), self._counts(bucket))
            if (after := answer.get("after_key")) is None or len(answer["buckets"]) < PAGE:
                return True
        return False

    def values(self, name: str, top: int) -> Values:
        """Count the values of a field; the `top` largest exactly if there are too many for one answer."""
        found = Values()
        answers = list[_Answer]()
        for part, answer in self._asked(name, lambda part: (self._terms(part, name, GROUPS), [self._configured(part)])):
            values = answer.get("values", {"buckets": ()})
            answers.append(_Answer(id(part.group)))
            for bucket in values["buckets"]:
                value = value_of(name, bucket["key"])
                answers[-1].forms.setdefault(value, set()).add(bucket["key"])
                answers[-1].counts[value] += bucket["doc_count"]
                found.add((value,), self._counts(bucket))
            found.add((None,), counts_of(answer["none"]))
            if values.get("sum_other_doc_count"):
                found.whole = False
                answers[-1].error = values["doc_count_error_upper_bound"]
                answers[-1].unseen = values["buckets"][-1]["doc_count"] + answers[-1].error
        if found.counts.get((None,)) == ZERO:
            del found.counts[None,]
        return found if found.whole else self._exactly(name, top, found, answers)

    @staticmethod
    def _terms(part: Part, name: str, size: int) -> dict[str, Any]:
        shape = part.group.shape
        if name not in shape.fields:
            return {"none": {"filter": {"match_all": {}}, "aggregations": aggregations.measures(shape)}}
        none = {"missing": {"field": shape.fields[name].name}, "aggregations": aggregations.measures(shape)}
        return {"values": aggregations.terms(shape, name, size), "none": none}

    def _exactly(self, name: str, top: int, found: Values, answers: Sequence[_Answer]) -> Values:
        """Count the largest values again, all documents of them."""
        named = [key[0] for key in found.counts if key[0] is not None]
        ordered = sorted(named, key=lambda value: found.counts[value,][0], reverse=True)
        largest, others = ordered[:top], ordered[top:]
        exact = Values(whole=False)
        exact.most_elsewhere = max(sum(one.most(value) for one in answers) for value in (*others, None))
        if (none := found.counts.get((None,))) is not None:
            exact.counts[None,] = none
        for _, answer in self._asked(name, lambda part: self._only(part, name, largest, answers)):
            for bucket in answer["values"]["buckets"]:
                exact.add((value_of(name, bucket["key"]),), self._counts(bucket))
        return exact

    def _only(
        self, part: Part, name: str, values: Sequence[Any], answers: Sequence[_Answer]
    ) -> tuple[Mapping[str, Any], Sequence[dict[str, Any]]]:
        """Return the aggregation of some values of a field, in all forms that were seen in the part's indices."""
        shape = part.group.shape
        if name not in shape.fields:
            return {}, ()
        # a value that the answers of these indices do not have may still be in a few documents
        as_text = shape.fields[name].type == "keyword"
        only = {str(value) if as_text else value for value in values if as_text or isinstance(value, int)}
        for one in answers:
            if one.group == id(part.group):
                only.update(*(one.forms.get(value, ()) for value in values))
        listed = sorted(only)
        wanted = {"values": aggregations.terms(shape, name, len(listed), listed)}
        return wanted, [self._configured(part), {"terms": {shape.fields[name].name: listed}}]

    def names_of_tasks(self, tasks: Sequence[int]) -> dict[int, str]:
        """Return the name of each of these tasks that has one; of several names, the alphabetically last."""
        found: dict[int, str] = {}

        def ask(part: Part) -> tuple[Mapping[str, Any], Sequence[dict[str, Any]]]:
            shape = part.group.shape
            wanted, more = self._only(part, "taskid", tasks, ()) if tasks and "taskname" in shape.fields else ({}, ())
            if wanted:
                last = {"field": shape.fields["taskname"].name, "size": 1, "order": {"_key": "desc"}}
                wanted = {"values": {**wanted["values"], "aggregations": {"names": {"terms": last}}}}
            return wanted, more

        for _, answer in self._asked("names of tasks", ask):
            for bucket in answer["values"]["buckets"]:
                task = value_of("taskid", bucket["key"])
                for name in bucket["names"]["buckets"]:
                    found[task] = max(found.get(task, ""), str(name["key"]))
        return found

    def _counts(self, bucket: Mapping[str, Any]) -> Counts:
        counts = counts_of(bucket)
        self.rounded |= max(map(abs, counts)) >= EXACT
        return counts


def value_of(name: str, key: Any) -> Any:
    """Return the value of a column for a value of the index, as the reader of documents does; None if it has none."""
    if key is None:
        return None
    try:
        return convert_text(json.dumps(key), converter_of(DOCUMENT_FIELDS[name]))[0]
    except MalformedDocument:
        return None
