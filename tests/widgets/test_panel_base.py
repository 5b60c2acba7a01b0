"""The base of panels: state and view, work in threads, errors, and what is kept."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading

import frontierlab_widgets
import ipywidgets as widgets
import pytest
import traitlets
from frontierlab_widgets.code_box import Expression, call
from frontierlab_widgets.formatting import duration, progress_line, sentence
from frontierlab_widgets.origin import Origin
from frontierlab_widgets.panel import Panel, Phase

import frontierlab as fl
from frontierlab.errors import Cancelled, InvalidRequestError, JobError
from frontierlab.util.progress import Progress

LONG = 30  # seconds after which a test that waits has failed


class Counter(Panel):
    """Counts in a thread, up to a number that is typed."""

    title = "Counter <b>"
    number = traitlets.Int(3).tag(saved=True)
    counted = traitlets.Int(0)

    def build(self):
        self.field = widgets.Text(description="how many")
        self.button = widgets.Button(description="Count")
        self.go = threading.Event()
        self.begun = threading.Event()
        self.placed = self.bind("number", self.field, read=self.read, show=str)
        self.click(self.button, self.count, always=False, uses=["number"])
        return [self.placed, self.button]

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
    assert panel._going.layout.visibility == "hidden"
    assert "Counter &lt;b&gt;" in panel.children[1].value
    assert panel.children[-1] is panel.foot


def test_all_arguments_are_set_before_one_is_followed(data_dir):
    class Pair(Panel):
        first, second = traitlets.Unicode(), traitlets.Unicode()

        def build(self):
            self.seen = []
            self.on(lambda: self.seen.append((self.first, self.second)), "first", "second")
            return []

    panel = Pair(fl.Settings(data_dir=data_dir), first="a", second="b")
    assert panel.seen == [("a", "b")] * 2
    panel.close()
    with pytest.raises(InvalidRequestError, match="Pair has no trait third"):
        Pair(fl.Settings(data_dir=data_dir), first="a", third="c")


def test_the_view_follows_the_state_and_the_state_the_view(panel):
    panel.number = 7
    assert panel.field.value == "7"
    panel.field.value = "8"
    assert panel.number == 8


def told(panel):
    return panel.placed.children[1]


def test_an_invalid_field_is_marked_and_disables_its_buttons(panel):
    panel.field.value = "many <i>"
    assert (panel.number, panel.error, panel.phase) == (3, "", Phase.READY)
    assert panel.invalid == {"number": "'many <i>' is no number."}
    assert "&#x27;many &lt;i&gt;&#x27; is no number." in told(panel).value
    assert 'role="alert"' in told(panel).value
    assert told(panel).layout.display == ""
    assert "frontierlab-invalid" in panel.placed._dom_classes
    assert panel.button.disabled
    panel.button.click()
    assert "Correct the field 'how many' first. 'many <i>' is no number." in panel.error
    assert panel.phase is Phase.READY
    panel.field.value = "5"
    assert (panel.number, panel.error, panel.invalid, told(panel).value) == (5, "", {}, "")
    assert told(panel).layout.display == "none"
    assert "frontierlab-invalid" not in panel.placed._dom_classes
    assert not panel.button.disabled


@pytest.mark.slow
@pytest.mark.parametrize("number", [3, 4])
def test_setting_the_trait_corrects_its_field(panel, number):
    panel.field.value = "many"
    panel.number = number  # 3 it is already
    assert (panel.field.value, panel.invalid, panel.button.disabled) == (str(number), {}, False)


def test_an_invalid_value_that_code_sets_is_marked_too(panel):
    panel.number = -4
    assert panel.invalid == {"number": "'-4' is no number."}
    assert panel.button.disabled


def test_a_field_stays_invalid_while_work_goes_on_and_after(panel):
    panel.button.click()
    assert panel.begun.wait(LONG)
    panel.field.value = "many"
    panel.go.set()
    assert panel.wait(LONG)
    assert (panel.phase, panel.counted, panel.button.disabled) == (Phase.DONE, 3, True)


def test_a_button_that_uses_no_field_works_beside_an_invalid_one(panel):
    panel.button.click()
    panel.field.value = "a lot"
    panel._stop.click()
    panel.go.set()
    assert panel.wait(LONG)
    assert (panel.phase, panel.error) == (Phase.STOPPED, "")


def test_work_goes_on_in_a_thread_and_ends(panel):
    panel.button.click()
    assert panel.begun.wait(LONG)
    assert panel.phase is Phase.WORKING
    assert panel.button.disabled
    assert panel._going.layout.visibility == "visible"
    panel.go.set()
    assert panel.wait(LONG)
    assert (panel.phase, panel.counted, panel.progress) == (Phase.DONE, 3, None)
    assert not panel.button.disabled


def test_work_can_be_stopped(panel):
    panel.button.click()
    assert panel.begun.wait(LONG)
    panel._stop.click()
    assert "stopping" in panel._line.value
    panel.go.set()
    assert panel.wait(LONG)
    assert (panel.phase, panel.counted) == (Phase.STOPPED, 0)
    assert panel.message == "Stopped; nothing was changed."


def test_an_invalid_input_does_not_interrupt_running_work(panel):
    panel.button.click()
    assert panel.begun.wait(LONG)
    panel.guarded(lambda: panel.read("many"))
    assert panel.error == "'many' is no number."
    assert (panel.phase, panel._going.layout.visibility, panel.button.disabled) == (Phase.WORKING, "visible", True)
    panel.go.set()
    assert panel.wait(LONG)
    assert (panel.phase, panel.counted, panel.error) == (Phase.DONE, 3, "'many' is no number.")


def test_other_work_is_refused_while_work_is_running(panel):
    panel.button.click()
    assert panel.begun.wait(LONG)
    for replaceable in (False, True):
        panel.guarded(lambda r=replaceable: panel.begin(lambda work: None, replaceable=r))
        assert "This panel is at work (working). Wait for its end, or click Stop" in panel.error
    panel.go.set()
    assert panel.wait(LONG)
    assert (panel.phase, panel.counted) == (Phase.DONE, 3)


def test_newer_work_replaces_work_that_is_replaceable(panel):
    begun, came = threading.Event(), []

    def draw(work):
        begun.set()
        assert work.stopping.wait(LONG)
        return "old"

    panel.begin(draw, came.append, replaceable=True)
    assert begun.wait(LONG)
    first = panel._work
    panel.begin(lambda work: "new", came.append)
    assert panel.wait(LONG)
    assert first.join(LONG)
    assert (panel.phase, came) == (Phase.DONE, ["new"])


def test_work_starts_its_follow_up_work(panel):
    came = []
    panel.begin(lambda work: 1, lambda one: panel.begin(lambda work: one + 1, came.append))
    assert panel.wait(LONG)
    assert (panel.phase, came) == (Phase.DONE, [2])


def test_work_that_does_not_stop_is_abandoned_and_its_result_dropped(panel, monkeypatch):
    monkeypatch.setattr("frontierlab_widgets.work_mixin.STOP_SECONDS", 0.05)
    begun, end, given_up, came = threading.Event(), threading.Event(), threading.Event(), []

    def work(work):
        work.report(Progress("asking the server", 3, 20, 1.0, None))
        begun.set()
        assert end.wait(LONG)
        return "late"

    panel.observe(lambda _: given_up.set(), "phase")
    panel.begin(work, came.append)
    assert begun.wait(LONG)
    given_up.clear()
    hung = panel._work
    hung.when_stopped(lambda: end.wait(LONG))  # nor does this hold who stops it
    panel._stop.click()
    assert given_up.wait(LONG)
    assert panel.phase is Phase.STOPPED
    assert "has not ended yet (its last progress: asking the server, 3 of 20, 1.0 a second)" in panel.message
    panel.begin(lambda work: "next", came.append)
    assert panel.wait(LONG)
    end.set()
    assert hung.join(LONG)
    assert (panel.phase, came) == (Phase.DONE, ["next"])


@pytest.mark.parametrize(
    ("error", "shown"),
    [(Cancelled("ended"), ""), (JobError("The job cannot be cancelled"), "The job cannot be cancelled.")],
)
def test_an_error_after_a_stop_is_shown_unless_the_stop_caused_it(panel, error, shown):
    def work(work):
        assert work.stopping.wait(LONG)
        raise error

    panel.begin(work)
    panel._stop.click()
    assert panel.wait(LONG)
    assert (panel.phase, panel.error) == (Phase.STOPPED, shown)


def test_waiting_for_a_chain_of_work_respects_the_timeout(panel):
    panel.button.click()
    assert not panel.wait(0.01)
    panel.go.set()
    assert panel.wait(LONG)


@pytest.mark.parametrize("where", ["click", "work", "then"])
def test_an_unexpected_error_is_shown_and_logged(panel, caplog, where):
    def bad(*_):
        raise ZeroDivisionError("division <by> zero")

    if where == "click":
        other = widgets.Button()
        panel.click(other, bad)
        other.click()
    else:
        panel.begin(*((bad,) if where == "work" else (lambda _: None, bad)))
    assert panel.wait(LONG)
    assert "There was an unexpected error: ZeroDivisionError: division <by> zero" in panel.error
    assert "division &lt;by&gt; zero" in shown(panel)
    assert panel.phase is (Phase.READY if where == "click" else Phase.FAILED)
    (record,) = [one for one in caplog.records if one.name == "frontierlab_widgets"]
    assert record.levelno == logging.ERROR
    assert record.exc_info[0] is ZeroDivisionError
    caplog.clear()


def test_an_expected_error_is_shown_as_a_sentence(panel):
    def bad(_):
        raise InvalidRequestError("that makes no sense")

    panel.begin(bad)
    assert panel.wait(LONG)
    assert (panel.phase, panel.error) == (Phase.FAILED, "that makes no sense.")


def test_a_saved_state_is_restored(panel):
    panel.number = 12
    state = json.loads(json.dumps(panel.state()))
    assert state == {"panel": "Counter", "number": 12}
    assert Counter.from_state(state, panel.settings).number == 12
    assert Counter.from_state(json.dumps(state), panel.settings).field.value == "12"


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"panel": "Other"}, "not the state of a Counter"),
        ("{", "not the state of a panel"),
        ("[]", "not the state"),
        ({"panel": "Counter", "colour": 1}, "has colour, which Counter does not know. It knows: number"),
        ({"panel": "Counter", "number": "x"}, "a value of number that is not valid"),
    ],
)
def test_the_state_of_something_else_is_refused(panel, state, message):
    with pytest.raises(InvalidRequestError, match=message):
        Counter.from_state(state, panel.settings)


def test_an_unknown_trait_is_refused(data_dir):
    with pytest.raises(InvalidRequestError, match="Counter has no trait colour"):
        Counter(fl.Settings(data_dir=data_dir), colour="red")


def test_a_panel_says_why_its_configuration_cannot_be_read(monkeypatch, tmp_path, data_dir):
    monkeypatch.setenv("CONFIG_FILE", str(tmp_path / "nowhere.txt"))
    panel = Counter()
    assert (panel.settings, panel.error) == (None, "")
    assert "nowhere.txt" in panel._problem_note.value
    assert "cannot be read: No such file or directory" in panel._problem_note.value
    assert "Correct it, and run this cell again." in panel._problem_note.value
    with pytest.raises(InvalidRequestError, match=r"nowhere\.txt, .* cannot be read"):
        panel.require_settings()
    monkeypatch.undo()
    panel.settings = fl.Settings(data_dir=data_dir)
    assert panel._problem_note.value == ""
    assert panel.require_settings() is panel.settings


def test_the_bar_is_not_full_while_the_total_is_unknown():
    panel = Panel(fl.Settings())
    panel.progress = Progress("starting Spark", 0, None, 0.0, None)
    assert (panel._bar.value, panel._bar._dom_classes) == (0, ("frontierlab-unknown",))
    panel.progress = Progress("reading", 5, 10, 1.0, 5.0)
    assert (panel._bar.value, panel._bar._dom_classes) == (0.5, ())


def test_progress_and_times_in_words():
    assert progress_line(Progress("reading", 500, 2_000, 125.0, 12.0)) == (
        "reading, 500 of 2,000, 125 a second, 12 s left"
    )
    assert progress_line(Progress("following", 220_776, None, 3_607.0, None, unit="lines")) == (
        "following, 220,776 lines, 3,607 a second"
    )
    assert progress_line(Progress("waiting", 0, None, 0.0, None, "for Spark")) == "waiting: for Spark"
    assert [duration(seconds) for seconds in (0.4, 59, 61, 3_600 * 2 + 300)] == [
        "0 s",
        "59 s",
        "1 min 1 s",
        "2 h 5 min",
    ]
    assert sentence(InvalidRequestError("Ends already.")) == "Ends already."


ODD = ["it's", 'a "b"', "C:\\n", "line\nbreak", "tab\t", "Ünïcode 値 \u2028", "\ud800", "{x}", "'\"\\", ""]


@pytest.mark.parametrize("odd", ODD)
def test_a_written_call_evaluates_to_its_values(odd):
    got = []
    call_text = call("take", odd, Expression("settings"), x=[odd, None, True, 2**60], y={odd: (odd, 1.5)}, z=odd * 50)
    exec(compile(call_text, "code", "exec"), {"take": lambda *a, **k: got.append((a, k)), "settings": "ours"})
    assert got == [((odd, "ours"), {"x": [odd, None, True, 2**60], "y": {odd: [odd, 1.5]}, "z": odd * 50})]


def test_a_written_selection_evaluates_to_itself():
    selection = fl.Selection(db="CONDBR2", nodefullpath="/a/b's", since="2026-10-01", taskid=[1, 2])
    names = {"fl": fl, "take": lambda given: given}
    assert eval(call("take", selection), names) == selection


def test_public_names_are_sorted_and_documented():
    assert frontierlab_widgets.__all__ == sorted(frontierlab_widgets.__all__)
    for name in frontierlab_widgets.__all__:
        value = getattr(frontierlab_widgets, name)
        assert vars(value).get("__doc__"), name
        assert name in dir(frontierlab_widgets)
    with pytest.raises(AttributeError, match="no_such_panel"):
        _ = frontierlab_widgets.no_such_panel


def test_simultaneous_actions_run_one_after_the_other(panel):
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


class Clock(Panel):
    """Counts its ticks."""

    def build(self):
        self.ticked = threading.Semaphore(0)
        self.tick(self.ticked.release, 0.01)
        return []


def test_a_timer_runs_only_while_a_page_shows_the_panel(data_dir, monkeypatch):
    panel = Clock(fl.Settings(data_dir=data_dir))
    kernel_status, (timer,) = panel._kernel_status, panel._timers
    asked = threading.Event()
    monkeypatch.setattr("frontierlab_widgets.kernel_status.ASK_SECONDS", 0.0)
    monkeypatch.setattr(kernel_status, "send", lambda content: asked.set())
    assert timer._thread is None
    kernel_status._answered(None, {"shown": True}, [])
    thread = timer._thread
    assert panel.ticked.acquire(timeout=LONG)
    assert panel.ticked.acquire(timeout=LONG)
    assert asked.wait(LONG)  # and the page answers
    kernel_status._answered(None, {"shown": True}, [])
    assert timer._thread is thread
    monkeypatch.setattr("frontierlab_widgets.kernel_status.GONE_SECONDS", 0.0)  # it answers no more
    thread.join(LONG)
    assert (thread.is_alive(), timer._thread) == (False, None)
    monkeypatch.undo()
    kernel_status._answered(None, {"shown": True}, [])  # shown again
    assert timer._thread.is_alive()
    thread = timer._thread
    panel.close()
    thread.join(LONG)
    assert not thread.is_alive()
    kernel_status._answered(None, {"shown": True}, [])
    assert timer._thread is None


def test_a_closed_panel_closes_its_widgets_and_stops_replaceable_work(panel):
    button = panel.button
    job = threading.Event()
    panel.begin(lambda work: work.stopping.wait(LONG), replaceable=True)
    work = panel._work
    panel.close()
    assert work.join(LONG)
    assert [one.comm for one in (panel, button, panel.field, panel._stop, panel._kernel_status)] == [None] * 5
    other = Counter(panel.settings)
    other.begin(lambda work: job.wait(LONG))
    work = other._work
    other.close()
    assert not work.stopping.is_set()  # a job goes on
    job.set()
    assert work.join(LONG)


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (fl.Selection(since="2026-10-01T06:00"), 'not of the selection "from 2026-10-01 06:00 UTC"'),
        (fl.Selection(cached=False), 'not of the selection "not cached"'),
        (fl.Selection(), ""),
    ],
)
def test_stale_figures_name_the_chosen_selection(selection, expected):
    computed, chosen = (Origin("day", "1", one) for one in (fl.Selection(), selection))
    assert computed.differs(chosen) == expected
    assert not expected or chosen.differs(computed) == "not of all queries"


def test_work_is_stopped_and_waited_for_at_the_end_of_the_process(tmp_path):
    script = f"""
import pathlib
from frontierlab_widgets.work import Work

def run(work):
    work.stopping.wait(60)
    pathlib.Path({str(tmp_path / "ended")!r}).touch()

class Panel:
    def __del__(self, work=Work(run, lambda *_: None, lambda *_: None)):
        work.when_stopped(lambda: None)
        work.stop()  # as a panel does that is closed when the interpreter ends

panel = Panel()
Work(run, lambda *_: None, lambda *_: None).start()
"""
    done = subprocess.run([sys.executable, "-c", script], timeout=LONG, check=True, capture_output=True, text=True)
    assert (done.stderr, (tmp_path / "ended").exists()) == ("", True)
