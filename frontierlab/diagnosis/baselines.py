"""What the normal of a diagnosis is taken from if the caller names it: other datasets, or another time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import reduce
from typing import Literal, TypeAlias, cast

from frontierlab.engines.engine_choice import Source, beside, is_source
from frontierlab.engines.logs import Logs
from frontierlab.errors import DatasetError, InvalidRequestError
from frontierlab.filters.covered import covered_window
from frontierlab.filters.extracted import lacks_all, notes_of_extraction
from frontierlab.selection import Selection
from frontierlab.settings import Settings
from frontierlab.settings.data_folder import ELSEWHERE
from frontierlab.storage.dataset import Dataset
from frontierlab.storage.listing import dataset_names
from frontierlab.storage.periods import Period, several
from frontierlab.storage.spans import Span, merged, minus, span_of
from frontierlab.util.times import from_milliseconds

__all__ = ["Baseline", "Piece", "Whole", "baseline_of"]

Baseline: TypeAlias = "Source | Literal['previous', 'weekdays']"
"""What a caller can give: datasets, or a word."""

DAY_MS = 86_400_000
_WEEKS = 4
_MOST = 35  # pieces: each is asked all statements


@dataclass(frozen=True)
class Piece:
    """Some time of a baseline, at most as long as the time that is diagnosed.

    Parameters
    ----------
    logs, selection
        Its queries.
    spans
        The times that the logs cover, in UTC milliseconds since the epoch.
    """

    logs: Logs
    selection: Selection
    spans: tuple[Span, ...]


@dataclass(frozen=True)
class Whole:
    """A baseline.

    Parameters
    ----------
    pieces
        Its times, in order.
    notes
        Sentences on what it is, and on what it lacks.
    """

    pieces: tuple[Piece, ...]
    notes: tuple[str, ...]


def baseline_of(logs: Logs, selection: Selection, baseline: Baseline, window: Span, settings: Settings | None) -> Whole:
    """Return the baseline that a caller names.

    Parameters
    ----------
    logs, selection
        What is diagnosed.
    baseline
        ``"previous"``, ``"weekdays"``, or datasets; see `frontierlab.diagnose`.
    window
        The time that is diagnosed.
    settings
        The settings that name the data folder; by default those of `logs`, or else ``Settings()``.

    Raises
    ------
    InvalidRequestError
        `baseline` is none of these; or it has no other time than the one that is diagnosed, or none of its queries.
    DatasetError
        A dataset does not exist or is incomplete, or no dataset covers the time.
    StatementError, SparkError, Cancelled
        As a filter raises them.
    """
    settings = settings or logs.settings or Settings()
    if baseline == "previous":
        named = _earlier(logs, selection, window, (window.stop - window.start,), settings)
    elif baseline == "weekdays":
        weeks = tuple(7 * DAY_MS * number for number in range(_WEEKS, 0, -1))
        named = _earlier(logs, selection, window, weeks, settings)
    elif is_source(baseline):
        other = beside(logs, baseline)
        named = _found(other, selection.but(since=None, until=None), window, None)
    else:
        raise InvalidRequestError(
            f'baseline={baseline!r}: give "previous", "weekdays", a dataset, the name of one, or a list of these.'
        )
    pieces = named.pieces
    spans = [span for piece in pieces for span in piece.spans]
    told = " and ".join(span.in_words() for span in merged(spans)[:3]) + " and other times" * (len(merged(spans)) > 3)
    name = several([*dict.fromkeys(one.name for piece in pieces for one in piece.logs.datasets)])
    where = "" if name == "The dataset " else f" of {name[0].lower()}{name[1:]}"
    return Whole(pieces, (f"What is normal is taken from the time {told}{where}.", *named.notes))


def _earlier(logs: Logs, selection: Selection, window: Span, backs: tuple[int, ...], settings: Settings) -> Whole:
    """Return the same window, that much earlier, of the diagnosed logs or of other datasets of the data folder."""
    found, missing = [], []
    others: list[Dataset] | None = None
    for back in backs:
        wanted = Span(window.start - back, window.stop - back)
        if _covers(logs, wanted):
            found.append(_found(logs, selection, window, wanted))
            continue
        others = _like(logs, settings) if others is None else others
        reaching = [one for one in others if (span := span_of(one)) is not None and span.common(wanted)]
        if reaching:
            since, until = map(from_milliseconds, wanted)
            period = Period(reaching, since=since, until=until, overlaps="cut")
            found.append(_found(beside(logs, period), selection, window, wanted))
        else:
            missing.append(wanted)
    if not found:
        names = ", ".join(one.name for one in others or ()) or "none"
        raise DatasetError(
            f"No dataset covers the time {missing[-1].in_words()}, which is to be the baseline. Complete datasets in "
            f"{settings.data_dir / 'datasets'} that were extracted for the same queries: {names}. Extract that time, "
            f"or name datasets as the baseline. {ELSEWHERE}"
        )
    notes = [f"No dataset covers the time {span.in_words()}: the baseline lacks it." for span in missing]
    return _joined(found, notes)


def _covers(logs: Logs, wanted: Span) -> bool:
    """Return whether opened logs cover a time; a Spark DataFrame of the caller is taken to."""
    since, until = map(from_milliseconds, wanted)
    window = covered_window(logs, Selection(since=since, until=until))
    return not window.missing and bool(window.covered)


def _like(logs: Logs, settings: Settings) -> list[Dataset]:
    """Return the complete datasets of the data folder that were extracted for the same queries as those of the logs."""
    ours = {_request(one) for one in logs.datasets}
    found = []
    for name in dataset_names(settings.data_dir):
        try:
            one = Dataset(settings.data_dir / "datasets" / name)
            alike = one.state == "complete" and not one.is_thinned and (not ours or _request(one) in ours)
        except DatasetError:  # it is being planned, was deleted, or is damaged: it has no rows to compare with
            continue
        if alike and one.path not in {other.path for other in logs.datasets}:
            found.append(one)
    return found


def _request(dataset: Dataset) -> str:
    """Return what a dataset was extracted for; days of the sample's world have no index."""
    request = dataset.manifest.request
    names = ("cached", "taskid", "selection", "index")
    told = {name: request.get(name) or None for name in names} | {"cached": request.get("cached")}
    return repr(told | ({"source": request.get("source")} if request.get("index") else {}))


