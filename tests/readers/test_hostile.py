"""Files that were made to do harm, or that are simply broken."""

from __future__ import annotations

import io
import itertools
import os
import random
import struct
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import build
import pytest

from fakes import FakeEncoder
from patience import PATIENCE
from qa.config import Settings
from qa.errors import SourceError
from qa.ingest import build as build_index
from qa.readers import READERS
from qa.readers.worker import Worker
from qa.splitter import split

for library in ("docx", "pptx", "openpyxl", "lxml", "selectolax", "striprtf", "reportlab"):
    pytest.importorskip(library)
pytest.importorskip("trafilatura")
pytest.importorskip("pypdfium2")


SECONDS = 15
MEMORY_MB = 1024
W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
LAUGHS = (
    '<!DOCTYPE x [<!ENTITY a "ha">'
    + "".join(f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in itertools.pairwise("abcdefghi"))
    + "]>"
)
XXE = '<!DOCTYPE x [<!ENTITY i SYSTEM "file:///etc/passwd">]>'


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with Worker(Settings(reader_seconds=SECONDS, reader_memory_mb=MEMORY_MB)) as found:
        yield found


def replaced(data: bytes, changes: dict[str, str | bytes]) -> bytes:
    """Return an archive with some members replaced or added."""
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        members: dict[str, str | bytes] = {name: file.read(name) for name in file.namelist()}
    return build.archive({**members, **changes})


def docx(changes: dict[str, str | bytes] | None = None) -> bytes:
    data = build.docx(lambda document: document.add_paragraph("Some text."))
    return replaced(data, changes or {})


def pptx(changes: dict[str, str | bytes] | None = None) -> bytes:
    return replaced(build.pptx(lambda deck: build.slide(deck, "A", ["Some."])), changes or {})


def xlsx(changes: dict[str, str | bytes] | None = None) -> bytes:
    return replaced(build.xlsx({"S": build.TABLE}), changes or {})


def body(content: str) -> dict[str, str | bytes]:
    return {"word/document.xml": f"<w:document {W}><w:body>{content}</w:body></w:document>"}


def paragraph(text: str) -> str:
    return f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>"


def nested_tables(depth: int) -> str:
    opening = '<w:tbl><w:tblPr/><w:tblGrid><w:gridCol w:w="1"/></w:tblGrid><w:tr><w:tc>'
    return opening * depth + paragraph("x") + "</w:tc></w:tr></w:tbl><w:p/>" * depth


def many_members() -> bytes:
    return build.archive({f"word/{number}.xml": "<a/>" for number in range(10_001)})


def encrypted() -> bytes:
    """Return an archive whose members say that they are encrypted."""
    data = bytearray(docx())
    for signature, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.find(signature)
        while at >= 0:
            data[at + place] |= 1
            at = data.find(signature, at + 4)
    return bytes(data)


def liar() -> bytes:
    """Return an archive whose member says that it is smaller than it is."""
    data = bytearray(docx({"word/document.xml": "<a>" + " " * 1_000_000 + "</a>"}))
    at = data.rfind(b"word/document.xml") - 46
    assert data[at : at + 4] == b"PK\x01\x02"
    data[at + 24 : at + 28] = struct.pack("<I", 100)
    return bytes(data)


def sheet(rows: str) -> dict[str, str | bytes]:
    names = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    return {
        "xl/worksheets/sheet1.xml": f"<worksheet {names}><sheetData>{rows}</sheetData></worksheet>"
    }


def pdf(objects: list[str]) -> bytes:
    """Return a PDF without a table of its objects, which PDFium then makes itself."""
    numbered = (f"{number} 0 obj\n{text}\nendobj\n" for number, text in enumerate(objects, 1))
    return ("%PDF-1.4\n" + "".join(numbered) + "trailer<</Root 1 0 R>>\n%%EOF").encode()


def groups(depth: int) -> dict[str, str | bytes]:
    with zipfile.ZipFile(io.BytesIO(pptx())) as file:
        slide = file.read("ppt/slides/slide1.xml").decode()
    group = "<p:grpSp><p:nvGrpSpPr><p:cNvPr id='9' name='g'/><p:cNvGrpSpPr/><p:nvPr/>"
    group += "</p:nvGrpSpPr><p:grpSpPr/>"
    nested = group * depth + "</p:grpSp>" * depth
    return {"ppt/slides/slide1.xml": slide.replace("</p:spTree>", nested + "</p:spTree>")}


