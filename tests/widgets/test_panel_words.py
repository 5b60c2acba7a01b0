"""What the library advises as calls, a panel says with its buttons and fields."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from frontierlab_widgets.formatting import sentence
from frontierlab_widgets.panel_words import in_panel_words

import frontierlab as fl
from frontierlab.catalogue import Catalogue
from frontierlab.diagnosis.words import ADVICE
from frontierlab.errors import FrontierlabError
from frontierlab.sample import World
from frontierlab.settings.writing import create_config_file

CALL = re.compile(r"\b(fl|frontierlab)\.\w|\w\(|\b[a-z_]+=(True|False|None)")
"""A call, the name of a function, or a keyword in a message."""


@pytest.fixture
def day(settings: fl.Settings, tmp_path: Path) -> fl.Dataset:
    """A dataset."""
    export = tmp_path / "dump.ndjson"
    World(300, seed=3).write(export)
    return fl.extract(settings, source=export, name="day", progress=False)


def raised(action: Callable[[], object]) -> FrontierlabError:
    """Return the error of an action."""
    with pytest.raises(FrontierlabError) as told:
        action()
    return told.value


def test_errors_name_buttons_and_fields_and_no_python(settings: fl.Settings, day: fl.Dataset, tmp_path: Path) -> None:
    (tmp_path / "there.csv").touch()
    config = tmp_path / "there.txt"
    create_config_file(config)
    errors = {
        "Tick replace": raised(lambda: day.export(tmp_path / "there.csv")),
        "Tick replace, or": raised(lambda: create_config_file(config)),
        "in Data, Datasets": raised(
            lambda: fl.extract(settings, source=tmp_path / "dump.ndjson", name="day", progress=False)
        ),
        "Data, Jobs lists": raised(lambda: fl.jobs.open_job("nobody", settings)),
        "Build the catalogue": raised(lambda: Catalogue.read(tmp_path / "nowhere.parquet")),
        "the COOLR server in Settings; or": raised(lambda: settings.model_copy(update={"coolr_host": None}).coolr_url),
        "pattern in Settings.": raised(lambda: settings.model_copy(update={"es_index": None}).es_indices),
        "Save as": raised(lambda: fl.Settings(config_file=tmp_path / "nowhere.txt")),
    }
    bare = settings.model_copy(update={"data_dir": tmp_path / "bare"})
    errors["Extract, in Data, makes one. To look in another data folder, set data_dir in Settings."] = raised(
        lambda: fl.datasets.open_dataset("night", bare)
    )
    manifest = day.path / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"complete"', '"incomplete"', 1))
    stopped = fl.datasets.open_dataset("day", settings)
    assert stopped.state == "incomplete"
    errors["Resume in Data, Datasets goes"] = raised(lambda: fl.open_logs(stopped, settings=settings))
    errors["Resume in Data, Datasets reads"] = raised(stopped.require_complete)
    for words, error in errors.items():
        assert CALL.search(str(error)), error  # the library itself does say how to do it in Python
        assert words in sentence(error)
        assert not CALL.search(sentence(error)), sentence(error)


def test_advice_of_a_diagnosis_names_no_function() -> None:
    assert "frontierlab.caching" in ADVICE["iov_flood"]
    assert not [text for text in ADVICE.values() if CALL.search(in_panel_words(text))]
