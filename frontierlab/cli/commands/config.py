"""``frontierlab config``: the configuration, and whether its services can be used."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from frontierlab.cli.command import Call, Command
from frontierlab.cli.endings import FINDINGS, NOTHING
from frontierlab.cli.group import Group
from frontierlab.cli.output import is_terminal, note
from frontierlab.errors import ConfigurationError

__all__ = ["command"]

_SERVICES = ("Elasticsearch", "COOLR", "Redis", "Spark")


@click.group("config", cls=Group, default="show")
def command() -> None:
    """Show, write or check the configuration. Without a command: show.

    A value comes from the configuration file (--config FILE, or the variable CONFIG_FILE), or from a variable
    FRONTIERLAB_<KEY>, which replaces that of the file. Secrets are never options: they stand in the file, which only
    its owner can read, or in variables.
    """


@command.command(
    "show",
    cls=Command,
    examples=["frontierlab config show", "frontierlab config show --config configuration.txt --json"],
)
@click.pass_obj
def show(call: Call) -> None:
    """Show each setting, and where it comes from. Of a secret it shows only that it is set."""
    from frontierlab.settings.origins import origins

    found = [one._asdict() for one in origins(call.config)]
    columns = ["key", "value", "place", *(["description"] if call.out.as_json else [])]
    if not call.out.as_json:
        found = [{**one, "value": _in_words(one["value"]), "place": _place(one["place"])} for one in found]
    call.out.rows(found, columns)


def _in_words(value: object) -> str | None:
    if isinstance(value, tuple):
        return " ".join(map(str, value)) or None
    if isinstance(value, dict):
        return " ".join(f"{key}={one}" for key, one in value.items()) or None
    return None if value is None else str(value)


def _place(place: str) -> str:
    path, comma, line = place.rpartition(", line ")
    return f"{Path(path).name}, line {line}" if comma else place


@command.command(
    "create",
    cls=Command,
    face="frontierlab.create_config_file",
    examples=[
        "frontierlab config create mine.txt es_address=es.example.org es_index='frontier-new-*'",
        "frontierlab config create private.txt es_address=es.example.org es_user=me --secret es_pswd < password",
    ],
    interrupted="No file was written, and an old one is as it was.",
)
@click.argument("path", type=click.Path(dir_okay=False))
@click.argument("fields", metavar="[KEY=VALUE]...", nargs=-1)
@click.option(
    "--secret",
    "secrets",
    multiple=True,
    metavar="KEY",
    help="Ask for this secret on the terminal, or read it from the standard input, a line each. Can be repeated.",
)
@click.option("--overwrite", is_flag=True, help="Replace a file that exists.")
@click.pass_obj
def create(call: Call, path: str, fields: tuple[str, ...], secrets: tuple[str, ...], overwrite: bool) -> None:
    """Write a configuration file for its owner alone.

    frontierlab config show --json names the keys and says what they are.
    """
    from frontierlab.settings import Settings, create_config_file
    from frontierlab.settings.sources import is_secret

    values = {}
    for field in fields:
        key, equals, value = field.partition("=")
        known = Settings.model_fields.get(key)
        if known is not None and is_secret(known):
            raise click.UsageError(f"{key} is a secret, which other users can see on a command line: --secret {key}")
        if not equals:
            raise click.UsageError(f"{key} has no value. Write {key}=value.")
        values[key] = value
    for key in secrets:
        if key not in Settings.model_fields:
            raise click.UsageError(f"There is no secret {key}.")
        values[key] = _secret(key)
    written = create_config_file(path, overwrite=overwrite, **values)
    call.out.record({"path": written}, f"{written} is written. To use it: export CONFIG_FILE={written}")


def _secret(key: str) -> str:
    """Read a secret: from the terminal without showing it, or the next line of the standard input."""
    if is_terminal(sys.stdin):
        return str(click.prompt(key, hide_input=True, confirmation_prompt=True, err=True))
    line = sys.stdin.readline().rstrip("\r\n")
    if not line:
        raise ConfigurationError(f"There is no line with {key} on the standard input.")
    return line


@command.command(
    "check",
    cls=Command,
    face="frontierlab.connections.check",
    examples=["frontierlab config check", "frontierlab config check COOLR"],
    finds="a service refused or did not answer, or one that was named is not configured",
)
@click.argument("services", nargs=-1, type=click.Choice(_SERVICES, case_sensitive=False), metavar="[SERVICE]...")
@click.pass_obj
def check(call: Call, services: tuple[str, ...]) -> int:
    """Check whether the services can be used.

    They are Elasticsearch, COOLR, Redis and Spark. Without a name: Elasticsearch, COOLR, and Redis if it carries jobs.
    Spark is started to check it.
    """
    from frontierlab.connections import check as check_service

    settings = call.settings
    carried = settings.job_backend == "celery" or settings.broker_url is not None
    wanted = services or ("Elasticsearch", "COOLR", *(["Redis"] if carried else []))
    found = [check_service(service, settings) for service in wanted]
    if call.out.as_json:
        call.out.rows([one._asdict() for one in found], ["service", "state", "reason"])
    else:
        call.out.text("\n".join(f"{one.service}: {one.state}. {one.reason}" for one in found))
    fine = ("connected",) if services else ("connected", "not configured")
    missing = [one.service for one in found if one.state not in fine]
    if missing:
        note(f"Not usable: {', '.join(missing)}.")
    return FINDINGS if missing else NOTHING
