"""Errors speak of options and commands, not of keywords and functions."""

from __future__ import annotations

import click
import pytest

from frontierlab.cli.command import Command
from frontierlab.cli.main import root
from frontierlab.cli.words import in_words_of_options


@pytest.fixture
def context() -> click.Context:
    command = Command(
        "example",
        selects=True,
        params=[
            click.Option(["--bin-seconds"]),
            click.Option(["--complete/--no-complete"]),
            click.Option(["--overwrite"], is_flag=True),
        ],
    )
    return click.Context(
        command, info_name="example", parent=click.Context(root, info_name="frontierlab", **root.context_settings)
    )


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("selection=fl.Selection(db='A') is empty", "--db A is empty"),
        ("bin_seconds=0.5: give more", "--bin-seconds 0.5: give more"),
        ("bin_seconds='a b' is wrong.", "--bin-seconds 'a b' is wrong."),
        ("kind='x': the kinds are", "--kind x: the kinds are"),
        ("taskid=1, db=['A', 'B']", "--task 1, --db A --db B"),
        ("give bin_seconds=… please", "give --bin-seconds … please"),
        ("x exists; overwrite=True replaces it.", "x exists; --overwrite replaces it."),
        ("complete=False leaves ids", "--no-complete leaves ids"),
        ("cached=False, or cached=True", "--not-cached, or --cached"),
        ("Without one, extract(…, complete=False) works", "Without one, frontierlab extract … --no-complete works"),
        ("The same extract(…) call resumes", "The same frontierlab extract … call resumes"),
        ("frontierlab.datasets.delete_dataset('a', settings)", "frontierlab datasets delete a"),
        ("fl.extract(settings, name='a', since='2026-10-01')", "frontierlab extract a --since 2026-10-01"),
        (
            "fl.extract(settings, name='a', selection=fl.Selection(since='2026-10-01', taskid=[1, 2], cached=False))",
            "frontierlab extract a --since 2026-10-01 --task 1 --task 2 --not-cached",
        ),
        ("as Settings(es_address=…); or", "as Settings(es_address=…); or"),
        ("fl.unknown(bin_width=3) and other=4", "fl.unknown(bin_width=3) and other=4"),
        (
            'write it otherwise, or open the logs with engine="spark". It has: abs.',
            "write it otherwise, or open the logs with the variable FRONTIERLAB_ENGINE=spark. It has: abs.",
        ),
        (
            "name it in the configuration file, in FRONTIERLAB_ES_ADDRESS or as Settings(es_address=…); or so",
            "name it in the configuration file or in FRONTIERLAB_ES_ADDRESS; or so",
        ),
        ("Set it. In the connection panel these are fields of COOLR. Or so.", "Set it. Or so."),
        ("frontierlab.create_config_file(…) writes one.", "frontierlab config create … writes one."),
        ("count(*) of redis://h?virtual_host=1", "count(*) of redis://h?virtual_host=1"),
    ],
)
def test_in_words_of_options(message: str, expected: str, context: click.Context) -> None:
    assert in_words_of_options(message, context) == expected
