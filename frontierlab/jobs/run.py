"""Running a job to its end, in whatever process: taking it, its work, and how it ended."""

from __future__ import annotations

import traceback
from datetime import UTC, datetime
from typing import Literal

from frontierlab.errors import FrontierlabError
from frontierlab.jobs.control import Control, Stopped
from frontierlab.jobs.kinds import KINDS
from frontierlab.jobs.processes import Process

__all__ = ["Claim", "MOST_ATTEMPTS", "claim", "run"]

MOST_ATTEMPTS = 3
"""How often a job is begun whose process ends before it does: one that kills its worker would do so for ever."""

Claim = Literal["mine", "ended", "busy"]
"""What became of the attempt to take a job: it is to be run here; it has ended; another runner has it."""


def claim(control: Control) -> Claim:
    """Take a job, to run it here: one that is queued, or whose runner gives no signs of life any more.

    From then on the earlier runner is not valid: what it writes into the record is dropped.
    """
    store, id = control.store, control.id
    with store.changing(id) as record:
        now = datetime.now(UTC)
        if not record.has_ended and store.is_cancelled(id):
            record.state, record.ended = "cancelled", now
        if record.has_ended:
            return "ended"
        if record.state == "running" and not record.is_lost():
            return "busy"
        if record.attempts >= MOST_ATTEMPTS:
            last = record.process or Process.this()
            record.state, record.ended = "failed", now
            record.error = (
                f"It was begun {record.attempts} times, and each time its process ended before it did, the last one "
                f"being {last.pid} on {last.host}. The worker's log may say why; often it is too little memory."
            )
            return "ended"
        record.state, record.heartbeat, record.process = "running", now, Process.this()
        record.started = record.started or now
        record.attempts += 1
        control.attempt = record.attempts
    return "mine"


def run(control: Control) -> None:
    """Run a job that is claimed; its record says how it ended, whatever happens, unless another runner has it."""
    record = control.store.read(control.id)
    try:
        control.check()
        with control.spark:
            outcome = KINDS[record.kind].run(record, control.settings, control)
    except (Stopped, FrontierlabError) as error:
        if control.reason or not control.cancelled.is_set():
            control.end(state="failed", error=control.reason or str(error))
        else:
            control.end(state="cancelled")
    except Exception as error:
        control.end(state="failed", error=f"{type(error).__name__}: {error}", traceback=traceback.format_exc())
    except BaseException as error:  # Ctrl-C, or the end of the worker
        control.end(state="failed", error=f"It was interrupted by {type(error).__name__}.")
        raise
    else:
        control.end(state="succeeded", result=outcome.result, warnings=outcome.warnings)
