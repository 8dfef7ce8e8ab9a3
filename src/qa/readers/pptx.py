"""PPTX: each slide a page, with its title, its text, its tables and its notes."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

from qa.errors import UnreadableSource
from qa.readers.archive import Archive
from qa.readers.draft import Draft, is_header, needs
from qa.types import Document

#: Groups in groups deeper than this are hostile.
_DEPTH = 50


def read(uri: str, data: bytes) -> Document:
    """Read a presentation; title and date are those of its properties.

    :raises UnreadableSource: if it is no PPTX.
    """
    archive = Archive(uri, data, "PPTX")
    archive.read("ppt/presentation.xml")
    pptx = needs(uri, "pptx", "python-pptx")
    try:
        presentation = pptx.Presentation(io.BytesIO(data))
    except (KeyError, ValueError) as error:
        raise UnreadableSource(uri, f"PPTX that is damaged ({error})") from error
    draft = Draft()
    for number, slide in enumerate(presentation.slides, 1):
        start = draft.length
        _slide(uri, slide, draft)
        draft.page(start, str(number), number)
    title = presentation.core_properties.title or ""
    return draft.document(uri, data, title, archive.changed())


def _slide(uri: str, slide: Any, draft: Draft) -> None:
    title = slide.shapes.title
    if title is not None and title.has_text_frame:
        draft.heading(title.text_frame.text, 2)
    for shape in _shapes(uri, slide.shapes, 0):
        if title is not None and shape.shape_id == title.shape_id:
            continue
        if shape.has_text_frame:
            _paragraphs(shape.text_frame, draft)
        elif getattr(shape, "has_table", False):
            _table(shape.table, draft)
    if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
        _paragraphs(slide.notes_slide.notes_text_frame, draft)


def _shapes(uri: str, shapes: Any, depth: int) -> Iterator[Any]:
    if depth > _DEPTH:
        raise UnreadableSource(uri, f"groups nested more than {_DEPTH} deep")
    for shape in shapes:
        if hasattr(shape, "shapes"):
            yield from _shapes(uri, shape.shapes, depth + 1)
        else:
            yield shape


def _paragraphs(frame: Any, draft: Draft) -> None:
    for paragraph in frame.paragraphs:
        draft.add(paragraph.text.replace("\v", "\n"), "block")


def _table(table: Any, draft: Draft) -> None:
    header: list[str] = []
    for number, row in enumerate(table.rows):
        texts = [cell.text for cell in row.cells]
        if number == 0 and len(table.rows) > 1 and table.first_row and is_header(texts):
            header = [" ".join(text.split()) for text in texts]
            draft.header(texts)
        else:
            draft.row(texts, header)
