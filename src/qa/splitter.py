"""Documents to passages, cut at the document's own borders, with exact offsets."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from qa.text import Markup, Pages, Plain, document_sentences, line_ends, strip
from qa.types import Document, Mark, Passage, Sentence, Span

Count = Callable[[Sequence[str]], list[int]]

#: A passage has at most this many characters for each word piece it may have: the tokenizer takes
#: a long run without blanks as one piece.
_CHARACTERS_PER_TOKEN = 8
_BLACK = re.compile(r"\S+")


@dataclass(frozen=True, slots=True)
class _Unit:
    """The least that is moved between passages: a heading, a sentence, or what is hidden."""

    start: int
    end: int
    section: int
    paragraph: int
    tokens: int
    kind: str
    sentence: Sentence | None = None
    page: int | None = None


#: Word pieces that title and headings may take of a passage, and of a small window at most half.
_CONTEXT_TOKENS = 64


def context(title: str, section: Sequence[str], window: int, count: Count) -> str:
    """Return what is read before a passage's text: title and headings, where they say something.

    A title without letters, such as that of a numbered file, says nothing. What would take too
    much of the window is cut at a word.
    """
    parts = [part for part in (title, *section) if sum(map(str.isalpha, part)) > 2]
    most = min(_CONTEXT_TOKENS, window // 2)
    text = " - ".join(parts)[: most * _CHARACTERS_PER_TOKEN]
    if count([text])[0] > most:
        words = text.split(" ")
        counts = count([" ".join(words[:length]) for length in range(len(words))])
        text = " ".join(
            words[: max(length for length, tokens in enumerate(counts) if tokens <= most)]
        )
    return f"{text}\n" if text else ""


def split(document: Document, window: int, count: Count) -> list[Passage]:
    """Cut a document into passages that each fit a model's window.

    1. Headings part the document into sections; a section is never mixed with the next.
    2. Paragraphs that fit together stay together; one that does not fit is cut between sentences,
       a sentence that does not fit between words.
    3. A heading opens the passage that follows it, never stands alone.
    4. A page is never mixed with the next, save by a paragraph that runs over its end.
    5. Footnote definitions, comments and front matter get passages of their own.
    6. Of a document without any text, the headings are the text.

    Every non-blank character of the document is in exactly one passage.

    :param window: the most word pieces of a passage with its title and headings, hidden text aside.
    :param count: counts the word pieces of each of some texts.
    """
    markup = Markup(document.text, document.marks)
    headings = [mark for mark in document.marks if mark.kind == "heading"]
    body = Markup(
        document.text,
        [*document.marks, *(Mark(mark.start, mark.end, "hidden") for mark in headings)],
    )
    paths = _paths(headings, document.title)
    contexts = {path: context(document.title, path, window, count) for path in dict.fromkeys(paths)}
    taken = dict(zip(contexts, count(list(contexts.values())), strict=True))
    room = [window - taken[path] for path in paths]
    pages = Pages(document.marks)
    units = [replace(unit, page=pages.at(unit.start)) for unit in _units(document, markup)]
    if all(unit.kind != "text" for unit in units):
        units = [replace(unit, kind="text") if unit.kind == "heading" else unit for unit in units]
        body = markup
    groups = list(_pack(list(_fit(units, markup, room, count)), room))
    lines = _LineCounter(document.text)
    passages = []
    for index, group in enumerate(groups):
        start = _skip_blanks(document.text, groups[index - 1][-1].end if index else 0)
        end = group[-1].end
        if index == len(groups) - 1:
            end = len(document.text.rstrip())
        passages.append(
            Passage(
                uri=document.uri,
                title=document.title,
                start=start,
                end=end,
                text=document.text[start:end],
                plain=body.plain(start, end).text,
                section=paths[_section(group)],
                line=lines.at(start),
                page=pages.at(start),
                sentences=tuple(unit.sentence for unit in group if unit.sentence),
            )
        )
    return passages


def _section(group: list[_Unit]) -> int:
    """Return the section of a passage: that of its text, else of its last heading."""
    return next((unit.section for unit in group if unit.kind != "heading"), group[-1].section)


def _units(document: Document, markup: Markup) -> Iterator[_Unit]:
    """Yield the units in order. What lies between them shows nothing and is moved with them."""
    section = reach = 0
    for paragraph, mark in enumerate(document.marks):
        if mark.kind not in ("heading", "block", "row", "hidden") or mark.start < reach:
            continue
        if mark.kind == "block":
            for sentence in document_sentences(markup, (mark.start, mark.end)):
                yield from _wordless(
                    markup, max(reach, mark.start), sentence.start, section, paragraph
                )
                yield _Unit(sentence.start, sentence.end, section, paragraph, 0, "text", sentence)
                reach = sentence.end
            yield from _wordless(markup, max(reach, mark.start), mark.end, section, paragraph)
        else:
            section += mark.kind == "heading"
            kind = "text" if mark.kind == "row" else mark.kind
            yield _Unit(mark.start, mark.end, section, paragraph, 0, kind)
        reach = mark.end
    whole = strip(document.text, 0, len(document.text))
    if not reach and whole[0] < whole[1]:
        yield _Unit(*whole, 0, 0, 0, "text" if markup.plain(*whole).text else "hidden")


def _wordless(
    markup: Markup, start: int, end: int, section: int, paragraph: int
) -> Iterator[_Unit]:
    """Yield what a block shows between its sentences, such as a line of stars, as a unit."""
    start, end = strip(markup.text, start, end)
    if start < end and markup.plain(start, end).text:
        yield _Unit(start, end, section, paragraph, 0, "text")


def _fit(units: list[_Unit], markup: Markup, room: list[int], count: Count) -> Iterator[_Unit]:
    """Size every unit, in word pieces; cut those that are too large for a passage."""
    plains = [
        markup.plain(unit.start, unit.end).text if unit.kind == "text" else "" for unit in units
    ]
    # What is too long for a passage is not sized as a whole.
    longest = max(room, default=0) * _CHARACTERS_PER_TOKEN
    counts = count([plain if len(plain) <= longest else "" for plain in plains])
    for unit, plain, tokens in zip(units, plains, counts, strict=True):
        capacity = room[unit.section]
        size = _size(plain, tokens)
        if size <= capacity:
            yield replace(unit, tokens=size)
            continue
        for start, end, size in _cut(markup.plain(unit.start, unit.end), capacity, count):
            piece = markup.plain(start, end).text
            sentence = Sentence(start, end, piece) if unit.sentence and piece else None
            yield replace(unit, start=start, end=end, tokens=size, sentence=sentence)


def _size(plain: str, tokens: int) -> int:
    return max(tokens, -(-len(plain) // _CHARACTERS_PER_TOKEN))


def _cut(plain: Plain, capacity: int, count: Count) -> Iterator[tuple[int, int, int]]:
    """Cut a sentence that is longer than a passage at its words, or anywhere if it has none.

    Yield places in the document, with sizes. Every word is sized once, so that the time grows
    with the length of the text alone.
    """
    most = capacity * _CHARACTERS_PER_TOKEN
    words = [
        (start, min(start + most, found.end()))
        for found in _BLACK.finditer(plain.text)
        for start in range(found.start(), found.end(), most)
    ]
    pieces: list[tuple[int, int, int]] = []
    for start, end, tokens in _sized(plain.text, words, capacity, count):
        first, _, filled = pieces[-1] if pieces else (0, 0, capacity)
        fits = filled + tokens <= capacity and end - first <= most
        if fits and plain.text[start - 1] == " ":
            pieces[-1] = first, end, filled + tokens
        else:
            pieces.append((start, end, tokens))
    reach = 0
    for start, end, tokens in pieces:
        place = max(reach, plain.offsets[start]), plain.offsets[end - 1] + 1
        if place[0] < place[1]:  # not inside one piece of markup
            yield *place, _size(plain.text[start:end], tokens)
            reach = place[1]


def _sized(
    text: str, words: list[Span], capacity: int, count: Count
) -> Iterator[tuple[int, int, int]]:
    """Yield words with their word pieces; one that has too many is halved until it does not."""
    distinct = list(dict.fromkeys(text[start:end] for start, end in words))
    counts = dict(zip(distinct, count(distinct), strict=True))
    for start, end in words:
        tokens = counts[text[start:end]]
        if tokens <= capacity or end - start == 1:
            yield start, end, tokens
            continue
        middle = (start + end) // 2
        yield from _sized(text, [(start, middle), (middle, end)], capacity, count)


def _pack(units: list[_Unit], room: list[int]) -> Iterator[list[_Unit]]:
    """Group units into passages."""
    last = max((index for index, unit in enumerate(units) if unit.kind == "text"), default=-1)
    group: list[_Unit] = []
    body: _Unit | None = None  # the last unit of the group that is no heading
    filled = 0
    for index, (unit, following) in enumerate(zip(units, _following(units), strict=True)):
        trailing = unit.kind == "heading" and index > last
        capacity = room[_section(group)] if body else 0
        turned = bool(group) and unit.page != group[0].page
        if body and not trailing and _breaks(body, unit, filled, following, capacity, turned):
            yield group
            group, body, filled = [], None, 0
        group.append(unit)
        filled += unit.tokens
        if unit.kind != "heading":
            body = unit
    if group:
        yield group


def _following(units: list[_Unit]) -> list[int]:
    """Return the size of each unit with what follows of its paragraph."""
    sizes: list[int] = []
    after: _Unit | None = None
    for unit in reversed(units):
        same = after and (after.paragraph, after.kind) == (unit.paragraph, unit.kind)
        sizes.append(unit.tokens + (sizes[-1] if same else 0))
        after = unit
    return sizes[::-1]


def _breaks(
    body: _Unit, unit: _Unit, filled: int, following: int, capacity: int, turned: bool
) -> bool:
    """Tell whether a unit opens a new passage; `turned` says that it is on another page."""
    if unit.kind == "heading" or (unit.kind == "hidden") != (body.kind == "hidden"):
        return True
    if filled + unit.tokens > capacity:
        return True
    if unit.paragraph == body.paragraph:
        return False
    if turned or unit.kind == "hidden":
        return turned
    # A paragraph that fits a passage is not begun in one where it does not fit.
    return filled + following > capacity >= following


def section_at(document: Document, offset: int) -> tuple[str, ...]:
    """Return the headings above an offset, outermost first, as its passage has them."""
    headings = [mark for mark in document.marks if mark.kind == "heading"]
    above = bisect_right([mark.start for mark in headings], offset)
    return _paths(headings, document.title)[above]


def _paths(headings: list[Mark], title: str) -> list[tuple[str, ...]]:
    """Return the heading path of each section: 0 before the first heading, then one a heading.

    The document's title is left out: it is shown beside the path.
    """
    paths: list[tuple[str, ...]] = [()]
    stack: list[Mark] = []
    for mark in headings:
        stack = [above for above in stack if above.level < mark.level] + [mark]
        paths.append(tuple(above.label for above in stack if above.label != title))
    return paths


def _skip_blanks(text: str, start: int) -> int:
    while start < len(text) and text[start].isspace():
        start += 1
    return start


class _LineCounter:
    """Counts lines up to ever larger offsets, reading the text once."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._reach = 0
        self._line = 1

    def at(self, offset: int) -> int:
        self._line += line_ends(self._text, self._reach, offset)
        self._reach = offset
        return self._line
