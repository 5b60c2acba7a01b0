"""What all commands have in common: options, help with examples and exit codes, and how they end."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import click

from frontierlab.cli.endings import (
    CANNOT,
    CLOSED,
    FINDINGS,
    INTERRUPTED,
    NOTHING,
    TERMINATED,
    Terminated,
    explained,
    telling_warnings,
)
from frontierlab.cli.output import Output, OutputClosed, note
from frontierlab.cli.selection_options import SelectionOption, selection_of, selection_options
from frontierlab.util.interrupts import ended_by_sigterm

if TYPE_CHECKING:
    from frontierlab.settings import Settings

__all__ = ["Call", "Command"]

_CONFIGURATION = click.option(
    "--config",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="The configuration file.  [default: the file that the variable CONFIG_FILE names]",
)
_DEBUG = click.option("--debug", is_flag=True, help="Show the traceback of an error.")
_JSON = click.option("--json", "as_json", is_flag=True, help="Write JSON, an object a line, instead of text.")


class Call:
    """A call of a command; its function gets it as first argument.

    Parameters
    ----------
    config
        Path of the configuration file, if given.
    as_json
        Whether JSON is asked for.
    """

    def __init__(self, config: str | None, as_json: bool) -> None:
        self._config = config
        self.out = Output(as_json)

    @property
    def config(self) -> str | None:
        """The configuration file that was given; None for the one of the environment."""
        return self._config

    @cached_property
    def settings(self) -> Settings:
        """The settings."""
        from frontierlab.settings import Settings

        return Settings(self._config)


class Command(click.Command):
    """A command that is the face of one function of the package.

    Its function gets a `Call`, and returns its exit code, or None for 0.

    Parameters
    ----------
    face
        Full name of the function; empty if there is no single one.
    examples
        Command lines that work, shown by ``--help``.
    finds
        What it means that the exit code is 1; empty if it never is.
    unseen
        What it means that the exit code is 2.
    interrupted
        What Ctrl-C leaves, and how to go on.
    selects
        Whether it takes a selection of queries; its function gets it as ``selection``.
    without
        Fields of a selection for which it has options of its own.
    results
        Whether it takes ``--json``.
    """

    def __init__(
        self,
        *args: Any,
        face: str = "",
        examples: Sequence[str] = (),
        finds: str = "",
        unseen: str = "it could not be done; the standard error says why",
        interrupted: str = "Nothing was changed.",
        selects: bool = False,
        without: Sequence[str] = (),
        results: bool = True,
        **more: Any,
    ) -> None:
        super().__init__(*args, **more)
        self.face, self.examples, self.finds = face, tuple(examples), finds
        self.interrupted, self.selects, self.unseen = interrupted, selects, unseen
        self._without = frozenset(without)
        self.common: list[click.Parameter] = [
            _parameter(one) for one in (*([_JSON] if results else []), _CONFIGURATION, _DEBUG)
        ]

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the command's own parameters, those of a selection, and those of all commands."""
        own = super().get_params(ctx)  # ends with --help
        own, help_option = own[: len(self.params)], own[len(self.params) :]
        return [*own, *self._selecting(), *self.common, *help_option]

    def _selecting(self) -> list[SelectionOption]:
        return [one for one in selection_options() if self.selects and one.keyword not in self._without]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options in three sections."""
        selecting = {option.name for option in self._selecting()}
        sections: dict[str, list[tuple[str, str]]] = {"Options": [], "Only these queries": [], "Common options": []}
        for parameter in self.get_params(ctx):
            own = parameter in self.params
            title = "Options" if own else "Only these queries" if parameter.name in selecting else "Common options"
            record = parameter.get_help_record(ctx) if isinstance(parameter, click.Option) else None
            if record is not None:
                sections[title].append(record)
        for title, records in sections.items():
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples and the exit codes."""
        if self.examples:
            with formatter.section("Examples" if len(self.examples) > 1 else "Example"):
                for example in self.examples:
                    formatter.write(f"{'':{formatter.current_indent}}{example}\n")
        with formatter.section("Exit codes"):
            codes = [(str(NOTHING), "done"), (str(CANNOT), self.unseen)]
            if self.finds:
                codes.insert(1, (str(FINDINGS), self.finds))
            formatter.write_dl(codes)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command, and end with its exit code."""
        debug = ctx.params.pop("debug")
        ctx.obj = Call(ctx.params.pop("config"), ctx.params.pop("as_json", False))
        try:
            with ended_by_sigterm(Terminated), telling_warnings(ctx):
                if self.selects:
                    ctx.params["selection"] = selection_of(ctx.params, self._selecting())
                code = super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit):  # wrong usage that only the command itself can see
            raise
        except OutputClosed:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes it at the end
            code = CLOSED
        except (KeyboardInterrupt, click.Abort, Terminated) as signalled:
            note(f"\nStopped. {self.interrupted}")
            code = TERMINATED if isinstance(signalled, Terminated) else INTERRUPTED
        except Exception as error:
            if debug:
                traceback.print_exc()
            note(explained(error, ctx), "Error: ")
            code = CANNOT
        ctx.exit(code or NOTHING)


def _parameter(option: Any) -> click.Parameter:
    """Return the parameter that a decorator of click would add."""

    def bare() -> None: ...

    option(bare)
    parameter: click.Parameter = bare.__click_params__[0]  # type: ignore[attr-defined]
    return parameter
