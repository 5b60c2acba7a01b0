"""Panels of settings, extraction, datasets and jobs, without a browser and without services."""

from __future__ import annotations

import json
import stat
import threading
from datetime import UTC, datetime

import pyarrow.parquet as pq
import pytest
from frontierlab_widgets import ConnectionPanel, DatasetsPanel, ExtractPanel, JobsPanel
from frontierlab_widgets.extract import PERIODS
from frontierlab_widgets.panel import Phase
from frontierlab_widgets.transfer import MOST_UP

import frontierlab as fl
from frontierlab import jobs
from frontierlab.errors import InvalidRequestError
from frontierlab.sample import World

LONG = 60
SECRET = "not-for-anyone's eyes"


@pytest.fixture
def settings(data_dir):
    return fl.sample.settings(data_dir=data_dir)


@pytest.fixture
def export(tmp_path):
    path = tmp_path / "dump.ndjson"
    World(2_000, seed=3).write(path)
    return path


@pytest.fixture
def dataset(settings, export):
    return fl.extract(settings, source=export, name="day", progress=False)


def button(panel, name):
    """Find a button of a panel by its name."""
    found = [one for one in walk(panel) if getattr(one, "description", None) == name and hasattr(one, "click")]
    assert len(found) == 1, name
    return found[0]


def walk(widget):
    yield widget
    for child in getattr(widget, "children", ()):
        yield from walk(child)


class TestConnection:
    def test_initially_the_fields_show_the_settings_and_no_secret(self, settings):
        panel = ConnectionPanel(settings.model_copy(update={"es_port": 9201}))
        assert panel._fields["es_port"].value == "9201"
        assert panel._fields["db_instances"].value == "CONDBR2 OFLP200 COMP200 MONP200"
        assert panel._fields["es_verify_certs"].value is True
        assert {told["state"] for told in panel.connections.values()} == {"not checked"}
        assert set(panel._fields) == set(fl.Settings.model_fields)

    def test_the_settings_follow_the_view_when_they_are_applied(self, settings):
        panel = ConnectionPanel(settings)
        panel._fields["es_address"].value = "es.example.org"
        panel._fields["es_index"].value = "a-*, b"
        assert "not applied yet" in panel.message
        assert panel.settings is settings
        button(panel, "Apply").click()
        assert (panel.settings.es_url, panel.settings.es_index) == ("https://es.example.org:9200", ("a-*", "b"))
        assert panel.error == ""
        panel._fields["es_index"].value = ""
        button(panel, "Apply").click()
        assert panel.settings.es_index == ()

    def test_a_secret_goes_in_and_never_comes_out(self, settings):
        panel = ConnectionPanel(settings)
        panel._fields["es_user"].value = "me"
        panel._fields["es_pswd"].value = SECRET
        button(panel, "Apply").click()
        assert panel.settings.es_pswd.get_secret_value() == SECRET
        assert panel._fields["es_pswd"].value == ""
        assert "kept" in panel._fields["es_pswd"].placeholder
        button(panel, "Apply").click()  # the field is empty: the secret stays
        assert panel.settings.es_pswd.get_secret_value() == SECRET
        texts = [json.dumps(panel.state()), panel.code(), repr(panel), panel.message]
        texts += [str(widget.get_state()) for widget in walk(panel)]
        assert not [text for text in texts if "anyone" in text]
        assert "# es_pswd comes from" in panel.code()
        panel._fields["es_user"].value = ""
        button(panel, "Apply").click()
        assert panel.settings.es_pswd is None

    def test_secrets_can_be_forgotten(self, settings):
        panel = ConnectionPanel(settings)
        panel._fields["es_api_key"].value = panel._fields["es_user"].value = ""
        panel._fields["es_api_key"].value = SECRET
        panel._fields["broker_url"].value = f"redis://:{SECRET.replace(' ', '')}@127.0.0.1:6379/0"
        button(panel, "Apply").click()
        assert (panel.error, panel.settings.es_api_key.get_secret_value()) == ("", SECRET)
        button(panel, "Forget secrets").click()
        assert panel.settings == settings
        assert panel._fields["es_api_key"].placeholder == "none"

    def test_code_makes_the_same_settings(self, settings):
        panel = ConnectionPanel(settings.model_copy(update={"es_index": ("a", "b"), "es_verify_certs": False}))
        names = {"fl": fl}
        exec(panel.code(), names)
        assert names["settings"] == panel.settings

    def test_what_cannot_be_applied_is_said_and_changes_nothing(self, settings):
        panel = ConnectionPanel(settings)
        panel._fields["es_port"].value = "many"
        button(panel, "Apply").click()
        assert panel.phase is Phase.READY
        assert "es_port 'many' is not valid" in panel.error
        assert panel.settings is settings

    def test_saved_is_for_its_owner_alone_and_not_replaced_by_accident(self, settings, tmp_path):
        panel = ConnectionPanel(settings, path=str(tmp_path / "configuration.txt"))
        panel._fields["es_address"].value = "es.example.org"
        panel._fields["es_api_key"].value = SECRET
        button(panel, "Save").click()
        assert "readable by you alone" in panel.message
        file = tmp_path / "configuration.txt"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert fl.Settings(file) == panel.settings
        button(panel, "Save").click()
        assert "is there already" in panel.error

    def test_services_are_told_apart(self, settings, monkeypatch):
        monkeypatch.setitem(
            fl.connections.SERVICES, "Spark", lambda settings: "Spark 4 here."
        )  # starting it is another test
        panel = ConnectionPanel(settings)
        button(panel, "Test").click()
        assert panel.wait(LONG)
        states = {name: told["state"] for name, told in panel.connections.items()}
        assert states == {
            "Elasticsearch": "not configured",
            "COOLR": "connected",
            "Redis": "not configured",
            "Spark": "connected",
        }
        assert "es_index is not set" in panel._lines["Elasticsearch"].value
        panel.settings = settings.model_copy(update={"coolr_archive": settings.data_dir})
        button(panel, "Test").click()
        assert panel.wait(LONG)
        assert panel.connections["COOLR"]["state"] == "refused"
        assert "frontierlab-bad" in panel._lines["COOLR"].value


