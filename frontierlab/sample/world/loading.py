"""Load a world into a real Elasticsearch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from frontierlab.errors import ElasticsearchError, InvalidRequestError
from frontierlab.sample.world.world import Chunk, World
from frontierlab.schema import DOCUMENT_FIELDS, FLAG, INTEGER, TIME

if TYPE_CHECKING:
    from elasticsearch import Elasticsearch

__all__ = ["MAPPINGS", "load", "mapping"]

MAPPINGS = ("standard", "text", "strings")
"""The names of mappings as real installations use them."""

BODY = 5_000
"""Documents per bulk request: 3 to 4 MB."""

THREADS = 2


def mapping(kind: str = "standard") -> dict[str, Any]:
    """Return an index mapping as real installations use it.

    Parameters
    ----------
    kind
        ``standard``: names are keywords, integers long, flags boolean, and malformed values are not indexed.
        ``text``: names are text with a sub-field ``keyword``. ``strings``: integers are keywords, for a world with
        ``numbers_as_strings``. In all three, fields that the mapping does not list are not indexed.

    Raises
    ------
    frontierlab.errors.InvalidRequestError
        There is no mapping of that kind.
    """
    if kind not in MAPPINGS:
        raise InvalidRequestError(f"There is no mapping {kind!r}: choose one of {', '.join(MAPPINGS)}.")
    text = {"type": "text", "fields": {"keyword": {"type": "keyword", "ignore_above": 256}}}
    name = text if kind == "text" else {"type": "keyword"}
    number = {"type": "keyword"} if kind == "strings" else {"type": "long", "ignore_malformed": True}
    types = {
        TIME: {"type": "date", "ignore_malformed": True},
        INTEGER: number,
        FLAG: {"type": "boolean", "ignore_malformed": True},
    }
    fields = {field: types.get(column.type, name) for field, column in DOCUMENT_FIELDS.items()}
    return {"dynamic": False, "properties": fields}


def load(
    client: Elasticsearch,
    world: World,
    index: str = "frontier_sql",
    *,
    mapping: Literal["standard", "text", "strings"] = "standard",
    progress: Callable[[int, int], object] | None = None,
) -> int:
    """Create an index and load the documents of a world.

    An index has 2 shards and no replica. It is refreshed once, after all documents are loaded. The world must be
    made with ``indexable=True``: another world contains documents that Elasticsearch refuses.

    Parameters
    ----------
    client
        An ``elasticsearch.Elasticsearch``.
    world
        The world to load; one chunk at a time is in memory.
    index
        Name of the index, which must not exist. ``{month}`` in the name is replaced by the month of each document's
        time: ``frontier-new-{month}`` creates one index per month, such as ``frontier-new-2026-10``.
    mapping
        See `frontierlab.sample.world.loading.mapping`.
    progress
        Called now and then with the number of loaded documents and the total.

    Returns
    -------
    int
        Number of loaded documents.

    Raises
    ------
    frontierlab.errors.ElasticsearchError
        The server refuses a document; the index remains, with the documents that were loaded before.
    """
    properties = _mapping(mapping)
    created: set[str] = set()
    done = 0
    pending: set[Future[int]] = set()
    with ThreadPoolExecutor(THREADS) as pool:
        for chunk in world.chunks():
            indices = _indices(chunk, index)
            for name in set(indices) - created:
                settings = {"number_of_shards": 2, "number_of_replicas": 0, "refresh_interval": "-1"}
                client.indices.create(index=name, mappings=properties, settings=settings)
                created.add(name)
            for body, count in _bodies(chunk, indices):
                pending.add(pool.submit(_send, client, body, count))
                if len(pending) > 2 * THREADS:
                    finished, pending = wait(pending, return_when=FIRST_COMPLETED)
                    done += sum(future.result() for future in finished)
                    if progress is not None:
                        progress(done, world.documents)
        done += sum(future.result() for future in pending)
    for name in sorted(created):
        client.indices.put_settings(index=name, settings={"refresh_interval": None})
        client.indices.refresh(index=name)
    if progress is not None:
        progress(done, world.documents)
    return done


_mapping = mapping


def _indices(chunk: Chunk, index: str) -> list[str]:
    """Return the index of each document."""
    if "{month}" not in index:
        return [index] * len(chunk)
    months = chunk.columns["@timestamp"].astype("datetime64[ms]").astype("datetime64[M]")
    return [index.replace("{month}", month) for month in np.datetime_as_string(months).tolist()]


def _bodies(chunk: Chunk, indices: list[str]) -> Iterator[tuple[bytes, int]]:
    """Yield the bodies of bulk requests, each with its number of documents."""
    head = pc.binary_join_element_wise('{"index":{"_index":"', pa.array(indices), '"}}\n', "")
    text = chunk.lines(head, "\n")
    _, offsets, data = text.buffers()
    ends = np.frombuffer(offsets, np.int32, len(text) + 1)
    view = memoryview(data)
    for first in range(0, len(text), BODY):
        last = min(first + BODY, len(text))
        yield bytes(view[ends[first] : ends[last]]), last - first


def _send(client: Elasticsearch, body: bytes, count: int) -> int:
    """Send one bulk request; raise an error with the first reasons if the server refuses documents."""
    # the client sends bytes as they are
    answer = client.bulk(operations=[body], filter_path=["errors", "items.*.error"])  # type: ignore[list-item]
    if answer["errors"]:
        errors = [item["index"]["error"] for item in answer["items"] if item]
        reasons = "; ".join(f"{e['type']}: {e['reason']}" for e in errors[:3])
        raise ElasticsearchError(
            f"Elasticsearch refused {len(errors)} of {count} documents ({reasons}); the index keeps those that were "
            "loaded before. Delete the index, and load a world that was made with indexable=True."
        )
    return count
