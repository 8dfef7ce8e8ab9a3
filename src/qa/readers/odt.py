"""ODT: headings, paragraphs, list items, and tables as rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from qa.readers.archive import Archive
from qa.readers.draft import Draft, day, is_header
from qa.types import Document

if TYPE_CHECKING:
    from lxml.etree import _Element

_TEXT = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
_TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
_OFFICE = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
_DC = "{http://purl.org/dc/elements/1.1/}"
_BLANKS = {f"{_TEXT}s": " ", f"{_TEXT}tab": "\t", f"{_TEXT}line-break": "\n"}
#: What stands in a paragraph and is no part of it.
_ASIDE = (f"{_TEXT}note", f"{_OFFICE}annotation")
_REPEATED = f"{_TABLE}number-columns-repeated"


def read(uri: str, data: bytes) -> Document:
    """Read an OpenDocument text; title and date are those of its properties.

    Deleted text of tracked changes is left out, notes and comments too.

    :raises UnreadableSource: if it is no ODT.
    """
    archive = Archive(uri, data, "ODT")
    body = archive.xml("content.xml").find(f"{_OFFICE}body")
    draft = Draft()
    if body is not None:
        _content(body, draft)
    if "meta.xml" not in archive.names:
        return draft.document(uri, data)
    meta = archive.xml("meta.xml")
    title = meta.findtext(f".//{_DC}title", "")
    return draft.document(uri, data, title, day(meta.findtext(f".//{_DC}date")))


def _content(body: _Element, draft: Draft) -> None:
    stack = [body]
    while stack:
        element = stack.pop()
        if element.tag == f"{_TEXT}h":
            draft.heading(_seen(element), int(element.get(f"{_TEXT}outline-level", "1")))
        elif element.tag == f"{_TEXT}p":
            draft.add(_seen(element), "block")
        elif element.tag == f"{_TABLE}table":
            _table(element, draft)
        elif element.tag != f"{_TEXT}tracked-changes":
            stack += reversed(list(element))


def _seen(element: _Element) -> str:
    return "".join(_pieces(element))


def _pieces(element: _Element) -> Iterator[str]:
    """Yield the text of an element, with the blanks that it writes as elements."""
    yield element.text or ""
    for child in element:
        if child.tag in _BLANKS:
            count = child.get(f"{_TEXT}c", "1")
            yield _BLANKS[child.tag] * min(int(count) if count.isdigit() else 1, 100)
        elif child.tag not in _ASIDE and isinstance(child.tag, str):
            yield from _pieces(child)
        yield child.tail or ""


def _table(table: _Element, draft: Draft) -> None:
    header: list[str] = []
    for number, row in enumerate(table.iter(f"{_TABLE}table-row")):
        texts = [" ".join(" ".join(_lines(cell)).split()) for cell in _cells(row)]
        parent = row.getparent()
        named = parent is not None and parent.tag == f"{_TABLE}table-header-rows"
        if number == 0 and (named or len(texts) > 1) and is_header(texts):
            header = texts
            draft.header(texts)
        else:
            draft.row(texts, header)


def _lines(cell: _Element) -> Iterator[str]:
    return (_seen(line) for line in cell.iter(f"{_TEXT}p", f"{_TEXT}h"))


def _cells(row: _Element) -> Iterator[_Element]:
    """Yield the cells of a row, repeated ones as often as they say, within reason."""
    for cell in row.iterchildren(f"{_TABLE}table-cell", f"{_TABLE}covered-table-cell"):
        count = cell.get(_REPEATED, "1")
        yield from [cell] * min(int(count) if count.isdigit() else 1, 100)
