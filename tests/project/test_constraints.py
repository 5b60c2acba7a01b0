"""What `make` installs runs with the oldest Python that setup.cfg allows."""

from __future__ import annotations

from configparser import ConfigParser
from importlib.metadata import distributions
from pathlib import Path

from packaging.specifiers import SpecifierSet

PROJECT = Path(__file__).parents[2]


def test_each_package_runs_with_the_oldest_python() -> None:
    """Debian 12 has Python 3.11.2, which a package that asks for 3.11.5 refuses."""
    setup = ConfigParser()
    setup.read(PROJECT / "setup.cfg")
    (oldest,) = SpecifierSet(setup["options"]["python_requires"])
    assert oldest.operator == ">="
    installed = {one.metadata["Name"]: one.metadata["Requires-Python"] or "" for one in distributions()}
    refused = [name for name, asks in installed.items() if not SpecifierSet(asks).contains(f"{oldest.version}.0")]
    assert refused == []
