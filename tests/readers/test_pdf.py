from __future__ import annotations

from typing import Any

import build
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes import FakeEncoder
from qa.errors import UnreadableSource
from qa.readers import read, scanned
from qa.splitter import split

pytest.importorskip("pypdfium2")
pytest.importorskip("reportlab")


LEFT = ["Copper melts at a high", "temperature, and gold does", "not melt below it."]
RIGHT = ["Iron melts at a still higher", "one. Tungsten tops them."]


def blocks(data: bytes) -> list[str]:
    return [text for _, text in build.structure("a.pdf", data, "block")]


def test_a_page() -> None:
    data = build.pdf_pages(["The Danube is long.", "So is the Rhine."], title="Rivers")
    document = read("a.pdf", data)
    assert document.text == "The Danube is long.\nSo is the Rhine."
    assert (document.title, document.date) == ("Rivers", "2000-01-01")
    kinds = [(mark.kind, mark.start, mark.end, mark.level) for mark in document.marks]
    assert kinds == [
        ("block", 0, 36, 0),
        ("page", 0, 36, 1),
        ("line", 0, 19, 0),
        ("line", 20, 36, 0),
    ]


def test_a_line_has_its_box_in_points() -> None:
    document = read("a.pdf", build.pdf_pages(["The Danube is long.", "So is the Rhine."]))
    boxes = [mark.label.split() for mark in document.marks if mark.kind == "line"]
    for box, baseline in zip(boxes, [500, 486], strict=True):
        x0, y0, x1, y1 = map(float, box)
        assert 50 <= x0 < 52 and 120 < x1 < 160
        assert baseline - 4 < y0 <= baseline and baseline + 6 < y1 < baseline + 12


def test_columns_are_read_one_after_the_other() -> None:
    def draw(canvas: Any) -> None:
        build.lines(canvas, LEFT, x=40)
        build.lines(canvas, RIGHT, x=220)

    assert blocks(build.pdf(draw)) == ["\n".join(LEFT), "\n".join(RIGHT)]


def test_paragraphs_are_told_by_gap_and_indentation() -> None:
    def draw(canvas: Any) -> None:
        build.lines(canvas, ["First one, which is quite long,", "ends here."], y=500)
        build.lines(canvas, ["Second one behind a gap, longer", "than a line of it."], y=460)
        build.lines(canvas, ["Third one is indented, and so"], x=70, y=432)
        build.lines(canvas, ["it is one of its own."], y=418)

    assert blocks(build.pdf(draw)) == [
        "First one, which is quite long,\nends here.",
        "Second one behind a gap, longer\nthan a line of it.",
        "Third one is indented, and so\nit is one of its own.",
    ]


def test_large_type_is_a_heading() -> None:
    def draw(canvas: Any) -> None:
        build.lines(canvas, ["Rivers"], y=560, size=20)
        build.lines(canvas, [build.SENTENCE[:60]] * 4, y=500)
        build.lines(canvas, ["The Danube"], y=420, size=14)
        build.lines(canvas, [build.SENTENCE[:60]] * 9, y=390)
        build.lines(canvas, ["City People", "Vienna 2", "Cologne 1"], y=200, size=13)

    document = read("a.pdf", build.pdf(draw))
    headings = [(mark.level, mark.label) for mark in document.marks if mark.kind == "heading"]
    assert headings == [(1, "Rivers"), (2, "The Danube")]
    assert document.title == "Rivers"


@pytest.mark.parametrize(
    ("lines", "plain"),
    [
        (["They signed an agree-", "ment on trade."], "They signed an agreement on trade."),
        (["He is well-known. So well-", "known is she."], "So well-known is she."),
        (["They met Jean-", "Paul there."], "They met Jean- Paul there."),
    ],
    ids=["broken word", "hyphen of its own", "capital letter"],
)
def test_a_broken_word_is_seen_whole(lines: list[str], plain: str) -> None:
    data = build.pdf_pages(lines)
    assert read("a.pdf", data).text == "\n".join(lines)
    assert build.seen("a.pdf", data)[-1][1] == plain


def pages(canvas: Any) -> None:
    """Five pages with running heads, and a sentence that runs from the second to the third."""
    bodies = [
        ["Page one says this."],
        ["The treaty was signed by", "both sides and then rati-"],
        ["fied at once. It holds."],
        ["Page four says that."],
        ["Page five ends it."],
    ]
    for number, body in enumerate(bodies, 1):
        build.lines(canvas, ["Annual report"], y=570, size=9)
        build.lines(canvas, body, y=300)
        build.lines(canvas, [f"- {number} -"], x=190, y=20, size=9)
        canvas.showPage()


