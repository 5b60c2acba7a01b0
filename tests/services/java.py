"""Find a Java on this machine."""

import functools
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.services.processes import ServiceError, readable_by_all


def find_java(lowest: int, highest: int | None = None, module: str = "java.base", shared: bool = False) -> Path:
    """Find the home folder of a Java of version `lowest` or newer, but not newer than `highest`.

    Search order: the variable `TEST_JAVA_<lowest>`, `JAVA_HOME`, `java` on the path, and the usual folders. `module` is
    a required module (`jdk.jlink` is only in full JDKs). `shared` requires that all users can run it.

    Raises
    ------
    ServiceError
        No such Java was found; the message says what to install.
    """
    variable = f"TEST_JAVA_{lowest}"
    for home in _candidates(variable):
        modules = _modules(home)
        version = int(modules.get("java.base", 0))
        if lowest <= version <= (highest or version) and module in modules and (readable_by_all(home) or not shared):
            return home
    kind = "JDK" if module.startswith("jdk.") else "JRE"
    package = f"openjdk-{lowest}-{kind.lower()}-headless"
    versions = f"{lowest} to {highest}" if highest else f"{lowest} or newer"
    readers = ", readable by every user" if shared else ""
    raise ServiceError(
        f"no Java {versions} ({kind}{readers}) found: install one (on Debian: apt-get install {package}) "
        f"or set {variable} to its home folder"
    )


def _candidates(variable: str) -> Iterator[Path]:
    for name in (variable, "JAVA_HOME"):
        if home := os.environ.get(name):
            yield Path(home)
    if program := shutil.which("java"):
        yield Path(program).resolve().parent.parent
    yield from sorted(Path("/usr/lib/jvm").glob("*"))
    yield from sorted(Path("/opt").glob("*jdk*"))
    yield from sorted(Path("/Library/Java/JavaVirtualMachines").glob("*/Contents/Home"))


@functools.cache
def _modules(home: Path) -> dict[str, str]:
    """Return the modules of the Java in `home` and their major versions; empty if it does not run."""
    try:
        answer = subprocess.run([home / "bin" / "java", "--list-modules"], capture_output=True, text=True)
    except OSError:
        return {}
    return dict(re.findall(r"^([\w.]+)@(\d+)", answer.stdout, re.MULTILINE))
