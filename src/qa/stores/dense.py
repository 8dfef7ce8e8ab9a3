"""The dense channel: a FAISS index of unit vectors, searched by inner product."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from qa.types import Scored, Vectors

FILE = "dense.faiss"


def write(folder: Path, vectors: Vectors) -> None:
    """Write an exact index of the vectors, shape (rows, dimension), float32, unit length."""
    import faiss

    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(np.ascontiguousarray(vectors))
    faiss.write_index(index, str(folder / FILE))


class DenseIndex:
    """An opened index. Searches are safe to run side by side."""

    def __init__(self, folder: Path) -> None:
        import faiss

        self._index: Any = faiss.read_index(str(folder / FILE))
        self.rows: int = self._index.ntotal
        self.dimension: int = self._index.d

    def search(self, vector: Vectors, limit: int, rows: Sequence[int] | None) -> list[Scored]:
        """Return the rows nearest to a unit vector, shape (dimension,), best first.

        The score is the cosine. `rows`, where given, are the only ones searched.
        """
        import faiss

        limit = min(limit, self.rows if rows is None else len(rows))
        if limit == 0:
            return []
        parameters = None
        if rows is not None:
            selector = faiss.IDSelectorBatch(np.asarray(rows, dtype=np.int64))
            parameters = faiss.SearchParameters(sel=selector)  # type: ignore[call-arg]
        scores, found = self._index.search(vector.reshape(1, -1), limit, params=parameters)
        ranked = zip(scores[0].tolist(), found[0].tolist(), strict=True)
        kept = [Scored(row, score) for score, row in ranked if row >= 0]
        return sorted(kept, key=lambda scored: (-scored.score, scored.row))

    def vectors(self, rows: Sequence[int]) -> Vectors:
        """Return the stored vectors of these rows, shape (len(rows), dimension)."""
        found: Vectors = self._index.reconstruct_batch(np.asarray(rows, dtype=np.int64))
        return found

    def similarities(self, vector: Vectors, rows: Sequence[int]) -> list[float]:
        """Return the cosine of a unit vector to each of these rows."""
        if not rows:
            return []
        return [float(value) for value in self.vectors(rows) @ vector]
