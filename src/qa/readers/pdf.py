"""PDF: the text of each page in PDFium's order, with the box of each line and the page's label.

PDFium gives characters and lines. Paragraphs, headings and running heads are told from where the
lines stand, how large they are, and what is repeated.
"""

from __future__ import annotations

import ctypes
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Any

from qa.errors import UnreadableSource
from qa.readers.draft import Draft, day, needs
from qa.readers.signature import looks_like
from qa.types import Document, Mark, Span

#: What PDFium writes for a hyphen at which it takes a word to be broken, and the soft hyphen.
_HYPHENS = "\x02\ufffe\u00ad"
_BROKEN = re.compile(r"([^\W\d_]+)-$")
_WORDS = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_DIGITS = re.compile(r"\d+|\b[ivxlc]+\b", re.IGNORECASE)
_ITEM = re.compile(r"(?:[•●▪◦‣·–—*-]|\(?\d{1,3}[.)]|\(?[a-zA-Z][.)])\s+\S")
#: As between the entries of a table of contents and their pages.
_LEADER = re.compile(r"(?:\. ?){4}")
_STOPS = tuple(".!?:…”\"')")
#: Points by which type is larger than the body's in a heading, as a share.
_LARGER = 1.15
_HEADING_LENGTH = 150
_HEADING_LINES = 2
#: Pages from which on a line that is repeated is a running head.
_PAGES = 4
#: PDF errors by number (fpdfview.h).
_ENCRYPTED = (4, 5)


@dataclass(frozen=True, slots=True)
class _Line:
    """A line of a page; its box in points, origin bottom left."""

    text: str
    x0: float
    y0: float
    x1: float
    y1: float
    #: of its type, in points
    size: float
    #: a word is broken at its end
    broken: bool = False


@dataclass(frozen=True, slots=True)
class _Page:
    label: str
    number: int
    lines: tuple[_Line, ...]
    #: it has a picture and no text
    scanned: bool


def read(uri: str, data: bytes) -> Document:
    """Read a PDF; title and date are those of its properties where they say something.

    The text is normalised (NFKC). A word that is broken at the end of a line keeps its hyphen and
    line end in the text, and is seen without them. Running heads are hidden. A page that is a
    picture has an empty mark.

    :raises UnreadableSource: if it is no PDF, encrypted, damaged, or without any text.
    """
    if b"%PDF-" not in data[:1024]:
        raise UnreadableSource(uri, f"not a PDF: it looks like {looks_like(data)}")
    pdfium = needs(uri, "pypdfium2", "pypdfium2")
    try:
        file = pdfium.PdfDocument(data)
    except pdfium.PdfiumError as error:
        if getattr(error, "err_code", None) in _ENCRYPTED or "assword" in str(error):
            raise UnreadableSource(uri, "encrypted; save it without a password") from error
        raise UnreadableSource(uri, f"PDF that is damaged or cut off ({error})") from error
    try:
        pages = [_page(pdfium, file, index) for index in range(len(file))]
        properties = file.get_metadata_dict()
    finally:
        file.close()
    if not any(page.lines for page in pages):
        raise UnreadableSource(uri, f"no text on its {len(pages)} pages; it needs OCR")
    draft = Draft()
    _Layout(pages).write(draft)
    date = day(properties.get("CreationDate", "").removeprefix("D:"))
    return draft.document(uri, data, _plain(properties.get("Title", "")), date)


def _page(pdfium: Any, file: Any, index: int) -> _Page:
    try:
        page = file[index]
    except pdfium.PdfiumError:  # one page that is damaged does not lose the others
        return _Page(str(index + 1), index + 1, (), False)
    text_page = page.get_textpage()
    try:
        lines = tuple(_lines(pdfium.raw, text_page))
        pictures = page.get_objects(filter=[pdfium.raw.FPDF_PAGEOBJ_IMAGE], max_depth=3)
        scanned = not lines and next(iter(pictures), None) is not None
    finally:
        text_page.close()
        page.close()
    return _Page(file.get_page_label(index) or str(index + 1), index + 1, lines, scanned)


def _lines(raw: Any, page: Any) -> Iterator[_Line]:
    """Yield the lines of a page that have something on them."""
    codes = [raw.FPDFText_GetUnicode(page, index) for index in range(page.count_chars())]
    start = 0
    for end in [*(index for index, code in enumerate(codes) if code in (10, 13)), len(codes)]:
        text = _decoded(codes[start:end])
        # A hyphen at a line's end stands for the line end, too.
        for piece, low, high, broken in _unhyphenated(text, codes, start, end):
            seen = _plain(piece)
            if seen:
                box = _box(raw, page, low, high - low)
                size = _size(raw, page, low, high)
                yield _Line(seen, *box, size, broken)
        start = end + 1


