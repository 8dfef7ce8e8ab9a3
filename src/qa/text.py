"""Words, sentences and plain text, always as spans of the text they come from."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING

from qa.types import Mark, Sentence, Span

if TYPE_CHECKING:
    import tantivy

#: Words that carry a question but not its topic. They count in no measure of overlap.
FUNCTION_WORDS = frozenset(
    """
    a about after against all also am an and any are as at be because been before being between
    both but by can could did do does doing during each few for from had has have having he her
    here hers him his how i if in into is it its just many me more most much my name no nor not
    of off on once only or other our out over own s same she should so some such t than that the
    their them then there these they this those through to too under until up very was we were
    what when where which while who whom whose why will with would you your
    """.split()
)

_INITIALS = re.compile(r"\b(?:[^\W\d_]\.){2,}")
_SPACE = re.compile(r"\s+")
_WORD = re.compile(r"\w")
#: How far sentencex looks at once; a longer block is cut at white space near it.
_SENTENCE_WINDOW = 20_000


@dataclass(frozen=True, slots=True)
class Term:
    """A word of a text in its stemmed form."""

    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Plain:
    """A text without its markup, with the way back: `offsets[i]` is where character i stands."""

    text: str
    offsets: Sequence[int]


def fold_initials(text: str) -> str:
    """Write "U.S." as "US" plus blanks, so that both are one word; the length stays."""
    return _INITIALS.sub(lambda found: found[0].replace(".", "").ljust(len(found[0])), text)


@cache
def analyzer() -> tantivy.TextAnalyzer:
    """Return the one analysis of words: split, lower case, accents folded, stemmed (Snowball)."""
    import tantivy

    return (
        tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
        .filter(tantivy.Filter.remove_long(60))
        .filter(tantivy.Filter.lowercase())
        .filter(tantivy.Filter.ascii_fold())
        .filter(tantivy.Filter.stemmer("english"))
        .build()
    )


def terms(text: str) -> list[Term]:
    """Return every word of a text, stemmed, with its place."""
    tokens = analyzer().pre_tokenize(fold_initials(text)).tokens
    return [Term(token.text, token.char_offset_from, token.char_offset_to) for token in tokens]


def topic_terms(question: str) -> list[str]:
    """Return the distinct stemmed words of a question that are not function words, in order.

    A question of function words alone ("Who was he?") keeps them all.
    """
    found = terms(question)
    content = [
        term.text
        for term in found
        if question[term.start : term.end].casefold() not in FUNCTION_WORDS
    ]
    return list(dict.fromkeys(content or [term.text for term in found]))


def matches(text: str, wanted: Iterable[str]) -> tuple[Span, ...]:
    """Return the spans of the words of a text whose stem is wanted."""
    stems = frozenset(wanted)
    return tuple((term.start, term.end) for term in terms(text) if term.text in stems)


class Markup:
    """A text with the marks that change how it reads, ready for questions about any span."""

    def __init__(self, text: str, marks: Iterable[Mark]) -> None:
        self.text = text
        self.removed = _flatten(mark for mark in marks if mark.kind in ("syntax", "hidden"))
        self._starts = [mark.start for mark in self.removed]

    def plain(self, start: int, end: int) -> Plain:
        """Return the span as people see it, every run of white space as one blank."""
        characters: list[str] = []
        offsets: list[int] = []

        def add(piece: str, at: int, step: int) -> None:
            for index, character in enumerate(piece):
                blank = character.isspace()
                if blank and (not characters or characters[-1] == " "):
                    continue
                characters.append(" " if blank else character)
                offsets.append(at + index * step)

        position = start
        first = max(0, bisect_right(self._starts, start) - 1)
        for mark in self.removed[first:]:
            if mark.start >= end:
                break
            if mark.end <= position:
                continue
            add(self.text[position : max(position, mark.start)], position, 1)
            if mark.start >= position:
                add(mark.label, mark.start, 0)
            position = mark.end
        if position < end:
            add(self.text[position:end], position, 1)
        if characters and characters[-1] == " ":
            characters.pop()
            offsets.pop()
        return Plain("".join(characters), offsets)

    def widen(self, start: int, end: int, low: int, high: int) -> Span:
        """Take the markup that touches a span into it: opening marks before, footnotes after.

        A sentence ends before the markup that opens the next one, told by the blank between them.
        """
        index = bisect_right(self._starts, end)
        for mark in self.removed[max(0, index - 1) :]:
            if mark.start > end or mark.end > high:
                break
            end = max(end, mark.end)
        index = bisect_left(self._starts, start)
        for mark in reversed(self.removed[:index]):
            if mark.end < start or mark.start < low:
                break
            start = mark.start
        return start, end


def _flatten(marks: Iterable[Mark]) -> list[Mark]:
    """Order marks by start and drop those that lie inside one before them."""
    kept: list[Mark] = []
    for mark in sorted(marks, key=lambda mark: (mark.start, -mark.end)):
        if kept and mark.end <= kept[-1].end and kept[-1].end > kept[-1].start:
            continue
        kept.append(mark)
    return kept


def sentences(text: str) -> list[Span]:
    """Return the spans of the sentences of a running text, without the blanks around them.

    Boundaries come from sentencex, which knows abbreviations, initials, decimals and quotes.
    """
    import sentencex

    spans = []
    for low, high in _windows(text):
        piece = text[low:high]
        for found in sentencex.get_sentence_boundaries("en", piece):
            start, end = strip(piece, found["start_index"], found["end_index"])
            if start < end:
                spans.append((low + start, low + end))
    return spans


def _windows(text: str) -> list[Span]:
    """Cut a very long text at white space, so that segmenting stays linear."""
    cuts = [0]
    while len(text) - cuts[-1] > _SENTENCE_WINDOW:
        limit = cuts[-1] + _SENTENCE_WINDOW
        space = max(text.rfind(blank, cuts[-1] + 1, limit) for blank in (" ", "\n"))
        cuts.append(space if space > cuts[-1] else limit)
    return list(pairwise([*cuts, len(text)]))


def document_sentences(markup: Markup, block: Span, bounds: Span) -> list[Sentence]:
    """Return the sentences of one block of a document, quoted with the markup they carry."""
    plain = markup.plain(*block)
    found: list[Sentence] = []
    for first, last in sentences(plain.text):
        if not _WORD.search(plain.text, first, last):
            continue
        end = max(plain.offsets[last - 1] + 1, plain.offsets[first])
        start, end = markup.widen(plain.offsets[first], end, *bounds)
        start, end = strip(markup.text, start, end)
        if found and start < found[-1].end:
            start = found[-1].end
        if start < end:
            found.append(Sentence(start, end, plain.text[first:last]))
    return found


def strip(text: str, start: int, end: int) -> Span:
    """Return a span of a text without the blanks at its ends."""
    while start < end and text[start].isspace():
        start += 1
    while start < end and text[end - 1].isspace():
        end -= 1
    return start, end


def same_sentence(plain: str) -> str:
    """Return the form in which two sentences are compared for being the same."""
    return _SPACE.sub(" ", unicodedata.normalize("NFKC", plain)).strip().casefold()
