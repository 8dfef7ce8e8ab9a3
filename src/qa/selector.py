"""Score sentences against a question, with a calibrated probability that they answer it."""

from __future__ import annotations

import json
import math
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np

from qa.splitter import context
from qa.text import terms, topic_terms
from qa.types import Candidate, Encoder, Hit, Passage, Store, Vectors

#: Passages whose sentences are scored. With more, nothing measured improved (XQuAD: 3 to 10).
DEPTH = 5
#: Weights of a sentence's cosine, of the words it shares, and of its passage's fused score.
#: Chosen on XQuAD and the training part of SelQA; finer values did not matter.
SIMILARITY_WEIGHT = 1.0
COVERAGE_WEIGHT = 0.3
PASSAGE_WEIGHT = 0.2
#: Sentences whose vectors are kept in memory, 1.5 kB each.
_KEPT_SENTENCES = 20_000

#: Title, section and text of a passage: the same again after a rebuild that did not change it.
_Key = tuple[str, tuple[str, ...], str]


@dataclass(frozen=True, slots=True)
class Selection:
    """The sentences of the best passages, best first, and whether they answer."""

    candidates: tuple[Candidate, ...]
    #: what the confidence is computed from, in the order of FEATURES
    features: tuple[float, ...]
    #: calibrated probability that the sources answer
    confidence: float


class Selector:
    """Scores sentences; keeps the vectors of those it saw, since the same passages come again."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._known: OrderedDict[_Key, Vectors] = OrderedDict()
        self._kept = 0
        self._lock = threading.Lock()

    def select(
        self, store: Store, question: str, vector: Vectors, hits: Sequence[Hit]
    ) -> Selection:
        """Score the sentences of the first passages found.

        :param vector: the encoded question, shape (dimension,), unit length.
        """
        hits = [hit for hit in hits[:DEPTH] if hit.passage.sentences]
        wanted = topic_terms(question)
        rarities = dict(zip(wanted, store.rarities(wanted), strict=True))
        vectors = self._vectors([hit.passage for hit in hits])
        candidates = []
        for hit, known in zip(hits, vectors, strict=True):
            similarities = (known @ vector).tolist()
            for sentence, similarity in zip(hit.passage.sentences, similarities, strict=True):
                shared = coverage(sentence.plain, rarities)
                score = (
                    SIMILARITY_WEIGHT * similarity
                    + COVERAGE_WEIGHT * shared
                    + PASSAGE_WEIGHT * hit.score
                )
                candidates.append(Candidate(hit, sentence, score, similarity, shared))
        candidates.sort(key=lambda found: (-found.score, found.hit.row, found.sentence.start))
        values = features(hits, candidates, rarities)
        return Selection(tuple(candidates), values, confidence(values))

    def learn(self, passages: Sequence[Passage]) -> bool:
        """Encode the sentences of some passages ahead; return False once memory is full."""
        self._vectors(passages)
        return self._kept < _KEPT_SENTENCES

    def _vectors(self, passages: Sequence[Passage]) -> list[Vectors]:
        """Return the vectors of each passage's sentences, encoding those not known yet."""
        keys = [(passage.title, passage.section, passage.plain) for passage in passages]
        with self._lock:
            known = {key: self._known[key] for key in keys if key in self._known}
        missing = [place for place, key in enumerate(keys) if key not in known]
        texts = [self._read(passages[place]) for place in missing]
        if missing:
            encoded = self._encoder.encode([text for group in texts for text in group])
            ends = np.cumsum([len(group) for group in texts])
            parts = np.split(encoded, ends[:-1])
            known |= {keys[place]: part for place, part in zip(missing, parts, strict=True)}
        self._keep(known)
        return [known[key] for key in keys]

    def _read(self, passage: Passage) -> list[str]:
        """Return what the model reads for each sentence, which alone may not name its topic."""
        window, count = self._encoder.max_tokens - 2, self._encoder.count
        before = context(passage.title, passage.section, window, count)
        return [before + sentence.plain for sentence in passage.sentences]

    def _keep(self, used: dict[_Key, Vectors]) -> None:
        """Keep what was used; forget what was not for longest when there is too much."""
        with self._lock:
            for key, vectors in used.items():
                if key not in self._known:
                    self._kept += len(vectors)
                self._known[key] = vectors
                self._known.move_to_end(key)
            while self._kept > _KEPT_SENTENCES:
                _, dropped = self._known.popitem(last=False)
                self._kept -= len(dropped)


def coverage(text: str, rarities: dict[str, float]) -> float:
    """Return the share of the question's words that a text has, weighted by rarity, 0 to 1."""
    total = sum(rarities.values())
    if not total:
        return 0.0
    present = {term.text for term in terms(text)}
    return sum(rarity for term, rarity in rarities.items() if term in present) / total


#: What the confidence is computed from, in the order of the coefficients.
FEATURES = (
    "passage similarity",
    "sentence similarity",
    "sentence coverage",
    "passage coverage",
    "bm25",
    "gap",
)


def features(
    hits: Sequence[Hit], candidates: Sequence[Candidate], rarities: dict[str, float]
) -> tuple[float, ...]:
    """Return the values that tell an answered question from an unanswered one.

    BM25 is taken as a share of the sum of the words' rarities, so that it does not grow with the
    length of the question or the size of the corpus. The gap is that of the best sentence to the
    best one of another passage.
    """
    if not candidates:
        return (0.0,) * len(FEATURES)
    best = candidates[0]
    other = next((found for found in candidates if found.hit.row != best.hit.row), None)
    total = sum(rarities.values())
    return (
        max(hit.similarity for hit in hits),
        max(found.similarity for found in candidates),
        max(found.coverage for found in candidates),
        max(coverage(hit.passage.plain, rarities) for hit in hits),
        max(hit.bm25 for hit in hits) / total if total else 0.0,
        best.score - other.score if other else 0.0,
    )


@dataclass(frozen=True, slots=True)
class Calibration:
    """A logistic model of answerability, fitted by training/fit_refusal.py."""

    coefficients: tuple[float, ...]
    intercept: float
    threshold: float


@cache
def calibration() -> Calibration:
    """Read the fitted coefficients that ship with the package."""
    data = json.loads(resources.files("qa").joinpath("refusal.json").read_text(encoding="utf-8"))
    named = data["coefficients"]
    return Calibration(
        tuple(named[name] for name in FEATURES), data["intercept"], data["threshold"]
    )


def confidence(values: Sequence[float]) -> float:
    """Return the probability that the sources answer, 0 to 1, from the features."""
    fitted = calibration()
    logit = fitted.intercept + sum(
        weight * value for weight, value in zip(fitted.coefficients, values, strict=True)
    )
    return 1 / (1 + math.exp(-max(-50.0, min(50.0, logit))))
