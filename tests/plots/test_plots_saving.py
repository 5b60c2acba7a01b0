import asyncio
import logging
import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from bokeh.document import Document
from bokeh.layouts import column
from PIL import Image

from frontierlab import plots
from frontierlab.errors import ExportError, InvalidRequestError
from frontierlab.plots import saving
from frontierlab.settings import Settings

BLUE = (0x00, 0x72, 0xB2)
VERMILION = (0xD5, 0x5E, 0x00)


def per_db() -> pd.DataFrame:
    names = pd.array(["CONDBR2", "<b>it's & more</b>"], dtype="string")
    frame = pd.DataFrame({"db": names, "part": "named", "groups": 1, "cached": [40, 5], "not_cached": [60, 10]})
    frame = frame.assign(unknown=0).astype(dict.fromkeys(["groups", "cached", "not_cached", "unknown"], "Int64"))
    frame.attrs = {"selection": "from 2026-10-01 00:00 UTC"}
    return frame


def figure() -> Any:
    return plots.queries_per_db(per_db())


def pixels(path: Path) -> tuple[int, int, set[tuple[int, int, int]]]:
    """Return a PNG's width, height and colours."""
    with Image.open(path, formats=["PNG"]) as picture:
        plain = picture.convert("RGB")
    found = plain.getcolors(maxcolors=plain.width * plain.height)
    assert found is not None
    return plain.width, plain.height, {colour for _, colour in found if isinstance(colour, tuple)}


@pytest.fixture
def chromium(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make frontierlab find the browser of the tests, also one that TEST_CHROMIUM names."""
    if "TEST_CHROMIUM" in os.environ:
        monkeypatch.setenv("FRONTIERLAB_BROWSER", os.environ["TEST_CHROMIUM"])


@pytest.mark.browser
@pytest.mark.usefixtures("chromium")
def test_a_png_of_a_shown_layout_has_the_size_and_the_colours(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    plot = figure()
    document = Document()
    document.add_root(column(plot, figure(), sizing_mode="stretch_width"))
    with caplog.at_level(logging.WARNING):
        path = plots.save(document.roots[0], tmp_path / "new folder" / "both.png", width=400, scale=1.5)
    width, height, colours = pixels(path)
    assert width == 600
    assert height >= 1.5 * 2 * plot.height
    assert {BLUE, VERMILION, (255, 255, 255)} <= colours
    assert plot.document is document
    assert caplog.text == ""
    assert [file.name for file in path.parent.iterdir()] == ["both.png"]


@pytest.mark.browser
@pytest.mark.usefixtures("chromium")
def test_an_svg_is_xml_with_its_texts_and_works_in_an_event_loop(tmp_path: Path) -> None:
    plot = figure()

    async def cell() -> Path:
        return plots.save(plot, tmp_path / "plot.SVG", width=700, height=300)

    root = ElementTree.parse(asyncio.run(cell())).getroot()
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert (root.get("width"), root.get("height")) == ("700", "300")
    texts = ["".join(text.itertext()) for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"Queries per database", "from 2026-10-01 00:00 UTC", "CONDBR2", "<b>it's & more</b>"} <= {*texts}
    fills = {element.get("fill", "").lower() for element in root.iter()}
    assert "rgb(0,114,178)" in fills
    assert not list(root.iter("{http://www.w3.org/2000/svg}image"))
    assert plot.toolbar_location == "above"
    assert plot.document is None


def test_a_page_needs_no_browser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    path = plots.save(figure(), tmp_path / "plot.html", width=500)
    text = path.read_text(encoding="utf-8")
    assert "<title>plot</title>" in text
    assert "Queries per database" in text
    assert '"width":500' in text
    assert "cdn.bokeh.org" not in text


@pytest.mark.browser
def test_without_a_browser_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saving, "_PROGRAMS", ("no-such-browser",))
    monkeypatch.setattr(saving, "_PLACES", ("chrome-canary",))
    target = tmp_path / "plot.png"
    target.write_text("earlier")
    with pytest.raises(ExportError, match=r"no Chromium, Chrome or Edge .*FRONTIERLAB_BROWSER"):
        plots.save(figure(), target)
    assert target.read_text() == "earlier"
    assert [file.name for file in tmp_path.iterdir()] == ["plot.png"]


@pytest.mark.browser
def test_a_wrong_browser_program_is_named(tmp_path: Path) -> None:
    program = tmp_path / "browser"
    with pytest.raises(ExportError, match=r"setting browser names .*, which is no program"):
        plots.save(figure(), tmp_path / "plot.png", settings=Settings(browser=program))
    program.write_text("#!/bin/sh\nexit 3\n")
    program.chmod(0o755)
    with pytest.raises(ExportError, match="failed at the figure"):
        plots.save(figure(), tmp_path / "plot.png", settings=Settings(browser=program))
    assert not (tmp_path / "plot.png").exists()


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("plot.pdf", {}, r"plot\.pdf: give a name that ends in \.html, \.png, \.svg"),
        ("plot", {}, "give a name that ends in"),
        ("plot.png", {"width": 0}, "width=0: give a whole number of pixels"),
        ("plot.png", {"height": 1.5}, r"height=1\.5: give a whole number"),
        ("plot.png", {"scale": float("nan")}, "scale=nan: give a number from"),
        ("plot.png", {"scale": 100}, "scale=100: give"),
    ],
)
def test_invalid_values_are_refused(tmp_path: Path, name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidRequestError, match=message):
        plots.save(figure(), tmp_path / name, **options)


HANGING = """
import os, pathlib, signal, sys, threading, time
from bokeh.plotting import figure
from frontierlab import Settings, plots
folder = pathlib.Path(sys.argv[1])
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background programs ignore it
def interrupt():
    while not (folder / "begun").exists():
        time.sleep(0.05)
    os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=interrupt, daemon=True).start()
plots.save(figure(), folder / "figure.png", settings=Settings(browser=folder / "browser"))
"""


@pytest.mark.slow
def test_ctrl_c_ends_the_wait_for_a_hanging_browser(tmp_path: Path) -> None:
    program = tmp_path / "browser"
    program.write_text(f"#!/bin/sh\ntouch '{tmp_path}/begun'\nexec sleep 600\n")
    program.chmod(0o755)
    with (tmp_path / "said").open("w") as said:  # a pipe would be kept open by the browser
        command = [sys.executable, "-c", HANGING, tmp_path]
        done = subprocess.run(command, stderr=said, check=False, timeout=50)  # before playwright gives up
    assert done.returncode
    assert "KeyboardInterrupt" in (tmp_path / "said").read_text()
