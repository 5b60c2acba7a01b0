"""Export files: JSON documents in lines, in an array, in answers of searches, or as elasticdump writes them."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from frontierlab.errors import InvalidRequestError
from frontierlab.exports.action_lines import is_action_line
from frontierlab.exports.encodings import text_blocks
from frontierlab.exports.json_text import Document, DocumentSplitter
from frontierlab.exports.json_tokens import NOT_JSON
from frontierlab.exports.repeats import Repeats
from frontierlab.exports.rounded import RoundedNumbers
from frontierlab.exports.search_answers import AnswerFacts, ErrorAnswer

__all__ = ["ExportFile", "Survey"]

_BLOCK = 4_000_000  # bytes: about ten thousand documents
_FEW = 1_000  # first documents, at least one of which must have a time
_ZEROS = re.compile(rb"\0+")
_USUAL_IDS = re.compile(rb'\{"_index":("[^"\\]*+"),(?:"_type":"[^"\\]*+",)?"_id":("[^"\\]++")')


class _Identified(msgspec.Struct):
    index: msgspec.Raw = msgspec.field(name="_index", default=msgspec.Raw())
    id: msgspec.Raw = msgspec.field(name="_id", default=msgspec.Raw())


@dataclass
class _Facts:
    """Facts about a file that reading its documents shows."""

    zeros: int = 0
    answers: AnswerFacts = field(default_factory=AnswerFacts)

    def partial(self) -> list[str]:
        """Return sentences about documents that the file lacks."""
        answers, found = self.answers, []
        if self.zeros:
            found.append(
                f"The file has {self.zeros:,} zero bytes, as after a crash of the machine that wrote it: the documents "
                "in their place are lost."
            )
        if answers.cut_short:
            found.append("The file ends within an array or an answer: documents at its end are missing.")
        if answers.problems:
            found.append(f"Answers in the file are partial: {', '.join(dict.fromkeys(answers.problems))}.")
        if answers.hits < answers.total or (answers.at_least and answers.hits <= answers.total):
            more = "at least " if answers.at_least else ""
            found.append(
                f"The answers in the file hold {answers.hits:,} documents, but the search found {more}"
                f"{answers.total:,}: save its other pages too."
            )
        return found


class Survey(NamedTuple):
    """The result of a first pass over a file.

    Parameters
    ----------
    number
        Number of documents, including malformed and repeated ones.
    digest
        Hash of the text of the documents.
    repeats
        The documents with the `_index` and `_id` of an earlier one.
    partial
        Sentences about documents that the file lacks.
    """

    number: int
    digest: str
    repeats: Repeats
    partial: list[str]


class ExportFile:
    """A file of documents.

    Parameters
    ----------
    path
        JSON text in UTF-8, UTF-16 or UTF-32, plain or compressed by gzip, Zstandard, xz, bzip2, lz4 or zlib, or the
        only file in a zip archive. The text has one document per line, documents one after another, an array of
        documents, lines of elasticdump, answers of searches, or the body of a call of the bulk API. All this is found
        from the content.

    Attributes
    ----------
    is_bulk
        Whether the file is the body of a bulk call, with lines of actions between the documents.

    Raises
    ------
    InvalidRequestError
        The file does not exist, cannot be read, is empty, or has no documents; the message says what it looks like.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        first: list[Document] = []
        for documents in itertools.islice(self.blocks(size=_BLOCK // 4), 4):
            first += documents
            if len(first) >= _FEW:
                break
        if not first:
            raise InvalidRequestError(
                f"{path} holds no documents: it is empty, or an answer without hits. Export the documents again."
            )
        self._require_documents(first[:_FEW])
        self.is_bulk = is_action_line(first[0])

    def identity(self) -> tuple[int, ...]:
        """Return numbers that change when the file is replaced or written to."""
        status = self.path.stat()
        return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns

    def blocks(self, facts: _Facts | None = None, size: int | None = None) -> Generator[list[Document]]:
        """Yield the documents of blocks of `size` bytes, by default about ten thousand; never an empty list.

        Documents of valid JSON are `msgspec.Raw`, others bytes.

        Raises
        ------
        InvalidRequestError
            The file cannot be read completely, or has the body of an error.
        """
        facts = facts or _Facts()
        splitter = DocumentSplitter()
        facts.answers = splitter.facts
        try:
            for text in text_blocks(self.path, size or _BLOCK):
                if b"\0" in text:
                    facts.zeros += text.count(b"\0")
                    text = _ZEROS.sub(b"\n", text)
                if documents := splitter.feed(text):
                    yield documents
            if documents := splitter.feed(b"", last=True):
                yield documents
        except ErrorAnswer as error:
            raise InvalidRequestError(
                f"{self.path} holds the error message of a server instead of documents: {error}. Export the documents "
                "again."
            ) from None

    def _require_documents(self, documents: list[Document]) -> None:
        """Refuse a file if none of its first documents has a time; the message says what the file looks like."""
        shown = bytes(documents[0])[:60].decode("utf-8", "backslashreplace")
        objects = []
        for document in documents:
            try:
                value = json.loads(bytes(document))
            except (ValueError, RecursionError):
                continue
            if isinstance(value, dict):
                if "@timestamp" in value or isinstance(value.get("_source"), dict):
                    return
                objects.append(value)
        if not objects and any(b'"@timestamp"' in bytes(document) for document in documents):
            return  # damaged, but documents
        if not objects:
            raise InvalidRequestError(
                f"{self.path} holds no JSON documents. It begins with {shown!r}. Valid: JSON documents, not CSV and "
                "not the lines of a log."
            )
        raise InvalidRequestError(f"{self.path} {_looks_like(objects)}. It begins with {shown!r}.")

    def survey(self) -> Survey:
        """Read the file once: count its documents, and find repeated, rounded and missing ones.

        Raises
        ------
        InvalidRequestError
            The file cannot be read completely, or its large integers were rounded.
        """
        digest, count, facts, repeats, rounded = (
            hashlib.blake2b(digest_size=16),
            0,
            _Facts(),
            Repeats(),
            RoundedNumbers(),
        )
        for documents in self.blocks(facts):
            text = b"\n".join([*documents, b""])
            digest.update(text)
            rounded.look(text)
            if facts.answers.has_ids:
                repeats.add(*_ids(documents, count))
            count += len(documents)
        repeats.close()
        partial = facts.partial()
        if rounded.is_sure:
            raise InvalidRequestError(
                f"The integers beyond 2^53 in {self.path} were rounded by the program that wrote it: {rounded}. "
                "Its intervals of validity are wrong. Write the file again without rounding (elasticdump: with "
                "--support-big-int), or extract from Elasticsearch."
            )
        if rounded.examples and not rounded.exact:
            partial.append(f"Integers beyond 2^53 may have been rounded by the program that wrote the file: {rounded}.")
        return Survey(count, digest.hexdigest(), repeats, partial)


def _ids(documents: list[Document], first: int) -> tuple[list[int], list[bytes]]:
    """Return the numbers and the ids of the documents that have an id."""
    numbers, ids = [], []
    for number, document in enumerate(documents, first):
        usual = _USUAL_IDS.match(document)  # takes a third of the time of decoding
        if id := usual[1] + usual[2] if usual else _id(document):
            numbers.append(number)
            ids.append(id)
    return numbers, ids


def _id(document: Document) -> bytes:
    try:
        found = msgspec.json.decode(document, type=_Identified)
    except NOT_JSON:
        return b""
    id = bytes(found.id)
    return bytes(found.index) + id if id not in (b"", b"null", b'""') else b""


def _looks_like(objects: list[dict[str, Any]]) -> str:
    """Describe documents without a time, for a message."""
    first = objects[0]
    inner = next((value for value in first.values() if isinstance(value, dict)), {})
    if any("fields" in value for value in objects) and any("_id" in value or "_index" in value for value in objects):
        return 'holds hits with `fields` and without `_source`: search again with "_source": true, and save the answer'
    if {"mappings", "settings", "aliases", "analysis"} & {*first, *inner}:
        return "holds the mapping or the settings of an index instead of its documents (elasticdump: use --type=data)"
    return f"holds no document with @timestamp among the first {len(objects):,}"
