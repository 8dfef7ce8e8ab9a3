"""txtai, hybrid: https://neuml.github.io/txtai/embeddings/configuration/general/."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.peers.worker import Found, Search

SETTINGS = (
    "Embeddings(hybrid=True, content=True); paragraphs, as Segmentation(paragraphs=True) cuts"
)


def load(model: Path, folder: Path) -> Any:
    """Load the model."""
    from txtai import Embeddings

    return Embeddings(path=str(model), hybrid=True, content=True)


def index(embeddings: Any, documents: Mapping[str, str], folder: Path) -> int:
    """Index and save; return the number of passages."""
    passages = [
        (f"{uri}#{place}", text.strip())
        for uri, whole in documents.items()
        for place, text in enumerate(re.split(r"\n\s*\n", whole))
        if text.strip()
    ]
    embeddings.index(passages)
    embeddings.save(str(folder / "index"))
    return len(passages)


def open_search(model: Path, folder: Path) -> Search:
    """Open what was saved."""
    from txtai import Embeddings

    embeddings = Embeddings()
    embeddings.load(str(folder / "index"))

    def search(question: str, limit: int) -> list[Found]:
        return [
            (found["id"].rpartition("#")[0], found["text"])
            for found in embeddings.search(question, limit)
        ]

    return search
