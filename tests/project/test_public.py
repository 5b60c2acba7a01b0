"""Public names: every name in every ``__all__`` exists, is documented, and is in sorted order."""

import ast
import importlib
import inspect
import itertools
import os
import pkgutil
import subprocess
import sys

import click
import pytest

import frontierlab

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(frontierlab.__path__, "frontierlab.")
    if not module.name.endswith(".__main__")
)
HEAVY = ("bokeh", "celery", "pandas", "pyarrow", "pyspark")


def documented_constants(module):
    """Return the names that a module assigns and documents with a text after the assignment."""
    body = ast.parse(inspect.getsource(module)).body
    found = set()
    for statement, following in itertools.pairwise(body):
        if isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
            targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
            found |= {target.id for target in targets if isinstance(target, ast.Name)}
    return found


def is_documented(module, name):
    value = getattr(module, name)
    if inspect.isclass(value):
        doc = vars(value).get("__doc__") or ""  # not that of a base class
        return bool(doc) and not doc.startswith(f"{name}(")  # dataclasses write such texts by themselves
    if isinstance(value, click.Command):
        return bool(value.help)
    if inspect.isroutine(value) or inspect.ismodule(value):
        return bool(value.__doc__)
    return name in documented_constants(module)


def test_modules_are_found():
    assert {"frontierlab.settings", "frontierlab.schema", "frontierlab.sample.world.world"} <= {*MODULES}


@pytest.mark.parametrize("name", MODULES)
def test_public_names_exist_are_documented_and_sorted(name):
    module = importlib.import_module(name)
    if name.endswith("_version"):
        return
    assert module.__doc__
    assert module.__all__ == sorted(module.__all__)
    assert len(module.__all__) == len({*module.__all__})
    missing = [public for public in module.__all__ if not is_documented(module, public)]
    assert missing == []


def test_names_of_the_package_exist_are_documented_and_sorted():
    assert frontierlab.__all__ == sorted(frontierlab.__all__)
    for name in frontierlab.__all__:
        assert getattr(frontierlab, name).__doc__, name


def test_errors_have_one_base():
    for name in MODULES:
        module = importlib.import_module(name)
        for value in (getattr(module, public) for public in getattr(module, "__all__", ())):
            if inspect.isclass(value) and issubclass(value, Exception):
                assert issubclass(value, (frontierlab.errors.FrontierlabError, Warning)), value


@pytest.mark.slow
def test_import_loads_nothing_heavy_caching_no_spark_and_a_worker_no_client_and_no_configuration(tmp_path):
    code = f"import sys, frontierlab; print([name for name in {HEAVY} if name in sys.modules])"
    code += "; frontierlab.caching.efficiency; print([name for name in ('pyspark', 'bokeh') if name in sys.modules])"
    code += (
        "; from frontierlab.celery_tasks import app; print('elasticsearch' in sys.modules, app.main, app.configured)"
    )
    environment = os.environ | {"CONFIG_FILE": str(tmp_path / "nowhere.txt")}
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["[]", "[]", "False frontierlab False"]


def test_an_unknown_name_of_the_package_is_an_error():
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = frontierlab.no_such_name
