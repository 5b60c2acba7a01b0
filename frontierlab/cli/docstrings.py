"""Parts of numpydoc docstrings, for the help of commands that are made from functions."""

from __future__ import annotations

import re
from inspect import cleandoc

__all__ = ["bare", "parameters", "section", "summary"]

_TITLE = re.compile(r"(?m)^(?P<title>[A-Z]\w+)\n-{3,}\n")


def bare(text: str) -> str:
    """Return a text without the marks of reStructuredText."""
    return text.replace("``", "").replace("`", "").replace("\\\\", "")


def summary(doc: str | None) -> str:
    """Return the text before the first section."""
    return _TITLE.split(cleandoc(doc or ""))[0].strip()


def section(doc: str | None, title: str) -> str:
    """Return the text of a section; empty if there is none."""
    parts = _TITLE.split(cleandoc(doc or ""))
    return dict(zip(parts[1::2], parts[2::2], strict=True)).get(title, "").strip("\n")


def parameters(doc: str | None) -> dict[str, str]:
    """Return the description of each parameter in one line."""
    found = {}
    for block in re.split(r"(?m)^(?=\S)", section(doc, "Parameters")):
        names, _, text = block.partition("\n")
        for name in filter(None, names.partition(":")[0].replace(" ", "").split(",")):
            found[name] = bare(" ".join(text.split()))
    return found
