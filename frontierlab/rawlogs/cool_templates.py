"""COOL SQL with stand-ins for its schema, instance and folder: what is equal in queries of different folders.

COOL names a folder's tables by the schema, the instance and the folder's number: ``CONDBR2_F0003_IOVS``. Queries of
hundreds of folders have few structures, so each is parsed once, with stand-ins for these names.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from frontierlab.rawlogs.cool_structure import Structure

__all__ = ["Names", "named", "template_of"]

_OF_FOLDER = re.compile(r"([A-Z][A-Z0-9]{0,15})_F(\d{4,9})_([A-Z][A-Z0-9_]*)")
_INSTANCE, _SCHEMA, _FOLDER = "STANDIN", "STANDIN_COOL", "0000"


class Names(NamedTuple):
    """The names that a statement's tables have; ``schema`` is None where they are named without one."""

    instance: str
    schema: str | None
    folder: int


def template_of(tokens: list[str]) -> tuple[list[str], Names] | None:
    """Return the words of a statement with stand-ins, and the names that they stand for.

    Parameters
    ----------
    tokens
        The words of the statement, in upper case.

    Returns
    -------
    tuple
        None if its tables are of several folders or schemas, or if it reads other tables too.
    """
    found = [(place, match) for place, word in enumerate(tokens) if (match := _OF_FOLDER.fullmatch(word)) is not None]
    schemas = {place - 2 for place, _ in found if place > 1 and tokens[place - 1] == "."}
    names = {(match[1], match[2]) for _, match in found}
    if len(names) != 1 or len({tokens[place] for place in schemas}) > 1 or len(schemas) not in (0, len(found)):
        return None
    template = [*tokens]
    for place, match in found:
        template[place] = f"{_INSTANCE}_F{_FOLDER}_{match[3]}"
    for place in schemas:
        template[place] = _SCHEMA
    instance, number = names.pop()
    schema = tokens[min(schemas)] if schemas else None
    places = {*schemas, *(place for place, _ in found)}
    if any(
        word in (instance, schema) or word.startswith((f"{instance}_", _INSTANCE))
        for place, word in enumerate(tokens)
        if place not in places
    ):
        return None  # a name also stands for something else, or for another table
    return template, Names(instance, schema, int(number))


def named(structure: Structure, names: Names) -> Structure:
    """Return the structure of a template with the names of a statement."""
    return structure._replace(
        instance=names.instance if structure.instance is not None else None,
        schema=names.schema if structure.schema is not None else None,
        folder=names.folder if structure.folder is not None else None,
    )
