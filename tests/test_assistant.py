from __future__ import annotations

import dataclasses
import json
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any
from unittest.mock import Mock

import pytest

import qa.assistant
from fakes import CORPUS, FakeEncoder, fill
from qa.assistant import Assistant, Live
from qa.calibration import open_calibration
from qa.config import Settings
from qa.errors import (
    IndexDamaged,
    IndexIncompatible,
    IndexMissing,
    QAError,
    QuestionError,
    UnknownSource,
)
from qa.ingest import build
from qa.scorer import SimilarityScorer
from qa.stores import generation
from qa.stores.local import LocalIndex, LocalStore

BUDGET = "How large did the US Treasury estimate targeted sanctions to be by mid-2024?"


@pytest.fixture
def assistant(indexed: Settings, fake: FakeEncoder) -> Iterator[Assistant]:
    """An assistant over the small corpus that answers whatever its confidence."""
    settings = replace(indexed, threshold=0.0)
    found = Assistant(LocalStore.open(indexed.index), fake, SimilarityScorer(fake), settings)
    yield found
    found.store.close()


@pytest.fixture
def faked(monkeypatch: pytest.MonkeyPatch, fake: FakeEncoder) -> FakeEncoder:
    monkeypatch.setattr(qa.assistant, "open_encoder", lambda settings: fake)
    return fake


# the article, with the real model


@pytest.fixture(scope="module")
def article(article_index: Settings) -> Assistant:
    return Assistant.open(settings=article_index)


def test_the_article_answers(article: Assistant, article_index: Settings) -> None:
    reply = article.ask(BUDGET)
    assert reply.answered
    first = reply.citations[0]
    assert "$330 billion in targeted sanctions by mid-2024" in first.quote
    text = (article_index.corpus / first.uri).read_bytes().decode()
    for sentence, citation in zip(reply.answer, reply.citations, strict=True):
        assert text[citation.start : citation.end] == citation.quote == sentence.text
        assert citation.line == 1 + text.count("\n", 0, citation.start)
    assert first.title == "Russia-United States Relations: Current Dynamics in 2025"
    assert first.section == ("Sanctions, Diplomacy, and Strategic Competition",)
    assert reply.generation == (article_index.index / "CURRENT").read_text().strip()
    assert 1 <= len(reply.answer) <= 3
    assert len(reply.passages) == 5


@pytest.mark.parametrize(
    "question",
    [
        "Who won the 2018 World Cup?",
        "How do I bake sourdough bread?",
        "asdf qwer zxcv",
        "?",
        "😀",
        "\0",
        "x" * 2000,
        "WHERE uri = 'x'; DROP TABLE passages; --",
    ],
    ids=lambda question: repr(question[:20]),
)
def test_what_the_article_does_not_say_is_refused(article: Assistant, question: str) -> None:
    reply = article.ask(question)
    assert (reply.answered, reply.answer, reply.citations) == (False, (), ())
    assert reply.confidence < article.threshold
    assert len(reply.passages) == 5
    assert {passage.uri for passage in reply.passages} == {"russia-us-relations-2025.txt"}


def test_the_same_question_has_the_same_answer(article: Assistant, article_index: Settings) -> None:
    anew = Assistant.open(settings=article_index)
    replies = [replace(found.ask(BUDGET), took_ms=0) for found in (article, article, anew)]
    assert replies[0] == replies[1] == replies[2]


def test_threads_share_an_assistant(article: Assistant) -> None:
    questions = [BUDGET, "Who won the 2018 World Cup?", "Where do backchannel talks take place?"]
    expected = [replace(article.ask(question), took_ms=0) for question in questions]
    shared = Assistant(article.store, article.encoder, article.scorer, Settings())
    with ThreadPoolExecutor(4) as pool:
        replies = list(pool.map(shared.ask, questions * 5))
    assert [replace(reply, took_ms=0) for reply in replies] == expected * 5


# the reply


