"""Errors in the words of the command line: the package's messages name keywords and functions."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Any

import click

from frontierlab.settings.data_folder import ELSEWHERE

__all__ = ["elsewhere", "faces", "in_words_of_options"]

_VALUE = r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|\[[^\]]*\]|[\w./:+-]*[\w/+-]|…"""
_KEYWORD = re.compile(rf"\b(?P<name>[a-z_]+)=(?P<value>{_VALUE})")
_SELECTION = re.compile(r"\bselection=(?:fl\.)?Selection\((?P<arguments>[^()]*)\)")
_COMMA = re.compile(r",\s*(?![^\[]*\])")  # not within a list
_NOT_HERE = (  # what cannot be done on a command line, and what stands there instead
    (re.compile(r", in (?P<variable>FRONTIERLAB_[A-Z_]+) or as Settings\([^()]*\)"), r" or in \g<variable>"),
    (re.compile(r" In the connection panel [^.]*\."), ""),
    (re.compile(r'\bwith engine="spark"'), "with the variable FRONTIERLAB_ENGINE=spark"),
    (
        re.compile(r"To compare with a dataset, give [^.]*\.open_logs[^.]*\."),
        "frontierlab changes compares two datasets.",
    ),
)
_CALL = re.compile(r"\b(?:(?:fl|frontierlab)\.)?(?:[a-z_]+\.)?(?P<name>[a-z_]+)\((?P<arguments>[^()]*)\)")


def in_words_of_options(message: str, context: click.Context) -> str:
    """Return a message of the package with its keywords as options, and its functions as commands.

    ``bin_seconds=0`` becomes ``--bin-seconds 0`` if the running command has that option, and ``extract(…,
    complete=False)`` becomes ``frontierlab extract … --no-complete`` if some command is the face of `extract`. What a
    command line does not have is left out, or replaced by what it has. All else stays as it is.
    """
    for pattern, instead in _NOT_HERE:
        message = pattern.sub(instead, message)
    commands = faces(context.find_root())

    def call(found: re.Match[str]) -> str:
        if found["name"] not in commands:
            return found[0]
        path, command = commands[found["name"]]
        return f"{path} {_arguments(found['arguments'], _options(command, context), command)}".strip()

    options = _options(context.command, context)
    message = _CALL.sub(call, _SELECTION.sub(r"\g<arguments>", message))
    return _KEYWORD.sub(lambda found: _option(found, options), message)


def elsewhere(context: click.Context) -> str:
    """Return how another data folder is named, for a list in which nothing is."""
    return in_words_of_options(ELSEWHERE, context)


def faces(root: click.Context) -> dict[str, tuple[str, click.Command]]:
    """Return the commands by the name of the function that each is the face of, with how each is called."""
    return {
        command.face.rpartition(".")[2]: (path, command)
        for path, command in _all_commands(root.command, root, root.info_name or "frontierlab")
        if getattr(command, "face", "")
    }


def _all_commands(command: Any, context: click.Context, path: str) -> Iterator[tuple[str, Any]]:
    if not isinstance(command, click.Group):
        yield path, command
    elif not getattr(command, "many", False):
        for name in command.list_commands(context):
            yield from _all_commands(command.get_command(context, name), context, f"{path} {name}")


def _options(command: click.Command, context: click.Context) -> dict[str, click.Option]:
    return {
        name: option
        for option in command.get_params(context)
        if isinstance(option, click.Option)
        for name in (option.name, getattr(option, "keyword", None))
        if name is not None
    }


def _arguments(text: str, options: dict[str, click.Option], command: click.Command) -> str:
    """Return the arguments of a call as words of a command; settings are not an argument there."""
    positional = {parameter.name for parameter in command.params if isinstance(parameter, click.Argument)}
    words = []
    for argument in filter(None, _COMMA.split(text.strip())):
        keyword = _KEYWORD.fullmatch(argument)
        if keyword is not None and keyword["name"] in positional:
            words.append(_unquoted(keyword["value"]))
        elif keyword is not None:
            words.append(_option(keyword, options))
        elif argument != "settings":
            words.append(_unquoted(argument))
    return " ".join(words)


def _option(found: re.Match[str], options: dict[str, click.Option]) -> str:
    option = options.get(found["name"])
    if option is None:
        return found[0]
    value = found["value"]
    if option.is_flag or option.secondary_opts:
        flags = {"True": option.opts, "False": option.secondary_opts}.get(value)
        return flags[0] if flags else found[0]
    values = value[1:-1].split(", ") if option.multiple and value.startswith("[") else [value]
    return " ".join(f"{option.opts[0]} {_unquoted(one)}" for one in values)


def _unquoted(value: str) -> str:
    if value[:1] in "'\"" and value[-1:] == value[:1]:
        return shlex.quote(value[1:-1])
    return value
