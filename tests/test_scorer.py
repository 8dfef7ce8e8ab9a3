from __future__ import annotations

from pathlib import Path

import pytest

from fakes import FakeEncoder
from qa.config import Settings
from qa.encoder import model_folder
from qa.errors import ModelMissing
from qa.scorer import (
    BUILT_IN,
    NONE,
    PairScorer,
    ReadingScorer,
    SimilarityScorer,
    open_scorer,
)
from qa.types import Passage, Sentence, SentenceScorer


def passage(*sentences: str, title: str = "", section: tuple[str, ...] = ()) -> Passage:
    """Return a passage of these sentences."""
    text = " ".join(sentences)
    places = []
    for sentence in sentences:
        start = text.index(sentence, places[-1].end if places else 0)
        places.append(Sentence(start, start + len(sentence), sentence))
    return Passage("a.txt", title, 0, len(text), text, text, section, 1, None, tuple(places))


METALS = passage(
    "Gold is a soft yellow metal.",
    "It melts at 1,064 degrees.",
    "Jewellers have used it for thousands of years.",
    title="Gold",
)
RIVERS = passage("The Danube rises in the Black Forest.", "It is 2,850 kilometres long.")


@pytest.fixture(scope="module")
def reading() -> SentenceScorer:
    """The model that ships."""
    return open_scorer(Settings(), FakeEncoder())


@pytest.mark.parametrize(
    ("question", "place", "number"),
    [
        ("At what temperature does gold melt?", 0, 1),
        ("Who makes use of gold?", 0, 2),
        ("Where is the source of the Danube?", 1, 0),
        ("What is the length of the Danube?", 1, 1),
    ],
)
def test_the_model_that_ships_finds_the_sentence_that_answers(
    reading: SentenceScorer, question: str, place: int, number: int
) -> None:
    """It reads "It melts" with the neighbour that says what does."""
    scores = reading.score(question, [METALS, RIVERS])
    assert [len(found) for found in scores] == [3, 2]
    best = max((value, p, n) for p, found in enumerate(scores) for n, value in enumerate(found))
    assert best[1:] == (place, number)
    assert best[0] > 0


@pytest.mark.parametrize("question", ["Who won the World Cup in 2018?", "How is bread baked?"])
def test_above_zero_means_an_answer(reading: SentenceScorer, question: str) -> None:
    assert max(value for found in reading.score(question, [METALS, RIVERS]) for value in found) < 0


def test_a_passage_is_scored_by_itself(reading: SentenceScorer) -> None:
    question = "At what temperature does gold melt?"
    both = reading.score(question, [METALS, RIVERS])
    for found, alone in zip(both, ([METALS], [RIVERS]), strict=True):
        assert reading.score(question, alone)[0] == pytest.approx(found, abs=0.05)
    assert [found.tolist() for found in reading.score(question, [METALS, RIVERS])] == [
        found.tolist() for found in both
    ]


@pytest.mark.parametrize(
    "sentences",
    [
        ["Gold melts at 1,064 degrees."] * 60,
        ["word " * 2000],
        ["\u200b"],
        ["Gold melts at 1,064 degrees.", "word " * 2000, "Lead is grey."],
    ],
    ids=["many", "long", "nothing that a tokenizer keeps", "long between short"],
)
def test_every_sentence_gets_a_score(reading: SentenceScorer, sentences: list[str]) -> None:
    (scores,) = reading.score("When does gold melt? " * 50, [passage(*sentences)])
    assert len(scores) == len(sentences)
    assert all(-100 < score < 100 for score in scores)


def test_nothing_to_score(reading: SentenceScorer) -> None:
    assert reading.score("Why?", []) == []
    assert [found.tolist() for found in reading.score("Why?", [passage()])] == [[]]


def test_the_kinds() -> None:
    fake = FakeEncoder()
    assert open_scorer(Settings(), fake).kind == BUILT_IN
    assert open_scorer(Settings(selector="none"), fake).kind == NONE


def test_a_model_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="install the package again"):
        ReadingScorer(tmp_path)


# similarity


def test_similarity_reads_the_headings() -> None:
    fake = FakeEncoder()
    (scores,) = SimilarityScorer(fake).score("When does gold melt?", [METALS])
    assert len(scores) == 3
    assert "Gold\nIt melts at 1,064 degrees." in fake.encoded
    assert all(-10 <= score <= 10 for score in scores)


def test_a_passage_is_encoded_once() -> None:
    fake = FakeEncoder()
    scorer = SimilarityScorer(fake)
    first = scorer.score("Why?", [METALS])
    fake.encoded.clear()
    again = scorer.score("Why?", [METALS, METALS])
    assert fake.encoded == ["Why?"]
    assert again[0].tolist() == again[1].tolist() == first[0].tolist()


def test_vectors_that_do_not_fit_are_forgotten_and_made_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("qa.scorer._KEPT_SENTENCES", 3)
    fake = FakeEncoder()
    scorer = SimilarityScorer(fake)
    first = scorer.score("Why?", [METALS, RIVERS])
    assert [found.tolist() for found in scorer.score("Why?", [METALS, RIVERS])] == [
        found.tolist() for found in first
    ]
    assert fake.encoded.count("Gold\nGold is a soft yellow metal.") == 2


# any cross-encoder


@pytest.fixture(scope="module")
def pair_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cross-encoder of the smallest size, never trained."""
    from sentence_transformers import CrossEncoder
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

    folder = tmp_path_factory.mktemp("pairs")
    config = BertConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        num_labels=1,
        initializer_range=1.0,
    )
    BertForSequenceClassification(config).save_pretrained(folder / "bare")
    tokenizer = AutoTokenizer.from_pretrained(str(model_folder("all-MiniLM-L6-v2")))
    tokenizer.save_pretrained(folder / "bare")
    CrossEncoder(str(folder / "bare"), device="cpu").save_pretrained(str(folder / "model"))
    return folder / "model"


def test_any_cross_encoder(pair_model: Path) -> None:
    scorer = open_scorer(Settings(selector=str(pair_model)), FakeEncoder())
    assert scorer.kind == "cross-encoder"
    scores = scorer.score("Why?", [METALS, passage(), RIVERS])
    assert [len(found) for found in scores] == [3, 0, 2]
    alone = scorer.score("Why?", [RIVERS])[0]
    assert alone == pytest.approx(scores[2], abs=1e-5)
    assert len({round(float(value), 6) for found in scores for value in found}) == 5


@pytest.mark.parametrize("name", ["no-such-model-anywhere", "all-MiniLM-L6-v2"])
def test_a_name_that_is_no_cross_encoder(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelMissing, match=name):
        PairScorer(name, model_folder(name))
