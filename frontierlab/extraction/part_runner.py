"""Read all parts of an extraction, together with other processes that read parts of the same dataset.

Several processes can read parts of one dataset at the same time. The holder of a part's lock reads it. A stored part is
not read again: its rows do not depend on the process that read it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import pyarrow as pa

from frontierlab.catalogue import Catalogue
from frontierlab.errors import FrontierlabError, InterruptedExtraction
from frontierlab.extraction.part_reader import PartReader
from frontierlab.extraction.sources import DocumentSource
from frontierlab.storage.locks import Replaced, fenced, free_parts, readers
from frontierlab.storage.manifest import Manifest, Outcome, PlannedPart
from frontierlab.storage.parts import activity, read_outcome
from frontierlab.util.files import reason
from frontierlab.util.progress import ProgressCallback, ProgressMeter

__all__ = ["PartRunner", "resumption"]

_LOOK = 0.5  # seconds between two checks of parts that other processes read
_STALLED = 600.0  # seconds without progress, after which a part that another process reads is read here too


def resumption(call: str, plan: Sequence[PlannedPart], outcomes: Mapping[int, Outcome]) -> str:
    """Say how many documents are stored of an extraction that stopped, and from where it goes on.

    Parameters
    ----------
    call
        What goes on with it.
    plan
        All its parts.
    outcomes
        What became of the parts that are stored, by their numbers.
    """
    there = sum(outcome.counts.read for outcome in outcomes.values())
    total = there + sum(part.expected for part in plan if part.number not in outcomes)
    if not outcomes:
        return f"0 of its {total:,} documents are stored, since no part was finished, and {call} starts again."
    left = len(plan) - len(outcomes)
    parts = f" and reads {left} more part{'s' * (left > 1)}" if left else ""
    return f"{there:,} of its {total:,} documents are stored, and {call} resumes the extraction{parts}."


class PartRunner:
    """Reads the missing parts of a dataset.

    Parameters
    ----------
    path
        The dataset's folder.
    manifest
        The manifest, with the plan.
    catalogue
        Completes ids and names; None leaves them as they are.
    open_source
        Opens the source of the documents.
    cancelled
        Set here when reading must stop early.
    """

    def __init__(
        self,
        path: Path,
        manifest: Manifest,
        catalogue: Catalogue | None,
        open_source: Callable[[], DocumentSource],
        cancelled: threading.Event,
    ) -> None:
        self._path = path
        self._manifest = manifest
        self._catalogue = catalogue
        self._open_source = open_source
        self._cancelled = cancelled
        self._outcomes: dict[int, Outcome] = {}
        self._look()

    def missing(self) -> list[int]:
        """Return the numbers of the parts that are not stored."""
        return [part.number for part in self._manifest.plan if part.number not in self._outcomes]

    def _look(self) -> int:
        """Find parts that were stored since the last check, and return their number of documents."""
        found = {number: read_outcome(self._path, number) for number in self.missing()}
        ours = {number: outcome for number, outcome in found.items() if outcome is not None}
        self._outcomes |= ours
        return sum(outcome.counts.read for outcome in ours.values())

    def run(self, source: DocumentSource, report: ProgressCallback) -> None:
        """Read until all parts are stored: parts that nobody reads, and parts of other readers that stalled."""
        there = sum(outcome.counts.read for outcome in self._outcomes.values())
        todo = [part for part in self._manifest.plan if part.number not in self._outcomes]
        meter = ProgressMeter("reading", there + sum(part.expected for part in todo), there)
        others = _OtherReaders(self._path)
        try:
            self._pass(source, todo, meter, report)
            while left := self.missing():
                free = free_parts(self._path, left)
                stalled = others.stalled(left)
                if parts := [part for part in self._manifest.plan if part.number in {*free, *stalled}]:
                    with closing(self._open_source()) as again:  # a source that reads a file cannot go back
                        self._pass(again, parts, meter, report, take_over=stalled)
                else:
                    report(meter.progress(f"waiting for {others.who()}"))
                    time.sleep(_LOOK)
                    meter.add(self._look())
        except Replaced:
            raise
        except (FrontierlabError, OSError, pa.ArrowException) as error:
            raise self.interrupted(error) from error

    def interrupted(self, error: Exception) -> InterruptedExtraction:
        """Return the error that says how many parts are stored, and how to resume."""
        cause = reason(error, self._path) if isinstance(error, OSError) else str(error).rstrip(".")
        return InterruptedExtraction(
            f"The extraction {self._path.name} stopped with {len(self._outcomes)} of {len(self._manifest.plan)} "
            f"parts stored: {cause}. The dataset is incomplete: "
            f"{resumption('the same extract(…) call', self._manifest.plan, self._outcomes)}"
        )

    def read_one(self, part: PlannedPart, report: ProgressCallback) -> bool:
        """Read one part; return whether this call read it."""
        if part.number in self._outcomes:
            return False
        with closing(self._open_source()) as source:
            meter = ProgressMeter("reading", part.expected)
            source.waiting = lambda: report(meter.progress())
            reader = PartReader(self._path, self._manifest, source, self._catalogue, self._cancelled)
            try:
                return bool([*reader.read([part], meter, report)])
            except (OSError, pa.ArrowException) as error:
                raise self.interrupted(error) from error

    def _pass(
        self,
        source: DocumentSource,
        parts: list[PlannedPart],
        meter: ProgressMeter,
        report: ProgressCallback,
        take_over: Container[int] = (),
    ) -> None:
        """Read parts in order, except those that other processes are reading or have stored meanwhile."""
        looked = time.monotonic()

        def show(*_: object) -> None:
            nonlocal looked
            if time.monotonic() - looked > _LOOK:
                looked = time.monotonic()
                meter.add(self._look())
            report(meter.progress())

        source.waiting = show
        reader = PartReader(self._path, self._manifest, source, self._catalogue, self._cancelled)
        for number, outcome in reader.read(parts, meter, show, take_over):
            self._outcomes[number] = outcome
            report(meter.progress())
        meter.add(self._look())
        report(meter.progress())


class _OtherReaders:
    """Watches the parts that other processes read.

    Parameters
    ----------
    path
        The dataset's folder.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: dict[int, tuple[float, object]] = {}

    def stalled(self, numbers: Iterable[int]) -> list[int]:
        """Return the parts whose files have not changed for `_STALLED` seconds: their readers hang or were stopped."""
        now, seen = time.monotonic(), self._seen
        self._seen = {}
        for number in numbers:
            files = activity(self._path, number)
            since, before = seen.get(number, (now, files))
            self._seen[number] = (since if files == before else now, files)
        return [number for number, (since, _) in self._seen.items() if now - since > _STALLED]

    def who(self) -> str:
        """Describe the readers of parts, for a message."""
        with fenced(self._path):
            found = [f"{who}, which reads part {number}" for number, who in readers(self._path).items()]
        return "; ".join(found[:3]) or "the last parts"
