"""LangChain with FAISS and BM25: https://python.langchain.com/docs/how_to/ensemble_retriever/."""

from __future__ import annotations

from pathlib import Path

from benchmarks.peers import with_langchain
from benchmarks.peers.worker import DEPTH, Search

SETTINGS = f"{with_langchain.SETTINGS}, BM25Retriever, EnsembleRetriever(weights=[0.5, 0.5])"
load = with_langchain.load
index = with_langchain.index


def open_search(model: Path, folder: Path) -> Search:
    """Open the vectors; BM25 is built anew from their passages, since it cannot be saved."""
    from langchain_classic.retrievers import EnsembleRetriever
    from langchain_community.retrievers import BM25Retriever

    store = with_langchain.open_store(model, folder)
    passages = [store.docstore.search(name) for name in store.index_to_docstore_id.values()]
    lexical = BM25Retriever.from_documents(passages)
    lexical.k = DEPTH
    dense = store.as_retriever(search_kwargs={"k": DEPTH})
    return with_langchain._search(
        EnsembleRetriever(retrievers=[lexical, dense], weights=[0.5, 0.5])
    )
