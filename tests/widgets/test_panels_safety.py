"""What panels show is text, whatever it holds; what they write as code is Python; and they read files only if seen."""

from __future__ import annotations

import ast
import threading
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import MagicMock, call

import ipywidgets as widgets
import pandas as pd
import pytest
from frontierlab_widgets import (
    CachingPanel,
    ConnectionPanel,
    Dashboard,
    DatasetsPanel,
    ExplorePanel,
    ExtractPanel,
    JobsPanel,
)
from frontierlab_widgets.caching_detail import FolderDetail
from frontierlab_widgets.caching_work import FOLDERS, KEYS, TASKS, WHAT_IF
from frontierlab_widgets.follow_job import follow
from frontierlab_widgets.origin import Origin
from frontierlab_widgets.work import Work

import frontierlab as fl
from frontierlab import jobs
from frontierlab.caching.queries import FolderTag
from frontierlab.errors import JobError
from frontierlab.jobs import records
from frontierlab.jobs.records import NO_WORKER, JobRecord, JobStore
from tests.widgets.test_panels_data import ask_nothing, button, walk

LONG = 60
HOSTILE = "<img src=x onerror=window.hacked=1>"
ODD = ["it's", 'a "b"', "C:\\n", "two\nlines", "Ünïcode 値 \u2028", "{x}", "'\"\\", "x" * 120]


@pytest.fixture
def failed(settings):
    """A job with a hostile name, error and warning."""
    store = JobStore(settings)
    record = store.create(kind="extraction", arguments={"name": HOSTILE}, backend="inline")
    with store.changing(record.id) as mine:
        mine.state, mine.error, mine.warnings, mine.ended = "failed", HOSTILE, [HOSTILE], mine.submitted
    return record.id


def html(panel):
    """Return all HTML of a panel; its table writes text."""
    return "".join(one.value for one in walk(panel) if isinstance(one, widgets.HTML))


def assert_is_text(panel):
    assert "<img" not in html(panel)
    assert "&lt;img src=x" in html(panel)


class TestHostileText:
    def test_of_a_folder_among_the_datasets(self, settings):
        (settings.data_dir / "datasets" / HOSTILE).mkdir(parents=True)
        assert_is_text(DatasetsPanel(settings, dataset=HOSTILE))

    def test_in_the_question_before_a_dataset_is_deleted(self, settings):
        (settings.data_dir / "datasets" / HOSTILE).mkdir(parents=True)
        panel = DatasetsPanel(settings, dataset=HOSTILE)
        panel._problem.value = ""
        button(panel, "Delete").click()
        assert "&lt;img src=x" in panel._confirm.value
        assert_is_text(panel)

    def test_in_messages_errors_warnings_and_fields(self, settings):
        panel = ExtractPanel(settings)
        for show in (
            lambda: setattr(panel, "message", HOSTILE),
            lambda: setattr(panel, "error", HOSTILE),
            lambda: panel.mark("since", HOSTILE),
        ):
            show()
            assert_is_text(panel)
            panel.message = panel.error = ""
            panel.mark("since", "")

    def test_in_the_reasons_of_services(self, settings):
        panel = ConnectionPanel(settings)
        panel.connections = {"Redis": {"state": "refused", "reason": HOSTILE}}
        assert_is_text(panel)

    def test_in_a_job_and_its_result(self, settings, failed, monkeypatch):
        panel = JobsPanel(settings, job=failed)
        assert panel._about.value.count("&lt;img src=x") == 3  # argument, error and warning
        assert_is_text(panel)
        panel._about.value = ""
        for result in (pd.DataFrame({HOSTILE: [HOSTILE]}), Path(HOSTILE)):
            monkeypatch.setattr(jobs.Job, "result", lambda job, timeout=None, result=result: result)
            button(panel, "Result").click()
            assert panel.error == ""
            assert_is_text(panel)

    def test_in_caching_figures_and_an_explanation(self, settings, monkeypatch):
        monkeypatch.setattr(CachingPanel, "_draw_waste", lambda panel: None)
        monkeypatch.setattr(FolderDetail, "draw", lambda detail, *, dark: None)
        panel = CachingPanel(settings)
        figures = pd.DataFrame([dict.fromkeys([column.name for column in FOLDERS], 1) | dict.fromkeys(KEYS, HOSTILE)])
        figures.attrs = {"notes": [HOSTILE], "dataset": [HOSTILE, HOSTILE], "selection": {"schema": HOSTILE}}
        panel._take(figures, settings)
        why = SimpleNamespace(folder=FolderTag(*[HOSTILE] * 4), summary=HOSTILE, notes=[HOSTILE])
        tasks = pd.DataFrame([dict.fromkeys(["taskid", "name", *(one.name for one in TASKS)], 1)])
        helps = pd.DataFrame({column.name: [1] for column in WHAT_IF})
        helps.attrs = {"cure": HOSTILE, "reasons": HOSTILE}
        panel._show_explained({"why": why, "what": helps, "problem": HOSTILE, "tasks": tasks})
        told = [panel._about, panel._notes, panel._message, panel._detail.told, panel._detail.advice]
        assert all("&lt;img src=x" in one.value for one in told)
        panel.fail(JobError(HOSTILE))
        assert_is_text(panel)

    def test_in_plots_their_numbers_and_their_origin(self, settings, monkeypatch):
        monkeypatch.setattr(ExplorePanel, "draw", lambda panel: None)
        panel = ExplorePanel(settings)
        panel.frames = {panel.plot: pd.DataFrame({HOSTILE: [HOSTILE]})}
        panel.below = "Numbers"
        assert_is_text(panel._below)
        panel.selection = fl.Selection(schema=HOSTILE)
        panel.origin = Origin(HOSTILE, HOSTILE, panel.selection)
        assert all("&lt;img src=x" in one.value for one in (panel._about, panel._picker._words))
        assert_is_text(panel)

    def test_tables_write_text_and_no_html(self):
        script = (Path(__file__).parents[2] / "widgets/frontierlab_widgets/static").glob("*.js")
        assert not [file.name for file in script if "innerHTML" in file.read_text() or "insertAdj" in file.read_text()]


