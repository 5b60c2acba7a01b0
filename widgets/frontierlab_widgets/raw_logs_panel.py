"""Read raw logs of servlets and Squids, without Elasticsearch."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Any

import traitlets
from ipywidgets import Widget

from frontierlab import Dataset, Settings, jobs
from frontierlab.errors import CatalogueError, InvalidRequestError, JobError
from frontierlab.jobs import Job
from frontierlab.rawlogs.kinds import LogKind
from frontierlab.rawlogs.squid.stored import SquidLogs, squid_logs_path
from frontierlab_widgets import elements
from frontierlab_widgets.browser_files import MOST_UP, Upload
from frontierlab_widgets.code_box import Expression, call
from frontierlab_widgets.dataset_names import plain_name, require_free
from frontierlab_widgets.follow_job import follow
from frontierlab_widgets.formatting import megabytes, no_catalogue, notes, warning_box
from frontierlab_widgets.panel import PANEL_LOCK, Panel, Phase, row
from frontierlab_widgets.raw_fields import PAIRS, STYLE, TEXTS, checked, grid, text_field, zone
from frontierlab_widgets.raw_files import (
    KINDS,
    MOST,
    FoundLogs,
    about_personal_data,
    find,
    on_disk,
    pairs,
    paths_in,
)
from frontierlab_widgets.raw_following import Parts, about_following, growing, kind_of, told_so_far
from frontierlab_widgets.raw_results import read_in_words, told_of
from frontierlab_widgets.squid_box import SquidBox
from frontierlab_widgets.work import Work

__all__ = ["RawLogsPanel"]

_FILES = ("paths", "kind")
_OPTIONS = ("hosts", "timezone", "squids", "sites")
_OF_KIND = {"servlet": ("hosts",), "squid": ("timezone", "squids", "sites")}


class RawLogsPanel(Panel):
    """Look at raw logs, read them as a job, and say what was read and what was set aside.

    Logs of servlets become a dataset; logs of Squids are stored for themselves, since most answers of a Squid are no
    query of a server. *Read* is enabled once the same files were looked at. With `follow` it is *Follow*: what is
    written to the logs is read until a stop, and *Follow* goes on later; without it, *Complete* reads the rest.

    Parameters
    ----------
    settings
        By default ``Settings()``.

    Attributes
    ----------
    paths : str
        Log files, folders and patterns on the server, with commas between them.
    uploads : dict
        The content of files from the user's machine, by name; forgotten when they are read.
    kind : str or None
        ``servlet`` or ``squid``; None tells it from the files.
    name : str
        Name of the dataset or of the Squid logs.
    hosts : str
        Machines of servlets: ``PART=NAME`` of paths, with commas between them; empty for the names in the lines.
    timezone : str
        The time zone of the Squids' hosts, which their lines hide.
    squids, sites : str
        The name of the Squid, or ``PATTERN=NAME`` of paths; its site, or ``SQUID=SITE``.
    complete : bool
        Whether folders and tags get their names from the catalogue.
    keep_personal_data : bool
        Whether accounts and addresses are stored as they were logged.
    follow : bool
        Whether new lines are read as they come, until a stop.
    found : FoundLogs or None
        What there is to read; None before a look, and after a change of the files.
    dataset : str
        Name of the dataset that was read last; empty before.
    """

    title = "Raw logs"

    paths = traitlets.Unicode().tag(saved=True)
    uploads: traitlets.Dict[str, bytes] = traitlets.Dict()
    kind = traitlets.Enum([*KINDS.values()], None, allow_none=True).tag(saved=True)
    name = traitlets.Unicode().tag(saved=True)
    hosts = traitlets.Unicode().tag(saved=True)
    timezone = traitlets.Unicode("UTC").tag(saved=True)
    squids = traitlets.Unicode().tag(saved=True)
    sites = traitlets.Unicode().tag(saved=True)
    complete = traitlets.Bool(True).tag(saved=True)
    follow = traitlets.Bool(False).tag(saved=True)
    keep_personal_data = traitlets.Bool(False)  # asked for each time: a saved view does not decide it
    found = traitlets.Instance(FoundLogs, allow_none=True)
    dataset = traitlets.Unicode()

    def build(self) -> list[Widget]:
        """Build the choice of files, the fields of each kind, and the stored Squid logs."""
        self._reading = ""
        self._upload = Upload(self.take, self.fail, "")
        self._upload.label = "Upload a log"
        self._fields_of = self._bound_fields()
        look = elements.Button(description="Look at them", tooltip="Say what the files are; nothing is stored")
        self._go = elements.Button(description="Read", button_style="primary", tooltip="Read and store them, as a job")
        drop = elements.Button(description="Forget uploads", tooltip="Read none of the files from your machine")
        self._waiting, self._told, self._personal = elements.HTML(), elements.HTML(), elements.HTML()
        self._following, self._grows = elements.HTML(), False
        self.click(look, self.look, always=False, uses=_FILES, when=lambda: bool(self.paths or self.uploads))
        known = lambda: bool(self.name) and (self.found is not None or self._grows)  # noqa: E731
        self.click(self._go, self.read, always=False, uses=[*_FILES, *_OPTIONS, "name"], when=known)
        self.click(drop, lambda: setattr(self, "uploads", {}), always=False, when=lambda: bool(self.uploads))
        self.squid_logs = SquidBox(self)
        self.on(self._forget, "paths", "uploads", "kind")
        self.on(self._show_found, "found")
        self.on(self._show_personal, "settings", "keep_personal_data")
        self.on(self._show_following, "settings", "name", "follow", "phase")
        self.observe(lambda _: self.allow(), ["found", "name", "paths", "uploads"])
        self.observe(lambda _: setattr(self._upload, "disabled", self.phase is Phase.WORKING), "phase")
        self._show_personal()
        self._show_found()
        self._show_following()
        fields = self._fields_of
        files = ("paths", "kind", "name")
        return [
            elements.HTML(f"<p>{escape(_ABOUT)}</p>"),
            grid(*(fields[name] for name in files)),
            row(elements.Label(f"Or from your machine, up to {MOST_UP / 1e6:g} MB a file:"), self._upload, drop),
            self._waiting,
            grid(*(fields[name] for name in _OPTIONS)),
            row(fields["complete"], fields["keep_personal_data"], fields["follow"]),
            self._personal,
            self._following,
            row(look, self._go),
            self.foot,
            self._told,
            self.squid_logs,
        ]

    def _bound_fields(self) -> dict[str, Widget]:
        kinds = {kind: label for label, kind in KINDS.items()}
        choice = elements.Dropdown(description="logs of", options=[*KINDS], style=STYLE, layout=elements.field_layout())
        texts = {name: text_field(*words) for name, words in TEXTS.items()}
        boxes = {
            "complete": "name folders and tags from the catalogue",
            "keep_personal_data": "store accounts and addresses as they were logged",
            "follow": "follow (new lines as they come)",
        }
        read: dict[str, Callable[[str], Any]] = {
            "paths": str.strip,
            "name": plain_name,
            "timezone": zone,
            **{name: checked(what) for name, what in PAIRS.items()},
        }
        return {
            "kind": self.bind("kind", choice, read=KINDS.__getitem__, show=kinds.__getitem__),
            **{name: self.bind(name, texts[name], read=read[name]) for name in texts},
            **{
                name: self.bind(
                    name, elements.Checkbox(description=text, indent=False, layout=elements.field_layout("390px"))
                )
                for name, text in boxes.items()
            },
        }

    def take(self, name: str, content: bytes) -> None:
        """Take a file that was uploaded through the browser, and look at all files that are chosen."""
        with PANEL_LOCK, self.shown_errors():
            self.error = ""
            self.require_idle()
            size = len(content) + sum(len(one) for other, one in self.uploads.items() if other != name)
            if size > MOST:
                raise InvalidRequestError(
                    f"{name} is not taken: {megabytes(size)} would wait here, and {megabytes(MOST)} can. Read those "
                    "that wait first, or copy the files to the server and give their paths."
                )
            self.uploads = {**self.uploads, name: content}
            self._suggest(name)
            self.look()

    def look(self) -> None:
        """Say what the files are, off the main thread.

        Raises
        ------
        InvalidRequestError
            A field is invalid, no file is chosen, or the panel is working. Nothing was started.
        """
        self.require_valid(*_FILES)
        self.require_idle()
        given, settings = self._files(), self.require_settings()
        self.found, self._reading = None, ""
        paths, uploads, kind = given

        def run(work: Work) -> FoundLogs:
            with on_disk(uploads, settings) as here:
                return find([*paths, *here], kind, work)

        def show(found: FoundLogs) -> None:
            if given == self._files():  # nothing changed meanwhile
                self._suggest(found.logs[0].path.name)
                self.found = found

        self.begin(run, show, stage="looking at the files")

    def read(self) -> None:
        """Read the logs as a job, which other panels and notebooks can follow too.

        Raises
        ------
        InvalidRequestError
            Nobody has looked at these files, the name is missing, a field is invalid, or the panel is working. Nothing
            was started.
        """
        self.require_valid(*_FILES, *_OPTIONS, "name")
        self.require_idle()
        settings, name = self.require_settings(), self.name
        before = growing(name, settings, None if self.found is None else self.found.kind)
        if self.found is None and before is None:
            raise InvalidRequestError("Click Look at them before Read: it says what the files are.")
        if not name:
            raise InvalidRequestError("Give a name, such as that of the day or the machine.")
        kind: LogKind = kind_of(before) if before is not None else self.found.kind  # type: ignore[union-attr]
        (paths, uploads, _), options = self._files(), self._options(kind, follows=self.follow or before is not None)
        if uploads and "follow" in options:
            raise InvalidRequestError("Files from your machine do not grow here: forget them, and give their paths.")
        if self.complete and not settings.catalogue_path.exists() and not _can_build(settings, kind):
            raise CatalogueError(f"{no_catalogue(settings.catalogue_path)} {_WITHOUT}")
        self._reading, self._told.value = name, ""

        def run(work: Work) -> tuple[Dataset | SquidLogs, list[str]]:
            if before is None:
                _require_free(name, kind, settings)
            with on_disk(uploads, settings) as here:
                given = {"paths": [*paths, *map(str, here)], "name": name, **options}
                job = jobs.submit(f"{kind}_logs", settings=settings, **given)
                parts = Parts(name, settings, kind, work.hand_over)
                return _followed(job, work, parts.look, ends=bool(here)), job.warnings

        self.begin(run, lambda done: self._read(*done), each=self._show_part, stage="beginning")

    def stopped_message(self, error: BaseException | None) -> str:
        """Say that nothing is stored after a stop, or what is stored of logs that are followed."""
        if not self._reading:
            return super().stopped_message(error)
        if growing(self._reading, self.settings) is not None:
            return "Stopped. What was read is stored."  # how much that is stands above the buttons
        return f"Stopped. Nothing of {self._reading} is stored; Read begins again."

    def code(self) -> str:
        """Return the code of the reading; uploaded files are named as if they were in the current folder."""
        kind = self.kind or (self.found.kind if self.found is not None else "servlet")
        result = {"servlet": "dataset", "squid": "logs"}[kind]
        paths = [*paths_in(self.paths), *self.uploads]
        given = {"name": self.name or "…", **self._options(kind, follows=self.follow or self._grows)}
        return call(f"{result} = fl.rawlogs.read_{kind}_logs", paths, Expression("settings"), **given)

    def _files(self) -> tuple[list[str], dict[str, bytes], LogKind | None]:
        paths = paths_in(self.paths)
        if not paths and not self.uploads:
            raise InvalidRequestError("Give the path of a log in the field files, or upload one from your machine.")
        return paths, {**self.uploads}, self.kind

    def _options(self, kind: LogKind, *, follows: bool) -> dict[str, Any]:
        """Return the arguments of the reader that are not its defaults."""
        given: dict[str, Any] = {} if self.complete else {"complete": False}
        if follows:
            given |= {"follow": True} if self.follow else {"follow": True, "seconds": 0}
        if self.keep_personal_data:
            given["keep_personal_data"] = True
        if kind == "servlet":
            return {**given, **({"hosts": pairs(self.hosts, PAIRS["hosts"])} if self.hosts else {})}
        named = {name: pairs(getattr(self, name), PAIRS[name]) for name in ("squids", "sites") if getattr(self, name)}
        return {**given, "timezone": self.timezone, **named}

    def _suggest(self, file: str) -> None:
        """Suggest a name for what will be read, unless the user gave one."""
        if not self.name and "name" not in self.invalid:
            stem = "".join(sign if sign.isalnum() or sign in "-_" else "-" for sign in file.split(".")[0])
            self.name = stem.strip("-") or "logs"

    def _read(self, result: Dataset | SquidLogs, warnings: list[str]) -> None:
        self.message = read_in_words(result)
        self.uploads, self.keep_personal_data = {}, False
        self._told.value = told_of(result, warnings, self.require_settings())  # last: the change of files clears it
        if isinstance(result, Dataset):
            self.dataset = ""  # the same name again, after it was deleted, is told too
            self.dataset = result.name
        else:
            self.squid_logs.refresh(result.name)

    def _show_part(self, stored: Dataset | SquidLogs) -> None:
        self._told.value = told_so_far(stored, self.require_settings())
        if isinstance(stored, SquidLogs):
            self.squid_logs.refresh()

    def _show_following(self) -> None:
        if self.phase is Phase.WORKING:
            return
        stored = growing(self.name, self.settings)
        self._grows = stored is not None
        text = about_following(stored, self.settings, follow=self.follow)
        self._following.value = f'<p class="frontierlab-quiet">{escape(text)}</p>' if text else ""
        self._go.description = "Follow" if self.follow else "Complete" if self._grows else "Read"
        self.allow()

    def _forget(self) -> None:
        self.found = None
        sizes = [f"{escape(name)} ({megabytes(len(content))})" for name, content in self.uploads.items()]
        self._waiting.value = f"<p>From your machine: {', '.join(sizes)}.</p>" if sizes else ""

    def _show_found(self) -> None:
        found = self.found
        told = "" if found is None else f'<div role="status"><b>{escape(found.in_words())}</b></div>'
        self._told.value = told + ("" if found is None else notes(found.left_out))
        kind = self.kind if found is None else found.kind
        for one, names in _OF_KIND.items():
            for name in names:
                elements.show(self._fields_of[name], one == kind)

    def _show_personal(self) -> None:
        text = about_personal_data(self.settings, kept=self.keep_personal_data)
        shown = warning_box([text]) if self.keep_personal_data else f'<p class="frontierlab-quiet">{escape(text)}</p>'
        self._personal.value = shown


def _followed(job: Job, work: Work, each: Callable[[], object], *, ends: bool) -> Any:
    """Follow a job; one that is not followed to its end is cancelled if its files are removed now."""
    try:
        return follow(job, work, each)
    except JobError:
        if ends and not job.record().has_ended:
            job.cancel()
        raise


def _require_free(name: str, kind: LogKind, settings: Settings) -> None:
    if kind == "servlet":
        require_free(name, settings, "name")
    elif squid_logs_path(name, settings.data_dir).exists():
        raise InvalidRequestError(
            f"There are Squid logs {name} already. Type another name into the field name, or delete those below."
        )


def _can_build(settings: Settings, kind: LogKind) -> bool:
    return kind == "servlet" and (settings.coolr_host is not None or settings.coolr_archive is not None)


_ABOUT = (
    "Logs of Frontier servlets (catalina.out) become a dataset; access logs of Squids show hit ratios. Rotated and "
    "compressed files are put in order."
)
_WITHOUT = "Or untick 'name folders and tags from the catalogue': they have numbers then."
