"""Write settings: into a configuration file, or as environment variables for another process."""

from __future__ import annotations

import os
import shlex
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from frontierlab.errors import ConfigurationError
from frontierlab.settings.model import Settings, from_fields_alone
from frontierlab.settings.sources import PREFIX, form_of, from_folder, is_secret, notebooks
from frontierlab.settings.text import write_value
from frontierlab.util.files import replacing

__all__ = ["as_variables", "create_config_file"]


def create_config_file(
    config_path: str | os.PathLike[str] = "configuration.txt", *, overwrite: bool = False, **fields: Any
) -> Path:
    """Write a configuration file that only its owner can read (mode 0600).

    Parameters
    ----------
    config_path
        The file to write; an existing file is kept unless `overwrite` is true.
    overwrite
        Replace an existing file in one step; on failure it is unchanged.
    **fields
        Fields of `Settings`. They are checked together before anything is written, without other sources. A relative
        path stays relative, to the folder of the file.

    Returns
    -------
    Path
        The absolute path of the file.

    Raises
    ------
    ConfigurationError
        A field is unknown, has the wrong type or contradicts another; a value has a line break; or the file exists or
        cannot be written.
    """
    path = Path(config_path).expanduser().absolute()
    lines = []
    paths = {name: text for name, value in fields.items() if (text := _path_text(name, value)) is not None}
    found = {name: from_folder(name, Settings.model_fields[name], text, path.parent) for name, text in paths.items()}
    for name, value in _given(from_fields_alone(fields | found)).items():
        field = Settings.model_fields[name]
        try:
            text = write_value(paths.get(name) or _as_text(value), form_of(field), secret=is_secret(field))
        except ValueError as error:
            raise ConfigurationError(
                f"{name} cannot be written: {error}. The variable {PREFIX}{name.upper()} may hold it."
            ) from None
        lines.append(f"{name} = {text}\n")
    if path.exists() and not overwrite:
        raise ConfigurationError(f"{path} exists already; overwrite=True replaces it.")
    if not path.parent.is_dir():
        raise ConfigurationError(f"There is no folder {path.parent} to write {path.name} into.")
    try:
        with replacing(path, mode=0o600) as temporary:
            temporary.write_text("".join(lines), encoding="utf-8", newline="\n")
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror or error}.") from error
    return path


def as_variables(settings: Settings) -> dict[str, str]:
    """Return environment variables that give another process the same settings, including secrets.

    Raises
    ------
    ConfigurationError
        A value has a null character, which a variable cannot hold.
    """
    texts = {name: _as_text(value) for name, value in _given(settings).items()}
    for name, text in texts.items():
        if "\0" in text:
            raise ConfigurationError(f"{name} cannot be given to another process: it holds a null character.")
    return {f"{PREFIX}{name.upper()}": text for name, text in texts.items()}


def _given(settings: Settings) -> dict[str, Any]:
    """Return the values that were given and are not None."""
    values = {name: getattr(settings, name) for name in Settings.model_fields if name in settings.model_fields_set}
    return {name: value for name, value in values.items() if value is not None}


def _path_text(name: str, value: Any) -> str | None:
    """Return the paths of a field as given; None if the field holds no path."""
    if name == "notebooks":
        with suppress(ValueError):  # the check of the field reports it
            named = notebooks(value)
            return _as_text(named) if isinstance(named, dict) else None
    is_path = name in Settings.model_fields and "Path" in str(Settings.model_fields[name].annotation)
    return str(value) if is_path and isinstance(value, (str, Path)) else None


def _as_text(value: Any) -> str:
    """Return a value as text from which a variable gives the same value."""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, dict):
        return shlex.join(f"{key}={option}" for key, option in value.items())
    return " ".join(value) if isinstance(value, tuple) else str(value)
