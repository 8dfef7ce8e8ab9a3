"""Rebuilds while clients ask: no request fails, and every quote is from its own generation."""

from __future__ import annotations

import gc
import os
import threading
from pathlib import Path

import pytest
from flask import Flask

from fakes import FakeEncoder, fill
from qa.app import create_app
from qa.assistant import Live
from qa.config import Settings
from qa.ingest import build

ROUNDS = 50
CLIENTS = 4

pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="reads /proc")


def text(number: int) -> str:
    """Return a source in which the sentence that answers moves with each round."""
    return (
        f"# Notes\n\n{'So it goes. ' * number}\n\nRound {number} melts gold at {number} degrees.\n"
    )


def resources() -> tuple[int, int]:
    """Return open files, and resident memory in MB."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return len(list(Path("/proc/self/fd").iterdir())), pages * os.sysconf("SC_PAGE_SIZE") // 2**20


class Clients:
    """Ask the same question without pause, and remember what was quoted."""

    def __init__(self, app: Flask) -> None:
        self.failures: list[int] = []
        #: generation with start, end and quote, each once, so that they take no room
        self.quotes: set[tuple[str, int, int, str]] = set()
        self._app = app
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(CLIENTS)]

    def __enter__(self) -> Clients:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _ask(self) -> None:
        client = self._app.test_client()
        while not self._stopping.is_set():
            reply = client.post("/api/v1/answer", json={"question": "When does a round melt gold?"})
            if reply.status_code != 200:
                self.failures.append(reply.status_code)
                continue
            found = reply.get_json()
            self.quotes |= {
                (found["generation"], citation["start"], citation["end"], citation["quote"])
                for citation in found["citations"]
                if citation["uri"] == "gold.md"
            }


def test_rebuild_while_clients_ask(
    settings: Settings, fake: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qa.assistant.open_encoder", lambda found: fake)
    others = {f"{number}.txt": f"Lead {number} is grey.\n" for number in range(20)}
    fill(settings.corpus, {**others, "gold.md": text(0)})
    written = {build(settings, fake).generation: text(0)}
    with Clients(create_app(Live(settings))) as clients:
        for number in range(1, ROUNDS + 1):
            fill(settings.corpus, {"gold.md": text(number)})
            written[build(settings, fake).generation] = text(number)
            fake.encoded.clear()
            if number == 10:
                early = resources()
    late = resources()
    assert not clients.failures
    for name, start, end, quote in clients.quotes:
        assert written[name][start:end] == quote
    assert sum("melts gold" in quote for *_, quote in clients.quotes) > ROUNDS / 2
    assert late[0] <= early[0] + 8  # one generation more may be open
    assert late[1] <= early[1] * 1.1 + 10