def test_an_answer_carries_its_sources(assistant: Assistant) -> None:
    reply = assistant.ask("  Where does the Danube rise?  ", limit=2)
    assert (reply.question, reply.interpreted) == (
        "  Where does the Danube rise?  ",
        "Where does the Danube rise?",
    )
    assert reply.answer[0].text == "The **Danube** rises in the Black Forest.[^1]"
    assert reply.answer[0].plain == "The Danube rises in the Black Forest."
    first = reply.citations[0]
    assert (first.uri, first.date, first.section) == ("rivers.md", "2024-05-01", ("The Danube",))
    assert first.references == ('Atlas Press, "Rivers", 2019.',)
    assert len(reply.passages) == 2
    words = {reply.passages[0].text[start:end] for start, end in reply.passages[0].highlights}
    assert words == {"Danube", "rises"}


def test_the_reply_is_json(assistant: Assistant) -> None:
    reply = dataclasses.asdict(assistant.ask("Where does the Danube rise?"))
    assert json.loads(json.dumps(reply))["citations"][0]["line"] == 9
    assert list(reply) == [
        "question",
        "interpreted",
        "answered",
        "confidence",
        "answer",
        "citations",
        "passages",
        "disagreements",
        "filters",
        "notices",
        "generation",
        "took_ms",
    ]


@pytest.mark.parametrize(("threshold", "answered"), [(0.0, True), (1.0, False)])
def test_the_threshold_decides(
    indexed: Settings, fake: FakeEncoder, threshold: float, answered: bool
) -> None:
    settings = replace(indexed, threshold=threshold)
    reply = Assistant.open(settings=settings, encoder=fake).ask("Is gold a metal?")
    assert reply.answered is answered
    assert bool(reply.answer) is answered


@pytest.mark.parametrize("question", ["the", "What is it?", "?!", "Who was where, and why?"])
def test_a_question_about_nothing_is_refused(
    indexed: Settings, fake: FakeEncoder, question: str
) -> None:
    settings = replace(indexed, threshold=0.01)
    reply = Assistant.open(settings=settings, encoder=fake).ask(question)
    assert (reply.answered, reply.confidence) == (False, 0.0)


def test_the_fitted_threshold_is_the_default(indexed: Settings, fake: FakeEncoder) -> None:
    found = Assistant.open(settings=indexed, encoder=fake)
    assert found.threshold == open_calibration("none", indexed.calibration).threshold


@pytest.mark.parametrize(
    ("options", "uris"),
    [
        ({"sources": ["notes.txt"]}, {"notes.txt"}),
        ({"sources": ["notes.txt", "rivers.md", "notes.txt"]}, {"notes.txt", "rivers.md"}),
        ({"after": "2023-01-15"}, {"cities/vienna.md", "rivers.md"}),
        ({"after": "2023-01-16"}, {"rivers.md"}),
        ({"before": "2023-01-15"}, {"cities/vienna.md"}),
        ({"before": "2024-05-01", "after": "2024-05-01"}, {"rivers.md"}),
        ({"before": "2023-01-14"}, set()),
        ({"sources": ["notes.txt"], "after": "2000-01-01"}, set()),
        ({}, {"cities/vienna.md", "notes.txt", "rivers.md"}),
    ],
    ids=[
        "one source",
        "two sources",
        "after, that day included",
        "after",
        "before, that day included",
        "one day",
        "before all",
        "undated",
        "all",
    ],
)
def test_sources_searched(assistant: Assistant, options: dict[str, Any], uris: set[str]) -> None:
    reply = assistant.ask("Danube Vienna gold", limit=50, **options)
    assert {passage.uri for passage in reply.passages} == uris
    assert {citation.uri for citation in reply.citations} <= uris
    assert reply.answered is bool(uris)


@pytest.mark.parametrize(
    ("question", "options", "field", "reason"),
    [
        ("", {}, "question", "is empty; write a question"),
        (" \n\u3000", {}, "question", "is empty; write a question"),
        ("x" * 2001, {}, "question", "has 2001 characters; at most 2000"),
        ("a\ud83d", {}, "question", "has half of a surrogate pair, which is no character"),
        ("Why?", {"limit": 0}, "limit", "is 0; 1 to 50"),
        ("Why?", {"limit": 51}, "limit", "is 51; 1 to 50"),
        ("Why?", {"sources": []}, "sources", "is empty; leave it out to search all sources"),
        ("Why?", {"after": "May"}, "after", "is 'May'; a day is written YYYY-MM-DD"),
        (
            "Why?",
            {"before": "2025-02-30"},
            "before",
            "is '2025-02-30'; a day is written YYYY-MM-DD",
        ),
        ("Why?", {"sort": "size"}, "sort", "is 'size'; relevance or date"),
        ("Why?", {"after": ""}, "after", "is ''; a day is written YYYY-MM-DD"),
    ],
)
def test_a_question_that_cannot_be_asked(
    assistant: Assistant, question: str, options: dict[str, Any], field: str, reason: str
) -> None:
    with pytest.raises(QuestionError) as caught:
        assistant.ask(question, **options)
    assert (caught.value.field, caught.value.reason) == (field, reason)


