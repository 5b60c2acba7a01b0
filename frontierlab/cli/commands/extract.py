"""``frontierlab extract``: query logs into a dataset."""

from __future__ import annotations

from typing import Any

import click

from frontierlab.cli.command import Call, Command
from frontierlab.cli.endings import FINDINGS, NOTHING

__all__ = ["command"]


@click.command(
    "extract",
    cls=Command,
    face="frontierlab.extract",
    examples=[
        "frontierlab extract overlay --since 2026-10-01 --until 2026-10-02",
        "frontierlab extract overlay --source dump.ndjson.zst",
        "frontierlab extract pixel --source dump.ndjson.zst --schema ATLAS_COOLOFL_PIXEL --not-cached",
        "frontierlab extract --dry-run --since 2026-10-01 --until 2026-10-02",
    ],
    finds="the dataset lacks something that was asked for: warnings say what",
    selects=True,
    interrupted="Stored parts stay, and the same command reads the others. frontierlab datasets shows the state.",
)
@click.argument("name", required=False)
@click.option(
    "--source",
    type=click.Path(dir_okay=False),
    help="Read this export file (JSON documents, also compressed).  [default: the es_index of the settings]",
)
@click.option(
    "--extra-field",
    "extra_fields",
    multiple=True,
    metavar="FIELD[=KIND]",
    help="A further field of the documents: integer, number, flag, name, time or json. Can be repeated.",
)
@click.option(
    "--complete/--no-complete", default=True, help="Complete ids and names from the catalogue.  [default: complete]"
)
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.pass_obj
def command(call: Call, /, name: str | None, extra_fields: tuple[str, ...], dry_run: bool, **request: Any) -> int:
    """Extract query logs into the dataset NAME.

    They come from Elasticsearch, or from an export file. Without --since it starts at the first document, without
    --until it ends now. An interrupted extraction is resumed by the same command.
    """
    from frontierlab.extraction.extract import extract
    from frontierlab.storage.losses import losses

    asked = {field: kind or None for field, _, kind in (one.partition("=") for one in extra_fields)}
    request["extra_fields"] = asked
    if dry_run:
        plan = extract(call.settings, **request, dry_run=True)
        known = {"documents": plan.documents, "parts": plan.parts, "size": plan.size, "limit": plan.limit}
        call.out.record(
            {**known, "request": plan.request.model_dump(), "body": plan.body, "notes": plan.notes}, str(plan)
        )
        return NOTHING
    if name is None:
        raise click.UsageError("Missing argument 'NAME': the name of the new dataset.")
    dataset = extract(call.settings, name=name, **request)
    counts = dataset.counts
    call.out.record(
        {
            "name": dataset.name,
            "state": dataset.state,
            "path": dataset.path,
            "read": counts.read,
            "kept": counts.kept,
            "left_out": counts.left_out,
            "malformed": counts.malformed,
        },
        f"{name}: {counts.read:,} documents read = {counts.kept:,} kept + {counts.left_out:,} left out + "
        f"{counts.malformed:,} malformed, in {dataset.path}",
    )
    return FINDINGS if losses(dataset, call.settings) else NOTHING
