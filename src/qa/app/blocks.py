"""A source cut into headings, paragraphs and tables, as the page shows it."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from qa.types import Document, Mark, Span

_SHOWN = ("heading", "block", "hidden", "row")
#: What parts two cells where no mark does, and what names the column of one (of a workbook).
_BAR = re.compile(r" \| ")
_ITEM = re.compile(r"[-*+]|\d{1,9}[.)]")
_NAMED = re.compile(r"(?:^|; )([^:;|]{1,80}): ")
#: Source code and data keep their blanks.
_CODE = re.compile(r"\.(?:md|markdown|txt|pdf|x?html?|docx|odt|rtf|epub|pptx|xlsx|[ct]sv)$", re.I)


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of text that is shown in one way."""

    text: str
    #: "text", "syntax", "footnote"
    kind: str
    #: "cited", "near" (of the same answer) or nothing
    state: str
    #: what a footnote says, or what stands in the place of markup
    label: str
    #: it is the first that is cited
    first: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table, cell by cell."""

    cells: tuple[tuple[Piece, ...], ...]
    header: bool


@dataclass(frozen=True, slots=True)
class Block:
    """A heading, paragraph, table, page border or other part of a source."""

    #: "heading", "block", "code", "hidden", "between", "table", "page"
    kind: str
    level: int = 0
    pieces: tuple[Piece, ...] = ()
    rows: tuple[Row, ...] = ()
    #: of a page
    label: str = ""
    #: where a link leads to a heading
    anchor: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """A heading in the outline of a source."""

    label: str
    level: int
    anchor: str


@dataclass(frozen=True, slots=True)
class _Cell:
    #: of its column, where the row says it
    name: str
    start: int
    end: int


def blocks(
    document: Document,
    cited: Span | None = None,
    near: Sequence[Span] = (),
    within: Span | None = None,
) -> Iterator[Block]:
    """Cut a document into blocks as a reader sees them.

    Together they hold all of its text but what parts the cells of a table.

    :param near: other spans that are marked, faintly.
    :param within: where given, only what stands in this span.
    """
    return _Cutter(document, cited, near).blocks(within or (0, len(document.text)))


def outline(document: Document) -> list[Entry]:
    """Return the headings of a document below its title, with the anchors of `blocks`."""
    return [
        Entry(" ".join(mark.label.split()), mark.level, _anchor(mark))
        for mark in document.marks
        if mark.kind == "heading" and mark.label.strip() not in ("", document.title)
    ]


def _anchor(mark: Mark) -> str:
    return f"at-{mark.start}"


class _Cutter:
    """The marks of a document, ready to cut its text."""

    def __init__(self, document: Document, cited: Span | None, near: Sequence[Span]) -> None:
        self._text = document.text
        self._code = not _CODE.search(document.uri)
        self._cited = cited
        self._near = near
        rows = {(mark.start, mark.end) for mark in document.marks if mark.kind == "row"}
        self._marks = [
            mark
            for mark in document.marks
            if mark.kind in _SHOWN and not (mark.kind == "block" and (mark.start, mark.end) in rows)
        ]
        self._pages = [mark for mark in document.marks if mark.kind == "page"]
        self._blocks = {mark.start for mark in document.marks if mark.kind == "block"}
        self._inline = _Inline(
            mark for mark in document.marks if mark.kind in ("syntax", "footnote")
        )

    def blocks(self, within: Span) -> Iterator[Block]:
        """Yield the blocks of a span in order."""
        reach, end = within
        pages = iter([mark for mark in self._pages if reach <= mark.start < end])
        page = next(pages, None)
        rows: list[Mark] = []
        for mark in [*self._marks, Mark(end, end, "block")]:
            if mark.start < reach or mark.start > end:
                continue
            gap = self._text[reach : mark.start].strip()
            apart = mark.kind != "row" or (gap and not self._is_syntax(reach, mark.start))
            if rows and (apart or mark.start not in self._blocks):  # a row that names columns
                yield self._table(rows)
                rows = []
            marker = gap if _ITEM.fullmatch(gap) else ""
            if gap and not (rows or marker or self._is_rule(reach, mark.start)):
                yield self._block("between", 0, (reach, mark.start))
            while page and page.start <= mark.start < end:
                yield Block("page", page.level, label=page.label)
                page = next(pages, None)
            if mark.start == end:
                break
            if mark.kind == "row":
                rows.append(mark)
            else:
                kind = "code" if mark.kind == "block" and self._code else mark.kind
                anchor = _anchor(mark) if mark.kind == "heading" else ""
                span = mark.start, min(mark.end, end)
                yield self._block(kind, mark.level, span, anchor, marker)
            reach = max(reach, min(mark.end, end))

    def _is_syntax(self, start: int, end: int) -> bool:
        """Say whether nothing but markup stands in a span, as between the rows of a table."""
        shown = self._text[start:end]
        for mark in self._inline.over(start, end):
            low, high = max(mark.start, start) - start, min(mark.end, end) - start
            shown = shown[:low] + " " * (high - low) + shown[high:]
        return not shown.strip()

    def _is_rule(self, start: int, end: int) -> bool:
        """Say whether a span has no more than the line below the header of a table."""
        return not self._text[start:end].strip(" \t\r\n|:-")

    def _block(
        self, kind: str, level: int, span: Span, anchor: str = "", marker: str = ""
    ) -> Block:
        shown = f"{marker} " if marker[:1].isdigit() else "• "
        item = (Piece(marker, "syntax", "", shown),) if marker else ()
        return Block(kind, level, (*item, *self._pieces(span)), anchor=anchor)

    def _table(self, marks: Sequence[Mark]) -> Block:
        rows = [(self._cells(mark), mark.start not in self._blocks) for mark in marks]
        names = list(dict.fromkeys(cell.name for cells, _ in rows for cell in cells if cell.name))
        header = next((cells for cells, is_header in rows if is_header), None)
        if header:
            names = [self._text[cell.start : cell.end].strip() for cell in header]
        made = [
            Row(tuple(tuple(self._pieces(span)) for span in _placed(cells, names)), is_header)
            for cells, is_header in rows
        ]
        if names and not header:
            cells = tuple((Piece(name, "text", "", ""),) for name in names)
            made.insert(0, Row(cells, True))
        return Block("table", rows=tuple(made))

    def _cells(self, row: Mark) -> list[_Cell]:
        """Cut a row where a mark parts two cells, or else where its text does."""
        name, start = "", row.start
        cells = []
        for mark in self._inline.over(row.start - 1, row.end):
            if mark.kind != "syntax" or mark.start < row.start:
                continue
            parts = mark.label.startswith("; ") or mark.label == " | "
            if parts:
                cells.append(_Cell(name, start, mark.start))
            if parts or (mark.start == row.start and mark.label.endswith(": ")):
                name = mark.label.removeprefix("; ").removesuffix(": ").strip(" |")
                start = mark.end
        if cells:
            return [*cells, _Cell(name, start, max(start, row.end))]
        return self._cells_of_text(row)

    def _cells_of_text(self, row: Mark) -> list[_Cell]:
        text = self._text[row.start : row.end]
        bars = [found.span() for found in _BAR.finditer(text)]
        if bars or not _NAMED.match(text):
            edges = [(0, 0), *bars, (len(text), len(text))]
            return [
                _Cell("", row.start + low[1], row.start + high[0]) for low, high in pairwise(edges)
            ]
        found = list(_NAMED.finditer(text))
        ends = [*(each.start() for each in found[1:]), len(text)]
        return [
            _Cell(each[1], row.start + each.end(), row.start + end)
            for each, end in zip(found, ends, strict=True)
        ]

    def _pieces(self, within: Span) -> Iterator[Piece]:
        start, end = within
        edges = {start, end}
        for mark in self._inline.over(start, end):
            edges |= {max(start, mark.start), min(end, mark.end)}
        for span in (*(() if self._cited is None else (self._cited,)), *self._near):
            edges |= {edge for edge in span if start < edge < end}
        for low, high in pairwise(sorted(edges)):
            over = sorted(self._inline.over(low, high), key=lambda mark: mark.kind != "footnote")
            state = self._state(low, high)
            yield Piece(
                self._text[low:high],
                over[0].kind if over else "text",
                state,
                over[0].label if over else "",
                first=state == "cited" and self._cited is not None and low == self._cited[0],
            )

    def _state(self, low: int, high: int) -> str:
        if self._cited and self._cited[0] <= low and high <= self._cited[1]:
            return "cited"
        return "near" if any(span[0] <= low and high <= span[1] for span in self._near) else ""


def _placed(cells: Sequence[_Cell], names: Sequence[str]) -> Iterator[Span]:
    """Yield where the cells stand, an empty one for every column that the row leaves out."""
    column = 0
    for cell in cells:
        place = names.index(cell.name) if cell.name in names else column
        for _ in range(column, place):
            yield cell.start, cell.start
        yield cell.start, cell.end
        column = max(column, place) + 1


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
