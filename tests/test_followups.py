"""Follow-up questions through the assistant, the command line and `qa eval`."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fakes import ARTICLE, FakeEncoder
from qa.assistant import Assistant
from qa.cli import main
from qa.config import Settings
from qa.encoder import OpenVINOEncoder
from qa.errors import QuestionError, QuestionFileError
from qa.evaluate import (
    Conversation,
    Question,
    Turn,
    evaluate,
    evaluate_conversations,
    read_conversations,
)
from qa.ingest import build
from qa.scorer import SimilarityScorer
from qa.stores.local import LocalStore

CONVERSATIONS = Path(__file__).parent / "questions" / "conversations.jsonl"
DANUBE = "Where does the Danube rise?"


@pytest.fixture
def assistant(indexed: Settings, fake: FakeEncoder) -> Iterator[Assistant]:
    """An assistant over the small corpus that answers whatever its confidence."""
    settings = replace(indexed, threshold=0.0)
    found = Assistant(LocalStore.open(indexed.index), fake, SimilarityScorer(fake), settings)
    yield found
    found.store.close()


# the assistant


def test_what_was_interpreted_is_encoded_searched_and_marked(
    assistant: Assistant, fake: FakeEncoder
) -> None:
    fake.encoded.clear()
    reply = assistant.ask("how long is it?", history=[DANUBE])
    assert (reply.question, reply.interpreted) == (
        "how long is it?",
        "how long is it (Danube rise)?",
    )
    assert fake.encoded[0] == "how long is it (Danube rise)?"
    best = reply.passages[0]
    assert {best.text[start:end] for start, end in best.highlights} >= {"Danube", "long"}


def test_a_question_of_its_own_gets_the_answer_it_gets_without_a_history(
    assistant: Assistant,
) -> None:
    with_history = assistant.ask("At what temperature does gold melt?", history=[DANUBE])
    without = assistant.ask("At what temperature does gold melt?", history=[])
    assert replace(with_history, took_ms=0) == replace(without, took_ms=0)
    assert without.interpreted == "At what temperature does gold melt?"


@pytest.mark.parametrize(
    ("history", "field"),
    [
        pytest.param(["Why?"] * 21, "history", id="21 turns"),
        pytest.param(["Why?", " "], "history.1.question", id="blank"),
        pytest.param(["x" * 2001], "history.0.question", id="too long"),
        pytest.param(["\ud800"], "history.0.question", id="half a surrogate pair"),
    ],
)
def test_a_bad_turn_is_named(assistant: Assistant, history: list[str], field: str) -> None:
    with pytest.raises(QuestionError) as caught:
        assistant.ask("Why?", history=history)
    assert caught.value.field == field


# qa chat


def chat(settings: Settings, monkeypatch: pytest.MonkeyPatch, *lines: str) -> int:
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(lines)))
    return main(["chat", "--corpus", str(settings.corpus), "--index", str(settings.index)])


SANCTIONS = "How large did the US Treasury estimate targeted sanctions to be by mid-2024?"


def test_a_chat_follows_up(
    article_index: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        chat(article_index, monkeypatch, SANCTIONS, "", "   ", "why that?", "exit", "Not asked")
        == 0
    )
    printed = " ".join(capsys.readouterr().out.split())
    first, second = printed.split("Searched for: ")
    assert "“The US Treasury estimated over $330 billion" in first
    assert second.startswith(
        "why that (US Treasury estimate targeted sanctions to be by mid-2024)?"
    )
    assert "Not asked" not in printed
    assert printed.count("onfidence ") == 2


def test_a_new_thread_forgets(
    article_index: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert chat(article_index, monkeypatch, SANCTIONS, "/new", "why?") == 0
    assert "Searched for" not in capsys.readouterr().out


def test_a_chat_lists_sources_and_help(
    article_index: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert chat(article_index, monkeypatch, "/sources", "/help") == 0
    out = capsys.readouterr().out
    assert "russia-us-relations-2025.txt  " in out
    assert "/new      forget" in out


def test_an_error_of_one_question_does_not_end_a_chat(
    article_index: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert chat(article_index, monkeypatch, "x" * 2001, SANCTIONS) == 0
    captured = capsys.readouterr()
    assert captured.err == "qa: question: has 2001 characters; at most 2000\n"
    assert "$330 billion" in captured.out


def test_an_interrupt_ends_a_chat(
    article_index: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(prompt: str) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr("builtins.input", interrupted)
    assert chat(article_index, monkeypatch) == 0
    assert capsys.readouterr().err == ""


def test_a_chat_without_an_index_says_how_to_make_one(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert chat(settings, monkeypatch, SANCTIONS) == 3
    assert "qa index" in capsys.readouterr().err


# qa eval


def write(path: Path, *lines: object) -> Path:
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    return path


FIRST = {"question": DANUBE, "follow_up": False}
RHINE = {
    "question": "and the Rhine?",
    "follow_up": True,
    "standalone": "Where is the source of the Rhine?",
    "answers": ["Swiss Alps"],
    "uri": "rivers.md",
}
GOLD = {"question": "At what temperature does gold melt?", "follow_up": False}


def test_conversations_are_read(tmp_path: Path) -> None:
    path = write(tmp_path / "c.jsonl", {"split": "test", "turns": [FIRST, RHINE, GOLD]})
    alone = Question("Where is the source of the Rhine?", ("Swiss Alps",), "rivers.md")
    assert read_conversations(path) == [
        Conversation((Turn(DANUBE), Turn("and the Rhine?", alone), Turn(GOLD["question"])), "test")
    ]


@pytest.mark.parametrize(
    "turn",
    [{}, {"question": 5, "follow_up": False}, {"question": "x"}, {**RHINE, "answers": "Alps"}],
    ids=["empty", "a number", "unmarked", "answers as text"],
)
def test_a_bad_conversation_is_named(tmp_path: Path, turn: dict[str, object]) -> None:
    path = write(tmp_path / "c.jsonl", {"turns": [FIRST]}, {"turns": [turn]})
    with pytest.raises(QuestionFileError, match="line 2: expected"):
        read_conversations(path)


def test_the_measures_of_conversations(assistant: Assistant, tmp_path: Path) -> None:
    path = write(
        tmp_path / "c.jsonl",
        {"split": "a", "turns": [FIRST, RHINE, GOLD]},
        {"split": "b", "turns": [FIRST, {**GOLD, "question": "Was it a good year?"}]},
    )
    measured = evaluate_conversations(read_conversations(path), assistant)["groups"]
    assert measured["a"] == {
        "conversations": 1,
        "follow-ups": 1,
        "other later questions": 1,
        "passage hit@5, in its thread": 1.0,
        "answer-sentence hit, in its thread": 1.0,
        "passage hit@5, standing alone": 1.0,
        "answer-sentence hit, standing alone": 1.0,
        "passage hit@5, bare words": 1.0,
        "answer-sentence hit, bare words": 0.0,
        "hit in thread / hit alone": 1.0,
        "others changed": 0.0,
    }
    assert measured["b"]["follow-ups"] == 0
    assert measured["b"]["answer-sentence hit, in its thread"] is None
    assert measured["b"]["others changed"] == 1.0


def test_a_file_of_conversations_is_recognised(
    article_index: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "c.jsonl", {"split": "test", "turns": [FIRST, GOLD]})
    assert evaluate(path, article_index, tmp_path)["groups"]["test"]["others changed"] == 0.0
    assert main(["eval", str(path), "--index", str(article_index.index)]) == 0
    out = capsys.readouterr().out
    assert "group test\n" in out
    assert "  others changed " in out


# the floors, on the sources that come with the program


def test_there_are_as_many_conversations_as_promised() -> None:
    conversations = read_conversations(CONVERSATIONS)
    later = [turn for found in conversations for turn in found.turns[1:]]
    assert len(conversations) >= 60
    assert {len(found.turns) for found in conversations} == {2, 3, 4}
    assert sum(turn.standalone is None for turn in later) >= len(later) / 2
    test = sum(found.split == "test" for found in conversations)
    assert 0.3 <= test / len(conversations) <= 0.4


def test_every_answer_stands_in_its_source() -> None:
    for conversation in read_conversations(CONVERSATIONS):
        for turn in conversation.turns:
            for answer in turn.standalone.answers if turn.standalone else ():
                texts = [(ARTICLE.parent / uri).read_text("utf-8") for uri in turn.standalone.uris]
                assert any(answer.casefold() in text.casefold() for text in texts), answer


def test_follow_ups_are_answered_nearly_as_well_as_questions_that_stand_alone(
    exported: Path, encoder: OpenVINOEncoder, tmp_path: Path
) -> None:
    settings = Settings(corpus=ARTICLE.parent, index=tmp_path / "index")
    shutil.copytree(exported, settings.index)
    build(settings, encoder)
    conversations = [
        replace(conversation, split="") for conversation in read_conversations(CONVERSATIONS)
    ]
    assistant = Assistant.open(settings=settings, encoder=encoder)
    measured = evaluate_conversations(conversations, assistant)
    assert measured["hit in thread / hit alone"] >= 0.85
    assert measured["others changed"] <= 0.03
    assert (
        measured["answer-sentence hit, bare words"] < measured["answer-sentence hit, in its thread"]
    )
