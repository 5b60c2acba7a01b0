"""List all folders and tags of COOLR as a catalogue."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import pyarrow as pa

from frontierlab.catalogue import CATALOGUE_SCHEMA, Catalogue
from frontierlab.coolr.calls import Unreached
from frontierlab.coolr.protocol import Failure, Source, side_by_side
from frontierlab.coolr.responses import Node
from frontierlab.errors import CoolrError
from frontierlab.schema import NO_TAG
from frontierlab.util.progress import ProgressCallback, ProgressMeter

__all__ = ["Listing"]

Item = TypeVar("Item", bound=tuple[Any, ...])
Result = TypeVar("Result")


class Listing:
    """Requests schemas, then folders, then tags; keeps the previous rows of failed requests.

    Parameters
    ----------
    source
        COOLR or an archive.
    old
        The previous catalogue, if there is one.
    report
        Called with the progress a few times a second; it can stop the work by raising.
    cancelled
        Set when the work stops early, so that running calls end.

    Attributes
    ----------
    failures : list of Failure
        The failed requests, and what is used instead.
    """

    def __init__(
        self, source: Source, old: Catalogue | None, report: ProgressCallback, cancelled: threading.Event
    ) -> None:
        self._source = source
        self._old: dict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)  # by db, schema and folder
        for row in [] if old is None else old.table.to_pylist():
            for place in ((row["db"],), (row["db"], row["schema"]), (row["db"], row["schema"], row["node"])):
                self._old[place].append(row)
        self._report = report
        self._cancelled = cancelled
        self._rows: list[dict[str, Any]] = []
        self._got = 0
        self._first: CoolrError | None = None  # the first error of COOLR
        self.failures: list[Failure] = []

    def catalogue(self, dbs: Iterable[str]) -> Catalogue:
        """Return the new catalogue of these database instances.

        Raises
        ------
        CoolrError
            Every request failed.
        """
        source = self._source
        schemas = [
            (db, schema)
            for (db,), names in self._ask("schemas", lambda one: source.schemas(*one), [(db,) for db in dbs])
            for schema in names
        ]
        folders = [
            (*place, node)
            for place, nodes in self._ask("folders", lambda one: source.nodes(*one), schemas)
            for node in nodes
        ]
        for (db, schema, node), tags in self._ask(
            "tags", lambda one: source.tags(one[0], one[1], one[2].nodefullpath), folders
        ):
            for tag, tag_id in [tuple(tag) for tag in tags] or [(NO_TAG, 0)]:
                values = (db, schema, node.nodefullpath, node.node_id, node.nodetime, tag, tag_id)
                self._rows.append(dict(zip(CATALOGUE_SCHEMA.names, values, strict=True)))
        if not self._got:
            if not self._old and isinstance(self._first, Unreached):
                raise self._first
            left = ", and the catalogue is left as it was" if self._old else ""
            raise CoolrError(f"COOLR gave nothing{left}: {self._first or 'it lists no folders.'}")
        table = pa.Table.from_pylist(self._rows, CATALOGUE_SCHEMA)
        return Catalogue(table.sort_by([(name, "ascending") for name in ("db", "schema", "node", "tag_id", "tag")]))

    def _ask(
        self, what: str, work: Callable[[Item], list[Result]], items: list[Item]
    ) -> Iterator[tuple[Item, list[Result]]]:
        meter = ProgressMeter(f"listing {what}", len(items))
        for item, answer in side_by_side(work, items, lambda: self._report(meter.progress()), self._cancelled):
            meter.add(1)
            if isinstance(answer, CoolrError):
                self._keep_old(item, answer)
            elif not answer and self._is_suspicious(item):
                self._keep_old(item, CoolrError(f"COOLR lists no {what} of {' '.join(_place(item))}."))
            else:
                self._got += what == "tags"
                yield item, answer
        self._report(meter.progress())

    def _is_suspicious(self, item: tuple[Any, ...]) -> bool:
        """Return whether an empty list is suspicious: for a database instance, or if it was not empty before."""
        return len(item) == 1 or any(row["tag"] != NO_TAG or len(item) < 3 for row in self._old.get(_place(item), []))

    def _keep_old(self, item: tuple[Any, ...], error: CoolrError) -> None:
        self._first = self._first or error
        rows = self._old.get(_place(item), [])
        self._rows += rows
        what = f"its {len(rows)} rows of the previous catalogue are kept" if rows else "it is not in the catalogue"
        db, *rest = _place(item)
        schema, node = (*rest, None, None)[:2]
        self.failures.append(Failure(db, schema, node, None, f"{error} Until it answers, {what}."))


def _place(item: tuple[Any, ...]) -> tuple[str, ...]:
    """Return the names of the database instance, the schema and the folder; the last ones can be missing."""
    return tuple(part.nodefullpath if isinstance(part, Node) else part for part in item)
