"""DOCX, PPTX, XLSX, ODT, EPUB and RTF."""

from __future__ import annotations

import datetime
from typing import Any

import build
import pytest

from fakes import FakeEncoder
from qa.errors import UnreadableSource
from qa.readers import read
from qa.splitter import split

for library in ("docx", "pptx", "openpyxl", "lxml", "selectolax", "striprtf", "reportlab"):
    pytest.importorskip(library)


ROWS = [
    ("row", "City | Population | River"),
    ("block", "Vienna | 2,005,760 | Danube"),
    ("row", "Vienna | 2,005,760 | Danube"),
    ("block", "Cologne | 1,087,353 | Rhine"),
    ("row", "Cologne | 1,087,353 | Rhine"),
]
VIENNA = ("Vienna | 2,005,760 | Danube", "City: Vienna; Population: 2,005,760; River: Danube")


# DOCX


def fill(document: Any) -> None:
    document.core_properties.modified = datetime.datetime(2024, 5, 6)
    document.add_heading("Rivers", 0)
    document.add_heading("The Danube", 2)
    document.add_paragraph(build.SENTENCE)
    document.add_paragraph("First item", style="List Bullet")
    document.add_paragraph("Second item", style="List Number")
    build.docx_table(document, build.TABLE)
    document.add_paragraph("The end.")


def test_docx() -> None:
    data = build.docx(fill)
    assert build.structure("a.docx", data) == [
        ("heading", "Rivers"),
        ("heading", "The Danube"),
        ("block", build.SENTENCE),
        ("block", "First item"),
        ("block", "Second item"),
        *ROWS,
        ("block", "The end."),
    ]
    document = read("a.docx", data)
    assert (document.title, document.date) == ("Rivers", "2024-05-06")
    assert [mark.level for mark in document.marks if mark.kind == "heading"] == [1, 2]
    assert VIENNA in build.seen("a.docx", data)


def test_the_text_of_a_docx_has_blank_lines_between_its_parts() -> None:
    text = read("a.docx", build.docx(fill)).text
    assert text.startswith(f"Rivers\n\nThe Danube\n\n{build.SENTENCE}\n\nFirst item\n\nSecond")
    assert text.endswith("River\n" + ROWS[1][1] + "\n" + ROWS[3][1] + "\n\nThe end.")


def test_a_cell_that_spans_columns_is_read_once() -> None:
    def spanned(document: Any) -> None:
        table = document.add_table(1, 3)
        table.cell(0, 0).merge(table.cell(0, 1)).text = "wide"
        table.cell(0, 2).text = "narrow"

    assert build.structure("a.docx", build.docx(spanned))[0] == ("block", "wide | narrow")


W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("<w:r><w:t>a</w:t></w:r><w:ins><w:r><w:t>b</w:t></w:r></w:ins>", "ab"),
        ("<w:r><w:t>a</w:t></w:r><w:del><w:r><w:delText>b</w:delText></w:r></w:del>", "a"),
        ("<w:r><w:t>a</w:t><w:tab/><w:t>b</w:t><w:br/><w:t>c</w:t></w:r>", "a\tb\nc"),
        ("<w:hyperlink><w:r><w:t>a</w:t></w:r></w:hyperlink>", "a"),
        ("<w:sdt><w:sdtContent><w:r><w:t>a</w:t></w:r></w:sdtContent></w:sdt>", "a"),
        ("<w:pPr><w:tabs><w:tab w:val='left'/></w:tabs></w:pPr><w:r><w:t>a</w:t></w:r>", "a"),
    ],
    ids=["inserted", "deleted", "tab and line break", "link", "content control", "tab stop"],
)
@pytest.mark.parametrize("control", [False, True], ids=["", "in a control"])
def test_the_text_of_a_paragraph(content: str, found: str, control: bool) -> None:
    from docx.oxml import parse_xml

    paragraph = f"<w:p {W}>{content}</w:p>"
    if control:
        paragraph = f"<w:sdt {W}><w:sdtContent>{paragraph}</w:sdtContent></w:sdt>"

    def fill(document: Any) -> None:
        document.element.body.insert(0, parse_xml(paragraph))

    assert build.structure("a.docx", build.docx(fill)) == [("block", found)]


def test_a_text_box_is_read_once() -> None:
    from docx.oxml import parse_xml

    compatible = "http://schemas.openxmlformats.org/markup-compatibility/2006"
    box = "<w:txbxContent><w:p><w:r><w:t>box</w:t></w:r></w:p></w:txbxContent>"
    paragraph = (
        f"<w:p {W} xmlns:mc='{compatible}'><w:r><w:t>a</w:t></w:r><w:r><mc:AlternateContent>"
        f"<mc:Choice Requires='wps'>{box}</mc:Choice><mc:Fallback>{box}</mc:Fallback>"
        "</mc:AlternateContent></w:r></w:p>"
    )
    data = build.docx(lambda document: document.element.body.insert(0, parse_xml(paragraph)))
    assert build.structure("a.docx", data) == [("block", "a"), ("block", "box")]


# PPTX


def slides(presentation: Any) -> None:
    build.slide(presentation, "Rivers", ["Two of them.", "More to come."], notes="Say hello.")
    table = build.slide(presentation, "Cities", []).shapes.add_table(3, 3, 0, 0, 100, 100).table
    for number, row in enumerate(build.TABLE):
        for column, text in enumerate(row):
            table.cell(number, column).text = text


