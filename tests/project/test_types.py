"""The check of types: mypy does not read parts of packages, so our code must not use these."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

PROJECT = Path(__file__).parents[2]


def _not_read() -> list[str]:
    overrides = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["mypy"]["overrides"]
    return [module for one in overrides if one.get("follow_imports") == "skip" for module in one["module"]]


def _imported(code: str) -> Iterator[str]:
    """Yield the modules that code imports, and the names that it imports from them, which may be modules."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (node.module, *(f"{node.module}.{name.name}" for name in node.names))


def test_no_module_uses_what_mypy_does_not_read() -> None:
    not_read = _not_read()
    packages = {module.partition(".")[0] for module in not_read}
    files = [file for folder in ("frontierlab", "widgets") for file in (PROJECT / folder).rglob("*.py")]
    texts = {file: text for file in files if any(name in (text := file.read_text()) for name in packages)}
    used = {(file.name, name) for file, text in texts.items() for name in _imported(text)}
    assert {"bokeh.plotting", "pyspark.sql"} <= {name for _, name in used}
    assert [
        (file, name)
        for file, name in used
        if any(fnmatch(f"{name}.", f"{one.removesuffix('.*')}.*") for one in not_read)
    ] == []
