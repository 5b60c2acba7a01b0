"""Edit and save the settings, and test the services that they name."""

from __future__ import annotations

import functools
import os
import shlex
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from html import escape
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import traitlets
from ipywidgets import Widget
from pydantic import ValidationError

from frontierlab import Settings, connections, create_config_file, jobs, sample
from frontierlab.errors import ConfigurationError, InvalidRequestError
from frontierlab.settings.sources import is_secret
from frontierlab.util.progress import Progress
from frontierlab_widgets import elements
from frontierlab_widgets.code_box import call
from frontierlab_widgets.follow_job import follow
from frontierlab_widgets.formatting import moment, sentence, warning_box
from frontierlab_widgets.panel import PANEL_LOCK, Panel, row
from frontierlab_widgets.plain_settings import changed_settings, default_of, without_secrets
from frontierlab_widgets.tabs import Tabs
from frontierlab_widgets.work import Work, WorkStopped

__all__ = ["ConnectionPanel"]

_GROUPS = {
    "Elasticsearch": "es_",
    "COOLR": "coolr_",
    "Data": ("data_dir", "limit_queries", "part_documents", "db_instances", "personal_data_key"),
    "DuckDB and Spark": (
        *("engine", "duckdb_memory_mb", "duckdb_threads", "spill_dir", "spark_master", "spark_options"),
    ),
    "Checks": "check_",
    "Jobs": "",
}
_MARKS = {"connected": "good", "refused": "bad", "not reached": "bad", "checking": "busy"}
_KEPT = "kept; type here to replace it"