def test_running_heads_are_hidden() -> None:
    data = build.pdf(pages)
    assert build.structure("a.pdf", data, "hidden") == [
        ("hidden", text) for number in range(1, 6) for text in ("Annual report", f"- {number} -")
    ]


def test_a_sentence_runs_over_a_page_and_a_passage_only_with_it() -> None:
    document = read("a.pdf", build.pdf(pages))
    found = split(document, 200, FakeEncoder().count)
    sentences = [
        (passage.page, sentence.plain) for passage in found for sentence in passage.sentences
    ]
    assert sentences == [
        (1, "Page one says this."),
        (2, "The treaty was signed by both sides and then ratified at once."),
        (2, "It holds."),
        (4, "Page four says that."),
        (5, "Page five ends it."),
    ]


def test_printed_page_numbers() -> None:
    import io

    import pypdfium2

    def draw(canvas: Any) -> None:
        canvas.addPageLabel(0, style="ROMAN_LOWER", start=4)
        canvas.addPageLabel(1, style="ARABIC", start=1)
        for text in ("Preface here.", "Chapter here."):
            build.lines(canvas, [text])
            canvas.showPage()

    data = build.pdf(draw)
    assert pypdfium2.PdfDocument(io.BytesIO(data)).get_page_label(0) == "iv"
    marks = [mark for mark in read("a.pdf", data).marks if mark.kind == "page"]
    assert [(mark.label, mark.level) for mark in marks] == [("iv", 1), ("1", 2)]


def test_text_is_normalised() -> None:
    from qa.readers.pdf import _decoded, _plain

    assert _plain("o\ufb03ce\u00a0 A\u030a") == "office Å"
    assert _decoded([0xD83D, 0xDE00, 0, 0x41, 0xD800]) == "😀A\ufffd"


@pytest.mark.parametrize(
    ("title", "found"),
    [
        ("The Rhine", "The Rhine"),
        ("Microsoft Word - rhine.doc", "my file"),
        ("rhine_final.docx", "my file"),
        ("untitled", "my file"),
        ("", "my file"),
    ],
)
def test_a_title_says_something(title: str, found: str) -> None:
    assert read("my_file.pdf", build.pdf_pages(["Some text."], title=title)).title == found


def test_a_scanned_page_is_named() -> None:
    def draw(canvas: Any) -> None:
        canvas.drawImage(build.picture(), 50, 50)
        canvas.showPage()
        build.lines(canvas, ["Some text."])
        canvas.showPage()
        canvas.showPage()  # blank

    document = read("a.pdf", build.pdf(draw))
    assert document.text == "Some text."
    assert scanned(document) == ["1"]
    assert split(document, 200, FakeEncoder().count)[0].page == 2


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (lambda: build.pdf_pages(["x"], password="secret"), "encrypted; save it without a pass"),
        (lambda: build.pdf_pages([]), "no text on its 1 pages; it needs OCR"),
        (lambda: build.pdf_pages(["x"])[:200], "PDF that is damaged or cut off"),
        (lambda: b"\x89PNG\r\n\x1a\n", "not a PDF: it looks like a PNG image"),
        (lambda: b"Some text.", "not a PDF: it looks like text"),
        (lambda: b"", "not a PDF: it looks like an empty file"),
    ],
    ids=["encrypted", "blank", "truncated", "picture", "text", "empty"],
)
def test_what_cannot_be_read_is_said(data: Any, reason: str) -> None:
    with pytest.raises(UnreadableSource) as caught:
        read("a.pdf", data())
    assert caught.value.reason.startswith(reason)


WORDS = st.text(st.sampled_from("abc De.,-é "), min_size=1, max_size=40)


@given(st.lists(st.lists(WORDS, max_size=5), min_size=1, max_size=5))
def test_offsets_hold(texts: list[list[str]]) -> None:
    try:
        document = read("a.pdf", build.pdf_pages(*texts))
    except UnreadableSource as error:
        assert "OCR" in error.reason
        return
    for passage in split(document, 200, FakeEncoder().count):
        assert document.text[passage.start : passage.end] == passage.text
        for sentence in passage.sentences:
            assert passage.start <= sentence.start < sentence.end <= passage.end
    for mark in document.marks:
        assert 0 <= mark.start <= mark.end <= len(document.text)
