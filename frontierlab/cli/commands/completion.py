"""``frontierlab completion``: completion of words in a shell."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from frontierlab.cli.command import Call, Command

__all__ = ["command"]


@click.command(
    "completion",
    cls=Command,
    examples=["frontierlab completion bash", "frontierlab completion zsh", "frontierlab completion fish"],
    results=False,
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Write the completion script of a shell.

    With it the shell completes commands, options, questions, and the names of datasets and jobs.

    \b
    In ~/.bashrc:  eval "$(frontierlab completion bash)"
    In ~/.zshrc:   eval "$(frontierlab completion zsh)"
    In fish:       frontierlab completion fish > ~/.config/fish/completions/frontierlab.fish
    """
    call: Call = ctx.obj
    script = get_completion_class(shell)
    if script is None:
        raise click.UsageError(f"click completes no words in {shell}.")
    call.out.text(script(ctx.find_root().command, {}, "frontierlab", "_FRONTIERLAB_COMPLETE").source())
