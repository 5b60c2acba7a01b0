"""The sources of settings: a file, environment variables, arguments; each value keeps its place for messages."""

from __future__ import annotations

import difflib
import os
import re
import shlex
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from frontierlab.errors import ConfigurationError
from frontierlab.settings.text import Form, read_value

__all__ = [
    "Given",
    "PREFIX",
    "explain",
    "form_of",
    "from_arguments",
    "from_environment",
    "from_file",
    "from_folder",
    "is_secret",
    "notebooks",
]

PREFIX = "FRONTIERLAB_"
"""The prefix of frontierlab's environment variables."""

Fields = Mapping[str, FieldInfo]

# what Kubernetes sets for every service of the namespace whose name begins with ours; https://kubernetes.io/docs/
# concepts/services-networking/service/#environment-variables
_KUBERNETES = re.compile(
    rf"""{PREFIX}(\w+_)?(SERVICE_HOST=[0-9A-Fa-f.:]+
                       | SERVICE_PORT(_\w+)?=\d+
                       | PORT(_\d+_(TCP|UDP|SCTP))?=(tcp|udp|sctp)://\S+
                       | PORT_\d+_(TCP|UDP|SCTP)_(PROTO=(tcp|udp|sctp)|PORT=\d+|ADDR=[0-9A-Fa-f.:]+))""",
    re.X,
)


class Given(NamedTuple):
    """A value of a field, and the place where it was given."""

    value: Any
    place: str


def form_of(field: FieldInfo) -> Form:
    """Return the form of a field: one text, several words or several options."""
    forms: dict[Any, Form] = {tuple: "words", dict: "options"}
    return forms.get(get_origin(field.annotation), "text")


def is_secret(field: FieldInfo) -> bool:
    """Return whether the value of a field must not be shown."""
    return "SecretStr" in str(field.annotation) or not field.repr


def notebooks(value: Any) -> Any:
    """Return notebooks by name from ``name=path`` or ``path`` words; other values unchanged.

    Raises
    ------
    ValueError
        Two notebooks have the same name, or the quotes do not match.
    """
    if isinstance(value, str):
        value = shlex.split(value)
    if not isinstance(value, (list, tuple)):
        return value
    found: dict[str, str] = {}
    for word in map(str, value):
        name, separator, path = word.partition("=")
        name, path = (name, path) if separator else (Path(word).stem, word)
        if name in found:
            raise ValueError(f"two notebooks are named {name}")
        found[name] = path
    return found


def from_file(config_file: str | os.PathLike[str] | None, fields: Fields) -> dict[str, Given]:
    """Return the values of the given file, or else of the file in the variable CONFIG_FILE; empty without either.

    Raises
    ------
    ConfigurationError
        The file cannot be read, or one of its lines is invalid.
    """
    source = "the argument" if config_file is not None else "the variable CONFIG_FILE"
    name = config_file if config_file is not None else os.environ.get("CONFIG_FILE") or None
    if name is None:
        return {}
    path = Path(name).expanduser()
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigurationError(
            f"{path.absolute()}, which {source} names as the configuration file, cannot be read: {reason}. "
            "frontierlab.create_config_file(…) writes one."
        ) from None
    found: dict[str, Given] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        place = f"{path}, line {number}"
        key, separator, written = line.partition("=")
        if not separator or len(key.replace(":", " ").split()) != 1:  # messages show keys: not half of a secret
            raise ConfigurationError(f"{place}: this line is not of the form key = value.")
        field = _canonical(key.strip(), fields)
        if field is None:
            raise _unknown(key.strip(), place, fields)
        if field in found:
            raise ConfigurationError(f"{place}: {field} is given twice; first in {found[field].place}.")
        try:
            value = read_value(written, form_of(fields[field]), secret=is_secret(fields[field]))
        except ValueError as error:
            raise ConfigurationError(f"{place}: {field} cannot be read: {error}.") from None
        found[field] = Given(from_folder(field, fields[field], value, path.absolute().parent), place)
    return {field: given for field, given in found.items() if given.value}


def from_environment(fields: Fields) -> dict[str, Given]:
    """Return the values of environment variables, unchanged; empty values are ignored.

    Raises
    ------
    ConfigurationError
        A variable has the prefix, but names no field and is not set by Kubernetes for a service.
    """
    names = {f"{PREFIX}{name.upper()}": name for name in fields}
    found = {}
    for variable, value in os.environ.items():
        if not variable.startswith(PREFIX) or not value or _is_of_kubernetes(variable, value, names):
            continue
        if variable not in names:
            raise _unknown(variable, "the environment", names)
        found[names[variable]] = Given(value, f"the variable {variable}")
    return found


def from_arguments(given: Mapping[str, Any], fields: Fields) -> dict[str, Given]:
    """Return the values of arguments.

    Raises
    ------
    ConfigurationError
        An argument is not a field.
    """
    for name in given:
        if name not in fields:
            raise _unknown(name, "the arguments", fields)
    return {name: Given(value, f"the argument {name}") for name, value in given.items()}


def explain(error: ValidationError, given: Mapping[str, Given], fields: Fields) -> str:
    """Return the message for an invalid value: its place, the reason and the valid values, and no secret."""
    problem = error.errors(include_url=False, include_input=False)[0]
    message = problem["msg"].removeprefix("Value error, ")
    if not problem["loc"]:
        places = sorted(one.place for name, one in given.items() if re.search(rf"\b{name}\b", message))
        return f"{message} ({', '.join(places)})."
    name = str(problem["loc"][0])
    value, place = given.get(name) or Given(None, name)
    # an address can contain a password
    hidden = is_secret(fields[name]) or name in ("es_address", "coolr_host") or "@" in str(value)
    shown = "" if hidden else f" {value!r}"
    return f"{place}: {name}{shown} is not valid ({message}). Valid: {fields[name].description}."


def _is_of_kubernetes(variable: str, value: str, ours: Iterable[str]) -> bool:
    """Return whether a variable has a name and value that Kubernetes sets for a service.

    A service ``frontierlab-es`` sets FRONTIERLAB_ES_PORT, which is also the variable of a field. It is the service's
    if FRONTIERLAB_ES_SERVICE_HOST is set too.
    """
    if not _KUBERNETES.fullmatch(f"{variable}={value}"):
        return False
    return variable not in ours or f"{variable.removesuffix('PORT')}SERVICE_HOST" in os.environ


def _canonical(key: str, fields: Fields) -> str | None:
    """Return the field of a key in a file; None if there is no such field."""
    plain = key.lower().replace("_", "")
    return next((name for name in fields if name.replace("_", "") == plain), None)


def _unknown(key: str, place: str, valid: Iterable[str]) -> ConfigurationError:
    names = {name.lower(): name for name in valid}
    near = difflib.get_close_matches(key.lower(), names, n=1)
    hint = f" Did you mean {names[near[0]]}?" if near else ""
    return ConfigurationError(f"{place}: unknown key {key!r}.{hint} Valid keys: {', '.join(valid)}.")


def from_folder(name: str, field: FieldInfo, value: str, folder: Path) -> str:
    """Return the text of a field with its relative paths placed in `folder`."""
    if name == "notebooks":
        with suppress(ValueError):  # the check of the field reports it
            return shlex.join(f"{name}={_joined(folder, path)}" for name, path in notebooks(value).items())
    elif value and "Path" in str(field.annotation):
        return _joined(folder, value)
    return value


def _joined(folder: Path, path: str) -> str:
    return path if path.startswith("~") else str(folder / path)