def test_pptx() -> None:
    data = build.pptx(slides)
    first = "Rivers\n\nTwo of them.\n\nMore to come.\n\nSay hello."
    second = "Cities\n\n" + "\n".join(text for kind, text in ROWS if kind == "row")
    assert read("a.pptx", data).text == f"{first}\n\n{second}"
    assert build.structure("a.pptx", data) == [
        ("page", first),
        ("heading", "Rivers"),
        ("block", "Two of them."),
        ("block", "More to come."),
        ("block", "Say hello."),
        ("page", second),
        ("heading", "Cities"),
        *ROWS,
    ]
    found = split(read("a.pptx", data), 200, FakeEncoder().count)
    assert [(passage.page, passage.section) for passage in found] == [(1, ()), (2, ("Cities",))]
    assert VIENNA in build.seen("a.pptx", data)


# XLSX


def test_xlsx() -> None:
    share = [["Cities of Europe"], ["City", "Share", "Founded", "Large"]]
    share += [["Vienna", 0.25, datetime.date(1221, 10, 18), True], [None, None], ["Cologne", 3.0]]
    data = build.xlsx({"People": build.TABLE, "Shares": share, "Empty": []})
    assert read("a.xlsx", data).text == (
        "People\n\n"
        "City: Vienna; Population: 2,005,760; River: Danube\n"
        "City: Cologne; Population: 1,087,353; River: Rhine\n\n"
        "Shares\n\n"
        "Cities of Europe\n"
        "City: Vienna; Share: 0.25; Founded: 1221-10-18; Large: TRUE\n"
        "City: Cologne; Share: 3"
    )
    kinds = [kind for kind, _ in build.structure("a.xlsx", data)]
    assert kinds == ["heading", *["block", "row"] * 2, "heading", *["block", "row"] * 3]


def test_a_sheet_without_names_of_columns() -> None:
    data = build.xlsx({"S": [["Vienna", 2], ["Cologne", 1]]})
    assert read("a.xlsx", data).text == "S\n\nVienna; 2\nCologne; 1"


def test_percentages_are_written_as_such() -> None:
    import io

    import openpyxl

    book = openpyxl.Workbook()
    book.active["A1"] = 0.125
    book.active["A1"].number_format = "0.0%"
    buffer = io.BytesIO()
    book.save(buffer)
    assert read("a.xlsx", buffer.getvalue()).text == "Sheet\n\n12.5%"


# ODT


def cells(row: list[str]) -> str:
    texts = (f"<table:table-cell><text:p>{text}</text:p></table:table-cell>" for text in row)
    return f"<table:table-row>{''.join(texts)}</table:table-row>"


def test_odt() -> None:
    body = (
        '<text:h text:outline-level="2">The <text:span>Danube</text:span></text:h>'
        '<text:p>One<text:s text:c="2"/>two<text:line-break/>three'
        "<text:note><text:note-body><text:p>aside</text:p></text:note-body></text:note>.</text:p>"
        "<text:list><text:list-item><text:p>Item</text:p></text:list-item></text:list>"
        f"<table:table><table:table-header-rows>{cells(build.TABLE[0])}</table:table-header-rows>"
        f"{cells(build.TABLE[1])}{cells(build.TABLE[2])}</table:table>"
    )
    data = build.odt(body, title="Rivers")
    assert build.structure("a.odt", data) == [
        ("heading", "The Danube"),
        ("block", "One  two\nthree."),
        ("block", "Item"),
        *ROWS,
    ]
    document = read("a.odt", data)
    assert (document.title, document.date) == ("Rivers", "2020-02-29")
    assert VIENNA in build.seen("a.odt", data)


# EPUB


def test_epub() -> None:
    chapters = {
        "second": f"<h1>The Rhine</h1><p>{build.SENTENCE}</p>",
        "first": "<h1>The Danube</h1><p>Long &amp; wide.</p><script>no()</script>",
        "unread": "<p>Not in the spine.</p>",
    }
    data = build.epub(chapters, spine=["first", "second"])
    assert build.structure("a.epub", data) == [
        ("heading", "The Danube"),
        ("block", "Long & wide."),
        ("heading", "The Rhine"),
        ("block", build.SENTENCE),
    ]
    document = read("a.epub", data)
    assert (document.title, document.date) == ("Rivers", "2021-03-04")


# RTF


def test_rtf() -> None:
    data = build.rtf("Größe 😀 of things.".replace("😀", ""), build.SENTENCE)
    assert read("a.rtf", data).text == f"Größe  of things.\n\n{build.SENTENCE}"
    assert [kind for kind, _ in build.structure("a.rtf", data)] == ["block", "block"]


# all of them


@pytest.mark.parametrize("suffix", ["docx", "pptx", "xlsx", "odt", "epub"])
@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"Some text.", "it looks like text"),
        (b"%PDF-1.7 and so on", "it looks like a PDF"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an encrypted"),
        (build.archive({"a.txt": "a"}), ": it has no "),
        (build.archive({"a.txt": "a" * 100})[:50], "damaged or cut off"),
        (b"", "it looks like an empty file"),
    ],
    ids=["text", "PDF", "old Office", "other archive", "truncated", "empty"],
)
def test_what_is_not_what_its_name_says(suffix: str, data: bytes, reason: str) -> None:
    with pytest.raises(UnreadableSource) as caught:
        read(f"a.{suffix}", data)
    assert reason in caught.value.reason


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "pypdfium2", None)
    with pytest.raises(Exception) as caught:
        read("a.pdf", build.pdf_pages(["x"]))
    assert getattr(caught.value, "reason", "") == (
        "needs pypdfium2: pip install 'qa[documents]', then qa index --full"
    )
