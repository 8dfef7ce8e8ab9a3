from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fakes import FakeEncoder
from qa.config import Settings
from qa.encoder import model_folder
from qa.errors import ModelMissing
from qa.graph import openvino
from qa.scorer import NONE, PairScorer, ReadingScorer, SimilarityScorer, open_scorer
from qa.types import Passage, Sentence, SentenceScorer


def passage(*sentences: str, title: str = "", section: tuple[str, ...] = ()) -> Passage:
    """Return a passage of these sentences."""
    text = " ".join(sentences)
    places = []
    for sentence in sentences:
        start = text.index(sentence, places[-1].end if places else 0)
        places.append(Sentence(start, start + len(sentence), sentence))
    return Passage("a.txt", title, 0, len(text), text, text, section, 1, None, tuple(places))


#: Of a question, for a model that reads it as text.
NO_VECTOR = np.zeros(1, np.float32)
#: A model of the smallest size, never trained.
TINY = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "num_labels": 1,
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
    """A selector of the smallest size, never trained, exported as training/ does."""
    import torch
    from transformers import BertConfig, BertForTokenClassification

    class Scores(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            config = BertConfig(**TINY)
            self.model = BertForTokenClassification(config)

        def forward(self, input_ids: Any, attention_mask: Any, token_type_ids: Any) -> Any:
            return self.model(input_ids, attention_mask, token_type_ids).logits[..., 0]

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
    facts = {"max_tokens": 96, "open": 101, "close": 102}
    (folder / "model.json").write_text(json.dumps(facts), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def reading(reading_model: Path) -> SentenceScorer:
    return open_scorer(Settings(selector=str(reading_model)), FakeEncoder())


def test_a_passage_is_read_by_itself(reading: SentenceScorer) -> None:
    question = "At what temperature does gold melt?"
    both = reading.score(question, NO_VECTOR, [METALS, RIVERS])
    assert [len(found) for found in both] == [3, 2]
    for found, alone in zip(both, ([METALS], [RIVERS]), strict=True):
        assert reading.score(question, NO_VECTOR, alone)[0] == pytest.approx(found, abs=1e-4)
    values = {round(float(value), 4) for found in both for value in found}
    assert len(values) == 5


def test_a_sentence_is_read_with_its_neighbours_and_headings(reading: SentenceScorer) -> None:
    question = "When does it melt?"
    sentences = [sentence.plain for sentence in METALS.sentences]
    whole = reading.score(question, NO_VECTOR, [passage(*sentences)])[0]
    others = reading.score(question, NO_VECTOR, [passage("Lead is grey.", *sentences[1:])])[0]
    headed = reading.score(question, NO_VECTOR, [passage(*sentences, title="Gold")])[0]
    assert abs(whole[1] - others[1]) > 1e-4
    assert abs(whole[1] - headed[1]) > 1e-4


def test_the_only_sentence_of_a_passage_is_read_once(reading: SentenceScorer) -> None:
    """Alone it is no different from whole; that of a longer passage counts half of each."""
    question = "When does it melt?"
    single = reading.score(question, NO_VECTOR, [passage("It melts.", title="Gold")])[0]
    assert reading.score(question, NO_VECTOR, [passage("It melts.", title="Gold"), METALS])[0] == (
        pytest.approx(single, abs=1e-4)
    )


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
    (scores,) = reading.score("When does gold melt? " * 50, NO_VECTOR, [passage(*sentences)])
    assert len(scores) == len(sentences)
    assert all(-100 < score < 100 for score in scores)


def test_nothing_to_score(reading: SentenceScorer) -> None:
    assert reading.score("Why?", NO_VECTOR, []) == []
    assert [found.tolist() for found in reading.score("Why?", NO_VECTOR, [passage()])] == [[]]


def test_the_kinds(reading: SentenceScorer) -> None:
    assert reading.kind == "selector"
    assert open_scorer(Settings(), FakeEncoder()).kind == NONE


@pytest.mark.parametrize("missing", ["model.json", "model.bin", "tokenizer.json"])
def test_a_selector_that_is_not_whole(reading_model: Path, tmp_path: Path, missing: str) -> None:
    shutil.copytree(reading_model, tmp_path / "copy")
    (tmp_path / "copy" / missing).unlink()
    with pytest.raises(ModelMissing, match=f"has no {missing}"):
        ReadingScorer("copy", tmp_path / "copy")


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
    config = BertConfig(**TINY)
    BertForSequenceClassification(config).save_pretrained(folder / "bare")
    tokenizer = AutoTokenizer.from_pretrained(str(model_folder("all-MiniLM-L6-v2")))
    tokenizer.save_pretrained(folder / "bare")
    CrossEncoder(str(folder / "bare"), device="cpu").save_pretrained(str(folder / "model"))
    return folder / "model"


def test_any_cross_encoder(pair_model: Path) -> None:
    scorer = open_scorer(Settings(selector=str(pair_model)), FakeEncoder())
    assert scorer.kind == "cross-encoder"
    scores = scorer.score("Why?", NO_VECTOR, [METALS, passage(), RIVERS])
    assert [len(found) for found in scores] == [3, 0, 2]
    alone = scorer.score("Why?", NO_VECTOR, [RIVERS])[0]
    assert alone == pytest.approx(scores[2], abs=1e-5)
    assert len({round(float(value), 6) for found in scores for value in found}) == 5


@pytest.mark.parametrize("name", ["no-such-model-anywhere", "all-MiniLM-L6-v2"])
def test_a_name_that_is_no_cross_encoder(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelMissing, match=name):
        PairScorer(name, model_folder(name))
