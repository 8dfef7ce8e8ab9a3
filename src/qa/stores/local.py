"""The local store: one generation on this machine's disk, opened for reading."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from qa.errors import IndexDamaged, IndexIncompatible
from qa.stores import dense, lexical, records
from qa.stores.generation import FORMAT, Manifest, check, current
from qa.types import Document, Passage, Scored, SourceInfo, Vectors


def write(folder: Path, split: Sequence[tuple[Document, list[Passage]]], vectors: Vectors) -> None:
    """Write the files of a generation: vectors has one row a passage, in the order of `split`."""
    records.write(folder, split)
    lexical.write(folder, (passage for _, passages in split for passage in passages))
    dense.write(folder, vectors)


class LocalStore:
    """An opened generation. Safe to share between threads."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        if manifest.format != FORMAT:
            raise IndexIncompatible("format", FORMAT, manifest.format)
        self.manifest = manifest
        self.generation = folder.name
        self._records = records.Records(folder)
        self._lexical = lexical.LexicalIndex(folder)
        self._dense = dense.DenseIndex(folder)
        counts = {
            "passages": self._records.count(),
            "vectors": self._dense.rows,
            "lexical documents": self._lexical.rows,
        }
        if len(set(counts.values())) > 1:
            found = ", ".join(f"{count} {name}" for name, count in counts.items())
            raise IndexDamaged(folder, f"its parts do not agree: {found}")

    @classmethod
    def open(cls, index: Path) -> LocalStore:
        """Open the live generation once every file of it matched its checksum."""
        folder = current(index)
        return cls(folder, check(folder))

    def close(self) -> None:
        """Release the files."""
        self._records.close()

    def dense(self, vector: Vectors, limit: int, uris: Sequence[str] | None) -> list[Scored]:
        """Return the rows nearest to a unit vector of shape (dimension,), best first."""
        rows = None if uris is None else self._records.rows(uris)
        return self._dense.search(vector, limit, rows)

    def lexical(self, question: str, limit: int, uris: Sequence[str] | None) -> list[Scored]:
        """Return the rows with the highest BM25, best first."""
        return self._lexical.search(question, limit, uris)

    def similarities(self, vector: Vectors, rows: Sequence[int]) -> list[float]:
        """Return the cosine of a unit vector to each of these rows."""
        return self._dense.similarities(vector, rows)

    def rarities(self, terms: Sequence[str]) -> list[float]:
        """Return the inverse document frequency of each term."""
        return self._lexical.rarities(terms)

    def passages(self, rows: Sequence[int]) -> list[Passage]:
        """Return these passages in this order."""
        return self._records.passages(rows)

    def document(self, uri: str) -> Document:
        """Return a source; raise UnknownSource if there is none."""
        return self._records.document(uri)

    def sources(self) -> Iterator[SourceInfo]:
        """List the sources by uri."""
        return self._records.sources()
