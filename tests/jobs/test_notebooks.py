"""Notebooks are stored without outputs, and run from the first cell to the last."""

from __future__ import annotations

import ast
import json
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
from frontierlab.sample import World
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


@pytest.fixture
def shown(monkeypatch):
    """The scripts of the figures that a notebook shows in this process."""
    found = []
    monkeypatch.setattr(fl.plots, "output_notebook", lambda: None)
    monkeypatch.setattr(bokeh.io, "show", lambda figure: found.append(components(figure)[0]))
    return found


def values_of_cells(name, folder, /, **parameters):
    """Run a notebook in this process, where a kernel each would take longer; yield the value of each cell."""
    parameters["data_dir"] = folder / "data"
    names = {"__name__": "__main__"}
    for cell in code_cells(FOLDER / f"{name}.ipynb"):
        *statements, last = ast.parse(cell.source).body
        if isinstance(last, ast.Expr):
            exec(compile(ast.Module(statements, []), name, "exec"), names)
            yield eval(compile(ast.Expression(last.value), name, "eval"), names)
        else:
            exec(compile(cell.source, name, "exec"), names)
        if "parameters" in cell.metadata.get("tags", ()):
            assert {*parameters} <= {*names}
            names |= parameters


@pytest.mark.slow
@pytest.mark.usefixtures("few_chapters", "no_beginning")
@pytest.mark.parametrize(
    ("name", "documents"), [("caching", 6_000), ("explore", 6_000), ("extract", None), ("raw_logs", None)]
)
def test_all_cells_run_and_show_figures(name, documents, shown, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = {}
    if documents:  # the day of the sample, of fewer documents
        given["source"] = tmp_path / "dump.ndjson"
        World(documents).write(given["source"])
    for value in values_of_cells(name, tmp_path, **given):
        if isinstance(value, pd.DataFrame):
            assert len(value)
            shown.append(value.to_html())
        elif isinstance(value, Widget):
            value.close()
    assert len(shown) >= 3


@pytest.mark.slow
def test_the_report_has_its_parameters_and_needs_no_kernel(shown, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    period = {"since": "2026-10-01T06:00", "until": "2026-10-01T12:00"}
    values = [*values_of_cells("report", tmp_path, **period, name="night", top=1)]
    frames = [value for value in values if isinstance(value, pd.DataFrame)]
    assert [len(frame) for frame in frames] == [1, 10]
    assert frames[0]["name"].tolist() == ["night"]
    assert len(shown) >= 5
    assert not any(isinstance(value, Widget) for value in values)
    assert values[-1].data == "The report of 2026-10-01T06:00 to 2026-10-01T12:00 UTC is complete."


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
    """The quick start as a job, with a kernel that finds neither pyspark nor Java."""
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
    settings = fl.sample.settings(data_dir=folder, notebooks=[FOLDER / "quickstart.ipynb"])
    parameters = {"data_dir": str(folder / "quickstart")}
    return jobs.submit("notebook", settings=settings, backend="thread", notebook="quickstart", parameters=parameters)


def outputs_of(job):
    book = nbformat.read(job.result(LONG), 4)
    return book, [output for cell in book.cells if cell.cell_type == "code" for output in cell.outputs]


@IN_ONE_PROCESS
def test_the_quick_start_runs_in_a_kernel_with_its_parameters(executed):
    # the outputs speak: an error in a cell fails here, and so does an empty table or figure
    book, outputs = outputs_of(executed)
    (injected,) = [cell for cell in book.cells if "injected-parameters" in cell.metadata.tags]
    assert f"data_dir = {json.dumps(executed.arguments['parameters']['data_dir'])}" in injected.source
    shown = [kind for output in outputs if "data" in output for kind in output["data"]]
    assert shown.count("text/html") >= 3
    errors = [output.text for output in outputs if output.get("name") == "stderr" and "Error" in output.text]
    assert not errors


@IN_ONE_PROCESS
def test_the_quick_start_begins_with_what_happened_and_is_small(executed):
    _, outputs = outputs_of(executed)
    settings = fl.sample.settings(data_dir=executed.arguments["parameters"]["data_dir"])
    found = fl.diagnose("quickstart", settings=settings, progress=False)
    assert next(output.text for output in outputs if output.get("name") == "stdout") == f"{found.summary}\n"
    for name in ("41003836", "/PIXEL/PixCalib", "all servers"):
        assert name in found.summary
    first = next(script for script in scripts_of(outputs) if "docs_json" in script)
    assert "Queries over time, and the incidents" in first
    assert first.count('"name":"BoxAnnotation"') > len(found)
    assert executed.result(LONG).stat().st_size < 2_000_000


def scripts_of(outputs):
    data = [output.get("data", {}) for output in outputs]
    return ["".join(one["application/javascript"]) for one in data if "application/javascript" in one]


@IN_ONE_PROCESS
def test_figures_of_an_executed_notebook_need_no_kernel(executed, browser):
    _, outputs = outputs_of(executed)
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