class TestExtract:
    def test_initially_nothing_can_be_extracted(self, settings):
        panel = ExtractPanel(settings)
        assert button(panel, "Extract").disabled
        with pytest.raises(InvalidRequestError, match="Look first"):
            panel.extract()

    def test_the_view_follows_the_state_and_the_state_the_view(self, settings):
        panel = ExtractPanel(settings, since="2026-10-01", taskid=7, cached=False)
        fields = {w.description: w for w in walk(panel) if hasattr(w, "value") and hasattr(w, "description")}
        assert fields["since (UTC)"].value == "2026-10-01"
        assert fields["task id"].value == "7"
        assert fields["queries"].value == "not cached"
        fields["until (UTC)"].value = "2026-10-02T02:00+02:00"
        fields["task id"].value = ""
        assert (panel.until, panel.taskid) == ("2026-10-02", None)
        fields["task id"].value = "many"
        assert "task id 'many' is not valid" in panel.invalid["taskid"]
        fields["since (UTC)"].value = "yesterday"
        assert "'yesterday' is not a time: write 2026-10-01" in panel.invalid["since"]
        assert panel.since == "2026-10-01"

    def test_quick_choices_are_exact_and_in_utc(self, settings):
        panel = ExtractPanel(settings)
        panel._period.value = "yesterday"
        assert len(panel.since) == len("2026-10-01") == len(panel.until)
        assert panel._period.value == "yesterday"
        panel.since = "2026-10-01"
        assert panel._period.value == "choose …"
        now = datetime(2026, 10, 1, 12, 30, tzinfo=UTC)
        assert [moment.isoformat() for moment in PERIODS["today"](now)] == [
            "2026-10-01T00:00:00+00:00",
            "2026-10-01T12:30:00+00:00",
        ]
        panel._period.value = "all there is"
        assert (panel.since, panel.until) == ("", "")

    def test_a_dry_run_then_the_extraction(self, settings, export):
        panel = ExtractPanel(settings, source=str(export), name="day")
        button(panel, "Look first").click()
        assert panel.wait(LONG)
        assert panel.found.documents == 2_000
        assert "2,000 documents" in panel._told.value
        assert not button(panel, "Extract").disabled
        button(panel, "Extract").click()
        assert panel.wait(LONG)
        assert (panel.phase, panel.dataset, panel.error) == (Phase.DONE, "day", "")
        assert "day is complete: 2,000 documents read" in panel.message
        button(panel, "Extract").click()
        assert panel.wait(LONG)
        assert panel.phase is Phase.FAILED
        assert "is there already, complete" in panel.error

    def test_another_request_needs_another_look(self, settings, export):
        panel = ExtractPanel(settings, source=str(export), name="day")
        panel.look()
        assert panel.wait(LONG)
        panel.cached = True
        assert panel.found is None
        assert button(panel, "Extract").disabled

    def test_an_index_that_is_not_named_is_said(self, settings):
        panel = ExtractPanel(settings, name="day")
        button(panel, "Look first").click()
        assert panel.wait(LONG)
        assert "es_address is not set" in panel.error

    def test_code_does_the_same(self, settings, export):
        panel = ExtractPanel(settings, source=str(export), name="day", since="2026-10-01")
        names = {"fl": fl, "settings": settings}
        exec(panel.code(), names)
        assert names["dataset"].manifest.request["since"] == "2026-10-01T00:00:00.000Z"

    def test_what_is_kept_comes_back(self, settings):
        panel = ExtractPanel(settings, since="2026-10-01", cached=True, taskid=9, name="x", source="/a")
        again = ExtractPanel.from_state(json.dumps(panel.state()), settings)
        assert again.state() == panel.state()


