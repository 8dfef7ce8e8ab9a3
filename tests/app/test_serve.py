"""The server as a process: what it says, and how it ends."""

from __future__ import annotations

import http.client
import json
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from patience import PATIENCE
from qa.config import Settings

#: Starts the server with answers that take until a file appears.
SLOW = """
import sys, threading, time, pathlib
from qa.assistant import Assistant
ask = Assistant.ask
def slow(self, question, **options):
    if not threading.current_thread().name.startswith("question"):  # the server asks by itself
        return ask(self, question, **options)
    pathlib.Path(sys.argv[1], "asked").touch()
    while not pathlib.Path(sys.argv[1], "go").exists():
        time.sleep(0.01)
    return ask(self, question, **options)
Assistant.ask = slow
from qa.cli import main
sys.exit(main(sys.argv[2:]))
"""


@contextmanager
def started(*command: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    with subprocess.Popen(
        [sys.executable, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8"
    ) as server:
        assert server.stdout
        found = re.fullmatch(
            r"Serving on http://127\.0\.0\.1:(\d+) \(Ctrl-C stops\)\n", server.stdout.readline()
        )
        assert found
        try:
            yield server, int(found[1])
        finally:
            server.kill()


def post(port: int, question: str) -> tuple[int, dict[str, object]]:
    body = json.dumps({"question": question})
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)) as connection:
        connection.request("POST", "/api/v1/answer", body, {"Content-Type": "application/json"})
        reply = connection.getresponse()
        return reply.status, json.loads(reply.read())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_server_ends_cleanly(article_index: Settings, number: signal.Signals) -> None:
    """Requests held by threads once aborted the process while the interpreter ended."""
    with started("-m", "qa", "serve", "--port", "0", "--index", str(article_index.index)) as (
        server,
        port,
    ):
        clients = [threading.Thread(target=post, args=(port, "What happened?")) for _ in range(4)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        server.send_signal(number)
        assert server.wait(PATIENCE) == 0
        assert server.stderr and server.stderr.read() == ""


def test_a_request_in_flight_is_answered_before_the_end(
    article_index: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QA_DRAIN_SECONDS", "3600")
    command = [
        "-c",
        SLOW,
        str(tmp_path),
        "serve",
        "--port",
        "0",
        "--index",
        str(article_index.index),
    ]
    replies: list[tuple[int, dict[str, object]]] = []
    with started(*command) as (server, port):
        question = "What happened in 2014 in Crimea?"
        client = threading.Thread(target=lambda: replies.append(post(port, question)))
        client.start()
        while not (tmp_path / "asked").exists():
            assert client.is_alive()
        server.terminate()
        (tmp_path / "go").touch()
        client.join()
        assert server.wait(PATIENCE) == 0
    ((status, reply),) = replies
    assert (status, reply["question"]) == (200, question)


def test_a_port_in_use_is_said_so(article_index: Settings) -> None:
    command = ["-m", "qa", "serve", "--index", str(article_index.index), "--port"]
    with started(*command, "0") as (_, port):
        second = subprocess.run(
            [sys.executable, *command, str(port)],
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
    assert second.returncode == 4
    assert f"cannot listen on 127.0.0.1:{port}" in second.stderr
