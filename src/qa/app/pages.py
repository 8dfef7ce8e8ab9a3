"""The pages: the chat, and a source with a quote marked."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from flask import Blueprint, abort, render_template, request

from qa.app.api import live
from qa.app.problems import advice
from qa.assistant import LONGEST_QUESTION
from qa.errors import QAError, UnknownSource
from qa.types import Document, Mark, Span

pages = Blueprint("pages", __name__)


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of text that is shown in one way."""

    text: str
    #: "text", "syntax", "footnote"
    kind: str
    marked: bool
    #: what a footnote says, or what stands in the place of markup
    label: str


@dataclass(frozen=True, slots=True)
class Block:
    """A heading, paragraph or other part of a source."""

    kind: str
    level: int
    pieces: tuple[Piece, ...]


@pages.get("/")
def chat() -> str:
    """Show the chat."""
    try:
        store = live().assistant().store
        sources: list[Any] = list(store.sources())
        skipped = store.manifest.skipped
        trouble = ""
    except QAError as error:
        sources, skipped, trouble = [], (), advice(error)
    return render_template(
        "chat.html",
        sources=sources,
        skipped=skipped,
        trouble=trouble,
        longest=LONGEST_QUESTION,
    )


@pages.get("/sources/<path:uri>")
def source(uri: str) -> str:
    """Show a source; `start` and `end` mark a span of it, in code points."""
    try:
        document = live().assistant().store.document(uri)
    except UnknownSource:
        abort(404, f"{uri} is not among the sources.")
    span = _span(document)
    return render_template(
        "source.html", document=document, blocks=list(blocks(document, span)), span=span
    )


def _span(document: Document) -> Span | None:
    values = [request.args.get(name) for name in ("start", "end")]
    if values == [None, None]:
        return None
    try:
        start, end = (int(value or "") for value in values)
    except ValueError:
        abort(422, "start and end are whole numbers: 0-based offsets in code points.")
    if not 0 <= start < end <= len(document.text):
        abort(422, f"start and end are at most {len(document.text)}, start before end.")
    return start, end


def blocks(document: Document, span: Span | None) -> Iterator[Block]:
    """Cut a document into blocks as a reader sees them; together they hold all of its text."""
    reach = 0
    text = document.text
    inline = _Inline(mark for mark in document.marks if mark.kind in ("syntax", "footnote"))
    for mark in document.marks:
        if mark.kind not in ("heading", "block", "hidden") or mark.start < reach:
            continue
        if text[reach : mark.start].strip():
            yield Block("between", 0, tuple(_pieces(text, (reach, mark.start), inline, span)))
        within = (mark.start, mark.end)
        yield Block(mark.kind, mark.level, tuple(_pieces(text, within, inline, span)))
        reach = mark.end
    if text[reach:].strip():
        yield Block("between", 0, tuple(_pieces(text, (reach, len(text)), inline, span)))


class _Inline:
    """The marks inside blocks, found by where they stand."""

    def __init__(self, marks: Iterable[Mark]) -> None:
        self._marks = list(marks)
        self._starts = [mark.start for mark in self._marks]
        self._longest = max((mark.end - mark.start for mark in self._marks), default=0)

    def over(self, start: int, end: int) -> list[Mark]:
        """Return the marks that overlap a span."""
        first = bisect_left(self._starts, start - self._longest)
        last = bisect_left(self._starts, end)
        return [mark for mark in self._marks[first:last] if mark.end > start]


def _pieces(text: str, within: Span, inline: _Inline, span: Span | None) -> Iterator[Piece]:
    start, end = within
    marks = inline.over(start, end)
    edges = {start, end}
    for mark in marks:
        edges |= {max(start, mark.start), min(end, mark.end)}
    for edge in span or ():
        if start < edge < end:
            edges.add(edge)
    ordered = sorted(edges)
    for low, high in pairwise(ordered):
        over = inline.over(low, high)
        over.sort(key=lambda mark: mark.kind != "footnote")
        marked = span is not None and span[0] <= low and high <= span[1]
        yield Piece(
            text[low:high],
            over[0].kind if over else "text",
            marked,
            over[0].label if over else "",
        )
