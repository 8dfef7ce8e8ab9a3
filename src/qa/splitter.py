"""Documents to passages, cut at the document's own borders, with exact offsets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from qa.text import Markup, document_sentences
from qa.types import Document, Mark, Passage, Sentence, Span

Count = Callable[[Sequence[str]], list[int]]

#: A passage has at most this many characters for each word piece it may have: the tokenizer takes
#: a long run without blanks as one piece.
_CHARACTERS_PER_TOKEN = 8


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


#: Word pieces that title and headings may take of a passage.
_CONTEXT_TOKENS = 64


def context(title: str, section: Sequence[str]) -> str:
    """Return what is read before a passage's text: title and headings, where they say something.

    A title without letters, such as that of a numbered file, says nothing.
    """
    parts = [part for part in (title, *section) if sum(map(str.isalpha, part)) > 2]
    return f"{' - '.join(parts)}\n" if parts else ""


def split(document: Document, window: int, count: Count) -> list[Passage]:
    """Cut a document into passages that each fit a model's window.

    1. Headings part the document into sections; a section is never mixed with the next.
    2. Paragraphs that fit together stay together; one that does not fit is cut between sentences,
       a sentence that does not fit between words.
    3. A heading opens the passage that follows it, never stands alone.
    4. Footnote definitions, comments and front matter get passages of their own.

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
    contexts = count([context(document.title, path) for path in paths])
    room = [window - min(tokens, _CONTEXT_TOKENS, window // 2) for tokens in contexts]
    units = list(_fit(_units(document, markup, headings), markup, room, count))
    groups = list(_pack(units, room))
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
                plain=body.plain(start, end).text or markup.plain(start, end).text,
                section=paths[group[-1].section],
                line=lines.at(start),
                page=None,
                sentences=tuple(unit.sentence for unit in group if unit.sentence),
            )
        )
    return passages


def _units(document: Document, markup: Markup, headings: list[Mark]) -> Iterator[_Unit]:
    section = paragraph = 0
    reach = 0
    for mark in document.marks:
        if mark.kind not in ("heading", "block", "hidden") or mark.start < reach:
            continue
        span = (mark.start, mark.end)
        if mark.kind == "heading":
            section += 1
            yield _Unit(*span, section, paragraph, 0, "heading")
        elif mark.kind == "hidden":
            yield _Unit(*span, section, paragraph, 0, "hidden")
        else:
            reach = mark.start
            for sentence in document_sentences(markup, span, span):
                start, end = max(reach, sentence.start), sentence.end
                yield _Unit(start, end, section, paragraph, 0, "text", sentence)
                reach = end
        paragraph += 1
        reach = mark.end
    text = document.text
    rest = _skip_blanks(text, reach)
    if rest < len(text):  # a document without any mark
        yield _Unit(rest, len(text.rstrip()), section, paragraph, 0, "text")


def _fit(units: Iterator[_Unit], markup: Markup, room: list[int], count: Count) -> Iterator[_Unit]:
    """Count the word pieces of every unit; cut those that are too large for a passage."""
    known = list(units)
    plains = [
        markup.plain(unit.start, unit.end).text if unit.kind == "text" else "" for unit in known
    ]
    for unit, plain, tokens in zip(known, plains, count(plains), strict=True):
        capacity = room[unit.section]
        longest = capacity * _CHARACTERS_PER_TOKEN
        if max(tokens, len(plain) / _CHARACTERS_PER_TOKEN) <= capacity and (
            unit.end - unit.start <= longest or unit.kind != "text"
        ):
            yield _Unit(
                unit.start, unit.end, unit.section, unit.paragraph, tokens, unit.kind, unit.sentence
            )
            continue
        for start, end in _cut(markup.text, (unit.start, unit.end), capacity, count):
            piece = markup.plain(start, end).text
            yield _Unit(
                start,
                end,
                unit.section,
                unit.paragraph,
                count([piece])[0],
                unit.kind,
                Sentence(start, end, piece) if unit.sentence and piece else None,
            )


def _cut(text: str, span: Span, capacity: int, count: Count) -> list[Span]:
    """Cut a sentence that is longer than a passage at its words, or anywhere if it has none."""
    from semantic_text_splitter import TextSplitter

    def size(piece: str) -> int:
        return max(count([piece])[0], -(-len(piece) // _CHARACTERS_PER_TOKEN))

    start, end = span
    pieces = TextSplitter.from_callback(size, capacity).chunk_indices(text[start:end])
    return [(start + at, start + at + len(piece)) for at, piece in pieces]


def _pack(units: list[_Unit], room: list[int]) -> Iterator[list[_Unit]]:
    """Group units into passages."""
    group: list[_Unit] = []
    for index, unit in enumerate(units):
        if group and _breaks(group, unit, units, index, room[unit.section]):
            yield group
            group = []
        group.append(unit)
    if group:
        yield group


def _breaks(group: list[_Unit], unit: _Unit, units: list[_Unit], index: int, capacity: int) -> bool:
    """Tell whether a unit opens a new passage."""
    body = [member for member in group if member.kind != "heading"]
    if unit.kind == "heading":
        last = all(later.kind == "heading" for later in units[index:])
        return bool(body) and not last
    if not body:
        return False
    if (unit.kind == "hidden") != (body[-1].kind == "hidden"):
        return True
    filled = sum(member.tokens for member in group)
    if filled + unit.tokens > capacity:
        return True
    if unit.paragraph == body[-1].paragraph or unit.kind == "hidden":
        return False
    following = 0  # a paragraph that fits a passage is not begun in one where it does not fit
    for later in units[index:]:
        if later.paragraph != unit.paragraph or later.kind != unit.kind:
            break
        following += later.tokens
    return filled + following > capacity and following <= capacity


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
        self._line += self._text.count("\n", self._reach, offset)
        self._reach = offset
        return self._line
