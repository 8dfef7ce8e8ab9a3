"""Every format, from the file to the citation."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

import build
import pytest

from fakes import FakeEncoder
from qa.assistant import Assistant
from qa.config import Settings
from qa.ingest import build as build_index
from qa.readers import READERS, source
from qa.scorer import SimilarityScorer
from qa.stores.local import LocalStore
from qa.types import Answer

VIENNA = "What is the population of Vienna?"
DANUBE = "How much water does the Danube carry into the Black Sea?"
ROW = "City: Vienna; Population: 2,005,760; River: Danube"
CSV = "\n".join(",".join(f'"{cell}"' for cell in row) for row in build.TABLE)
OTHER = "Copper melts at 1,085 degrees."


def pdf() -> bytes:
    return build.pdf_pages([OTHER], [build.SENTENCE[:50].strip(), build.SENTENCE[50:].strip()])


def docx() -> bytes:
    return build.docx(lambda document: build.docx_table(document, build.TABLE))


def pptx() -> bytes:
    def fill(deck: Any) -> None:
        build.slide(deck, "Metals", [OTHER])
        build.slide(deck, "Rivers", [build.SENTENCE])

    return build.pptx(fill)


#: Name, bytes, question; what is quoted, what of it is seen, and on which page.
FORMATS: list[tuple[str, Callable[[], bytes], str, str, str, int | None]] = [
    ("a.pdf", pdf, DANUBE, f"{build.SENTENCE[:50].strip()}\n{build.SENTENCE[50:].strip()}", "", 2),
    ("a.html", lambda: build.html(f"<p>{build.SENTENCE}</p>"), DANUBE, build.SENTENCE, "", None),
    ("a.docx", docx, VIENNA, "Vienna | 2,005,760 | Danube", ROW, None),
    ("a.pptx", pptx, DANUBE, build.SENTENCE, "", 2),
    ("a.xlsx", lambda: build.xlsx({"S": build.TABLE}), VIENNA, ROW, "", None),
    ("a.csv", CSV.encode, VIENNA, '"Vienna","2,005,760","Danube"', ROW, None),
    ("a.tsv", lambda: b"City\tPopulation\nVienna\t2\n", VIENNA, "Vienna\t2", "", None),
    (
        "a.epub",
        lambda: build.epub({"a": f"<p>{OTHER}</p>", "b": f"<p>{build.SENTENCE}</p>"}),
        DANUBE,
        build.SENTENCE,
        "",
        None,
    ),
    (
        "a.odt",
        lambda: build.odt(f"<text:p>{OTHER}</text:p><text:p>{build.SENTENCE}</text:p>"),
        DANUBE,
        build.SENTENCE,
        "",
        None,
    ),
    ("a.rtf", lambda: build.rtf(OTHER, build.SENTENCE), DANUBE, build.SENTENCE, "", None),
    ("a.json", f'{{\n "x": "{build.SENTENCE}"\n}}'.encode, DANUBE, "", "", None),
    ("a.jsonl", f'{{"x": "{build.SENTENCE}"}}\n{{}}\n'.encode, DANUBE, "", "", None),
    ("a.py", f"# {build.SENTENCE}\n\nx = 1\n".encode, DANUBE, f"# {build.SENTENCE}", "", None),
    ("a.md", f"# A\n\n{build.SENTENCE}\n".encode, DANUBE, build.SENTENCE, "", None),
    ("a.txt", f"{OTHER} {build.SENTENCE}".encode, DANUBE, build.SENTENCE, "", None),
]

LIBRARIES = {
    ".pdf": ("pypdfium2", "reportlab"),
    ".html": ("selectolax", "trafilatura"),
    ".docx": ("docx",),
    ".pptx": ("pptx",),
    ".xlsx": ("openpyxl",),
    ".epub": ("selectolax", "lxml"),
    ".odt": ("lxml",),
    ".rtf": ("striprtf",),
}


def ask(settings: Settings, encoder: FakeEncoder, question: str) -> tuple[Answer, LocalStore]:
    build_index(settings, encoder)
    store = LocalStore.open(settings.index)
    scorer = SimilarityScorer(encoder)
    return Assistant(store, encoder, scorer, replace(settings, threshold=0.0)).ask(question), store


@pytest.mark.parametrize(
    ("uri", "make", "question", "quote", "plain", "page"), FORMATS, ids=[f[0] for f in FORMATS]
)
def test_a_question_is_answered_from_every_format(
    settings: Settings,
    fake: FakeEncoder,
    uri: str,
    make: Callable[[], bytes],
    question: str,
    quote: str,
    plain: str,
    page: int | None,
) -> None:
    for library in LIBRARIES.get(PurePosixPath(uri).suffix, ()):
        pytest.importorskip(library)
    data = make()
    (settings.corpus / uri).write_bytes(data)
    (settings.corpus / "other.txt").write_text("Gold melts at 1,064 degrees.\n")
    reply, store = ask(settings, fake, question)
    citation, sentence = reply.citations[0], reply.answer[0]
    assert (citation.uri, citation.page) == (uri, page)
    if quote:
        assert citation.quote == quote
    else:
        assert build.SENTENCE in citation.quote
    if plain:
        assert sentence.plain == plain
    document = store.document(uri)
    assert document.text[citation.start : citation.end] == citation.quote == sentence.text
    for found in reply.passages:
        text = store.document(found.uri).text
        assert text[found.start : found.end] == found.text
    if quote.startswith(("Vienna", '"Vienna', "City")):
        rows = [(mark.start, mark.end) for mark in document.marks if mark.kind == "row"]
        assert (citation.start, citation.end) in rows
    store.close()


def test_every_reader_is_asked_a_question() -> None:
    asked = {PurePosixPath(entry[0]).suffix for entry in FORMATS}
    same = {".markdown", ".htm", ".xhtml", ".ndjson", *source.SUFFIXES}
    assert set(READERS) - same == asked - same


def test_a_scanned_page_is_reported_and_the_rest_indexed(
    settings: Settings, fake: FakeEncoder
) -> None:
    pytest.importorskip("reportlab")

    def draw(canvas: Any) -> None:
        for number in itertools.count(1):
            if number == 2:
                canvas.drawImage(build.picture(), 50, 50)
            else:
                build.lines(canvas, [build.SENTENCE[:60]])
            canvas.showPage()
            if number == 3:
                return

    (settings.corpus / "scan.pdf").write_bytes(build.pdf(draw))
    report = build_index(settings, fake)
    assert report.sources["added"] == 1
    assert [(entry.uri, entry.reason) for entry in report.skipped] == [
        ("scan.pdf", "in part: no text on page 2; it needs OCR")
    ]
    assert not build_index(settings, fake).changed
