"""Figures in a notebook: BokehJS, compressed, so that a saved notebook stays small."""

from __future__ import annotations

import base64
import functools
import gzip
from collections.abc import Callable
from pathlib import Path

import bokeh
from bokeh.io.state import curstate

__all__ = ["output_notebook"]

# as HTML, because JupyterLab fetches what runs scripts only when there is one: figures wait a second for BokehJS
_LOAD = """\
<script>
(() => {
  if (window.Bokeh) return
  if (!window.DecompressionStream) {
    console.error("Bokeh figures cannot be shown: this browser lacks DecompressionStream. Take one of 2023 or later.")
    return
  }
  const bytes = Uint8Array.from(atob("%s"), (letter) => letter.charCodeAt(0))
  const plain = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))
  const loaded = new Response(plain).text().then((code) => {
    const script = document.createElement("script")
    script.text = code
    document.head.append(script)
  })
  // figures that are shown meanwhile wait; BokehJS takes the place of this object
  const embed_items_notebook = (...items) => loaded.then(() => window.Bokeh.embed.embed_items_notebook(...items))
  window.Bokeh = { embed: { embed_items_notebook } }
})()
</script>
"""


def output_notebook() -> None:
    """Show figures in the cells that follow: `bokeh.io.show` of a figure, for example.

    A figure of the same cell may not be shown: it waits a second for BokehJS, which JupyterLab runs after the cell.

    It replaces `bokeh.io.output_notebook` with inline resources: no network is needed, and a saved notebook has its
    figures without a kernel. BokehJS is in it once, compressed: 0.5 MB instead of 8 MB. The browser must be of 2023 or
    later.

    Raises
    ------
    ImportError
        IPython is missing, so that this is no notebook.
    """
    from IPython.display import publish_display_data

    curstate().output_notebook("jupyter")
    publish: Callable[..., None] = publish_display_data
    publish({"text/html": _LOAD % _compressed()})


@functools.cache
def _compressed() -> str:
    code = Path(bokeh.__file__).parent / "server" / "static" / "js" / "bokeh.min.js"
    return base64.b64encode(gzip.compress(code.read_bytes(), mtime=0)).decode()
