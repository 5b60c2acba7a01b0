"""What is bad in most hours is told apart from incidents."""

import pandas as pd

from frontierlab.diagnosis.chronic import chronic
from frontierlab.diagnosis.series import HOUR_MS, Clock

CLOCK = Clock(0, HOUR_MS, 24)
HOURS = [hour * HOUR_MS for hour in range(24)]


def cubes(tasks=(), servers=(), folders=()):
    """Return results of statements: each row is a day of 24 equal hours."""

    def days(rows, columns):
        return pd.DataFrame([{**row, "bin": hour} for row in rows for hour in HOURS], columns=["bin", *columns])

    count = ("queries", "disconn", "procerror")
    names = ("db", "schema", "nodefullpath", "tagname")
    return {
        "tasks": days(tasks, ("taskid", *count)).astype({"taskid": "Int64"}),
        "servers": days(servers, ("frontierserver", "queries", "timed", "log_overhead")),
        "folders": days(folders, (*names, "queries", "uncached", "unaligned", "nonsense")),
    }


def test_a_task_that_fails_in_most_hours_is_chronic_and_one_that_fails_once_is_not():
    always = {"taskid": 1, "queries": 10, "disconn": 2, "procerror": 1}
    good = {"taskid": 2, "queries": 1_000, "disconn": 0, "procerror": 0}
    frames = cubes(tasks=(always, good, {**good, "taskid": 3}))
    once = (frames["tasks"]["taskid"] == 3) & (frames["tasks"]["bin"] == 0)
    frames["tasks"].loc[once, "disconn"] = 900
    (row,) = chronic(frames, CLOCK).to_dict("records")
    assert (row["kind"], row["taskid"], row["queries"], row["failures"], row["rate"]) == ("failures", 1, 240, 72, 0.3)
    assert row["text"] == "Task 1 fails all the time: 72 of 240 queries."


def test_a_task_that_fails_in_the_hours_of_most_of_its_queries_is_chronic():
    always = {"taskid": 1, "queries": 4, "disconn": 0, "procerror": 0}
    good = {"taskid": 2, "queries": 1_000, "disconn": 0, "procerror": 0}
    frames = cubes(tasks=(always, good))
    busy = (frames["tasks"]["taskid"] == 1) & (frames["tasks"]["bin"] < 8 * HOUR_MS)
    frames["tasks"].loc[busy, ["queries", "procerror"]] = [40, 4]
    (row,) = chronic(frames, CLOCK).to_dict("records")
    assert (row["taskid"], row["queries"], row["failures"]) == (1, 8 * 40 + 16 * 4, 32)


def test_a_task_that_fails_much_is_compared_with_the_others():
    worst = {"taskid": 1, "queries": 500, "disconn": 200, "procerror": 0}
    second = {"taskid": 2, "queries": 100, "disconn": 0, "procerror": 40}
    good = [{"taskid": 3 + n, "queries": 500, "disconn": 1, "procerror": 0} for n in range(4)]
    assert chronic(cubes(tasks=(worst, second, *good)), CLOCK)["taskid"].tolist() == [1, 2]


def test_a_server_that_is_slower_than_the_others_all_day_is_chronic():
    servers = [{"frontierserver": f"s{n}", "queries": 100, "timed": 100, "log_overhead": 20_000} for n in range(4)]
    servers.append({**servers[0], "frontierserver": "slow", "log_overhead": 20_000 + 100 * 110})  # by exp(1.1)
    (row,) = chronic(cubes(servers=servers), CLOCK).to_dict("records")
    assert (row["kind"], row["frontierserver"], round(row["rate"], 2)) == ("slow_server", "slow", 3.0)


def test_a_folder_that_is_asked_for_wrong_iovs_all_day_is_chronic():
    folder = {"db": "D", "schema": "S", "nodefullpath": "/A", "tagname": "t", "queries": 50, "uncached": 40}
    wrong = {**folder, "unaligned": 25, "nonsense": 5}
    right = {**folder, "nodefullpath": "/B", "unaligned": 1, "nonsense": 0}
    (row,) = chronic(cubes(folders=(wrong, right)), CLOCK).to_dict("records")
    assert (row["kind"], row["nodefullpath"], row["tagname"], row["rate"]) == ("wrong_iov", "/A", "t", 0.6)
    assert "D S /A t is asked for IOVs that are not on Athena's grid" in row["text"]
