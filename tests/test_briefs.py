"""The sources that come with the program keep the rules they were written by."""

from __future__ import annotations

import datetime
import json
import re
from pathlib import Path

import pytest
import yaml

from qa.readers import read
from qa.text import Markup, document_sentences

ROOT = Path(__file__).parents[1]
CORPUS = ROOT / "corpus"
BRIEFS = sorted((CORPUS / "briefs").glob("*.md"))
RELATIVE = re.compile(
    r"\b(recently|currently|nowadays|today|yesterday|tomorrow|lately|so far|to date|at present|now"
    r"|ago|(last|this|next) (year|month|week)|the following (year|month|week)"
    r"|(a|one|two|three|\d+) (days?|weeks?|months?|years?) (later|earlier))\b",
    re.IGNORECASE,
)
LEANING = re.compile(r"(It|This|That|These|Those|They|He|She|However|Both|The former|The latter)\b")


def test_there_is_a_brief_for_every_topic() -> None:
    assert len(BRIEFS) == 23


@pytest.fixture(params=BRIEFS, ids=lambda path: path.stem)
def brief(request: pytest.FixtureRequest) -> str:
    path: Path = request.param
    return path.read_text(encoding="utf-8")


def parts(brief: str) -> tuple[dict[str, object], str, dict[str, str]]:
    """Return front matter, prose, and footnote definitions."""
    _, front, rest = brief.split("---\n", 2)
    definitions = dict(re.findall(r"^\[\^(\w+)\]: (.+)$", rest, re.MULTILINE))
    prose = re.sub(r"^\[\^\w+\]: .+$", "", rest, flags=re.MULTILINE)
    return yaml.safe_load(front), prose, definitions


def test_the_front_matter_is_complete(brief: str) -> None:
    front, _, _ = parts(brief)
    assert isinstance(front["title"], str)
    assert isinstance(front["date"], datetime.date)
    assert front["date"] <= datetime.date(2026, 2, 15)
    assert isinstance(front["topics"], list) and front["topics"]


def test_every_footnote_is_defined_and_used(brief: str) -> None:
    _, prose, definitions = parts(brief)
    assert set(re.findall(r"\[\^(\w+)\]", prose)) == set(definitions)
    named = re.compile(r'.+, ".+", .+\. https?://\S+ \([^()]+\)\.')
    known = re.compile(r".+\d{4}.* \(document named from general knowledge, not opened\)\.")
    for text in definitions.values():
        assert named.fullmatch(text) or known.fullmatch(text), text


def test_the_length_is_that_of_a_brief(brief: str) -> None:
    _, prose, _ = parts(brief)
    words = re.findall(r"\b[\w’'$%.,-]+\b", re.sub(r"\[\^\w+\]", "", prose))
    assert 450 <= len(words) <= 900


def test_every_sentence_stands_alone_and_carries_its_source(brief: str) -> None:
    document = read("brief.md", brief.encode())
    assert document.text == brief
    markup = Markup(document.text, document.marks)
    footnotes = [mark for mark in document.marks if mark.kind == "footnote"]
    for block in (mark for mark in document.marks if mark.kind == "block"):
        for sentence in document_sentences(markup, (block.start, block.end)):
            quote = brief[sentence.start : sentence.end]
            inside = [mark for mark in footnotes if sentence.start <= mark.start < sentence.end]
            assert inside and quote.endswith("]"), quote
            assert not RELATIVE.search(sentence.plain), sentence.plain
            assert not LEANING.match(sentence.plain), sentence.plain


QUESTIONS = [
    json.loads(line)
    for name in ("corpus", "hard", "near")
    for line in (ROOT / "tests" / "questions" / f"{name}.jsonl").read_text("utf-8").splitlines()
]


def gold(entry: dict[str, object]) -> list[tuple[str, list[str]]]:
    """Return source and right answers of every part of a question."""
    found = []
    for part in [entry, *entry.get("also", [])] if entry["answers"] else []:
        uris = part["uri"] if isinstance(part["uri"], list) else [part["uri"]]
        found += [(uri, part["answers"]) for uri in uris]
    return found


@pytest.mark.parametrize("entry", QUESTIONS, ids=lambda entry: entry["question"][:60])
def test_every_gold_answer_lies_inside_one_sentence(entry: dict[str, object]) -> None:
    for uri, answers in gold(entry):
        document = read(uri, (CORPUS / uri).read_bytes())
        markup = Markup(document.text, document.marks)
        quotes = [
            document.text[sentence.start : sentence.end]
            for block in document.marks
            if block.kind == "block"
            for sentence in document_sentences(markup, (block.start, block.end))
        ]
        assert any(answer in quote for answer in answers for quote in quotes), (uri, answers)


def test_the_questions_are_as_many_as_promised() -> None:
    lines = (ROOT / "tests" / "questions" / "corpus.jsonl").read_text("utf-8").splitlines()
    groups = [json.loads(line)["group"] for line in lines]
    counts = {name: groups.count(name) for name in sorted(set(groups))}
    assert counts == {
        "differ": 12,
        "near miss": 15,
        "off topic": 10,
        "one source": 82,
        "two sources": 15,
    }
