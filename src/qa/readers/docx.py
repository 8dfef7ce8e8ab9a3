"""DOCX: headings, paragraphs, list items, and tables as rows."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import Any

from qa.errors import UnreadableSource
from qa.readers.archive import Archive
from qa.readers.draft import Draft, is_header, needs
from qa.types import Document

_HEADING = re.compile(r"heading (\d)$", re.IGNORECASE)
_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
_WRAPPERS = tuple(f"{_W}{name}" for name in ("sdt", "sdtContent", "customXml", "ins", "smartTag"))
_SIGNS = {f"{_W}{name}": text for name, text in {"tab": "\t", "br": "\n", "cr": "\n"}.items()}
_SIGNS[f"{_W}noBreakHyphen"] = "-"
#: What is in a paragraph and is not of its text: its format, tab stops included.
_ASIDE = (f"{_W}pPr", f"{_W}rPr", f"{_W}txbxContent", f"{_W}del", _FALLBACK)
#: A table in a cell of a table in a cell: deeper than that is hostile.
_DEPTH = 20


def read(uri: str, data: bytes) -> Document:
    """Read a Word document; title and date are those of its properties.

    Inserted text of tracked changes is read, deleted text is not; footnotes and comments neither.

    :raises UnreadableSource: if it is no DOCX.
    """
    archive = Archive(uri, data, "DOCX")
    archive.read("word/document.xml")
    docx = needs(uri, "docx", "python-docx")
    try:
        document = docx.Document(io.BytesIO(data))
    except (KeyError, ValueError) as error:
        raise UnreadableSource(uri, f"DOCX that is damaged ({error})") from error
    draft = Draft()
    _content(uri, document, document.element.body, draft, 0)
    title = document.core_properties.title or ""
    return draft.document(uri, data, title, archive.changed())


def _content(uri: str, parent: Any, element: Any, draft: Draft, depth: int) -> None:
    from docx.table import Table
    from docx.text.paragraph import Paragraph

    if depth > _DEPTH:
        raise UnreadableSource(uri, f"tables nested more than {_DEPTH} deep")
    for part in _parts(element):
        if part.tag == f"{_W}tbl":
            _table(uri, Table(part, parent), draft, depth)
            continue
        level = _level(Paragraph(part, parent))
        if level is None:
            draft.add("".join(_pieces(part)), "block")
        else:
            draft.heading("".join(_pieces(part)), level)
        for box in part.iter(f"{_W}txbxContent"):
            if next(box.iterancestors(_FALLBACK), None) is None:
                _content(uri, parent, box, draft, depth + 1)


def _parts(element: Any) -> Iterator[Any]:
    """Yield the paragraphs and tables of an element, those in content controls too."""
    for child in element:
        if child.tag in (f"{_W}p", f"{_W}tbl"):
            yield child
        elif child.tag in _WRAPPERS:
            yield from _parts(child)


def _pieces(element: Any) -> Iterator[str]:
    """Yield the text of an element, inserted text of tracked changes too, but no text box."""
    for child in element:
        if child.tag == f"{_W}t":
            yield child.text or ""
        elif child.tag in _SIGNS:
            yield _SIGNS[child.tag]
        elif child.tag not in _ASIDE:
            yield from _pieces(child)


def _level(paragraph: Any) -> int | None:
    """Return the level of a heading, by its style or the styles that this one is based on."""
    style, seen = paragraph.style, 0
    while style is not None and seen < 10:
        found = _HEADING.match(style.name or "")
        if found:
            return int(found[1])
        if (style.name or "").lower() == "title":
            return 1
        style, seen = style.base_style, seen + 1
    return None


def _table(uri: str, table: Any, draft: Draft, depth: int) -> None:
    header: list[str] = []
    for number, row in enumerate(table.rows):
        cells = _cells(row)
        texts = ["\n".join("".join(_pieces(part)) for part in _parts(cell._tc)) for cell in cells]
        if number == 0 and len(table.rows) > 1 and _has_header(table, row) and is_header(texts):
            header = [" ".join(text.split()) for text in texts]
            draft.header(texts)
        elif any(cell.tables for cell in cells):  # a table that serves as a layout
            for cell in cells:
                _content(uri, cell, cell._tc, draft, depth + 1)
        else:
            draft.row(texts, header)


def _cells(row: Any) -> list[Any]:
    """Return the cells of a row, one that spans columns once."""
    seen: set[int] = set()
    cells = []
    for cell in row.cells:
        if id(cell._tc) not in seen:
            seen.add(id(cell._tc))
            cells.append(cell)
    return cells


def _has_header(table: Any, row: Any) -> bool:
    if row._tr.find(f"{_W}trPr/{_W}tblHeader") is not None:
        return True
    look = table._tbl.tblPr.find(f"{_W}tblLook")
    if look is None:
        return False
    bits = int(look.get(f"{_W}val", "0"), 16) & 0x20
    return look.get(f"{_W}firstRow", "1" if bits else "0") in ("1", "true")
