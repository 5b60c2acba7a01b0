"""What is true of every command: its examples work, its options are those of its function, it says how it ends."""

from __future__ import annotations

import configparser
import importlib
import inspect
import operator
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import fields
from pathlib import Path

import click
import pytest
from elasticsearch import Elasticsearch

import frontierlab as fl
from frontierlab.checks.rules import CHECKS
from frontierlab.cli.command import Command
from frontierlab.cli.main import COMMANDS, main, root
from frontierlab.cli.selection_options import selection_options
from frontierlab.connections import SERVICES
from frontierlab.filters.changes import CHANGES
from frontierlab.filters.changes_statement import CHANGE_KEYS
from frontierlab.jobs.kinds import KINDS
from frontierlab.sample import World
from frontierlab.sample.world.loading import load
from tests.cli.conftest import Run
from tests.services.elasticsearch import ElasticsearchServer

# What a command takes beside the parameters of its function; the methods of a dataset have no name of one.
OWN = {
    **{f"frontierlab ask {name}": {"datasets"} for name in fl.filters.__all__},
    "frontierlab sql": {"dataset"},
    "frontierlab changes": {"dataset", "later", "compare", "fail_over"},
    "frontierlab checks": {"datasets", "index"},
    "frontierlab diagnose": {"datasets", "output", "baselines", "store", "history"},
    "frontierlab overview": {"output"},
    "frontierlab caching efficiency": {"store", "top"},
    "frontierlab jobs submit": {"wait"},
    "frontierlab jobs wait": {"id"},
    "frontierlab jobs cancel": {"id"},
    "frontierlab worker": {"check"},
    "frontierlab datasets delete": {"yes"},
    "frontierlab datasets export": {"name"},
    "frontierlab datasets malformed": {"name"},
    "frontierlab config create": {"path", "secrets"},
    "frontierlab config check": {"services"},
}


def commands(command: click.Command, path: str = "frontierlab") -> Iterator[tuple[str, Command]]:
    context = click.Context(command, info_name="frontierlab", **root.context_settings)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            yield from commands(command.get_command(context, name), f"{path} {name}")
    else:
        yield path, command


ALL = dict(commands(root))
# Those of the worker, which does not end by itself, are in test_worker.
EXAMPLES = [example for path, command in ALL.items() if path.split()[1] != "worker" for example in command.examples]


def needs(example: str) -> list[pytest.MarkDecorator]:
    words = example.split()
    indexed = words[1] == "overview" or "--index" in words or (words[1] == "extract" and "--source" not in words)
    return [pytest.mark.elasticsearch] if indexed else []


def test_every_command_is_there() -> None:
    assert {path.split()[1] for path in ALL} == {*COMMANDS}


@pytest.mark.parametrize("path", ALL)
def test_a_command_describes_itself(path: str, run: Run) -> None:
    command = ALL[path]
    assert isinstance(command, Command)
    assert command.help
    assert command.examples
    assert all(
        f"{example} ".startswith(f"{path.removesuffix(' list').removesuffix(' show')} ") for example in command.examples
    )
    text = run(*path.split()[1:], "--help").stdout
    assert all(example in text for example in command.examples)
    assert re.search(r"Exit codes:\n +0 .*\n(.*\n)* +2 ", text)
    for option in command.get_params(click.Context(command, **root.context_settings)):
        if isinstance(option, click.Option):
            assert option.help, option.name


@pytest.mark.parametrize("path", [path for path, command in ALL.items() if command.face])
def test_the_options_of_a_command_are_parameters_of_its_function(path: str) -> None:
    command = ALL[path]
    function = operator.attrgetter(command.face.removeprefix("frontierlab."))(fl)
    parameters = {*inspect.signature(function).parameters}
    assert {parameter.name for parameter in command.params} - parameters == OWN.get(path, set())
    assert not command.selects or parameters & {"selection", "logs", "a"}


def test_there_is_an_option_for_each_field_of_a_selection() -> None:
    assert [option.keyword for option in selection_options()] == [field.name for field in fields(fl.Selection)]
    assert all(option.help for option in selection_options())


@pytest.mark.parametrize(
    ("path", "name", "values"),
    [
        ("jobs submit", "kind", KINDS),
        ("config check", "services", SERVICES),
        ("changes", "rank_by", CHANGES),
        ("changes", "what", CHANGE_KEYS),
        ("checks", "checks", CHECKS),
    ],
)
def test_words_that_a_command_takes_are_those_of_the_package(path: str, name: str, values: Iterable[str]) -> None:
    (parameter,) = (one for one in ALL[f"frontierlab {path}"].params if one.name == name)
    assert isinstance(parameter.type, click.Choice)
    assert [*parameter.type.choices] == [*values]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["dataset", "list"], "No such command 'dataset'. Did you mean 'datasets'?"),
        (["datasets", "shw"], "No such command 'shw'. Did you mean 'show'?"),
        (["zzz"], "No such command 'zzz'.\n"),
    ],
)
def test_a_command_that_does_not_exist_names_similar_ones(words: list[str], said: str, run: Run) -> None:
    done = run(*words)
    assert done.exit_code == 2
    assert said in done.stderr