class ConnectionPanel(Panel):
    """Edit the settings, test the services that they name, save them.

    Secrets (Spark's options can hold one) are typed into password fields. Applying moves a secret into the settings.
    After that neither the field nor the state holds it.

    Parameters
    ----------
    settings
        By default ``Settings()``.
    path
        The file in which the settings are saved.

    Attributes
    ----------
    connections : dict
        By service: ``state`` (not configured, not checked, checking, connected, refused, not reached) and ``reason``.
    """

    title = "Settings and connection"
    next_step = (
        "Correct it, and run this cell again. Or fill in all the fields that you need below, and click Apply: nothing "
        "of the configuration is used then."
    )

    path = traitlets.Unicode("configuration.txt").tag(saved=True)
    connections = traitlets.Dict()

    def build(self) -> list[Widget]:
        """Build one field per setting, the buttons, and one line per service."""
        self._fields = {name: _field(name) for name in Settings.model_fields}
        for name, field in self._fields.items():
            field.observe(lambda change, name=name: self._edited(name, change["new"]), "value")
        marked = {name: self.add_field(name, field) for name, field in self._fields.items()}
        pages = {title: elements.VBox([marked[n] for n in names]) for title, names in _grouped().items()}
        groups = Tabs(pages, "Settings")
        apply = elements.Button(
            description="Apply", button_style="primary", tooltip="Take these settings for all panels"
        )
        test = elements.Button(description="Test", tooltip="Apply, and check whether each service can be used")
        use_sample = elements.Button(description="Use the sample", tooltip="The data that comes with frontierlab")
        save = elements.Button(
            description="Save", tooltip="Write the applied settings to a file that only you can read"
        )
        forget = elements.Button(description="Forget secrets", tooltip="Stop using passwords, keys and Spark's options")
        build = elements.Button(
            description="Build the catalogue",
            tooltip="Apply, and list the folders and tags of COOLR if the catalogue is old",
        )
        self._failures = elements.HTML()
        self._replace = elements.Checkbox(description="replace", indent=False, layout=elements.layout(width="90px"))
        place = elements.Text(description="file", style={"description_width": "initial"})
        file = self.bind("path", place)
        self._lines = {name: elements.HTML() for name in connections.SERVICES}
        self.click(apply, self.apply, uses=[*self._fields])
        self.click(test, self.test, always=False, uses=[*self._fields])
        self.click(build, self.build_catalogue, always=False, uses=[*self._fields])
        self.click(use_sample, self.use_sample)
        self.click(save, self.save, uses=[*self._fields])
        self.click(forget, self.forget)
        self.on(self._show_settings, "settings")
        self.on(self._show_connections, "connections")
        self._show_settings()
        return [
            groups,
            row(apply, test, build, use_sample, forget),
            row(save, file, self._replace),
            *self._lines.values(),
            self._failures,
        ]

    def apply(self) -> None:
        """Apply the values of the fields to the settings.

        Raises
        ------
        ConfigurationError
            A value is not valid; the settings stay as they were.
        """
        self.settings = Settings(os.devnull, **self._written())  # the fields have all that a file could say
        self._take_secrets()  # also if the settings did not change
        self.message = "These settings are used now; they are not saved yet."

    def forget(self) -> None:
        """Remove secrets and the user of a password from the settings; files that hold secrets are kept."""
        if self.settings is not None:
            secrets = [name for name, field in self._fields.items() if isinstance(field, elements.Password)]
            self.settings = self.settings.model_copy(update={name: default_of(name) for name in [*secrets, "es_user"]})
            self.message = "Passwords, keys and Spark's options are not used any more."

    def use_sample(self) -> None:
        """Use the embedded sample: its catalogue and its archive of payloads."""
        self.settings = sample.with_sample(self.settings)
        self.message = (
            "The sample is used now: its catalogue (coolr_file), and its archive (coolr_archive) in place of COOLR. "
            "The other settings are unchanged."
        )

    def save(self) -> None:
        """Write the applied settings into a configuration file that only its owner can read.

        Raises
        ------
        InvalidRequestError
            The file exists, and replacing it is not allowed; or it cannot be read, so that what it says would be lost.
        ConfigurationError
            A value is not valid, or the file cannot be written.
        """
        self.apply()
        path = Path(self.path).expanduser()
        if path.exists():
            if not self._replace.value:
                raise InvalidRequestError(f"There is a file {self.path} already. Tick replace, or name another file.")
            _require_readable(path)
        path = create_config_file(self.path, overwrite=self._replace.value, **changed_settings(self.settings))
        self.message = f"Saved in {path}, readable by you only."

    def test(self) -> None:
        """Test all services at the same time, off the main thread; the results hold for the tested settings."""
        self.require_idle()
        self.apply()
        settings = self.settings
        self.connections = {name: {"state": "checking", "reason": ""} for name in connections.SERVICES}

        def ask(work: Work) -> None:
            with ThreadPoolExecutor(len(connections.SERVICES)) as pool:
                asked = [pool.submit(connections.check, name, settings) for name in connections.SERVICES]
                for number, answer in enumerate(as_completed(asked), 1):
                    found = answer.result()
                    told = {"state": found.state, "reason": found.reason}
                    with PANEL_LOCK:
                        if self.settings is not settings:
                            raise WorkStopped  # other settings were applied meanwhile
                        if not work.stopping.is_set():
                            self.connections = {**self.connections, found.service: told}
                    work.report(Progress("asking", number, len(asked), 0.0, None))

        self.begin(ask, stage="asking")

    def build_catalogue(self) -> None:
        """Build a missing or old catalogue as a job.

        Raises
        ------
        InvalidRequestError
            The settings name no source for the catalogue. Nothing was started.
        """
        self.require_idle()
        self.apply()
        settings = self.require_settings()
        if settings.coolr_host is None and settings.coolr_archive is None:
            raise InvalidRequestError(
                "Fill in coolr_host or coolr_archive (COOLR) first: the catalogue is built from there."
            )
        self._failures.value = ""

        def then(job: jobs.Job) -> None:
            refreshed = job.result(0)
            self.message = f"The catalogue has {len(refreshed.catalogue.table):,} folders and tags, as of "
            self.message += f"{moment(refreshed.when)}."
            self._failures.value = warning_box(job.warnings)

        def run(work: Work) -> jobs.Job:
            job = jobs.submit("catalogue", settings=settings)
            follow(job, work)
            return job

        self.begin(run, then, stage="asking COOLR")

    def stopped_message(self, error: BaseException | None) -> str:
        """Say what remains after a stop."""
        unasked = {"state": "not checked", "reason": ""}
        asked = {name: told for name, told in self.connections.items() if told["state"] != "checking"}
        self.connections = {**dict.fromkeys(self.connections, unasked), **asked}
        return "Stopped; the settings are applied, and a catalogue is unchanged."

    def code(self) -> str:
        """Return the code that makes these settings; secrets are named, not shown."""
        self.require_settings()
        shown = without_secrets(self.settings)
        secrets = [name for name in changed_settings(self.settings) if name not in shown]
        told = [f"# {name} comes from the configuration file or FRONTIERLAB_{name.upper()}" for name in secrets]
        return "\n".join([*told, call("settings = fl.Settings", **shown)])

    def _edited(self, name: str, value: Any) -> None:
        """Say that an edit is not applied yet, and whether it is valid."""
        with PANEL_LOCK:
            if value == "" and isinstance(self._fields[name], elements.Password):  # the secret was applied
                self.mark(name, "")
                return
            self.message = "Changes are not applied yet."
            self.mark(name, _problem(name, value))

    def _written(self) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for name, field in self._fields.items():
            if isinstance(field, elements.Password):
                if field.value:
                    values[name] = field.value
                elif self.settings is not None:
                    values[name] = getattr(self.settings, name)
            else:
                text = field.value.strip() if isinstance(field.value, str) else field.value
                values[name] = default_of(name) if text == "" else text
        if values.get("es_user") is None and self._fields["es_pswd"].value == "":
            values["es_pswd"] = None  # the password goes with the user
        if self._fields["es_api_key"].value == "" and values.get("es_user") is not None:
            values["es_api_key"] = None  # a user replaces it
        return values

    def _take_secrets(self) -> None:
        """Clear the fields of secrets after the settings have them."""
        for field in self._fields.values():
            if isinstance(field, elements.Password):
                field.value = ""

    def _show_settings(self) -> None:
        settings = self.settings
        self._take_secrets()
        for name, field in self._fields.items():
            value = default_of(name) if settings is None else getattr(settings, name)
            if isinstance(field, elements.Password):
                of = f" ({', '.join(value)})" if isinstance(value, dict) else ""  # names of options are not secret
                field.placeholder = f"{_KEPT}{of}" if value else "none"
            else:
                field.value = value if isinstance(field, elements.Checkbox) else _text(value)
        self.message = ""
        self.connections = {name: {"state": "not checked", "reason": ""} for name in connections.SERVICES}

    def _show_connections(self) -> None:
        for name, told in self.connections.items():
            mark = _MARKS.get(told["state"], "none")
            reason = told["reason"]
            if told["state"] == "not configured" and self.settings is not None:
                reason = _unset(name, self.settings) or reason
            self._lines[name].value = (
                f'<span class="frontierlab-{mark}"><b>{escape(name)}</b>: {escape(told["state"])}</span> '
                f'<span class="frontierlab-quiet">{escape(reason)}</span>'
            )


