"""Decompress a file. The kind of the file is found from its content, never from its name."""

from __future__ import annotations

import bz2
import itertools
import lzma
import struct
import zipfile
import zlib
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import pyarrow as pa

from frontierlab.errors import InvalidRequestError

__all__ = ["SNIFFED", "compression_of", "decompressed", "is_compressed"]

SNIFFED = 600
"""Number of bytes at the start of a file that show its kind; the mark of a tar archive is at 257."""

_CHUNK = 262_144  # bytes of compressed data at a time
_JSON = "JSON text"


class _Kind(NamedTuple):
    """A kind of file that is not text.

    Parameters
    ----------
    name
        The name of the kind, for messages.
    mark
        The bytes that identify the kind.
    at
        The position of `mark` in the file.
    advice
        What the user can do with a refused file; empty if the valid kinds are to be named.
    """

    name: str
    mark: bytes
    at: int = 0
    advice: str = ""


_COMPRESSED = (
    _Kind("gzip", b"\x1f\x8b"),
    _Kind("Zstandard", b"\x28\xb5\x2f\xfd"),
    _Kind("xz", b"\xfd7zXZ\x00"),
    _Kind("bzip2", b"BZh"),
    _Kind("lz4", b"\x04\x22\x4d\x18"),
    _Kind("zip", b"PK\x03\x04"),
)
_UNPACK = "unpack it first"
_EXPORT = "export the documents as JSON"
_REFUSED = (
    _Kind("Parquet", b"PAR1", advice="frontierlab.datasets.import_parquet reads it"),
    _Kind("ORC", b"ORC", advice=_EXPORT),
    _Kind("SQLite", b"SQLite format 3", advice=_EXPORT),
    _Kind("DuckDB", b"DUCK", 8, _EXPORT),
    _Kind("Avro", b"Obj\x01", advice=_EXPORT),
    _Kind("Arrow", b"ARROW1", advice=_EXPORT),
    _Kind("Feather", b"FEA1", advice=_EXPORT),
    _Kind("HDF5", b"\x89HDF", advice=_EXPORT),
    _Kind("PDF", b"%PDF"),
    _Kind("tar", b"ustar", 257, _UNPACK),
    _Kind("zip, empty or split", b"PK", advice=_UNPACK),
    _Kind("7z", b"7z\xbc\xaf\x27\x1c", advice=_UNPACK),
    _Kind("rar", b"Rar!", advice=_UNPACK),
    _Kind("lzip", b"LZIP", advice=_UNPACK),
    _Kind("lzma", b"\x5d\x00\x00", advice=_UNPACK),
    _Kind("lzop", b"\x89LZO", advice=_UNPACK),
    _Kind("compress (.Z)", b"\x1f\x9d", advice=_UNPACK),
    _Kind("old lz4", b"\x02\x21\x4c\x18", advice=_UNPACK),
    _Kind("snappy", b"\xff\x06\x00\x00sNaPpY", advice=_UNPACK),
)


def decompressed(path: Path, content: str = _JSON) -> Generator[bytes]:
    """Yield the bytes of a file, decompressed if needed; never an empty piece.

    Parameters
    ----------
    path
        The file.
    content
        The text that the file should hold, for messages. A file of JSON text that begins with ``<`` is refused.

    Raises
    ------
    InvalidRequestError
        The file does not exist, is not a regular file, may not be read, or is of a kind without text; or its
        compressed data is damaged or cut short. The message says after how many bytes.
    """
    _require_file(path, content)
    try:
        with path.open("rb") as file:
            start = file.read(SNIFFED)
            _require_text(path, start, content)
            name = compression_of(file, start)
            file.seek(0)
            pieces = _pieces(path, file, name)
            if name:
                start = b""
                while len(start) < SNIFFED and (piece := next(pieces, b"")):
                    start += piece
                _require_text(path, start, content, inside=name)
                pieces = itertools.chain([start] if start else [], pieces)
            yield from pieces
    except OSError as error:
        raise InvalidRequestError(f"{path} cannot be read: {error.strerror or error}.") from error


def is_compressed(start: bytes) -> bool:
    """Whether a file that begins with these bytes is compressed; `SNIFFED` bytes are enough."""
    return bool(_compressed(start))


def _valid(content: str) -> str:
    """Name the files that can be read."""
    return (
        f"Valid: {content}, plain or compressed by gzip, Zstandard, xz, bzip2, lz4 or zlib, or alone in a zip archive"
    )