INDEXED = ""

#: What a file is, its name, its bytes, and a part of the reason for which it is skipped.
HOSTILE: list[tuple[str, str, Callable[[], bytes], str]] = [
    # archives
    ("bomb", "a.docx", lambda: docx({"word/x.xml": b" " * 300_000_000}), "out of proportion"),
    ("bomb in a picture", "a.pptx", lambda: pptx({"p.png": b"\0" * 99_999_999}), "proportion"),
    ("bomb in a sheet", "a.xlsx", lambda: xlsx({"a.xml": b" " * 99_999_999}), "out of prop"),
    ("bomb in a book", "a.epub", lambda: build.epub({"a": " " * 99_999_999}), "out of prop"),
    ("many members", "a.docx", many_members, "an archive of 10,001 members"),
    ("a member that lies", "a.docx", liar, "damaged"),
    ("encrypted members", "a.docx", encrypted, "encrypted; save it without a password"),
    ("encrypted Office", "a.docx", lambda: b"\xd0\xcf\x11\xe0" + b"\0" * 99, "an encrypted DOCX"),
    ("truncated DOCX", "a.docx", lambda: docx()[:-999], "damaged or cut off"),
    ("truncated PPTX", "a.pptx", lambda: pptx()[:5000], "damaged or cut off"),
    ("truncated XLSX", "a.xlsx", lambda: xlsx()[:-50], "damaged or cut off"),
    ("truncated EPUB", "a.epub", lambda: build.epub({"a": "x"})[:-30], "damaged or cut off"),
    ("truncated ODT", "a.odt", lambda: build.odt("")[:100], "damaged or cut off"),
    ("bytes changed", "a.docx", lambda: docx().replace(b"PK\x03\x04", b"PK\x03\x05"), "damaged"),
    # XML
    (
        "entities in DOCX",
        "a.docx",
        lambda: docx({"word/document.xml": LAUGHS + "<x>&i;</x>"}),
        "do",
    ),
    ("entities in PPTX", "a.pptx", lambda: pptx({"ppt/presentation.xml": LAUGHS + "<x/>"}), "doc"),
    ("entities in XLSX", "a.xlsx", lambda: xlsx({"xl/workbook.xml": LAUGHS + "<x/>"}), "document"),
    ("entities in ODT", "a.odt", lambda: replaced(build.odt(""), {"content.xml": LAUGHS}), "docu"),
    ("file in ODT", "a.odt", lambda: replaced(build.odt(""), {"meta.xml": XXE + "<x/>"}), "docume"),
    ("file in EPUB", "a.epub", lambda: build.epub({"a": "b"}, more={"x.opf": XXE}), "document ty"),
    ("file in a chapter", "a.epub", lambda: build.epub({"a": XXE + "<p>&i;</p>"}), INDEXED),
    (
        "entities in UTF-16",
        "a.docx",
        lambda: docx({"word/document.xml": (LAUGHS + "<x/>").encode("utf-16")}),
        "document type",
    ),
    ("not well-formed", "a.odt", lambda: replaced(build.odt(""), {"content.xml": "<a>"}), "well-f"),
    ("deep XML", "a.odt", lambda: build.odt("<text:p>" * 9999 + "</text:p>" * 9999), "well-form"),
    ("deep XML in DOCX", "a.docx", lambda: docx(body("<w:p>" * 9999 + "</w:p>" * 9999)), "damaged"),
    ("tables in tables", "a.docx", lambda: docx(body(nested_tables(30))), "nested more than 20"),
    ("groups in groups", "a.pptx", lambda: pptx(groups(60)), "nested more than 50 deep"),
    (
        "blanks without end",
        "a.odt",
        lambda: build.odt('<text:p>a<text:s text:c="9999999999"/>b</text:p>'),
        INDEXED,
    ),
    # spreadsheets
    (
        "the last cell",
        "a.xlsx",
        lambda: xlsx(sheet('<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>')),
        INDEXED,
    ),
    ("a bad cell", "a.xlsx", lambda: xlsx(sheet('<row r="x"><c r="?"><v>1</v></c></row>')), "a"),
    ("many columns", "a.csv", lambda: b"a,b\n" + b"1," * 100_000, INDEXED),
    ("a quote left open", "a.csv", lambda: b'a,b\n"' + b"x,y\n" * 50_000, INDEXED),
    ("only quotes", "a.csv", lambda: b'"' * 2_000_001, INDEXED),
    ("quotes and line ends", "a.csv", lambda: b'"a""\n' * 50_000, INDEXED),
    # HTML
    (
        "deep HTML",
        "a.html",
        lambda: b"<div>" * 100_000 + b"x",
        "more than 10,000 elements left open",
    ),
    ("deeper than any page", "a.html", lambda: b"<div>" * 5000 + b"x", "more than 2,000 deep"),
    ("deep formatting", "a.html", lambda: b"<b>" * 100_000 + b"x", "left open"),
    ("tables left open", "a.html", lambda: b"<table><tr><td>" * 3000 + b"x", "deep"),
    ("a long attribute", "a.html", lambda: b"<p class='" + b"x" * 5_000_000 + b"'>Text.", INDEXED),
    ("a tag left open", "a.html", lambda: b"<p " * 500_000, "empty"),
    ("only brackets", "a.html", lambda: b"<" * 1_000_000, INDEXED),
    ("many elements", "a.html", lambda: b"<p>One.</p>" * 150_000, INDEXED),
    ("UTF-16 cut off", "a.html", lambda: b"\xff\xfe<\0p", "not UTF-16"),
    ("many entities", "a.html", lambda: b"<p>" + b"&amp;" * 200_000, INDEXED),
    # PDF
    ("encrypted PDF", "a.pdf", lambda: build.pdf_pages(["x"], password="secret"), "encrypted"),
    ("truncated PDF", "a.pdf", lambda: build.pdf_pages(["x"])[:300], "damaged or cut off"),
    ("only a header", "a.pdf", lambda: b"%PDF-1.7\n", "damaged or cut off"),
    (
        "pages without end",
        "a.pdf",
        lambda: pdf(["<</Type/Catalog/Pages 2 0 R>>", "<</Type/Pages/Count 9/Kids[2 0 R]>>"]),
        "",
    ),
    (
        "a billion pages",
        "a.pdf",
        lambda: pdf(["<</Type/Catalog/Pages 2 0 R>>", "<</Type/Pages/Count 999999999/Kids[]>>"]),
        "",
    ),
    # other text
    ("a long line", "a.txt", lambda: b"word " * 1_000_000, INDEXED),
    ("a long word", "a.txt", lambda: b"x" * 5_000_000, INDEXED),
    ("only NUL", "a.txt", lambda: b"\0" * 1_000_000, "mostly NUL"),
    ("deep JSON", "a.json", lambda: b"[" * 1_000_000, INDEXED),
    ("deep quotes", "a.md", lambda: b"> " * 50_000 + b"x", INDEXED),
    ("deep emphasis", "a.md", lambda: b"*a " * 20_000, INDEXED),
    ("aliases", "a.md", lambda: b"---\na: &a [1,1]\nb: [*a,*a]\n---\nx", "front matter"),
    ("deep groups", "a.rtf", lambda: b"{\\rtf1 " + b"{" * 100_000 + b"x", INDEXED),
    ("a bad number", "a.rtf", lambda: b"{\\rtf1 \\u99999999999999999999?x}", ""),
    # mislabelled
    ("a picture", "a.pdf", build.png, "it looks like a PNG image"),
    ("a picture as text", "a.txt", build.png, "a PNG image, not text"),
    ("a picture as HTML", "a.html", build.png, "it looks like a PNG image"),
    ("PDF as DOCX", "a.docx", lambda: build.pdf_pages(["x"]), "it looks like a PDF"),
    ("text as DOCX", "a.docx", lambda: b"Some text.", "it looks like text"),
    ("DOCX as XLSX", "a.xlsx", docx, "not XLSX: it has no xl/workbook.xml"),
    ("XLSX as EPUB", "a.epub", xlsx, "not EPUB: it has no META-INF/container.xml"),
    ("ZIP as PDF", "a.pdf", docx, "it looks like a ZIP archive"),
    ("HTML as RTF", "a.rtf", lambda: build.html("x"), "it looks like HTML"),
    ("program as PPTX", "a.pptx", lambda: b"\x7fELF" + b"\0" * 99, "it looks like a program"),
    # books
    ("no chapter", "a.epub", lambda: build.epub({}, spine=["a"]), "empty"),
    (
        "a chapter outside",
        "a.epub",
        lambda: build.epub({"../../../../../etc/passwd": "x"}),
        "it has no ../../../../etc/passwd.xhtml",
    ),
]


