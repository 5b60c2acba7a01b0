"""The documents of an export file that are to be read, in the order of the file, for several threads."""

from __future__ import annotations

import threading
from collections import Counter
from typing import NamedTuple

import msgspec
import numpy as np

from frontierlab.exports.action_lines import is_action_line
from frontierlab.exports.export_file import ExportFile
from frontierlab.exports.json_text import Document
from frontierlab.exports.json_tokens import NOT_JSON
from frontierlab.exports.repeats import Repeats

__all__ = ["ACTION_LINE", "DocumentStream", "REPEATED", "Taken", "taken", "unwrapped"]

REPEATED = "repeated document"
"""The reason for leaving out a document that repeats an earlier one of the file."""

ACTION_LINE = "action line of a bulk file"
"""The reason for leaving out a line that tells the bulk API what to do with the document after it."""


class _Wrapped(msgspec.Struct):
    source: msgspec.Raw = msgspec.field(name="_source")


class Taken(NamedTuple):
    """Some documents of a stream.

    Parameters
    ----------
    documents
        The documents to read.
    left_out
        Number of the others, by reason: `REPEATED` or `ACTION_LINE`.
    """

    documents: list[Document]
    left_out: Counter[str]


class DocumentStream:
    """Gives several threads documents of a file, in the order of the file.

    Parameters
    ----------
    file
        The file; it is read once, block by block.
    repeats
        The documents to count and leave out.
    """

    def __init__(self, file: ExportFile, repeats: Repeats | None = None) -> None:
        self._blocks = file.blocks()
        self._repeats = repeats
        self._is_bulk = file.is_bulk
        self._documents: list[Document] = []
        self._first = 0  # the number of the first of these documents
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._blocks.close()

    def take(self, start: int, stop: int) -> Taken | None:
        """Return the next documents of ``[start, stop)``; None if none are left."""
        with self._lock:
            while self._first + len(self._documents) <= start:
                self._first += len(self._documents)
                self._documents = next(self._blocks, [])
                if not self._documents:
                    return None
            begin = max(0, start - self._first)
            documents = self._documents[begin : max(begin, stop - self._first)]
            first = self._first + begin
            self._first += begin + len(documents)
            self._documents = self._documents[begin + len(documents) :]
            if not self._documents:
                self._documents = next(self._blocks, [])
        return taken(documents, first, self._repeats, self._is_bulk) if documents else None


def taken(documents: list[Document], first: int, repeats: Repeats | None, is_bulk: bool) -> Taken:
    """Leave out what is not to be read.

    Parameters
    ----------
    documents
        Some documents of a file.
    first
        The number of the first document in the file.
    repeats
        The documents that repeat an earlier one, which are left out; None keeps them.
    is_bulk
        Whether lines of actions are left out.
    """
    left_out = Counter[str]()
    again = None if repeats is None else repeats.among(first, len(documents))
    kept = documents
    if again is not None:
        kept = [documents[place] for place in np.flatnonzero(~again).tolist()]
        left_out[REPEATED] = len(documents) - len(kept)
    if is_bulk:
        before = len(kept)
        kept = [document for document in kept if not is_action_line(document)]
        left_out[ACTION_LINE] = before - len(kept)
    return Taken(kept, +left_out)


def unwrapped(documents: list[Document]) -> list[Document]:
    """Return the ``_source`` of each line of elasticdump or hit; other documents are returned unchanged.

    A mixture of both kinds is also returned unchanged, for the lenient reader.
    """
    try:
        first = msgspec.json.decode(documents[0])
        if isinstance(first, dict) and "_source" in first and "@timestamp" not in first:
            array = b"[" + b",".join(documents) + b"]"
            found = msgspec.json.decode(array, type=list[_Wrapped])
            if len(found) == len(documents):
                return [wrapped.source for wrapped in found]
    except (IndexError, *NOT_JSON):
        pass  # one is damaged: the lenient reader reads each by itself
    return documents