class TestCode:
    @pytest.mark.parametrize("odd", ODD)
    def test_of_an_extraction(self, settings, odd):
        panel = ExtractPanel(settings, source=odd, name=odd, since=odd, cached=False, taskid=2**60)
        extract = self.run(panel).extract
        assert extract.call_args == call("S", name=odd, since=odd, cached=False, taskid=2**60, source=odd)

    @pytest.mark.parametrize("odd", ODD)
    def test_of_a_dataset(self, settings, odd):
        panel = DatasetsPanel(settings, dataset=odd)
        assert self.run(panel).datasets.open_dataset.call_args == call(odd, "S")
        panel.dataset = ""
        assert self.run(panel).datasets.list_datasets.call_args == call("S")

    @pytest.mark.parametrize("odd", ODD)
    def test_of_a_job(self, settings, odd):
        panel = JobsPanel(settings, job=odd)
        assert self.run(panel).jobs.open_job.call_args == call(odd, "S")
        panel.job = ""
        assert self.run(panel).jobs.jobs.call_args == call("S")

    @pytest.mark.parametrize("odd", ODD)
    def test_of_settings(self, settings, odd):
        odd_ones = {"data_dir": settings.data_dir / odd, "es_user": odd, "es_index": (odd, "b")}
        panel = ConnectionPanel(settings.model_copy(update={**odd_ones, "notebooks": {odd: Path("/a") / odd}}))
        given = self.run(panel).Settings.call_args.kwargs
        assert given["data_dir"] == str(settings.data_dir / odd)
        assert (given["es_user"], given["es_index"]) == (odd, [odd, "b"])
        assert given["notebooks"] == {odd: f"/a/{odd}"}

    @pytest.mark.parametrize("odd", ODD)
    def test_of_plots(self, settings, odd, monkeypatch):
        monkeypatch.setattr("frontierlab_widgets.explore_panel.ExplorePanel.draw", lambda panel: None)
        selection = fl.Selection(nodefullpath=odd)
        panel = ExplorePanel(settings, dataset=odd, compare=f"dataset:{odd}", selection=selection)
        library = self.run(panel)
        assert library.open_logs.call_args == call(odd, settings="S")
        assert library.datasets.open_dataset.call_args == call(odd, "S")
        assert library.Selection.call_args.kwargs == {"nodefullpath": odd}

    @pytest.mark.parametrize("odd", ODD)
    def test_of_caching_figures(self, settings, odd, monkeypatch):
        monkeypatch.setattr(CachingPanel, "_explain", lambda panel: None)
        panel = CachingPanel(settings, dataset=odd, folder=[odd, "schema", odd, "none"])
        library = self.run(panel)
        assert library.caching.efficiency.call_args.args[:2] == (odd, "S")
        why = library.caching.explain.call_args
        assert (why.args, why.kwargs["db"], why.kwargs["nodefullpath"]) == ((odd, "S"), odd, odd)

    @pytest.mark.parametrize("odd", ODD)
    def test_of_the_dashboard(self, settings, odd, monkeypatch):
        ask_nothing(monkeypatch)
        board = Dashboard(settings)
        board.panels["Datasets"].dataset = odd
        board.tab = "Datasets"
        ast.parse(board.code())
        names = {"fl": MagicMock()}
        exec(board.code().replace("import frontierlab as fl", ""), names)
        assert names["fl"].datasets.open_dataset.call_args == call(odd, names["settings"])
        board.close()

    def run(self, panel):
        ast.parse(panel.code())
        names = {"fl": MagicMock(), "settings": "S"}
        exec(panel.code(), names)
        return names["fl"]


