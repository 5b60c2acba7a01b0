"""The documentation builds without a warning, and names each setting and public module."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from frontierlab import Settings

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.slow
def test_the_documentation_builds_without_a_warning(tmp_path) -> None:
    built = subprocess.run(
        [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-d", tmp_path / "trees", DOCS, tmp_path / "html"],
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert (built.returncode, built.stderr) == (0, "")
    settings = (tmp_path / "html" / "reference" / "settings.html").read_text()
    assert [key for key in Settings.model_fields if f">{key}<" not in settings] == []
    filters = (tmp_path / "html" / "reference" / "frontierlab.filters.html").read_text()
    assert 'id="frontierlab.filters.queries_per_schema"' in filters
    assert "A row is a schema of a database" in filters
