from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from qa.stores import dense
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
    assert index.kind == "exact: every vector is compared"


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


# an index too large to be scanned


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> Vectors:
    """Vectors around 40 directions, and some that are none; more than an index scans."""
    monkeypatch.setattr(dense, "EXACT_ROWS", 1000)
    random = np.random.default_rng(0)
    directions = random.standard_normal((40, 32), dtype=np.float32)
    found = np.repeat(directions, 100, axis=0)
    found += 0.8 * random.standard_normal(found.shape, dtype=np.float32)
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    found[::50] = 0
    return found


@pytest.fixture
def large(tmp_path: Path, many: Vectors) -> Iterator[DenseIndex]:
    write(tmp_path, many)
    index = DenseIndex(tmp_path)
    yield index
    index.close()


def questions(many: Vectors) -> Vectors:
    """Make questions that lie between two of the vectors."""
    drawn = many[np.random.default_rng(7).integers(1, 49, (2, 100)) + 50 * np.arange(100) % 4000]
    between: Vectors = drawn[0] + drawn[1][::-1]
    return between / np.linalg.norm(between, axis=1, keepdims=True)


def nearest(many: Vectors, question: Vectors, limit: int, rows: Sequence[int]) -> set[int]:
    scores = many[list(rows)] @ question
    return {rows[place] for place in np.argsort(-scores)[:limit].tolist()}


def test_a_large_index_finds_what_a_scan_finds(large: DenseIndex, many: Vectors) -> None:
    assert large.kind.startswith("approximate: ")
    rows = range(len(many))
    found = 0
    for question in questions(many):
        scored = large.search(question, 10, None)
        assert len(scored) == 10
        found += len({entry.row for entry in scored} & nearest(many, question, 10, rows))
        exact = (many[[entry.row for entry in scored]] @ question).tolist()
        assert [entry.score for entry in scored] == pytest.approx(exact)
        assert exact == pytest.approx(sorted(exact, reverse=True))
    assert found >= 0.98 * 1000


@pytest.mark.parametrize("step", [2, 7, 500], ids=["half", "some", "few"])
def test_a_filter_misses_little_of_a_large_index(
    large: DenseIndex, many: Vectors, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dense, "_FEW_ROWS", 100)
    rows = range(1, len(many), step)
    found = wanted = 0
    for question in questions(many):
        scored = large.search(question, 5, rows)
        right = nearest(many, question, 5, rows)
        assert {entry.row for entry in scored} <= set(rows)
        found += len({entry.row for entry in scored} & right)
        wanted += len(right)
    assert found >= 0.98 * wanted


def test_vectors_of_a_large_index_are_what_was_written(large: DenseIndex, many: Vectors) -> None:
    rows = [3999, 0, 17, 17]
    assert np.array_equal(large.vectors(rows), many[rows])
    assert large.similarities(many[17], rows)[2] == pytest.approx(1.0)
    assert large.similarities(many[17], []) == []


def test_what_is_nothing_is_not_found_in_a_large_index(large: DenseIndex, many: Vectors) -> None:
    scored = large.search(many[1], len(many), None)
    assert {entry.row for entry in scored} <= set(np.flatnonzero(many.any(axis=1)).tolist())


def test_a_large_index_is_the_same_every_time(tmp_path: Path, many: Vectors) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write(tmp_path / name, many)
    one, two = ((tmp_path / name / dense.LISTS_FILE).read_bytes() for name in ("one", "two"))
    assert one == two


def test_a_large_index_of_nothing_is_scanned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dense, "EXACT_ROWS", 2)
    write(tmp_path, np.zeros((3, 2), dtype=np.float32))
    index = DenseIndex(tmp_path)
    assert [scored.row for scored in index.search(vector(1, 0), 5, None)] == [0, 1, 2]
    assert index.search(vector(1, 0), 5, [1, 2]) == [Scored(1, 0.0), Scored(2, 0.0)]
