"""The floor of the peers: sentence-transformers on torch. Nothing is stored, nothing is found."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.peers.worker import Found, Search

SETTINGS = "the bare encoder call: sentence-transformers, torch"


def load(model: Path, folder: Path) -> Any:
    """Load the model."""
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(model), device="cpu")


def index(encoder: Any, documents: Mapping[str, str], folder: Path) -> int:
    """Encode the paragraphs of the documents; return their number."""
    passages = [
        text for whole in documents.values() for text in re.split(r"\n\s*\n", whole) if text.strip()
    ]
    encoder.encode(passages, show_progress_bar=False)
    return len(passages)


def open_search(model: Path, folder: Path) -> Search:
    """Open the model."""
    encoder = load(model, folder)

    def search(question: str, limit: int) -> list[Found]:
        encoder.encode([question], show_progress_bar=False)
        return []

    return search