def _require_text(path: Path, start: bytes, content: str, inside: str = "") -> None:
    """Refuse a file whose first bytes, before or after decompression, are not text."""
    what = f"{path} holds, compressed by {inside}," if inside else f"{path} is"
    if inside and (name := _compressed(start)):
        raise InvalidRequestError(f"{what} a file of {name}: it is compressed twice. Decompress it once.")
    for kind in _REFUSED:
        if start[kind.at :].startswith(kind.mark) and not _compressed(start):
            raise InvalidRequestError(f"{what} a file of {kind.name}: {kind.advice or _valid(content)}.")
    if content == _JSON and start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        raise InvalidRequestError(
            f"{what} HTML or XML instead of JSON text. It begins with {start.lstrip()[:40]!r}; it may be the error "
            "page of a server. Export the documents again."
        )


def _require_file(path: Path, content: str) -> None:
    """Refuse a path that is not a regular file. Opening a pipe without a writer would block for ever."""
    try:
        if path.is_dir():
            raise InvalidRequestError(f"{path} is a folder. Valid: one file.")
        if path.exists() and not path.is_file():
            raise InvalidRequestError(
                f"{path} is a pipe or a device, which cannot be read twice. Write the data to a regular file."
            )
    except OSError as error:
        raise InvalidRequestError(f"{path} cannot be read: {error.strerror or error}.") from error
    if not path.exists():
        raise InvalidRequestError(f"There is no file {path}. {_valid(content)}.")


def _compressed(start: bytes) -> str:
    """Return the name of the compression that begins with these bytes; empty if there is none."""
    for kind in _COMPRESSED:
        if start.startswith(kind.mark):
            return kind.name
    is_zlib = len(start) > 1 and start[0] == 0x78 and int.from_bytes(start[:2], "big") % 31 == 0
    return "zlib" if is_zlib else ""


def compression_of(file: BinaryIO, start: bytes) -> str:
    """Return the name of the file's compression, or an empty text; skips leading frames of Zstandard and lz4."""
    place = 0
    while len(start) >= 8 and start[1:4] == b"\x2a\x4d\x18" and 0x50 <= start[0] <= 0x5F:
        place += 8 + struct.unpack("<I", start[4:8])[0]
        file.seek(place)
        start = file.read(SNIFFED)
    return _compressed(start)


def _pieces(path: Path, file: BinaryIO, name: str) -> Iterator[bytes]:
    read: dict[str, Callable[[], Iterator[bytes]]] = {
        "": lambda: iter(lambda: file.read(_CHUNK), b""),
        "gzip": lambda: _members(file, lambda: zlib.decompressobj(31)),
        "zlib": lambda: _members(file, lambda: zlib.decompressobj(15)),
        "xz": lambda: _members(file, lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ)),
        "bzip2": lambda: _members(file, bz2.BZ2Decompressor),
        "Zstandard": lambda: _by_arrow(file, "zstd"),
        "lz4": lambda: _by_arrow(file, "lz4"),
        "zip": lambda: _member_of_zip(path, file),
    }
    try:
        yield from read[name]()
    except (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, NotImplementedError) as error:
        if not name:
            raise
        raise InvalidRequestError(
            f"{path} cannot be read to its end: its {name} data is damaged or cut short near byte {file.tell():,} of "
            f"{path.stat().st_size:,} ({error}). Copy or export the file again."
        ) from error


def _members(file: BinaryIO, begin: Callable[[], Any]) -> Iterator[bytes]:
    """Decompress the members of a file one after another; zeros between members, as tapes write them, are skipped."""
    work, data = begin(), b""
    while data or (data := file.read(_CHUNK)):
        if work.eof:
            data = data.lstrip(b"\0")
            if not data:
                continue
            work = begin()
        if piece := work.decompress(data, 16 * _CHUNK):
            yield piece
        data = work.unused_data if work.eof else getattr(work, "unconsumed_tail", b"")
        while not work.eof and not getattr(work, "needs_input", True):
            yield work.decompress(b"", 16 * _CHUNK)
            data = work.unused_data
    while not work.eof and (piece := work.decompress(b"", 16 * _CHUNK)):
        yield piece
    if not work.eof:
        raise EOFError("the data ends too early")


def _by_arrow(file: BinaryIO, name: str) -> Iterator[bytes]:
    stream = pa.CompressedInputStream(pa.PythonFile(file, "r"), name)  # not closed here: closing it closes the file
    while piece := stream.read(16 * _CHUNK):
        yield piece


def _member_of_zip(path: Path, file: BinaryIO) -> Iterator[bytes]:
    with zipfile.ZipFile(file) as archive:
        members = [
            member
            for member in archive.infolist()
            if not member.is_dir() and not member.filename.startswith("__MACOSX/")
        ]
        if len(members) != 1:
            names = ", ".join(member.filename for member in members[:5])
            raise InvalidRequestError(f"{path} is a zip archive of {len(members)} files ({names}): {_UNPACK}.")
        if members[0].flag_bits & 1:
            raise InvalidRequestError(f"{path} is a zip archive with a password: {_UNPACK}.")
        with archive.open(members[0]) as member:
            while piece := member.read(16 * _CHUNK):
                yield piece
