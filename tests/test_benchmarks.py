"""What the benchmarks are computed from; what they measure is not tested."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from benchmarks import synthetic
from benchmarks.peers.work import Question, generated, given, is_right
from benchmarks.report import replace_table, rounded, shown

from fakes import FakeEncoder
from qa.config import Settings
from qa.stores.local import LocalStore

DOCUMENTS = {"a.txt": "The Danube is\n2,850 km long. The Rhine is 1,230 km long. Long, long."}
LENGTH = Question("How long is the Danube?", "a.txt", 14, 22)


@pytest.mark.parametrize(
    ("uri", "passage", "right"),
    [
        ("a.txt", "The Danube is 2,850 km long.", True),
        ("a.txt", "2,850\n km", True),
        ("a.txt", "850 km long", True),
        ("a.txt", "m long. The Rhine", False),
        ("a.txt", "The Rhine is 1,230 km long.", False),
        ("b.txt", "The Danube is 2,850 km long.", False),
        ("a.txt", "The Danube is 2,850 miles long.", False),
        ("a.txt", " ", False),
    ],
)
def test_a_passage_is_right_that_covers_half_of_the_answer(
    uri: str, passage: str, right: bool
) -> None:
    assert DOCUMENTS["a.txt"][LENGTH.start : LENGTH.end] == "2,850 km"
    assert is_right(LENGTH, DOCUMENTS, uri, passage) is right


def test_generated_work_is_the_same_every_time_and_has_one_answer_each() -> None:
    work = generated(60)
    assert work == generated(60)
    for question in work.questions:
        text = work.documents[question.uri]
        town = text.removeprefix("The town of ").partition(" was founded")[0]
        assert town in question.text
        answer = text[question.start : question.end]
        assert answer.strip() == answer != ""


def test_questions_in_the_format_of_squad(tmp_path: Path) -> None:
    answer = {"answer_start": 14, "text": "2,850 km"}
    asked = [
        {"question": LENGTH.text, "answers": [answer]},
        {"question": "How old is it?", "answers": []},
    ]
    paragraph = {"context": DOCUMENTS["a.txt"], "qas": asked}
    file = tmp_path / "questions.json"
    file.write_text(json.dumps({"data": [{"title": "Rivers", "paragraphs": [paragraph]}]}))
    work = given(file, None)
    (question,) = work.questions
    assert work.documents[question.uri][question.start : question.end] == "2,850 km"
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "rivers.md").write_text(f"# Rivers\n\n{DOCUMENTS['a.txt']}\n")
    work = given(file, folder)
    assert work.questions[0].uri == "rivers.md"
    assert work.documents["rivers.md"][work.questions[0].start :].startswith("2,850 km")


def test_made_up_passages_are_where_they_say() -> None:
    corpus = synthetic.Corpus(45)
    parts = list(corpus)
    assert [len(part.passages) for part in parts] == [20, 20, 5]
    assert parts == list(corpus)
    for part in parts:
        text = part.document.text
        for passage in part.passages:
            assert text[passage.start : passage.end] == passage.text
            assert passage.line == text.count("\n", 0, passage.start) + 1
            for sentence in passage.sentences:
                assert text[sentence.start : sentence.end] == sentence.plain
            assert all(one.end < other.start for one, other in pairwise(passage.sentences))
    words = synthetic.words()
    assert len(set(words)) == len(words) == synthetic.WORDS


def test_a_made_up_corpus_is_an_index_like_any_other(tmp_path: Path) -> None:
    encoder = FakeEncoder()
    corpus = synthetic.Corpus(30)
    drawn = synthetic.Sample(
        encoder.encode([f"a{number} b{number % 7}" for number in range(50)]),
        encoder.encode(["What is a1?", "What is b2?"]),
    )
    vectors = synthetic.write_vectors(tmp_path / "vectors", 30, drawn)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(30), abs=1e-5)
    settings = Settings(index=tmp_path / "index")
    synthetic.publish(settings, corpus, vectors, encoder)
    store = LocalStore.open(settings.index)
    assert store.count() == 30
    assert store.passages([23]) == [corpus.part(1).passages[3]]
    assert store.lexical(corpus.question(23), 1, None)[0].row == 23
    for question in synthetic.questions(5, corpus, drawn):
        assert len(store.dense(question.vector, 3, None)) == 3
    store.close()


def test_a_table_is_written_between_its_marks(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- speed: written by make -->\nold\n<!-- end of speed -->\nafter\n")
    for _ in range(2):
        replace_table(page, "speed", [["figure", "ms"], ["encode", 3]])
    assert page.read_text() == (
        "before\n<!-- speed: written by make -->\n"
        "| figure | ms |\n| --- | --- |\n| encode | 3 |\n<!-- end of speed -->\nafter\n"
    )
    with pytest.raises(SystemExit, match="has the marks of 'peers' 0 times"):
        replace_table(page, "peers", [["figure"]])


@pytest.mark.parametrize(
    ("value", "text"),
    [(1234.5, "1,234"), (12.345, "12.3"), (0.01234, "0.012"), (3, "3"), ("x", "x"), (0.0, "0")],
)
def test_figures_are_shown_with_the_digits_that_count(value: object, text: str) -> None:
    assert shown(value) == text
    assert rounded({"a": 12.3456, "b": [1], "c": {"d": 3}}) == {"a": 12.35, "b": [1], "c": {"d": 3}}
