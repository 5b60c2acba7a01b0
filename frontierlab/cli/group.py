"""Groups of commands."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, cast

import click

__all__ = ["Group", "LazyGroup"]


class Group(click.Group):
    """A group of commands.

    Parameters
    ----------
    default
        The command that runs if none is named; empty if one must be.
    """

    def __init__(self, *args: Any, default: str = "", **more: Any) -> None:
        super().__init__(*args, **more)
        self.default = default

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the name of the default command before its options."""
        first = args[0] if args else ""
        if self.default and not ctx.resilient_parsing and first[:1] in ("", "-") and first not in ctx.help_option_names:
            args = [self.default, *args]
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that is named first; an error names those of a similar name."""
        if args and not ctx.resilient_parsing and self.get_command(ctx, args[0]) is None:
            near = get_close_matches(args[0], self.list_commands(ctx))
            if near:
                ctx.fail(f"No such command {args[0]!r}. Did you mean {' or '.join(map(repr, near))}?")
        return super().resolve_command(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands, in the order of their definition."""
        return [*self.commands]


class LazyGroup(Group):
    """A group whose commands are imported when they are named.

    Parameters
    ----------
    names
        The names of the commands: each is ``command`` of the module of its name in `package`.
    package
        Full name of the package.
    """

    def __init__(self, *args: Any, names: Sequence[str], package: str, **more: Any) -> None:
        super().__init__(*args, **more)
        self._names, self._package = names, package

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands."""
        return [*self._names]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command; None if there is none of that name."""
        if cmd_name not in self._names:
            return None
        return cast("click.Command", importlib.import_module(f"{self._package}.{cmd_name}").command)