def test_an_unknown_source_is_named(assistant: Assistant) -> None:
    with pytest.raises(UnknownSource) as caught:
        assistant.ask("Why?", sources=["notes.txt", "gone.txt"])
    assert caught.value.uri == "gone.txt"


# opening


def test_an_index_is_opened_by_its_folder(indexed: Settings, faked: FakeEncoder) -> None:
    assert (
        Assistant.open(str(indexed.index)).store.generation
        == (indexed.index / "CURRENT").read_text().strip()
    )


@pytest.mark.parametrize("kind", [IndexMissing, IndexDamaged, IndexIncompatible])
def test_an_index_that_cannot_be_used(
    indexed: Settings, faked: FakeEncoder, kind: type[QAError]
) -> None:
    if kind is IndexMissing:
        shutil.rmtree(indexed.index)
    elif kind is IndexDamaged:
        (generation.current(indexed.index) / "dense.faiss").unlink()
    else:
        faked.name = "fake-2"
    with pytest.raises(kind):
        Assistant.open(settings=indexed)


def test_live_follows_the_generations(indexed: Settings, faked: FakeEncoder) -> None:
    live = Live(indexed)
    first = live.assistant()
    assert live.assistant() is first
    fill(indexed.corpus, {"notes.txt": "Lead melts at 327 degrees."})
    build(indexed, faked)
    second = live.assistant()
    assert second is not first
    assert second.encoder is first.encoder
    assert second.store.document("notes.txt").text == "Lead melts at 327 degrees."
    assert first.store.document("notes.txt").text == CORPUS["notes.txt"]


def test_live_opens_once_for_all_threads(
    indexed: Settings, faked: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    barrier = threading.Barrier(4)
    open_store = LocalIndex.open

    def counting(self: LocalIndex, *names: Any) -> LocalStore:
        opened.append(self.place)
        return open_store(self, *names)

    monkeypatch.setattr(LocalIndex, "open", counting)
    live = Live(indexed)

    def ask(number: int) -> Assistant:
        barrier.wait()
        return live.assistant()

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(ask, range(4)))) == 1
    assert opened == [str(indexed.index)]


def test_live_waits_for_a_first_index(settings: Settings, faked: FakeEncoder) -> None:
    live = Live(settings)
    with pytest.raises(IndexMissing):
        live.assistant()
    fill(settings.corpus, CORPUS)
    build(settings, faked)
    assert len(list(live.assistant().store.sources())) == 3


def test_live_tries_again_after_a_trouble_that_passes(
    indexed: Settings, faked: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = Live(indexed)
    first = live.assistant()
    report = build(indexed, faked, full=True)
    with monkeypatch.context() as patched:
        patched.setattr(LocalIndex, "open", Mock(side_effect=OSError(24, "Too many open files")))
        assert live.assistant() is first
    assert live.assistant().store.generation == report.generation


@pytest.mark.parametrize("trouble", ["another model", "damaged", "gone"])
def test_live_keeps_what_it_has_while_the_new_generation_cannot_be_used(
    indexed: Settings, faked: FakeEncoder, caplog: pytest.LogCaptureFixture, trouble: str
) -> None:
    live = Live(indexed)
    first = live.assistant()
    if trouble == "another model":
        build(indexed, FakeEncoder("fake-2"))
    elif trouble == "damaged":
        build(indexed, faked, full=True)
        (generation.current(indexed.index) / "dense.faiss").unlink()
    else:
        (indexed.index / "CURRENT").unlink()
    for _ in range(3):
        assert live.assistant() is first
    assert first.ask("Where does the Danube rise?").passages[0].uri == "rivers.md"
    assert len(caplog.records) == 1
    assert live.trouble
    report = build(indexed, faked, full=True)
    assert live.assistant().store.generation == report.generation
    assert live.trouble is None
