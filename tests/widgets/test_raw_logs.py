"""Raw logs in the tab Data: from a file to a dataset and its Overview, and to hit ratios."""

from __future__ import annotations

import gzip
import json
import re
import threading
from functools import partial
from pathlib import Path

import pytest
from frontierlab_widgets import Dashboard, DatasetsPanel, RawLogsPanel
from frontierlab_widgets.panel import Phase
from frontierlab_widgets.work import WorkStopped

import frontierlab as fl
from frontierlab.errors import FrontierlabError, InvalidRequestError
from frontierlab.sample import World
from tests.support.waiting import wait_for
from tests.widgets.test_panels_data import ask_nothing, button

LONG = 60
KEY = "a key of the tests of panels"


@pytest.fixture(scope="module")
def world() -> World:
    return World(60, seed=5, malformed=0, faithful=True)


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory, world: World) -> Path:
    """Logs of servlets, and those of Squids beside them."""
    folder = tmp_path_factory.mktemp("logs")
    fl.rawlogs.write_servlet_logs(world, folder / "servlets")
    fl.rawlogs.squid.write_squid_logs(World(40), folder / "squids", faults=0)
    return folder


@pytest.fixture
def log(logs: Path) -> Path:
    return next((logs / "servlets").rglob("catalina.out"))


def lines_in(text: str) -> int:
    """Return the number of lines that a text accounts for."""
    found = re.search(r"([\d,]+) lines =", text)
    return int(found[1].replace(",", "")) if found else 0


def left_behind(settings: fl.Settings) -> list[Path]:
    return [path for path in settings.data_dir.glob(".uploaded-*") if not path.name.endswith(".lock")]


@pytest.mark.slow
def test_clicks_alone_lead_from_a_log_to_its_overview(settings, log, monkeypatch):
    ask_nothing(monkeypatch)
    board = Dashboard(settings)
    board._tabs.bar.value, board.section = "Data", "Raw logs"
    panel = board.panels["Raw logs"]
    panel._upload._received(None, {"name": log.name, "size": log.stat().st_size}, [log.read_bytes()])
    assert panel.wait(LONG)
    assert "1 log of Frontier servlets" in panel._told.value
    assert panel.name == "catalina"
    button(panel, "Read").click()
    assert panel.wait(LONG)
    assert (panel.error, panel.dataset, panel.uploads) == ("", "catalina", {})
    truth = fl.rawlogs.read_servlet_logs(log, settings, name="truth", progress=False)
    lines = len(log.read_bytes().splitlines())
    assert panel.message == (
        f"catalina is complete: {truth.counts.kept:,} queries. "
        f"{lines:,} lines = {lines:,} used + 0 continued + 0 set aside."
    )
    assert board.dataset == ""  # what has finished moves nobody
    assert board.message == "The dataset catalina is complete."
    board._link.click()
    assert (board.dataset, board.tab, board.error) == ("catalina", "Overview", "")
    assert left_behind(settings) == []
    assert "random key" in panel._told.value
    (job,) = fl.jobs.jobs(settings)
    assert job.record().kind == "servlet_logs"
    board.close()


def test_a_log_that_is_imported_as_a_dataset_is_handed_over(settings, log, monkeypatch):
    ask_nothing(monkeypatch)
    board = Dashboard(settings, tab="Datasets")
    datasets, raw = board.panels["Datasets"], board.panels["Raw logs"]
    datasets.take("catalina.out.1.gz", gzip.compress(log.read_bytes()))
    assert datasets.wait(LONG)
    assert raw.wait(LONG)
    assert (datasets.error, [*raw.uploads]) == ("", ["catalina.out.1.gz"])
    assert raw.found.kind == "servlet"
    assert board.section == "Datasets"
    board._link.click()
    assert board.section == "Raw logs"
    datasets.path = str(log)
    button(datasets, "Import path").click()
    assert datasets.wait(LONG)
    assert raw.paths == str(log)
    board.close()
    alone = DatasetsPanel(settings, path=str(log))
    alone.bring_in()
    assert alone.wait(LONG)
    assert "The panel of raw logs reads it" in alone.error


