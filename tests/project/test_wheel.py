"""A wheel has all packages and all files of the package; an installation from this folder hides what it lacks."""

from __future__ import annotations

from configparser import ConfigParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = {"frontierlab": ROOT / "frontierlab", "frontierlab_widgets": ROOT / "widgets/frontierlab_widgets"}


@pytest.fixture(scope="module")
def configuration() -> ConfigParser:
    found = ConfigParser()
    found.read(ROOT / "setup.cfg")
    return found


def packages() -> dict[str, Path]:
    return {
        ".".join([name, *init.parent.relative_to(folder).parts]): init.parent
        for name, folder in FOLDERS.items()
        for init in folder.rglob("__init__.py")
    }


def test_a_wheel_has_every_package(configuration: ConfigParser) -> None:
    assert sorted(configuration["options"]["packages"].split()) == sorted(packages())


def test_a_wheel_has_every_file_of_the_packages(configuration: ConfigParser) -> None:
    patterns = configuration["options.package_data"]["*"].split()
    taken = {file for folder in packages().values() for pattern in patterns for file in folder.glob(pattern)}
    files = {file for folder in FOLDERS.values() for file in folder.rglob("*.*") if file.suffix not in (".py", ".pyc")}
    assert len(files) > 30
    assert sorted(files - taken) == []
