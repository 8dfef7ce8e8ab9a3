"""Files of every format, made here, from content that the tests know."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fakes import FakeEncoder
from qa.readers import read
from qa.splitter import split

SENTENCE = "The Danube carries about 6,500 cubic metres of water a second into the Black Sea."
#: A row of a table that answers "What is the population of Vienna?".
TABLE = [
    ["City", "Population", "River"],
    ["Vienna", "2,005,760", "Danube"],
    ["Cologne", "1,087,353", "Rhine"],
]


def pdf(
    draw: Callable[[Any], None],
    *,
    title: str = "",
    password: str | None = None,
    size: tuple[int, int] = (400, 600),
) -> bytes:
    """Return a PDF drawn on a reportlab canvas, 400 by 600 points."""
    from reportlab.lib.pdfencrypt import StandardEncryption
    from reportlab.pdfgen.canvas import Canvas

    buffer = io.BytesIO()
    encrypt = StandardEncryption(password, canPrint=0) if password else None
    canvas = Canvas(buffer, pagesize=size, invariant=1, encrypt=encrypt)
    canvas.setTitle(title)
    draw(canvas)
    canvas.save()
    return buffer.getvalue()


def lines(
    canvas: Any, texts: Sequence[str], x: int = 50, y: int = 500, size: int = 11, gap: int = 14
) -> None:
    """Draw lines of text below each other."""
    canvas.setFont("Helvetica", size)
    for number, text in enumerate(texts):
        canvas.drawString(x, y - number * gap, text)


def pdf_pages(*pages: Sequence[str], **options: Any) -> bytes:
    """Return a PDF with these lines on its pages."""

    def draw(canvas: Any) -> None:
        for page in pages:
            lines(canvas, page)
            canvas.showPage()

    return pdf(draw, **options)


def picture() -> Any:
    """Return a small picture for a page without text."""
    from PIL import Image
    from reportlab.lib.utils import ImageReader

    return ImageReader(Image.new("RGB", (20, 20), "navy"))


def png() -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.new("RGB", (20, 20), "navy").save(buffer, "PNG")
    return buffer.getvalue()


def docx(fill: Callable[[Any], None]) -> bytes:
    import docx as library

    document = library.Document()
    fill(document)
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


def docx_table(document: Any, rows: Sequence[Sequence[str]]) -> None:
    table = document.add_table(len(rows), len(rows[0]))
    for row, texts in zip(table.rows, rows, strict=True):
        for cell, text in zip(row.cells, texts, strict=True):
            cell.text = text


def pptx(fill: Callable[[Any], None]) -> bytes:
    import pptx as library

    presentation = library.Presentation()
    fill(presentation)
    buffer = io.BytesIO()
    presentation.save(buffer)
    return buffer.getvalue()


def slide(presentation: Any, title: str, texts: Sequence[str], notes: str = "") -> Any:
    """Add a slide with a title, bullets and notes."""
    added = presentation.slides.add_slide(presentation.slide_layouts[1])
    added.shapes.title.text = title
    added.placeholders[1].text = "\n".join(texts)
    if notes:
        added.notes_slide.notes_text_frame.text = notes
    return added


def xlsx(sheets: Mapping[str, Sequence[Sequence[object]]]) -> bytes:
    import openpyxl

    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def archive(members: Mapping[str, str | bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as file:
        for name, content in members.items():
            file.writestr(zipfile.ZipInfo(name), content, method)
    return buffer.getvalue()


def epub(
    chapters: Mapping[str, str],
    *,
    spine: Sequence[str] | None = None,
    title: str = "Rivers",
    more: Mapping[str, str] | None = None,
) -> bytes:
    """Return a book of XHTML chapters; `spine` is their reading order."""
    items = "".join(
        f'<item id="{name}" href="{name}.xhtml" media-type="application/xhtml+xml"/>'
        for name in chapters
    )
    order = "".join(f'<itemref idref="{name}"/>' for name in spine or chapters)
    return archive(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:'
            'container"><rootfiles><rootfile full-path="OEBPS/book.opf"/></rootfiles></container>',
            "OEBPS/book.opf": '<package xmlns="http://www.idpf.org/2007/opf" '
            'xmlns:dc="http://purl.org/dc/elements/1.1/"><metadata>'
            f"<dc:title>{title}</dc:title><dc:date>2021-03-04T00:00:00Z</dc:date></metadata>"
            f"<manifest>{items}</manifest><spine>{order}</spine></package>",
            **{
                f"OEBPS/{name}.xhtml": '<?xml version="1.0"?><!DOCTYPE html>'
                f'<html xmlns="http://www.w3.org/1999/xhtml"><head><title/></head><body>{body}'
                "</body></html>"
                for name, body in chapters.items()
            },
            **(more or {}),
        }
    )


def odt(body: str, *, title: str = "") -> bytes:
    """Return an OpenDocument text with this content."""
    names = (
        'xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" '
        'xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0" '
        'xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0" '
        'xmlns:dc="http://purl.org/dc/elements/1.1/"'
    )
    return archive(
        {
            "mimetype": "application/vnd.oasis.opendocument.text",
            "content.xml": f"<office:document-content {names}><office:body><office:text>{body}"
            "</office:text></office:body></office:document-content>",
            "meta.xml": f"<office:document-meta {names}><office:meta><dc:title>{title}</dc:title>"
            "<dc:date>2020-02-29T10:00:00</dc:date></office:meta></office:document-meta>",
        }
    )


def html(body: str, head: str = "") -> bytes:
    return f"<!DOCTYPE html><html><head>{head}</head><body>{body}</body></html>".encode()


def rtf(*paragraphs: str) -> bytes:
    text = "\\par\n".join(
        "".join(c if ord(c) < 128 else f"\\u{ord(c)}?" for c in text) for text in paragraphs
    )
    return ("{\\rtf1\\ansi{\\fonttbl{\\f0 Times;}}\\f0 " + text + "}").encode("ascii")


def structure(uri: str, data: bytes, *kinds: str) -> list[tuple[str, str]]:
    """Return kind and text of each mark of a file, of these kinds where some are named."""
    document = read(uri, data)
    return [
        (mark.kind, document.text[mark.start : mark.end])
        for mark in document.marks
        if (mark.kind in kinds if kinds else mark.kind not in ("syntax", "line"))
    ]


def seen(uri: str, data: bytes) -> list[tuple[str, str]]:
    """Return quote and plain text of every sentence of a file."""
    document = read(uri, data)
    return [
        (document.text[sentence.start : sentence.end], sentence.plain)
        for passage in split(document, 200, FakeEncoder().count)
        for sentence in passage.sentences
    ]
