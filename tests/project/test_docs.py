"""The documentation builds without a warning, its examples are valid calls, and the tour runs."""

from __future__ import annotations

import ast
import builtins
import inspect
import io
import logging
import re
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sphinx.application import Sphinx
from sphinx.pycode.parser import Parser

import frontierlab as fl
from frontierlab import Settings

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [
    ROOT / "README.md",
    *sorted(path for path in DOCS.rglob("*.md") if path.parts[-2] not in {"reference", "_build"}),
]


def code(page: Path) -> str:
    """Return the Python code of a page, as a reader copies it from top to bottom."""
    return "\n".join(re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL))


def named(node: ast.expr) -> Any:
    """Return the object of frontierlab that an expression such as ``fl.filters.cost_per_task`` names, or None."""
    if isinstance(node, ast.Name):
        return fl if node.id == "fl" else None
    owner = named(node.value) if isinstance(node, ast.Attribute) else None
    return None if owner is None else getattr(owner, node.attr)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_examples_are_valid_calls(page: Path) -> None:
    known = {*dir(builtins)}
    for statement in ast.parse(code(page)).body:
        nodes = [*ast.walk(statement)]
        names = [node for node in nodes if isinstance(node, ast.Name)]
        known |= {node.id for node in names if isinstance(node.ctx, ast.Store)}
        if isinstance(statement, ast.Import | ast.ImportFrom):
            known |= {alias.asname or alias.name for alias in statement.names}
        assert [node.id for node in names if node.id not in known] == []
        for call in (node for node in nodes if isinstance(node, ast.Call)):
            function = named(call.func)
            if function is not None and not any(keyword.arg is None for keyword in call.keywords):
                keywords = {str(keyword.arg): None for keyword in call.keywords}
                inspect.signature(function).bind(*call.args, **keywords)


@pytest.mark.slow
@pytest.mark.usefixtures("few_chapters", "no_beginning")
def test_the_tour_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    exec(compile(code(DOCS / "tour.md"), "tour.md", "exec"), {})
    told = capsys.readouterr().out
    assert "read=20000 kept=19488" in told
    assert "/RPC/TRIGGER/CM_THR_ETA" in told
    assert (tmp_path / "overlay.html").exists()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built documentation; a warning is an error."""
    folder, said = tmp_path_factory.mktemp("docs"), io.StringIO()
    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
        warnings.simplefilter("ignore")  # those of Python, which Sphinx and its extensions give; its own are in `said`
        patch.setattr(sys, "path", [*sys.path])
        patch.setattr(Parser, "parse_definition", lambda self: None)  # where in a file names are, which no page tells
        quotes = {"smartquotes": False}  # they take a tenth of the time, and give no warning
        app = Sphinx(DOCS, DOCS, folder / "html", folder / "trees", "html", quotes, status=None, warning=said)
        app.builder.search = False  # the index of words takes a sixth of the time, and is Sphinx's own
        logging.disable(logging.DEBUG)  # ten thousand lines of what Sphinx does
        try:
            app.build()
        finally:
            logging.disable(logging.NOTSET)
    assert (app.statuscode, said.getvalue()) == (0, "")
    return folder / "html"


def words(page: Path) -> Iterator[str]:
    """Yield the texts of a page that are code."""
    yield from re.findall(r">([^<>]+)</span>", page.read_text())


@pytest.mark.slow
def test_the_reference_has_each_setting_error_and_public_name(site: Path) -> None:
    settings = {*words(site / "reference" / "settings.html")}
    assert sorted({*Settings.model_fields} - settings) == []
    errors = (site / "reference" / "errors.html").read_text()
    assert [name for name in fl.errors.__all__ if f">{name}<" not in errors] == []
    assert "must be later than since" in errors
    filters = (site / "reference" / "frontierlab.filters.html").read_text()
    assert [name for name in fl.filters.__all__ if f'id="frontierlab.filters.{name}"' not in filters] == []
