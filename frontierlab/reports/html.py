"""Standalone HTML pages: figures and what is said of them, in one file that needs no network."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bokeh.document import Document
from bokeh.embed import components
from bokeh.resources import Resources
from jinja2 import Environment, PackageLoader

from frontierlab._version import __version__
from frontierlab.errors import InvalidRequestError
from frontierlab.util.files import replacing
from frontierlab.util.times import in_words

__all__ = ["target_of", "write_page"]


def target_of(path: str | os.PathLike[str], example: str) -> Path:
    """Return where a page goes.

    Raises
    ------
    InvalidRequestError
        It is a folder; the `example` is the name of a file in it.
    """
    target = Path(path).expanduser().absolute()
    if target.is_dir():
        raise InvalidRequestError(f"{target} is a folder: give the path of a file in it, such as {example}.")
    return target


def write_page(target: Path, template: str, figures: Sequence[Any], **values: Any) -> Path:
    """Write a page.

    Parameters
    ----------
    target
        Where. What was there is replaced in one step, or left as it was.
    template
        One of ``frontierlab/templates``.
    figures
        The Bokeh figures; in the template, ``figures.pop(0)`` is the next of them.
    **values
        What else the template shows. Text is escaped.
    """
    document = Document()
    with document.models.freeze():  # otherwise all models are gone through again for each figure
        for figure in figures:
            document.add_root(figure)
    script, drawn = components(list(figures))
    environment = Environment(
        loader=PackageLoader("frontierlab.reports"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    text = environment.get_template(template).render(
        values,
        figures=list(drawn),
        script=script,
        resources=Resources(mode="inline", components=["bokeh"]).render(),
        made=in_words(datetime.now(UTC).replace(microsecond=0)),
        version=__version__,
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    with replacing(target) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return target
