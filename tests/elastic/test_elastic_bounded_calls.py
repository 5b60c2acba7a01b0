"""Every call to Elasticsearch ends within a bounded time, and at once where it has to stop."""

from __future__ import annotations

import _thread
import json
import threading
from collections.abc import Iterator

import pytest

from frontierlab import Settings, connections
from frontierlab.elastic.bounded_calls import call_within
from frontierlab.elastic.client import Index
from frontierlab.elastic.connection import ElasticOptions
from frontierlab.elastic.queries import search_body
from frontierlab.elastic.slices import PointInTime
from frontierlab.errors import ElasticsearchError
from tests.services.flaky import Answer, Fault, FlakyProxy, Silence, Trickle
from tests.services.processes import in_fork
from tests.support.waiting import wait_for

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])
EVERYTHING = {"match_all": {}}
NO_WAIT = 0.0
FAULTS = pytest.mark.parametrize("fault", [Silence(times=None), Trickle(times=None)], ids=["silence", "trickle"])


@pytest.fixture
def proxy() -> Iterator[FlakyProxy]:
    """A proxy without a server behind it."""
    with FlakyProxy("http://127.0.0.1:9") as proxy:
        yield proxy


def index(proxy: FlakyProxy, retry: float = NO_WAIT, **options: object) -> Index:
    settings = Settings(es_address=proxy.url, es_index="logs", es_retry_seconds=retry)
    return Index(ElasticOptions.of(settings), **options)


@FAULTS
def test_call_is_bounded_and_its_connection_closed(proxy: FlakyProxy, fault: Silence) -> None:
    proxy.faults.append(fault)
    with pytest.raises(ElasticsearchError, match=r"does not answer \(no whole answer within 0.5 s\)"):
        index(proxy, seconds=0.5).count(EVERYTHING)
    assert fault.left.wait(30)


@FAULTS
def test_retried_call_is_bounded(proxy: FlakyProxy, fault: Silence) -> None:
    proxy.faults.append(fault)
    with pytest.raises(ElasticsearchError, match="no whole answer within"):
        index(proxy, seconds=0.2, retry=1.0).count(EVERYTHING)
    assert len(proxy.requests) > 1


def test_slow_page_is_requested_again_in_a_smaller_size(proxy: FlakyProxy) -> None:
    page = {"hits": {"hits": [{"_source": {}, "sort": [1]}], "total": {"value": 1, "relation": "eq"}}}
    proxy.faults += [Silence(), Answer(200, page)]
    pages = index(proxy, seconds=0.5, retry=0.1).pages(search_body(EVERYTHING, 4_000, None), PointInTime("id"), 0, 1)
    assert [len(documents) for documents in pages] == [1]
    assert [json.loads(seen.body)["size"] for seen in proxy.requests] == [4_000, 2_000]


@FAULTS
def test_cancelled_reading_abandons_its_running_search(proxy: FlakyProxy, fault: Silence) -> None:
    proxy.faults.append(fault)
    cancelled, found = threading.Event(), list[BaseException]()

    def read() -> None:
        try:
            index(proxy, cancelled=cancelled).count(EVERYTHING)
        except ElasticsearchError as error:
            found.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    wait_for(lambda: fault.struck > 0, seconds=30)
    cancelled.set()
    thread.join(30)
    assert [str(error) for error in found] == ["The reading of logs was stopped."]
    assert fault.left.wait(30)


def test_cancelled_reading_does_not_wait_for_a_busy_server(proxy: FlakyProxy) -> None:
    busy = Answer(503, {"error": "busy", "status": 503}, times=None)
    proxy.faults.append(busy)
    cancelled = threading.Event()

    def cancel() -> None:
        if busy.struck:
            cancelled.set()

    with pytest.raises(ElasticsearchError, match="was stopped"):
        index(proxy, retry=3_600, cancelled=cancelled, waiting=cancel).count(EVERYTHING)


class Stop(BaseException):
    """What a progress function raises to stop the work."""


@FAULTS
def test_waiting_callback_can_stop_the_call(proxy: FlakyProxy, fault: Silence) -> None:
    proxy.faults.append(fault)

    def stop() -> None:
        if fault.struck:
            raise Stop

    with pytest.raises(Stop):
        index(proxy, waiting=stop).count(EVERYTHING)


def test_ctrl_c_ends_a_wait(proxy: FlakyProxy) -> None:
    class Interrupt(Silence):
        def act(self, exchange: object) -> None:
            _thread.interrupt_main()
            super().act(exchange)

    proxy.faults.append(Interrupt(times=None))
    with pytest.raises(KeyboardInterrupt):
        index(proxy).count(EVERYTHING)


@FAULTS
def test_connection_check_is_bounded(proxy: FlakyProxy, fault: Fault, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy.faults.append(fault)
    monkeypatch.setattr("frontierlab.elastic.client._FIRST", 0.5)
    found = connections.check("Elasticsearch", Settings(es_address=proxy.url, es_index="logs"))
    assert (found.state, "does not answer" in found.reason) == ("not reached", True)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({"hits": {"hits": [{"_source": {}}], "total": {"value": 1, "relation": "eq"}}}, "without the place where the"),
        ({"hits": {"hits": [{"_source": {}}], "total": {"value": 1, "relation": "gte"}}}, "did not count"),
        ({"hits": {"hits": [{"_source": {}}]}}, "did not count"),
        ({"took": 1}, "did not answer a search of logs with a page"),
    ],
)
def test_answer_that_is_not_a_complete_page_is_an_error(proxy: FlakyProxy, answer: dict, message: str) -> None:
    proxy.faults.append(Answer(200, answer, times=None))
    with pytest.raises(ElasticsearchError, match=message):
        [*index(proxy).pages(search_body(EVERYTHING, 1, None), PointInTime("id"), 0, 1)]


def test_the_newest_id_of_a_point_in_time_is_read_and_closed(proxy: FlakyProxy) -> None:
    def page(number: int) -> dict:
        hits = {"hits": [{"_source": {}, "sort": [number]}], "total": {"value": 2, "relation": "eq"}}
        return {"pit_id": f"id {number}", "hits": hits}

    proxy.faults.append(Answer(200, {"id": "id 0"}, when="_pit"))
    proxy.faults += [Answer(200, page(number), when="_search") for number in (1, 2)]
    proxy.faults.append(Answer(200, {"succeeded": True}, when="DELETE"))
    asked = index(proxy)
    with asked.point_in_time() as pit:
        assert len([*asked.pages(search_body(EVERYTHING, 1, None), pit, 0, 1)]) == 2
    named = [seen.body.decode() for seen in proxy.requests[1:]]
    assert [f"id {number}" in body for number, body in enumerate(named)] == [True] * 3


def test_a_forked_process_makes_calls_of_its_own(proxy: FlakyProxy) -> None:
    with pytest.raises(ElasticsearchError):
        index(proxy).count(EVERYTHING)
    assert in_fork(lambda: call_within(lambda: True, 30, lambda: None))
