"""The question sets that the selector is trained and measured on, read into one form.

Their paths are arguments: but for the contrasts, nothing of them is in this repository.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

_BRACKETS = (("-lrb- ", "("), (" -rrb-", ")"), ("-lrb-", "("), ("-rrb-", ")"))
_SQUARE = (("-lsb- ", "["), (" -rsb-", "]"), ("-lsb-", "["), ("-rsb-", "]"))
_QUOTES = (("`` ", '"'), ("``", '"'), (" ''", '"'), ("''", '"'))


@dataclass(frozen=True, slots=True)
class Ranking:
    """A question with sentences in their order, of which some answer it."""

    question: str
    title: str
    section: str
    sentences: tuple[str, ...]
    #: places of the sentences that answer
    right: frozenset[int]


def natural(text: str) -> str:
    """Undo the tokenisation of the SQuAD sentence files."""
    for old, new in (*_BRACKETS, *_SQUARE, *_QUOTES):
        text = text.replace(old, new)
    text = re.sub(r" ([,.;:?!%])", r"\1", text)
    text = re.sub(r" ('s|n't|'re|'ve|'ll|'d|')\b", r"\1", text)
    return re.sub(r"([$£€]) ", r"\1", text)


def squad_sentences(path: Path) -> list[tuple[str, str]]:
    """Read pairs of a question and the sentence that answers it (split of Du et al., 2017)."""
    rows = (line.split("\t") for line in path.read_text(encoding="utf-8").splitlines())
    return [(natural(question), natural(sentence)) for question, sentence in rows]


def selqa(path: Path) -> list[Ranking]:
    """Read SelQA: a question and the sentences of the section that it is about."""
    return [
        Ranking(
            entry["question"],
            entry["article"],
            "" if entry["section"] == "Abstract" else entry["section"],
            tuple(entry["candidates"]),
            frozenset(entry["answers"]),
        )
        for entry in json.loads(path.read_text(encoding="utf-8"))
    ]


def wikiqa(path: Path) -> list[Ranking]:
    """Read WikiQA: the questions that one of their sentences answers."""
    found: dict[str, list[tuple[str, bool]]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        question, sentence, label = line.split("\t")
        found.setdefault(question, []).append((natural(sentence), label == "1"))
    rankings = [
        Ranking(
            question,
            "",
            "",
            tuple(text for text, _ in rows),
            frozenset(place for place, (_, right) in enumerate(rows) if right),
        )
        for question, rows in found.items()
    ]
    return [ranking for ranking in rankings if ranking.right]


def natural_questions(path: Path) -> list[Ranking]:
    """Read QED: paragraphs of several sentences; right is one that holds a short answer."""
    rankings = []
    for line in path.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        text = entry["paragraph_text"]
        starts = entry["sentence_starts"]
        spans = list(zip(starts, [*starts[1:], len(text)], strict=True))
        answers = [answer for found in entry["original_nq_answers"] for answer in found]
        right = frozenset(
            place
            for place, (start, end) in enumerate(spans)
            if any(start <= answer["start"] and answer["end"] <= end for answer in answers)
        )
        if len(spans) > 1:
            sentences = tuple(text[start:end].strip() for start, end in spans)
            question, title = entry["question_text"], entry["title_text"]
            rankings.append(Ranking(question, title, "", sentences, right))
    return rankings


def contrasts(path: Path) -> list[Ranking]:
    """Read groups of sentences about one thing, with the questions that each alone answers.

    A group is a line `# title > heading`, then lines `1. sentence` and `1? question`; a question
    marked `1,3?` is answered by both. Empty lines stand between groups (training/contrasts).

    :raises ValueError: naming the file and the group.
    """
    rankings = []
    for group in re.split(r"\n\s*\n", path.read_text(encoding="utf-8").strip()):
        head, *lines = group.splitlines()
        title, _, section = head.removeprefix("# ").partition(" > ")
        found = [re.fullmatch(r"([\d,]+)([.?]) (.+)", line) for line in lines]
        if not section or not all(found):
            raise ValueError(f"{path}: not a group of sentences and questions: {head!r}")
        parts = [match.groups() for match in found if match]
        sentences = tuple(text for _, kind, text in parts if kind == ".")
        rankings += [
            Ranking(
                text,
                title,
                section,
                sentences,
                frozenset(int(number) - 1 for number in numbers.split(",")),
            )
            for numbers, kind, text in parts
            if kind == "?"
        ]
    return rankings
