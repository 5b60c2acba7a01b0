"""The base of panels: state and view, work in threads, errors, and what is kept."""

from __future__ import annotations

import json
import logging
import threading

import frontierlab_widgets
import ipywidgets as widgets
import pytest
import traitlets
from frontierlab_widgets.panel import Panel, Phase
from frontierlab_widgets.words import duration, progress_line, sentence

import frontierlab as fl
from frontierlab.errors import InvalidRequestError
from frontierlab.progress import Progress

LONG = 30  # seconds after which a test that waits has failed


class Counter(Panel):
    """Counts in a thread, up to a number that is typed."""

    title = "Counter <b>"
    number = traitlets.Int(3).tag(kept=True)
    counted = traitlets.Int(0)

    def build(self):
        self.field = widgets.Text()
        self.button = widgets.Button(description="Count")
        self.go = threading.Event()
        self.begun = threading.Event()
        self.bind("number", self.field, read=self.read, show=str)
        self.click(self.button, self.count, always=False)
        return [self.field, self.button]

    def read(self, text):
        if not text.isdecimal():
            raise InvalidRequestError(f"{text!r} is no number")
        return int(text)

    def count(self):
        number = self.number

        def work(work):
            self.begun.set()
            assert self.go.wait(LONG)
            for i in range(number):
                work.report(Progress("counting", i, number, 1.0, number - i))
            return number

        self.begin(work, lambda count: setattr(self, "counted", count))


@pytest.fixture
def panel(data_dir):
    return Counter(fl.Settings(data_dir=data_dir))


def shown(panel):
    return panel._error.value


def test_initially_it_is_ready_and_its_view_shows_its_traits(panel):
    assert (panel.phase, panel.error, panel.message, panel.progress) == (Phase.READY, "", "", None)
    assert panel.field.value == "3"
    assert panel._going.layout.display == "none"
    assert "Counter &lt;b&gt;" in panel.children[1].value
    assert panel.children[-1] is panel.foot


def test_the_view_follows_the_state_and_the_state_the_view(panel):
    panel.number = 7
    assert panel.field.value == "7"
    panel.field.value = "8"
    assert panel.number == 8


def test_what_cannot_be_read_is_said_and_changes_nothing(panel):
    panel.field.value = "many <i>"
    assert panel.number == 3
    assert panel.error == "'many <i>' is no number."
    assert "&#x27;many &lt;i&gt;&#x27; is no number." in shown(panel)
    assert 'role="alert"' in shown(panel)
    panel.field.value = "5"
    assert (panel.number, panel.error, shown(panel)) == (5, "", "")


def test_work_goes_on_in_a_thread_and_ends(panel):
    panel.button.click()
    assert panel.begun.wait(LONG)
    assert panel.phase is Phase.WORKING
    assert panel.button.disabled
    assert panel._going.layout.display == ""
    panel.go.set()
    assert panel.wait(LONG)
    assert (panel.phase, panel.counted, panel.progress) == (Phase.DONE, 3, None)
    assert not panel.button.disabled


def test_it_can_be_stopped(panel):
    panel.button.click()
    assert panel.begun.wait(LONG)
    panel._stop.click()
    assert "stopping" in panel._line.value
    panel.go.set()
    assert panel.wait(LONG)
    assert (panel.phase, panel.counted) == (Phase.STOPPED, 0)
    assert panel.message == "Stopped; nothing was changed."


def test_the_newest_work_wins(panel):
    panel.button.click()
    assert panel.begun.wait(LONG)
    first = panel._work
    panel.number = 4
    panel.count()
    panel.go.set()
    assert panel.wait(LONG)
    assert first.join(LONG)
    assert (panel.phase, panel.counted) == (Phase.DONE, 4)


