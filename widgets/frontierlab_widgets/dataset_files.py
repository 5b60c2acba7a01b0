"""Files that become datasets, and marks of the folder of datasets."""

from __future__ import annotations

from pathlib import Path

import frontierlab as fl
from frontierlab.errors import InvalidRequestError
from frontierlab.extraction.import_parquet import import_rows
from frontierlab.rawlogs.kinds import kind_of_log
from frontierlab_widgets.dataset_names import require_free
from frontierlab_widgets.follow_job import follow
from frontierlab_widgets.formatting import no_catalogue
from frontierlab_widgets.work import Work

__all__ = ["bring_in_file", "is_raw_log", "marks_of_datasets", "new_name_of"]


def new_name_of(given: str, file: str, settings: fl.Settings) -> str:
    """Return the name of the new dataset: the given one, or the file's name without suffixes."""
    name = given or file.split(".")[0]
    require_free(name, settings, "as")
    return name


def _is_parquet(path: Path) -> bool:
    """Return whether a path is a Parquet file or is named like one; a folder counts as Parquet files."""
    if path.is_dir() or path.suffix == ".parquet":
        return True
    with path.open("rb") as file:
        return file.read(4) == b"PAR1"


def is_raw_log(path: Path) -> bool:
    """Return whether a file is a log of a servlet or a Squid; an export is none."""
    return path.is_file() and not _is_parquet(path) and kind_of_log(path) is not None


def marks_of_datasets(settings: fl.Settings) -> list[tuple[str, list[int]]]:
    """Return marks that change when a dataset is made, continues, ends, is renamed or is deleted."""
    folder = settings.data_dir / "datasets"
    return [
        (path.name, [_changed(file) for file in (path, path / "manifest.json", path / "parts")])
        for path in sorted(folder.glob("[!.]*"))
    ]


def _changed(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def bring_in_file(path: Path, name: str, settings: fl.Settings, work: Work) -> fl.Dataset:
    """Make a dataset of a Parquet file, a folder of them, or an export file."""
    if not path.exists():
        raise InvalidRequestError(f"There is no file {path} on the server.")
    is_parquet = _is_parquet(path)
    can_build = not is_parquet and (settings.coolr_host is not None or settings.coolr_archive is not None)
    if not settings.catalogue_path.exists() and not can_build:
        raise InvalidRequestError(no_catalogue(settings.catalogue_path))
    if is_parquet:
        return import_rows(path.absolute(), name, settings)
    job = fl.jobs.submit("extraction", settings=settings, source=path, name=name)
    dataset: fl.Dataset = follow(job, work)
    if dataset.counts.kept == 0:
        dataset.delete()
        raise InvalidRequestError(f"{path.name} holds no query logs. {' '.join(job.warnings)}")
    return dataset
