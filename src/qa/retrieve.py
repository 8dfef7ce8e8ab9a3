"""Find passages: ask the dense and the lexical channel, fuse what they return."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from qa.types import Allowed, Hit, Scored, Store, Vectors


def retrieve(
    store: Store,
    question: str,
    vector: Vectors,
    *,
    dense_weight: float,
    candidates: int,
    limit: int | None = None,
    allowed: Allowed | None = None,
) -> list[Hit]:
    """Return the passages that either channel found, best first.

    The score is a convex sum of min-max-normalised cosine and BM25 (Bruch, Gai and Ingber, "An
    Analysis of Fusion Functions for Hybrid Retrieval", 2023). A passage that only the lexical
    channel returned still has its exact cosine; one that only the dense channel returned counts
    as BM25 0.

    :param vector: the encoded question, shape (dimension,), unit length.
    :param dense_weight: 0 to 1, the share of the cosine.
    :param candidates: how many each channel is asked for.
    :param limit: return at most so many; the others are not even fetched.
    :param allowed: where given, the only passages searched.
    """
    dense = store.dense(vector, candidates, allowed)
    lexical = store.lexical(question, candidates, allowed)
    rows = sorted({scored.row for scored in (*dense, *lexical)})
    if not rows:
        return []
    similarity = np.asarray(store.similarities(vector, rows))
    bm25_of = {scored.row: scored.score for scored in lexical}
    bm25 = np.asarray([bm25_of.get(row, 0.0) for row in rows])
    fused = dense_weight * _spread(similarity) + (1 - dense_weight) * _spread(bm25)
    order = sorted(range(len(rows)), key=lambda place: (-fused[place], rows[place]))[:limit]
    ranks = {"dense": _ranks(dense), "lexical": _ranks(lexical)}
    passages = store.passages([rows[place] for place in order])
    return [
        Hit(
            row=rows[place],
            passage=passage,
            score=float(fused[place]),
            similarity=float(similarity[place]),
            bm25=float(bm25[place]),
            ranks={channel: found.get(rows[place]) for channel, found in ranks.items()},
        )
        for place, passage in zip(order, passages, strict=True)
        if passage.plain
    ]


def _spread(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Map scores to 0..1; equal ones to 1, so that a lone passage keeps its weight."""
    low, high = scores.min(), scores.max()
    return (scores - low) / (high - low) if high > low else np.ones_like(scores)


def _ranks(found: Sequence[Scored]) -> dict[int, int]:
    return {scored.row: rank for rank, scored in enumerate(found, 1)}
