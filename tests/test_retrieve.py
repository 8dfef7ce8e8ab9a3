from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from qa.retrieve import retrieve
from qa.types import Allowed, Passage, Scored, Vectors


class Channels:
    """A store that returns what it was made with."""

    def __init__(
        self,
        cosines: dict[int, float],
        dense: Sequence[int],
        lexical: dict[int, float],
        hidden: Sequence[int] = (),
    ) -> None:
        self.cosines, self.nearest, self.bm25, self.hidden = cosines, dense, lexical, hidden
        self.asked: list[tuple[int, Allowed | None]] = []
        self.fetched: list[int] = []

    def dense(self, vector: Vectors, limit: int, allowed: Allowed | None) -> list[Scored]:
        self.asked.append((limit, allowed))
        return [Scored(row, self.cosines[row]) for row in self.nearest]

    def lexical(self, question: str, limit: int, allowed: Allowed | None) -> list[Scored]:
        self.asked.append((limit, allowed))
        return [Scored(row, score) for row, score in self.bm25.items()]

    def similarities(self, vector: Vectors, rows: Sequence[int]) -> list[float]:
        return [self.cosines[row] for row in rows]

    def passages(self, rows: Sequence[int]) -> list[Passage]:
        self.fetched += rows
        return [
            Passage("a", "", row, row + 1, "x", "" if row in self.hidden else "x", (), 1, None, ())
            for row in rows
        ]


#: Row 7 leads in meaning, row 3 in words; row 5 was found by words alone, row 9 by meaning alone.
COSINES = {7: 0.9, 3: 0.7, 9: 0.5, 5: 0.1}
DENSE = [7, 3, 9]
LEXICAL = {3: 10.0, 5: 8.0, 7: 6.0}


def ask(store: Channels, weight: float = 0.5, limit: int | None = None) -> list[tuple[int, float]]:
    hits = retrieve(
        store,
        "question",
        np.zeros(2, np.float32),
        dense_weight=weight,
        candidates=50,
        limit=limit,
        allowed=Allowed(("a",)),
    )
    return [(hit.row, round(hit.score, 6)) for hit in hits]


@pytest.mark.parametrize(
    ("weight", "fused"),
    [
        # cosines spread over 0.1..0.9, BM25 over 0..10, a passage without it counting as 0
        (0.5, [(3, 0.875), (7, 0.8), (5, 0.4), (9, 0.25)]),
        (1.0, [(7, 1.0), (3, 0.75), (9, 0.5), (5, 0.0)]),
        (0.0, [(3, 1.0), (5, 0.8), (7, 0.6), (9, 0.0)]),
    ],
)
def test_the_score_is_a_convex_sum(weight: float, fused: list[tuple[int, float]]) -> None:
    assert ask(Channels(COSINES, DENSE, LEXICAL), weight) == fused


def test_a_hit_keeps_what_each_channel_said() -> None:
    store = Channels(COSINES, DENSE, LEXICAL)
    hits = retrieve(
        store,
        "question",
        np.zeros(2, np.float32),
        dense_weight=0.5,
        candidates=50,
    )
    assert [(hit.row, hit.similarity, hit.bm25, dict(hit.ranks)) for hit in hits] == [
        (3, 0.7, 10.0, {"dense": 2, "lexical": 1}),
        (7, 0.9, 6.0, {"dense": 1, "lexical": 3}),
        (5, 0.1, 8.0, {"dense": None, "lexical": 2}),
        (9, 0.5, 0.0, {"dense": 3, "lexical": None}),
    ]
    assert store.asked == [(50, None), (50, None)]


@pytest.mark.parametrize(
    ("store", "fused"),
    [
        (Channels({}, [], {}), []),
        (Channels({4: 0.3}, [4], {}), [(4, 1.0)]),
        (Channels({4: 0.3}, [], {4: 2.0}), [(4, 1.0)]),
        (Channels({4: 0.3, 2: 0.3}, [4, 2], {}), [(2, 1.0), (4, 1.0)]),
        (Channels(COSINES, DENSE, LEXICAL, hidden=[7]), [(3, 0.875), (5, 0.4), (9, 0.25)]),
    ],
    ids=["nothing", "one by meaning", "one by words", "ties by row", "hidden"],
)
def test_few_passages(store: Channels, fused: list[tuple[int, float]]) -> None:
    assert ask(store) == fused


def test_only_what_is_wanted_is_fetched() -> None:
    store = Channels(COSINES, DENSE, LEXICAL)
    assert [row for row, _ in ask(store, limit=2)] == [3, 7]
    assert store.fetched == [3, 7]
    assert store.asked == [(50, Allowed(("a",)))] * 2
