"""``frontierlab jobs``: work on workers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from frontierlab.cli.command import Call, Command
from frontierlab.cli.endings import FINDINGS, NOTHING
from frontierlab.cli.group import Group
from frontierlab.cli.output import note
from frontierlab.cli.types import Age, Word
from frontierlab.cli.words import elsewhere
from frontierlab.settings.data_folder import ELSEWHERE

if TYPE_CHECKING:
    from datetime import timedelta

    from frontierlab.jobs.job import Job
    from frontierlab.jobs.records import JobRecord
    from frontierlab.settings import Settings

__all__ = ["command"]

_COLUMNS = ("id", "kind", "state", "submitted", "started", "ended", "who", "progress")
_LOOK = 1.0  # seconds between two looks at a job
_GOES_ON = "The job goes on: frontierlab jobs wait waits for it, frontierlab jobs cancel ends it."


def _ids(settings: Settings) -> list[str]:
    from frontierlab.jobs.records import JobStore

    return ["last", *JobStore(settings).ids()]


_JOB = Word("job", _ids)


@click.group("jobs", cls=Group, default="list")
def command() -> None:
    """Submit work, follow and cancel it. Without a command: list. JOB is the id of one, or the word last."""


@command.command(
    "list", cls=Command, face="frontierlab.jobs.jobs", examples=["frontierlab jobs", "frontierlab jobs --json"]
)
@click.pass_context
def list_(ctx: click.Context) -> None:
    """List all jobs of the data folder, the newest first, of all users."""
    from frontierlab.jobs import jobs

    call: Call = ctx.obj
    records = [job.record() for job in jobs(call.settings)]
    empty = f"There are no jobs in {call.settings.data_dir / 'jobs'}. {elsewhere(ctx)}"
    call.out.rows([_row(record, call.out.as_json) for record in records], _COLUMNS, empty)


def _row(record: JobRecord, as_json: bool) -> dict[str, Any]:
    progress = record.progress
    if progress is not None and not as_json:
        total = progress["total"]
        of = f" {progress['done'] / total:.0%}" if total else f" {progress['done']:,}"
        return {**record.model_dump(), "progress": f"{progress['stage']}{of}"}
    return record.model_dump()


@command.command("show", cls=Command, face="frontierlab.jobs.open_job", examples=["frontierlab jobs show last"])
@click.argument("id", metavar="JOB", type=_JOB)
@click.pass_obj
def show(call: Call, id: str) -> None:
    """Show what was submitted, by whom, and how it ended."""
    record = _job(id, call.settings).record()
    times = {name: getattr(record, name) for name in ("submitted", "started", "ended")}
    text = [
        f"{record.id}: {record.state}",
        f"submitted by {record.who}, to run {record.backend}",
        *(f"{name} {moment:%Y-%m-%d %H:%M:%S} UTC" for name, moment in times.items() if moment is not None),
        *(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in record.arguments.items()),
        *([f"result: {json.dumps(record.result, ensure_ascii=False)}"] if record.result else []),
        *([f"error: {record.error}"] if record.error else []),
        *(f"warning: {one}" for one in record.warnings),
    ]
    shown = (*_COLUMNS, "arguments", "backend", "result", "error", "warnings", "attempts")
    call.out.record({name: getattr(record, name) for name in shown}, "\n".join(text))


@command.command(
    "submit",
    cls=Command,
    face="frontierlab.jobs.submit",
    examples=[
        "frontierlab jobs submit catalogue --backend inline",
        "frontierlab jobs submit extraction name=second source=dump.ndjson.zst --backend inline --wait",
    ],
    finds="with --wait: the job succeeded with warnings",
    interrupted=_GOES_ON,
)
@click.argument(
    "kind",
    type=click.Choice(
        [
            *("extraction", "catalogue", "caching", "report", "notebook", "night", "diagnosis"),
            *("servlet_logs", "squid_logs"),
        ]
    ),
)
@click.argument("arguments", metavar="[NAME=VALUE]...", nargs=-1)
@click.option(
    "--backend",
    type=click.Choice(["inline", "celery"]),
    help="Where it runs: in this process, or on a worker.  [default: the job_backend of the settings]",
)
@click.option("--wait", is_flag=True, help="Wait for the end, like frontierlab jobs wait.")
@click.pass_obj
def submit(call: Call, kind: str, arguments: tuple[str, ...], backend: str | None, wait: bool) -> int:
    """Submit work, and write the id of its job.

    NAME=VALUE are arguments of the function of the kind (extraction: frontierlab.extract). A VALUE is JSON, such as
    5000, true, [1, 2] or {"db": "CONDBR2"}; what is not is a text.
    """
    from frontierlab.jobs import submit as submit_job

    if (backend or call.settings.job_backend) == "thread":
        raise click.UsageError(
            "job_backend is thread, and such a job would end with this command. Give --backend celery (a worker runs "
            "it), or --backend inline (this process does)."
        )
    given = {}
    for argument in arguments:
        name, equals, text = argument.partition("=")
        if not equals:
            raise click.UsageError(f"{argument} has no value. Write {argument}=value.")
        given[name] = _value(text)
    job = submit_job(kind, settings=call.settings, backend=backend, **given)
    if wait:
        return _wait(call, job)
    call.out.record({"id": job.id, "state": job.state}, job.id)
    return NOTHING


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


@command.command(
    "wait",
    cls=Command,
    face="frontierlab.jobs.Job.wait",
    examples=["frontierlab jobs wait last"],
    finds="the job succeeded with warnings",
    interrupted=_GOES_ON,
)
@click.argument("id", metavar="JOB", type=_JOB)
@click.pass_obj
def wait(call: Call, id: str) -> int:
    """Wait for the end of a job, with its progress."""
    return _wait(call, _job(id, call.settings))


def _wait(call: Call, job: Job) -> int:
    """Wait for a job, and return the exit code; a job that failed or was cancelled raises JobError."""
    from frontierlab.util.progress import Progress, reporting

    with reporting(True, "units") as report:
        while job.wait(timeout=_LOOK) in ("queued", "running"):
            report(job.progress or Progress(job.state, 0, None, 0.0, None))
    job.result()  # raises if there is none
    record = job.record()
    for text in record.warnings:
        note(text, "Warning: ")
    call.out.record(
        {"id": record.id, "state": record.state, "result": record.result, "warnings": record.warnings},
        f"{record.id}: {record.state}",
    )
    return FINDINGS if record.warnings else NOTHING


@command.command("cancel", cls=Command, face="frontierlab.jobs.Job.cancel", examples=["frontierlab jobs cancel last"])
@click.argument("id", metavar="JOB", type=_JOB)
@click.pass_obj
def cancel(call: Call, id: str) -> None:
    """Cancel a job: at once if it is queued, within seconds if it runs. What has ended stays as it is."""
    job = _job(id, call.settings)
    job.cancel()
    state = job.state
    call.out.record({"id": job.id, "state": state}, f"{job.id}: {state}")


@command.command(
    "prune",
    cls=Command,
    face="frontierlab.jobs.prune",
    examples=["frontierlab jobs prune --older-than 30d"],
    interrupted="What was removed stays removed.",
)
@click.option(
    "--older-than", required=True, type=Age(), metavar="AGE", help="Age since the end: 30d (s, min, h, d, w)."
)
@click.pass_obj
def prune(call: Call, older_than: timedelta) -> None:
    """Remove the records of jobs that ended longer ago, and the results beside them; datasets and reports stay."""
    from frontierlab.jobs import prune as remove

    removed = remove(older_than, call.settings)
    call.out.record({"removed": removed}, f"{len(removed):,} jobs are removed.")


def _job(id: str, settings: Settings) -> Job:
    from frontierlab.errors import JobError
    from frontierlab.jobs import jobs, open_job

    if id != "last":
        return open_job(id, settings)
    found = jobs(settings)
    if not found:
        raise JobError(f"There are no jobs in {settings.data_dir / 'jobs'}. {ELSEWHERE}")
    return found[0]
