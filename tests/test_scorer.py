from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fakes import FakeEncoder
from qa import scorer
from qa.config import Settings
from qa.encoder import OpenVINOEncoder, model_folder
from qa.errors import ModelMissing
from qa.graph import openvino
from qa.scorer import NONE, SHIPPED, PairScorer, ReadingScorer, SimilarityScorer, open_scorer
from qa.types import Passage, Sentence, SentenceScorer


def passage(*sentences: str, title: str = "", section: tuple[str, ...] = ()) -> Passage:
    """Return a passage of these sentences."""
    text = " ".join(sentences)
    places = []
    for sentence in sentences:
        start = text.index(sentence, places[-1].end if places else 0)
        places.append(Sentence(start, start + len(sentence), sentence))
    return Passage("a.txt", title, 0, len(text), text, text, section, 1, None, tuple(places))


#: A model of the smallest size, never trained.
TINY = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "initializer_range": 1.0,
}

METALS = passage(
    "Gold is a soft yellow metal.",
    "It melts at 1,064 degrees.",
    "Jewellers have used it for thousands of years.",
    title="Gold",
)
RIVERS = passage("The Danube rises in the Black Forest.", "It is 2,850 kilometres long.")


@pytest.fixture(scope="module")
def reading_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A selector of the smallest size, never trained: two numbers of each word piece."""
    import torch
    from transformers import BertConfig, BertForTokenClassification

    class Scores(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            config = BertConfig(**TINY, num_labels=2)
            self.model = BertForTokenClassification(config)

        def forward(self, input_ids: Any, attention_mask: Any, token_type_ids: Any) -> Any:
            return self.model(input_ids, attention_mask, token_type_ids).logits

    folder = tmp_path_factory.mktemp("selector")
    torch.manual_seed(3)
    names = ("input_ids", "attention_mask", "token_type_ids")
    example = torch.ones((2, 8), dtype=torch.int64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        graph = openvino().convert_model(
            Scores().eval(),
            example_input=dict.fromkeys(names, example),
            input=[(name, [-1, -1]) for name in names],
        )
    openvino().save_model(graph, str(folder / "model.xml"), compress_to_fp16=False)
    shutil.copy(model_folder("all-MiniLM-L6-v2") / "tokenizer.json", folder)
    (folder / "model.json").write_text("{}", encoding="utf-8")
    return folder


def opened(folder: Path, slope: float = 0.0, constant: float = 0.0) -> SentenceScorer:
    facts = {"max_tokens": 160, "open": 101, "close": 102, "slope": slope, "constant": constant}
    (folder / "model.json").write_text(json.dumps(facts), encoding="utf-8")
    return open_scorer(Settings(selector=str(folder)), FakeEncoder())


@pytest.fixture(scope="module")
def reading(reading_model: Path) -> SentenceScorer:
    return opened(reading_model, slope=12.0, constant=-7.0)


def score(scorer: SentenceScorer, question: str, passages: list[Passage]) -> list[Any]:
    (vector,) = FakeEncoder().encode([question])
    return scorer.score(question, vector, passages)


def test_a_sentence_is_read_by_itself(
    reading: SentenceScorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qa.scorer._LARGEST", 1000.0)  # so that all are read
    question = "At what temperature does gold melt?"
    both = score(reading, question, [METALS, RIVERS])
    assert [len(found) for found in both] == [3, 2]
    for found, alone in zip(both, ([METALS], [RIVERS]), strict=True):
        assert score(reading, question, alone)[0] == pytest.approx(found, abs=1e-4)
    values = {round(float(value), 4) for found in both for value in found}
    assert len(values) == 5


def test_a_sentence_is_read_with_its_headings(reading_model: Path) -> None:
    """Similarity reads them too; with a slope of 0 it says nothing."""
    reading = opened(reading_model)
    sentences = [sentence.plain for sentence in METALS.sentences]
    question = "When does it melt?"
    bare = score(reading, question, [passage(*sentences)])[0]
    headed = score(reading, question, [passage(*sentences, title="Gold")])[0]
    assert abs(bare[1] - headed[1]) > 1e-4


def test_what_is_read_is_added_to_similarity(
    reading_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qa.scorer._LARGEST", 1000.0)  # so that all are read
    question = "When does gold melt?"
    read = score(opened(reading_model), question, [METALS])[0]
    total = score(opened(reading_model, slope=20.0, constant=-3.0), question, [METALS])[0]
    similarity = score(SimilarityScorer(FakeEncoder()), question, [METALS])[0]
    assert total == pytest.approx(read + 2 * similarity - 3, abs=1e-4)


def test_one_word_may_be_the_answer() -> None:
    first = np.array([1.0, 2.0, 3.0], np.float32)
    assert scorer._said(np.stack([first, np.zeros(3)], 1)) == pytest.approx(2)
    peak = np.log(np.array([28.0, 1.0, 1.0]))
    assert scorer._said(np.stack([first, peak], 1)) == pytest.approx(2 + np.log(10))


def test_only_the_likeliest_are_read(reading_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    question, passages = "When does gold melt?", [METALS, RIVERS]
    similarity = np.concatenate(score(SimilarityScorer(FakeEncoder()), question, passages))
    first, second, *others = np.argsort(-similarity)
    read = np.concatenate(score(opened(reading_model), question, passages))
    monkeypatch.setattr("qa.scorer._READ", 2)
    some = np.concatenate(score(opened(reading_model), question, passages))
    assert some[[first, second]] == pytest.approx(read[[first, second]], abs=1e-4)
    assert some[others] == pytest.approx(min(read[first], read[second]), abs=1e-4)


def test_what_cannot_win_is_not_read(reading_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What counts besides decides, too: here the last sentence is far ahead of the others."""
    monkeypatch.setattr("qa.scorer._TURN", 1)
    reading = opened(reading_model)
    (vector,) = FakeEncoder().encode(["When does gold melt?"])
    read = reading.score("When does gold melt?", vector, [METALS])[0]
    assert len(set(read.tolist())) == 3
    besides = [np.array([0, 0, 100], np.float32)]
    some = reading.score("When does gold melt?", vector, [METALS], besides)[0]
    assert some.tolist() == pytest.approx([read[2]] * 3, abs=1e-4)  # as the worst that was read
    besides = [np.array([0, 0, 1], np.float32)]
    near = reading.score("When does gold melt?", vector, [METALS], besides)[0]
    assert near.tolist() == pytest.approx(read.tolist(), abs=1e-4)


