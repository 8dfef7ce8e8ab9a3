"""The local store: one generation on this machine's disk, opened for reading."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from qa.errors import IndexDamaged, IndexIncompatible
from qa.phrases import Phrases
from qa.stores import dense, lexical, records
from qa.stores.generation import FORMAT, Manifest, check, current
from qa.stores.records import Part
from qa.text import terms
from qa.types import Allowed, Document, Passage, Scored, SourceInfo, Vectors

#: Words of a passage with which it is looked for.
_PROBE_WORDS = 12
#: How many times more is searched when too little of it has the phrases to the letter.
_WIDER = 8


def write(folder: Path, parts: Sequence[Part], vectors: Vectors) -> None:
    """Write the files of a generation: vectors has one row a passage, in the order of `parts`."""
    records.write(folder, parts)
    lexical.write(folder, (passage for part in parts for passage in part.passages))
    dense.write(folder, vectors)


def verify(folder: Path, manifest: Manifest) -> None:
    """Open a generation that was just written, and look for some of its passages.

    :raises IndexDamaged: if its parts do not agree, or a passage is not found by its own vector
        or its own words.
    """
    store = LocalStore(folder, manifest)
    try:
        for row in sorted({0, store.count() // 2, store.count() - 1} & {*range(store.count())}):
            _probe(store, row, folder)
    finally:
        store.close()
        lexical.sweep(folder)


def _probe(store: LocalStore, row: int, folder: Path) -> None:
    (passage,) = store.passages([row])
    (vector,) = store.vectors([row])
    if not passage.plain:
        return
    nearest = store.dense(vector, 1, None)
    words = " ".join(passage.plain.split()[:_PROBE_WORDS])
    known = terms(words)
    found = store.lexical(words, 1, None)
    if not nearest or nearest[0].score < 0.99 or (known and not found):
        raise IndexDamaged(folder, f"passage {passage.id} is not found in it")


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
        self._lexical.close()

    def dense(self, vector: Vectors, limit: int, allowed: Allowed | None) -> list[Scored]:
        """Return the rows nearest to a unit vector of shape (dimension,), best first."""
        rows = None if allowed is None else self._lexical.allowed(allowed)
        return self._exact(lambda most: self._dense.search(vector, most, rows), limit, allowed)

    def lexical(self, question: str, limit: int, allowed: Allowed | None) -> list[Scored]:
        """Return the rows with the highest BM25, best first."""
        return self._exact(
            lambda most: self._lexical.search(question, most, allowed), limit, allowed
        )

    def _exact(
        self, search: Callable[[int], list[Scored]], limit: int, allowed: Allowed | None
    ) -> list[Scored]:
        """Return the best that have the phrases to the letter, searching on until there are enough.

        What is searched has their words in a row, so few are thrown away.
        """
        if allowed is None or not (allowed.phrases or allowed.excluded):
            return search(limit)
        wanted, unwanted = Phrases(allowed.phrases), Phrases(allowed.excluded)
        most = limit
        while True:
            found = search(most)
            texts = self._records.plain([scored.row for scored in found])
            kept = [
                scored
                for scored, plain in zip(found, texts, strict=True)
                if plain
                and wanted.count(plain) == len(allowed.phrases)
                and not unwanted.count(plain)
            ]
            if len(kept) >= limit or len(found) < most:
                return kept[:limit]
            most *= _WIDER

    def similarities(self, vector: Vectors, rows: Sequence[int]) -> list[float]:
        """Return the cosine of a unit vector to each of these rows."""
        return self._dense.similarities(vector, rows)

    def rarities(self, terms: Sequence[str]) -> list[float]:
        """Return the inverse document frequency of each term."""
        return self._lexical.rarities(terms)

    def count(self) -> int:
        """Count the passages."""
        return self._dense.rows

    def vectors(self, rows: Sequence[int]) -> Vectors:
        """Return the stored vectors of these rows, shape (len(rows), dimension)."""
        return self._dense.vectors(rows)

    def part(self, uri: str) -> Part:
        """Return a source with its passages as they were written."""
        return self._records.part(uri)

    def keyed_rows(self) -> dict[str, int]:
        """Return a row for every key of a passage's vector."""
        return self._records.keyed_rows()

    def passages(self, rows: Sequence[int]) -> list[Passage]:
        """Return these passages in this order."""
        return self._records.passages(rows)

    def document(self, uri: str) -> Document:
        """Return a source; raise UnknownSource if there is none."""
        return self._records.document(uri)

    def sources(self, uris: Sequence[str] | None = None) -> Iterator[SourceInfo]:
        """List the sources, or those of these that there are, by uri."""
        return self._records.sources(uris)
