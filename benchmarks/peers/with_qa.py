"""qa: passages alone, as the peers return them."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.peers.worker import EXPORTED, Found, Search
from qa.config import Settings

SETTINGS = "as installed; passages as `retrieve` ranks them, without an answer"


def settings(folder: Path) -> Settings:
    """Return the settings of what is indexed in a folder."""
    return Settings(corpus=folder / "corpus", index=folder / "index")


def load(model: Path, folder: Path) -> Any:
    """Load the model, exported before: the first `qa index` on a machine does it."""
    from qa.encoder import open_encoder

    chosen = settings(folder)
    chosen.index.mkdir()
    shutil.copytree(folder.parent / EXPORTED / "models", chosen.index / "models")
    encoder = open_encoder(chosen)
    encoder.encode(["Is it compiled?"])
    return encoder


def index(encoder: Any, documents: Mapping[str, str], folder: Path) -> int:
    """Index a folder of files; return the number of passages."""
    from qa.ingest import build

    chosen = settings(folder)
    for uri, text in documents.items():
        path = chosen.corpus / uri
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    report = build(chosen, encoder)
    if report.skipped:
        raise SystemExit(f"skipped: {report.skipped}")
    return report.passages["total"]


def open_search(model: Path, folder: Path) -> Search:
    """Open what was indexed."""
    from qa.encoder import open_encoder
    from qa.retrieve import retrieve
    from qa.stores.local import LocalStore

    chosen = settings(folder)
    store = LocalStore.open(chosen.index)
    encoder = open_encoder(chosen)

    def search(question: str, limit: int) -> list[Found]:
        (vector,) = encoder.encode([question])
        hits = retrieve(
            store,
            question,
            vector,
            dense_weight=chosen.dense_weight,
            candidates=chosen.candidates,
            limit=limit,
        )
        return [(hit.passage.uri, hit.passage.text) for hit in hits]

    return search