@pytest.mark.parametrize(
    "sentences",
    [
        [f"Sentence {number} is about metals and their melting points." for number in range(60)],
        ["It melts " + "very " * 500 + "slowly."],
        ["…", "\u200b", "It melts."],
        ["One.", "two " * 300, "Three."],
    ],
    ids=["many", "long", "nothing that a tokenizer keeps", "long between short"],
)
def test_every_sentence_gets_a_score(reading: SentenceScorer, sentences: list[str]) -> None:
    (scores,) = score(reading, "When does gold melt? " * 50, [passage(*sentences)])
    assert len(scores) == len(sentences)
    assert all(-100 < value < 100 for value in scores)


def test_nothing_to_score(reading: SentenceScorer) -> None:
    assert score(reading, "Why?", []) == []
    assert [found.tolist() for found in score(reading, "Why?", [passage()])] == [[]]


def test_the_kinds(reading: SentenceScorer) -> None:
    assert reading.kind == "selector"
    assert open_scorer(Settings(selector=NONE), FakeEncoder()).kind == NONE


@pytest.mark.parametrize("missing", ["model.json", "model.bin", "tokenizer.json"])
def test_a_selector_that_is_not_whole(reading_model: Path, tmp_path: Path, missing: str) -> None:
    shutil.copytree(reading_model, tmp_path / "copy")
    (tmp_path / "copy" / missing).unlink()
    with pytest.raises(ModelMissing, match=f"has no {missing}"):
        ReadingScorer("copy", tmp_path / "copy", SimilarityScorer(FakeEncoder()), tmp_path)


# similarity


def test_similarity_reads_the_headings() -> None:
    fake = FakeEncoder()
    (vector,) = fake.encode(["When does gold melt?"])
    (scores,) = SimilarityScorer(fake).score("When does gold melt?", vector, [METALS])
    assert len(scores) == 3
    assert "Gold\nIt melts at 1,064 degrees." in fake.encoded
    assert all(-10 <= score <= 10 for score in scores)


def test_a_passage_is_encoded_once() -> None:
    fake = FakeEncoder()
    scorer = SimilarityScorer(fake)
    (vector,) = fake.encode(["Why?"])
    first = scorer.score("Why?", vector, [METALS])
    fake.encoded.clear()
    again = scorer.score("Why?", vector, [METALS, METALS])
    assert fake.encoded == []
    assert again[0].tolist() == again[1].tolist() == first[0].tolist()


