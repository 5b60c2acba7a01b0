"""The syntax of values in a configuration file: quotes, comments, and several words on a line.

- A value in quotes, ``"…"`` or ``'…'``, is the text between them; a quote of the same kind inside is doubled.
- Outside quotes, a ``#`` after white space begins a comment. In a secret it could also be part of the value, so such a
  line is refused: put the secret in quotes, or the comment on its own line.
- Several words can each be in quotes, or all together.
- Options (``name=value``) are split like in a shell.
"""

from __future__ import annotations

import re
from typing import Literal

__all__ = ["Form", "read_value", "write_value"]

Form = Literal["text", "words", "options"]
"""The form of a field: one text, several words, or several options."""

_QUOTED = re.compile(
    r"""\s*(?P<quote>["'])(?P<inside>(?:(?!(?P=quote)).|(?P=quote){2})*)(?P=quote)(?P<rest>.*)""", re.S
)
_WORD = re.compile(
    r"""[\s,]*(?:(?<=\s)(?P<comment>\#.*)
              | (?P<quote>["'])(?P<inside>.*?)(?P=quote)(?![^\s,])
              | (?P<plain>[^\s,"'][^\s,]*))""",
    re.S | re.X,
)
_COMMENT = re.compile(r"\s#")
_COMMENT_OR_QUOTED = re.compile(r"""\\.|"(?:\\.|[^"\\])*"|'[^']*'|(?P<comment>\s\#)""", re.S)
_UNMATCHED = (
    "its quotes do not match: leave them out, or put the whole value in quotes of one kind and write a quote of that "
    "kind twice inside"
)
_UNCLEAR = "a # after a space: put the whole value in quotes if the # is part of it, or the comment on its own line"


def read_value(written: str, form: Form = "text", *, secret: bool = False) -> str:
    """Return the value of a line.

    Parameters
    ----------
    written
        The text after the equals sign.
    form
        The form of the field. Words and options are returned as one text without the comment.
    secret
        Refuse a ``#`` that can begin a comment or be part of the value.

    Raises
    ------
    ValueError
        The quotes do not match, or `secret` refuses the value. The message does not show the value.
    """
    if form == "words":
        return _words(written)
    if form == "text" and written.lstrip().startswith(("'", '"')):
        found = _QUOTED.fullmatch(written)
        if found is None or not re.fullmatch(r"\s*|\s+#.*", found["rest"], re.S):
            raise ValueError(_UNMATCHED)
        return found["inside"].replace(found["quote"] * 2, found["quote"])
    starts = [found.start() for found in _comments(written, form)]
    if starts and secret:
        raise ValueError(_UNCLEAR)
    return written[: starts[0] if starts else None].strip()


def write_value(value: str, form: Form = "text", *, secret: bool = False) -> str:
    """Return the text of a line from which `read_value` returns the same value.

    Raises
    ------
    ValueError
        The value has a line break or a null character. The message does not show the value.
    """
    if {*value} & {*"\n\r\0"}:
        raise ValueError("a line cannot hold a value with a line break or a null character")
    quote = "'" if '"' in value and "'" not in value else '"'
    for written in (value, f"{quote}{value.replace(quote, quote * 2)}{quote}"):
        try:
            if read_value(f" {written}", form, secret=secret) == value:
                return written
        except ValueError:
            continue
    raise ValueError("a line cannot hold this value")


def _comments(written: str, form: Form) -> list[re.Match[str]]:
    if form == "options":
        return [found for found in _COMMENT_OR_QUOTED.finditer(written) if found["comment"]]
    return [*_COMMENT.finditer(written)]


def _words(written: str) -> str:
    words: list[str] = []
    place = 0
    while written[place:].replace(",", " ").strip():
        found = _WORD.match(written, place)
        if found is None:
            raise ValueError(_UNMATCHED)
        if found["comment"]:
            break
        words.append(found["plain"] or found["inside"])
        place = found.end()
    return " ".join(words)
