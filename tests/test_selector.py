from __future__ import annotations

import pytest

from fakes import FakeEncoder, fill
from qa.config import Settings
from qa.ingest import build
from qa.retrieve import retrieve
from qa.scorer import SimilarityScorer
from qa.selector import (
    DEPTH,
    FEATURES,
    MOST,
    SENTENCES,
    Selection,
    Selector,
    coverage,
    features,
)
from qa.stores.local import LocalStore
from qa.types import Candidate, Hit, Passage, Sentence


def select(settings: Settings, selector: Selector, fake: FakeEncoder, question: str) -> Selection:
    store = LocalStore.open(settings.index)
    (vector,) = fake.encode([question])
    hits = retrieve(store, question, vector, dense_weight=0.5, candidates=50)
    return selector.select(store, question, vector, hits)


@pytest.mark.parametrize(
    ("question", "sentence"),
    [
        ("Where does the Danube rise?", "The Danube rises in the Black Forest."),
        ("How many inhabitants has the city?", "The city has two million inhabitants."),
        ("At what degrees melts gold?", "Gold melts at 1,064 degrees."),
    ],
)
def test_the_sentence_that_answers_is_first(
    indexed: Settings, fake: FakeEncoder, question: str, sentence: str
) -> None:
    found = select(indexed, Selector(SimilarityScorer(fake)), fake, question)
    assert found.candidates[0].sentence.plain == sentence
    scores = [candidate.score for candidate in found.candidates]
    assert scores == sorted(scores, reverse=True)
    assert len(found.features) == len(FEATURES)


@pytest.mark.parametrize(
    ("sentences", "passages"),
    [(1, MOST), (2, SENTENCES // 2), (8, DEPTH)],
    ids=["one each", "two each", "many each"],
)
def test_only_the_best_passages_are_read(
    settings: Settings, fake: FakeEncoder, sentences: int, passages: int
) -> None:
    text = "Gold {0} melts. " * sentences
    fill(settings.corpus, {f"{number}.txt": text.format(number) for number in range(MOST + 3)})
    build(settings, fake)
    found = select(settings, Selector(SimilarityScorer(fake)), fake, "Does gold melt?")
    assert len({candidate.hit.row for candidate in found.candidates}) == passages
    assert len(found.candidates) == passages * sentences


def test_nothing_found(indexed: Settings, fake: FakeEncoder) -> None:
    store = LocalStore.open(indexed.index)
    found = Selector(SimilarityScorer(fake)).select(store, "Why?", fake.encode(["Why?"])[0], [])
    assert found.candidates == ()
    assert found.features == (0.0,) * len(FEATURES)


@pytest.mark.parametrize(
    ("text", "rarities", "share"),
    [
        ("Gold melts.", {"gold": 3.0, "lead": 1.0}, 0.75),
        ("Golden leads", {"gold": 3.0, "lead": 1.0}, 0.25),
        ("Gold and lead.", {"gold": 3.0, "lead": 1.0}, 1.0),
        ("Nothing.", {"gold": 3.0}, 0.0),
        ("Gold.", {}, 0.0),
        ("The U.S. agreed", {"us": 2.0, "agre": 2.0}, 1.0),
    ],
)
def test_coverage(text: str, rarities: dict[str, float], share: float) -> None:
    assert coverage(text, rarities) == share


def test_features() -> None:
    def hit(row: int, plain: str, similarity: float, bm25: float) -> Hit:
        passage = Passage("a", "", 0, 1, plain, plain, (), 1, None, ())
        return Hit(row, passage, 0.5, similarity, bm25, {})

    one, two = hit(1, "Gold melts.", 0.8, 2.0), hit(2, "Lead does.", 0.6, 4.0)
    sentence = Sentence(0, 1, "x")
    candidates = [
        Candidate(one, sentence, 0.9, 0.5, 0.25),
        Candidate(one, sentence, 0.8, 0.7, 0.1),
        Candidate(two, sentence, 0.6, 0.2, 0.75),
    ]
    found = features([one, two], candidates, {"gold": 3.0, "lead": 1.0, "tin": 4.0})
    expected = (0.7, 0.8, 0.75, 3 / 8, 4 / 8, 0.3)
    assert found == pytest.approx(expected)
    alone = features([one], candidates[:2], {})
    assert alone == pytest.approx((0.7, 0.8, 0.25, 0.0, 0.0, 0.0))
