"""Execute one notebook in a separate process: ``python -m frontierlab.jobs.notebook_process``.

The first line of the standard input is JSON: the arguments of ``papermill.execute_notebook``. When the input closes,
this process and its kernel end. So they never outlive the process that started them.

The kernel is always this interpreter, not the kernel that the notebook was saved with: a name such as
``conda-env-xyz-py`` means nothing on a worker, and ``python3`` can be another Python there.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from frontierlab.util.files import replacing

__all__ = ["main"]

_WIDGETS = "application/vnd.jupyter.widget-state+json"

_START = 180  # seconds for a kernel to start: papermill's 60 are short on a busy machine
_PATIENCE = 5  # seconds for papermill to end its kernel
_OUTPUTS = 60  # seconds for the outputs of a finished cell: nbclient's 4 are too few on a busy machine
# jsonschema makes it at its import, which takes more than a second; the schema of notebooks has no such addresses
_GRAMMAR_OF_ADDRESSES = "rfc3987_syntax"
_HADOOP = "pyarrow.fs"  # papermill imports it for notebooks in Hadoop: a third of its own import


def main() -> None:
    """Execute the notebook."""
    # Celery's pool processes ignore SIGINT, and their children inherit that: papermill and kernel would not end
    signal.signal(signal.SIGINT, signal.default_int_handler)
    arguments = json.loads(sys.stdin.readline())
    threading.Thread(target=_follow, daemon=True).start()
    _execute(arguments)
    _leave_out_defaults(Path(arguments["output_path"]))


def _execute(arguments: dict[str, Any]) -> None:
    modules: dict[str, Any] = sys.modules
    for name in (_GRAMMAR_OF_ADDRESSES, _HADOOP):
        modules.setdefault(name, None)  # jsonschema and papermill do without, as if they were not installed
    import ipykernel  # noqa: F401  # if it is missing, fail here instead of with a kernel that dies
    from jupyter_client.kernelspec import KernelSpec
    from jupyter_client.manager import AsyncKernelManager
    from papermill import execute_notebook

    class ThisInterpreter(AsyncKernelManager):
        @property
        def kernel_spec(self) -> KernelSpec:
            command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
            return KernelSpec(argv=command, display_name="Python 3", language="python")

    execute_notebook(
        **arguments,
        progress_bar=False,
        kernel_name="python3",
        language="python",
        kernel_manager_class=ThisInterpreter,
        iopub_timeout=_OUTPUTS,
        start_timeout=_START,
    )


def _leave_out_defaults(path: Path) -> None:
    """Remove what the layouts and styles of widgets do not set: it is half of what a dashboard takes."""
    book = json.loads(path.read_text(encoding="utf-8"))
    models = book["metadata"].get("widgets", {}).get(_WIDGETS, {}).get("state", {})
    if not models:
        return
    for model in models.values():
        if model["model_name"].endswith(("LayoutModel", "StyleModel")):
            model["state"] = {name: value for name, value in model["state"].items() if value is not None}
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(book, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def _follow() -> None:
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGINT)  # like Ctrl-C, on which papermill ends its kernel
    time.sleep(_PATIENCE)
    os._exit(1)


if __name__ == "__main__":
    main()
