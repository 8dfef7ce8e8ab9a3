"""LangChain with FAISS: https://python.langchain.com/docs/integrations/vectorstores/faiss/."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.peers.worker import DEPTH, Found, Search

SETTINGS = "RecursiveCharacterTextSplitter(1000, 200), FAISS.from_documents"


def load(model: Path, folder: Path) -> Any:
    """Load the model."""
    from langchain_huggingface import HuggingFaceEmbeddings

    return HuggingFaceEmbeddings(model_name=str(model), model_kwargs={"device": "cpu"})


def index(embedding: Any, documents: Mapping[str, str], folder: Path) -> int:
    """Index and save; return the number of passages."""
    from langchain_community.vectorstores import FAISS
    from langchain_core.documents import Document
    from langchain_text_splitters import RecursiveCharacterTextSplitter

    sources = [
        Document(page_content=text, metadata={"uri": uri}) for uri, text in documents.items()
    ]
    splitter = RecursiveCharacterTextSplitter(
        chunk_size=1000, chunk_overlap=200, add_start_index=True
    )
    passages = splitter.split_documents(sources)
    FAISS.from_documents(passages, embedding).save_local(str(folder / "index"))
    return len(passages)


def open_store(model: Path, folder: Path) -> Any:
    """Open what was saved, a pickle."""
    from langchain_community.vectorstores import FAISS

    return FAISS.load_local(
        str(folder / "index"), load(model, folder), allow_dangerous_deserialization=True
    )


def open_search(model: Path, folder: Path) -> Search:
    """Open the vectors alone."""
    return _search(open_store(model, folder).as_retriever(search_kwargs={"k": DEPTH}))


def _search(retriever: Any) -> Search:
    def search(question: str, limit: int) -> list[Found]:
        found = retriever.invoke(question)[:limit]
        return [(hit.metadata["uri"], hit.page_content) for hit in found]

    return search
