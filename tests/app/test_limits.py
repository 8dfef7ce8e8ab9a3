"""Limits: sizes, requests of a client, questions at once, time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.exceptions import ServiceUnavailable, TooManyRequests

import qa.readers
from patience import PATIENCE
from qa.app.queue import Queue, abandoned
from qa.app.rate import RateLimiter, client_of
from qa.assistant import Assistant
from qa.config import Settings
from qa.readers.worker import Worker
from qa.types import Document
from qa.verify import Cited, verify

Serve = Callable[..., FlaskClient]


def ask(client: FlaskClient, **body: Any) -> Any:
    return client.post("/api/v1/answer", json={"question": "Gold?", **body})


@pytest.mark.parametrize(
    ("setting", "value", "fits", "beyond", "field"),
    [
        ("max_question", 9, {"question": "x" * 9}, {"question": "x" * 10}, "question"),
        ("max_passages", 7, {"limit": 7}, {"limit": 8}, "limit"),
        (
            "max_history",
            1,
            {"history": [{"question": "a"}]},
            {"history": [{"question": "a"}] * 2},
            "history",
        ),
    ],
)
def test_a_limit_is_a_setting(
    serve: Serve, setting: str, value: int, fits: Any, beyond: Any, field: str
) -> None:
    client = serve(**{setting: value})
    assert ask(client, **fits).status_code == 200
    reply = ask(client, **beyond)
    assert reply.status_code == 422
    assert [entry["field"] for entry in reply.get_json()["errors"]] == [field]
    assert ask(serve(), **beyond).status_code == 200


def test_a_large_body_is_refused(serve: Serve) -> None:
    client = serve(max_body_kb=4)
    assert ask(client, question="x" * 2000).status_code == 200
    reply = ask(client, sources=["x" * 5000])
    assert (reply.status_code, reply.content_type) == (413, "application/problem+json")


# rate


def test_a_bucket_is_emptied_and_fills_again() -> None:
    now = [0.0]
    limiter = RateLimiter(60, lambda: now[0])
    assert [limiter.take("a") for _ in range(60)] == [0.0] * 60
    assert limiter.take("a") == pytest.approx(1.0)
    assert limiter.take("b") == 0.0
    now[0] = 0.5
    assert limiter.take("a") == pytest.approx(0.5)
    now[0] = 2.5
    assert [limiter.take("a") for _ in range(3)] == [0.0, 0.0, pytest.approx(0.5)]
    now[0] = 1e9  # never more than a minute's worth
    assert [limiter.take("a") == 0.0 for _ in range(61)] == [True] * 60 + [False]


def test_many_clients_take_no_more_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qa.app.rate._REMEMBERED", 10)
    now = [0.0]
    limiter = RateLimiter(60, lambda: now[0])
    for number in range(1000):
        now[0] += 0.5  # full again after two others
        assert limiter.take(str(number)) == 0.0
        assert len(limiter._buckets) <= 10
    for _ in range(60):
        limiter.take("busy")
    for number in range(5):
        limiter.take(str(number))
    assert limiter.take("busy") > 0  # who used up a bucket is not forgotten


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unix", "unix"),
        (None, ""),
    ],
)
def test_what_tells_clients_apart(address: str | None, client: str) -> None:
    assert client_of(address) == client


def test_too_many_requests_are_sent_away(serve: Serve) -> None:
    client = serve(rate_per_minute=3)
    assert [ask(client).status_code for _ in range(3)] == [200] * 3
    reply = ask(client)
    assert (reply.status_code, reply.content_type) == (429, "application/problem+json")
    assert 1 <= int(reply.headers["Retry-After"]) <= 20
    assert "rate_per_minute" in reply.get_json()["detail"]
    assert client.get("/healthz").status_code == 200
    other = {"environ_base": {"REMOTE_ADDR": "192.0.2.9"}}
    assert client.get("/api/v1/status", **other).status_code == 200


def test_wrong_tokens_are_counted_too(serve: Serve) -> None:
    client = serve("t" * 16, rate_per_minute=5)
    codes = [client.post("/sign-in", data={"token": "wrong"}).status_code for _ in range(7)]
    assert codes == [401] * 5 + [429] * 2


def test_no_limit_is_a_setting(serve: Serve) -> None:
    client = serve(rate_per_minute=0)
    assert {client.get("/api/v1/index/jobs").status_code for _ in range(700)} == {200}


# the queue


def test_the_queue_runs_a_few_lets_a_few_wait_and_sends_the_rest_away() -> None:
    queue = Queue(threads=2, waiting=3, seconds=30)
    go, running = threading.Event(), threading.Semaphore(0)

    def work() -> str:
        running.release()
        go.wait()
        return "done"

    with ThreadPoolExecutor(5) as clients:
        replies = [clients.submit(queue.run, work) for _ in range(5)]
        for _ in range(2):
            assert running.acquire(timeout=PATIENCE)
        while sum(queue.state()) < 5:
            pass
        assert queue.state() == (2, 3)
        with pytest.raises(TooManyRequests) as caught:
            queue.run(work)
        assert dict(caught.value.get_headers())["Retry-After"] == "1"
        go.set()
        assert [reply.result(10) for reply in replies] == ["done"] * 5
    assert queue.state() == (0, 0)
    assert queue.run(lambda: "again") == "again"


def test_who_waits_too_long_is_told_so() -> None:
    queue = Queue(threads=1, waiting=1, seconds=0.05)
    go = threading.Event()
    with pytest.raises(ServiceUnavailable, match=r"No answer within 0\.05 s"):
        queue.run(go.wait)
    assert queue.state() == (1, 0)  # what began goes on, and keeps its place
    with pytest.raises(ServiceUnavailable):
        queue.run(lambda: "never run")
    assert queue.state() == (1, 0)  # what had not begun is forgotten
    go.set()
    while queue.state() != (0, 0):
        pass
    assert queue.run(lambda: "again") == "again"


def test_work_learns_that_nobody_waits_for_it() -> None:
    queue = Queue(threads=1, waiting=0, seconds=0.05)
    heard: list[bool] = []

    def work() -> None:
        while not abandoned():
            pass
        heard.append(True)

    with pytest.raises(ServiceUnavailable):
        queue.run(work)
    while queue.state() != (0, 0):
        pass
    assert heard == [True]
    assert not abandoned()
    assert Queue(threads=1, waiting=0, seconds=30).run(abandoned) is False


def test_files_are_read_no_longer_than_somebody_waits(
    indexed: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One request may name every file of a corpus; it holds a place in the queue no longer."""
    read: list[str] = []

    def note(worker: Worker, uri: str, data: bytes) -> Document:
        read.append(uri)
        return qa.readers.read(uri, data)

    monkeypatch.setattr(Worker, "read", note)
    cited = [Cited(uri, 0, 1, "x") for uri in ("notes.txt", "rivers.md", "cities/vienna.md")]
    with pytest.raises(TimeoutError):
        verify(indexed, cited, lambda: len(read) == 2)
    assert read == ["notes.txt", "rivers.md"]
    with pytest.raises(TimeoutError):  # also while it looks for a file that was renamed
        verify(indexed, [Cited("gone.txt", 0, 1, "x", "0" * 64)], lambda: True)


@pytest.mark.parametrize("error", [ValueError("own"), TimeoutError("own")])
def test_an_error_of_the_work_is_passed_on(error: Exception) -> None:
    def fail() -> None:
        raise error

    queue = Queue(threads=1, waiting=0, seconds=30)
    with pytest.raises(type(error), match="own"):
        queue.run(fail)
    assert queue.run(lambda: 1) == 1


def test_a_full_queue_over_the_interface(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    client = serve(threads=1, queue=0)
    began, go = threading.Event(), threading.Event()
    original = Assistant.ask

    def slow(self: Assistant, question: str, **options: Any) -> Any:
        began.set()
        go.wait()
        return original(self, question, **options)

    monkeypatch.setattr(Assistant, "ask", slow)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(ask, client.application.test_client())
        assert began.wait(PATIENCE)
        reply = ask(client)
        assert (reply.status_code, reply.headers["Retry-After"]) == (429, "1")
        assert 'qa_queue{state="running"} 1.0' in client.get("/metrics").text
        assert client.get("/api/v1/status").status_code == 200  # everything else goes on
        go.set()
        assert first.result(10).status_code == 200
