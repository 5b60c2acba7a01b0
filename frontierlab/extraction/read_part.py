"""Read one part of an extraction that another process leads: the task of a helping worker."""

from __future__ import annotations

import threading

from frontierlab.errors import DatasetError
from frontierlab.extraction.open_source import open_source
from frontierlab.extraction.options import ExtractionOptions
from frontierlab.extraction.part_runner import PartRunner
from frontierlab.extraction.request import recorded_request
from frontierlab.extraction.run import stored_catalogue
from frontierlab.settings import Settings
from frontierlab.storage.dataset import dataset_path
from frontierlab.storage.manifest import Manifest
from frontierlab.util.progress import ProgressCallback

__all__ = ["read_part"]


def read_part(name: str, number: int, settings: Settings, report: ProgressCallback) -> bool:
    """Read and store one part.

    Parameters
    ----------
    name
        Name of the dataset.
    number
        Number of the part. Nothing is done if the part is stored already, or if another process reads it.
    settings
        Settings that name the same source as the extraction.
    report
        Called with a `Progress` a few times a second; stops the reading by raising an error.

    Returns
    -------
    bool
        Whether this call read the part.

    Raises
    ------
    DatasetError
        The extraction does not exist, or the settings name another source.
    FrontierlabError
        The part could not be read; its temporary files were removed.
    """
    path = dataset_path(name, settings.data_dir)
    manifest = Manifest.read(path)
    if manifest.state == "complete":
        return False
    request, cancelled = recorded_request(manifest), threading.Event()
    options = ExtractionOptions.of(settings, request)
    if (here := options.elastic) is not None and (request.source, request.index) != (here.url, here.index):
        raise DatasetError(
            f"{name} is read from {request.source} {request.index}, but the settings of this worker name {here.url} "
            f"{here.index}. Give the worker the same es_address and es_index as the process that submitted the job."
        )
    catalogue = stored_catalogue(path, request)
    [part] = [part for part in manifest.plan if part.number == number]
    runner = PartRunner(
        path, manifest, catalogue, lambda: open_source(request, options, cancelled, manifest.search), cancelled
    )
    return runner.read_one(part, report)