@pytest.mark.parametrize("where", ["click", "work", "then"])
def test_an_error_nobody_foresaw_is_shown_and_logged(panel, caplog, where):
    def bad(*_):
        raise ZeroDivisionError("division <by> zero")

    if where == "click":
        panel.click(panel.button, bad)
        panel.go.set()
        panel.button.click()
    else:
        panel.begin(*((bad,) if where == "work" else (lambda _: None, bad)))
    assert panel.wait(LONG)
    assert "should not have: ZeroDivisionError: division <by> zero" in panel.error
    assert "division &lt;by&gt; zero" in shown(panel)
    assert panel.phase is Phase.FAILED
    (record,) = [one for one in caplog.records if one.name == "frontierlab_widgets"]
    assert record.levelno == logging.ERROR
    assert record.exc_info[0] is ZeroDivisionError
    caplog.clear()


def test_an_error_raised_on_purpose_is_a_sentence(panel):
    def bad(_):
        raise InvalidRequestError("that makes no sense")

    panel.begin(bad)
    assert panel.wait(LONG)
    assert (panel.phase, panel.error) == (Phase.FAILED, "that makes no sense.")


def test_what_is_kept_comes_back(panel):
    panel.number = 12
    state = json.loads(json.dumps(panel.state()))
    assert state == {"panel": "Counter", "number": 12}
    assert Counter.from_state(state, panel.settings).number == 12
    assert Counter.from_state(json.dumps(state), panel.settings).field.value == "12"


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"panel": "Other"}, "not the state of a Counter"),
        ("{", "no state of a panel"),
        ("[]", "no state of a panel|not the state"),
        ({"panel": "Counter", "colour": 1}, "has colour, which Counter does not know. It knows: number"),
        ({"panel": "Counter", "number": "x"}, "a value for number that cannot be"),
    ],
)
def test_the_state_of_something_else_is_refused(panel, state, message):
    with pytest.raises(InvalidRequestError, match=message):
        Counter.from_state(state, panel.settings)


def test_a_trait_that_is_none_is_refused(data_dir):
    with pytest.raises(InvalidRequestError, match="Counter has no trait colour"):
        Counter(fl.Settings(data_dir=data_dir), colour="red")


def test_settings_that_cannot_be_are_said(monkeypatch, tmp_path):
    monkeypatch.setenv("CONFIG_FILE", str(tmp_path / "nowhere.txt"))
    panel = Counter()
    assert panel.settings is None
    assert "nowhere.txt" in panel.error
    assert "cannot be read" in shown(panel)


def test_progress_and_times_in_words():
    assert progress_line(Progress("reading", 500, 2_000, 125.0, 12.0)) == (
        "reading, 500 of 2,000, 125 a second, 12 s left"
    )
    assert progress_line(Progress("waiting", 0, None, 0.0, None, "for Spark")) == "waiting: for Spark"
    assert [duration(seconds) for seconds in (0.4, 59, 61, 3_600 * 2 + 300)] == [
        "0 s",
        "59 s",
        "1 min 1 s",
        "2 h 5 min",
    ]
    assert sentence(InvalidRequestError("Ends already.")) == "Ends already."


def test_the_names_are_sorted_there_and_documented():
    assert frontierlab_widgets.__all__ == sorted(frontierlab_widgets.__all__)
    for name in frontierlab_widgets.__all__:
        value = getattr(frontierlab_widgets, name)
        assert vars(value).get("__doc__"), name
        assert name in dir(frontierlab_widgets)
    with pytest.raises(AttributeError, match="no_such_panel"):
        _ = frontierlab_widgets.no_such_panel


def test_what_users_do_at_once_happens_one_after_the_other(panel):
    """JupyterLab hands the messages of widgets to several threads of the kernel."""
    held, let_go, order = threading.Event(), threading.Event(), []

    def first():
        held.set()
        assert let_go.wait(LONG)
        order.append("first")

    threads = [threading.Thread(target=panel.guarded, args=[first])]
    threads[0].start()
    assert held.wait(LONG)
    threads.append(threading.Thread(target=panel.guarded, args=[lambda: order.append("second")]))
    threads[1].start()
    threads[1].join(0.2)  # what it would take without waiting for its turn
    assert order == []
    let_go.set()
    for thread in threads:
        thread.join(LONG)
    assert order == ["first", "second"]
