from __future__ import annotations

from itertools import chain

import pytest
from flask import render_template
from flask.testing import FlaskClient

from fakes import ARTICLE
from qa.app.pages import blocks
from qa.readers import read

QUOTE = "Millions of Ukrainians remain displaced, with long-term social and economic repercussions."
TEXT = ARTICLE.read_bytes().decode()
URI = "russia-us-relations-2025.txt"


def test_the_chat_lists_the_sources(client: FlaskClient) -> None:
    page = client.get("/").get_data(as_text=True)
    assert "1 source</summary>" in page
    assert f'href="/sources/{URI}"' in page


def test_the_chat_says_what_is_missing(empty_client: FlaskClient) -> None:
    page = empty_client.get("/").get_data(as_text=True)
    assert "build it: qa index" in page
    assert "<textarea" in page and "disabled" in page


def test_the_source_marks_the_span(client: FlaskClient) -> None:
    start = TEXT.index(QUOTE)
    page = client.get(f"/sources/{URI}?start={start}&end={start + len(QUOTE)}")
    assert f"<mark>{QUOTE}</mark>" in page.get_data(as_text=True)
    assert page.get_data(as_text=True).count("<mark>") == 1


def test_the_title_is_shown_once(client: FlaskClient) -> None:
    page = client.get(f"/sources/{URI}").get_data(as_text=True)
    shown = page.split("<main>")[1]
    assert shown.count(">Russia-United States Relations: Current Dynamics in 2025<") == 1


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("start=5", 422),
        ("start=a&end=b", 422),
        ("start=9&end=5", 422),
        ("start=0&end=99999999", 422),
        ("start=-1&end=3", 422),
    ],
)
def test_a_bad_span_is_refused(client: FlaskClient, query: str, status: int) -> None:
    reply = client.get(f"/sources/{URI}?{query}", headers={"Accept": "text/html"})
    assert reply.status_code == status
    assert "start" in reply.get_data(as_text=True)


def test_an_unknown_source_is_a_page(client: FlaskClient) -> None:
    reply = client.get("/sources/no.txt", headers={"Accept": "text/html"})
    assert reply.status_code == 404
    assert "no.txt is not among the sources" in reply.get_data(as_text=True)


def test_every_page_carries_the_headers(client: FlaskClient) -> None:
    headers = client.get("/").headers
    assert "default-src 'self'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_blocks_hold_the_whole_text_of_a_source() -> None:
    text = "---\ntitle: T\n---\n# T\n\n- A **bold** claim.[^1]\n\n| a | b |\n|---|---|\n| 1 | 2 |\n"
    text += "\n[^1]: Note.\n"
    document = read("a.md", text.encode())
    start = text.index("bold")
    pieces = list(
        chain.from_iterable(block.pieces for block in blocks(document, (start, start + 4)))
    )
    shown = "".join(piece.text for piece in pieces)
    assert "".join(shown.split()) == "".join(text.split())
    assert [piece.text for piece in pieces if piece.marked] == ["bold"]
    assert [piece.label for piece in pieces if piece.kind == "footnote"] == ["Note."]


def test_source_text_is_escaped(client: FlaskClient) -> None:
    document = read("x.txt", b"<script>alert(1)</script> is text & stays text.")
    app = client.application
    with app.test_request_context("/"):
        page = render_template(
            "source.html", document=document, blocks=list(blocks(document, None)), span=None
        )
    assert "&lt;script&gt;alert(1)&lt;/script&gt; is text &amp; stays text." in page


def test_what_lies_between_blocks_is_shown(client: FlaskClient) -> None:
    """The header of a table and the info of a code block were once left out of the page."""
    document = read(
        "a.md", b"| Country | Budget |\n|---|---|\n| Chad | 5 |\n\n```python\nx = 1\n```\n"
    )
    with client.application.test_request_context("/"):
        page = render_template(
            "source.html", document=document, blocks=list(blocks(document, None)), span=None
        )
    for part in ("Country", "Budget", "Chad", "python", "x = 1"):
        assert part in page


def test_a_browser_gets_a_page_for_every_error(empty_client: FlaskClient) -> None:
    reply = empty_client.get(f"/sources/{URI}", headers={"Accept": "text/html"})
    assert (reply.status_code, reply.mimetype) == (503, "text/html")
    page = reply.get_data(as_text=True)
    assert "There is no index yet; build it: qa index" in page
    assert "Back to the questions" in page