def test_the_same_words_may_be_other_sentences_elsewhere() -> None:
    fake = FakeEncoder()
    scorer = SimilarityScorer(fake)
    (vector,) = fake.encode(["Open the valve?"])
    whole, cut = (
        passage("Open the valve Close the pump"),
        passage("Open the valve", "Close the pump"),
    )
    assert whole.plain == cut.plain
    assert [len(scores) for scores in scorer.score("", vector, [whole, cut])] == [1, 2]
    assert [len(scores) for scores in scorer.score("", vector, [cut, whole])] == [2, 1]


def test_what_was_learned_ahead_is_not_encoded_when_asked() -> None:
    fake = FakeEncoder()
    scorer = SimilarityScorer(fake)
    (vector,) = fake.encode(["Why?"])
    assert scorer.learn([METALS, RIVERS])
    fake.encoded.clear()
    scorer.score("Why?", vector, [METALS, RIVERS])
    assert fake.encoded == []


def test_vectors_that_do_not_fit_are_forgotten_and_made_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("qa.scorer._KEPT_SENTENCES", 3)
    fake = FakeEncoder()
    scorer = SimilarityScorer(fake)
    (vector,) = fake.encode(["Why?"])
    first = scorer.score("Why?", vector, [METALS, RIVERS])
    assert [found.tolist() for found in scorer.score("Why?", vector, [METALS, RIVERS])] == [
        found.tolist() for found in first
    ]
    assert fake.encoded.count("Gold\nGold is a soft yellow metal.") == 2
    assert not scorer.learn([METALS])


# any cross-encoder


@pytest.fixture(scope="module")
def pair_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cross-encoder of the smallest size, never trained."""
    from sentence_transformers import CrossEncoder
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

    folder = tmp_path_factory.mktemp("pairs")
    config = BertConfig(**TINY, num_labels=1)
    BertForSequenceClassification(config).save_pretrained(folder / "bare")
    tokenizer = AutoTokenizer.from_pretrained(str(model_folder("all-MiniLM-L6-v2")))
    tokenizer.save_pretrained(folder / "bare")
    CrossEncoder(str(folder / "bare"), device="cpu").save_pretrained(str(folder / "model"))
    return folder / "model"


def test_any_cross_encoder(pair_model: Path) -> None:
    scorer = open_scorer(Settings(selector=str(pair_model)), FakeEncoder())
    assert scorer.kind == "cross-encoder"
    scores = score(scorer, "Why?", [METALS, passage(), RIVERS])
    assert [len(found) for found in scores] == [3, 0, 2]
    alone = score(scorer, "Why?", [RIVERS])[0]
    assert alone == pytest.approx(scores[2], abs=1e-5)
    assert len({round(float(value), 6) for found in scores for value in found}) == 5


@pytest.mark.parametrize("name", ["no-such-model-anywhere", "all-MiniLM-L6-v2"])
def test_a_name_that_is_no_cross_encoder(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelMissing, match=name):
        PairScorer(name, model_folder(name))


# the one that ships


@pytest.mark.parametrize(
    ("title", "question", "like", "right"),
    [
        (
            "The bridge",
            "When was the bridge opened?",
            "Many people came to see the bridge.",
            "It carried its first cars on 3 May 1999.",
        ),
        (
            "Opera house",
            "Who designed the opera house?",
            "The opera house has a remarkable design.",
            "The plans were drawn by Jørn Utzon.",
        ),
        (
            "",
            "When did the war end?",
            "The war was fought on three continents.",
            "Peace was signed in February 1763.",
        ),
    ],
)
def test_the_shipped_selector_reads(
    encoder: OpenVINOEncoder, title: str, question: str, like: str, right: str
) -> None:
    """It prefers the sentence that answers to one that has more of the question's words."""
    found = passage(like, right, title=title)
    (vector,) = encoder.encode([question])
    (similarity,) = SimilarityScorer(encoder).score(question, vector, [found])
    assert similarity[0] > similarity[1]
    (scores,) = open_scorer(Settings(), encoder).score(question, vector, [found])
    assert scores[1] > scores[0]


def test_the_shipped_selector_is_small() -> None:
    folder = model_folder(SHIPPED)
    assert sum(file.stat().st_size for file in folder.iterdir()) <= 25_000_000
