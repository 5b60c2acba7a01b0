"""What a dataset lacks is said, wherever its rows came from."""

import json
from pathlib import Path

import pytest

from frontierlab import Settings, extract, jobs
from frontierlab.storage.losses import DocumentsLost, ValuesUnfit

DOCUMENT = {"@timestamp": "2026-10-01T00:00:00.000Z", "sqldb": "CONDBR2", "cached": False}


@pytest.fixture
def settings(data_dir: Path) -> Settings:
    return Settings(data_dir=data_dir, loss_warning_share=0.01, job_backend="inline")


def export_file(folder: Path, malformed: int, of: int) -> Path:
    file = folder / "dump.ndjson"
    documents = [DOCUMENT | ({"cached": "perhaps"} if number < malformed else {}) for number in range(of)]
    file.write_text("".join(json.dumps(document) + "\n" for document in documents))
    return file


def test_many_malformed_documents_give_a_warning_with_reasons(settings: Settings, tmp_path: Path) -> None:
    with pytest.warns(DocumentsLost, match=r"2 of 100 documents are malformed .* d: cached: not a flag 2\."):
        extract(settings, source=export_file(tmp_path, 2, 100), name="d", complete=False, progress=False)


def test_fewer_malformed_documents_are_counted_without_a_warning(settings: Settings, tmp_path: Path) -> None:
    dataset = extract(settings, source=export_file(tmp_path, 1, 100), name="d", complete=False, progress=False)
    assert dataset.counts.malformed == 1


def test_extraction_that_finds_nothing_gives_a_warning(settings: Settings, tmp_path: Path) -> None:
    limits = {"since": "2030-01-01", "until": "2030-01-02"}
    with pytest.warns(UserWarning, match="None of 3 documents became a row of d: outside the period 3"):
        extract(settings, source=export_file(tmp_path, 0, 3), name="d", complete=False, progress=False, **limits)


def test_unfit_value_of_an_extra_field_is_null_and_gives_a_warning(settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "dump.ndjson"
    file.write_text("".join(json.dumps(DOCUMENT | {"tags": ["a", "b"] if n else "a"}) + "\n" for n in range(3)))
    with pytest.warns(ValuesUnfit, match=r"are null in d: tags 2\. extra_fields={'tags': 'json'} keeps"):
        dataset = extract(settings, source=file, name="d", complete=False, progress=False, extra_fields=["tags"])
    assert (dataset.counts.kept, dataset.manifest.unfit) == (3, {"tags": 2})
    fields = {"tags": "json"}
    kept = extract(settings, source=file, name="e", complete=False, progress=False, extra_fields=fields)
    assert sorted(kept.to_arrow()["tags"].to_pylist()) == ['"a"', '["a","b"]', '["a","b"]']


def test_a_job_keeps_the_warning(settings: Settings, tmp_path: Path) -> None:
    source = str(export_file(tmp_path, 50, 100))
    job = jobs.submit("extraction", settings=settings, source=source, name="d", complete=False)
    assert job.result().counts.kept == 50
    assert any("50 of 100 documents are malformed" in text for text in job.warnings)
