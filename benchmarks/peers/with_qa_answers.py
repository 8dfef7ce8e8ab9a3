"""qa: whole answers, with the selector; passages as the reply ranks them."""

from __future__ import annotations

from pathlib import Path

from benchmarks.peers import with_qa
from benchmarks.peers.worker import Found, Search

SETTINGS = "as installed; a whole answer with quotes and confidence, passages as the reply has them"
load = with_qa.load
index = with_qa.index


def open_search(model: Path, folder: Path) -> Search:
    """Open what was indexed."""
    from qa.assistant import Assistant

    assistant = Assistant.open(settings=with_qa.settings(folder))

    def search(question: str, limit: int) -> list[Found]:
        reply = assistant.ask(question, limit=limit)
        return [(passage.uri, passage.text) for passage in reply.passages]

    return search
