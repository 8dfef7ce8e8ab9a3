"""A document in the making, for formats whose text is extracted: text with marks, part by part."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from qa.errors import UnsupportedFormat
from qa.readers.plain import file_title
from qa.types import Document, Mark, MarkKind, Span

_DAY = re.compile(r"(?<!\d)((?:19|20)\d\d)-?(0[1-9]|1[0-2])-?(0[1-9]|[12]\d|3[01])")
_YEAR = re.compile(r"(?:19|20)\d\d")
#: Titles that programs write for themselves.
_EMPTY_TITLE = re.compile(
    r"(?:microsoft (?:word|powerpoint|excel)\b|(?:untitled|title|powerpoint presentation"
    r"|document ?\d*|presentation ?\d*|slide \d+|\W*)$"
    r"|.*\.(?:docx?|pptx?|xlsx?|pdf|indd|tex|dvi|odt|rtf)$)",
    re.IGNORECASE,
)
#: Characters that no text has, but damaged files do.
_CONTROL = re.compile(r"[\0-\x08\x0e-\x1f\x7f]")


class Draft:
    """Collects the parts of a text with a blank line between them, the rows of a table without."""

    def __init__(self) -> None:
        self.length = 0
        self.marks: list[Mark] = []
        self._parts: list[str] = []

    @property
    def text(self) -> str:
        """What was added so far."""
        return "".join(self._parts)

    def add(self, text: str, *kinds: MarkKind, label: str = "", level: int = 0) -> Span | None:
        """Add a part under marks of these kinds; return where it stands, None if it is blank."""
        text = _CONTROL.sub(" ", text).strip()
        if not text:
            return None
        gap = "\n" if "row" in kinds and self._ends_with_row() else "\n\n"
        self._append(gap if self.length else "")
        span = (self.length, self.length + len(text))
        self._append(text)
        self.marks += [Mark(*span, kind, label, level) for kind in kinds]
        return span

    def heading(self, text: str, level: int) -> None:
        """Add a heading; level 1 is the outermost."""
        folded = " ".join(_CONTROL.sub(" ", text).split())
        self.add(folded, "heading", label=folded, level=level)

    def row(self, cells: Sequence[str], header: Sequence[str] = ()) -> None:
        """Add a table row, its cells parted by " | ", where people see the names of the columns.

        Without a header, the row is seen as it stands.
        """
        folded = [" ".join(_CONTROL.sub(" ", cell).split()) for cell in cells]
        names = [header[column] if column < len(header) else "" for column in range(len(folded))]
        filled = [pair for pair in zip(folded, names, strict=True) if pair[0]]
        span = self.add(" | ".join(cell for cell, _ in filled), "block", "row")
        if not span or not any(names):
            return
        place = span[0]
        for number, (cell, name) in enumerate(filled):
            gap = 3 if number else 0
            self.marks.append(Mark(place, place + gap, "syntax", cell_label(name, number)))
            place += gap + len(cell)

    def header(self, cells: Sequence[str]) -> None:
        """Add the header of a table; it is no block, since alone it says nothing."""
        self.add(" | ".join(" ".join(cell.split()) for cell in cells if cell.strip()), "row")

    def page(self, start: int, label: str, number: int) -> None:
        """Mark what was added since a length as a page; `number` counts from 1."""
        if start < self.length:
            gap = 2 if start else 0
            self.marks.append(Mark(start + gap, self.length, "page", label, number))

    def document(self, uri: str, data: bytes, title: str = "", date: str | None = None) -> Document:
        """Return what was collected.

        The title is the one given if it says something, else the first heading, else the file's
        name.
        """
        named = " ".join(title.split())
        if _EMPTY_TITLE.match(named):
            named = next((mark.label for mark in self.marks if mark.kind == "heading"), "")
        digest = hashlib.sha256(data).hexdigest()
        marks = tuple(sorted(self.marks, key=lambda mark: (mark.start, -mark.end, mark.kind)))
        return Document(uri, named or file_title(uri), date, digest, self.text, marks)

    def _append(self, text: str) -> None:
        self._parts.append(text)
        self.length += len(text)

    def _ends_with_row(self) -> bool:
        last = next((mark for mark in reversed(self.marks) if mark.kind != "syntax"), None)
        return last is not None and last.kind == "row" and last.end == self.length


def cell_label(name: str, number: int) -> str:
    """Return what is shown before a cell: its column's name, behind what parts it from another."""
    return ("; " if number else "") + (f"{name}: " if name else "")


def is_header(cells: Sequence[str]) -> bool:
    """Tell whether the first row of a table names its columns: different words, no numbers.

    Two years and more are names, too, and the first column may have none.
    """
    names = [cell.strip().casefold() for cell in cells]
    while names and not names[-1]:
        names.pop()
    years = sum(bool(_YEAR.fullmatch(name)) for name in names)
    words = [name for name in names if years < 2 or not _YEAR.fullmatch(name)]
    if years > 1 and words[:1] == [""]:
        words = words[1:]
    return (
        len(names) > 1
        and len(set(names)) == len(names)
        and all(any(map(str.isalpha, name)) and len(name) <= 80 for name in words)
        and not any(name[0].isdigit() for name in words)
    )


def day(value: object) -> str | None:
    """Return the ISO 8601 day that a date, such as of RFC 3339 or of a PDF, begins with."""
    found = _DAY.search(str(value)) if value else None
    return "-".join(found.groups()) if found else None


def needs(uri: str, module: str, package: str) -> Any:
    """Import a module of a reader; raise UnsupportedFormat, with what to do, if it is missing."""
    try:
        return import_module(module)
    except ImportError as error:
        reason = f"needs {package}: pip install 'qa[documents]', then qa index --full"
        raise UnsupportedFormat(uri, reason) from error
