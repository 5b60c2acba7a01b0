"""Find the documents of a file that repeat an earlier one: those with the same `_index` and `_id`."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from pandas.util import hash_array

__all__ = ["Repeats"]

_IN_MEMORY = 4_000_000  # documents: 100 MB
_FILES = 64  # files on the disk, for more documents; each is sorted separately
_KEYS = ("0123456789123456", "9876543210987654")
_SEEN = np.dtype([("one", "<u8"), ("two", "<u8"), ("number", "<i8")])


class Repeats:
    """Finds the documents that have the id of an earlier one.

    Ids are compared by 128 bits of a hash. Hashes beyond 100 MB are written to files in a temporary folder, 24 bytes
    per document; `close` removes the folder. Equal hashes are in the same file, so one file at a time is in memory, as
    in a Grace hash join (Kitsuregawa et al., New Generation Computing 1, 1983).

    Attributes
    ----------
    number
        Number of documents that repeat an earlier one; known after `close`.
    """

    def __init__(self) -> None:
        self.number = 0
        self._seen: list[np.ndarray[Any, Any]] = []
        self._held = 0
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._bits = np.zeros(0, np.uint8)

    def add(self, numbers: list[int], ids: list[bytes]) -> None:
        """Add documents that have an id.

        Parameters
        ----------
        numbers
            The number of each document in the file, from 0; ascending.
        ids
            The id of each document; equal only for the same document.
        """
        found = np.empty(len(ids), _SEEN)
        texts = np.array(ids, dtype=object)
        found["one"], found["two"] = (hash_array(texts, hash_key=key, categorize=False) for key in _KEYS)
        found["number"] = numbers
        self._seen.append(found)
        self._held += len(ids)
        if self._held > _IN_MEMORY:
            self._write_to_files()

    def close(self) -> None:
        """Find the documents that repeat an earlier one; call it when all documents were added."""
        if self._folder is None:
            parts = [np.concatenate(self._seen)] if self._seen else []
        else:
            self._write_to_files()
            files = sorted(Path(self._folder.name).iterdir())
            parts = (np.fromfile(file, _SEEN) for file in files)  # type: ignore[assignment]
        repeated = [_repeated(part) for part in parts]
        self._seen = []
        if self._folder is not None:
            self._folder.cleanup()
        numbers = np.concatenate(repeated) if repeated else np.zeros(0, np.int64)
        self.number = len(numbers)
        if self.number:
            bits = np.zeros(int(numbers.max()) + 1, bool)
            bits[numbers] = True
            self._bits = np.packbits(bits)

    def among(self, first: int, count: int) -> np.ndarray[Any, np.dtype[np.bool_]] | None:
        """Return a mask of the documents in a range that repeat an earlier one; None if there are none.

        Parameters
        ----------
        first
            The number of the first document.
        count
            The number of documents in the range.
        """
        begin, end = first // 8, -(-(first + count) // 8)
        bits = self._bits[begin:end]
        if not bits.any():
            return None
        found = np.zeros(count, bool)
        known = np.unpackbits(bits).astype(bool)[first - 8 * begin :][:count]
        found[: len(known)] = known
        return found if found.any() else None

    def _write_to_files(self) -> None:
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="frontierlab-")
        if not self._seen:
            return
        seen = np.concatenate(self._seen)
        where = seen["one"] % _FILES
        for number in range(_FILES):
            with (Path(self._folder.name) / f"{number:02d}").open("ab") as file:
                file.write(seen[where == number].tobytes())
        self._seen, self._held = [], 0


def _repeated(seen: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return the numbers of the documents whose hash is also that of a document with a lower number."""
    ordered = seen[np.lexsort((seen["number"], seen["two"], seen["one"]))]
    again = (ordered["one"][1:] == ordered["one"][:-1]) & (ordered["two"][1:] == ordered["two"][:-1])
    return np.asarray(ordered["number"][1:][again])
