"""LlamaIndex, hybrid: https://docs.llamaindex.ai/en/stable/examples/retrievers/bm25_retriever/."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.peers.worker import DEPTH, Found, Search

SETTINGS = (
    "SentenceSplitter() (1024 tokens, overlap 200), VectorStoreIndex, BM25Retriever, "
    'QueryFusionRetriever(mode="reciprocal_rerank", num_queries=1)'
)


def load(model: Path, folder: Path) -> Any:
    """Load the model."""
    from llama_index.embeddings.huggingface import HuggingFaceEmbedding

    return HuggingFaceEmbedding(model_name=str(model), device="cpu")


def index(embedding: Any, documents: Mapping[str, str], folder: Path) -> int:
    """Index and save; return the number of passages."""
    from llama_index.core import Document, VectorStoreIndex
    from llama_index.core.node_parser import SentenceSplitter
    from llama_index.retrievers.bm25 import BM25Retriever

    sources = [Document(text=text, metadata={"uri": uri}) for uri, text in documents.items()]
    nodes = SentenceSplitter().get_nodes_from_documents(sources)
    VectorStoreIndex(nodes, embed_model=embedding).storage_context.persist(str(folder / "dense"))
    BM25Retriever.from_defaults(nodes=nodes, similarity_top_k=DEPTH).persist(str(folder / "bm25"))
    return len(nodes)


def open_search(model: Path, folder: Path) -> Search:
    """Open what was saved."""
    from llama_index.core import StorageContext, load_index_from_storage
    from llama_index.core.llms import MockLLM
    from llama_index.core.retrievers import QueryFusionRetriever
    from llama_index.retrievers.bm25 import BM25Retriever

    context = StorageContext.from_defaults(persist_dir=str(folder / "dense"))
    dense = load_index_from_storage(context, embed_model=load(model, folder))
    lexical = BM25Retriever.from_persist_dir(str(folder / "bm25"))
    retriever = QueryFusionRetriever(
        [dense.as_retriever(similarity_top_k=DEPTH), lexical],
        similarity_top_k=DEPTH,
        num_queries=1,
        mode="reciprocal_rerank",
        use_async=False,
        llm=MockLLM(),  # never asked: there is one query
    )

    def search(question: str, limit: int) -> list[Found]:
        found = retriever.retrieve(question)[:limit]
        return [(hit.node.metadata["uri"], hit.node.get_content()) for hit in found]

    return search