def _unhyphenated(
    text: str, codes: list[int], start: int, end: int
) -> Iterator[tuple[str, int, int, bool]]:
    """Cut a line behind each hyphen at which PDFium has joined it with the next."""
    low = start
    for index in range(start, end):
        if codes[index] < 0x110000 and chr(codes[index]) in _HYPHENS:
            yield _decoded(codes[low:index]) + "-", low, index + 1, True
            low = index + 1
    if low == start:
        yield text, start, end, text.rstrip().endswith("-")
    elif low < end:
        yield _decoded(codes[low:end]), low, end, False


def _decoded(codes: Iterable[int]) -> str:
    """Turn what PDFium gives, halves of characters too, into text."""
    text = "".join(chr(code) for code in codes if 0 < code < 0x110000)
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).split())


def _box(raw: Any, page: Any, start: int, count: int) -> tuple[float, float, float, float]:
    """Return the box around characters, in points."""
    sides = [ctypes.c_double() for _ in range(4)]
    boxes = []
    for index in range(raw.FPDFText_CountRects(page, start, count)):
        if raw.FPDFText_GetRect(page, index, *sides):
            left, top, right, bottom = (side.value for side in sides)
            boxes.append((left, bottom, right, top))
    if not boxes:
        return 0.0, 0.0, 0.0, 0.0
    lefts, bottoms, rights, tops = zip(*boxes, strict=True)
    return min(lefts), min(bottoms), max(rights), max(tops)


def _size(raw: Any, page: Any, start: int, end: int) -> float:
    """Return the size of the type of a line, in points, from its middle."""
    middle = (start + end) // 2
    size = raw.FPDFText_GetFontSize(page, middle)
    matrix = raw.FS_MATRIX()
    if raw.FPDFText_GetMatrix(page, middle, matrix):
        size *= (matrix.c**2 + matrix.d**2) ** 0.5 or 1.0
    return round(float(size), 1)


class _Layout:
    """What the lines of a document are, told from all of them."""

    def __init__(self, pages: Sequence[_Page]) -> None:
        self._pages = pages
        self._repeated = _repeated(pages)
        lines = [line for page in pages for line in page.lines]
        self._body = _usual_size(lines)
        larger = {line.size for line in lines if line.size >= self._body * _LARGER}
        self._levels = {size: level for level, size in enumerate(sorted(larger, reverse=True), 1)}
        # A page on which much is large is a slide or a poster, and not all headings.
        headings = sum(len(line.text) for line in lines if line.size in self._levels)
        if headings * 4 > sum(len(line.text) for line in lines):
            self._levels = {}
        self._words = Counter(
            word.casefold() for line in lines for word in _WORDS.findall(line.text)
        )

    def write(self, draft: Draft) -> None:
        """Add every page with its marks to a draft."""
        writer = _Writer(draft, self._words)
        for page in self._pages:
            start = draft.length
            if page.scanned:
                draft.marks.append(Mark(start, start, "page", page.label, page.number))
                continue
            gap = median(_gaps(page.lines) or [0.0])
            for run, kind in self._runs(page.lines, gap):
                if kind == "heading" and len(run) > _HEADING_LINES:
                    kind = "block"  # a table, or a quotation, in large type
                writer.write(run, kind, min(self._levels.get(run[0].size, 1), 6))
            draft.page(start, page.label, page.number)
            writer.turn()
        writer.close()

    def _runs(self, lines: Sequence[_Line], gap: float) -> Iterator[tuple[list[_Line], str]]:
        """Yield the paragraphs, headings and running heads of a page."""
        run: list[_Line] = []
        kind = ""
        right = max((line.x1 for line in lines), default=0.0)
        for number, line in enumerate(lines):
            this = self._kind(line, number, len(lines))
            if run and (this != kind or _parts(run, line, gap, right)):
                yield run, kind
                run = []
            kind = this
            run.append(line)
        if run:
            yield run, kind

    def _kind(self, line: _Line, number: int, count: int) -> str:
        large = line.size in self._levels
        edge = number < _EDGE or number >= count - _EDGE
        if edge and not large and _DIGITS.sub("#", line.text) in self._repeated:
            return "hidden"
        if large and len(line.text) <= _HEADING_LENGTH and not _LEADER.search(line.text):
            return "heading"
        return "block"


#: Lines at the top and at the bottom of a page that can be running heads.
_EDGE = 3


