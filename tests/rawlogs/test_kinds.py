"""What a log is, told from its first lines."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

import frontierlab as fl
from frontierlab.rawlogs.squid.fields import FORMATS
from frontierlab.sample import World

WORLD = World(40, seed=5, malformed=0, faithful=True)


@pytest.mark.parametrize(
    "style",
    [{}, {"version": "3.1"}, {"verbosity": 2}, {"form": "json"}, {"form": "logback"}, {"zone": "Europe/Zurich"}],
)
def test_logs_of_servlets_are_told_in_every_form(tmp_path: Path, style: dict[str, object]) -> None:
    fl.rawlogs.write_servlet_logs(WORLD, tmp_path, **style)
    logs = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert {fl.rawlogs.kind_of_log(file) for file in logs} == {"servlet"}


@pytest.mark.parametrize("format_", FORMATS)
def test_logs_of_squids_are_told_in_every_format(tmp_path: Path, format_: str) -> None:
    fl.rawlogs.squid.write_squid_logs(WORLD, tmp_path, format=format_, faults=0)
    logs = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert {fl.rawlogs.kind_of_log(file) for file in logs} == {"squid"}


def test_a_log_is_told_after_what_tomcat_says_and_compressed(tmp_path: Path) -> None:
    fl.rawlogs.write_servlet_logs(WORLD, tmp_path / "logs")
    log = next((tmp_path / "logs").rglob("catalina.out")).read_bytes()
    file = tmp_path / "catalina.out.1.gz"
    file.write_bytes(gzip.compress(b"INFO: Server startup in [1234] milliseconds\n" * 1_500 + log))
    assert fl.rawlogs.kind_of_log(file) == "servlet"


@pytest.mark.parametrize("content", [b"", b"\n\n", b"nothing of the kind\n" * 9, bytes(range(256)) * 99, b"{}\n[1]\n"])
def test_other_files_are_of_no_kind(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "file"
    file.write_bytes(content)
    assert fl.rawlogs.kind_of_log(file) is None
    assert fl.rawlogs.kind_of_log(tmp_path / "missing") is None


def test_an_export_is_no_log() -> None:
    assert fl.rawlogs.kind_of_log(fl.sample.path()) is None