class TestReads:
    """How often the records of jobs are read, and when."""

    @pytest.fixture
    def reads(self, monkeypatch):
        count = []
        read = JobRecord.model_validate_json
        monkeypatch.setattr(records.JobRecord, "model_validate_json", lambda text: count.append(1) or read(text))
        return count

    @pytest.fixture
    def many(self, settings):
        store = JobStore(settings)
        for number in range(30):
            record = store.create(kind="extraction", arguments={"name": f"n{number}"}, backend="inline")
            with store.changing(record.id) as mine:
                mine.state, mine.ended = "succeeded", mine.submitted
        return store

    def test_a_job_that_has_ended_is_read_once(self, settings, many, reads):
        panel = JobsPanel(settings)
        assert len(panel._table.rows) == 30
        assert len(reads) <= 30
        reads.clear()
        panel.refresh()
        panel.refresh()
        assert reads == []
        new = many.create(kind="extraction", arguments={}, backend="inline")
        reads.clear()
        panel.refresh()
        assert len(reads) == 1
        assert panel._table.rows[0]["id"] == new.id

    def test_a_panel_that_no_page_shows_reads_no_records(self, settings, many, reads, monkeypatch):
        panels = [JobsPanel(settings) for _ in range(3)]  # as a cell that is run again leaves them
        ticked = threading.Event()
        refresh = JobsPanel.refresh
        monkeypatch.setattr(JobsPanel, "refresh", lambda panel: (refresh(panel), ticked.set()))
        assert [timer._thread for panel in panels for timer in panel._timers] == [None] * 3
        panel = JobsPanel(settings)
        ticked.clear()
        panel._kernel_status._answered(None, {"shown": True}, [])
        assert ticked.wait(LONG)
        thread = panel._timers[0]._thread
        panel.close()
        thread.join(LONG)
        assert not thread.is_alive()


def test_a_job_without_a_worker_is_not_followed_for_ever(settings, monkeypatch):
    monkeypatch.setattr("frontierlab_widgets.follow_job.ALONE", 0.0)
    monkeypatch.setattr("frontierlab_widgets.follow_job._LOOK", 0.0)
    record = JobStore(settings).create(kind="extraction", arguments={}, backend="inline")
    alone = record.model_copy(update={"warnings": [f"{NO_WORKER} to run it."]})
    monkeypatch.setattr(jobs.Job, "record", lambda job: alone)
    said = []
    work = Work(lambda work: None, lambda *_: None, lambda _, progress: said.append(progress.message))
    with pytest.raises(JobError, match=r"stays queued: There is no worker to run it\. The jobs panel can start"):
        follow(jobs.Job(record.id, settings), work)
