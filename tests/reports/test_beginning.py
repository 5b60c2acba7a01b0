"""A report begins with the incidents of its queries and the worst folders; what fails costs it nothing else."""

import html
import re
from pathlib import Path

import pandas as pd
import pytest

import frontierlab as fl
from frontierlab.diagnosis import Diagnosis
from frontierlab.errors import Cancelled, CoolrError, InvalidRequestError
from frontierlab.util.progress import Progress
from tests.support.logs import START, make_dataset


@pytest.fixture
def settings(sample_settings: fl.Settings) -> fl.Settings:
    return sample_settings


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("frontierlab.reports.report.CHAPTERS", {"Databases": ("queries_per_db",)})


def text_of(path: Path) -> str:
    """Return the text of a page between its tags, before the scripts at its end."""
    body = path.read_text("utf-8").partition("<body>")[2].partition("<footer>")[0]
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<script.*?</script>|<[^>]*>", " ", body, flags=re.DOTALL)))


@pytest.mark.slow
def test_incidents_and_the_worst_folders_come_first(
    sample_dataset: fl.Dataset,
    settings: fl.Settings,
    sample_diagnosis: Diagnosis,
    sample_figures: pd.DataFrame,
    tmp_path: Path,
) -> None:
    told: list[Progress] = []
    page = fl.report(sample_dataset, settings=settings, path=tmp_path / "page.html", progress=told.append)
    text, source = text_of(page), page.read_text("utf-8")
    found = sample_diagnosis
    assert len(found) > 3
    places = [text.index(one.sentence) for one in found]
    for number, one in enumerate(found, 1):
        assert f"{one.advice} Tell {one.tell}." in text
        assert source.count(f'href="#incident-{number}">Evidence') == source.count(f'id="incident-{number}"') == 1
        consequences = sum(other.cause == number - 1 for other in found)
        assert source.count(f'href="#incident-{number}">Likely') == consequences
    for row in sample_figures.head(3).to_dict("records"):
        names = {name: row[name] for name in ("db", "schema", "nodefullpath", "tagname")}
        lost = []
        for how in ("wasted", "repeated"):
            seconds, size = row[f"{how}_dbtime"] / 1000, row[f"{how}_bytes"]
            amount = f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"
            lost.append(f"{how}: {seconds:,.0f} s of database time, {amount}")
        line = f"{' '.join(names.values())} : {row['cause']}; {'; '.join(lost)} "
        places.append(text.index(line))
        helps = fl.caching.what_if(sample_dataset, settings, **names).attrs
        assert f"{line}{helps['cure']} {helps['reasons']}" in text
    assert [*places, text.index("documents read")] == sorted([*places, text.index("documents read")])
    assert {"incidents", "worst folders", "queries_per_db"} <= {record.message for record in told}
    assert [one.done for one in told] == sorted(one.done for one in told)


@pytest.mark.slow
def test_a_diagnosis_that_fails_costs_nothing_else(
    sample_dataset: fl.Dataset, settings: fl.Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise ZeroDivisionError("by <nothing>")

    def silent(*_: object, **__: object) -> None:
        raise CoolrError("COOLR does not answer.")

    monkeypatch.setattr("frontierlab.reports.beginning.diagnose", fails)
    monkeypatch.setattr("frontierlab.reports.beginning.worst", silent)
    text = text_of(fl.report(sample_dataset, settings=settings, path=tmp_path / "page.html"))
    assert "The incidents are not known: ZeroDivisionError: by <nothing>" in text
    assert "The worst folders are not known: COOLR does not answer." in text
    assert "Nothing unusual" not in text
    assert "documents read" in text


def test_a_beginning_can_be_stopped_and_left_out(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "day", [{"time": START}])
    path = tmp_path / "page.html"

    def stop(record: Progress) -> None:
        if record.message in ("repeats", "worst folders"):
            raise InvalidRequestError("Enough.")

    with pytest.raises(InvalidRequestError, match="Enough"):
        fl.report(dataset, path=path, progress=stop)
    with fl.cancellable() as running:
        running.cancel()
        with pytest.raises(Cancelled):
            fl.report(dataset, path=path)
    assert not path.exists()
    assert "What happened" not in text_of(fl.report(dataset, path=path, findings=False))


def test_what_is_not_known_is_said(tmp_path: Path) -> None:
    half = make_dataset(tmp_path / "half", [{"time": START}], missing=1)
    text = text_of(fl.report(half, path=tmp_path / "page.html"))
    assert "Incidents were not looked for, because the dataset is incomplete." in text
    assert "The worst folders are not known: " in text
    assert "coolr_host" in text  # none is set