def test_the_package_installs_the_command() -> None:
    package = configparser.ConfigParser()
    package.read(Path(fl.__file__).parents[1] / "setup.cfg")
    name, entry = package["options.entry_points"]["console_scripts"].strip().split(" = ")
    assert name == "frontierlab"
    module, function = entry.split(":")
    assert getattr(importlib.import_module(module), function) is main


@pytest.fixture
def desk(overlay: Path, dump: Path, tmp_path: Path) -> Path:
    """A working folder with the files that the examples name, except ``old.parquet``."""
    (tmp_path / "dump.ndjson.zst").symlink_to(dump)
    (tmp_path / "password").write_text("secret\n")
    return tmp_path


@pytest.mark.parametrize("example", [pytest.param(one, marks=needs(one), id=one) for one in EXAMPLES])
@pytest.mark.slow
def test_an_example_works(
    example: str,
    desk: Path,
    extracted: Path,
    run: Run,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    words = shlex.split(example)
    if "old.parquet" in words and "export" not in words:
        run("datasets", "export", "overlay", "old.parquet")
    if "--source" in words or words[-2:] == ["old.parquet", "from-old"]:
        fl.datasets.delete_dataset("overlay")
    if needs(example) == [pytest.mark.elasticsearch]:
        request.getfixturevalue("frontier_index")
        fl.datasets.delete_dataset("overlay")
    if words[1] == "report":
        request.getfixturevalue("few_chapters")
    if words[1] == "jobs":
        run("jobs", "submit", "catalogue", "--backend", "inline")
    if words[1] == "nights":
        monkeypatch.setenv("FRONTIERLAB_PERIODIC", "extraction")
        run("nights", "run", "--now", "2026-10-02", "--source", "dump.ndjson.zst")
    if words[1:3] == ["caching", "history"]:
        run("caching", "efficiency", "overlay", "--store")
    if "--baseline" in words:
        days = request.getfixturevalue("days")
        shutil.copytree(days / "datasets", fl.Settings().data_dir / "datasets", dirs_exist_ok=True)
        fl.datasets.rename_dataset("day", "nightly-2026-10-02")
    if "--history" in words:
        fl.diagnosis.history.store(request.getfixturevalue("sample_diagnosis"))
    if words[1] == "rawlogs":
        fl.rawlogs.write_servlet_logs(World(50, malformed=0), desk / "servlets")
        fl.rawlogs.squid.write_squid_logs(World(50), desk / "squids", timezone="Europe/Zurich", faults=0)
    if words[1:] == ["rawlogs"]:
        run("rawlogs", "squid", "october", "squids")
    if "overlay-later" in words:
        fl.datasets.rename_dataset("overlay", "overlay-later")
        shutil.copytree(extracted / "datasets" / "overlay", fl.Settings().data_dir / "datasets" / "overlay")
    stdin = ""
    if "<" in words:
        stdin = Path(words.pop()).read_text()
        words.pop()
    done = run(*words[1:], stdin=stdin)
    # the sample has an hour with faults, and other rates in the afternoon
    finds = words[1] in ("checks", "diagnose") or (words[1:3] == ["changes", "overlay"] and "18:00" in example)
    assert done.exit_code == finds, done.stderr
    assert done.stdout
    assert "Error" not in done.stderr


@pytest.fixture(scope="module")
def indexed(es: Elasticsearch) -> Iterator[str]:
    """The name of an index with the day of the sample, of fewer documents; tests only read it."""
    load(es, World(6_000, indexable=True), name := "test-commands")
    yield name
    es.indices.delete(index=name)


@pytest.fixture
def frontier_index(elasticsearch_server: ElasticsearchServer, indexed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The documents of `indexed` in the Elasticsearch of the run, named by the environment."""
    monkeypatch.setenv("FRONTIERLAB_ES_ADDRESS", elasticsearch_server.url)
    monkeypatch.setenv("FRONTIERLAB_ES_USER", elasticsearch_server.user)
    monkeypatch.setenv("FRONTIERLAB_ES_PSWD", elasticsearch_server.password)
    monkeypatch.setenv("FRONTIERLAB_ES_CA_CERTS", str(elasticsearch_server.ca_certs))
    monkeypatch.setenv("FRONTIERLAB_ES_INDEX", indexed)


@pytest.mark.slow
@pytest.mark.usefixtures("overlay")
def test_help_and_lists_load_nothing_heavy() -> None:
    heavy = ["pandas", "pyspark", "bokeh", "celery", "sqlglot", "duckdb"]
    of_arrow = ["pyarrow", "numpy"]
    code = "import contextlib, sys\nfrom frontierlab.cli import main\n"
    for args, more in ((["--help"], of_arrow), (["extract", "--help"], of_arrow), (["datasets"], [])):
        code += f"sys.argv = {['frontierlab', *args]}\nwith contextlib.suppress(SystemExit):\n    main()\n"
        code += f"print([name for name in {heavy + more} if name in sys.modules])\n"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    lines = done.stdout.splitlines()
    assert lines.count("[]") == 3, lines
    assert sum(line.startswith("Usage: frontierlab ") for line in lines) == 2
    assert lines[-2].startswith("overlay ")
