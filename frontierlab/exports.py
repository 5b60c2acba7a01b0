"""Export files: one JSON document a line, plain or as elasticdump writes them, also gzip and Zstandard."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Generator
from pathlib import Path
from typing import NamedTuple

import msgspec
import pyarrow as pa

from frontierlab.errors import InvalidRequestError

__all__ = ["ExportFile", "LineStream", "Lines", "unwrapped"]

_BLOCK = 4_000_000  # bytes: about ten thousand documents
_MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}


_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class _Wrapped(msgspec.Struct):
    source: msgspec.Raw = msgspec.field(name="_source")


class Lines(NamedTuple):
    """What a first pass over the file found: lines that are not blank, and a digest of the text."""

    number: int
    digest: str


class ExportFile:
    """A file of documents, one a line.

    Parameters
    ----------
    path
        Plain text, gzip or Zstandard; which one, its first bytes say.

    Raises
    ------
    InvalidRequestError
        There is no such file, it is empty, or it holds one JSON array instead of lines.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.is_file():
            raise InvalidRequestError(f"There is no file {path}. Valid: an export file, plain, gzip or Zstandard.")
        with path.open("rb") as file:
            start = file.read(4)
        if start == b"PAR1":
            raise InvalidRequestError(f"{path} is a Parquet file: frontierlab.datasets.import_parquet reads it.")
        self._compression = next((name for magic, name in _MAGIC.items() if start.startswith(magic)), None)
        if not next(self.blocks(), []):
            raise InvalidRequestError(f"{path} holds no documents: it has no line that is not blank.")

    def blocks(self) -> Generator[list[bytes]]:
        """Yield the lines that are not blank, a block at a time; never an empty list.

        Raises
        ------
        InvalidRequestError
            The compressed data is damaged or cut short, or the file holds a JSON array.
        """
        rest, first = b"", True
        try:
            with pa.input_stream(str(self.path), compression=self._compression) as stream:
                while block := stream.read(_BLOCK):
                    if first:
                        block, first = block.removeprefix(_BYTE_ORDER_MARK), False
                        self._refuse_array(block)
                    lines = (rest + block).split(b"\n")
                    rest = lines.pop()
                    if lines := [line for line in lines if line and not line.isspace()]:
                        yield lines
        except OSError as error:
            raise InvalidRequestError(f"{self.path} cannot be read to its end: {error}.") from error
        if rest and not rest.isspace():
            yield [rest]

    def _refuse_array(self, beginning: bytes) -> None:
        """Refuse an array before its line, which can be all of the file, is read to the end."""
        if beginning.lstrip().startswith(b"["):
            raise InvalidRequestError(
                f"{self.path} holds a JSON array, not one document a line: jq -c '.[]' makes lines of it."
            )

    def survey(self) -> Lines:
        """Count the lines and take a digest of them, in one pass."""
        digest, count = hashlib.blake2b(digest_size=16), 0
        for lines in self.blocks():
            count += len(lines)
            digest.update(b"\n".join([*lines, b""]))
        return Lines(count, digest.hexdigest())


class LineStream:
    """Hands out ranges of a file's lines to several threads, always forward.

    Parameters
    ----------
    file
        The file; it is read once, a block at a time.
    """

    def __init__(self, file: ExportFile) -> None:
        self._blocks = file.blocks()
        self._lines: list[bytes] = []
        self._first = 0  # the number of the first of these lines
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._blocks.close()

    def take(self, start: int, stop: int) -> list[bytes]:
        """Return the next lines of ``[start, stop)``, or an empty list where all were handed out."""
        with self._lock:
            while self._first + len(self._lines) <= start:
                self._first += len(self._lines)
                self._lines = next(self._blocks, [])
                if not self._lines:
                    return []
            begin = max(0, start - self._first)
            lines = self._lines[begin : max(begin, stop - self._first)]
            self._first += begin + len(lines)
            self._lines = self._lines[begin + len(lines) :]
            if not self._lines:
                self._lines = next(self._blocks, [])
            return lines


def unwrapped(lines: list[bytes]) -> list[bytes]:
    """Return the documents of lines that elasticdump wrote; other lines as they are.

    Lines of both kinds side by side are left to the reader of odd documents.
    """
    try:
        first = msgspec.json.decode(lines[0])
        if isinstance(first, dict) and "_source" in first and "@timestamp" not in first:
            array = b"[" + b",".join(lines) + b"]"
            found = msgspec.json.decode(array, type=list[_Wrapped])
            if len(found) == len(lines):
                return [wrapped.source for wrapped in found]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass  # a damaged line among them: each is read by itself
    return lines
