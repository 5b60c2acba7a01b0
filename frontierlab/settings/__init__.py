"""The configuration from a file, environment variables and arguments, with its secrets."""

from __future__ import annotations

import os
import re
import shlex
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

import platformdirs
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from frontierlab.errors import ConfigurationError
from frontierlab.settings.checks import expanded, require_http, require_index, require_redis, require_unquoted
from frontierlab.settings.sources import (
    PREFIX,
    Given,
    form_of,
    from_arguments,
    from_environment,
    from_file,
    from_folder,
    is_secret,
    notebooks,
)
from frontierlab.settings.text import write_value
from frontierlab.util.files import replacing

__all__ = ["Settings", "as_variables", "create_config_file"]


_REDIS = re.compile(r"rediss?://", re.IGNORECASE)


def _words(value: Any) -> Any:
    return tuple(value.replace(",", " ").split()) if isinstance(value, str) else value


def _pairs(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    pairs = [word.partition("=") for word in shlex.split(value)]
    if any(not separator for _, separator, _ in pairs):
        raise ValueError("each option is written name=value")
    if any(re.search(r"\sspark\.[\w.]+=", option) for _, _, option in pairs):
        raise ValueError("quotes around several options make one of them: put each in quotes of its own")
    return {name: option for name, _, option in pairs}


_Words = Annotated[tuple[str, ...], BeforeValidator(_words)]
_Pairs = Annotated[dict[str, str], BeforeValidator(_pairs)]
_Periodic = Annotated[tuple[Literal["catalogue", "extraction", "caching", "report"], ...], BeforeValidator(_words)]
_Notebooks = Annotated[dict[str, Path], BeforeValidator(notebooks)]


class Settings(BaseModel):
    """The settings of frontierlab: folders, servers, limits and credentials.

    Values come from three places, of rising priority: a file of ``key = value`` lines, environment
    variables ``FRONTIERLAB_<FIELD>``, and keyword arguments. In a file, case and underscores of a key do
    not matter (``ES_CachingEfficiency_Index`` is ``es_caching_efficiency_index``), an empty value is
    ignored, and a relative path starts at the file's folder. A line that starts with ``#`` is a comment,
    and so is the rest of a line from a ``#`` after a space. Quotes around a value or a word are removed
    (a quote inside is doubled); they protect ``#`` and spaces. A password, key, broker URL or Spark option
    with a ``#`` after a space must be in quotes, and a comment on such a line is refused. Variables and
    arguments are used unchanged, without quotes and comments. Variables that Kubernetes sets for a
    service named frontierlab are ignored. Settings are immutable.

    Parameters
    ----------
    config_file
        The file; by default the one that the variable ``CONFIG_FILE`` names. Without either, no
        file is read.
    **fields
        Any of the fields below.

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

    data_dir: Path = Field(
        default_factory=lambda: platformdirs.user_data_path("frontierlab"),
        description="the folder where datasets live",
    )
    coolr_file: Path | None = Field(
        None, description="path of the catalogue's Parquet file; by default catalogue.parquet in data_dir"
    )
    coolr_host: str | None = Field(None, description="host:port of COOLR (http), or its http(s) URL")
    coolr_archive: Path | None = Field(
        None, description="folder of a recorded archive, which is asked instead of coolr_host"
    )
    coolr_timeout: float = Field(60.0, gt=0, description="seconds to wait for COOLR before an answer goes on")
    coolr_answer_seconds: float = Field(
        300.0, gt=0, description="seconds in which an answer of COOLR has to end, however steadily it comes"
    )
    coolr_connections: int = Field(4, ge=1, le=32, description="calls to COOLR at a time, 1 to 32")
    coolr_cache_hours: float = Field(24.0, ge=0, description="hours for which an answer of COOLR is used again")
    coolr_cache_megabytes: float = Field(
        1_000.0, ge=1, description="megabytes (10^6 bytes) that these answers may take in data_dir, about, from 1"
    )
    coolr_refresh_hours: float = Field(168.0, ge=0, description="hours after which the catalogue is built anew")
    coolr_iovtype: bool = Field(
        False, description="true or false; true sends iovtype=run-lumi, for a server that asks for it"
    )
    coolr_confirm: bool = Field(
        True, description="true or false; true asks COOLR for payloads twice and refuses answers that differ"
    )
    es_address: str | None = Field(None, description="host of Elasticsearch (https), or its http(s) URL")
    es_port: int = Field(9200, ge=1, le=65535, description="a port, 1 to 65535; used where es_address has none")
    es_user: str | None = Field(None, description="user name, together with es_pswd")
    es_pswd: SecretStr | None = Field(None, description="password of es_user")
    es_api_key: SecretStr | None = Field(None, description="API key, instead of es_user and es_pswd")
    es_ca_certs: Path | None = Field(None, description="path of a file with the certificate authority of the server")
    es_fingerprint: str | None = Field(
        None, pattern=r"^([0-9A-Fa-f]{2}:?){32}$", description="SHA-256 fingerprint of the certificate, in hex"
    )
    es_verify_certs: bool = Field(
        True, description="true or false; false trusts any certificate: only for a server on your own machine"
    )
    es_index: _Words = Field(
        (), description="one or several index names or patterns, with commas or spaces between them"
    )
    es_caching_efficiency_index: str | None = Field(None, description="name of one index")
    es_slices: int = Field(
        2, ge=1, le=64, description="how many slices are read side by side, 1 to 64; 2 suits 2 processors"
    )
    es_page: int = Field(10_000, ge=1, le=100_000, description="documents a page, 1 to 100000")
    es_retry_seconds: float = Field(
        120.0, ge=0, description="seconds for which a busy or unreachable server is asked again"
    )
    limit_queries: int = Field(
        5_000_000, ge=1, description="a whole number above 0: documents read at most in an extraction"
    )
    loss_warning_share: float = Field(
        0.001,
        ge=0,
        le=1,
        description="a share from 0 to 1: where more documents than that cannot be read, a warning names the reasons",
    )
    drop_duplicates: bool = Field(
        True,
        description="true or false; true leaves out documents of an export file that repeat the _index and _id of an "
        "earlier one",
    )
    part_documents: int = Field(
        500_000,
        ge=1_000,
        description="a whole number from 1000: documents a part of an extraction, which is what an interruption costs, "
        "and what a worker takes at a time",
    )
    db_instances: _Words = Field(
        ("CONDBR2", "OFLP200", "COMP200", "MONP200"),
        min_length=1,
        description="one or several COOL database instances, with spaces between them",
    )
    spark_master: str = Field("local[2]", description="a Spark master: local[N], local[*] or spark://host:port")
    spark_options: _Pairs = Field(
        repr=False,  # an option can be a secret
        default_factory=dict,
        description="Spark options written name=value, with spaces between them; quotes keep a space",
    )
    job_backend: Literal["inline", "thread", "celery"] = Field(
        "thread", description="where jobs run: inline, thread or celery"
    )
    job_time_limit: float = Field(86_400.0, gt=0, description="seconds after which a job on a worker is ended")
    job_lost_seconds: float = Field(
        60.0, ge=2, description="seconds, from 2: a job on a worker without a sign of life for so long goes to another"
    )
    broker_url: SecretStr | None = Field(
        None,
        description="URL of the Redis that carries jobs to workers: redis://[user:password@]host:port/number, or "
        "rediss:// for TLS, with # / @ % ? in the password as %23 %2F %40 %25 %3F; by default the one that make worker "
        "starts",
    )
    result_backend: SecretStr | None = Field(
        None, description="URL where Celery keeps its own results; none is needed, jobs keep theirs in data_dir"
    )
    browser: Path | None = Field(
        None,
        description="path of the program of Chromium, Chrome or Edge, which draws pictures of figures; by default the "
        "one that is found",
    )
    periodic: _Periodic = Field(
        (),
        description="what Celery beat has done every day, of catalogue, extraction (of the day before), caching (its "
        "figures, and into the history) and report, with spaces between them",
    )
    periodic_hour: int = Field(2, ge=0, le=23, description="the hour of that, 0 to 23, in UTC")
    notebooks: _Notebooks = Field(
        default_factory=dict,
        description="notebooks that jobs may run, written name=path, or a path (its name is that of the file), with "
        "spaces between them; quotes keep a space",
    )

    def __init__(self, config_file: str | os.PathLike[str] | None = None, **fields: Any) -> None:
        ours = type(self).model_fields
        given: dict[str, Given] = {
            **from_file(config_file, ours),
            **from_environment(ours),
            **from_arguments(fields, ours),
        }
        try:
            super().__init__(**{name: value for name, (value, _) in given.items()})
        except ValidationError as error:
            # without the cause: pydantic's message can contain values such as a password
            raise ConfigurationError(_explain(error, given)) from None

    def __setattr__(self, name: str, value: Any) -> None:
        # pydantic's message would show the value, which can be a password
        raise ConfigurationError(f"{name} cannot be set: settings do not change once made. Make new ones.")

    @field_validator("*", mode="before")
    @classmethod
    def _is_whole(cls, value: Any, info: ValidationInfo) -> Any:
        field = cls.model_fields[str(info.field_name)]
        text = value.get_secret_value() if isinstance(value, SecretStr) else value
        if form_of(field) != "text" or not isinstance(text, (str, Path)):
            return value
        if text == "":
            raise ValueError("it is empty")
        if not is_secret(field):
            require_unquoted(str(text))
        return value

    @field_validator("data_dir", "coolr_file", "coolr_archive", "es_ca_certs", "browser")
    @classmethod
    def _expand(cls, path: Path | None) -> Path | None:
        return None if path is None else expanded(path)

    @field_validator("notebooks")
    @classmethod
    def _are_notebooks(cls, notebooks: dict[str, Path]) -> dict[str, Path]:
        for name, path in notebooks.items():
            if re.search(r"[/=]", name):
                raise ValueError("a path with an equals sign needs a name before it: name=path")
            if re.search(r"\.ipynb\s", str(path)):
                raise ValueError("quotes around several notebooks make one of them: put each in quotes of its own")
        return {name: expanded(path) for name, path in notebooks.items()}

    @field_validator("spark_options")
    @classmethod
    def _are_options(cls, options: dict[str, str]) -> dict[str, str]:
        if any(not name or re.search(r"[\s=]", name) for name in options):
            raise ValueError("the name of an option has no space and no equals sign")
        return options

    @field_validator("es_index")
    @classmethod
    def _are_indices(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            require_index(name)
        return names

    @field_validator("es_caching_efficiency_index")
    @classmethod
    def _is_index(cls, name: str | None) -> str | None:
        if name is not None:
            require_index(name)
        return name

    @field_validator("db_instances")
    @classmethod
    def _are_instances(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if not re.fullmatch(r"[A-Za-z0-9]+", name):
                raise ValueError(
                    f"{name} is not the name of an instance: letters and digits, such as CONDBR2; what follows an "
                    "underscore in the logs, as in CONDBR2_RO, is not a part of the name"
                )
        return names

    @field_validator("broker_url")
    @classmethod
    def _is_broker(cls, address: SecretStr | None) -> SecretStr | None:
        if address is not None and not _REDIS.match(address.get_secret_value()):
            raise ValueError("not a redis:// or rediss:// URL with a host")
        return address

    @field_validator("broker_url", "result_backend")
    @classmethod
    def _is_redis(cls, address: SecretStr | None) -> SecretStr | None:
        if address is not None and _REDIS.match(address.get_secret_value()):
            require_redis(address.get_secret_value())
        return address

    @field_validator("es_address", "coolr_host")
    @classmethod
    def _is_address(cls, address: str | None, info: ValidationInfo) -> str | None:
        if address is None:
            return None
        if "@" in address:
            place = "in es_user and es_pswd, not in" if info.field_name == "es_address" else "nowhere in"
            raise ValueError(f"a user and a password belong {place} the address")
        require_http(address)
        return address

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if self.es_api_key is not None and self.es_user is not None:
            raise ValueError("es_api_key and es_user are both given: keep one of them")
        if (self.es_user is None) != (self.es_pswd is None):
            raise ValueError("es_user and es_pswd go together: give both or neither")
        if self.es_ca_certs is not None and not self.es_ca_certs.is_file():
            raise ValueError(f"es_ca_certs: there is no file {self.es_ca_certs}")
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
    for name, value in _given(_checked(fields | found)).items():
        field = Settings.model_fields[name]
        try:
            text = write_value(paths.get(name) or _as_text(value), form_of(field), secret=is_secret(field))
        except ValueError as error:
            raise ConfigurationError(
                f"{name} cannot be written: {error}. The variable {PREFIX}{name.upper()} may hold it."
            ) from None
        lines.append(f"{name} = {text}\n")
    if path.exists() and not overwrite:
        raise ConfigurationError(f"{path} is there already; overwrite=True replaces it.")
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


def _checked(fields: dict[str, Any]) -> Settings:
    """Return settings made from these fields only."""
    given = from_arguments(fields, Settings.model_fields)
    settings = Settings.__new__(Settings)
    try:
        BaseModel.__init__(settings, **fields)
    except ValidationError as error:
        raise ConfigurationError(_explain(error, given)) from None
    return settings


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


def _explain(error: ValidationError, given: dict[str, Given]) -> str:
    problem = error.errors(include_url=False, include_input=False)[0]
    message = problem["msg"].removeprefix("Value error, ")
    if not problem["loc"]:
        places = sorted(one.place for name, one in given.items() if re.search(rf"\b{name}\b", message))
        return f"{message} ({', '.join(places)})."
    name = str(problem["loc"][0])
    field = Settings.model_fields[name]
    value, place = given.get(name) or Given(None, name)
    hidden = is_secret(field) or name in ("es_address", "coolr_host") or "@" in str(value)  # can contain a password
    shown = "" if hidden else f" {value!r}"
    return f"{place}: {name}{shown} is not valid ({message}). Valid: {field.description}."
