"""The Java program that Spark starts: its path and its version."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from frontierlab.errors import SparkError

__all__ = ["JAVA_NEEDED", "check_java", "java_version"]

JAVA_NEEDED = 17
"""The oldest Java that Spark 4 runs on."""

_INSTALL_JAVA = (
    f"Install Java {JAVA_NEEDED} or newer (Debian, Ubuntu: apt install openjdk-17-jre-headless; "
    "conda: conda install openjdk) and, where there are several, let JAVA_HOME name its folder."
)


def check_java() -> None:
    """Raise unless Spark can start a Java of version `JAVA_NEEDED` or newer.

    Raises
    ------
    SparkError
        No Java was found, or it is too old.
    """
    if "PYSPARK_GATEWAY_PORT" in os.environ:  # spark-submit has started Java already
        return
    version = java_version()
    if version < JAVA_NEEDED:
        raise SparkError(f"Java {version} ({_java()}) is too old for Spark. {_INSTALL_JAVA}")


def java_version() -> int:
    """Return the major version of the Java that Spark would start (8, 17, …).

    Raises
    ------
    SparkError
        No Java was found, ``JAVA_HOME`` names a folder without Java, or Java does not print its version.
    """
    program = _java()
    try:
        answer = subprocess.run([program, "-version"], capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SparkError(f"{program} does not run ({error}). {_INSTALL_JAVA}") from error
    version = re.search(r'version "(?:1\.)?(\d+)', answer.stderr + answer.stdout)
    if version is None:
        said = (answer.stderr or answer.stdout).strip().splitlines()[:1]
        raise SparkError(f"{program} -version names no version (it says {said}). {_INSTALL_JAVA}")
    return int(version[1])


def _java() -> str:
    """Return the path of the java program that Spark's launcher would use."""
    home = os.environ.get("JAVA_HOME")
    if home:
        program = Path(home) / "bin" / ("java.exe" if os.name == "nt" else "java")
        if not program.is_file():
            raise SparkError(f"JAVA_HOME is {home}, where there is no bin/java. {_INSTALL_JAVA}")
        return str(program)
    found = shutil.which("java")
    if found is None:
        raise SparkError(f"Spark needs Java, and there is no java program here. {_INSTALL_JAVA}")
    return found