def outcome(worker: Worker, uri: str, data: bytes) -> str:
    """Return why a file is skipped, "" if it is indexed; check its document if it is."""
    try:
        document = worker.read(uri, data)
    except SourceError as error:
        assert error.reason and error.reason.isprintable() and len(error.reason) < 400
        return error.reason
    passages = split(document, 254, FakeEncoder().count)
    for passage in passages:
        assert document.text[passage.start : passage.end] == passage.text
    return "" if passages else "empty"


def test_there_are_enough() -> None:
    assert len(HOSTILE) > 60


@pytest.mark.parametrize(
    ("uri", "make", "reason"),
    [pytest.param(*entry[1:], id=entry[0]) for entry in HOSTILE],
)
def test_a_hostile_file_ends_well(
    worker: Worker, uri: str, make: Callable[[], bytes], reason: str
) -> None:
    data = make()
    began = time.monotonic()
    said = outcome(worker, uri, data)
    assert time.monotonic() - began < SECONDS + PATIENCE
    if reason:
        assert reason in said
    assert worker.read("after.txt", b"One.").text == "One."


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_process_that_reads_stays_within_its_memory(worker: Worker) -> None:
    worker.read("a.txt", b"One.")
    assert worker._child
    status = Path(f"/proc/{worker._child.process.pid}/status").read_text()
    (peak,) = (int(line.split()[1]) for line in status.splitlines() if line.startswith("VmPeak"))
    assert peak <= MEMORY_MB * 1024


