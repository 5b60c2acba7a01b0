"""``frontierlab ask``: the filters, each a command that is made from its function."""

from __future__ import annotations

import functools
import inspect
import sys
from textwrap import dedent
from typing import Any, Literal, get_args, get_origin, get_type_hints

import click

from frontierlab.cli import docstrings
from frontierlab.cli.command import Call, Command
from frontierlab.cli.group import Group
from frontierlab.cli.output import is_terminal, note
from frontierlab.cli.selection_options import selection_options
from frontierlab.cli.sources import compare_option, datasets_argument, opened
from frontierlab.cli.types import NumberOrAll

__all__ = ["command"]

_TYPES = {int: click.INT, float: click.FLOAT, str: click.STRING, int | None: NumberOrAll()}
_GIVEN = {"logs", "selection", "compare"}


class _Questions(Group):
    """The filters of `frontierlab.filters`, which is imported when their names are needed."""

    many = True  # an error in another command is not put into the words of these

    def list_commands(self, ctx: click.Context) -> list[str]:
        from frontierlab import filters

        return [*filters.__all__]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        from frontierlab import filters

        name = cmd_name.replace("-", "_")
        return _question(name) if name in filters.__all__ else None


@click.group("ask", cls=_Questions)
def command() -> None:
    """Put a standard question to datasets."""


@functools.cache
def _question(name: str) -> Command:
    """Return the command of a filter, with an option for each of its keywords."""
    from frontierlab import filters

    asked = getattr(filters, name)

    def answer(call: Call, /, datasets: tuple[str, ...], compare: str | None, **more: Any) -> None:
        frame = asked(opened(datasets, call.settings), more.pop("selection"), compare=compare, **more)
        call.out.frame(frame)
        _say_how(frame.attrs.get("answered"))

    made = click.command(
        name,
        cls=Command,
        help=_help(asked),
        short_help=docstrings.bare(docstrings.summary(asked.__doc__)).partition("\n")[0],
        face=f"frontierlab.filters.{name}",
        examples=[f"frontierlab ask {name} overlay --db CONDBR2"],
        selects=True,
    )(compare_option(datasets_argument(click.pass_obj(answer))))
    made.params += _options(asked)
    return made


def _options(asked: Any) -> list[click.Parameter]:
    """Return an option for each keyword of a filter that is not a field of a selection."""
    kinds, texts = get_type_hints(inspect.unwrap(asked)), docstrings.parameters(asked.__doc__)
    selecting = {option.keyword for option in selection_options()}
    found: list[click.Parameter] = []
    for keyword in inspect.signature(asked).parameters.values():
        if keyword.name in selecting | _GIVEN:
            continue
        kind = kinds[keyword.name]
        type_: Any = click.Choice(get_args(kind)) if get_origin(kind) is Literal else _TYPES[kind]
        option = click.Option(
            [f"--{keyword.name.replace('_', '-')}"],
            type=type_,
            default=keyword.default,
            show_default=True,
            help=texts.get(keyword.name, "").replace("None is all", "the word all is all of them"),
        )
        found.append(option)
    return found


def _help(asked: Any) -> str:
    """Return the help of a filter: what it does, and what its frame holds, laid out as in its docstring."""
    returned = dedent(docstrings.section(asked.__doc__, "Returns").removeprefix("pandas.DataFrame\n"))
    laid_out = "\n\n".join(f"\b\n{part.strip()}" for part in returned.split("\n\n") if part.strip())
    return docstrings.bare(f"{docstrings.summary(asked.__doc__)}\n\n{laid_out}")


def _say_how(answered: Any) -> None:
    """Tell a person which engine answered, and how long it took."""
    if answered is not None and is_terminal(sys.stderr):
        note(f"Answered by {answered['engine']} from the {answered['from']} in {answered['seconds']:.2f} s.")
