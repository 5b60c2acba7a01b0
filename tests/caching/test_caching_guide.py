"""The examples of docs/concepts/waste.md, as a reader copies them, from top to bottom."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

import frontierlab as fl
from frontierlab import Dataset, Settings

GUIDE = Path(__file__).parents[2] / "docs" / "concepts" / "waste.md"


@pytest.mark.slow
def test_the_examples_of_the_guide_give_what_it_shows(
    dataset: Dataset, archived: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fl.sample, "settings", lambda: archived)
    monkeypatch.setattr(fl, "extract", lambda *_, **__: dataset)  # it is extracted already
    text = "\n".join(re.findall(r"```pycon\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL))
    parsed = doctest.DocTestParser().get_doctest(text, {}, GUIDE.name, str(GUIDE), 0)
    assert len(parsed.examples) > 12
    told: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL)
    runner.run(parsed, out=told.append)
    assert "".join(told) == ""
