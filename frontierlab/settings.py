"""The configuration: a file, environment variables, arguments; and the secrets among them."""

from __future__ import annotations

import difflib
import os
import shlex
import tempfile
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

__all__ = ["Settings", "as_variables", "create_config_file"]

_PREFIX = "FRONTIERLAB_"


def _words(value: Any) -> Any:
    return tuple(value.replace(",", " ").split()) if isinstance(value, str) else value


def _pairs(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    pairs = [word.partition("=") for word in shlex.split(value)]
    if any(not separator for _, separator, _ in pairs):
        raise ValueError("each option is written name=value")
    return {name: option for name, _, option in pairs}


def _notebooks(value: Any) -> Any:
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


_Words = Annotated[tuple[str, ...], BeforeValidator(_words)]
_Pairs = Annotated[dict[str, str], BeforeValidator(_pairs)]
_Periodic = Annotated[tuple[Literal["catalogue", "extraction", "caching", "report"], ...], BeforeValidator(_words)]
_Notebooks = Annotated[dict[str, Path], BeforeValidator(_notebooks)]


class Settings(BaseModel):
    """What frontierlab needs to know of its surroundings.

    Values come from three places, of rising priority: a file of ``key = value`` lines, environment
    variables ``FRONTIERLAB_<FIELD>``, and keyword arguments. In a file the case of a key and the
    underscores in it do not matter (``ES_CachingEfficiency_Index`` is
    ``es_caching_efficiency_index``), a line that starts with ``#`` is a comment, and an empty value
    is no value; a relative path is from the file's own folder. Settings do not change once made.

    Parameters
    ----------
    config_file
        The file; by default the one that the variable ``CONFIG_FILE`` names; without either, no
        file is read.
    **fields
        Any of the fields below.

    Raises
    ------
    ConfigurationError
        The file is missing, a key is unknown, or a value is of the wrong type. The message names
        the place (file and line, variable or argument), the key and the valid values.

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
    coolr_connections: int = Field(4, ge=1, le=32, description="calls to COOLR at a time, 1 to 32")
    coolr_cache_hours: float = Field(24.0, ge=0, description="hours for which an answer of COOLR is used again")
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
        repr=False,  # one of them can be a secret
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
        "rediss:// for TLS; by default the one that make worker starts",
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
        values: dict[str, Any] = {}
        places: dict[str, str] = {}
        for found in (_from_file(config_file), _from_environment(), _from_arguments(fields)):
            for name, (value, place) in found.items():
                values[name], places[name] = value, place
        try:
            super().__init__(**values)
        except ValidationError as error:
            # without the cause: pydantic's own text can hold what was given, a password included
            raise ConfigurationError(_explain(error, values, places)) from None

    def __setattr__(self, name: str, value: Any) -> None:
        # pydantic's own refusal shows the value, which can be a password
        raise ConfigurationError(f"{name} cannot be set: settings do not change once made. Make new ones.")

    @field_validator("data_dir", "coolr_file", "coolr_archive", "es_ca_certs")
    @classmethod
    def _expand(cls, path: Path | None) -> Path | None:
        return None if path is None else path.expanduser().absolute()

    @field_validator("notebooks")
    @classmethod
    def _expand_all(cls, notebooks: dict[str, Path]) -> dict[str, Path]:
        return {name: path.expanduser().absolute() for name, path in notebooks.items()}

    @field_validator("broker_url")
    @classmethod
    def _is_redis(cls, address: SecretStr | None) -> SecretStr | None:
        if address is None:
            return None
        url = urlsplit(address.get_secret_value())
        if url.scheme not in ("redis", "rediss") or not url.hostname:
            raise ValueError("not a redis:// or rediss:// URL with a host")
        with suppress(ValueError):  # whose text shows what may be a password in the wrong place
            _ = url.port
            return address
        raise ValueError("its port is no number; a password stands before the host: redis://:password@host:port/0")

    @field_validator("es_address", "coolr_host")
    @classmethod
    def _is_address(cls, address: str | None, info: ValidationInfo) -> str | None:
        if address is None:
            return None
        if "@" in address:  # first: the messages below quote parts of what could be a password
            place = "in es_user and es_pswd, not in" if info.field_name == "es_address" else "nowhere in"
            raise ValueError(f"a user and a password belong {place} the address")
        url = urlsplit(address if "://" in address else f"https://{address}")
        plain = address.split() == [address] and not url.query and not url.fragment
        if url.scheme not in ("http", "https") or not url.hostname or not plain:
            raise ValueError("not a host and not an http(s) URL")
        _ = url.port  # raises ValueError where it is no port
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
        """The URL of Elasticsearch, with its port; without credentials.

        Raises
        ------
        ConfigurationError
            ``es_address`` is not set.
        """
        if self.es_address is None:
            raise ConfigurationError(
                "es_address is not set: name the Elasticsearch host in the configuration file, in "
                f"{_PREFIX}ES_ADDRESS or as Settings(es_address=…); or give extract() an export file as source."
            )
        url = urlsplit(self.es_address if "://" in self.es_address else f"https://{self.es_address}")
        host = f"[{url.hostname}]" if ":" in (url.hostname or "") else url.hostname
        return f"{url.scheme}://{host}:{url.port or self.es_port}{url.path.rstrip('/')}"

    @property
    def es_indices(self) -> str:
        """The indices or patterns to read, with commas between them.

        Raises
        ------
        ConfigurationError
            ``es_index`` is not set.
        """
        if not self.es_index:
            raise ConfigurationError(
                "es_index is not set: name the index or pattern in the configuration file, in "
                f"{_PREFIX}ES_INDEX or as Settings(es_index=…)."
            )
        return ",".join(self.es_index)

    @property
    def coolr_url(self) -> str:
        """The URL of COOLR, without a slash at its end; http unless ``coolr_host`` says https.

        Raises
        ------
        ConfigurationError
            ``coolr_host`` is not set.
        """
        if self.coolr_host is None:
            raise ConfigurationError(
                "coolr_host is not set: name the COOLR server in the configuration file, in "
                f"{_PREFIX}COOLR_HOST or as Settings(coolr_host=…); or name the folder of an archive as coolr_archive."
            )
        return (self.coolr_host if "://" in self.coolr_host else f"http://{self.coolr_host}").rstrip("/")

    @property
    def catalogue_path(self) -> Path:
        """Where the catalogue's Parquet file is: ``coolr_file``, or catalogue.parquet in ``data_dir``."""
        return self.coolr_file or self.data_dir / "catalogue.parquet"


def create_config_file(
    config_path: str | os.PathLike[str] = "configuration.txt", *, overwrite: bool = False, **fields: Any
) -> Path:
    """Write a configuration file that only its owner can read (mode 0600).

    Parameters
    ----------
    config_path
        Where to write; a file that is there is kept unless `overwrite`.
    overwrite
        Replace a file that is there. It is replaced in one step, or left as it was.
    **fields
        Fields of `Settings`. Each is checked before anything is written.

    Returns
    -------
    Path
        The file's place.

    Raises
    ------
    ConfigurationError
        A field is unknown or of the wrong type, or the file is there already.
    """
    path = Path(config_path).expanduser().absolute()
    for name, (value, place) in _from_arguments(fields).items():
        _check_alone(name, value, place)
    text = "".join(f"{name} = {_as_text(name, value)}\n" for name, value in fields.items() if value is not None)
    if path.exists() and not overwrite:
        raise ConfigurationError(f"{path} is there already; overwrite=True replaces it.")
    if not path.parent.is_dir():
        raise ConfigurationError(f"There is no folder {path.parent} to write {path.name} into.")
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # made with mode 0600
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return path


def as_variables(settings: Settings) -> dict[str, str]:
    """Return environment variables that make the same settings in another process, secrets included."""
    given = {name: getattr(settings, name) for name in settings.model_fields_set}
    texts = {name: _as_text(name, value) for name, value in given.items() if value is not None}
    return {f"{_PREFIX}{name.upper()}": text for name, text in texts.items()}


def _check_alone(name: str, value: Any, place: str) -> None:
    try:
        Settings.__pydantic_validator__.validate_assignment(Settings.model_construct(), name, value)
    except ValidationError as error:
        problems = [problem for problem in error.errors() if problem["loc"]]
        if problems:
            raise ConfigurationError(_explain_field(name, value, place, problems[0]["msg"])) from None


def _as_text(name: str, value: Any) -> str:
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if isinstance(value, dict):
        value = shlex.join(f"{key}={option}" for key, option in value.items())
    elif isinstance(value, (list, tuple)):
        if any(len(str(word).split()) != 1 for word in value):
            raise ConfigurationError(f"{name}: each of several values is a word without a space.")
        value = " ".join(map(str, value))
    text = str(value)
    if text != text.strip() or "\n" in text or "\r" in text:
        raise ConfigurationError(f"{name}: a value cannot hold a line break or begin or end with a space.")
    return text


def _canonical(key: str) -> str | None:
    """Return the field that a key of a file means; None where there is none."""
    plain = key.lower().replace("_", "")
    return next((name for name in Settings.model_fields if name.replace("_", "") == plain), None)


def _unknown(key: str, place: str, valid: list[str]) -> ConfigurationError:
    near = difflib.get_close_matches(key.lower(), [name.lower() for name in valid], n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    return ConfigurationError(f"{place}: unknown key {key!r}.{hint} Valid keys: {', '.join(valid)}.")


def _from_file(config_file: str | os.PathLike[str] | None) -> dict[str, tuple[Any, str]]:
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
            "frontierlab.create_config_file writes one."
        ) from None
    found: dict[str, tuple[Any, str]] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        place = f"{path}, line {number}"
        key, separator, value = (part.strip() for part in line.partition("="))
        if not separator or len(key.replace(":", " ").split()) != 1:  # an unknown key is shown: not half of a secret
            raise ConfigurationError(f"{place}: this line is not of the form key = value.")
        field = _canonical(key)
        if field is None:
            raise _unknown(key, place, list(Settings.model_fields))
        if field in found:
            raise ConfigurationError(f"{place}: {field} is given twice; first in {found[field][1]}.")
        found[field] = (_from_folder(field, value, path.absolute().parent), place)
    return {field: pair for field, pair in found.items() if pair[0]}


def _from_folder(field: str, value: str, folder: Path) -> str:
    """Return the text of a field, with relative paths from a folder."""
    if field == "notebooks":
        with suppress(ValueError):  # which the check of the field reports
            pairs = _notebooks(value).items()
            return shlex.join(f"{name}={folder / Path(path).expanduser()}" for name, path in pairs)
    elif value and "Path" in str(Settings.model_fields[field].annotation):
        return str(folder / Path(value).expanduser())
    return value


def _from_environment() -> dict[str, tuple[Any, str]]:
    names = {f"{_PREFIX}{name.upper()}": name for name in Settings.model_fields}
    found = {}
    for variable, value in os.environ.items():
        if not variable.startswith(_PREFIX) or not value:
            continue
        if variable not in names:
            raise _unknown(variable, "the environment", list(names))
        found[names[variable]] = (value, f"the variable {variable}")
    return found


def _from_arguments(fields: dict[str, Any]) -> dict[str, tuple[Any, str]]:
    for name in fields:
        if name not in Settings.model_fields:
            raise _unknown(name, "the arguments", list(Settings.model_fields))
    return {name: (value, f"the argument {name}") for name, value in fields.items()}


def _explain(error: ValidationError, values: dict[str, Any], places: dict[str, str]) -> str:
    problem = error.errors(include_url=False)[0]
    if not problem["loc"]:
        return f"{problem['msg'].removeprefix('Value error, ')} ({', '.join(sorted(set(places.values())))})."
    name = str(problem["loc"][0])
    return _explain_field(name, values.get(name), places.get(name, name), problem["msg"])


def _explain_field(name: str, value: Any, place: str, message: str) -> str:
    field = Settings.model_fields[name]
    secret = "SecretStr" in str(field.annotation) or not field.repr or name.endswith("address")
    given = "" if secret or "@" in str(value) else f" {value!r}"
    return f"{place}: {name}{given} is not valid ({message.removeprefix('Value error, ')}). Valid: {field.description}."
