"""Rank the sentences of the passages found by how well they answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from qa.scorer import NONE
from qa.text import terms, topic_terms
from qa.types import Candidate, Hit, Scores, SentenceScorer, Store, Vectors

#: Passages whose sentences are scored. With more, nothing measured improved (XQuAD: 3 to 10) ...
DEPTH = 5
#: ... unless passages are short: as many more, up to `MOST`, as it takes for so many sentences.
SENTENCES, MOST = 20, 20


@dataclass(frozen=True, slots=True)
class Weights:
    """What is added to the log-odds of a sentence: for question words in it, for its passage."""

    coverage: float
    passage: float


#: For similarity chosen on XQuAD and the training part of SelQA; finer values did not matter.
_WEIGHTS = {NONE: Weights(coverage=3.0, passage=2.0)}
_READ_WEIGHTS = Weights(coverage=1.0, passage=8.0)


@dataclass(frozen=True, slots=True)
class Selection:
    """The sentences of the best passages, best first."""

    candidates: tuple[Candidate, ...]
    #: what the confidence is computed from, in the order of FEATURES
    features: tuple[float, ...]


class Selector:
    """Scores the sentences of the passages that were found."""

    def __init__(self, scorer: SentenceScorer) -> None:
        self._scorer = scorer
        self._weights = _WEIGHTS.get(scorer.kind, _READ_WEIGHTS)

    def select(
        self, store: Store, question: str, vector: Vectors, hits: Sequence[Hit]
    ) -> Selection:
        """Score the sentences of the first passages found.

        :param vector: the encoded question, shape (dimension,), unit length.
        """
        hits = list(_first(hits))
        wanted = topic_terms(question)
        rarities = dict(zip(wanted, store.rarities(wanted), strict=True))
        shared = [_coverages(hit, rarities) for hit in hits]
        besides = [
            self._weights.coverage * covered + np.float32(self._weights.passage * hit.score)
            for hit, covered in zip(hits, shared, strict=True)
        ]
        scores = self._scorer.score(question, vector, [hit.passage for hit in hits], besides)
        candidates = [
            Candidate(hit, sentence, value + more, value, covered)
            for hit, *found in zip(hits, scores, besides, shared, strict=True)
            for sentence, (value, more, covered) in zip(
                hit.passage.sentences, np.transpose(found).tolist(), strict=True
            )
        ]
        candidates.sort(key=lambda found: (-found.score, found.hit.row, found.sentence.start))
        return Selection(tuple(candidates), features(hits, candidates, rarities))


def _first(hits: Sequence[Hit]) -> Iterator[Hit]:
    """Yield the passages whose sentences are scored."""
    sentences = 0
    for place, hit in enumerate(hits[:MOST]):
        if place >= DEPTH and sentences >= SENTENCES:
            return
        sentences += len(hit.passage.sentences)
        if hit.passage.sentences:
            yield hit


def _coverages(hit: Hit, rarities: dict[str, float]) -> Scores:
    shares = [coverage(sentence.plain, rarities) for sentence in hit.passage.sentences]
    return np.array(shares, np.float32)


def coverage(text: str, rarities: dict[str, float]) -> float:
    """Return the share of the question's words that a text has, weighted by rarity, 0 to 1."""
    total = sum(rarities.values())
    if not total:
        return 0.0
    present = {term.text for term in terms(text)}
    return sum(rarity for term, rarity in rarities.items() if term in present) / total


#: What the confidence is computed from, in the order of the coefficients.
FEATURES = (
    "evidence",
    "passage similarity",
    "sentence coverage",
    "passage coverage",
    "bm25",
    "gap",
)


def features(
    hits: Sequence[Hit], candidates: Sequence[Candidate], rarities: dict[str, float]
) -> tuple[float, ...]:
    """Return the values that tell an answered question from an unanswered one.

    The evidence is the highest log-odds of a sentence. BM25 is taken as a share of the sum of the
    words' rarities, so that it does not grow with the length of the question or the size of the
    corpus. The gap is that of the best sentence to the best one of another passage.
    """
    if not candidates:
        return (0.0,) * len(FEATURES)
    best = candidates[0]
    other = next((found for found in candidates if found.hit.row != best.hit.row), None)
    total = sum(rarities.values())
    return (
        max(found.evidence for found in candidates),
        max(hit.similarity for hit in hits),
        max(found.coverage for found in candidates),
        max(coverage(hit.passage.plain, rarities) for hit in hits),
        max(hit.bm25 for hit in hits) / total if total else 0.0,
        best.score - other.score if other else 0.0,
    )
