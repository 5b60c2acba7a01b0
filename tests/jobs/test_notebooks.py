"""Notebooks are stored without outputs, and run from the first cell to the last."""

from __future__ import annotations

import ast
import os
from pathlib import Path

import bokeh.io
import nbformat
import pandas as pd
import pytest
from bokeh.embed import components
from ipywidgets import Widget

import frontierlab as fl
from frontierlab import jobs
from tests.support.bokeh_defaults import keep_defaults_in_kernels
from tests.support.waiting import until_true

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
LONG = 600  # seconds after which a notebook has failed
IN_ONE_PROCESS = pytest.mark.browser  # the test in the browser and those of the same executed notebooks


def test_every_notebook_has_a_test():
    tested = ["caching", "dashboard", "explore", "extract", "quickstart", "raw_logs", "report"]
    assert [path.stem for path in NOTEBOOKS] == tested  # dashboard: tests/widgets/test_served_alone.py


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebooks_are_stored_without_outputs_and_with_parameters(path):
    code = code_cells(path)
    assert not any(cell.outputs or cell.execution_count for cell in code)
    assert [cell.metadata.get("tags") for cell in code].count(["parameters"]) == 1


def code_cells(path):
    return [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]


@pytest.mark.slow
@pytest.mark.usefixtures("few_chapters", "no_beginning")
@pytest.mark.parametrize("name", ["caching", "explore", "extract", "raw_logs"])
def test_all_cells_run_and_show_figures(name, tmp_path, monkeypatch):
    """In this process: a kernel each would take longer."""
    monkeypatch.setattr(fl.plots, "output_notebook", lambda: None)
    shown = []
    monkeypatch.setattr(bokeh.io, "show", lambda figure: shown.append(components(figure)[0]))
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "__main__"}
    for cell in code_cells(FOLDER / f"{name}.ipynb"):
        *statements, last = ast.parse(cell.source).body
        value = None
        if isinstance(last, ast.Expr):
            exec(compile(ast.Module(statements, []), name, "exec"), names)
            value = eval(compile(ast.Expression(last.value), name, "eval"), names)
        else:
            exec(compile(cell.source, name, "exec"), names)
        if "parameters" in cell.metadata.get("tags", ()):
            names["data_dir"] = tmp_path / "data"
        if isinstance(value, pd.DataFrame):
            assert len(value)
            shown.append(value.to_html())
        elif isinstance(value, Widget):
            value.close()
    assert len(shown) >= 3


REPORT = {"since": "2026-10-01T06:00", "until": "2026-10-01T12:00", "name": "night", "top": 1}


NO_SPARK = """\
import sys

class NotInstalled:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("pyspark", "py4j"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, NotInstalled())
"""


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """Quick start and report as jobs, side by side, each with a kernel that finds neither pyspark nor Java."""
    folder = tmp_path_factory.mktemp("executed")
    (folder / "sitecustomize.py").write_text(NO_SPARK)
    path = os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"), str(FOLDER.parent))))
    keep_defaults_in_kernels(folder / "ipython")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IPYTHONDIR", str(folder / "ipython"))
        patch.setenv("PYTHONPATH", path)
        patch.setenv("JAVA_HOME", str(folder / "none"))
        yield submitted(folder)


def submitted(folder):
    settings = fl.sample.settings(data_dir=folder, notebooks=[FOLDER / "quickstart.ipynb", FOLDER / "report.ipynb"])
    given = {"quickstart": {}, "report": REPORT}
    return {
        name: jobs.submit(
            "notebook",
            settings=settings,
            backend="thread",
            notebook=name,
            parameters={**parameters, "data_dir": str(folder / name)},
        )
        for name, parameters in given.items()
    }


def outputs_of(job):
    book = nbformat.read(job.result(LONG), 4)
    return book, [output for cell in book.cells if cell.cell_type == "code" for output in cell.outputs]


@IN_ONE_PROCESS
@pytest.mark.parametrize("name", ["quickstart", "report"])
def test_notebooks_run_in_a_kernel(executed, name):
    # the outputs speak: an error in a cell fails here, and so does an empty table or figure
    _, outputs = outputs_of(executed[name])
    shown = [kind for output in outputs if "data" in output for kind in output["data"]]
    assert shown.count("text/html") >= 3
    errors = [output.text for output in outputs if output.get("name") == "stderr" and "Error" in output.text]
    assert not errors


@IN_ONE_PROCESS
def test_the_quick_start_begins_with_what_happened_and_is_small(executed):
    _, outputs = outputs_of(executed["quickstart"])
    settings = fl.sample.settings(data_dir=executed["quickstart"].arguments["parameters"]["data_dir"])
    found = fl.diagnose("quickstart", settings=settings, progress=False)
    assert next(output.text for output in outputs if output.get("name") == "stdout") == f"{found.summary}\n"
    for name in ("41003836", "/PIXEL/PixCalib", "all servers"):
        assert name in found.summary
    first = next(script for script in scripts_of(outputs) if "docs_json" in script)
    assert "Queries over time, and the incidents" in first
    assert first.count('"name":"BoxAnnotation"') > len(found)
    assert executed["quickstart"].result(LONG).stat().st_size < 2_000_000


def scripts_of(outputs):
    data = [output.get("data", {}) for output in outputs]
    return ["".join(one["application/javascript"]) for one in data if "application/javascript" in one]


@IN_ONE_PROCESS
def test_figures_of_an_executed_notebook_need_no_kernel(executed, browser):
    _, outputs = outputs_of(executed["quickstart"])
    page = browser.new_page()
    problems = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    texts = ["".join(output.get("data", {}).get("text/html", "")) for output in outputs]
    scripts = scripts_of(outputs)
    assert len(scripts) >= 5
    page.set_content(
        f"<!DOCTYPE html><body>{''.join(texts)}<script>{'</script><script>'.join(scripts)}</script></body>"
    )
    until_true(page, "count => document.querySelectorAll('.bk-Figure').length === count", arg=len(scripts))
    assert problems == []


@IN_ONE_PROCESS
def test_the_executed_report_has_its_parameters_and_needs_no_kernel(executed):
    book, outputs = outputs_of(executed["report"])
    (injected,) = [cell for cell in book.cells if "injected-parameters" in cell.metadata.tags]
    assert 'name = "night"' in injected.source
    kinds = [kind for output in outputs for kind in output.get("data", {})]
    assert "application/vnd.jupyter.widget-view+json" not in kinds
    assert sum("docs_json" in script for script in scripts_of(outputs)) >= 5
    last = outputs[-1]["data"]["text/markdown"]
    assert last == "The report of 2026-10-01T06:00 to 2026-10-01T12:00 UTC is complete."
