"""Run a job to its end in the current process: claim it, do its work, write how it ended."""

from __future__ import annotations

import traceback
from datetime import UTC, datetime
from typing import Literal

from frontierlab.errors import FrontierlabError
from frontierlab.jobs.context import JobContext, JobStopped
from frontierlab.jobs.processes import Process
from frontierlab.util.warned import collected_warnings

__all__ = ["Claim", "MOST_ATTEMPTS", "claim", "run_claimed"]

MOST_ATTEMPTS = 3
"""How often a job may start whose process dies: without a limit, it could kill workers for ever."""

Claim = Literal["mine", "ended", "busy"]
"""Result of claiming a job: this runner has it; it has ended; another runner has it."""


def claim(context: JobContext) -> Claim:
    """Claim a job for this runner: a queued one, or one whose runner gives no heartbeats.

    After that, the earlier runner cannot write into the record.
    """
    store, id = context.store, context.id
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
                f"The job was started {record.attempts} times, and each time its process ended before the job did, the "
                f"last time process {last.pid} on {last.host}. The log of the worker may say why; often the memory is "
                "too small."
            )
            return "ended"
        record.state, record.heartbeat, record.process = "running", now, Process.this()
        record.started = record.started or now
        record.attempts += 1
        context.attempt = record.attempts
    return "mine"


def run_claimed(context: JobContext) -> None:
    """Run a claimed job. Its record says how it ended in every case, unless another runner has taken it over."""
    record = context.store.read(context.id)
    try:
        from frontierlab.jobs.kinds import KINDS  # here: who only follows jobs needs none of what they do

        context.raise_if_stopped()
        with context.questions, collected_warnings() as warned:
            outcome = KINDS[record.kind].run(record, context.settings, context)
    except (JobStopped, FrontierlabError) as error:
        if context.reason or not context.cancelled.is_set():
            context.end(state="failed", error=context.reason or str(error))
        else:
            context.end(state="cancelled")
    except Exception as error:
        context.end(state="failed", error=f"{type(error).__name__}: {error}", traceback=traceback.format_exc())
    except BaseException as error:  # including Ctrl-C and the end of the worker
        context.end(state="failed", error=f"The job was interrupted by {type(error).__name__}.")
        raise
    else:
        told = outcome.warnings + [text for text in warned if not any(one in text for one in outcome.warnings)]
        context.end(state="succeeded", result=outcome.result, warnings=[*dict.fromkeys(told)])
