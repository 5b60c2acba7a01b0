"""A real Elasticsearch with authentication and TLS, for tests and benchmarks; no Docker."""

import base64
import datetime
import hashlib
import http.client
import json
import os
import re
import secrets
import shutil
import ssl
import tempfile
import time
from pathlib import Path
from typing import Any, Self

import bcrypt
import psutil
import trustme
from elasticsearch import Elasticsearch

from tests.services.java import find_java
from tests.services.processes import OwnedProcess, ServiceError, ordinary_user, readable_by_all
from tests.services.releases import RELEASES, chosen_version, fetch
from tests.services.starts import note_start

START_SECONDS = 180
# With its first compiler alone, Java encrypts by AES-GCM 23 MB/s, which took a quarter of the time of its answers.
CIPHERS = ["TLS_CHACHA20_POLY1305_SHA256", "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"]


class ElasticsearchServer:
    """An Elasticsearch on 127.0.0.1, with one superuser and a random password.

    It runs as `nobody` if this process is root, and ends with this process. Its data survives `stop`, `kill` and
    `start` until `close`, or until the end of the `with` block::

        with ElasticsearchServer().start(tls=False) as server, server.client() as client:
            client.info()

    Parameters
    ----------
    java_options
        Further options of its Java.

    Attributes
    ----------
    version : str
        Its version.
    user, password : str
        The superuser.
    port : int
        Its HTTP port; 0 before the first start.
    tls : bool
        Whether it uses HTTPS.
    folder : Path
        Folder of its configuration, data and logs.
    ca_certs : str or None
        PEM file of the authority that signed its certificate; None without TLS.
    fingerprint : str or None
        SHA-256 of that authority's certificate, as the server prints it on a normal first start; None without TLS.
    """

    def __init__(self, java_options: str = "") -> None:
        self.version = chosen_version()
        self._java_options = java_options
        self.user = "frontierlab"
        self.password = secrets.token_urlsafe(16)
        self.port = 0
        self.tls = True
        self.ca_certs: str | None = None
        self.fingerprint: str | None = None
        self._heap = "1g"
        self._process: OwnedProcess | None = None
        self._last_answer = "no answer yet"
        self.folder = Path()

    @property
    def url(self) -> str:
        """The URL of the server."""
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def running(self) -> bool:
        """Whether the server's process runs."""
        return self._process is not None and self._process.status is None

    def processes(self) -> list[psutil.Process]:
        """The live processes of the server (a launcher and the server itself)."""
        return self._process.processes() if self._process else []

    def client(self, **options: Any) -> Elasticsearch:
        """Return a client of the superuser that verifies the certificate; `options` change that."""
        defaults: dict[str, Any] = {"basic_auth": (self.user, self.password), "request_timeout": 60}
        if self.tls:
            defaults["ca_certs"] = self.ca_certs
        return Elasticsearch(self.url, **(defaults | options))

    def start(self, port: int = 0, tls: bool = True, heap: str = "1g") -> Self:
        """Start the server, and return when it answers.

        Parameters
        ----------
        port
            HTTP port; 0 picks a free one. A start after `stop` or `kill` ignores all arguments and uses the earlier
            ones.
        tls
            Use HTTPS, with a certificate for 127.0.0.1 and localhost.
        heap
            Size of the server's heap.

        Raises
        ------
        ServiceError
            The server cannot be installed, or did not start. The message has the end of its log, and its folder is
            kept.
        """
        if self.running:
            return self
        if self.folder == Path():
            self.port, self.tls, self._heap = port, tls, heap
            self._prepare()
        self._launch()
        self._wait()
        return self

    def stop(self) -> None:
        """Stop the server gracefully; its data is kept."""
        if self._process:
            self._process.stop()

    def kill(self) -> None:
        """Kill the server, as in a crash; its data is kept."""
        if self._process:
            self._process.kill()

    def close(self) -> None:
        """Stop the server and remove its folder."""
        self.kill()
        if self.folder != Path():
            shutil.rmtree(self.folder)
            self.folder = Path()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def _prepare(self) -> None:
        """Make the folder with configuration, certificate and user."""
        release = RELEASES[self.version]
        self._user = ordinary_user()
        shared = self._user is not None
        self._java = find_java(*release.java, module=release.module, shared=shared)
        home = fetch(self.version)
        if shared and not readable_by_all(Path(tempfile.gettempdir())):
            raise ServiceError(
                f"user nobody cannot use {tempfile.gettempdir()}: set TMPDIR to a folder open to all users"
            )
        self.folder = Path(tempfile.mkdtemp(prefix="frontierlab-elasticsearch-"))
        for name in ("data", "logs", "tmp"):
            (self.folder / name).mkdir()
        if shared and not readable_by_all(home):
            # The project may be in a folder that other users cannot read, such as /root.
            home = shutil.copytree(home, self.folder / "server")
        self._home = home
        self._config = shutil.copytree(home / "config", self.folder / "config")
        self._configure()
        if self._user:
            for path in (self.folder, *self.folder.rglob("*")):
                os.chown(path, *self._user)

    def _configure(self) -> None:
        options = self._config / "jvm.options"
        text = re.sub(r"(?<==)logs/", f"{self.folder}/logs/", options.read_text())
        options.write_text(re.sub(r"(?<==)data$", f"{self.folder}/data", text, flags=re.MULTILINE))

        # Lowest cost: the password is random and is used only while the server exists.
        hashed = bcrypt.hashpw(self.password.encode(), bcrypt.gensalt(4, prefix=b"2a")).decode()
        (self._config / "users").write_text(f"{self.user}:{hashed}\n")
        (self._config / "users_roles").write_text(f"superuser:{self.user}\n")
        if self.tls:
            self._certify()
        self._write_settings()

    def _certify(self) -> None:
        """Write the server's key and chain, and the authority's certificate for its clients."""
        ends = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=365)
        authority = trustme.CA()
        certificate = authority.issue_cert("127.0.0.1", "localhost", not_after=ends)
        certificate.private_key_pem.write_to_path(self._config / "http.key")
        # The chain contains the authority, so that a client can pin its fingerprint.
        for blob in (*certificate.cert_chain_pems, authority.cert_pem):
            blob.write_to_path(self._config / "http.crt", append=True)
        authority.cert_pem.write_to_path(self._config / "ca.crt")
        self.ca_certs = str(self._config / "ca.crt")
        der = ssl.PEM_cert_to_DER_cert(authority.cert_pem.bytes().decode())
        self.fingerprint = hashlib.sha256(der).hexdigest()

    def _write_settings(self) -> None:
        settings = {
            "cluster.name": "frontierlab",
            "discovery.type": "single-node",
            "network.host": "127.0.0.1",
            "http.port": self.port,
            "transport.port": 0,
            "node.portsfile": True,
            "path.data": f"{self.folder}/data",
            "path.logs": f"{self.folder}/logs",
            "xpack.security.enabled": True,
            "xpack.security.autoconfiguration.enabled": False,
            "xpack.security.authc.api_key.enabled": True,
            "cluster.routing.allocation.disk.threshold_enabled": False,
            # Each start hashes a password of the built-in users; at the usual cost that takes half a second.
            "xpack.security.authc.password_hashing.algorithm": "bcrypt4",
            # Tokens are a way to log in that no test uses, and their key takes another second of each start.
            "xpack.security.authc.token.enabled": False,
        }
        if self.tls:
            settings |= {
                "xpack.security.http.ssl.enabled": True,
                "xpack.security.http.ssl.key": f"{self._config}/http.key",
                "xpack.security.http.ssl.certificate": f"{self._config}/http.crt",
                "xpack.security.http.ssl.cipher_suites": CIPHERS,
            }
        lines = [f"{name}: {json.dumps(value)}\n" for name, value in settings.items()]
        (self._config / "elasticsearch.yml").write_text("".join(lines))

    def _launch(self) -> None:
        release = RELEASES[self.version]
        places = {"home": str(self._home), "conf": str(self._config), "java": str(self._java)}
        environment = {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "HOME": str(self.folder),
            "ES_HOME": str(self._home),
            "ES_PATH_CONF": str(self._config),
            "ES_JAVA_HOME": str(self._java),
            "ES_TMPDIR": str(self.folder / "tmp"),
            "ES_JAVA_OPTS": f"-Xms{self._heap} -Xmx{self._heap} {self._java_options}",
        }
        environment |= {name: value.format(**places) for name, value in release.environment.items()}
        self._ports().unlink(missing_ok=True)
        self._process = OwnedProcess(
            [self._java / "bin" / "java", *(part.format(**places) for part in release.main)],
            folder=self.folder,
            log=self.folder / "logs" / "console.log",
            env=environment,
            cwd=self._home,
            user=self._user,
        )
        note_start("Elasticsearch")

    def _ports(self) -> Path:
        """The file in which the server writes its ports."""
        return self.folder / "logs" / "http.ports"

    def _wait(self) -> None:
        assert self._process
        deadline = time.monotonic() + START_SECONDS
        while not (self._ports().exists() and self._answers()):
            if self._process.status is not None:
                failure = f"ended with status {self._process.status}"
            elif time.monotonic() > deadline:
                failure = f"did not come up in {START_SECONDS} s ({self._last_answer})"
            else:
                time.sleep(0.1)
                continue
            self.kill()
            log = self.folder / "logs" / "console.log"
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-30:])
            raise ServiceError(f"Elasticsearch {self.version} {failure}; the end of {log}:\n{tail}")

    def _answers(self) -> bool:
        if self.port == 0:
            listed = re.search(r"127\.0\.0\.1:(\d+)", self._ports().read_text())
            if listed is None:
                return False
            self.port = int(listed[1])
            self._write_settings()  # keeps the port after a restart
        if self.tls:
            context = ssl.create_default_context(cafile=self.ca_certs)
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                "127.0.0.1", self.port, timeout=10, context=context
            )
        else:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        token = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        try:
            path = "/_cluster/health?wait_for_status=yellow&timeout=5s"
            connection.request("GET", path, headers={"Authorization": f"Basic {token}"})
            answer = connection.getresponse()
            self._last_answer = f"HTTP {answer.status}: {answer.read()[:300]!r}"
            return answer.status == 200
        except (OSError, http.client.HTTPException) as error:
            self._last_answer = repr(error)
            return False
        finally:
            connection.close()
