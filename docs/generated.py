"""Pages that the code gives: the settings, and the reference of each public module."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic_core import PydanticUndefined
from sphinx.application import Sphinx

import frontierlab
from frontierlab import errors
from frontierlab.settings import Settings

MODULES = {
    "frontierlab": "the calls of every day",
    "frontierlab.filters": "questions to query logs, each answered by a frame",
    "frontierlab.plots": "a figure for each question",
    "frontierlab.diagnosis": "what went wrong, without being asked",
    "frontierlab.caching": "which folders are badly cached, why, and what would help",
    "frontierlab.caching.history": "caching figures over weeks",
    "frontierlab.checks": "what operators look at every hour",
    "frontierlab.datasets": "what is stored",
    "frontierlab.catalogues": "the catalogue of folders and tags",
    "frontierlab.coolr": "the conditions service",
    "frontierlab.jobs": "work that takes long",
    "frontierlab.nights": "what is done every night",
    "frontierlab.rawlogs": "servlet logs, request URLs and COOL SQL",
    "frontierlab.rawlogs.squid": "what Squids answered, from their own logs",
    "frontierlab.contents": "the folders and tasks of a dataset",
    "frontierlab.connections": "whether the services answer",
    "frontierlab.sample": "the embedded sample, and days with known incidents",
    "frontierlab.schema": "the columns of a dataset",
    "frontierlab.losses": "what an extraction lacks",
    "frontierlab.spark": "Spark sessions",
    "frontierlab.errors": "the errors",
    "frontierlab_widgets": "the panels",
}
"""The public modules, and what each is for."""

_COLUMN = re.compile(r"\s{4,}[\w, …*`.]+ : ")
_SHORTEST = 10  # letters of a message that says something by itself
_ABOVE = "Written from the code when the documentation is built.\n"


def setup(app: Sphinx) -> dict[str, Any]:
    """Write the pages before Sphinx reads them."""
    app.connect("builder-inited", lambda app: write(Path(app.srcdir) / "reference"))
    app.connect("autodoc-process-docstring", list_columns, priority=1)  # before napoleon, which reads sections
    return {"parallel_read_safe": True}


def list_columns(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Make a list of the columns of a frame: a docstring has ``name : text`` below the sentence on its rows."""
    at = None  # the indent of the list
    written: list[str] = []
    for line in lines:
        indent = len(line) - len(line.lstrip())
        is_first = bool(written) and not written[-1].strip()
        if _COLUMN.match(line) and (is_first or indent == at):
            at, line = indent, f"{' ' * indent}- {line.strip()}"
        elif at is not None and line.strip() and indent > at:
            line = f"{' ' * at}  {line.strip()}"
        elif at is not None:
            at = None
            written.append("")
        written.append(line)
    lines[:] = written


def write(folder: Path) -> None:
    """Write the pages into a folder; a page that has not changed keeps its time."""
    folder.mkdir(exist_ok=True)
    pages = {
        "settings.md": "".join(settings_page()),
        "api.md": "".join(api_page()),
        "errors.md": "".join(errors_page()),
    }
    pages |= dict(module_pages())
    for name, text in pages.items():
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def settings_page() -> Iterator[str]:
    """Yield a row for each setting: key, default, and what it means."""
    yield f"# Settings\n\n{_ABOVE}\nWhere values come from: [](frontierlab.rst), class `Settings`.\n\n"
    yield "| key | default | meaning |\n|---|---|---|\n"
    for key, field in Settings.model_fields.items():
        default = field.default
        if field.default_factory is not None:
            default = "the user's data folder"
        shown = "" if default in (None, PydanticUndefined, (), {}) else f"`{getattr(default, 'value', default)}`"
        meaning = (field.description or "").replace("|", "\\|")
        yield f"| `{key}` | {shown} | {meaning} |\n"


def api_page() -> Iterator[str]:
    """Yield the list of public modules."""
    yield f"# Reference\n\n{_ABOVE}\n| module | for |\n|---|---|\n"
    for name, purpose in MODULES.items():
        yield f"| [{name}]({name}.rst) | {purpose} |\n"
    listed = "\n".join(f"{name} <{name}>" for name in MODULES)
    yield f"\n```{{toctree}}\n:hidden:\n:maxdepth: 1\n\nsettings\nerrors\n{listed}\n```\n"


def module_pages() -> Iterator[tuple[str, str]]:
    """Yield the file and the text of the page of each public module; an object is on the first that has it."""
    places: dict[int, str] = {}
    for name in MODULES:
        module = importlib.import_module(name)
        members = {one: getattr(module, one) for one in module.__all__}
        own = [
            one
            for one, value in members.items()
            if not isinstance(value, ModuleType | str) and places.setdefault(id(value), name) == name
        ]
        elsewhere = [
            f":py:obj:`{places[id(value)]}.{one}`"
            for one, value in members.items()
            if id(value) in places and one not in own
        ]
        text = f"{name}\n{'=' * len(name)}\n\n.. automodule:: {name}\n"
        text += f"   :members: {', '.join(own)}\n   :imported-members:\n"
        yield f"{name}.rst", f"{text}\nAlso here: {', '.join(elsewhere)}.\n" if elsewhere else text


def errors_page() -> Iterator[str]:
    """Yield the messages of each error, which give the cause, the valid values and the next step."""
    messages: dict[str, set[str]] = {}
    for path in sorted(Path(frontierlab.__file__).parent.rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        for node in _statements(ast.parse(source)) if "raise " in source else ():
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and node.exc.args:
                name, text = ast.unparse(node.exc.func).split(".")[-1], _text(node.exc.args[0])
                if len(re.sub(r"\W", "", text)) > _SHORTEST:
                    messages.setdefault(name, set()).add(text)
    yield f"# Errors\n\n{_ABOVE}\nEvery message gives the cause, the valid values if there are any, and the next step. "
    yield "Here they are by the error that has them, with … for what differs from case to case. All are kinds of "
    yield "`FrontierlabError`, so a program can catch them together.\n"
    for name in errors.__all__:
        yield f"\n## {name}\n\n{inspect.getdoc(getattr(errors, name))}\n\n"
        yield from (f"- {text}\n" for text in sorted(messages.get(name, ()), key=str.casefold))


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the statements in a node, and what holds them; expressions, which are most of a program, are left out."""
    yield node
    for name in ("body", "orelse", "handlers", "finalbody", "cases"):
        inner = getattr(node, name, ())
        for part in inner if isinstance(inner, list) else ():  # the body of a lambda is an expression
            yield from _statements(part)


def _text(node: ast.expr) -> str:
    """Return the text that an expression makes, as Markdown; values that are not known yet are …."""
    match node:
        case ast.Constant(value=str(text)):
            return re.sub(r"([*_`<>\[\]|\\])", r"\\\1", " ".join(text.splitlines()))
        case ast.JoinedStr(values=parts):
            return "".join("…" if isinstance(part, ast.FormattedValue) else _text(part) for part in parts)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _text(left) + _text(right)
        case _:
            return "…"
