"""Notebooks are stored without outputs, and run from the first cell to the last."""

from __future__ import annotations

from pathlib import Path

import nbformat
import papermill
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))


def test_there_is_a_quick_start():
    assert "quickstart.ipynb" in [path.name for path in NOTEBOOKS]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_it_is_stored_without_outputs_and_with_parameters(path):
    code = [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]
    assert not any(cell.outputs or cell.execution_count for cell in code)
    assert [cell.metadata.get("tags") for cell in code].count(["parameters"]) == 1


@pytest.mark.spark
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_it_runs(path, tmp_path):
    notebook = nbformat.read(path, 4)
    # the outputs speak: an error in a cell fails here, and so does an empty table or figure
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    shown = [kind for output in outputs if "data" in output for kind in output["data"]]
    assert shown.count("text/html") >= 3
    errors = [output.text for output in outputs if output.get("name") == "stderr" and "Error" in output.text]
    assert not errors


@pytest.mark.spark
def test_the_report_is_run_by_papermill_and_stands_without_a_kernel(tmp_path):
    given = {
        "since": "2026-10-01T06:00",
        "until": "2026-10-01T12:00",
        "name": "night",
        "data_dir": str(tmp_path),
        "top": 1,
    }
    source = NOTEBOOKS[0].parent / "report.ipynb"
    book = papermill.execute_notebook(source, tmp_path / "report.ipynb", parameters=given, progress_bar=False)
    (injected,) = [cell for cell in book.cells if "injected-parameters" in cell.metadata.tags]
    assert 'name = "night"' in injected.source
    outputs = [output for cell in book.cells if cell.cell_type == "code" for output in cell.outputs]
    kinds = [kind for output in outputs for kind in output.get("data", {})]
    assert "application/vnd.jupyter.widget-view+json" not in kinds
    scripts = [
        output["data"]["application/javascript"]
        for output in outputs
        if "application/javascript" in output.get("data", {})
    ]
    assert sum("docs_json" in "".join(script) for script in scripts) >= 5
    last = outputs[-1]["data"]["text/markdown"]
    assert last == "The report of 2026-10-01T06:00 to 2026-10-01T12:00 UTC is complete."
