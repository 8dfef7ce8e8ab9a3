from __future__ import annotations

from collections.abc import Callable
from typing import Any
from xml.sax.saxutils import escape

import build
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes import FakeEncoder
from qa.readers import read
from qa.readers.draft import Draft, day, is_header
from qa.splitter import split
from qa.text import Markup
from qa.types import Document

#: Text with what moves offsets, without what XML forbids.
CELLS = st.text(
    st.sampled_from("ab .!?\n\té\u0301😀ש中\u00ad\u200d\u00a0\u2028|;:&<1\"'"), max_size=20
)


def check(document: Document) -> None:
    """Check that passages, sentences and marks are where they say."""
    for passage in split(document, 60, FakeEncoder().count):
        assert document.text[passage.start : passage.end] == passage.text
        for sentence in passage.sentences:
            assert passage.start <= sentence.start < sentence.end <= passage.end
    for mark in document.marks:
        assert 0 <= mark.start <= mark.end <= len(document.text)
        if mark.kind == "heading":
            assert document.text[mark.start : mark.end] == mark.label


def test_parts_have_a_blank_line_between_them_and_rows_none() -> None:
    draft = Draft()
    draft.heading(" A \n b ", 1)
    draft.add(" One.\n", "block")
    draft.header(["X", "", "Y"])
    draft.row(["1", "", "2"], ["X", "", "Y"])
    draft.add(" \n", "block")
    draft.add("Two.", "block")
    assert draft.text == "A b\n\nOne.\n\nX | Y\n1 | 2\n\nTwo."


def test_a_row_is_seen_with_the_names_of_its_columns() -> None:
    draft = Draft()
    draft.row(["Vienna", "", " 2 \n mio "], ["City", "River", "People"])
    draft.row(["Cologne", "Rhine", "1", "more"], ["City", "River", "People"])
    draft.row(["alone"], [])
    document = draft.document("a.docx", b"")
    markup = Markup(document.text, document.marks)
    spans = [(mark.start, mark.end) for mark in document.marks if mark.kind == "row"]
    assert [markup.plain(*span).text for span in spans] == [
        "City: Vienna; People: 2 mio",
        "City: Cologne; River: Rhine; People: 1; more",
        "alone",
    ]


def test_a_page_starts_with_its_text() -> None:
    draft = Draft()
    for number, text in enumerate(["One.", "", "Three."], 1):
        start = draft.length
        draft.add(text, "block")
        draft.page(start, "x", number)
    found = [(mark.level, draft.text[mark.start : mark.end]) for mark in draft.marks[1::2]]
    assert found == [(1, "One."), (3, "Three.")]


@pytest.mark.parametrize(
    ("cells", "header"),
    [
        (["City", "Population"], True),
        (["City", "Population", ""], True),
        (["City", "City"], False),
        (["City", ""], False),
        (["City", "2024"], False),
        (["City", "2 rivers"], False),
        (["City", "2024", "2025"], True),
        (["", "2024", "2025"], True),
        (["City", "2024", "17"], False),
        (["City", "", "River"], False),
        (["City", "a" * 81], False),
        ([], False),
    ],
)
def test_the_names_of_columns(cells: list[str], header: bool) -> None:
    assert is_header(cells) is header


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("2024-05-06", "2024-05-06"),
        ("2024-05-06T10:00:00Z", "2024-05-06"),
        ("D:20240506101112+02'00'", "2024-05-06"),
        ("6 May 2024", None),
        ("2024-13-01", None),
        ("123420240506", None),
        ("", None),
        (None, None),
    ],
)
def test_day(value: str | None, found: str | None) -> None:
    assert day(value) == found


@given(st.lists(st.lists(CELLS, min_size=1, max_size=4), max_size=6))
def test_offsets_of_rows_hold(rows: list[list[str]]) -> None:
    draft = Draft()
    for row in rows:
        draft.row(row, rows[0])
    check(draft.document("a.xlsx", b""))


def _docx(paragraphs: list[str], rows: list[tuple[str, str]]) -> bytes:
    def fill(document: Any) -> None:
        for text in paragraphs:
            document.add_paragraph(text)
        if rows:
            build.docx_table(document, rows)

    return build.docx(fill)


def _pptx(paragraphs: list[str], rows: list[tuple[str, str]]) -> bytes:
    def fill(deck: Any) -> None:
        for title, notes in rows:
            build.slide(deck, title, paragraphs, notes)

    return build.pptx(fill)


def _xlsx(paragraphs: list[str], rows: list[tuple[str, str]]) -> bytes:
    return build.xlsx({"Rows": rows, "Texts": [[text] for text in paragraphs]})


def _odt(paragraphs: list[str], rows: list[tuple[str, str]]) -> bytes:
    return build.odt("".join(f"<text:p>{escape(text)}</text:p>" for text in paragraphs))


def _epub(paragraphs: list[str], rows: list[tuple[str, str]]) -> bytes:
    cells = "".join(f"<tr><td>{escape(a)}</td><td>{escape(b)}</td></tr>" for a, b in rows)
    texts = "".join(f"<p>{escape(text)}</p>" for text in paragraphs)
    return build.epub({"a": f"{texts}<table>{cells}</table>"})


@pytest.mark.parametrize("make", [_docx, _pptx, _xlsx, _odt, _epub])
@settings(max_examples=20)
@given(st.lists(CELLS, max_size=5), st.lists(st.tuples(CELLS, CELLS), max_size=4))
def test_offsets_of_every_format_hold(
    make: Callable[[list[str], list[tuple[str, str]]], bytes],
    paragraphs: list[str],
    rows: list[tuple[str, str]],
) -> None:
    for library in ("docx", "openpyxl", "lxml", "selectolax", "pptx"):
        pytest.importorskip(library)
    check(read(f"a.{make.__name__.removeprefix('_')}", make(paragraphs, rows)))
