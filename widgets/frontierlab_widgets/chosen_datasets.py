"""The datasets that a panel is about, as text: the name of one, or several names and patterns, read as a period.

``nightly-*, extra since 2026-10-01 until 2026-11-01`` is ``fl.datasets.period(["nightly-*", "extra"],
since="2026-10-01", until="2026-11-01")``; ``overlaps cut`` or ``overlaps keep`` can follow.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple, TypeAlias, cast

from frontierlab import Settings, sample
from frontierlab.errors import DatasetError, InvalidRequestError
from frontierlab.storage.dataset import Dataset
from frontierlab.storage.periods import Period, several
from frontierlab.storage.store import open_dataset, period
from frontierlab.util.times import in_words
from frontierlab_widgets.code_box import Expression, call

__all__ = [
    "Chosen",
    "Source",
    "code_of",
    "file_stem",
    "incomplete",
    "incomplete_names",
    "named",
    "opened",
    "opening",
    "read_text",
    "window_of",
    "with_payloads",
]

Source: TypeAlias = Dataset | Period

_VALID = (
    "Valid: names and patterns with commas between them, then since, until or both if only a part of their time "
    "counts (UTC): nightly-*, extra since 2026-10-01 until 2026-11-01."
)
_TEXT = re.compile(
    r"(?P<names>.*?)(\s+since\s+(?P<since>.+?))?(\s+until\s+(?P<until>.+?))?(\s+overlaps\s+(?P<overlaps>\S+))?",
    re.DOTALL,
)
_OVERLAPS = re.compile(r'overlaps="(\w+)"')


class Chosen(NamedTuple):
    """What a text names.

    Parameters
    ----------
    names
        Names and patterns.
    limits
        The other arguments of `frontierlab.datasets.period` that are given: ``since``, ``until``, ``overlaps``.
    """

    names: tuple[str, ...]
    limits: dict[str, str]

    @property
    def single(self) -> str:
        """The name, if this is one dataset and no period; otherwise empty."""
        name, *others = self.names or ("",)
        return "" if others or self.limits or set("*?[") & set(name) else name


def read_text(text: str) -> Chosen:
    """Read a text that names datasets. Whether they exist is not looked at."""
    found = cast("re.Match[str]", _TEXT.fullmatch(text.strip(" "))).groupdict()
    names = [name.strip(" ") for name in found.pop("names").split(",")]
    return Chosen(tuple(filter(None, names)), {name: value for name, value in found.items() if value is not None})


def opened(text: str, settings: Settings) -> Source:
    """Open the dataset or the period that a text names.

    Raises
    ------
    InvalidRequestError
        The text is not valid; the message says what is.
    DatasetError
        There is no such dataset, or none of that time; a dataset is damaged; or it is not known whether two datasets
        of a period hold the same queries.
    """
    chosen = read_text(text)
    if chosen.single:
        return open_dataset(chosen.single, settings)
    limits = cast("Any", chosen.limits)
    try:
        return period(chosen.names, settings=settings, **limits)
    except InvalidRequestError as error:
        raise InvalidRequestError(f"{error} {_VALID}") from error
    except DatasetError as error:  # it gives advice in Python
        raise DatasetError(_OVERLAPS.sub(r'"overlaps \1" at the end of this text', str(error))) from error


def opening(text: str) -> Expression:
    """Return the call that opens a dataset or makes a period."""
    names, limits = chosen = read_text(text)
    if chosen.single:
        return Expression(call("fl.datasets.open_dataset", chosen.single, Expression("settings")))
    asked = names[0] if len(names) == 1 else names
    return Expression(call("fl.datasets.period", asked, **limits, settings=Expression("settings")))


def with_payloads(source: Source, settings: Settings) -> Settings:
    """Return settings that name a COOLR for the datasets: those of the sample have it if the settings name none."""
    datasets = (source,) if isinstance(source, Dataset) else source.datasets
    if settings.coolr_host is not None or settings.coolr_archive is not None:
        return settings
    sources = {one.manifest.request.get("source") for one in datasets}
    return sample.with_sample(settings) if sources == {str(sample.path())} else settings


def code_of(text: str) -> tuple[list[str], str]:
    """Return the lines that make a period, and the name of the period; for a dataset no lines, and its name."""
    chosen = read_text(text)
    if chosen.single or not chosen.names:
        return [], chosen.single
    return [f"period = {opening(text)}"], Expression("period")


def named(name: str, window: str = "") -> str:
    """Name a dataset or a period in a sentence; `window` is what `window_of` returns."""
    kind = "period" if window or re.search(r"[\s,]", name) else "dataset"
    return " ".join(filter(None, (kind, name, window)))


def window_of(source: Source) -> str:
    """Say which part of the time of its datasets a period is; empty for all of it, and for a dataset."""
    if isinstance(source, Dataset):
        return ""
    ends = [f"{word} {in_words(end)}" for word, end in zip(("since", "until"), source.window, strict=True) if end]
    return " ".join([*ends, *([] if source.overlaps is None else [f"overlaps {source.overlaps}"])])


def file_stem(source: Source) -> str:
    """Return the first part of the names of files about a dataset or a period."""
    return source.name if isinstance(source, Dataset) else source.file_stem


def incomplete_names(source: Source) -> list[str]:
    """Return the names of the datasets that are incomplete."""
    datasets = (source,) if isinstance(source, Dataset) else source.datasets
    return [one.name for one in datasets if one.state == "incomplete"]


def incomplete(source: Source) -> list[str]:
    """Return a sentence on datasets that are incomplete; nothing if all are complete."""
    datasets = (source,) if isinstance(source, Dataset) else source.datasets
    names = [one.name for one in datasets if one.state != "complete"]
    are = "is" if len(names) == 1 else "are"
    return [f"{several(names)} {are} incomplete: every number is too small."] if names else []
