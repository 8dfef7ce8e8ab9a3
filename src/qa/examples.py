"""Example questions, drawn from the headings of the sources and kept where they are answered."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, zip_longest

from qa.assistant import Assistant
from qa.errors import QAError
from qa.text import FUNCTION_WORDS
from qa.types import Document

#: How many there are, how many are tried for them, and how sure the answer must be.
_WANTED = 4
_TRIED = 32
_CONFIDENCE = 0.8
_LONGEST_WORDS = 7
_ABOUT = "What is known about "
#: Sources whose headings are looked at.
_SOURCES = 200
_HEADINGS = 4
_NOT_A_NAME = re.compile(r"[,;:|/?!]|\d{5,}")
_ARTICLES = frozenset(("The", "A", "An"))
_CLAUSE = frozenset("how what when where which who whom whose why if that".split())


class Examples:
    """The example questions of the last generation that was looked at. Safe to share."""

    def __init__(self) -> None:
        self._found: tuple[str, tuple[str, ...]] = ("", ())

    def of(self, generation: str) -> tuple[str, ...]:
        """Return the questions for a generation; none until they are found."""
        known, questions = self._found
        return questions if known == generation else ()

    def find(self, assistant: Assistant, go_on: Callable[[], bool]) -> None:
        """Find the questions for what an assistant answers from; those found before come first.

        :param go_on: asked before each is tried; may wait, and ends the search by False.
        """
        _, before = self._found
        asked = dict.fromkeys(chain(before, candidates(assistant)))
        self._found = (assistant.store.generation, answered(assistant, asked, go_on))


def answered(
    assistant: Assistant, asked: Iterable[str], go_on: Callable[[], bool]
) -> tuple[str, ...]:
    """Return up to four questions that are answered with confidence, each by another source."""
    found: dict[str, str] = {}
    for tried, question in enumerate(asked):
        if tried >= _TRIED or len(found) >= _WANTED or not go_on():
            break
        try:
            reply = assistant.ask(question, limit=1)
        except QAError:  # a heading may have the syntax of a question
            continue
        if reply.answered and reply.confidence >= max(_CONFIDENCE, assistant.threshold):
            found.setdefault(reply.citations[0].uri, question)
    return tuple(found.values())


def candidates(assistant: Assistant) -> Iterator[str]:
    """Yield questions, the first of every source, then the second.

    Of these, first those with names, and the newest sources first.
    """
    sources = sorted(assistant.store.sources(), key=lambda source: source.uri)
    sources.sort(key=lambda source: source.date or "", reverse=True)
    drawn = (list(questions(assistant.store.document(source.uri))) for source in sources[:_SOURCES])
    rounds = (filter(None, asked) for asked in zip_longest(*drawn))
    ordered = (sorted(asked, key=_names_in, reverse=True) for asked in rounds)
    return iter(dict.fromkeys(chain.from_iterable(ordered)))


def _names_in(question: str) -> int:
    """Count the names in a question, to two; with them it says more to a newcomer."""
    words = question.removeprefix(_ABOUT).split()
    return min(2, sum(word[0].isupper() for word in words))


def questions(document: Document) -> Iterator[str]:
    """Yield a question for each of the first headings that names something, else for the title."""
    labels = [mark.label for mark in document.marks if mark.kind == "heading"]
    headings = [label for label in labels if label != document.title and _names(label)]
    headings.sort(key=lambda heading: not _is_specific(heading))
    titles = [document.title] if _names(document.title) else []
    for heading in headings[:_HEADINGS] or titles:
        yield f"{_ABOUT}{_inside(heading, document.text)}?"


def _names(heading: str) -> bool:
    """Say whether a heading is a name of something: short, no sentence, no list."""
    words = heading.split()
    return (
        0 < len(words) <= _LONGEST_WORDS
        and len(heading) <= 80
        and heading[0].isalpha()
        and heading.isprintable()
        and not _NOT_A_NAME.search(heading)
        and words[0].casefold() not in _CLAUSE
        and any(word.casefold() not in FUNCTION_WORDS and len(word) > 2 for word in words)
    )


def _is_specific(heading: str) -> bool:
    """Say whether a heading has a name or a number behind its first word."""
    return any(not word[0].islower() and word[0].isalnum() for word in heading.split()[1:])


def _inside(heading: str, text: str) -> str:
    """Write a heading as it stands inside a sentence: with a small letter, unless it is a name."""
    first, _, rest = heading.partition(" ")
    named = not rest or not first.istitle() or re.search(rf"[a-z,] {re.escape(first)}\b", text)
    small = first in _ARTICLES or not named
    return f"{first.lower() if small else first} {rest}".strip()
