"""Save figures as files: a standalone page, or an image that a browser on this machine draws."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bokeh.document import Document
from bokeh.embed import file_html
from bokeh.embed.util import OutputDocumentFor
from bokeh.models import LayoutDOM
from bokeh.models.plots import Plot
from bokeh.resources import INLINE

from frontierlab.errors import ExportError, InvalidRequestError
from frontierlab.util.files import replacing

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Playwright, ViewportSize

    from frontierlab.settings import Settings

__all__ = ["save"]

_SUFFIXES = (".html", ".png", ".svg")
_PROGRAMS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "microsoft-edge",
    "microsoft-edge-stable",
    "msedge",
)
_PLACES = ("chrome", "msedge", None)  # the usual places of Chrome and Edge, then playwright's own Chromium
_FLAGS = ("--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update")
_LONGEST = 60_000  # milliseconds for each step of the browser
_TEMPLATE = """
{% block preamble %}<style>html, body { margin: 0; background: white; }</style>{% endblock %}
"""
_SVG = "() => [...Bokeh.index][0].export('svg').ctx.get_serialized_svg(true)"


def save(
    figure: LayoutDOM,
    path: str | os.PathLike[str],
    *,
    width: int | None = None,
    height: int | None = None,
    scale: float = 2,
    settings: Settings | None = None,
) -> Path:
    """Save a figure as a file.

    A ``.png`` or ``.svg`` needs playwright (``pip install "frontierlab[export]"``) and Chromium, Chrome
    or Edge on this machine; nothing is downloaded. The browser is found in the search path and in its usual
    place, unless the setting ``browser`` names its program.

    Parameters
    ----------
    figure
        A figure of `frontierlab.plots`, or a Bokeh layout of several. It is not changed.
    path
        The file: ``.html`` is an interactive page that works offline; ``.png`` is an image; ``.svg`` is a
        vector image, which can be scaled and edited. An existing file is replaced in one step; on failure
        it is unchanged.
    width, height
        Size in CSS pixels; by default 1000, and the figure's own height.
    scale
        Image pixels of a ``.png`` per CSS pixel, from 0.1 to 8.
    settings
        By default ``Settings()``.

    Returns
    -------
    Path
        The written file.

    Raises
    ------
    InvalidRequestError
        The suffix is not one of these, or a number is out of range.
    ExportError
        No browser was found, or the browser failed.
    """
    target = Path(path).expanduser().absolute()
    if target.suffix.lower() not in _SUFFIXES:
        raise InvalidRequestError(f"{target.name}: give a name that ends in {', '.join(_SUFFIXES)}.")
    for name, value in (("width", width), ("height", height)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 16_384):
            raise InvalidRequestError(f"{name}={value!r}: give a whole number of pixels, 1 to 16,384.")
    if isinstance(scale, bool) or not isinstance(scale, int | float) or not 0.1 <= scale <= 8:
        raise InvalidRequestError(f"scale={scale!r}: give a number from 0.1 to 8.")
    suffix = target.suffix.lower()
    html = file_html(_copied(figure, width, height, suffix), INLINE, title=target.stem, template=_TEMPLATE)
    content = html.encode()
    if suffix != ".html":
        content = _drawn(html, suffix, width or 1000, scale, _program(settings))
    target.parent.mkdir(parents=True, exist_ok=True)
    with replacing(target) as temporary:
        temporary.write_bytes(content)
    return target


def _copied(figure: LayoutDOM, width: int | None, height: int | None, suffix: str) -> Document:
    """Return a document with a resized copy of the figure; an image has no toolbar."""
    with OutputDocumentFor([figure], always_new=True) as document:
        copy = Document.from_json(document.to_json())
    (root,) = copy.roots
    if height is not None:
        root.update(height=height)
    if width is not None and suffix == ".html":
        root.update(sizing_mode="fixed", width=width)
    if suffix != ".html":
        plots: Any = copy.select({"type": Plot})
        for plot in plots:
            plot.update(toolbar_location=None, output_backend="svg" if suffix == ".svg" else plot.output_backend)
    return copy


def _program(settings: Settings | None) -> str | None:
    """Return the browser program named in the settings or found in the search path; None if neither."""
    from frontierlab.settings import Settings

    named = (settings or Settings()).browser
    if named is not None:
        found = shutil.which(named.expanduser())
        if found is None:
            raise ExportError(
                f"The setting browser names {named}, which is no program: give the path of Chromium, Chrome or Edge, "
                "or leave it out."
            )
        return found
    return next(filter(None, map(shutil.which, _PROGRAMS)), None)


def _drawn(html: str, suffix: str, width: int, scale: float, program: str | None) -> bytes:
    """Draw the page in a browser; in a new thread, because playwright refuses a thread with a running event loop."""
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError as error:
        raise ExportError(f'For {suffix}, playwright is missing: pip install "frontierlab[export]".') from error

    drawn: Future[bytes] = Future()

    def draw() -> None:
        try:
            with sync_playwright() as playwright, _browser(playwright, program) as browser:
                size: ViewportSize = {"width": width, "height": 10}
                page = browser.new_page(viewport=size, device_scale_factor=scale, offline=True)
                page.set_default_timeout(_LONGEST)
                drawn.set_result(_content(page, html, suffix))
        except BaseException as error:
            if not drawn.done():  # ignore an error at closing, after the figure was drawn
                drawn.set_exception(error)

    # after Ctrl-C, or if the browser hangs, this thread is left behind; playwright ends with the process
    threading.Thread(target=draw, name="frontierlab-export", daemon=True).start()
    try:
        return drawn.result(3 * _LONGEST / 1000)
    except TimeoutError:
        raise ExportError(
            f"The browser {program or ''} has not drawn the figure within {3 * _LONGEST / 1000:g} s: it hangs. Try it "
            "again, name another with the setting browser, or save the figure as .html."
        ) from None
    except Error as error:
        raise ExportError(
            f"The browser {program or ''} failed at the figure: {error.message.splitlines()[0]}"
        ) from error


def _content(page: Page, html: str, suffix: str) -> bytes:
    page.set_content(html)
    page.wait_for_function("window.Bokeh && Bokeh.documents.length > 0 && Bokeh.documents[0].is_idle")
    if suffix == ".svg":
        return str(page.evaluate(_SVG)).encode()
    return page.screenshot(full_page=True)


@contextmanager
def _browser(playwright: Playwright, program: str | None) -> Iterator[Browser]:
    browser = _launched(playwright, program)
    try:
        yield browser
    finally:
        browser.close()


def _launched(playwright: Playwright, program: str | None) -> Browser:
    from playwright.sync_api import Error

    if program is not None:
        return playwright.chromium.launch(executable_path=program, args=_FLAGS, timeout=_LONGEST)
    for place in _PLACES:
        try:
            return playwright.chromium.launch(channel=place, args=_FLAGS, timeout=_LONGEST)
        except Error as error:
            reason = error
    raise ExportError(
        "There is no Chromium, Chrome or Edge on this machine: install one (Debian: apt-get install chromium; or "
        "playwright install chromium), or name its program with the setting browser (FRONTIERLAB_BROWSER). Without "
        "one, a figure can be saved as .html."
    ) from reason
