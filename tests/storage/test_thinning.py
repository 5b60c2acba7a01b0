"""A dataset is thinned to its summaries: what it still answers, what it refuses, and what a crash leaves."""

from __future__ import annotations

import errno

import pytest

import frontierlab as fl
from frontierlab.engines.own_statements import ANSWERED
from frontierlab.errors import DatasetError, InvalidRequestError, Thinned
from frontierlab.sample import World
from frontierlab.storage import thinning
from frontierlab.storage.locks import writing
from frontierlab.storage.manifest import Manifest
from frontierlab.storage.thinning import thin
from tests.support.logs import START, make_dataset

NAMES = "it was thinned to its summaries on 20..-..-.."
HOUR, DAY = 3_600_000, 86_400_000


@pytest.fixture
def dataset(tmp_path, settings):
    source = tmp_path / "dump.ndjson"
    World(3_000, seed=3).write(source)
    return fl.extract(settings, name="night", source=source, progress=False)


def answers(logs):
    """Return what each filter answers, and from what; the error of those that refuse."""
    found = {}
    for name in fl.filters.__all__:
        try:
            found[name] = getattr(fl.filters, name)(logs)
        except InvalidRequestError:  # a filter that has a keyword of its own to be given
            continue
        except Thinned as error:
            found[name] = error
    return found


@pytest.mark.slow
def test_what_a_summary_answers_is_answered_and_the_rest_names_the_dataset(dataset, settings):
    before, counts, size = answers(dataset), dataset.counts, dataset.size()
    malformed = len(dataset.malformed())
    thinned = thin(dataset)
    after = answers(fl.datasets.open_dataset("night", settings))
    refused = {name for name, found in after.items() if isinstance(found, Thinned)}
    assert refused == {name for name, frame in before.items() if frame.attrs[ANSWERED]["from"] != "summary"}
    assert {"queries_over_time", "queries_per_schema"} <= {*before} - refused
    assert {"cost_per_task", "querytime_percentiles"} <= refused
    for name in {*before} - refused:
        assert after[name].equals(before[name]), name
    assert "The dataset night has no rows any more: it was thinned" in str(after["cost_per_task"])
    assert (thinned.counts, thinned.is_thinned, thinned.state) == (counts, True, "complete")
    assert "thinned to summaries" in repr(thinned)
    assert thinned.size() < size / 3
    assert not list(thinned.path.glob("parts"))
    assert not list(thinned.path.parent.glob(".deleted-*"))
    assert fl.datasets.list_datasets(settings)["state"].tolist() == ["thinned"]
    assert malformed
    for ask in (
        thinned.files,
        thinned.malformed,
        thinned.to_pandas,
        lambda: thinned.export(settings.data_dir / "rows.csv"),
        lambda: fl.open_logs(thinned).count(),
        lambda: fl.sql(thinned, "SELECT count(*) AS n FROM logs"),
        lambda: fl.caching.efficiency(thinned, settings, progress=False),
        lambda: fl.filters.queries_over_time(thinned, bin_seconds=7),
        lambda: fl.filters.queries_per_schema(fl.Selection(cached=False).of(fl.open_logs(thinned))),
        lambda: fl.report(thinned, settings=settings, progress=False),
    ):
        with pytest.raises(Thinned, match=NAMES):
            ask()


def test_a_dataset_that_is_open_says_that_it_was_thinned(dataset):
    logs = fl.open_logs(dataset)
    thin(fl.Dataset(dataset.path))
    for question in (fl.filters.queries_per_db, fl.filters.cost_per_task):
        with pytest.raises(Thinned, match=r"night was thinned to its summaries since it was opened\. Open"):
            question(logs)
    with pytest.raises(Thinned, match="since it was opened"):
        dataset.files()


def rows(day, number, seconds=60):
    return [{"time": START + day * DAY + n * seconds * 1000, "taskid": 1, "fsize": 10} for n in range(number)]


def days(folder):
    asked = [{"since": f"2026-10-0{n + 1}T00:00:00.000Z", "until": f"2026-10-0{n + 2}T00:00:00.000Z"} for n in range(3)]
    return [make_dataset(folder / f"day-{n}", rows(n, 100 + n), request=asked[n]) for n in range(3)]


@pytest.mark.slow
def test_a_period_of_thinned_and_whole_datasets_is_read_as_one(tmp_path, settings):
    first, second, _ = days(settings.data_dir / "datasets")
    thin(first)
    thin(second)
    month = fl.datasets.period("day-*", settings=settings)
    assert fl.filters.queries_per_db(month)["unknown"].tolist() == [100 + 101 + 102]
    assert month.counts.kept == 303
    with pytest.raises(Thinned, match="day-0 has no rows any more"):
        fl.filters.cost_per_task(month)
    part = fl.datasets.period("day-*", "2026-10-02T01:30", "2026-10-03T00:30", settings)  # bins of an hour are cut
    counted = fl.filters.queries_over_time(part)
    assert (counted.attrs[ANSWERED]["from"], int(counted["unknown"].sum())) == ("summary", 101 - 90 + 30)
    with pytest.raises(Thinned, match="day-1 has no rows any more"):
        fl.filters.payload_per_schema(part)
    page = fl.report(month, settings=settings, path=tmp_path / "month.html", progress=False).read_text()
    assert "The datasets day-0, day-1 have no rows any more: they were thinned to summaries. Plots that need" in page
    assert "cost_per_task, cost_per_server" in page