def _unset(service: str, settings: Settings) -> str:
    """Name the empty fields without which a service is not configured; empty if they are filled in."""
    if service == "Elasticsearch" and not (settings.es_address and settings.es_index):
        return "Fill in es_address and es_index (Elasticsearch), and click Apply. An export file needs neither."
    if service == "COOLR" and not (settings.coolr_host or settings.coolr_archive):
        return "Fill in coolr_host or coolr_archive (COOLR), and click Apply."
    if service == "Redis" and settings.broker_url is None:
        return "Fill in broker_url (Jobs), and click Apply; or click Start a worker in the jobs panel."
    return ""


def _grouped() -> Mapping[str, list[str]]:
    """Return the names of the settings by group; each name is in one group."""
    left = list(Settings.model_fields)
    groups: dict[str, list[str]] = {}
    for group, which in _GROUPS.items():
        groups[group] = [n for n in left if (n.startswith(which) if isinstance(which, str) else n in which)]
        left = [name for name in left if name not in groups[group]]
    return groups


def _require_readable(path: Path) -> None:
    """Raise if a configuration file cannot be read, for what it says would be lost when it is replaced."""
    try:
        Settings(path)
    except ConfigurationError as error:
        raise InvalidRequestError(
            f"{path} cannot be read, and replacing it would lose what it says: {sentence(error)} Correct it, or save "
            "under another name in the field path."
        ) from error


def _field(name: str) -> Widget:
    field = Settings.model_fields[name]
    looks: dict[str, Any] = {
        "description": name,
        "tooltip": field.description or "",
        "style": {"description_width": "190px"},
        "layout": elements.field_layout("620px"),
    }
    if is_secret(field):
        return elements.Password(continuous_update=False, **looks)
    if field.annotation is bool:
        return elements.Checkbox(**looks)
    if get_origin(field.annotation) is Literal:
        return elements.Dropdown(options=[str(value) for value in get_args(field.annotation)], **looks)
    return elements.Text(placeholder=field.description or "", continuous_update=False, **looks)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, dict):
        return shlex.join(f"{name}={option}" for name, option in value.items())
    return " ".join(value) if isinstance(value, tuple) else str(value)


@functools.cache
def _blank() -> Settings:
    """Return settings of defaults alone, which nobody changes: to make them takes longer than to check a value."""
    return Settings.model_construct()


def _problem(name: str, value: Any) -> str:
    """Say why a value is not valid for a setting; empty if it is. The value can be a secret, so it is not shown."""
    value = value.strip() if isinstance(value, str) else value
    if value == "":  # empty means the default
        return ""
    try:
        Settings.__pydantic_validator__.validate_assignment(_blank().model_copy(), name, value)
    except ValidationError as error:
        if any(problem["loc"] for problem in error.errors()):  # the other errors concern several settings
            return f"This is not valid. Valid: {Settings.model_fields[name].description}."
    return ""
