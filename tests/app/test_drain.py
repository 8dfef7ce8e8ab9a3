"""How a server ends while it works, and what it logs; with a fake model, so that it starts soon."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from app.test_serve import started
from patience import PATIENCE, until
from qa.config import Settings

#: A server whose answers take until the file `go` appears in the folder that is its first argument.
FAKED = f"""
import dataclasses, pathlib, sys, threading, time
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
import qa.assistant
from fakes import FakeEncoder
qa.assistant.open_encoder = lambda settings: FakeEncoder()
ask = qa.assistant.Assistant.ask
def slow(self, question, **options):
    if not threading.current_thread().name.startswith("question"):  # the server asks by itself
        return ask(self, question, **options)
    pathlib.Path(sys.argv[1], "asked").touch()
    while not pathlib.Path(sys.argv[1], "go").exists():
        time.sleep(0.01)
    return ask(self, question, **options)
qa.assistant.Assistant.ask = slow
from qa.stores.local import LocalStore
document = LocalStore.document
def long(self, uri):
    found = document(self, uri)
    return dataclasses.replace(found, text="x" * 20_000_000) if uri == "notes.txt" else found
LocalStore.document = long
from qa.cli import main
sys.exit(main(sys.argv[2:]))
"""


@pytest.fixture(autouse=True)
def _waits_for_replies(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that does not see that all replies are sent ends too late for these tests."""
    monkeypatch.setenv("QA_DRAIN_SECONDS", "3600")


@contextmanager
def server(
    settings: Settings, folder: Path, *options: str
) -> Iterator[tuple[subprocess.Popen[str], int]]:
    where = ["--corpus", str(settings.corpus), "--index", str(settings.index)]
    with started("-c", FAKED, str(folder), "serve", "--port", "0", *where, *options) as found:
        yield found


def request(port: int, method: str, path: str, body: object = None, **headers: str) -> Any:
    """Return status, headers and body; status 0 where the connection broke."""
    if body is not None:
        headers["Content-Type"] = "application/json"
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)) as connection:
        try:
            connection.request(method, path, json.dumps(body) if body else None, headers)
            reply = connection.getresponse()
            return reply.status, dict(reply.headers), reply.read()
        except (OSError, http.client.HTTPException):
            return 0, {}, b""


def wait_until_deaf(port: int) -> None:
    """Wait until nobody listens on the port."""

    def deaf() -> bool:
        with socket.socket() as probe:
            return bool(probe.connect_ex(("127.0.0.1", port)))

    until(deaf)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_who_was_asking_is_answered_and_nobody_else_is_let_in(
    indexed: Settings, tmp_path: Path, number: signal.Signals
) -> None:
    with server(indexed, tmp_path) as (process, port):
        replies: list[Any] = []
        question = {"question": "Where does the Danube rise?"}
        asking = threading.Thread(
            target=lambda: replies.append(request(port, "POST", "/api/v1/answer", question))
        )
        asking.start()
        until((tmp_path / "asked").exists)
        process.send_signal(number)
        wait_until_deaf(port)
        assert process.poll() is None
        (tmp_path / "go").touch()
        asking.join()
        assert process.wait(PATIENCE) == 0
        assert process.stderr and process.stderr.read() == ""
    ((status, _, body),) = replies
    assert (status, json.loads(body)["question"]) == (200, question["question"])


def test_a_long_reply_is_sent_to_its_end(indexed: Settings, tmp_path: Path) -> None:
    """More than fits the buffers of the system, to a client that reads slowly."""
    with server(indexed, tmp_path) as (process, port), socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", port))
        client.settimeout(60)
        client.sendall(
            f"GET /api/v1/sources/notes.txt HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
        )
        reply = http.client.HTTPResponse(client)
        reply.begin()
        process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        assert process.poll() is None
        text = json.loads(reply.read())["text"]
        assert len(text) == 20_000_000
        assert process.wait(PATIENCE) == 0


def test_the_time_for_it_is_limited(
    indexed: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QA_DRAIN_SECONDS", "1")
    with server(indexed, tmp_path) as (process, port):
        question = {"question": "Gold?"}
        replies: list[Any] = []
        asking = threading.Thread(
            target=lambda: replies.append(request(port, "POST", "/api/v1/answer", question))
        )
        asking.start()
        until((tmp_path / "asked").exists)
        process.terminate()
        assert process.wait(PATIENCE) == 0
        assert process.stderr
        assert "stopped after 1 s with 1 requests unanswered" in process.stderr.read()
        asking.join()
    assert replies == [(0, {}, b"")]


def test_a_question_that_was_given_up_holds_nothing_up(
    indexed: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QA_REQUEST_SECONDS", "1")
    with server(indexed, tmp_path) as (process, port):
        status, _, _ = request(port, "POST", "/api/v1/answer", {"question": "Gold?"})
        assert status == 503
        process.terminate()
        assert process.wait(PATIENCE) == 0


def test_a_second_signal_ends_at_once(indexed: Settings, tmp_path: Path) -> None:
    with server(indexed, tmp_path) as (process, port):
        asking = threading.Thread(
            target=request, args=(port, "POST", "/api/v1/answer", {"question": "Gold?"})
        )
        asking.start()
        until((tmp_path / "asked").exists)
        process.send_signal(signal.SIGINT)
        wait_until_deaf(port)  # two signals that nobody has looked at are one
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0
        asking.join()


def test_a_proxy_is_believed_only_where_it_is_named(
    indexed: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "go").touch()
    monkeypatch.setenv("QA_LOG_LEVEL", "info")
    for proxy, client in (("", "127.0.0.1"), ("127.0.0.1", "192.0.2.44")):
        monkeypatch.setenv("QA_PROXY", proxy)
        with server(indexed, tmp_path) as (process, port):
            request(port, "GET", "/healthz", **{"X-Forwarded-For": "192.0.2.44"})
            process.terminate()
            assert process.wait(PATIENCE) == 0
            assert process.stderr
            assert f'client="{client}"' in process.stderr.read()


@pytest.mark.parametrize("asked_for", [True, False])
def test_the_log_is_json_and_knows_no_question_unless_told(
    indexed: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked_for: bool
) -> None:
    (tmp_path / "go").touch()
    for key, value in (("LEVEL", "info"), ("FORMAT", "json"), ("QUESTIONS", str(asked_for))):
        monkeypatch.setenv(f"QA_LOG_{key}", value)
    with server(indexed, tmp_path) as (process, port):
        question = {"question": "Who keeps\nsecrets?"}
        request(port, "POST", "/api/v1/answer", question, **{"X-Request-ID": "mine-1.a"})
        request(port, "GET", "/?q=Who+keeps+secrets", **{"X-Request-ID": "a b\tc"})
        process.terminate()
        assert process.wait(PATIENCE) == 0
        assert process.stderr
        entries = [json.loads(line) for line in process.stderr.read().splitlines()]
    answered, page = (entry for entry in entries if entry["message"] == "request")
    assert answered["request_id"] == "mine-1.a"
    assert (answered["method"], answered["path"], answered["status"]) == (
        "POST",
        "/api/v1/answer",
        200,
    )
    assert answered["ms"] > 0
    assert answered.get("question") == (question["question"] if asked_for else None)
    assert (page["path"], len(page["request_id"])) == ("/", 16)
    assert ("secrets" in json.dumps(entries)) is asked_for