def test_the_files_of_a_dataset_of_many_parts_are_its_one_summary(tmp_path):
    dataset = make_dataset(tmp_path / "d", *(rows(0, n, 600) for n in range(6)))
    before = fl.filters.queries_over_time(dataset)
    thinned = thin(dataset)
    assert sorted(path.name for path in thinned.path.iterdir()) == ["all.summary", "manifest.json"]
    assert fl.filters.queries_over_time(thinned).equals(before)
    assert thin(thinned).manifest == thinned.manifest  # once more changes nothing


def test_an_empty_dataset_answers_after_it_was_thinned(tmp_path):
    thinned = thin(make_dataset(tmp_path / "d", []))
    assert fl.filters.queries_per_db(thinned)["unknown"].sum() == 0


@pytest.mark.parametrize("step", ["summary", "manifest", "rows"])
def test_a_crash_leaves_all_rows_or_a_thinned_dataset(tmp_path, monkeypatch, step):
    dataset = make_dataset(tmp_path / "d", rows(0, 10), rows(1, 10))
    whole = fl.filters.cost_per_task(dataset)

    class Killed(BaseException):
        pass

    def kill(*_, **__):
        raise Killed

    place, name = {
        "summary": (thinning, "combine_summaries"),
        "manifest": (Manifest, "write"),
        "rows": (thinning, "_remove_rows"),
    }[step]
    with monkeypatch.context() as patch:
        patch.setattr(place, name, kill)
        with pytest.raises(Killed):
            thin(dataset)
    left = fl.Dataset(dataset.path)
    if step == "rows":
        assert left.is_thinned
        with pytest.raises(Thinned, match=NAMES):
            fl.filters.cost_per_task(left)
    else:
        assert fl.filters.cost_per_task(left).equals(whole)
    again = thin(left)
    assert fl.filters.queries_per_db(again)["unknown"].tolist() == [20]
    assert not (again.path / "parts").exists()


def test_what_cannot_be_thinned_is_left_as_it_was(tmp_path, monkeypatch):
    with pytest.raises(DatasetError, match="half is incomplete"):
        thin(make_dataset(tmp_path / "half", rows(0, 3), missing=1))
    old = make_dataset(tmp_path / "old", rows(0, 3))
    for file in old.path.glob("parts/*/*.summary"):
        file.unlink()
    with pytest.raises(DatasetError, match=r"The dataset old has no summaries, so .* It was not thinned"):
        thin(old)
    used = make_dataset(tmp_path / "used", rows(0, 3))
    with writing(used.path), pytest.raises(DatasetError, match="The dataset used is in use"):
        thin(used)
    gone = make_dataset(tmp_path / "gone", rows(0, 3))
    gone.delete()
    make_dataset(tmp_path / "gone", rows(0, 4), id="another")
    with pytest.raises(DatasetError, match="gone was replaced by another of its name since it was opened"):
        thin(gone)

    def full(self, folder):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Manifest, "write", full)
        with pytest.raises(DatasetError, match=r"used cannot be thinned: the disk of .* is full"):
            thin(used)
    for name in ("old", "used", "gone"):
        assert len(fl.Dataset(tmp_path / name).to_arrow()) == (4 if name == "gone" else 3)


def test_rows_stay_where_summaries_are_damaged_or_do_not_count_them(tmp_path):
    whole = make_dataset(tmp_path / "d", rows(0, 10), rows(1, 10))
    few = make_dataset(tmp_path / "few", rows(0, 3))
    thin(few)
    good, short = next(whole.path.glob("parts/*/*.summary")), (few.path / "all.summary").read_bytes()
    for content in (b"", b"PAR1 and no more", short):
        before = good.read_bytes()
        good.write_bytes(content)
        with pytest.raises(DatasetError, match=r"The summaries of the dataset d are damaged.* count its 20 rows"):
            thin(whole)
        good.write_bytes(before)
        assert len(fl.Dataset(whole.path).to_arrow()) == 20
    (whole.path / "all.summary").write_bytes(short)  # made anew from those of the parts
    assert fl.filters.queries_per_db(thin(whole))["unknown"].tolist() == [20]


@pytest.mark.spark
def test_spark_refuses_what_needs_the_rows_and_answers_the_rest(running, settings):
    first, _, _ = days(settings.data_dir / "datasets")
    thin(first)
    logs = fl.open_logs(fl.datasets.period("day-*", settings=settings), session=running, settings=settings)
    assert fl.filters.queries_per_db(logs)["unknown"].tolist() == [303]
    for ask in (lambda: fl.filters.cost_per_task(logs), logs.to_spark, logs.count):
        with pytest.raises(Thinned, match="day-0 has no rows any more"):
            ask()