def _found(logs: Logs, selection: Selection, window: Span, wanted: Span | None) -> Whole:
    """Return some logs as a baseline: cut into pieces, each as long as the diagnosed window at most."""
    limits = {} if wanted is None else dict(zip(("since", "until"), map(from_milliseconds, wanted), strict=True))
    selection = selection.but(since=None, until=None).but(**limits)
    covered = covered_window(logs, selection)
    spans = [left for span in covered.covered for left in minus((span,), window)]
    if not spans:
        raise InvalidRequestError(
            f"The baseline {covered.logs} no other time than the one that is diagnosed, {window.in_words()}: name "
            "other datasets."
        )
    if lacks_all(logs, selection):
        raise InvalidRequestError(
            f"{' '.join(notes_of_extraction(logs, selection, warn=False))} Nothing can be compared with that baseline."
        )
    notes = [*logs.notes, *notes_of_extraction(logs, selection, warn=False)]
    notes += [covered.in_words()] if covered.missing else []
    pieces = []
    for part in _cut(spans, window):
        since, until = from_milliseconds(part[0].start), from_milliseconds(part[-1].stop)
        pieces.append(Piece(logs, selection.but(since=since, until=until), tuple(part)))
    return Whole(tuple(pieces), tuple(f"Baseline: {note}" for note in notes))


def _cut(spans: Iterable[Span], window: Span) -> Iterator[list[Span]]:
    """Cut spans into parts, none longer than the window, or 35 parts together."""
    spans = sorted(spans)
    first, last = spans[0].start, spans[-1].stop
    step = max(window.stop - window.start, -(-(last - first) // _MOST))
    for start in range(first, last, step):
        part = [common for span in spans if (common := span.common(Span(start, start + step))) is not None]
        if part:
            yield part


def _joined(found: Iterable[Whole], notes: Iterable[str]) -> Whole:
    found = [*found]
    pieces = reduce(lambda all_of, one: (*all_of, *one.pieces), found, cast("tuple[Piece, ...]", ()))
    told = [note for one in found for note in one.notes]
    return Whole(pieces, tuple(dict.fromkeys([*told, *notes])))
