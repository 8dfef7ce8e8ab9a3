"""A page of a PDF as the page shows it: a picture, with the boxes of what is marked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from qa.app.files import page_images
from qa.errors import SourceError
from qa.readers.render import Picture, box
from qa.types import Document, Mark, Span

#: Pixels that a box reaches beyond its letters.
_MARGIN = 4.0


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in a picture, in its pixels."""

    x: float
    y: float
    width: float
    height: float
    #: "cited" or "near"
    state: str


@dataclass(frozen=True, slots=True)
class Sheet:
    """A page of a PDF; one that cannot be drawn has a reason and no size."""

    number: int
    #: printed on it, or its number
    label: str
    count: int
    width: int
    height: int
    boxes: tuple[Box, ...]
    reason: str
    #: the text of the page
    within: Span


def number_of(document: Document, span: Span | None, asked: int | None) -> int | None:
    """Return the page to show, counted from 1: the one asked for, that of a span, the first.

    None where the source has no pages that can be drawn.
    """
    pages = _pages(document)
    if not document.uri.lower().endswith(".pdf") or not pages:
        return None
    if asked:
        return max(1, min(asked, pages[-1].level))
    if span:
        before = [page.level for page in pages if page.start <= span[0]]
        return before[-1] if before else 1
    return pages[0].level


def sheet(document: Document, number: int, cited: Span | None, near: Sequence[Span]) -> Sheet:
    """Draw a page, with the boxes of the lines that have a part of what is marked."""
    pages = _pages(document)
    page = next((page for page in pages if page.level == number), None)
    within = (page.start, page.end) if page else (0, 0)
    count = max(found.level for found in pages)
    label = (page.label if page else "") or str(number)
    try:
        picture = page_images().page(document, number)
    except SourceError as error:
        return Sheet(number, label, count, 0, 0, (), error.reason, within)
    marked = [*((span, "near") for span in near), *([(cited, "cited")] if cited else [])]
    lines = [
        mark
        for mark in document.marks
        if mark.kind == "line" and within[0] <= mark.start < within[1]
    ]
    boxes = tuple(found for span, state in marked for found in _boxes(picture, lines, span, state))
    return Sheet(number, label, count, picture.width, picture.height, boxes, "", within)


def _pages(document: Document) -> list[Mark]:
    return [mark for mark in document.marks if mark.kind == "page"]


def _boxes(picture: Picture, lines: Sequence[Mark], span: Span, state: str) -> Iterator[Box]:
    """Yield the box of the part of each line that a span covers.

    What is stored is the box of a line; where a part of it begins is told from the share of its
    characters, so that end is right to a letter or two.
    """
    for line in lines:
        low, high = max(span[0], line.start), min(span[1], line.end)
        if low >= high:
            continue
        x0, y0, x1, y1 = (float(side) for side in line.label.split())
        share = (x1 - x0) / (line.end - line.start)
        sides = (x0 + share * (low - line.start), y0, x0 + share * (high - line.start), y1)
        x, y, width, height = box(picture, sides)
        yield Box(
            round(x - _MARGIN, 1),
            round(y - _MARGIN, 1),
            round(width + 2 * _MARGIN, 1),
            round(height + 2 * _MARGIN, 1),
            state,
        )
