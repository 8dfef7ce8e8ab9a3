from __future__ import annotations

import math

import pytest

from fakes import FakeEncoder, fill
from qa.config import Settings
from qa.ingest import build
from qa.retrieve import retrieve
from qa.selector import (
    DEPTH,
    FEATURES,
    Selection,
    Selector,
    calibration,
    confidence,
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
    found = select(indexed, Selector(fake), fake, question)
    assert found.candidates[0].sentence.plain == sentence
    scores = [candidate.score for candidate in found.candidates]
    assert scores == sorted(scores, reverse=True)
    assert len(found.features) == len(FEATURES)
    assert found.confidence == confidence(found.features)


def test_a_question_on_the_matter_is_the_more_probable(
    indexed: Settings, fake: FakeEncoder
) -> None:
    selector = Selector(fake)
    on, off = (
        select(indexed, selector, fake, question).confidence
        for question in ("Where does the Danube rise?", "Who painted zebras yesterday?")
    )
    assert on > off


def test_only_the_best_passages_are_read(settings: Settings, fake: FakeEncoder) -> None:
    fill(settings.corpus, {f"{number}.txt": f"Gold {number} melts." for number in range(DEPTH + 3)})
    build(settings, fake)
    found = select(settings, Selector(fake), fake, "Does gold melt?")
    assert len(found.candidates) == DEPTH


def test_a_passage_is_encoded_once(indexed: Settings, fake: FakeEncoder) -> None:
    selector = Selector(fake)
    first = select(indexed, selector, fake, "Where does the Danube rise?")
    fake.encoded.clear()
    assert select(indexed, selector, fake, "Where does the Danube rise?") == first
    assert fake.encoded == ["Where does the Danube rise?"]


def test_vectors_that_do_not_fit_are_forgotten_and_made_again(
    settings: Settings, fake: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qa.selector._KEPT_SENTENCES", 1)
    fill(settings.corpus, {"a.txt": "Gold melts.", "b.txt": "Lead melts."})
    build(settings, fake)
    selector = Selector(fake)
    first = select(settings, selector, fake, "Does gold melt?")
    assert select(settings, selector, fake, "Does gold melt?") == first
    assert not selector.learn(LocalStore.open(settings.index).passages([0, 1]))


def test_what_was_learned_ahead_is_not_encoded_when_asked(
    indexed: Settings, fake: FakeEncoder
) -> None:
    selector = Selector(fake)
    store = LocalStore.open(indexed.index)
    assert selector.learn(store.passages(range(store.manifest.counts["passages"])))
    fake.encoded.clear()
    select(indexed, selector, fake, "Where does the Danube rise?")
    assert fake.encoded == ["Where does the Danube rise?"]


def test_nothing_found(indexed: Settings, fake: FakeEncoder) -> None:
    store = LocalStore.open(indexed.index)
    (vector,) = fake.encode(["Why?"])
    found = Selector(fake).select(store, "Why?", vector, [])
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
    expected = (0.8, 0.7, 0.75, 3 / 8, 4 / 8, 0.3)
    assert found == pytest.approx(expected)
    alone = features([one], candidates[:2], {})
    assert alone == pytest.approx((0.8, 0.7, 0.25, 0.0, 0.0, 0.0))


def test_confidence_is_a_logistic_function_of_the_features() -> None:
    fitted = calibration()
    assert confidence((0.0,) * 6) == pytest.approx(1 / (1 + math.exp(-fitted.intercept)))
    weight = fitted.coefficients[0]
    raised = confidence((-fitted.intercept / weight, 0, 0, 0, 0, 0))
    assert raised == pytest.approx(0.5)
    assert confidence((1e9,) * 6) == pytest.approx(1, abs=1e-12)
    assert confidence((-1e9,) * 6) == pytest.approx(0, abs=1e-12)


def test_the_shipped_calibration() -> None:
    fitted = calibration()
    assert len(fitted.coefficients) == len(FEATURES)
    assert 0 < fitted.threshold < 1
