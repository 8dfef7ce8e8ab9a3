"""Disagreements and copies, from the question to the reply."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import replace
from pathlib import Path

import pytest

from fakes import FakeEncoder, fill
from qa.assistant import Assistant
from qa.cli import main
from qa.config import Settings
from qa.encoder import OpenVINOEncoder
from qa.evaluate import Outcome, Question, judge, notices
from qa.ingest import build
from qa.selector import DEPTH
from qa.verify import read_citations, verify

BRIDGE = {
    "old.md": "---\ntitle: The old guide\ndate: 2019-05-01\n---\n"
    "The Elbe bridge has a length of **2,850 metres**.[^1]\n\n[^1]: Atlas, 2018.\n",
    "new.md": "---\ntitle: The new survey\ndate: 2024-03-02\n---\n"
    "# Bridges\n\nThe Elbe bridge has a length of *2,888 m*.\n",
    "ferry.txt": "The Elbe ferry takes 40 cars.\n",
}
LENGTH = "What is the length of the Elbe bridge?"


def opened(settings: Settings, files: dict[str, str]) -> Assistant:
    fill(settings.corpus, files)
    build(settings, FakeEncoder())
    return Assistant.open(settings=replace(settings, threshold=0.0), encoder=FakeEncoder())


def test_both_sides_are_quoted_the_newer_first(settings: Settings) -> None:
    assistant = opened(settings, BRIDGE)
    reply = assistant.ask(LENGTH)
    (found,) = reply.disagreements
    assert found.kind == "quantity"
    assert [(side.uri, side.date) for side in found.citations] == [
        ("new.md", "2024-03-02"),
        ("old.md", "2019-05-01"),
    ]
    for side, spans in zip(found.citations, found.spans, strict=True):
        assert assistant.store.document(side.uri).text[side.start : side.end] == side.quote
        quoted = {citation.uri: citation.number for citation in reply.citations}
        assert side.number == quoted.get(side.uri, side.number)
        assert len(spans) == 1
    differing = [
        [side.quote[start:end] for start, end in spans]
        for side, spans in zip(found.citations, found.spans, strict=True)
    ]
    assert differing == [["2,888 m"], ["2,850 metres"]]
    assert (
        json.loads(json.dumps(dataclasses.asdict(reply)))["disagreements"][0]["kind"] == "quantity"
    )


def test_both_sides_are_verified(settings: Settings) -> None:
    assistant = opened(settings, BRIDGE)
    reply = json.dumps(dataclasses.asdict(assistant.ask(LENGTH)))
    cited = read_citations("answer.json", reply)
    assert {entry.uri for entry in cited} == {"old.md", "new.md"}
    fill(settings.corpus, {"new.md": BRIDGE["new.md"].replace("2,888", "2,889")})
    found = {entry.uri: entry.state for entry in verify(settings, cited)}
    assert found == {"old.md": "valid", "new.md": "changed"}


def test_numbers_go_on_after_those_of_the_answer(settings: Settings) -> None:
    reply = opened(settings, BRIDGE).ask(LENGTH)
    numbers = {side.uri: side.number for side in reply.disagreements[0].citations}
    for citation in reply.citations:
        assert numbers.pop(citation.uri, citation.number) == citation.number
    assert sorted(numbers.values()) == [
        len(reply.citations) + place for place in range(1, len(numbers) + 1)
    ]


def test_a_source_that_is_not_asked_does_not_disagree(settings: Settings) -> None:
    reply = opened(settings, BRIDGE).ask(LENGTH, sources=["old.md", "ferry.txt"])
    assert reply.answered
    assert reply.disagreements == ()


def test_a_refusal_has_no_disagreement(settings: Settings) -> None:
    assistant = opened(settings, BRIDGE)
    assistant.threshold = 1.0
    assert assistant.ask(LENGTH).disagreements == ()


def test_the_command_line_shows_both_sides(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened(settings, BRIDGE)
    monkeypatch.setattr("qa.assistant.open_encoder", lambda settings: FakeEncoder())
    monkeypatch.setenv("QA_THRESHOLD", "0")
    options = ["--index", str(settings.index), "--corpus", str(settings.corpus)]
    assert main(["ask", LENGTH, *options]) == 0
    shown = capsys.readouterr().out
    assert "Sources differ:\n" in shown
    assert shown.index("The new survey (2024-03-02)") < shown.rindex("The old guide (2019-05-01)")
    assert "has a length of *>2,888 m<*" in shown


# the same sentence elsewhere

SENTENCE = "The lighthouse keeper's log names the brig “Aurora”."
COPIES = {
    "log.md": "# Log\n\nThe lighthouse keeper's log names the brig “Aurora”.\n",
    "bold.md": "# Copy\n\nThe **lighthouse** keeper’s log names\n"
    'the brig "Aurora".[^1]\n\n[^1]: A.\n',
    "spaced.txt": "The lighthouse  keeper's log names   the brig «Aurora».\n",
    "page.html": "<html><body><article><h1>Copy</h1><p>The lighthouse keeper&#39;s log names"
    " the <em>brig</em> &ldquo;Aurora&rdquo;.</p></article></body></html>",
    "other.txt": "The lighthouse keeper's log names the brig “Borealis”.\n",
}


def test_copies_are_one_sentence_that_cites_them_all(settings: Settings) -> None:
    # so many near ones that some copies are not among the passages that are scored
    more = {f"more/{place}.txt": f"Page {place}.\n\n{SENTENCE}\n" for place in range(3)}
    near = {
        f"near/{place}.txt": f"The lighthouse keeper {place} names a brig.\n" for place in range(4)
    }
    assistant = opened(settings, COPIES | more | near)
    reply = assistant.ask("Which brig does the log of the lighthouse keeper name?")
    same = [
        citation
        for citation, sentence in zip(reply.citations, reply.answer, strict=True)
        if "Aurora" in sentence.plain
    ]
    (citation,) = same
    assert {citation.uri, *(place.uri for place in citation.also)} == {
        "log.md",
        "bold.md",
        "spaced.txt",
        "page.html",
        *more,
    }
    assert len(citation.also) + 1 > DEPTH
    for place in citation.also:
        text = assistant.store.document(place.uri).text[place.start : place.end]
        assert text.startswith("The ") and "Aurora" in text
    assert reply.disagreements == ()


# measured


def test_notices_are_counted_among_the_answered() -> None:
    def outcome(group: str, answered: bool, differing: bool) -> Outcome:
        return Outcome(Question("?", (), group=group), 0, 0, False, answered, 0.5, 1.0, differing)

    outcomes = [
        outcome("differ", True, True),
        outcome("differ", True, True),
        outcome("differ", True, False),
        outcome("differ", False, False),
        outcome("one source", True, True),
        outcome("", True, False),
        outcome("off topic", False, False),
    ]
    assert notices(outcomes) == {
        "sources differ: answered": 3,
        "sources differ: noticed": 2,
        "other questions: answered": 2,
        "other questions: noticed": 1,
    }


# measured on the shipped sources, with the model that ships

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(("name", "least", "most"), [("corpus", 0.8, 5), ("further", 0.8, 2)])
def test_notices_on_the_shipped_sources(
    shipped: Settings, encoder: OpenVINOEncoder, name: str, least: float, most: int
) -> None:
    lines = (ROOT / "tests" / "questions" / f"{name}.jsonl").read_text("utf-8").splitlines()
    with Assistant.open(settings=shipped, encoder=encoder) as assistant:
        outcomes = [
            judge(
                Question(entry["question"], (), group=entry["group"]),
                assistant.ask(entry["question"]),
            )
            for entry in map(json.loads, lines)
        ]
    counted = notices(outcomes)
    assert counted["sources differ: answered"] >= 7
    assert counted["sources differ: noticed"] >= least * counted["sources differ: answered"]
    assert counted["other questions: noticed"] <= most
