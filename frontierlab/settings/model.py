"""The settings: fields with the sources of their values, and what follows from them."""

from __future__ import annotations

import os
from inspect import cleandoc
from pathlib import Path
from textwrap import indent
from typing import Any, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from frontierlab.errors import ConfigurationError
from frontierlab.settings.fields import Fields
from frontierlab.settings.sources import PREFIX, Given, explain, from_arguments, from_environment, from_file

__all__ = ["Settings", "from_fields_alone"]


class Settings(Fields):
    """The settings of frontierlab: folders, servers, limits and credentials.

    A value comes from a file of ``key = value`` lines, from an environment variable ``FRONTIERLAB_<KEY>``, or from a
    keyword argument. A variable replaces the value of the file, and an argument replaces both. Settings do not change
    once made.

    In a file, case and underscores of a key do not matter (``ES_CachingEfficiency_Index`` is
    ``es_caching_efficiency_index``), an empty value is ignored, and a relative path starts at the file's folder. A line
    that starts with ``#`` is a comment, and so is the rest of a line from a ``#`` after a space. Quotes around a value
    or a word are removed (a quote inside is doubled); they protect ``#`` and spaces. A password, key, broker URL or
    Spark option with a ``#`` after a space must be in quotes, and a comment on such a line is refused. Variables and
    arguments are used unchanged, without quotes and comments. Variables that Kubernetes sets for a service named
    frontierlab are ignored.

    Parameters
    ----------
    config_file
        The file; by default the one that the variable ``CONFIG_FILE`` names. Without either, no
        file is read.
    **fields
        Any of these, which are also the keys of a file:

        {keys}

    Raises
    ------
    ConfigurationError
        The file is missing, a key is unknown, a line cannot be parsed, or a value has the wrong type. The
        message names the place (file and line, variable or argument), the key and the valid values.

    Examples
    --------
    >>> Settings(es_address="es.example.org", es_index="frontier-new-*").es_url
    'https://es.example.org:9200'
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    def __init__(self, config_file: str | os.PathLike[str] | None = None, **fields: Any) -> None:
        ours = type(self).model_fields
        given = {**from_file(config_file, ours), **from_environment(ours), **from_arguments(fields, ours)}
        _fill(self, given)

    def __setattr__(self, name: str, value: Any) -> None:
        # pydantic's message would show the value, which can be a password
        raise ConfigurationError(f"{name} cannot be set: settings do not change once made. Make new ones.")

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if self.es_api_key is not None and self.es_user is not None:
            raise ValueError("es_api_key and es_user are both given: keep one of them")
        if (self.es_user is None) != (self.es_pswd is None):
            raise ValueError("es_user and es_pswd go together: give both or neither")
        if self.es_ca_certs is not None and not self.es_ca_certs.is_file():
            raise ValueError(f"es_ca_certs: there is no file {self.es_ca_certs}")
        if self.check_silent_spoke_hours <= self.check_silent_hours:
            raise ValueError("check_silent_spoke_hours must be more than check_silent_hours")
        return self

    @property
    def es_url(self) -> str:
        """The URL of Elasticsearch with its port, without credentials.

        Raises
        ------
        ConfigurationError
            ``es_address`` is not set.
        """
        if self.es_address is None:
            raise ConfigurationError(
                "es_address is not set: name the Elasticsearch host in the configuration file, in "
                f"{PREFIX}ES_ADDRESS or as Settings(es_address=…); or give extract() an export file as source."
            )
        url = urlsplit(self.es_address if "://" in self.es_address else f"https://{self.es_address}")
        host = f"[{url.hostname}]" if ":" in (url.hostname or "") else url.hostname
        return f"{url.scheme}://{host}:{url.port or self.es_port}{url.path.rstrip('/')}"

    @property
    def es_indices(self) -> str:
        """The indices or patterns to read, separated by commas.

        Raises
        ------
        ConfigurationError
            ``es_index`` is not set.
        """
        if not self.es_index:
            raise ConfigurationError(
                "es_index is not set: name the index or pattern in the configuration file, in "
                f"{PREFIX}ES_INDEX or as Settings(es_index=…)."
            )
        return ",".join(self.es_index)

    @property
    def coolr_url(self) -> str:
        """The URL of COOLR without a trailing slash; http unless ``coolr_host`` says https.

        Raises
        ------
        ConfigurationError
            ``coolr_host`` is not set.
        """
        if self.coolr_host is None:
            raise ConfigurationError(
                "coolr_host is not set: name the COOLR server in the configuration file, in "
                f"{PREFIX}COOLR_HOST or as Settings(coolr_host=…); or name the folder of an archive as coolr_archive."
            )
        return (self.coolr_host if "://" in self.coolr_host else f"http://{self.coolr_host}").rstrip("/")

    @property
    def catalogue_path(self) -> Path:
        """The path of the catalogue's Parquet file: ``coolr_file``, or catalogue.parquet in ``data_dir``."""
        return self.coolr_file or self.data_dir / "catalogue.parquet"


_KEYS = "\n".join(f"{name} : {field.description}" for name, field in Settings.model_fields.items())
Settings.__doc__ = cleandoc(Settings.__doc__ or "").replace("{keys}", indent(_KEYS, " " * 4).lstrip())


def from_fields_alone(fields: dict[str, Any]) -> Settings:
    """Return settings made from these fields, without a file and the environment.

    Raises
    ------
    ConfigurationError
        As for `Settings`.
    """
    settings = Settings.__new__(Settings)
    _fill(settings, from_arguments(fields, Settings.model_fields))
    return settings


def _fill(settings: Settings, given: dict[str, Given]) -> None:
    try:
        BaseModel.__init__(settings, **{name: value for name, (value, _) in given.items()})
    except ValidationError as error:
        # without the cause: pydantic's message can contain values such as a password
        raise ConfigurationError(explain(error, given, Settings.model_fields)) from None