class TestDatasets:
    def test_initially_the_table_lists_what_there_is(self, settings, dataset):
        panel = DatasetsPanel(settings)
        (row,) = panel._table.rows
        assert row["id"] == "day"
        assert row["cells"][1:3] == ["complete", f"{dataset.counts.kept:,}"]
        assert row["cells"][3].endswith("UTC")

    def test_the_choice_follows_both_ways(self, settings, dataset):
        panel = DatasetsPanel(settings, dataset="day")
        assert panel._table.selected == "day"
        panel._table.selected = ""
        assert panel.dataset == ""
        button(panel, "Download").click()
        assert "Choose a dataset in the table first" in panel.error

    def test_a_damaged_one_says_why(self, settings, dataset):
        (dataset.path / "manifest.json").write_text("{")
        panel = DatasetsPanel(settings, dataset="day")
        assert panel._table.rows[0]["mark"] == "bad"
        assert "manifest.json is damaged" in panel._problem.value

    def test_renamed_and_deleted_with_a_confirmation(self, settings, dataset):
        panel = DatasetsPanel(settings, dataset="day")
        panel._name.value = "night"
        button(panel, "Rename").click()
        assert (panel.dataset, panel.error) == ("night", "")
        button(panel, "Delete").click()
        assert panel._really.layout.display == ""
        assert "Delete night" in panel._confirm.value
        button(panel, "Keep it").click()
        assert panel._really.layout.display == "none"
        assert fl.datasets.list_datasets(settings)["name"].tolist() == ["night"]
        button(panel, "Delete").click()
        button(panel, "Delete it").click()
        assert fl.datasets.list_datasets(settings).empty
        assert (panel.dataset, panel._table.rows) == ("", [])
        assert panel.message == "night is deleted."

    def test_files_through_the_browser(self, settings, dataset, export, tmp_path):
        panel = DatasetsPanel(settings)
        panel._upload._received(None, {"name": "dump.ndjson", "size": 1}, [memoryview(export.read_bytes())])
        assert panel.wait(LONG)
        assert (panel.error, panel.dataset) == ("", "dump")
        path = dataset.export(tmp_path / "today.parquet")
        panel._upload._received(None, {"name": "../today.parquet", "size": 1}, [memoryview(path.read_bytes())])
        assert panel.wait(LONG)
        assert (panel.error, panel.dataset) == ("", "today")
        assert f"{dataset.counts.kept:,} kept" in panel.message

    @pytest.mark.parametrize(
        ("name", "content", "message"),
        [
            ("a.parquet", b"PAR1 and then nothing", "not a Parquet file that can be read"),
            ("b.ndjson", b"no JSON at all\n", "b.ndjson holds no query logs. None of 1 documents became a row"),
        ],
    )
    def test_a_damaged_file_is_refused_with_its_reason(self, settings, name, content, message):
        panel = DatasetsPanel(settings)
        panel._upload._received(None, {"name": name, "size": len(content)}, [memoryview(content)])
        assert panel.wait(LONG)
        assert panel.phase is Phase.FAILED
        assert message in panel.error
        assert fl.datasets.list_datasets(settings).empty

    def test_a_foreign_file_is_refused_with_its_reason(self, settings, tmp_path):
        pq.write_table(pq.read_table(fl.sample.path("catalogue.parquet")), tmp_path / "x.parquet")
        panel = DatasetsPanel(settings)
        panel._path.value = str(tmp_path / "x.parquet")
        button(panel, "Import path").click()
        assert panel.wait(LONG)
        assert "does not hold query logs: it lacks time" in panel.error
        panel._path.value = str(tmp_path / "nowhere.parquet")
        button(panel, "Import path").click()
        assert panel.wait(LONG)
        assert "There is no file" in panel.error

    def test_a_file_that_is_too_large_is_refused(self, settings):
        panel = DatasetsPanel(settings)
        panel._upload._received(None, {"name": "big.parquet", "size": MOST_UP + 1}, [])
        assert "big.parquet has 5.0 MB, and through the browser go 5 MB at most" in panel.error

    def test_written_and_given_to_the_browser(self, settings, dataset, tmp_path, monkeypatch):
        panel = DatasetsPanel(settings, dataset="day")
        sent = []
        monkeypatch.setattr(panel._download, "send", lambda content, buffers: sent.append((content, buffers)))
        button(panel, "Download").click()
        assert panel.wait(LONG)
        ((content, (data,)),) = sent
        assert content == {"name": "day.parquet"}
        (tmp_path / "got.parquet").write_bytes(data)
        assert pq.read_metadata(tmp_path / "got.parquet").num_rows == dataset.counts.kept
        panel._path.value = str(tmp_path / "out.csv")
        button(panel, "Write to path").click()
        assert panel.wait(LONG)
        assert (tmp_path / "out.csv").exists()


