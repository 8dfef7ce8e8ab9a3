"""CSV and TSV: the text is the file; each record is a row, seen with the names of its columns."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

from qa.readers.decode import decode
from qa.readers.draft import cell_label, is_header
from qa.readers.plain import file_title
from qa.text import strip
from qa.types import Document, Mark, Span

_TWICE = re.compile('""')
_DELIMITERS = ",;\t|"
#: Records by which the delimiter is told.
_SAMPLE = 20


@dataclass(frozen=True, slots=True)
class _Cell:
    """A value: where it stands, without quotes and blanks around it, and with them."""

    start: int
    end: int
    outer: Span
    value: str


def read(uri: str, data: bytes) -> Document:
    """Read a table of records, RFC 4180 with any of the usual delimiters.

    Each record is a row. Between its cells, people see the names of the columns, where the first
    record names them: the delimiter is markup that shows as "; Population: ".
    """
    text = decode(uri, data)
    delimiter = "\t" if uri.lower().endswith(".tsv") else _delimiter(text)
    marks: list[Mark] = []
    header: list[str] | None = None
    for cells in _records(text, delimiter):
        filled = [cell.value for cell in cells if cell.value.strip()]
        if not filled:
            continue
        span = strip(text, cells[0].outer[0], cells[-1].outer[1])
        named = header is None and len(filled) > 1 and is_header([cell.value for cell in cells])
        if header is None and len(filled) > 1:
            header = [" ".join(cell.value.split()) for cell in cells] if named else []
        marks += _row(text, cells, span, [] if named else header or [], named)
    marks.sort(key=lambda mark: (mark.start, -mark.end, mark.kind))
    digest = hashlib.sha256(data).hexdigest()
    return Document(uri, file_title(uri), None, digest, text, tuple(marks))


def _row(
    text: str, cells: list[_Cell], span: Span, header: list[str], named: bool
) -> Iterator[Mark]:
    """Yield the marks of a record; the one that names the columns is no block."""
    yield Mark(*span, "row")
    if not named:
        yield Mark(*span, "block")
    reach, number = span[0], 0
    for column, cell in enumerate(cells):
        filled = bool(cell.value.strip())
        name = header[column] if column < len(header) else ""
        label = cell_label(name, number) if filled else ""
        if label or reach < cell.start:
            yield Mark(reach, cell.start, "syntax", label)
        if cell.end - cell.start != len(cell.value):
            for found in _TWICE.finditer(text, cell.start, cell.end):
                yield Mark(*found.span(), "syntax", '"')
        number += filled
        reach = cell.end
    if reach < span[1]:
        yield Mark(reach, span[1], "syntax")


def _delimiter(text: str) -> str:
    """Return the delimiter that cuts the first records into equally many cells, the most so."""

    def quality(delimiter: str) -> tuple[int, int]:
        widths = []
        for cells in _records(text, delimiter):
            widths.append(len(cells))
            if len(widths) == _SAMPLE:
                break
        usual = max(set(widths), key=widths.count, default=1)
        return (widths.count(usual), usual) if usual > 1 else (0, 0)

    return max(_DELIMITERS, key=quality)


def _records(text: str, delimiter: str) -> Iterator[list[_Cell]]:
    """Yield the cells of each record. A quote that nothing closes is a character like others."""
    cut = re.escape(delimiter)
    after = rf"(?={cut}|[\r\n]|\Z)"
    quoted = re.compile(rf'[ ]*"((?:[^"]++|"")*+)"[ ]*{after}')
    bare = re.compile(rf"[^\r\n{cut}]*+")
    at, cells = 0, list[_Cell]()
    while at < len(text):
        found = quoted.match(text, at) or bare.match(text, at)
        assert found
        inside = found.lastindex or 0
        value = found[inside].replace('""', '"') if inside else found[0].strip()
        span = found.span(1) if inside else strip(text, *found.span())
        cells.append(_Cell(*span, found.span(), value))
        at = found.end()
        if text.startswith(delimiter, at):
            at += len(delimiter)
            if at == len(text):
                cells.append(_Cell(at, at, (at, at), ""))
            continue
        at += 2 if text.startswith("\r\n", at) else 1
        yield cells
        cells = []
    if cells:
        yield cells
