"""A block of a Squid's access log: from bytes to answers, and the lines that could not be read."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from frontierlab.rawlogs.lines import Block, LineCounts, SetAside
from frontierlab.rawlogs.personal import Pseudonyms
from frontierlab.rawlogs.squid.answers import Answers, read_answers
from frontierlab.rawlogs.squid.asked import Asked
from frontierlab.rawlogs.squid.fast_lines import read_lines
from frontierlab.rawlogs.squid.identities import scrubbed_line

__all__ = ["Parsed", "parse"]

_SHOWN = 1_000  # characters of a line that are kept when it is set aside
_TOO_LONG = "a line that is too long"


class Parsed(NamedTuple):
    """A block that was read, still without times in UTC.

    Parameters
    ----------
    block
        The block.
    lines
        Number of its lines.
    answers
        What was read.
    refused
        The number of each other line in the block, from 0, and why it was not read.
    texts
        The beginnings of these lines, without personal data.
    """

    block: Block
    lines: int
    answers: Answers
    refused: list[tuple[int, str]]
    texts: list[bytes]

    def counts(self) -> LineCounts:
        """Return what became of the lines."""
        used = self.answers.rows.num_rows + self.answers.others.total()
        return LineCounts(self.lines, used, 0, Counter(why for _, why in self.refused))

    def set_aside(self, aside: SetAside) -> None:
        """Set the lines aside that were not read."""
        for (number, why), text in zip(self.refused, self.texts, strict=True):
            aside.add(why, self.block.file, self.block.first + number, text)


def parse(block: Block, asked: Asked, pseudonyms: Pseudonyms) -> Parsed:
    """Read the lines of a block; several threads may do so at the same time."""
    lines = _lines_of(block.data)
    tables, refused = read_lines(lines)
    cut = {number - block.first for number in block.cut}
    if cut:  # the rest of such a line is gone, so that what was read of it is none
        tables = [one.filter(pa.array(~np.isin(one["number"].to_numpy(), list(cut)))) for one in tables]
        refused = [one for one in refused if one[0] not in cut] + [(number, _TOO_LONG) for number in sorted(cut)]
    texts = lines.take(pa.array([number for number, _ in refused], pa.int64())).to_pylist()
    kept = [scrubbed_line(text[:_SHOWN], pseudonyms).rstrip("\n").encode() for text in texts]
    return Parsed(block, len(lines), read_answers(tables, asked, pseudonyms), refused, kept)


def _lines_of(data: bytes) -> pa.Array:
    """Return the lines of a block as strings, without copying them; each has its end of line."""
    if not data.isascii():
        try:
            data.decode()
        except UnicodeDecodeError:  # such bytes are written as \xNN, so that one line cannot spoil the others
            data = data.decode("utf-8", "backslashreplace").encode()
    ends = np.flatnonzero(np.frombuffer(data, np.uint8) == 10) + 1
    offsets = np.concatenate([[0], ends]).astype(np.int32)
    return pa.StringArray.from_buffers(len(ends), pa.py_buffer(offsets), pa.py_buffer(data))
