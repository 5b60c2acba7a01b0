"""The demo announces each step that takes long; the whole demo is run by hand."""

from __future__ import annotations

import inspect
import io
import sys

import pytest

import frontierlab as fl
from frontierlab import demo


@pytest.mark.slow
def test_each_wait_is_announced(monkeypatch, tmp_path, sample_settings, sample_diagnosis):
    """Three of the waits end at once here, with what the functions returned to other tests."""
    shown = io.BytesIO()  # behind a buffer, as a pipe is
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(shown, encoding="utf-8"))
    last = []

    def wait(function, result):
        def waits(*given, **named):
            inspect.signature(function).bind(*given, **named)
            last.append(shown.getvalue().decode().splitlines()[-1])
            return result

        return waits

    monkeypatch.setattr(fl, "extract", wait(fl.extract, fl.datasets.open_dataset("sample", sample_settings)))
    monkeypatch.setattr(fl, "diagnose", wait(fl.diagnose, sample_diagnosis))
    monkeypatch.setattr(fl, "report", wait(fl.report, tmp_path / "report.html"))
    demo.main(tmp_path)
    assert last[0].startswith("Query logs of one day")
    assert last[1].startswith("Looking for what went wrong")
    assert last[2].startswith("Computing all figures of the report: a few seconds")
    said = shown.getvalue().decode()
    for incident in sample_diagnosis.incidents["sentence"]:
        assert incident in said
    worst = fl.caching.efficiency("sample", sample_settings, progress=False).head(demo.WORST)
    for number, folder in enumerate(worst.to_dict("records"), 1):
        assert f"{number}. {folder['db']} {folder['schema']} {folder['nodefullpath']} {folder['tagname']}: " in said
    assert said.count("\n   Tell the owners of its tasks: ask by ") == demo.WORST
    assert said.count("different queries") >= demo.WORST, "the reasons follow"
