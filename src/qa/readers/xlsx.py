"""XLSX: each row a unit, "column: value; column: value", under the name of its sheet."""

from __future__ import annotations

import datetime
import io
from collections.abc import Iterator
from typing import Any

from qa.errors import UnreadableSource
from qa.readers.archive import Archive
from qa.readers.draft import Draft, cell_label, is_header, needs
from qa.types import Document


def read(uri: str, data: bytes) -> Document:
    """Read a workbook; formulas are read as the values that were saved with them.

    The first row with two cells or more names the columns, if it holds nothing but different
    words; what stands above it are paragraphs.

    :raises UnreadableSource: if it is no XLSX.
    """
    archive = Archive(uri, data, "XLSX")
    archive.read("xl/workbook.xml")
    openpyxl = needs(uri, "openpyxl", "openpyxl")
    try:
        book = openpyxl.load_workbook(
            io.BytesIO(data), read_only=True, data_only=True, keep_links=False
        )
    except (KeyError, ValueError, TypeError) as error:
        raise UnreadableSource(uri, f"XLSX that is damaged ({error})") from error
    draft = Draft()
    for sheet in book.worksheets:
        rows = list(_rows(sheet))
        if rows:
            draft.heading(sheet.title, 2)
            _sheet(rows, draft)
    return draft.document(uri, data, book.properties.title or "", archive.changed())


def _rows(sheet: Any) -> Iterator[list[str]]:
    """Yield the rows that hold something, as text."""
    sheet.reset_dimensions()  # what a file says of its size may be anything
    for row in sheet.iter_rows():
        cells = [_shown(cell) for cell in row]
        if any(cells):
            yield cells


def _sheet(rows: list[list[str]], draft: Draft) -> None:
    header: list[str] | None = None
    for cells in rows:
        if header is None and sum(map(bool, cells)) > 1:
            header = cells if is_header(cells) else []
            if header:
                continue
        draft.add("".join(_fields(cells, header or [])), "block", "row")
    if header and len(rows) == 1:
        draft.header(header)


def _fields(cells: list[str], header: list[str]) -> Iterator[str]:
    number = 0
    for column, cell in enumerate(cells):
        if cell:
            yield cell_label(header[column] if column < len(header) else "", number) + cell
            number += 1


def _shown(cell: Any) -> str:
    """Write a value as people would: whole numbers without a point, days without a time."""
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, datetime.datetime):
        return value.date().isoformat() if value.time() == datetime.time() else str(value)
    if isinstance(value, float):
        if "%" in (cell.number_format or ""):
            return f"{value * 100:.10g}%"
        return f"{value:.15g}"
    if isinstance(value, int) and "%" in (cell.number_format or ""):
        return f"{value * 100}%"
    return " ".join(str(value).split())
