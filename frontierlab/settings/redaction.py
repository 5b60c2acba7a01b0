"""Keep the secrets of the settings out of records, messages and logs."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from pydantic import SecretStr

from frontierlab.settings.model import Settings

__all__ = ["passwords_in", "redact", "secrets_of"]


def secrets_of(settings: Settings) -> list[str]:
    """Return the secrets that errors of other libraries may contain, longest first."""
    values = [getattr(settings, name) for name in type(settings).model_fields]
    found = {value.get_secret_value() for value in values if isinstance(value, SecretStr)}
    found |= {form for secret in found for form in passwords_in(secret)} | {*settings.spark_options.values()}
    return sorted((secret for secret in found if len(secret) > 3), key=len, reverse=True)


def passwords_in(url: str) -> set[str]:
    """Return the password in a URL, as written and decoded; an empty set if there is none."""
    try:
        password = urlsplit(url).password or ""
    except ValueError:
        return set()
    return {password, unquote(password)} - {""}


def redact(text: str, secrets: list[str]) -> str:
    """Return a text with its secrets replaced."""
    for secret in secrets:
        text = text.replace(secret, "…")
    return text
