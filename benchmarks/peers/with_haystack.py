"""Haystack, hybrid: https://haystack.deepset.ai/tutorials/33_hybrid_retrieval."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.peers.worker import DEPTH, Found, Search

SETTINGS = (
    'DocumentSplitter(split_by="word", split_length=200), InMemoryDocumentStore, '
    'BM25 and embedding retrievers, DocumentJoiner("reciprocal_rank_fusion")'
)


def load(model: Path, folder: Path) -> Any:
    """Load the model."""
    from haystack.utils import ComponentDevice
    from haystack_integrations.components.embedders import sentence_transformers

    embedder = sentence_transformers.SentenceTransformersDocumentEmbedder(
        model=str(model), device=ComponentDevice.from_str("cpu"), progress_bar=False
    )
    embedder.warm_up()
    return embedder


def index(embedder: Any, documents: Mapping[str, str], folder: Path) -> int:
    """Index and save; return the number of passages."""
    from haystack import Document
    from haystack.components.preprocessors import DocumentSplitter
    from haystack.document_stores.in_memory import InMemoryDocumentStore

    splitter = DocumentSplitter(split_by="word", split_length=200, split_overlap=0)
    splitter.warm_up()
    sources = [Document(content=text, meta={"uri": uri}) for uri, text in documents.items()]
    passages = splitter.run(documents=sources)["documents"]
    store = InMemoryDocumentStore(embedding_similarity_function="cosine")
    store.write_documents(embedder.run(documents=passages)["documents"])
    store.save_to_disk(str(folder / "store.json"))
    return store.count_documents()


def open_search(model: Path, folder: Path) -> Search:
    """Open what was saved."""
    from haystack import Pipeline
    from haystack.components.joiners import DocumentJoiner
    from haystack.components.retrievers.in_memory import (
        InMemoryBM25Retriever,
        InMemoryEmbeddingRetriever,
    )
    from haystack.document_stores.in_memory import InMemoryDocumentStore
    from haystack.utils import ComponentDevice
    from haystack_integrations.components.embedders import sentence_transformers

    store = InMemoryDocumentStore.load_from_disk(str(folder / "store.json"))
    pipeline = Pipeline()
    embedder = sentence_transformers.SentenceTransformersTextEmbedder(
        model=str(model), device=ComponentDevice.from_str("cpu"), progress_bar=False
    )
    pipeline.add_component("embedder", embedder)
    pipeline.add_component("dense", InMemoryEmbeddingRetriever(store, top_k=2 * DEPTH))
    pipeline.add_component("lexical", InMemoryBM25Retriever(store, top_k=2 * DEPTH))
    pipeline.add_component("joiner", DocumentJoiner(join_mode="reciprocal_rank_fusion"))
    pipeline.connect("embedder.embedding", "dense.query_embedding")
    pipeline.connect("dense", "joiner")
    pipeline.connect("lexical", "joiner")

    def search(question: str, limit: int) -> list[Found]:
        asked = {"embedder": {"text": question}, "lexical": {"query": question}}
        found = pipeline.run(asked)["joiner"]["documents"][:limit]
        return [(hit.meta["uri"], hit.content) for hit in found]

    return search
