"""Words, sentences and plain text, always as spans of the text they come from."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
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
#: Quotation marks and apostrophes, however they are printed.
_QUOTES = str.maketrans(dict.fromkeys("“”„‟«»", '"') | dict.fromkeys("‘’‚‛‹›`´", "'"))
#: White space that is not one blank as it stands.
_UNEVEN = re.compile(r"\s{2,}|[^\S ]")
_WORD = re.compile(r"\w")
_SENTENCE_END = re.compile(r"[.!?:\n]")
#: Function words that make no name where they have a capital: pronoun, articles, operators.
_IN_NO_NAME = frozenset(("i", "a", "an", "the", "and", "or", "not"))
#: How far sentencex looks at once; a longer block is cut at white space near it.
_SENTENCE_WINDOW = 20_000
#: Texts whose words are kept, some 4 kB for a sentence and 40 kB for a passage.
_ANALYSED = 1024


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


@lru_cache(maxsize=_ANALYSED)
def terms(text: str) -> tuple[Term, ...]:
    """Return every word of a text, stemmed, with its place; "U.S." is one word.

    What was analysed last is kept: an answer comes back to the same sentences again and again.
    """
    tokens = analyzer().pre_tokenize(fold_initials(text)).tokens
    ends = {found.start(): found.end() for found in _INITIALS.finditer(text)}
    return tuple(
        Term(
            token.text,
            token.char_offset_from,
            ends.get(token.char_offset_from, token.char_offset_to),
        )
        for token in tokens
    )


def topic_terms(question: str) -> list[str]:
    """Return the distinct stems of what a question is about, in order.

    A question of function words alone ("Who was he?") keeps them all.
    """
    return content_terms(question) or list(dict.fromkeys(term.text for term in terms(question)))


def content_terms(question: str) -> list[str]:
    """Return the distinct stemmed words of a question that are not function words, in order.

    One that is written with a capital is part of a name ("Will Smith", "Newcastle Under Lyme"),
    but not where a sentence begins, or all words are written so.
    """
    found = terms(question)
    words = {term: question[term.start : term.end] for term in found}
    titled = all(word[0].isupper() for word in words.values() if word.isalpha())
    in_names = {
        term
        for before, term in pairwise(found)
        if words[term][0].isupper()
        and words[term].casefold() not in _IN_NO_NAME
        and not _SENTENCE_END.search(question, before.end, term.start)
    }
    content = [
        term.text
        for term, word in words.items()
        if word.casefold() not in FUNCTION_WORDS or (term in in_names and not titled)
    ]
    return list(dict.fromkeys(content))


def matches(text: str, wanted: Iterable[str]) -> tuple[Span, ...]:
    """Return the spans of the words of a text whose stem is wanted."""
    stems = frozenset(wanted)
    return tuple((term.start, term.end) for term in terms(text) if term.text in stems)


class _Folded:
    """A plain text that grows, piece by piece, without two blanks in a row."""

    def __init__(self) -> None:
        self._runs: list[str] = []
        self._offsets: list[Sequence[int]] = []

    def add(self, text: str, place: int, step: int) -> None:
        """Take a text in which white space is single blanks; `place` is where it stands."""
        if text.startswith(" ") and (not self._runs or self._runs[-1].endswith(" ")):
            text, place = text[1:], place + step
        if text:
            self._runs.append(text)
            self._offsets.append(range(place, place + len(text)) if step else [place] * len(text))

    def plain(self) -> Plain:
        """Return what was taken, without a blank at its end."""
        text = "".join(self._runs)
        if len(self._offsets) == 1:  # the usual case, in which millions need not be listed
            offsets = self._offsets[0]
        else:
            offsets = [place for run in self._offsets for place in run]
        return Plain(text[:-1], offsets[:-1]) if text.endswith(" ") else Plain(text, offsets)


class Pages:
    """The pages of a document, ready for questions about any offset."""

    def __init__(self, marks: Iterable[Mark]) -> None:
        self._pages = [mark for mark in marks if mark.kind == "page" and mark.start < mark.end]
        self._starts = [mark.start for mark in self._pages]

    def at(self, offset: int) -> int | None:
        """Return the 1-based page on which an offset lies, None where there are no pages."""
        index = bisect_right(self._starts, offset) - 1
        return self._pages[max(0, index)].level if self._pages else None


class Markup:
    """A text with the marks that change how it reads, ready for questions about any span."""

    def __init__(self, text: str, marks: Iterable[Mark]) -> None:
        self.text = text
        self.removed = _flatten(mark for mark in marks if mark.kind in ("syntax", "hidden"))
        self._starts = [mark.start for mark in self.removed]

    def plain(self, start: int, end: int) -> Plain:
        """Return the span as people see it, every run of white space as one blank."""
        folded = _Folded()
        for text, at, step in self._seen(start, end):
            reach = 0
            for gap in _UNEVEN.finditer(text):
                folded.add(text[reach : gap.start()], at + reach * step, step)
                folded.add(" ", at + gap.start() * step, step)
                reach = gap.end()
            folded.add(text[reach:], at + reach * step, step)
        return folded.plain()

    def _seen(self, start: int, end: int) -> Iterator[tuple[str, int, int]]:
        """Yield what a span shows: a text, its offset, and how that grows with each character."""
        position = start
        for index in range(max(0, bisect_right(self._starts, start) - 1), len(self.removed)):
            mark = self.removed[index]
            if mark.start >= end:
                break
            if mark.end <= position and mark.start < position:
                continue
            if mark.start > position:
                yield self.text[position : mark.start], position, 1
            if mark.start >= position and mark.label:
                yield mark.label, mark.start, 0
            position = mark.end
        if position < end:
            yield self.text[position:end], position, 1

    def widen(self, start: int, end: int, low: int, high: int) -> Span:
        """Take the markup that touches a span into it: opening marks before, footnotes after.

        A sentence ends before the markup that opens the next one, told by the blank between them,
        and before markup that shows something, such as an entity.
        """
        for index in range(max(0, bisect_right(self._starts, end) - 1), len(self.removed)):
            mark = self.removed[index]
            if mark.start > end or mark.end > high or (mark.start == end and mark.label.strip()):
                break
            end = max(end, mark.end)
        for index in reversed(range(bisect_left(self._starts, start))):
            mark = self.removed[index]
            if mark.end < start or mark.start < low or mark.label.strip():
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


def document_sentences(markup: Markup, block: Span) -> list[Sentence]:
    """Return the sentences of one block of a document, quoted with the markup they carry.

    Sentences inside one piece of markup, such as the label of an image, are quoted as one.
    """
    plain = markup.plain(*block)
    spans: list[Span] = []
    for first, last in sentences(plain.text):
        if not _WORD.search(plain.text, first, last):
            continue
        while plain.text[first] in "| ":  # what parts two cells of a table opens no sentence
            first += 1
        start, end = plain.offsets[first], plain.offsets[last - 1] + 1
        if spans and start < spans[-1][1]:
            start, _ = spans.pop()
        start, end = markup.widen(start, end, *block)
        if spans:
            start = max(start, spans[-1][1])
        spans.append(strip(markup.text, start, end))
    return [Sentence(*span, markup.plain(*span).text) for span in spans]


def strip(text: str, start: int, end: int) -> Span:
    """Return a span of a text without the blanks at its ends."""
    while start < end and text[start].isspace():
        start += 1
    while start < end and text[end - 1].isspace():
        end -= 1
    return start, end


def line_ends(text: str, start: int, end: int) -> int:
    """Count the line ends in a span: LF, CRLF or CR."""
    feeds, returns = text.count("\n", start, end), text.count("\r", start, end)
    return feeds + returns - text.count("\r\n", start, end)


def percent(confidence: float) -> str:
    """Return a confidence in whole per cent, at most 99: none is certain."""
    return f"{min(confidence, 0.99):.0%}"


def same_sentence(plain: str) -> str:
    """Return the form in which two sentences are compared for being the same.

    Neither case nor white space counts, nor how quotation marks are printed.
    """
    text = unicodedata.normalize("NFKC", plain.translate(_QUOTES))
    return _SPACE.sub(" ", text).strip().casefold()
