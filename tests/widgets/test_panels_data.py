"""Panels of settings, extraction, datasets and jobs, without a browser and without services."""

from __future__ import annotations

import json
import re
import shutil
import socket
import stat
import threading
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from frontierlab_widgets import CachingPanel, ConnectionPanel, Dashboard, DatasetsPanel, ExtractPanel, JobsPanel
from frontierlab_widgets.browser_files import MOST_UP
from frontierlab_widgets.caching_history import HistoryView
from frontierlab_widgets.dataset_names import counted
from frontierlab_widgets.extract_panel import PERIODS
from frontierlab_widgets.history_panel import HistoryPanel
from frontierlab_widgets.panel import Phase
from frontierlab_widgets.work import WorkStopped

import frontierlab as fl
from frontierlab import jobs
from frontierlab.errors import InvalidRequestError
from frontierlab.sample import World
from frontierlab.util.progress import Progress

LONG = 60
SECRET = "not-for-anyone's eyes"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with an export file, and with the dataset of it; tests have copies."""
    folder = tmp_path_factory.mktemp("made")
    World(2_000, seed=3).write(folder / "dump.ndjson")
    fl.extract(fl.sample.settings(data_dir=folder), source=folder / "dump.ndjson", name="day", progress=False)
    return folder


@pytest.fixture
def export(made, tmp_path):
    """An export file."""
    return Path(shutil.copy(made / "dump.ndjson", tmp_path))


@pytest.fixture
def dataset(made, settings):
    """The dataset day of such a file."""
    shutil.copytree(made / "datasets" / "day", settings.data_dir / "datasets" / "day")
    return fl.datasets.open_dataset("day", settings)


def button(panel, name):
    """Find a button of a panel by its name."""
    found = [one for one in walk(panel) if getattr(one, "description", None) == name and hasattr(one, "click")]
    assert len(found) == 1, name
    return found[0]


def ask_nothing(monkeypatch, *, count=False):
    """Let the tabs of dashboards ask a dataset nothing by themselves; the header counts only on request."""
    for panel in ("explore_panel.ExplorePanel.draw", "overview_panel.OverviewPanel.look"):
        monkeypatch.setattr(f"frontierlab_widgets.{panel}", lambda panel: None)
    monkeypatch.setattr("frontierlab_widgets.explore_tab.ExploreTab._ask", lambda panel: None)
    monkeypatch.setattr("frontierlab_widgets.waste_tab.WasteTab._follow", lambda panel: None)
    if not count:
        monkeypatch.setattr("frontierlab_widgets.header.Header._count_queries", lambda header: None)


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

    def test_using_the_sample_keeps_the_other_settings(self, settings):
        given = {"es_address": "es.example.org", "es_user": "me", "es_pswd": SECRET, "coolr_host": "coolr.example.org"}
        ours = fl.Settings(data_dir=settings.data_dir, job_backend="inline", **given)
        expected = ours.model_copy(
            update={"coolr_file": settings.coolr_file, "coolr_archive": fl.sample.path("payloads.parquet").parent}
        )
        for panel in (ConnectionPanel(ours), ExtractPanel(ours)):
            panel.use_sample()
            assert panel.settings == expected

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

    def test_an_applied_secret_is_never_shown(self, settings):
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

    def test_a_secret_that_is_typed_again_is_cleared_from_its_field(self, settings):
        panel = ConnectionPanel(settings)
        for _ in range(2):
            panel._fields["es_api_key"].value = SECRET
            button(panel, "Apply").click()
            assert (panel.error, panel._fields["es_api_key"].value) == ("", "")

    def test_answers_for_former_settings_are_dropped(self, settings, monkeypatch):
        begun, go = threading.Event(), threading.Event()

        def slow(settings):
            begun.set()
            assert go.wait(LONG)
            return "here."

        monkeypatch.setattr(fl.connections, "SERVICES", {"Redis": slow})
        panel = ConnectionPanel(settings)
        for stop in (lambda: setattr(panel, "settings", settings.model_copy(update={"es_page": 7})), panel.stop):
            button(panel, "Test").click()
            assert begun.wait(LONG)
            assert panel.connections["Redis"]["state"] == "checking"
            stop()
            go.set()
            assert panel.wait(LONG)
            assert panel.connections["Redis"]["state"] == "not checked"
            begun.clear()
            go.clear()

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

    def test_settings_that_contradict_each_other_are_not_applied(self, settings):
        panel = ConnectionPanel(settings)
        panel._fields["es_api_key"].value = SECRET
        panel._fields["es_user"].value = "me"
        button(panel, "Apply").click()
        assert panel.phase is Phase.READY
        assert "es_api_key and es_user are both given" in panel.error
        assert panel.settings is settings

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("name", "value", "valid"),
        [
            ("es_port", "many", "a port, 1 to 65535"),
            ("es_slices", "0", "1 to 64"),
            ("periodic_hour", "24", "0 to 23"),
            ("loss_warning_share", "2", "a share from 0 to 1"),
            ("es_address", f"me:{SECRET}@x", "host of Elasticsearch"),
            ("broker_url", SECRET, "URL of the Redis"),
            ("spark_options", f"spark.secret {SECRET}".replace("'", ""), "written name=value"),
        ],
    )
    def test_an_invalid_setting_is_marked_and_not_applied(self, settings, name, value, valid):
        panel = ConnectionPanel(settings)
        panel._fields[name].value = value
        assert "This is not valid. Valid: " in panel.invalid[name]
        assert valid in panel.invalid[name]
        assert SECRET not in str(panel.invalid)
        for what in ("Apply", "Test", "Save", "Build the catalogue"):
            assert button(panel, what).disabled
        panel.settings = settings.model_copy(update={"es_page": 7})  # from elsewhere: the fields show that
        assert panel.invalid == {}
        assert not button(panel, "Apply").disabled

    def test_sparks_options_are_a_secret(self, settings):
        panel = ConnectionPanel(settings)
        field = panel._fields["spark_options"]
        field.value = "spark.ssl.keyPassword=TOPSECRET spark.x=1"
        button(panel, "Apply").click()
        options = {"spark.ssl.keyPassword": "TOPSECRET", "spark.x": "1"}
        assert (panel.error, panel.settings.spark_options) == ("", options)
        assert field.value == ""
        assert field.placeholder == "kept; type here to replace it (spark.ssl.keyPassword, spark.x)"
        panel._fields["es_page"].value = "9"
        button(panel, "Apply").click()
        assert panel.settings.spark_options == options
        texts = [json.dumps(panel.state()), panel.code(), repr(panel), panel.message]
        texts += [str(widget.get_state()) for widget in walk(panel)]
        assert not [text for text in texts if "TOPSECRET" in text]
        assert "# spark_options comes from" in panel.code()
        button(panel, "Forget secrets").click()
        assert (panel.settings.spark_options, field.placeholder) == ({}, "none")

    def test_the_catalogue_can_be_built(self, settings):
        sample = settings.model_copy(update={"coolr_file": settings.data_dir / "made.parquet"})
        panel = ConnectionPanel(sample)
        button(panel, "Build the catalogue").click()
        assert panel.wait(LONG)
        assert (panel.error, panel.phase) == ("", Phase.DONE)
        assert re.fullmatch(r"The catalogue has [\d,]+ folders and tags, as of .* UTC\.", panel.message)
        assert sample.catalogue_path.exists()
        panel.settings = sample.model_copy(update={"coolr_archive": None})
        button(panel, "Build the catalogue").click()
        assert "Fill in coolr_host or coolr_archive (COOLR) first" in panel.error

    def test_a_saved_file_is_private_and_replaced_only_on_request(self, settings, tmp_path):
        panel = ConnectionPanel(settings, path=str(tmp_path / "configuration.txt"))
        panel._fields["es_address"].value = "es.example.org"
        panel._fields["es_api_key"].value = SECRET
        button(panel, "Save").click()
        assert "readable by you only" in panel.message
        file = tmp_path / "configuration.txt"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert fl.Settings(file) == panel.settings
        button(panel, "Save").click()
        assert panel.error == f"There is a file {file} already. Tick replace, or name another file."

    def test_each_service_has_its_own_state(self, settings, monkeypatch):
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
        assert "Fill in es_address and es_index (Elasticsearch)" in panel._lines["Elasticsearch"].value
        assert "click Start a worker in the jobs panel" in panel._lines["Redis"].value
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

    @pytest.mark.slow
    def test_only_the_chosen_schema_and_folders_are_extracted(self, settings, export):
        panel = ExtractPanel(settings, source=str(export), name="part", schema="ATLAS_COOLOFL_PIXEL")
        fields = {w.description: w for w in walk(panel) if hasattr(w, "value") and hasattr(w, "description")}
        assert fields["schema"].value == "ATLAS_COOLOFL_PIXEL"
        fields["folder"].value = "/PIXEL/PixCalib,/PIXEL/PixdEdx , "
        assert panel.nodefullpath == "/PIXEL/PixCalib, /PIXEL/PixdEdx"
        selection = fl.Selection(schema="ATLAS_COOLOFL_PIXEL", nodefullpath=["/PIXEL/PixCalib", "/PIXEL/PixdEdx"])
        assert f"selection=fl.{selection!r}" in panel.code()
        button(panel, "Look first").click()
        assert panel.wait(LONG)
        assert f"Kept are queries with {selection.in_words()}" in panel._told.value
        button(panel, "Extract").click()
        assert panel.wait(LONG)
        found = fl.datasets.open_dataset("part", settings).to_pandas()
        everything = fl.extract(settings, source=export, name="all", progress=False).to_pandas()
        chosen = everything["nodefullpath"].isin(selection.nodefullpath) & everything["schema"].eq(
            "ATLAS_COOLOFL_PIXEL"
        )
        assert 0 < len(found) == chosen.sum() < len(everything)

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
        assert panel.error == (
            "There is a complete dataset day already. Type another name into the field name, or delete that dataset in "
            "the datasets panel."
        )

    def test_an_invalid_time_disables_look_first_and_extract(self, settings, export):
        panel = ExtractPanel(settings, source=str(export), name="day", since="2026-10-01")
        panel.look()
        assert panel.wait(LONG)
        fields = {w.description: w for w in walk(panel) if hasattr(w, "value") and hasattr(w, "description")}
        fields["since (UTC)"].value = "yesterday noon"
        assert "'yesterday noon' is not a time: write 2026-10-01" in panel.invalid["since"]
        assert (panel.since, button(panel, "Look first").disabled, button(panel, "Extract").disabled) == (
            ("2026-10-01", True, True)
        )
        for action in (panel.look, panel.extract, button(panel, "Look first").click):
            panel.guarded(action)
            assert "Correct the field 'since (UTC)' first" in panel.error
        panel._period.value = "all there is"
        assert (panel.since, fields["since (UTC)"].value, panel.invalid) == ("", "", {})
        assert not button(panel, "Look first").disabled

    @pytest.mark.parametrize(
        ("field", "value", "trait", "valid"),
        [("name", "a b", "name", "letters, digits"), ("task id", "1.5", "taskid", "a whole number")],
    )
    def test_other_fields_say_what_is_valid(self, settings, export, field, value, trait, valid):
        panel = ExtractPanel(settings, source=str(export), name="day")
        panel.look()
        assert panel.wait(LONG)
        fields = {w.description: w for w in walk(panel) if hasattr(w, "value") and hasattr(w, "description")}
        fields[field].value = value
        assert valid in panel.invalid[trait]
        assert button(panel, "Extract").disabled

    def test_an_invalid_field_does_not_interrupt_an_extraction(self, settings, export, monkeypatch):
        begun, go = threading.Event(), threading.Event()

        def slow(job, work):
            begun.set()
            assert go.wait(LONG)
            return job.result(LONG)

        panel = ExtractPanel(settings, source=str(export), name="day")
        panel.look()
        assert panel.wait(LONG)
        monkeypatch.setattr("frontierlab_widgets.extract_panel.follow", slow)
        button(panel, "Extract").click()
        assert begun.wait(LONG)
        fields = {w.description: w for w in walk(panel) if hasattr(w, "value") and hasattr(w, "description")}
        fields["since (UTC)"].value = "yesterday noon"
        assert (panel.phase, panel._going.layout.visibility) == (Phase.WORKING, "visible")
        assert button(panel, "Extract").disabled
        panel.guarded(panel.look)
        assert panel.phase is Phase.WORKING
        go.set()
        assert panel.wait(LONG)
        assert (panel.phase, panel.dataset) == (Phase.DONE, "day")
        assert len(jobs.jobs(settings)) == 1

    def test_a_stop_that_comes_too_late_says_so(self, settings, export, monkeypatch):
        begun = threading.Event()

        def late(job, work):
            assert job.wait(LONG) == "succeeded"
            begun.set()
            assert work.stopping.wait(LONG)
            raise WorkStopped

        panel = ExtractPanel(settings, source=str(export), name="day")
        panel.look()
        assert panel.wait(LONG)
        monkeypatch.setattr("frontierlab_widgets.extract_panel.follow", late)
        panel.extract()
        assert begun.wait(LONG)
        panel.stop()
        assert panel.wait(LONG)
        assert (panel.phase, panel.message) == (Phase.STOPPED, "The dataset day was complete before the stop.")

    @pytest.mark.parametrize(
        ("parts", "told"),
        [
            (
                0,
                "0 of its 2,000 documents are stored, since no part was finished, and Extract with the same fields",
            ),
            (
                1,
                "1,000 of its 2,000 documents are stored, and Extract with the same fields resumes the extraction "
                "and reads 1 more part.",
            ),
        ],
    )
    def test_a_stop_says_what_is_stored(self, settings, export, monkeypatch, parts, told):
        begun, settings = threading.Event(), settings.model_copy(update={"part_documents": 1_000})

        def interrupted(job, work):
            path = fl.extract(settings, source=export, name="day", progress=False).path
            manifest = json.loads((path / "manifest.json").read_text())
            (path / "manifest.json").write_text(json.dumps({**manifest, "state": "incomplete"}))
            for part in sorted((path / "parts").iterdir())[parts:]:
                shutil.rmtree(part)
            begun.set()
            assert work.stopping.wait(LONG)
            raise WorkStopped

        monkeypatch.setattr("frontierlab_widgets.extract_panel.follow", interrupted)
        monkeypatch.setattr("frontierlab.jobs.submit", lambda *a, **k: None)
        panel = ExtractPanel(settings, source=str(export), name="day")
        panel.look()
        assert panel.wait(LONG)
        panel.extract()
        assert begun.wait(LONG)
        panel.stop()
        assert panel.wait(LONG)
        assert f"Stopped. The dataset day is incomplete: {told}" in panel.message

    def test_losses_of_an_extraction_are_a_warning(self, settings, export):
        export.write_bytes(export.read_bytes() + b"no JSON at all\n")
        panel = ExtractPanel(settings.model_copy(update={"loss_warning_share": 0.0}), source=str(export), name="day")
        panel.look()
        assert panel.wait(LONG)
        panel.extract()
        assert panel.wait(LONG)
        assert "frontierlab-warning" in panel._told.value
        assert "1 of 2,001 documents are malformed and are not in day: " in panel._told.value

    def test_without_a_catalogue_the_panel_says_how_to_build_one(self, data_dir, export):
        panel = ExtractPanel(fl.Settings(data_dir=data_dir), source=str(export), name="day")
        panel.look()
        assert panel.wait(LONG)
        assert "There is no catalogue at" in panel.error
        assert "Fill in coolr_host (or coolr_archive, or the path of a catalogue as coolr_file)" in panel.error
        assert "click Build the catalogue there" in panel.error

    def test_a_missing_catalogue_is_built_by_the_extraction(self, settings, export):
        settings = settings.model_copy(update={"coolr_file": settings.data_dir / "made.parquet"})
        panel = ExtractPanel(settings, source=str(export), name="day")
        panel.look()
        assert panel.wait(LONG)
        assert "There is no catalogue yet: the extraction builds it from COOLR first." in panel._told.value
        panel.extract()
        assert panel.wait(LONG)
        assert (panel.error, panel.phase) == ("", Phase.DONE)
        assert settings.catalogue_path.exists()

    def test_look_first_says_that_no_source_of_a_catalogue_is_set(self, data_dir, export, monkeypatch):
        def unknown(*_, **__):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        monkeypatch.setattr(socket, "getaddrinfo", unknown)
        settings = fl.Settings(data_dir=data_dir, coolr_host="nowhere.invalid")
        panel = ExtractPanel(settings, source=str(export), name="day")
        panel.look()
        assert panel.wait(LONG)
        assert panel.error == (
            "There is no catalogue yet, and it cannot be built: COOLR is not reached: there is no host "
            "nowhere.invalid. Check coolr_host."
        )
        assert button(panel, "Extract").disabled

    def test_a_stopped_look_first_names_no_dataset(self, settings, export, monkeypatch):
        begun = threading.Event()

        def slow(settings, *, progress, **given):
            begun.set()
            while True:
                progress(Progress("counting", 0, None, 0.0, None))

        panel = ExtractPanel(settings, source=str(export), name="day")
        monkeypatch.setattr("frontierlab_widgets.extract_panel.extract", slow)
        panel.look()
        assert begun.wait(LONG)
        panel.stop()
        assert panel.wait(LONG)
        assert (panel.phase, panel.message) == (Phase.STOPPED, "Stopped; nothing was changed.")

    def test_a_changed_request_needs_look_first_again(self, settings, export):
        panel = ExtractPanel(settings, source=str(export), name="day")
        panel.look()
        assert panel.wait(LONG)
        panel.cached = True
        assert panel.found is None
        assert button(panel, "Extract").disabled

    def test_a_missing_index_setting_is_named(self, settings):
        panel = ExtractPanel(settings, name="day")
        button(panel, "Look first").click()
        assert panel.wait(LONG)
        assert panel.error.startswith(
            "es_address and es_index are not set: fill in and apply that in the settings panel"
        )
        assert panel.error.endswith("or give the path of an export file here.")

    def test_code_does_the_same(self, settings, export):
        panel = ExtractPanel(settings, source=str(export), name="day", since="2026-10-01")
        names = {"fl": fl, "settings": settings}
        exec(panel.code(), names)
        assert names["dataset"].manifest.request["since"] == "2026-10-01T00:00:00.000Z"

    def test_a_saved_state_is_restored(self, settings):
        panel = ExtractPanel(settings, since="2026-10-01", cached=True, taskid=9, name="x", source="/a")
        again = ExtractPanel.from_state(json.dumps(panel.state()), settings)
        assert again.state() == panel.state()


class TestDatasets:
    def test_initially_the_table_lists_the_datasets(self, settings, dataset):
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
        with pytest.raises(InvalidRequestError, match="Choose a dataset in the table first"):
            panel.download()

    def test_buttons_for_the_chosen_dataset_need_one(self, settings, dataset):
        # a click reaches a busy kernel before the choice that the page still holds back
        panel = DatasetsPanel(settings)
        names = ("Download", "Delete", "Rename", "Write to path")
        assert all(button(panel, name).disabled for name in names)
        panel._table.selected = "day"
        assert not any(button(panel, name).disabled for name in names)

    def test_a_damaged_dataset_says_why(self, settings, dataset):
        (dataset.path / "manifest.json").write_text("{")
        panel = DatasetsPanel(settings, dataset="day")
        assert panel._table.rows[0]["mark"] == "bad"
        assert "manifest.json is damaged" in panel._problem.value

    def test_renamed_and_deleted_with_a_confirmation(self, settings, dataset):
        panel = DatasetsPanel(settings, dataset="day", new_name="night")
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
        assert panel.wait(LONG)
        assert fl.datasets.list_datasets(settings).empty
        assert (panel.dataset, panel._table.rows) == ("", [])
        assert panel.message == "night is deleted."

    @pytest.mark.slow
    def test_files_are_uploaded(self, settings, dataset, export, tmp_path):
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
            ("a.parquet", b"PAR1 and then nothing", "cannot be read as a Parquet file"),
            ("b.ndjson", b"no JSON at all\n", "b.ndjson holds no JSON documents"),
            (
                "b.ndjson",
                b'{"@timestamp": "never"}\n',
                "b.ndjson holds no query logs. None of 1 documents became a row",
            ),
        ],
    )
    def test_a_damaged_file_is_refused_with_its_reason(self, settings, name, content, message):
        panel = DatasetsPanel(settings)
        panel._upload._received(None, {"name": name, "size": len(content)}, [memoryview(content)])
        assert panel.wait(LONG)
        assert panel.phase is Phase.FAILED
        assert message in panel.error
        assert "/tmp" not in panel.error
        assert fl.datasets.list_datasets(settings).empty

    def test_a_foreign_file_is_refused_with_its_reason(self, settings, tmp_path):
        pq.write_table(pq.read_table(fl.sample.path("catalogue.parquet")), tmp_path / "x.parquet")
        panel = DatasetsPanel(settings)
        panel.path = str(tmp_path / "x.parquet")
        button(panel, "Import path").click()
        assert panel.wait(LONG)
        assert "does not hold query logs: it lacks time" in panel.error
        panel.path = str(tmp_path / "nowhere.parquet")
        button(panel, "Import path").click()
        assert panel.wait(LONG)
        assert "There is no file" in panel.error

    def test_a_file_that_is_too_large_is_refused(self, settings):
        panel = DatasetsPanel(settings)
        panel._upload._received(None, {"name": "big.parquet", "size": MOST_UP + 1}, [])
        assert "big.parquet has 5.0 MB, and a transfer through the browser has 5 MB at most" in panel.error

    def test_a_dataset_is_written_and_downloaded(self, settings, dataset, tmp_path, monkeypatch):
        panel = DatasetsPanel(settings, dataset="day")
        sent = []
        monkeypatch.setattr(panel._download, "send", lambda content, buffers: sent.append((content, buffers)))
        button(panel, "Download").click()
        assert panel.wait(LONG)
        ((content, (data,)),) = sent
        assert content == {"name": "day.parquet"}
        (tmp_path / "got.parquet").write_bytes(data)
        assert pq.read_metadata(tmp_path / "got.parquet").num_rows == dataset.counts.kept
        panel.path = str(tmp_path / "out.csv")
        button(panel, "Write to path").click()
        assert panel.wait(LONG)
        written = (tmp_path / "out.csv").read_bytes()
        (tmp_path / "out.csv").write_text("old")
        button(panel, "Write to path").click()
        assert panel.error == f"There is a file {tmp_path / 'out.csv'} already. Tick replace, or give another path."
        panel.replace = True
        button(panel, "Write to path").click()
        assert panel.wait(LONG)
        assert (panel.error, (tmp_path / "out.csv").read_bytes()) == ("", written)

    @pytest.mark.parametrize("suffix", ["parquet", "ndjson"])
    def test_without_a_catalogue_an_import_says_how_to_build_one(self, data_dir, dataset, export, tmp_path, suffix):
        path = dataset.export(tmp_path / "day.parquet") if suffix == "parquet" else export
        panel = DatasetsPanel(fl.Settings(data_dir=data_dir), path=str(path), import_name="new")
        button(panel, "Import path").click()
        assert panel.wait(LONG)
        assert "There is no catalogue at" in panel.error
        assert "click Build the catalogue there" in panel.error

    def test_an_incomplete_dataset_is_not_exported(self, settings, dataset, tmp_path):
        manifest = json.loads((dataset.path / "manifest.json").read_text())
        (dataset.path / "manifest.json").write_text(json.dumps({**manifest, "state": "incomplete"}))
        panel = DatasetsPanel(settings, dataset="day", path=str(tmp_path / "out.csv"))
        for name in ("Download", "Write to path"):
            button(panel, name).click()
            assert panel.error == (
                "The dataset day is incomplete. Click Resume first: its extraction goes on where it stopped."
            )

    @pytest.mark.slow
    def test_an_incomplete_dataset_is_resumed_with_its_request(self, settings, export):
        schemas = fl.Selection(schema="ATLAS_COOLOFL_PIXEL")
        whole = fl.extract(settings, source=export, name="whole", selection=schemas, progress=False)
        path = fl.extract(settings, source=export, name="day", selection=schemas, progress=False).path
        manifest = json.loads((path / "manifest.json").read_text())
        (path / "manifest.json").write_text(json.dumps({**manifest, "state": "incomplete"}))
        panel = DatasetsPanel(settings, dataset="whole")
        assert button(panel, "Resume").disabled
        panel.dataset = "day"
        assert not button(panel, "Resume").disabled
        button(panel, "Resume").click()
        assert panel.wait(LONG)
        assert (panel.error, panel.message) == ("", f"day is complete: {counted(whole.counts)}.")
        assert button(panel, "Resume").disabled
        assert fl.datasets.open_dataset("day", settings).counts == whole.counts

    @pytest.mark.slow
    def test_an_upload_has_a_name_field_of_its_own(self, settings, dataset, export):
        panel = DatasetsPanel(settings, dataset="day", new_name="night")
        content = memoryview(export.read_bytes())
        panel._upload._received(None, {"name": "dump.ndjson", "size": 1}, [content])
        assert panel.wait(LONG)
        assert (panel.error, panel.dataset) == ("", "dump")
        panel._upload._received(None, {"name": "dump.ndjson", "size": 1}, [content])
        assert "There is a complete dataset dump already. Type another name into the field as, or delete" in panel.error
        panel._upload._received(None, {"name": "my file.ndjson", "size": 1}, [content])
        assert "'my file' is not the name of a dataset" in panel.error
        assert panel.error.endswith("Type a name for the dataset into the field as.")
        panel.import_name = "mine"
        panel._upload._received(None, {"name": "my file.ndjson", "size": 1}, [content])
        assert panel.wait(LONG)
        assert (panel.error, panel.dataset) == ("", "mine")
        fields = {w.description: w for w in walk(panel) if hasattr(w, "value") and hasattr(w, "description")}
        fields["as"].value = "a/b"
        assert panel._upload.disabled
        assert button(panel, "Import path").disabled
        assert not button(panel, "Rename").disabled

    @pytest.mark.parametrize("suffix", ["parquet", "ndjson"])
    def test_losses_of_an_import_are_a_warning(self, settings, export, tmp_path, suffix):
        settings = settings.model_copy(update={"loss_warning_share": 0.0})
        path = export
        export.write_bytes(export.read_bytes() + b"no JSON at all\n")
        if suffix == "parquet":
            path = tmp_path / "some.parquet"
            table = pa.table({"time": ["2026-10-01T00:00:00Z", "never"], "db": ["CONDBR2", "CONDBR2"]})
            pq.write_table(table, path)
        panel = DatasetsPanel(settings, path=str(path))
        button(panel, "Import path").click()
        assert panel.wait(LONG)
        assert panel.error == ""
        assert "frontierlab-warning" in panel._lost.value
        assert "are malformed" in panel._lost.value

    def test_an_upload_that_does_not_arrive_is_reported(self, settings, export, monkeypatch):
        monkeypatch.setattr("frontierlab_widgets.browser_files.UPLOAD_SECONDS", 0.01)
        panel, said = DatasetsPanel(settings), threading.Event()
        panel.observe(lambda _: said.set(), "error")
        panel._upload._received(None, {"name": "lost.parquet", "size": 3_000_000}, [])
        assert said.wait(LONG)
        assert panel.error.startswith("lost.parquet (3.0 MB) did not arrive within 0.01 s: the connection lost it.")
        monkeypatch.setattr("frontierlab_widgets.browser_files.UPLOAD_SECONDS", 3_600.0)
        panel._upload._received(None, {"name": "dump.ndjson", "size": 1}, [])
        timer = panel._upload._coming
        panel._upload._received(None, {"name": "dump.ndjson", "size": 1}, [memoryview(export.read_bytes())])
        assert timer.finished.wait(LONG)
        assert panel.wait(LONG)
        assert (panel.error, panel.dataset) == ("", "dump")

    def test_datasets_that_another_process_makes_or_deletes_are_followed(self, settings, dataset, export, monkeypatch):
        panel = DatasetsPanel(settings, dataset="day")
        button(panel, "Delete").click()
        listed, reads = fl.datasets.list_datasets, []
        monkeypatch.setattr(fl.datasets, "list_datasets", lambda given: reads.append(1) or listed(given))
        panel.look()
        assert reads == []  # nothing has changed
        fl.extract(settings, source=export, name="night", progress=False)
        panel.look()
        assert [row["id"] for row in panel._table.rows] == ["day", "night"]
        assert panel._really.layout.display == ""  # still asked whether day is to be deleted
        panel.look()
        assert reads == [1]
        fl.datasets.delete_dataset("night", settings)
        panel.look()
        assert [row["id"] for row in panel._table.rows] == ["day"]


class TestHistory:
    def test_that_nothing_is_stored_the_tables_alone_say(self, settings):
        panel = HistoryPanel(settings, shown=True)
        assert panel.wait(LONG)
        assert (panel._past.rows, panel._lacks.value) == ([], "")
        view = HistoryView(lambda _: None, panel.fail)
        view.read(settings)
        assert view.wait(LONG)
        assert (view.stored.rows, view._notes.value, view._told.value) == ([], "", "")
        folder = settings.data_dir / "diagnosis"
        folder.mkdir()
        (folder / "bad.parquet").write_bytes(b"no file of Parquet")
        panel.refresh()
        assert panel.wait(LONG)
        assert "1 stored diagnoses cannot be read, the first: bad.parquet" in panel._lacks.value
        panel.close()


class TestJobs:
    def test_initially_there_are_no_jobs(self, settings):
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
        assert f"name: day; source: {export}" in panel._about.value
        panel.job = bad.id
        assert panel._table.selected == bad.id
        assert "exists already and is complete" in panel._about.value
        button(panel, "Result").click()
        assert "exists already and is complete" in panel.error
        panel.close()

    def test_a_running_job_can_be_cancelled(self, settings, export, monkeypatch):
        begun, go = threading.Event(), threading.Event()

        def slow(settings=None, *, progress=None):
            begun.set()
            while not go.wait(0.02):
                progress(Progress("waiting", 1, 4, 1.0, 3.0))

        monkeypatch.setattr("frontierlab.coolr.refresh.refresh", slow)
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


class TestCaching:
    def test_choosing_a_row_does_not_interrupt_a_computation(self, settings, dataset):
        panel, go, came = CachingPanel(settings, dataset="day"), threading.Event(), []
        panel.begin(lambda work: go.wait(LONG), came.append)
        panel._table.selected = json.dumps(["CONDBR2", "ATLAS_COOLOFL_PIXEL", "/PIXEL/PixCalib", "none"])
        assert not panel._work.stopping.is_set()
        assert (panel.phase, panel._going.layout.visibility) == (Phase.WORKING, "visible")
        go.set()
        assert panel.wait(LONG)
        assert came == [True]


class TestDashboard:
    @pytest.fixture
    def board(self, settings, monkeypatch):
        """A dashboard whose tabs do not ask a dataset by themselves."""
        ask_nothing(monkeypatch)
        board = Dashboard(settings)
        yield board
        board.close()

    def take_for_the_sample(self, path, monkeypatch):
        """Let the documents of the sample be those of another file, which can be missing."""
        original = fl.sample.path
        monkeypatch.setattr(fl.sample, "path", lambda *name: original(*name) if name else path)

    @pytest.mark.slow
    def test_an_unreadable_sample_leaves_nothing_behind(self, board, settings, export, monkeypatch):
        extract = board.panels["Extract"]
        self.take_for_the_sample(settings.data_dir / "nowhere.ndjson", monkeypatch)
        button(board, "Try it on the sample").click()
        assert extract.wait(LONG)
        assert "nowhere.ndjson" in extract.error
        assert (board.error, board.message) == (extract.error, "")  # the tab of the click says it too
        extract.source, extract.name = str(export), "mine"  # another request, only looked at
        button(board, "Look first").click()
        assert extract.wait(LONG)
        assert (extract.found.documents, extract.phase) == (2_000, Phase.DONE)
        assert jobs.jobs(settings) == []
        assert fl.datasets.list_datasets(settings).empty

    @pytest.mark.slow
    def test_the_sample_is_looked_at_and_extracted(self, board, settings, export, monkeypatch):
        self.take_for_the_sample(export, monkeypatch)
        button(board, "Try it on the sample").click()
        assert board.panels["Extract"].wait(LONG)
        assert (board.error, board.panels["Extract"].error, board.dataset) == ("", "", "sample")
        assert len(jobs.jobs(settings)) == 1

    @pytest.mark.slow
    def test_a_finished_extraction_is_told_with_a_link_and_moves_nobody(self, board, dataset):
        extract = board.panels["Extract"]
        for section in ("Extract", "Jobs"):
            board.tab, board.dataset, extract.dataset = section, "", ""
            extract.dataset = "day"
            assert (board.tab, board.section, board.dataset) == ("Data", section, "")
            assert board.panels["Caching"].dataset == ""
            assert board.message == "The dataset day is complete."
            assert (board._link.description, board._link.layout.display) == ("Look at it", "")
            board._link.click()
            assert (board.tab, board.dataset, board.message) == ("Overview", "day", "")
            assert board._link.layout.display == "none"

    @pytest.mark.slow
    def test_an_import_and_a_chosen_row_move_nobody(self, board, dataset, export):
        datasets = board.panels["Datasets"]
        board.tab, board.dataset = "Datasets", "day"
        datasets.path, datasets.import_name = str(export), "other"
        datasets.bring_in()
        assert datasets.wait(LONG)
        assert (datasets.error, datasets.dataset, board.dataset, board.section) == ("", "other", "day", "Datasets")
        button(datasets, "Look at it").click()
        assert (board.dataset, board.tab) == ("other", "Overview")

    @pytest.mark.slow
    def test_the_sample_waits_for_an_extraction(self, board, export):
        extract, go = board.panels["Extract"], threading.Event()
        extract.source = str(export)
        extract.begin(lambda work: go.wait(LONG))
        button(board, "Try it on the sample").click()
        assert "This panel is at work" in board.panels["Overview"].error
        assert extract.source == str(export)
        go.set()
        assert extract.wait(LONG)

    def test_an_invalid_field_is_neither_copied_as_code_nor_kept(self, board):
        board.tab = "Extract"
        extract = board.panels["Extract"]
        fields = {w.description: w for w in walk(extract) if hasattr(w, "value") and hasattr(w, "description")}
        fields["since (UTC)"].value = "yesterday noon"
        for name in ("Copy as code", "Show as JSON"):
            button(board, name).click()
            assert "Correct the field 'since (UTC)' first" in board.error
            assert board._share.shown == ""

    @pytest.mark.slow
    def test_a_stopped_extraction_and_new_datasets_are_listed(self, board, settings, export, monkeypatch):
        begun, extract = threading.Event(), board.panels["Extract"]

        def interrupted(job, work):
            path = fl.extract(settings, source=export, name="day", progress=False).path
            manifest = json.loads((path / "manifest.json").read_text())
            (path / "manifest.json").write_text(json.dumps({**manifest, "state": "incomplete"}))
            begun.set()
            assert work.stopping.wait(LONG)
            raise WorkStopped

        monkeypatch.setattr("frontierlab_widgets.extract_panel.follow", interrupted)
        monkeypatch.setattr("frontierlab.jobs.submit", lambda *a, **k: None)
        extract.source, extract.name = str(export), "day"
        extract.look()
        assert extract.wait(LONG)
        extract.extract()
        assert begun.wait(LONG)
        extract._stop.click()
        assert extract.wait(LONG)
        assert extract.message == (
            "Stopped. The dataset day is incomplete: 2,000 of its 2,000 documents are stored, and Extract with the "
            "same fields resumes the extraction. Datasets has it, with Resume and Delete."
        )
        assert [row["cells"][:2] for row in board.panels["Datasets"]._table.rows] == [["day", "incomplete"]]
        fl.extract(settings, source=export, name="night", progress=False)
        board._timers[0]._action()
        assert [row["id"] for row in board.panels["Datasets"]._table.rows] == ["day", "night"]

    def test_closing_the_dashboard_closes_its_panels_and_timers(self, board):
        panels = [*board.panels.values()]
        board.close()
        assert [panel.comm for panel in panels] == [None] * len(panels)
        timers = [timer for panel in panels for timer in panel._timers]
        assert timers
        assert all(timer._ended.is_set() for timer in timers)


class TestABrokenConfiguration:
    """A dashboard whose configuration file has an error in its third line."""

    SEE = "The configuration cannot be read: see Settings."

    @pytest.fixture
    def board(self, tmp_path, data_dir, monkeypatch):
        file = tmp_path / "configuration.txt"
        file.write_text("# ours\nes_port = 9201\nes_pages = many\n")
        monkeypatch.setenv("CONFIG_FILE", str(file))
        monkeypatch.setenv("XDG_DATA_HOME", str(data_dir))
        ask_nothing(monkeypatch)
        board = Dashboard()
        yield board
        board.close()

    def test_settings_name_file_and_line_and_the_other_tabs_refer_to_them(self, board):
        assert len([*board.panels.values()]) == 9
        texts = [one.value for one in walk(board) if "frontierlab-error" in str(getattr(one, "value", ""))]
        said = [text for text in texts if "configuration.txt, line 3: unknown key" in text]
        assert (len(said), len(texts)) == (1, 9)
        assert board._settings_box.layout.display == ""  # they are shown at once
        assert said == [board.panels["Settings"]._problem_note.value]
        assert "Correct it, and run this cell again. Or fill in all the fields" in said[0]
        assert sum(self.SEE in text for text in texts) == 8
        assert {one.error for one in (board, *board.panels.values())} == {""}

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("tab", "name"),
        [("Extract", "Look first"), ("Datasets", "Delete"), ("Jobs", "Start a worker"), ("Caching", "Compute")],
    )
    def test_actions_of_other_tabs_refer_to_the_settings_too(self, board, tab, name):
        panel = board.panels[tab]
        panel.dataset = "day"
        button(panel, name).click()
        if tab == "Datasets":
            button(panel, "Delete it").click()
        assert (panel.error, panel.phase) == (self.SEE, Phase.READY)

    @pytest.mark.slow
    def test_the_sample_can_be_tried(self, board, data_dir, export, monkeypatch):
        original = fl.sample.path
        monkeypatch.setattr(fl.sample, "path", lambda *name: original(*name) if name else export)
        button(board, "Try it on the sample").click()
        assert board.panels["Extract"].wait(LONG)
        assert (board.error, board.panels["Extract"].error, board.dataset) == ("", "", "sample")
        assert (data_dir / "frontierlab" / "datasets" / "sample").is_dir()
        assert not [one for one in walk(board) if "frontierlab-error" in str(getattr(one, "value", ""))]

    def test_settings_that_are_typed_are_applied_and_saved_beside_the_file(self, board, tmp_path, data_dir):
        panel = board.panels["Settings"]
        panel._fields["es_address"].value = "es.example.org"
        button(panel, "Apply").click()
        assert (panel.error, board.settings.es_address, board.settings.es_port) == ("", "es.example.org", 9200)
        file, other = tmp_path / "configuration.txt", tmp_path / "other.txt"
        before = file.read_text()
        panel.path, panel._replace.value = str(file), True
        button(panel, "Save").click()
        assert "replacing it would lose what it says" in panel.error
        assert file.read_text() == before
        panel.path = str(other)
        button(panel, "Save").click()
        assert (panel.error, fl.Settings(other).es_address) == ("", "es.example.org")

    def test_code_needs_settings(self, board):
        with pytest.raises(InvalidRequestError, match="unknown key 'es_pages'"):
            board.code()


def test_a_view_that_was_kept_before_a_tab_was_renamed_is_shown(settings):
    state = {
        "panel": "Dashboard",
        "tab": "Connection",
        "panels": {"Connection": {"panel": "ConnectionPanel", "path": "a.txt"}},
    }
    board = Dashboard.from_state(state, settings)
    assert (board.tab, board.panels["Settings"].path) == ("Overview", "a.txt")
    assert board._settings_box.layout.display == ""
    board.close()
