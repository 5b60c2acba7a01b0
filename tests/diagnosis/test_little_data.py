"""What a diagnosis says of very few queries."""

from __future__ import annotations

import frontierlab as fl
from tests.support.logs import make_dataset


def test_data_without_failed_queries_have_no_incident(tmp_path):
    few = make_dataset(tmp_path / "few", [{"disconn": False, "rejected": False, "procerror": False}] * 3)
    diagnosis = fl.diagnose(few, progress=False)
    assert (len(diagnosis), diagnosis.queries) == (0, 3)
