"""The floor: the exported graph alone, on OpenVINO. Nothing is stored and nothing is found."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.peers import with_qa
from benchmarks.peers.worker import Found, Search

SETTINGS = "the bare encoder call: tokenizers, OpenVINO"
load = with_qa.load


def index(encoder: Any, documents: Mapping[str, str], folder: Path) -> int:
    """Encode the passages that qa makes of the documents; return their number."""
    from qa.ingest import encoded_text
    from qa.readers import read
    from qa.splitter import split

    window = encoder.max_tokens - 2
    passages = [
        passage
        for uri, text in documents.items()
        for passage in split(read(uri, text.encode()), window, encoder.count)
    ]
    encoder.encode([encoded_text(passage, window, encoder) for passage in passages])
    return len(passages)


def open_search(model: Path, folder: Path) -> Search:
    """Open the model."""
    from qa.encoder import open_encoder

    encoder = open_encoder(with_qa.settings(folder))

    def search(question: str, limit: int) -> list[Found]:
        encoder.encode([question])
        return []

    return search
