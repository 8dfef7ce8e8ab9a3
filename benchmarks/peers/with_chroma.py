"""Chroma, dense: https://docs.trychroma.com/docs/overview/getting-started."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.peers.worker import Found, Search

SETTINGS = (
    "PersistentClient, SentenceTransformerEmbeddingFunction; cut by LangChain's "
    "RecursiveCharacterTextSplitter(800, 0), since Chroma cuts no texts"
)


def load(model: Path, folder: Path) -> Any:
    """Load the model."""
    from chromadb.utils.embedding_functions import SentenceTransformerEmbeddingFunction

    return SentenceTransformerEmbeddingFunction(model_name=str(model), device="cpu")


def index(embedding: Any, documents: Mapping[str, str], folder: Path) -> int:
    """Index and save; return the number of passages."""
    from langchain_text_splitters import RecursiveCharacterTextSplitter

    splitter = RecursiveCharacterTextSplitter(chunk_size=800, chunk_overlap=0)
    passages = [
        (uri, text) for uri, whole in documents.items() for text in splitter.split_text(whole)
    ]
    client, collection = _collection(embedding, folder)
    most = client.get_max_batch_size()
    for start in range(0, len(passages), most):
        chosen = passages[start : start + most]
        collection.add(
            ids=[str(start + place) for place in range(len(chosen))],
            documents=[text for _, text in chosen],
            metadatas=[{"uri": uri} for uri, _ in chosen],
        )
    return len(passages)


def _collection(embedding: Any, folder: Path) -> tuple[Any, Any]:
    import chromadb

    client = chromadb.PersistentClient(path=str(folder / "index"))
    return client, client.get_or_create_collection("documents", embedding_function=embedding)


def open_search(model: Path, folder: Path) -> Search:
    """Open what was saved."""
    _, collection = _collection(load(model, folder), folder)

    def search(question: str, limit: int) -> list[Found]:
        found = collection.query(query_texts=[question], n_results=limit)
        uris = [entry["uri"] for entry in found["metadatas"][0]]
        return list(zip(uris, found["documents"][0], strict=True))

    return search