@pytest.mark.slow
def test_logs_of_squids_show_hit_ratios(settings, logs):
    keyed = fl.Settings(**{**dict(settings), "personal_data_key": KEY})
    panel = RawLogsPanel(keyed, paths=str(logs / "squids"), sites="CERN")
    assert "Their key is personal_data_key, as the settings of this panel have it" in panel._personal.value
    assert KEY not in panel._personal.value
    button(panel, "Look at them").click()
    assert panel.wait(LONG)
    shown = [name for name, field in panel._fields_of.items() if field.layout.display != "none"]
    assert {"timezone", "squids", "sites"} <= {*shown}
    assert "hosts" not in shown
    fields = panel._inputs
    fields["timezone"].widget.value = "Zürich"
    assert "timezone" in panel.invalid
    assert button(panel, "Read").disabled
    fields["timezone"].widget.value = "Europe/Zurich"
    fields["squids"].widget.value = "a=b=c"
    assert "'a=b=c' is not valid: write the Squid's name, or PATTERN=NAME" in panel.invalid["squids"]
    fields["squids"].widget.value = ""
    panel.name = "night"
    button(panel, "Read").click()
    assert panel.wait(LONG)
    assert panel.error == ""
    stored = fl.rawlogs.squid.open_squid_logs("night", keyed)
    assert stored.manifest.request["timezone"] == "Europe/Zurich"
    assert f"{stored.manifest.rows:,} answers to requests for Frontier" in panel.message
    assert panel.squid_logs.table.selected == "night"
    button(panel, "Hit ratios").click()
    assert panel.wait(LONG)
    drawn = panel.squid_logs._drawn["hit_ratio_per_squid"]
    frame = stored.to_pandas()
    assert {*drawn.y.names.values()} - {*frame["squid"]} == {"(1 other)"}  # 20 have a bar of their own
    names = {"fl": fl, "settings": keyed}
    exec(panel.code().replace('"night"', '"again"'), names)
    assert names["logs"].manifest.rows == stored.manifest.rows
    button(panel.squid_logs, "Delete these").click()
    button(panel.squid_logs, "Delete them").click()
    assert panel.wait(LONG)
    assert panel.squid_logs.layout.display == ""  # the others
    assert "night" not in fl.rawlogs.squid.list_squid_logs(keyed)["name"].tolist()


def test_what_the_files_are_is_told_or_chosen(settings, logs, tmp_path):
    panel = RawLogsPanel(settings, paths=f"{logs}/servlets, {logs}/squids")
    panel.look()
    assert panel.wait(LONG)
    assert "Choose one of the two in the field logs of" in panel.error
    panel.kind = "servlet"
    panel.look()
    assert panel.wait(LONG)
    assert (panel.error, panel.found.kind) == ("", "servlet")
    assert len(panel.found.left_out) == len([*(logs / "squids").iterdir()])
    for text, told in (("no log\n", "first lines of file.txt are of neither"), ("", "are of neither")):
        (tmp_path / "file.txt").write_text(text)
        panel.paths = str(tmp_path / "file.txt")
        panel.look()
        assert panel.wait(LONG)
        assert (panel.phase, panel.found) == (Phase.FAILED, None)
        assert told in panel.error
    panel.paths = str(tmp_path / "nothing-*")
    panel.look()
    assert panel.wait(LONG)
    assert "No log file was found" in panel.error


def test_lines_set_aside_are_told_with_their_places_and_without_names(settings, log):
    bad = b"cern.example what is this line of someone(1234) Some One\n"
    panel = RawLogsPanel(settings, name="odd")
    panel.take("catalina.out", log.read_bytes() + bad * 30)
    assert panel.wait(LONG)
    panel.read()
    assert panel.wait(LONG)
    assert panel.error == ""
    assert "30 set aside." in panel.message
    count = len(log.read_bytes().splitlines())
    for text in (f"30 of {count + 30:,} lines", "Lines set aside: 30 not a line of a servlet", f">{count + 1}</td>"):
        assert text in panel._told.value
    assert "malformed()" not in panel._told.value
    assert "Some One" not in panel._told.value


def test_personal_data_are_kept_only_for_one_reading_that_says_so(settings, log):
    panel = RawLogsPanel(settings, paths=str(log), name="open")
    assert "a random one is used and kept nowhere" in panel._personal.value
    panel._inputs["keep_personal_data"].widget.value = True
    assert "frontierlab-warning" in panel._personal.value
    assert "keep_personal_data" not in panel.state()
    assert "keep_personal_data=True" in panel.code()
    panel.look()
    assert panel.wait(LONG)
    panel.read()
    assert panel.wait(LONG)
    assert (panel.error, panel.keep_personal_data) == ("", False)
    assert "as they were logged" in fl.datasets.open_dataset("open", settings).manifest.notes[-1]
    again = RawLogsPanel.from_state(json.dumps(panel.state()), settings)
    assert again.state() == panel.state()