@pytest.mark.parametrize("suffix", [".pdf", ".html", ".docx", ".epub", ".pptx", ".xlsx", ".csv"])
def test_noise(worker: Worker, suffix: str) -> None:
    noise = random.Random(7)
    for length in (100, 10_000):
        assert outcome(worker, f"a{suffix}", noise.randbytes(length))


@pytest.mark.parametrize(
    ("suffix", "data"),
    [
        (".pdf", build.pdf_pages(["The Danube is long.", "So is the Rhine."])),
        (".docx", docx()),
        (".xlsx", xlsx()),
        (".epub", build.epub({"a": "<p>Some text.</p>"})),
        (".rtf", build.rtf("Some text.")),
        (".html", build.html("<p>Some <b>text</b>.</p>")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_damage_anywhere(worker: Worker, suffix: str, data: bytes) -> None:
    dice = random.Random(7)
    for _ in range(15):
        damaged = bytearray(data)
        for _ in range(dice.randint(1, 20)):
            damaged[dice.randrange(len(damaged))] = dice.randrange(256)
        outcome(worker, f"a{suffix}", bytes(damaged[: dice.randrange(len(damaged))]))
        outcome(worker, f"a{suffix}", bytes(damaged))


@pytest.mark.parametrize("suffix", READERS)
def test_an_empty_file(worker: Worker, suffix: str) -> None:
    assert "empty" in outcome(worker, f"a{suffix}", b"")


# the corpus


def test_names_and_links(settings: Settings, fake: FakeEncoder, tmp_path: Path) -> None:
    names = ["new\nline.txt", "q\"uo'te.txt", "\u202eright.txt", "sp ace.csv", "émoji😀.md"]
    for name in names:
        (settings.corpus / name).write_text("Some text, such as this.")
    secret = tmp_path / "secret.txt"
    secret.write_text("Secret text.")
    (settings.corpus / "link.txt").symlink_to(secret)
    (settings.corpus / "folder").symlink_to(tmp_path)
    Path(os.fsdecode(os.fsencode(settings.corpus) + b"/bad\xff.txt")).write_text("Some text.")
    report = build_index(settings, fake)
    skipped = {entry.uri: entry.reason for entry in report.skipped}
    assert report.sources["added"] == len(names)
    assert skipped["link.txt"] == "a link that leads out of the corpus"
    assert skipped["bad\\udcff.txt"] == "its name is not UTF-8; rename it"
    assert "Secret" not in str(report)


def test_a_corpus_of_hostile_files_is_built(settings: Settings, fake: FakeEncoder) -> None:
    files: dict[str, Any] = {
        "good.txt": b"The Danube is long.",
        "bomb.docx": docx({"word/x.xml": b" " * 300_000_000}),
        "deep.html": b"<div>" * 100_000,
        "picture.pdf": build.png(),
    }
    for name, data in files.items():
        (settings.corpus / name).write_bytes(data)
    report = build_index(settings, fake)
    assert [entry.uri for entry in report.skipped] == ["bomb.docx", "deep.html", "picture.pdf"]
    assert report.sources["added"] == 1
