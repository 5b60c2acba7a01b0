"""The different queries of very many logs are counted a part at a time."""

import pandas as pd
import pytest

import frontierlab as fl
from frontierlab.diagnosis import different
from frontierlab.diagnosis.evidence import Evidence
from frontierlab.sample.world.incidents import make_day


@pytest.mark.slow
def test_parts_add_up_to_the_whole(tmp_path, monkeypatch):
    logs = fl.open_logs(make_day(tmp_path / "day", 3, 2_000)[0])
    whole = Evidence(logs, fl.Selection()).cubes
    monkeypatch.setattr(different, "PART", 700)
    parts = Evidence(logs, fl.Selection()).cubes
    for name in ("fresh", "first_misses"):
        columns = [column for column in whole[name] if column != "fresh"]
        ours, theirs = (
            frame.sort_values(columns, ignore_index=True)[[*columns, "fresh"]] for frame in (whole[name], parts[name])
        )
        pd.testing.assert_frame_equal(ours, theirs)
        assert ours["fresh"].sum() > 100
    columns = [*whole["repeats"]]
    ours, theirs = (one["repeats"].sort_values(columns, ignore_index=True) for one in (whole, parts))
    pd.testing.assert_frame_equal(ours, theirs)
