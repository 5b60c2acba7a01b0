"""The fields of the settings, with their types, limits, defaults and the check of each value alone."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Annotated, Any, Literal

import platformdirs
from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, SecretStr, ValidationInfo, field_validator

from frontierlab.settings.checks import (
    expanded,
    require_http,
    require_index,
    require_instance,
    require_redis,
    require_unquoted,
)
from frontierlab.settings.sources import form_of, is_secret, notebooks

__all__ = ["Fields"]

_REDIS = re.compile(r"rediss?://|redis\+socket://", re.IGNORECASE)


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


_AbsolutePath = Annotated[Path, AfterValidator(expanded)]
_Index = Annotated[str, AfterValidator(require_index)]
_Indices = Annotated[tuple[_Index, ...], BeforeValidator(_words)]
_Instances = Annotated[tuple[Annotated[str, AfterValidator(require_instance)], ...], BeforeValidator(_words)]
_Pairs = Annotated[dict[str, str], BeforeValidator(_pairs)]
_Periodic = Annotated[
    tuple[Literal["catalogue", "extraction", "checks", "diagnosis", "caching", "report"], ...], BeforeValidator(_words)
]
_Notebooks = Annotated[dict[str, Path], BeforeValidator(notebooks)]


class Fields(BaseModel):
    """The fields; `frontierlab.Settings` adds where their values come from, and which fields must agree."""

    data_dir: _AbsolutePath = Field(
        default_factory=lambda: platformdirs.user_data_path("frontierlab"),
        description="the folder of the datasets, and of jobs, figures and answers of COOLR that are kept",
    )
    coolr_file: _AbsolutePath | None = Field(
        None, description="path of the catalogue's Parquet file; by default catalogue.parquet in data_dir"
    )
    coolr_host: str | None = Field(None, description="host:port of COOLR (http), or its http(s) URL")
    coolr_archive: _AbsolutePath | None = Field(
        None, description="folder of a recorded archive, used instead of coolr_host"
    )
    coolr_timeout: float = Field(
        60.0, gt=0, description="longest pause of COOLR before or within an answer, in seconds"
    )
    coolr_answer_seconds: float = Field(300.0, gt=0, description="longest time for a whole answer of COOLR, in seconds")
    coolr_connections: int = Field(4, ge=1, le=32, description="calls to COOLR at the same time, 1 to 32")
    coolr_cache_hours: float = Field(24.0, ge=0, description="hours for which an answer of COOLR is used again")
    coolr_cache_megabytes: float = Field(
        1_000.0, ge=1, description="megabytes (10^6 bytes), from 1: about how much room kept answers of COOLR take"
    )
    coolr_refresh_hours: float = Field(168.0, ge=0, description="hours after which the catalogue is built again")
    coolr_iovtype: bool = Field(
        False, description="true or false; true sends iovtype=run-lumi, for a server that needs it"
    )
    coolr_confirm: bool = Field(
        True, description="true or false; true asks COOLR for payloads twice and refuses answers that differ"
    )
    es_address: str | None = Field(None, description="host of Elasticsearch (https), or its http(s) URL")
    es_port: int = Field(9200, ge=1, le=65535, description="a port, 1 to 65535; used where es_address has none")
    es_user: str | None = Field(None, description="user name, together with es_pswd")
    es_pswd: SecretStr | None = Field(None, description="password of es_user")
    es_api_key: SecretStr | None = Field(None, description="API key, instead of es_user and es_pswd")
    es_ca_certs: _AbsolutePath | None = Field(
        None, description="path of a file with the certificate authority of the server"
    )
    es_fingerprint: str | None = Field(
        None, pattern=r"^([0-9A-Fa-f]{2}:?){32}$", description="SHA-256 fingerprint of the certificate, in hex"
    )
    es_verify_certs: bool = Field(
        True, description="true or false; false trusts any certificate: only for a server on your own machine"
    )
    es_index: _Indices = Field(
        (), description="one or several index names or patterns, with commas or spaces between them"
    )
    es_caching_efficiency_index: _Index | None = Field(None, description="name of one index")
    es_slices: int = Field(
        2, ge=1, le=64, description="number of slices that are read at the same time, 1 to 64; 2 suits 2 processors"
    )
    es_page: int = Field(10_000, ge=1, le=100_000, description="documents in a page, 1 to 100000")
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
        description="a share from 0 to 1: if a larger share is malformed, a warning gives the reasons",
    )
    drop_duplicates: bool = Field(
        True,
        description="true or false; true leaves out a document of an export file with the _index and _id of an earlier "
        "one",
    )
    part_documents: int = Field(
        500_000,
        ge=1_000,
        description="a whole number from 1000: documents in a part of an extraction; an interruption loses at most the "
        "parts being read, and a worker reads one part at a time",
    )
    db_instances: _Instances = Field(
        ("CONDBR2", "OFLP200", "COMP200", "MONP200"),
        min_length=1,
        description="one or several COOL database instances, with spaces between them",
    )
    engine: Literal["auto", "duckdb", "spark"] = Field(
        "auto",
        description="what answers questions about logs: duckdb, spark or auto; auto is duckdb if spark_master is "
        "local, and spark otherwise or for a very large dataset",
    )
    duckdb_memory_mb: int = Field(
        512, ge=64, description="megabytes (10^6 bytes) of memory, from 64, that all statements of DuckDB use together"
    )
    duckdb_threads: int | None = Field(
        None, ge=1, description="number of threads of DuckDB, from 1; by default one for each processor"
    )
    spill_dir: _AbsolutePath | None = Field(
        None,
        description="path of an existing folder for what DuckDB cannot hold in memory; by default the system's folder "
        "for temporary files",
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
    job_time_limit: float = Field(86_400.0, gt=0, description="longest time for a job on a worker, in seconds")
    job_lost_seconds: float = Field(
        60.0, ge=2, description="seconds, from 2: a job is given to another worker if its worker is silent for so long"
    )
    broker_url: SecretStr | None = Field(
        None,
        description="URL of the Redis that carries jobs to workers: redis://[user:password@]host:port/number, or "
        "rediss:// for TLS, with # / @ % ? in the password as %23 %2F %40 %25 %3F; for workers of this machine alone "
        "also redis+socket:///path/of/the/socket; by default the one that make worker starts",
    )
    result_backend: SecretStr | None = Field(
        None,
        description="URL where Celery keeps its own results; not needed, since jobs keep their results in data_dir",
    )
    check_failed_per_server: int = Field(
        100, ge=1, description="failed queries of a server in an hour, from which on a check tells them"
    )
    check_failed_per_task: int = Field(
        100, ge=0, description="failed queries of a task in an hour: if there are more, a check tells them"
    )
    check_threads: int = Field(
        400, ge=0, description="simultaneous threads of a server: if there are more, a check tells them"
    )
    check_silent_hours: int = Field(
        1, ge=1, le=168, description="hours without a query, 1 to 168, after which a check calls a server silent"
    )
    check_silent_spoke_hours: int = Field(
        3,
        ge=1,
        le=720,
        description="hours, 1 to 720 and more than check_silent_hours: a silent server had a query within so many",
    )
    check_bad_sql: str = Field(
        "OPT_PARAM('OPTIMIZER_ADAPTIVE_FEATURES','FALSE')",
        description="a text that the SQL of no query should have, exactly as written there",
    )
    check_bad_sql_hours: int = Field(
        3, ge=1, le=168, description="hours, 1 to 168, before the end of a window in which a check looks for bad SQL"
    )
    check_long_seconds: float = Field(
        10.0, ge=0, description="seconds: a query that takes longer is long for a check of times with many long ones"
    )
    check_long_percent: float = Field(
        10.0, ge=0, le=100, description="percent of the queries of a bin, 0 to 100: if more are long, a check tells it"
    )
    check_long_bin_minutes: int = Field(
        3, ge=1, le=1_440, description="width of a bin of the check of long queries in minutes, 1 to 1440"
    )
    check_long_queries: int = Field(
        20, ge=1, description="a bin with fewer queries is not looked at for long ones; a whole number from 1"
    )
    check_unaligned_percent: float = Field(
        10.0,
        ge=0,
        le=100,
        description="percent of a folder's queries, 0 to 100: if more ask for IOVs on no grid, a check tells it",
    )
    check_unaligned_queries: int = Field(
        100, ge=1, description="a folder with fewer queries with an IOV in an hour is not looked at for their grid"
    )
    check_hit_fall: float = Field(
        10.0,
        gt=0,
        le=100,
        description="percentage points, up to 100: a check tells that a server's share of cached queries fell by so "
        "many or more within a week",
    )
    check_hit_queries: int = Field(
        1_000, ge=1, description="a server with fewer queries in an hour is not compared with the week before"
    )
    personal_data_key: SecretStr | None = Field(
        None,
        min_length=16,
        description="key of the hashes that replace personal data of raw logs, at least 16 characters; the same key "
        "gives the same hashes; by default a random key for each reading, which is kept nowhere",
    )
    browser: _AbsolutePath | None = Field(
        None,
        description="path of the program Chromium, Chrome or Edge, which saves figures as PNG and SVG; by default the "
        "first that is found",
    )
    periodic: _Periodic = Field(
        (),
        description="steps of the night, with spaces between them: catalogue, extraction (of the day before, as the "
        "dataset nightly-2026-10-01, for example), checks, diagnosis, report, caching (also stored in the history)",
    )
    periodic_hour: int = Field(
        2, ge=0, le=23, description="hour at which Celery beat begins the night, 0 to 23, in UTC"
    )
    periodic_catch_up_days: int = Field(
        7,
        ge=1,
        le=366,
        description="number of days before today, from 1, whose missing work a night makes up for; 1 is the day before "
        "alone",
    )
    periodic_keep_days: int | None = Field(
        None,
        ge=1,
        description="number of days, from 1, for which the rows of a night's dataset are kept; then its summaries, "
        "figures, findings and report are left; by default rows are kept for ever",
    )
    notebooks: _Notebooks = Field(
        default_factory=dict,
        description="notebooks that jobs may run, written name=path, or path (the name is then that of the file), with "
        "spaces between them; quotes keep a space",
    )

    @field_validator("*", mode="before")
    @classmethod
    def _require_plain_text(cls, value: Any, info: ValidationInfo) -> Any:
        field = cls.model_fields[str(info.field_name)]
        text = value.get_secret_value() if isinstance(value, SecretStr) else value
        if form_of(field) != "text" or not isinstance(text, (str, Path)):
            return value
        if text == "":
            raise ValueError("it is empty")
        if not is_secret(field):
            require_unquoted(str(text))
        return value

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

    @field_validator("broker_url")
    @classmethod
    def _is_broker(cls, address: SecretStr | None) -> SecretStr | None:
        if address is not None and not _REDIS.match(address.get_secret_value()):
            raise ValueError("not a redis:// or rediss:// URL with a host, and not redis+socket:// with a path")
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
            hint = ": write them as es_user and es_pswd" if info.field_name == "es_address" else ""
            raise ValueError(f"an address here has no user and no password{hint}")
        require_http(address)
        return address
