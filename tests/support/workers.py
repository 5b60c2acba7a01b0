"""Changed workers, sleeping jobs, and waits for the tests of workers."""

from __future__ import annotations

from functools import partial

import nbformat

from frontierlab.sample import World
from tests.support.waiting import wait_for

LONG = 300  # seconds after which a test that waits has failed
WORLD = World(8_000, seed=11)


until = partial(wait_for, seconds=LONG)


def until_read(job, documents):
    """Wait until a job reports that it has read at least so many documents."""
    until(lambda: job.progress is not None and job.progress.done >= documents, "progress")


def a_notebook(path, code):
    """Write a notebook of one cell; return its path."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, path)
    return path


CHANGED = """
import os, pathlib, signal, sys, time
from frontierlab.jobs import kinds
from frontierlab.jobs.context import JobContext
{change}
from celery.__main__ import main
sys.exit(main())
"""


def changed(change):
    """Return the program of a worker that runs this code before it starts."""
    return CHANGED.format(change=change)


SLEEPER = changed("""
class Sleeper(kinds.CatalogueRefresh):
    def run(self, record, settings, context):
        settings.data_dir.with_name("asleep").write_text(str(os.getpid()))
        context.cancelled.wait(600)
        context.raise_if_stopped()

kinds.KINDS["catalogue"] = Sleeper()
""")  # a refresh of the catalogue sleeps, after writing its process id into a file

HELD = changed("""
def report(self, progress, report=JobContext.report):
    report(self, progress)
    while progress.done >= 5_000 and not pathlib.Path("go").exists():
        time.sleep(0.02)

JobContext.report = report
""")  # an extraction waits after 5,000 documents until a file exists

FEW_CHAPTERS = changed("""
from frontierlab.reports import report
from frontierlab.reports.beginning import Beginning

report.CHAPTERS.clear()
report.CHAPTERS["Databases"] = ("queries_per_db",)
report.begin = lambda *_: Beginning()
""")  # reports of one figure and without a beginning, where a test is about what is around them


def asleep(tmp_path):
    """Wait for a sleeping job, and return the id of the process that sleeps."""
    file = tmp_path / "asleep"
    found = int(until(lambda: file.exists() and file.read_text(), "the sleeping job"))
    file.unlink()
    return found
