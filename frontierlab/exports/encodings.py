"""Read the text of a file as UTF-8, from any supported compression and encoding."""

from __future__ import annotations

import codecs
import itertools
import re
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import BinaryIO

from frontierlab.errors import InvalidRequestError
from frontierlab.exports.compression import SNIFFED, compression_of, decompressed

__all__ = ["plain_text_at", "text_blocks"]

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16: this mark begins with the mark of UTF-16
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# the first two characters of JSON are ASCII: the positions of zero bytes show the encoding
_ZEROS = (
    (re.compile(rb"[^\0]\0\0\0"), "utf-32-le"),
    (re.compile(rb"\0\0\0[^\0]"), "utf-32-be"),
    (re.compile(rb"[^\0]\0[^\0]\0"), "utf-16-le"),
    (re.compile(rb"\0[^\0]\0[^\0]"), "utf-16-be"),
)


def text_blocks(path: Path, size: int, content: str = "JSON text") -> Generator[bytes]:
    """Yield the text of a file in UTF-8, without its byte order mark.

    Bytes that are not UTF-8 stay as they are; the documents with such bytes are malformed.

    Parameters
    ----------
    path
        The file: UTF-8, UTF-16 or UTF-32, compressed or not.
    size
        Approximate size of a block in bytes; a block is never empty.
    content
        The text that the file should hold, for messages.

    Raises
    ------
    InvalidRequestError
        The file cannot be read, is not text, or ends within a character; see `frontierlab.exports.compression`.
    """
    pieces = decompressed(path, content)
    start = b""
    while len(start) < SNIFFED and (piece := next(pieces, b"")):
        start += piece
    encoding, mark = _encoding(start)
    blocks = _gathered(itertools.chain([start[mark:]], pieces), size)
    if encoding == "utf-8":
        yield from blocks
        return
    decoder = codecs.getincrementaldecoder(encoding)("surrogatepass")
    try:
        for block in blocks:
            if text := decoder.decode(block):
                yield text.encode("utf-8", "surrogatepass")
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise InvalidRequestError(
            f"{path} cannot be read to its end: its {encoding.upper()} text ends within a character, or has bytes that "
            f"are not a character ({error.reason}). Export the file again."
        ) from None


def plain_text_at(file: BinaryIO) -> int | None:
    """Return where the text of a file begins that is UTF-8 and not compressed, behind its byte order mark.

    Parameters
    ----------
    file
        The file, open at any place, which is changed. Whether it holds text at all is not looked at.

    Returns
    -------
    int
        None for every other file.
    """
    file.seek(0)
    start = file.read(SNIFFED)
    if compression_of(file, start):
        return None
    encoding, mark = _encoding(start)
    return mark if encoding == "utf-8" else None


def _encoding(start: bytes) -> tuple[str, int]:
    """Return the encoding of a text, and the length of its byte order mark."""
    for mark, name in _MARKS:
        if start.startswith(mark):
            return name, len(mark)
    for zeros, name in _ZEROS:
        if zeros.match(start):
            return name, 0
    return "utf-8", 0


def _gathered(pieces: Iterator[bytes], size: int) -> Iterator[bytes]:
    """Cut and join pieces into blocks of about `size` bytes."""
    waiting: list[bytes] = []
    for piece in pieces:
        for at in range(0, len(piece), size):
            waiting.append(piece[at : at + size])
            if sum(map(len, waiting)) >= size:
                yield b"".join(waiting)
                waiting = []
    if waiting:
        yield b"".join(waiting)
