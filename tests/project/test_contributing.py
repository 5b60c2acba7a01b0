"""CONTRIBUTING.md agrees with the tree, with the order of rooms and with the Makefile."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "frontierlab"
TEXT = (ROOT / "CONTRIBUTING.md").read_text()
PUBLIC = {"__init__", "__main__", "_version"}


def rows() -> list[tuple[list[str], str]]:
    """Return the rooms of each row of the table, without slashes, and what the row says about them."""
    table = TEXT.split("| room |")[1].split("\n\n")[0]
    found = re.findall(r"^\| (`.*?`) \| (.*) \|$", table, re.MULTILINE)
    return [(re.findall(r"`([^`]+?)/?`", rooms), said) for rooms, said in found]


def layers() -> dict[str, int]:
    """Return the layer of each room, from the ground up."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (order,) = [contract["layers"] for contract in contracts if contract["type"] == "layers"]
    return {
        room.strip().removeprefix("frontierlab."): height
        for height, line in enumerate(reversed(order))
        for room in line.split("|")
    }


def test_the_table_names_each_room_once() -> None:
    named = [room for rooms, _ in rows() for room in rooms if "/" not in room and (PACKAGE / room).exists()]
    named += [room for rooms, _ in rows() for room in rooms if (PACKAGE / f"{room}.py").exists()]
    there = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert sorted(named) == sorted(there - PUBLIC)


def test_the_table_is_in_the_order_of_the_import_contract() -> None:
    heights = layers()
    ordered = [heights[room] for rooms, _ in rows() for room in rooms if room in heights]
    assert len(ordered) >= len(heights) - 1  # the panels' row has their folder
    assert ordered == sorted(ordered)


@pytest.mark.parametrize(("rooms", "said"), [pytest.param(*row, id=row[0][0]) for row in rows()])
def test_a_row_names_files_that_exist(rooms: list[str], said: str) -> None:
    for room in rooms:
        assert any(path.exists() for path in (PACKAGE / room, PACKAGE / f"{room}.py", ROOT / room)), room
    if len(rooms) == 1 and (PACKAGE / rooms[0]).is_dir():
        folder = PACKAGE / rooms[0]
        names = re.findall(r"`([a-z_]+)/?`", said)
        missing = [name for name in names if not any(path.stem == name for path in folder.rglob("*"))]
        assert missing == []


def test_the_list_of_where_to_change_what_names_files_that_exist() -> None:
    named = re.findall(r"`((?:frontierlab|widgets|tests)/[\w/]+(?:\.py|/))`", TEXT)
    assert len(named) >= 12
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_commands_are_targets_of_make() -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"make ([a-z0-9-]+)", TEXT)) <= targets
