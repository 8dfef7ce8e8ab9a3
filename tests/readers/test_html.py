from __future__ import annotations

import codecs

import build
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes import FakeEncoder
from qa.errors import UnreadableSource
from qa.readers import read
from qa.splitter import split

pytest.importorskip("selectolax")
pytest.importorskip("trafilatura")


PUBLISHED = '{"@type": "Article", "datePublished": "2024-05-06T10:00:00Z"}'
LONG = " ".join([build.SENTENCE] * 6)


def table(head: str) -> str:
    rows = [
        "".join(f"<{cell}>{text}</{cell}>" for text in row)
        for cell, row in zip([head, "td", "td"], build.TABLE, strict=True)
    ]
    return "<table>" + "".join(f"<tr>{row}</tr>" for row in rows) + "</table>"


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("<p>One <b>two</b>.</p><p>Three</p>", [("block", "One two."), ("block", "Three")]),
        ("One<div>two</div>three", [("block", "One"), ("block", "two"), ("block", "three")]),
        ("<p>One<br>two</p>", [("block", "One\ntwo")]),
        ("<p>Fish &amp; chips &#169;</p>", [("block", "Fish & chips ©")]),
        ("<h2>A <i>b</i></h2><p>One</p>", [("heading", "A b"), ("block", "One")]),
        ("<ul><li>One<li>Two</ul>", [("block", "One"), ("block", "Two")]),
        ("<p>a  <i> b</i>\n c </p>", [("block", "a b c")]),
        ("<pre>def f():\n    pass</pre>", [("block", "def f():\n    pass")]),
        ("<script>x()</script><style>b{}</style><p>One</p>", [("block", "One")]),
        ("<nav>Home</nav><p>One</p><footer>End</footer>", [("block", "One")]),
        ("<p hidden>No</p><p aria-hidden=true>No</p><p>One</p>", [("block", "One")]),
        ("<p>No</p><main><p>One</p></main><p>No</p>", [("block", "One")]),
        ("<table><tr><td><h2>A</h2>b</td></tr></table>", [("heading", "A"), ("block", "b")]),
        (
            "<form><nav><script>x</script><aside><nav>y</nav></aside></nav><p>One</p></form>" * 9,
            [("block", "One")] * 9,
        ),
        ("<!-- no --><p>One</p>", [("block", "One")]),
        ("<p>One", [("block", "One")]),
        ("", []),
    ],
    ids=[
        "paragraphs",
        "text between elements",
        "line break",
        "entities",
        "heading",
        "list left open",
        "white space",
        "preformatted",
        "programs",
        "navigation",
        "hidden",
        "main content",
        "a table as a layout",
        "navigation in navigation in a form",
        "comment",
        "left open",
        "empty",
    ],
)
def test_structure(body: str, found: list[tuple[str, str]]) -> None:
    assert build.structure("a.html", build.html(body)) == found


def test_a_row_is_seen_with_the_names_of_its_columns() -> None:
    data = build.html(f"<main>{table('th')}</main>")
    text = "City | Population | River\nVienna | 2,005,760 | Danube\nCologne | 1,087,353 | Rhine"
    assert read("a.html", data).text == text
    assert build.seen("a.html", data) == [
        ("Vienna | 2,005,760 | Danube", "City: Vienna; Population: 2,005,760; River: Danube"),
        ("Cologne | 1,087,353 | Rhine", "City: Cologne; Population: 1,087,353; River: Rhine"),
    ]


def test_a_table_without_header_is_seen_as_it_stands() -> None:
    data = build.html(f"<main>{table('td')}</main>")
    assert build.seen("a.html", data)[1] == ("Vienna | 2,005,760 | Danube",) * 2


def test_what_surrounds_the_content_is_left_out() -> None:
    menu = "".join(f"<a href=/{number}>Section {number}</a> " for number in range(20))
    body = f"<div class=menu>{menu}</div><div><h1>Rivers</h1><p>{LONG}</p><h2>More</h2><p>{LONG}"
    body += "</p></div><div class=footer>Copyright, all rights reserved</div>"
    assert build.structure("a.html", build.html(body)) == [
        ("heading", "Rivers"),
        ("block", LONG),
        ("heading", "More"),
        ("block", LONG),
    ]


@pytest.mark.parametrize(
    ("head", "body", "title"),
    [
        ('<meta property="og:title" content="A"><title>B</title>', "<h1>C</h1>", "A"),
        ("<title>B - Site</title>", "<h1>C</h1>", "C"),
        ("<title>B</title>", "<h1>C</h1><h1>D</h1>", "B"),
        ("", "<h2>C</h2>", "C"),
        ("", "<p>x</p>", "my page"),
    ],
)
def test_title(head: str, body: str, title: str) -> None:
    assert read("my-page.html", build.html(body + "<p>x</p>", head)).title == title


@pytest.mark.parametrize(
    ("head", "date"),
    [
        ('<meta property="article:published_time" content="2024-05-06T01:00Z">', "2024-05-06"),
        ('<meta name="date" content="2024-05-06">', "2024-05-06"),
        (f"<script type='application/ld+json'>{PUBLISHED}</script>", "2024-05-06"),
        ('<meta name="date" content="last week">', None),
        ("", None),
    ],
)
def test_date(head: str, date: str | None) -> None:
    assert read("a.html", build.html("<p>x</p>", head)).date == date


@pytest.mark.parametrize(
    "data",
    [
        "<p>Zürich</p>".encode(),
        codecs.BOM_UTF8 + "<p>Zürich</p>".encode(),
        "<p>Zürich</p>".encode("utf-16"),
        '<meta charset="iso-8859-1"><p>Zürich</p>'.encode("cp1252"),
        '<meta charset="utf-8"><p>Zürich</p>'.encode("cp1252"),
        '<meta charset="no-such"><p>Zürich</p>'.encode(),
    ],
    ids=["UTF-8", "marked", "UTF-16", "Latin-1", "wrong", "unknown"],
)
def test_encodings(data: bytes) -> None:
    assert read("a.html", data).text == "Zürich"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"%PDF-1.4", "not HTML: it looks like a PDF"),
        (b"<p>" + b"\0" * 100, "not HTML: binary"),
        (b"<p>" + b"<div>" * 5000 + b"x", "elements nested more than 2,000 deep"),
    ],
    ids=["PDF", "binary", "nested"],
)
def test_what_cannot_be_read_is_said(data: bytes, reason: str) -> None:
    with pytest.raises(UnreadableSource) as caught:
        read("a.html", data)
    assert caught.value.reason == reason


@given(st.text(st.sampled_from("ab. <>/&;pliéh1=\"'\n\t😀\u00a0\u0301")))
def test_offsets_hold(body: str) -> None:
    document = read("a.html", build.html(f"<main>{body}</main>"))
    for passage in split(document, 200, FakeEncoder().count):
        assert document.text[passage.start : passage.end] == passage.text
    for mark in document.marks:
        assert 0 <= mark.start <= mark.end <= len(document.text)
        if mark.kind == "heading":
            assert document.text[mark.start : mark.end] == mark.label
