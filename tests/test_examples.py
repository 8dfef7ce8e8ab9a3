from __future__ import annotations

from dataclasses import replace

import pytest

from fakes import FakeEncoder
from qa.assistant import Assistant
from qa.config import Settings
from qa.examples import Examples, answered, candidates, questions
from qa.readers import read


@pytest.mark.parametrize(
    ("heading", "question"),
    [
        ("The shadow fleet", "What is known about the shadow fleet?"),
        ("Import bans of 2022", "What is known about import bans of 2022?"),
        ("Nord Stream", "What is known about Nord Stream?"),  # a name, as the text has it
        ("AUKUS", "What is known about AUKUS?"),
    ],
)
def test_a_heading_becomes_a_question(heading: str, question: str) -> None:
    text = f"# All of it\n\n## {heading}\n\nAnd so Nord Stream ended.\n"
    assert list(questions(read("a.md", text.encode()))) == [question]


@pytest.mark.parametrize(
    "heading",
    ["How it works", "Oil, gas, coal", "What it is?", "a/b", "123456", "x" * 90, "Of the", "Q: A"],
)
def test_what_names_nothing_becomes_no_question(heading: str) -> None:
    text = f"# How all of it works\n\n## {heading}\n\nSome text.\n"
    assert list(questions(read("a.md", text.encode()))) == []


def test_names_and_numbers_come_first() -> None:
    text = "# How\n\n## Other things\n\nA.\n\n## The law of 2022\n\nB.\n"
    assert next(questions(read("a.md", text.encode()))) == "What is known about the law of 2022?"


@pytest.fixture
def sure(indexed: Settings, fake: FakeEncoder, monkeypatch: pytest.MonkeyPatch) -> Assistant:
    monkeypatch.setattr("qa.examples._CONFIDENCE", 0.0)
    return Assistant.open(settings=replace(indexed, threshold=0.0), encoder=fake)


def test_examples_are_answered_each_by_another_source(sure: Assistant) -> None:
    found = answered(sure, candidates(sure), lambda: True)
    cited = [sure.ask(question).citations[0].uri for question in found]
    assert len(found) >= 2
    assert len(set(cited)) == len(cited)


def test_a_question_of_every_source_comes_first(sure: Assistant) -> None:
    assert list(candidates(sure)) == [
        "What is known about the Danube?",
        "What is known about Vienna?",  # it has no heading, but a title
        "What is known about notes?",
        "What is known about the Rhine?",
    ]


def test_questions_that_are_not_answered_are_no_examples(
    indexed: Settings, fake: FakeEncoder
) -> None:
    assistant = Assistant.open(settings=replace(indexed, threshold=1.0), encoder=fake)
    assert answered(assistant, candidates(assistant), lambda: True) == ()


def test_examples_belong_to_a_generation(sure: Assistant) -> None:
    examples = Examples()
    assert examples.of(sure.store.generation) == ()
    examples.find(sure, lambda: True)
    assert len(examples.of(sure.store.generation)) >= 2
    assert examples.of("another") == ()


def test_examples_found_before_are_tried_first(
    sure: Assistant, monkeypatch: pytest.MonkeyPatch
) -> None:
    examples = Examples()
    examples.find(sure, lambda: True)
    found = examples.of(sure.store.generation)
    monkeypatch.setattr("qa.examples.candidates", lambda assistant: iter(()))
    examples.find(sure, lambda: True)
    assert examples.of(sure.store.generation) == found


def test_it_ends_when_told_to(sure: Assistant) -> None:
    assert answered(sure, candidates(sure), lambda: False) == ()
