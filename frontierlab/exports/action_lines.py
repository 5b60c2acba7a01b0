"""The action lines of a file for the bulk API, which tell what to do with the document after them."""

from __future__ import annotations

import re

from frontierlab.exports.json_text import Document

__all__ = ["is_action_line"]

# an object with nothing but the name of an action and its parameters
_ACTION = re.compile(rb'\{\s*+"(?:index|create|update|delete)"\s*+:\s*+\{[^{}]*+\}\s*+\}\s*+')


def is_action_line(document: Document) -> bool:
    """Whether a line is an action instead of a document."""
    return _ACTION.fullmatch(document) is not None
