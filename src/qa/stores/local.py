"""The local store: generations on this machine's disk."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from qa.errors import IndexDamaged, IndexIncompatible
from qa.stores import dense, generation, lexical, records
from qa.stores.exact import Exact
from qa.stores.generation import FORMAT, Manifest, check, current
from qa.stores.records import Part
from qa.text import terms
from qa.types import Allowed, Document, Passage, Scored, SourceInfo, Vectors

#: Words of a passage with which it is looked for.
_PROBE_WORDS = 12


def write(folder: Path, parts: Iterable[Part], vectors: Vectors) -> None:
    """Write the files of a generation: vectors has one row a passage, in the order of `parts`.

    :param parts: gone through twice.
    :raises OSError: if the disk is full.
    """
    try:
        records.write(folder, parts)
        lexical.write(folder, (passage for part in parts for passage in part.passages))
        dense.write(folder, vectors)
    except (sqlite3.OperationalError, RuntimeError, ValueError) as error:
        # SQLite, FAISS and tantivy each say so in their way
        if "No space left" in str(error) or "disk is full" in str(error):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder)) from error
        raise


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
    has_vector = store.has_vector(row)
    astray = has_vector and (not nearest or nearest[0].score < 0.99)
    if astray or (known and not found):
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
        self._exact = Exact(self._records.count(), self._records.plain)
        counts = {
            "passages": self._records.count(),
            "vectors": self._dense.rows,
            "lexical documents": self._lexical.rows,
        }
        if len(set(counts.values())) > 1:
            found = ", ".join(f"{count} {name}" for name, count in counts.items())
            raise IndexDamaged(folder, f"its parts do not agree: {found}")

    @classmethod
    def open(
        cls, index: Path, generation: str | None = None, *, trusting: bool = True
    ) -> LocalStore:
        """Open the live generation, or a named one, once its files matched; see `check`."""
        folder = index / "generations" / generation if generation else current(index)
        return cls(folder, check(folder, trusting=trusting))

    def close(self) -> None:
        """Release the files."""
        self._records.close()
        self._lexical.close()
        self._dense.close()

    @property
    def dense_kind(self) -> str:
        """Say how vectors are searched."""
        return self._dense.kind

    def dense(self, vector: Vectors, limit: int, allowed: Allowed | None) -> list[Scored]:
        """Return the rows nearest to a unit vector of shape (dimension,), best first."""
        rows = None if allowed is None else self._lexical.allowed(allowed)
        search = partial(self._dense.search, vector, rows=rows)
        return self._exact.best(search, limit, allowed)

    def lexical(self, question: str, limit: int, allowed: Allowed | None) -> list[Scored]:
        """Return the rows with the highest BM25, best first."""
        search = partial(self._lexical.search, question, allowed=allowed)
        return self._exact.best(search, limit, allowed)

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

    def has_vector(self, row: int) -> bool:
        """Say whether the model made numbers of a passage; where not, its vector is zero."""
        return bool(self._records.key(row))

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


class LocalIndex:
    """The folder of an index."""

    def __init__(self, folder: Path) -> None:
        self.place = str(folder)
        self._folder = folder

    def pointer(self) -> str:
        """Return the id of the live generation, unchecked; empty when there is none."""
        return generation.pointer(self._folder)

    def check(self) -> Manifest:
        """Return the manifest of the live generation once every file matched its checksum."""
        return check(current(self._folder))

    def open(self, name: str | None = None, manifest: Manifest | None = None) -> LocalStore:
        """Open a generation, the live one where none is named."""
        folder = self._folder / "generations" / name if name else current(self._folder)
        return LocalStore(folder, manifest or check(folder, trusting=True))

    def generations(self) -> list[str]:
        """Return the ids of the complete generations, oldest first."""
        return generation.generations(self._folder)

    def rollback(self, name: str | None = None) -> str:
        """Make an earlier generation the live one, and return its id."""
        return generation.rollback(self._folder, name)

    def lock(self) -> AbstractContextManager[None]:
        """Be the one builder; raise IndexBusy naming who is."""
        return generation.lock(self._folder)

    def publish(
        self,
        parts: Sequence[Part],
        vectors: Vectors,
        entries: dict[str, Any],
        now: datetime,
        keep: int,
        base: object = None,
    ) -> str:
        """Write a generation whole, make it the live one, and return its id; needs the lock."""
        with generation.building(self._folder) as folder:
            write(folder, parts, vectors)
            return generation.publish(self._folder, folder, entries, now, keep=keep, verify=verify)

    def facts(self) -> dict[str, str]:
        """Describe the place in words."""
        return {"store": f"the folder {self.place} on this machine"}
