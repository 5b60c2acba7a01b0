"""Answers of searches in a text: how they begin, and what they say about their completeness."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import msgspec

from frontierlab.errors import InvalidRequestError
from frontierlab.exports.json_tokens import MEMBER, NOT_JSON, skip_spaces, value_end

__all__ = ["AnswerFacts", "ErrorAnswer", "is_answer", "may_be_answer"]

_LONGEST_NAME = 1_000  # bytes within which the name of a member ends
# members of the answer to a search, a multi-search or a scroll, and of its `hits`
_KEYS = (
    *("took", "timed_out", "terminated_early", "num_reduce_phases", "_scroll_id", "pit_id", "_shards", "_clusters"),
    *("hits", "responses", "aggregations", "profile", "suggest", "status", "error", "total", "max_score"),
)
_ANSWER = re.compile(rb'\{\s*+"(?:' + "|".join(_KEYS).encode() + rb')"\s*+:')


class ErrorAnswer(InvalidRequestError):
    """The text is the body of an error instead of a search's answer."""


@dataclass
class AnswerFacts:
    """Facts about the answers of searches in a text.

    Parameters
    ----------
    answers
        Number of answers.
    hits
        Number of documents in the answers.
    total
        Number of documents that the largest search found; a lower bound if `at_least` is true.
    problems
        Reasons why an answer is partial, such as ``timed out``.
    cut_short
        The text ends within an array or an answer.
    has_ids
        Documents have an `_id`.
    """

    answers: int = 0
    hits: int = 0
    total: int = 0
    at_least: bool = False
    problems: list[str] = field(default_factory=list)
    cut_short: bool = False
    has_ids: bool = False

    def note(self, key: str, value: bytes) -> None:
        """Record what an answer says about its completeness."""
        try:
            said: Any = msgspec.json.decode(value)
        except NOT_JSON:
            return
        if key == "error":
            raise ErrorAnswer(value[:200].decode("utf-8", "replace"))
        if key == "timed_out" and said is True:
            self.problems.append("timed out")
        if key == "_shards" and isinstance(said, dict) and said.get("failed"):
            self.problems.append(f"{said['failed']} of {said.get('total')} shards failed")
        if key == "terminated_early" and said is True:
            self.problems.append("ended early")
        if key == "_clusters" and isinstance(said, dict):
            away = [f"{said[state]} {state}" for state in ("skipped", "partial", "failed") if said.get(state)]
            if away:
                self.problems.append(f"of {said.get('total')} clusters {', '.join(away)}")
        if key == "total":
            count = said.get("value") if isinstance(said, dict) else said
            if isinstance(count, int):
                self.total = max(self.total, count)
                self.at_least |= isinstance(said, dict) and said.get("relation") == "gte"


def may_be_answer(text: bytes, at: int = 0) -> bool:
    """Whether the object at a position begins with a member that answers have."""
    return _ANSWER.match(text, at) is not None


def is_answer(text: bytes, at: int) -> bool | None:
    """Whether an object is an answer: it has hits or responses, and only members of answers before them."""
    at, error = at + 1, b""
    while True:
        at = skip_spaces(text, at)
        if text[at : at + 1] == b"}":
            if error:
                raise ErrorAnswer(error[:200].decode("utf-8", "replace"))
            return False
        member = MEMBER.match(text, at)
        if member is None:
            return None if len(text) - at < _LONGEST_NAME else False
        key, at = member[1].decode("utf-8", "replace"), member.end()
        if key not in _KEYS:
            return False
        if (key == "hits" and text[at : at + 1] in (b"{", b"[")) or (key == "responses" and text[at : at + 1] == b"["):
            return True
        after = value_end(text, at)
        if after is None:
            return None
        if key == "error":
            error = text[at:after]
        at = after
