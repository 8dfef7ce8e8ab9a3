"""Rebuilds while clients ask: no request fails, and every quote is from its own generation."""

from __future__ import annotations

import ctypes
import gc
import sys
import threading
from dataclasses import dataclass, replace
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

LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None

pytestmark = pytest.mark.skipif(
    not hasattr(LIBC, "mallinfo2"), reason="reads /proc and what glibc says of memory"
)


def text(number: int) -> str:
    """Return a source in which the sentence that answers moves with each round."""
    return (
        f"# Notes\n\n{'So it goes. ' * number}\n\nRound {number} melts gold at {number} degrees.\n"
    )


class Mallinfo2(ctypes.Structure):
    """What glibc says of memory, in bytes."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    )


@dataclass(frozen=True)
class Resources:
    """What this process holds.

    Resident memory would say less: glibc keeps what is free for as many threads as there were at a
    time, up to 200 MB here.
    """

    files: int
    mapped: int
    megabytes: int
    objects: int

    @classmethod
    def now(cls, index: Path) -> Resources:
        """Count open files, mapped files of an index, memory in use, Python's blocks."""
        gc.collect()
        assert LIBC
        LIBC.mallinfo2.restype = Mallinfo2
        found = LIBC.mallinfo2()
        return cls(
            len(list(Path("/proc/self/fd").iterdir())),
            Path("/proc/self/maps").read_text().count(str(index)),
            (found.uordblks + found.hblkhd) // 2**20,
            sys.getallocatedblocks(),
        )


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
    with Clients(create_app(Live(replace(settings, rate_per_minute=0)))) as clients:
        for number in range(1, ROUNDS + 1):
            fill(settings.corpus, {"gold.md": text(number)})
            written[build(settings, fake).generation] = text(number)
            fake.encoded.clear()
            if number == 10:
                early = Resources.now(settings.index)
    late = Resources.now(settings.index)
    assert not clients.failures
    for name, start, end, quote in clients.quotes:
        assert written[name][start:end] == quote
    assert sum("melts gold" in quote for *_, quote in clients.quotes) > ROUNDS / 2
    assert late.files <= early.files + 8  # one generation more may be open
    assert late.mapped <= early.mapped + 8
    assert late.megabytes <= early.megabytes + 10
    assert late.objects <= early.objects + 50_000  # caches fill: 21,000