def test_errors_speak_of_fields(settings, data_dir, log):
    panel = RawLogsPanel(settings)
    assert button(panel, "Look at them").disabled
    with pytest.raises(InvalidRequestError, match="in the field files, or upload one"):
        panel.look()
    panel.paths = str(log)
    with pytest.raises(InvalidRequestError, match="Click Look at them before Read"):
        panel.read()
    panel.look()
    assert panel.wait(LONG)
    panel.name = ""
    assert button(panel, "Read").disabled
    fl.rawlogs.read_servlet_logs(log, settings, name="taken", progress=False)
    panel.name = "taken"
    panel.read()
    assert panel.wait(LONG)
    assert "Type another name into the field name" in panel.error
    bare = RawLogsPanel(fl.Settings(data_dir=data_dir), paths=str(log), name="bare")
    bare.look()
    assert bare.wait(LONG)
    with pytest.raises(FrontierlabError, match="Or untick 'name folders and tags from the catalogue'"):
        bare.read()
    bare.complete = False
    bare.read()
    assert bare.wait(LONG)
    assert (bare.error, bare.dataset) == ("", "bare")


def test_a_log_is_followed_until_a_stop_and_completed_later(settings, log, tmp_path, monkeypatch):
    """Stop keeps what was read, another panel (as after a restart) goes on, and Complete gives all rows."""
    lines = log.read_bytes().splitlines(keepends=True)
    live = tmp_path / "live/catalina.out"
    live.parent.mkdir()
    live.write_bytes(b"".join(lines[:100]))
    following = partial(fl.rawlogs.read_servlet_logs, part_seconds=0.2)
    monkeypatch.setattr("frontierlab.jobs.kinds_of_raw_logs.ReadServletLogs.function", lambda _: following)
    panel = RawLogsPanel(settings, paths=str(live), name="live")
    panel.look()
    assert panel.wait(LONG)
    panel._inputs["follow"].widget.value = True
    assert "read as they come, until Stop" in panel._following.value
    button(panel, "Follow").click()
    wait_for(lambda: lines_in(panel._told.value) > 50)
    with live.open("ab") as file:
        file.write(b"".join(lines[100:200]))
    wait_for(lambda: lines_in(panel._told.value) > 150)
    panel.stop()
    assert panel.wait(LONG)
    assert panel.phase is Phase.STOPPED
    assert panel.message == "Stopped. What was read is stored."
    assert 150 < lines_in(panel._following.value) <= 200  # the last message may go on
    datasets = DatasetsPanel(settings)
    datasets.dataset = "live"
    with pytest.raises(InvalidRequestError, match="Follow goes on with it, and Complete ends it"):
        datasets.resume()
    live.rename(live.with_name("catalina.out.1"))
    live.write_bytes(b"".join(lines[200:]))
    again = RawLogsPanel.from_state(json.dumps(panel.state()), settings)
    assert again.follow
    assert "Follow goes on where it was" in again._following.value
    again._inputs["follow"].widget.value = False
    assert "seconds=0" in again.code()
    button(again, "Complete").click()
    assert again.wait(LONG)
    assert (again.error, again.dataset, again._go.description) == ("", "live", "Read")
    whole = fl.rawlogs.read_servlet_logs(log, settings, name="truth", progress=False)
    assert fl.datasets.open_dataset("live", settings).counts == whole.counts


def test_a_stop_leaves_nothing(settings, log, monkeypatch):
    begun = threading.Event()

    def slow(job, work, each):
        begun.set()
        assert work.stopping.wait(LONG)
        job.cancel()
        job.wait(LONG)
        fl.datasets.delete_dataset("catalina", settings)  # where the job was faster than this test
        raise WorkStopped

    monkeypatch.setattr("frontierlab_widgets.raw_logs_panel.follow", slow)
    panel = RawLogsPanel(settings)
    panel.take("catalina.out", log.read_bytes())
    assert panel.wait(LONG)
    panel.read()
    assert begun.wait(LONG)
    assert len(left_behind(settings)) == 1
    assert left_behind(settings)[0].stat().st_mode & 0o077 == 0
    panel.stop()
    assert panel.wait(LONG)
    assert panel.message == "Stopped. Nothing of catalina is stored; Read begins again."
    assert left_behind(settings) == []
    assert [*panel.uploads] == ["catalina.out"]  # to read again
