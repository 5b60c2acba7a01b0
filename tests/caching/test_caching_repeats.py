"""The filter of repeated queries and the caching figures tell queries apart alike."""

import pandas as pd

import frontierlab as fl
from frontierlab import Dataset, Selection
from frontierlab.caching.counting import KEYS, count_folders
from frontierlab.caching.queries import FolderTag, different_queries


def test_repeated_queries_count_what_the_caching_figures_count(dataset: Dataset) -> None:
    logs = fl.open_logs(dataset)
    asked = fl.filters.repeated_queries(logs, top=None)
    asked = asked[asked["payload"].fillna(False) & asked["nodefullpath"].notna() & asked["schema"].notna()]
    names = ["queries", "cached"]
    served = count_folders(logs).dropna(subset=["schema", "nodefullpath"]).set_index([*KEYS])[names]
    found = asked.groupby([*KEYS])[names].sum().reindex(served.index).fillna(0)
    pd.testing.assert_frame_equal(found.astype("int64"), served.astype("int64"))
    assert asked["queries"].sum() > 10_000


def test_different_queries_of_a_squid_are_those_of_the_caching_figures(dataset: Dataset) -> None:
    logs = fl.open_logs(dataset)
    asked = fl.filters.repeated_queries(logs, rank_by="repeats", top=3)
    assert (asked["part"] == "named").sum() == 3
    for row in asked[asked["part"] == "named"].to_dict("records"):
        folder = FolderTag(*(row[name] for name in KEYS))
        queries = different_queries(logs, folder, Selection(squid=row["squid"]))
        assert (len(queries), queries["queries"].sum()) == (row["different_queries"], row["queries"])
