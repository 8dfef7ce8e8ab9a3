"""The dense channel: FAISS indexes of unit vectors, searched by inner product.

Every vector is kept as it is, and scanned while that costs little more than encoding a question.
Beyond that, lists of 8-bit vectors that point the same way are searched instead, and the best that
they give are scored exactly. Files are mapped, not read.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qa.types import Scored, Vectors

Rows = NDArray[np.int64]

FILE = "dense.faiss"
LISTS_FILE = "dense-lists.faiss"
#: So many vectors are scanned. It takes 5 ms on one core, as long as encoding a question on a slow
#: machine; then the lists are faster by ten times, and by a hundred at a million.
EXACT_ROWS = 50_000
#: So many rows that a filter lets through are scored one by one, whatever the size of the index.
_FEW_ROWS = 10_000
#: Vectors taken from the lists for each one asked for: the exact scores put them in order.
_HEAD = 2
#: Vectors a list from which its direction is learned, and rounds of learning.
_TRAINED_ON, _ROUNDS = 64, 10
_ADDED_AT_ONCE = 65_536
#: What the lists must find of the true ten nearest of so many made-up questions.
_RECALL, _TRIALS, _NEAREST = 0.99, 200, 10
_FEWEST_PROBES = 16


def write(folder: Path, vectors: Vectors) -> None:
    """Write an index of the vectors, shape (rows, dimension), float32, unit length or zero."""
    import faiss

    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(np.ascontiguousarray(vectors))
    faiss.write_index(index, str(folder / FILE))
    rows = np.flatnonzero(vectors.any(axis=1))
    if len(rows) > EXACT_ROWS:
        lists = _lists(vectors, rows)
        lists.nprobe = _probes(lists, index, vectors, rows)
        faiss.write_index(lists, str(folder / LISTS_FILE))


def _lists(vectors: Vectors, rows: Rows) -> Any:
    """Return lists of some of the vectors."""
    import faiss

    count = 2 ** round(math.log2(4 * math.sqrt(len(rows))))
    count = max(1, min(count, len(rows) // 40))  # FAISS asks for 39 a list to learn from
    dimension = vectors.shape[1]
    lists = faiss.IndexIVFScalarQuantizer(
        faiss.IndexFlatIP(dimension),
        dimension,
        count,
        faiss.ScalarQuantizer.QT_8bit,
        faiss.METRIC_INNER_PRODUCT,
        False,  # by_residual: vectors are kept, not how they differ from the middle of their list
    )
    lists.cp.niter = _ROUNDS
    lists.cp.max_points_per_centroid = _TRAINED_ON
    drawn = np.random.default_rng(0).permutation(rows)[: count * _TRAINED_ON]
    lists.train(vectors[np.sort(drawn)])
    for start in range(0, len(rows), _ADDED_AT_ONCE):
        chosen = rows[start : start + _ADDED_AT_ONCE]
        lists.add_with_ids(vectors[chosen], chosen)
    return lists


def _probes(lists: Any, exact: Any, vectors: Vectors, rows: Rows) -> int:
    """Return how many lists to search, so that little of what is nearest is missed.

    It is tried with questions between two random passages: as far from either as real ones are.
    """
    drawn = np.random.default_rng(1).choice(rows, (2, _TRIALS))
    questions = vectors[drawn[0]] + vectors[drawn[1]]
    _, right = exact.search(questions, _NEAREST)
    probes: int = min(_FEWEST_PROBES, lists.nlist)
    while probes < lists.nlist:
        lists.nprobe = probes
        _, found = lists.search(questions, _HEAD * _NEAREST)
        hits = sum(len(np.intersect1d(*pair)) for pair in zip(right, found, strict=True))
        if hits >= _RECALL * right.size:
            break
        probes = min(probes * 3 // 2, lists.nlist)
    return probes


class DenseIndex:
    """An opened index. Searches are safe to run side by side."""

    def __init__(self, folder: Path) -> None:
        import faiss

        self._index: Any = faiss.read_index(str(folder / FILE), faiss.IO_FLAG_MMAP_IFC)
        self.rows: int = self._index.ntotal
        self.dimension: int = self._index.d
        self._lists: Any = None
        self._file: int | None = None
        if (folder / LISTS_FILE).is_file():
            self._lists = faiss.read_index(str(folder / LISTS_FILE), faiss.IO_FLAG_MMAP)
            # a thread for every list that is read ahead costs more than the list
            faiss.downcast_InvertedLists(self._lists.invlists).prefetch_nthread = 0  # type: ignore[attr-defined]
            if hasattr(os, "preadv"):  # not on Windows
                self._file = os.open(folder / FILE, os.O_RDONLY)

    def close(self) -> None:
        """Release the files; nothing can be searched afterwards."""
        if self._file is not None:
            os.close(self._file)
        self._index = self._lists = self._file = None

    @property
    def kind(self) -> str:
        """Say how the index is searched."""
        if self._lists is None:
            return "exact: every vector is compared"
        return (
            f"approximate: {self._lists.nprobe} of {self._lists.nlist} lists of 8-bit vectors, "
            "the best scored exactly"
        )

    def search(self, vector: Vectors, limit: int, rows: Sequence[int] | None) -> list[Scored]:
        """Return the rows nearest to a unit vector, shape (dimension,), best first.

        The score is the cosine. `rows`, where given, are the only ones searched. An approximate
        index returns no zero vectors.
        """
        limit = min(limit, self.rows if rows is None else len(rows))
        if limit == 0:
            return []
        if self._lists is None:
            scores, found = self._index.search(
                vector.reshape(1, -1), limit, params=self._parameters(rows)
            )
            return _ranked(found[0], scores[0], limit)
        if rows is not None and len(rows) <= _FEW_ROWS:
            near = np.asarray(rows)
        else:
            _, found = self._lists.search(
                vector.reshape(1, -1), _HEAD * limit, params=self._parameters(rows)
            )
            near = found[0][found[0] >= 0]
        return _ranked(near, self.vectors(near) @ vector, limit)

    def _parameters(self, rows: Sequence[int] | None) -> Any:
        """Return what tells FAISS to search some rows only; in as many more lists as they thin."""
        import faiss

        if rows is None:
            return None
        bits = np.zeros(self.rows, dtype=np.uint8)
        bits[np.asarray(rows, dtype=np.int64)] = 1
        selector: Any = faiss.IDSelectorBitmap(  # type: ignore[call-arg]
            np.packbits(bits, bitorder="little")  # type: ignore[arg-type]
        )
        if self._lists is None:
            return faiss.SearchParameters(sel=selector)  # type: ignore[call-arg]
        probes = min(self._lists.nlist, self._lists.nprobe * self.rows // len(rows))
        return faiss.SearchParametersIVF(sel=selector, nprobe=probes)  # type: ignore[call-arg]

    def vectors(self, rows: Sequence[int] | Rows) -> Vectors:
        """Return the stored vectors of these rows, shape (len(rows), dimension).

        Of a large index they are read one by one: through a map, the system would keep their whole
        surroundings in memory.
        """
        wanted = np.asarray(rows, dtype=np.int64)
        if self._file is None:
            mapped: Vectors = self._index.reconstruct_batch(wanted)
            return mapped
        found = np.empty((len(wanted), self.dimension), dtype=np.float32)
        size = found.itemsize * self.dimension
        first = os.fstat(self._file).st_size - self.rows * size  # what stands before is its header
        for place, row in enumerate(wanted.tolist()):
            os.preadv(self._file, [found[place]], first + row * size)
        return found

    def similarities(self, vector: Vectors, rows: Sequence[int]) -> list[float]:
        """Return the cosine of a unit vector to each of these rows."""
        if not rows:
            return []
        similarities: list[float] = (self.vectors(rows) @ vector).tolist()
        return similarities


def _ranked(rows: Any, scores: Any, limit: int) -> list[Scored]:
    """Return the best rows first, those of one score in their order; FAISS fills up with -1."""
    found = [
        Scored(row, score)
        for row, score in zip(rows.tolist(), scores.tolist(), strict=True)
        if row >= 0
    ]
    return sorted(found, key=lambda scored: (-scored.score, scored.row))[:limit]