def _repeated(pages: Sequence[_Page]) -> frozenset[str]:
    """Return the lines, digits aside, that stand at an edge of most pages."""
    if len(pages) < _PAGES:
        return frozenset()
    seen: Counter[str] = Counter()
    for page in pages:
        edge = [*page.lines[:_EDGE], *page.lines[_EDGE:][-_EDGE:]]
        seen.update({_DIGITS.sub("#", line.text) for line in edge})
    filled = sum(bool(page.lines) for page in pages)
    return frozenset(text for text, count in seen.items() if count * 2 > filled and count > 2)


def _usual_size(lines: Sequence[_Line]) -> float:
    weights: Counter[float] = Counter()
    for line in lines:
        weights[line.size] += len(line.text)
    return weights.most_common(1)[0][0] if weights else 0.0


def _gaps(lines: Sequence[_Line]) -> list[float]:
    """Return how far each line stands below the one before it, those of one column only."""
    return [
        above.y0 - below.y0
        for above, below in pairwise(lines)
        if 0 < above.y0 - below.y0 < 4 * max(above.size, 1.0)
    ]


def _parts(run: Sequence[_Line], line: _Line, gap: float, right: float) -> bool:
    """Tell whether a line opens a new paragraph, by gap, size, list mark, indentation."""
    above = run[-1]
    drop = above.y0 - line.y0
    if abs(drop) < 0.5 * line.size and line.x0 >= above.x0:
        return False  # the same line, farther right
    if abs(line.size - above.size) > 0.1 * max(line.size, above.size):
        return True
    if _ITEM.match(line.text) and above.text.endswith((*_STOPS, ";", ",")):
        return True
    if drop < 0 or line.x0 > above.x1:  # the next column
        return above.text.endswith(_STOPS)
    if drop > 1.35 * gap > 0:
        return True
    indented = line.x0 > min(part.x0 for part in run) + 0.8 * line.size
    if indented and len(run) > 1 and not _ITEM.match(run[0].text):
        return True
    # The last line of a paragraph is short.
    width = max(part.x1 for part in (*run, line)) - min(part.x0 for part in (*run, line))
    return above.text.endswith(_STOPS) and above.x1 < max(line.x1, right * 0.5) - 0.2 * width


class _Writer:
    """Writes runs of lines; a paragraph that goes on behind a page's end stays open."""

    def __init__(self, draft: Draft, words: Counter[str]) -> None:
        self._draft = draft
        self._words = words
        self._open: Span | None = None
        self._last: _Line | None = None
        self._turned = False

    def turn(self) -> None:
        """Note that a page ends."""
        self._turned = True

    def write(self, run: Sequence[_Line], kind: str, level: int) -> None:
        """Add a run of lines."""
        text = "\n".join(line.text for line in run)
        if kind == "block":
            span = self._block(text, run)
        elif kind == "hidden":
            self.turn()
            span = self._draft.add(text, "hidden")
        else:
            self.close()
            label = " ".join(line.text for line in run)
            span = self._draft.add(text, "heading", label=label, level=level)
        if span:
            self._mark_lines(run, span[0])

    def close(self) -> None:
        """End the paragraph that is open."""
        if self._open:
            self._draft.marks.append(Mark(*self._open, "block"))
        self._open = self._last = None

    def _block(self, text: str, run: Sequence[_Line]) -> Span | None:
        """Add a paragraph, or what goes on with the one before the page's end."""
        before, last = self._open, self._last
        goes_on = self._turned and last is not None and not last.text.endswith(_STOPS)
        if not (before and last and goes_on and run[0].text[0].islower()):
            self.close()
            before = None
        span = self._draft.add(text)
        if span:
            if before and last and last.broken:
                self._break(last, run[0], before[1] - 1, span[0])
            self._open = (before[0] if before else span[0]), span[1]
            self._last, self._turned = run[-1], False
        return span

    def _mark_lines(self, run: Sequence[_Line], start: int) -> None:
        """Mark each line with its box, and each break of a word as what is not seen."""
        for index, line in enumerate(run):
            end = start + len(line.text)
            box = " ".join(f"{side:.1f}" for side in (line.x0, line.y0, line.x1, line.y1))
            self._draft.marks.append(Mark(start, end, "line", box))
            if line.broken and index + 1 < len(run):
                self._break(line, run[index + 1], end - 1, end + 1)
            start = end + 1

    def _break(self, line: _Line, following: _Line, start: int, end: int) -> None:
        """Mark the hyphen and line end of a broken word, unless a small letter does not follow.

        The hyphen is the word's own where the document writes it so elsewhere.
        """
        head, tail = _BROKEN.search(line.text), _WORDS.match(following.text)
        if head and tail and tail[0][0].islower():
            joined, hyphened = head[1] + tail[0], f"{head[1]}-{tail[0]}"
            own = self._words[hyphened.casefold()] and not self._words[joined.casefold()]
            self._draft.marks.append(Mark(start, end, "syntax", "-" if own else ""))
