from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from qa.stores.dense import DenseIndex, write
from qa.types import Scored, Vectors

#: Four directions in a plane; the third is no direction at all: nothing of it is to be found.
ROWS = np.array([[1, 0], [0, 1], [0, 0], [0.6, 0.8]], dtype=np.float32)


@pytest.fixture
def index(tmp_path: Path) -> DenseIndex:
    write(tmp_path, ROWS)
    return DenseIndex(tmp_path)


def vector(*values: float) -> Vectors:
    return np.array(values, dtype=np.float32)


def test_shape(index: DenseIndex) -> None:
    assert (index.rows, index.dimension) == (4, 2)


@pytest.mark.parametrize(
    ("question", "limit", "rows", "found"),
    [
        (vector(1, 0), 2, None, [(0, 1.0), (3, 0.6)]),
        (vector(0, 1), 9, None, [(1, 1.0), (3, 0.8), (0, 0.0), (2, 0.0)]),
        (vector(1, 0), 2, [1, 3], [(3, 0.6), (1, 0.0)]),
        (vector(1, 0), 9, [1], [(1, 0.0)]),
        (vector(-1, 0), 1, [0], [(0, -1.0)]),
        (vector(1, 0), 5, [], []),
    ],
    ids=["best first", "ties by row", "only these rows", "fewer rows", "below zero", "no row"],
)
def test_search(
    index: DenseIndex,
    question: Vectors,
    limit: int,
    rows: Sequence[int] | None,
    found: list[tuple[int, float]],
) -> None:
    scored = index.search(question, limit, rows)
    assert [entry.row for entry in scored] == [row for row, _ in found]
    assert [entry.score for entry in scored] == pytest.approx([score for _, score in found])


def test_similarities_are_those_of_the_rows_asked_for(index: DenseIndex) -> None:
    assert index.similarities(vector(1, 0), [3, 0, 3]) == pytest.approx([0.6, 1.0, 0.6])
    assert index.similarities(vector(1, 0), []) == []


def test_nothing_is_found_in_nothing(tmp_path: Path) -> None:
    write(tmp_path, np.empty((0, 2), dtype=np.float32))
    assert DenseIndex(tmp_path).search(vector(1, 0), 5, None) == []


def test_many_rows_may_be_left_out(tmp_path: Path) -> None:
    directions = np.eye(64, dtype=np.float32)
    write(tmp_path, directions)
    scored = DenseIndex(tmp_path).search(directions[40], 1, range(0, 64, 8))
    assert scored == [Scored(40, 1.0)]