class TestJobs:
    def test_initially_there_are_none(self, settings):
        panel = JobsPanel(settings)
        assert panel._table.rows == []
        assert panel._cancel.disabled
        panel.close()

    def test_a_job_that_has_ended_and_one_that_failed(self, settings, export):
        good = jobs.submit("extraction", settings=settings, backend="inline", name="day", source=str(export))
        bad = jobs.submit("extraction", settings=settings, backend="inline", name="day", source=str(export))
        panel = JobsPanel(settings)
        states = {row["id"]: row["cells"][2] for row in panel._table.rows}
        assert states == {good.id: "succeeded", bad.id: "failed"}
        panel._table.selected = good.id
        assert panel.job == good.id
        button(panel, "Result").click()
        assert "The dataset day" in panel._result.value
        panel.job = bad.id
        assert panel._table.selected == bad.id
        assert "is there already, complete" in panel._about.value
        button(panel, "Result").click()
        assert "is there already, complete" in panel.error
        panel.close()

    def test_one_that_runs_can_be_cancelled(self, settings, export, monkeypatch):
        begun, go = threading.Event(), threading.Event()

        def slow(settings=None, *, progress=None):
            from frontierlab.progress import Progress

            begun.set()
            while not go.wait(0.02):
                progress(Progress("waiting", 1, 4, 1.0, 3.0))

        monkeypatch.setattr("frontierlab.catalogues.refresh", slow)
        job = jobs.submit("catalogue", settings=settings, backend="thread")
        try:
            assert begun.wait(LONG)
            panel = JobsPanel(settings, job=job.id)
            assert panel._table.rows[0]["cells"][2] in ("queued", "running")
            button(panel, "Result").click()
            assert "has no result yet" in panel.error
            button(panel, "Cancel").click()
            assert job.wait(LONG) == "cancelled"
            panel.refresh()
            assert panel._table.rows[0]["cells"][2] == "cancelled"
            assert panel._cancel.disabled
            panel.close()
        finally:
            go.set()
