"""Standalone HTML pages: figures and text in one file that can be read offline."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from bokeh.document import Document
from bokeh.embed import components
from bokeh.resources import Resources
from jinja2 import Environment, PackageLoader

from frontierlab._version import __version__
from frontierlab.util.files import replacing
from frontierlab.util.times import in_words

__all__ = ["write_page"]


def write_page(target: Path, template: str, figures: Sequence[Any], **values: Any) -> Path:
    """Write a page from a template.

    Parameters
    ----------
    target
        The file. An existing file is replaced in one step; on failure it is unchanged.
    template
        The name of a template in ``frontierlab/pages/templates``.
    figures
        The Bokeh figures; in the template, ``figures.pop(0)`` is the next figure. A page without figures has no script.
    **values
        More values for the template. Text is escaped.
    """
    document = Document()
    with document.models.freeze():  # otherwise Bokeh visits all models again for each figure
        for figure in figures:
            document.add_root(figure)
    script, drawn = components(list(figures)) if figures else ("", ())
    text = (
        _environment()
        .get_template(template)
        .render(
            values,
            figures=list(drawn),
            script=script,
            resources=Resources(mode="inline", components=["bokeh"]).render() if figures else "",
            made=in_words(datetime.now(UTC).replace(microsecond=0)),
            version=__version__,
        )
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    with replacing(target) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return target


@cache
def _environment() -> Environment:
    """Return what compiles each template once: that takes longer than to fill it in."""
    return Environment(loader=PackageLoader("frontierlab.pages"), autoescape=True, trim_blocks=True, lstrip_blocks=True)
