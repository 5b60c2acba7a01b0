"""Warnings about what a dataset lacks, the same for extract, import, jobs and panels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from frontierlab.settings import Settings
from frontierlab.storage.dataset import Dataset
from frontierlab.util.warned import warn

__all__ = [
    "DocumentsLost",
    "LimitReached",
    "Loss",
    "NothingFound",
    "NothingKept",
    "OldCatalogue",
    "PartialSource",
    "ValuesUnfit",
    "lines_lost",
    "losses",
    "warn_of_losses",
]

_REASONS = 5  # named in a warning; the manifest has all of them


class LimitReached(UserWarning):
    """``limit_queries`` cut an extraction: the dataset ends earlier than requested."""


class NothingFound(UserWarning):
    """The source has no matching document: the dataset is empty."""


class NothingKept(UserWarning):
    """Documents were read, and none of them became a row: the dataset is empty."""


class DocumentsLost(UserWarning):
    """The share of malformed documents is above ``loss_warning_share``."""


class ValuesUnfit(UserWarning):
    """The share of an extra field's values that do not fit its column is above ``loss_warning_share``."""


class PartialSource(UserWarning):
    """The source did not return all its documents: the dataset's figures are too small."""


class OldCatalogue(UserWarning):
    """The catalogue that completed ids and names is old or partial: some ids and names may be missing."""


@dataclass(frozen=True)
class Loss:
    """One thing that a dataset lacks.

    Parameters
    ----------
    text
        One or two sentences for the user: what is lost, how much, why, and what to do.
    category
        The class of the warning.
    """

    text: str
    category: type[UserWarning]


def losses(dataset: Dataset, settings: Settings) -> list[Loss]:
    """Return what a dataset lacks; an empty list if it has everything that was requested.

    Documents that the request leaves out (another period, task or database) are not a loss.

    Parameters
    ----------
    dataset
        A complete dataset.
    settings
        Malformed documents are a loss if their share of the documents read is above ``loss_warning_share``.
    """
    manifest, counts = dataset.manifest, dataset.counts
    found = [Loss(text, PartialSource) for text in manifest.partial]
    found += [Loss(text, OldCatalogue) for text in manifest.catalogue]
    if manifest.iovs_lost:
        text = (
            f"The index has an IOV for {manifest.iovs_lost:,} documents of {dataset.name}, but it could not be read: "
            "their since and until are -1, although they may ask for payloads. Do not use figures of IOVs, and please "
            "report this."
        )
        found.append(Loss(text, PartialSource))
    if manifest.limit is not None:
        text = (
            f"limit_queries ({manifest.limit['limit_queries']:,}) cut {dataset.name} at "
            f"{manifest.limit['cut_at']}: there are {manifest.limit['available']:,} documents in the period."
        )
        if not counts.kept:
            text += (
                " The dataset is empty: the first millisecond has more documents than the limit. Raise limit_queries."
            )
        found.append(Loss(text, LimitReached))
    elif not counts.read:
        text = f"No document meets the request: {dataset.name} is empty. Check the period and the filters."
        text += f" {manifest.hint}" * bool(manifest.hint)
        found.append(Loss(text, NothingFound))
    elif not counts.kept:
        why = _reasons(manifest.left_out | manifest.malformed)
        text = f"None of {counts.read:,} documents became a row of {dataset.name}: {why}."
        found.append(Loss(text, NothingKept))
    lines = manifest.source.get("lines")
    if lines is not None:  # raw logs
        text = lines_lost(lines["lines"], lines["set_aside"], settings.loss_warning_share)
        found += [Loss(text, DocumentsLost)] if text else []
    elif counts.kept and counts.malformed > settings.loss_warning_share * counts.read:
        text = (
            f"{counts.malformed:,} of {counts.read:,} documents are malformed and are not in {dataset.name}: "
            f"{_reasons(manifest.malformed)}. dataset.malformed() returns them with the reasons."
        )
        found.append(Loss(text, DocumentsLost))
    unfit = {name: n for name, n in manifest.unfit.items() if n > settings.loss_warning_share * counts.read}
    if unfit:
        asked = ", ".join(f"{name!r}: 'json'" for name in unfit)
        text = (
            f"Some values of extra fields do not fit their columns and are null in {dataset.name}: {_reasons(unfit)}. "
            f"extra_fields={{{asked}}} keeps such values as JSON text."
        )
        found.append(Loss(text, ValuesUnfit))
    return found


def lines_lost(lines: int, set_aside: Mapping[str, int], most: float) -> str:
    """Return a sentence if a larger share than `most` of the lines of raw logs was set aside; otherwise an empty text.

    Parameters
    ----------
    lines
        Number of lines.
    set_aside
        Numbers of lines set aside, by reason.
    most
        A share from 0 to 1.
    """
    number = sum(set_aside.values())
    if number <= most * lines:
        return ""
    return (
        f"{number:,} of {lines:,} lines ({number / lines:.2%}) could not be read and were set aside: "
        f"{_reasons(set_aside)}. Figures may be too small. dataset.malformed() returns the lines with their places."
    )


def warn_of_losses(dataset: Dataset, settings: Settings, *, stacklevel: int = 3) -> None:
    """Warn of what a dataset lacks; by default at the line that called this function's caller."""
    for loss in losses(dataset, settings):
        warn(loss.text, loss.category, stacklevel=stacklevel)


def _reasons(counts: Mapping[str, int]) -> str:
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    named = [f"{reason} {count:,}" for reason, count in ordered[:_REASONS]]
    rest = len(ordered) - _REASONS
    return ", ".join([*named, *([f"and {rest} more reasons"] if rest > 0 else [])])
