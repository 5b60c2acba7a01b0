"""The connection to Elasticsearch: what it takes from the settings, and the client made from that."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from frontierlab.errors import ConfigurationError
from frontierlab.settings import Settings

if TYPE_CHECKING:
    import elasticsearch

__all__ = ["ElasticOptions", "connect"]

_SILENCE = 120.0  # seconds without a byte of an answer


@dataclass(frozen=True)
class ElasticOptions:
    """Which Elasticsearch is read, and how.

    Parameters
    ----------
    url
        The server's URL, without credentials.
    index
        Names or patterns of indices, separated by commas.
    page
        Documents per page.
    slices
        Slices that are read in parallel.
    retry_seconds
        Seconds during which a call to a busy or absent server is repeated; 0 never repeats it.
    user, password, api_key
        The credentials: a user with a password, an API key, or neither.
    ca_certs, fingerprint, verify_certs
        How the server's certificate is checked.
    """

    url: str
    index: str
    page: int
    slices: int
    retry_seconds: float
    user: str | None = None
    password: SecretStr | None = None
    api_key: SecretStr | None = None
    ca_certs: Path | None = None
    fingerprint: str | None = None
    verify_certs: bool = True

    @classmethod
    def of(cls, settings: Settings, index: str | None = None) -> ElasticOptions:
        """Take the options from settings; `index` replaces their ``es_index``.

        Raises
        ------
        ConfigurationError
            ``es_address`` is not set, or neither `index` nor ``es_index`` is.
        """
        return cls(
            url=settings.es_url,
            index=settings.es_indices if index is None else index,
            page=settings.es_page,
            slices=settings.es_slices,
            retry_seconds=settings.es_retry_seconds,
            user=settings.es_user,
            password=settings.es_pswd,
            api_key=settings.es_api_key,
            ca_certs=settings.es_ca_certs,
            fingerprint=settings.es_fingerprint,
            verify_certs=settings.es_verify_certs,
        )


def connect(options: ElasticOptions, **more: Any) -> elasticsearch.Elasticsearch:
    """Make a client; nothing is sent yet.

    Parameters
    ----------
    options
        The address, the credentials and the certificates.
    **more
        Further options of `elasticsearch.Elasticsearch`.

    Raises
    ------
    ConfigurationError
        ``es_ca_certs`` is not a certificate file.
    """
    import elasticsearch  # here: a program that never connects starts without it

    from frontierlab.elastic.bounded_calls import BreakableNode

    security: dict[str, Any] = {}
    if options.api_key is not None:
        security["api_key"] = options.api_key.get_secret_value()
    elif options.user is not None and options.password is not None:
        security["basic_auth"] = (options.user, options.password.get_secret_value())
    if options.url.startswith("https:"):
        security["verify_certs"] = options.verify_certs
        if options.ca_certs is not None:
            security["ca_certs"] = str(options.ca_certs)
        if options.fingerprint is not None:
            security["ssl_assert_fingerprint"] = options.fingerprint
        if not options.verify_certs:
            security["ssl_show_warn"] = False  # the user has chosen this explicitly
    try:
        # `RetryingCaller` repeats calls: the client itself would repeat them without a pause
        return elasticsearch.Elasticsearch(
            options.url,
            **security,
            node_class=BreakableNode,
            request_timeout=_SILENCE,
            max_retries=0,
            retry_on_timeout=False,
            **more,
        )
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"No client for {options.url} can be made: {error}. Check es_address and es_ca_certs."
        ) from error
