"""Write the part of docs/cli.md that the commands' own help gives: ``python scripts/cli_page.py``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from frontierlab.cli.main import root

PAGE = Path(__file__).parents[1] / "docs" / "cli.md"
MARK = "<!-- What follows is written by scripts/cli_page.py -->\n"
WIDTH = 100


def page() -> str:
    """Return docs/cli.md with the current help of every command."""
    written, _, _ = PAGE.read_text(encoding="utf-8").partition(MARK)
    return f"{written}{MARK}\n{chr(10).join(sections(root, None, 'frontierlab')).rstrip()}\n"


def sections(command: click.Command, parent: click.Context | None, path: str) -> Iterator[str]:
    """Yield the section of a command, and those of its commands; of the questions, which are alike, a list."""
    options = {**command.context_settings, "terminal_width": WIDTH}
    context = click.Context(command, parent=parent, info_name=path.split()[-1], **options)
    if parent is not None:
        yield f"## {path}\n\n```\n{command.get_help(context)}\n```\n"
    if isinstance(command, click.Group) and not getattr(command, "many", False):
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from sections(found, context, f"{path} {name}")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
