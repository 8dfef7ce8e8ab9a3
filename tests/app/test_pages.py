from __future__ import annotations

import re
from itertools import chain

import pytest
from flask import render_template
from flask.testing import FlaskClient

from fakes import ARTICLE
from qa.app.blocks import Piece, blocks, outline
from qa.readers import read
from qa.types import Document
from readers.build import xlsx

QUOTE = "Millions of Ukrainians remain displaced, with long-term social and economic repercussions."
TEXT = ARTICLE.read_bytes().decode()
URI = "russia-us-relations-2025.txt"


def shown(document: Document) -> str:
    """Return the page of a document without its head."""
    return render_template(
        "source.html",
        document=document,
        blocks=list(blocks(document)),
        outline=outline(document),
    )


def test_the_chat_says_what_it_answers_from(client: FlaskClient) -> None:
    page = client.get("/").get_data(as_text=True)
    assert "1 source, 6 passages, read on " in page
    assert 'Sources <span class="count" id="count">1</span>' in page


def test_the_sources_are_listed(client: FlaskClient) -> None:
    page = client.get("/sources").get_data(as_text=True)
    assert f'href="/sources/{URI}"' in page
    size = len(ARTICLE.read_bytes()) / 1000
    assert f"TXT · undated · 6 passages · {size:.0f} kB" in page


def test_the_chat_says_what_is_missing(empty_client: FlaskClient) -> None:
    page = empty_client.get("/").get_data(as_text=True)
    assert "build it: qa index" in page
    assert "<textarea" in page and "disabled" in page


def test_the_source_marks_the_span(client: FlaskClient) -> None:
    start = TEXT.index(QUOTE)
    page = client.get(f"/sources/{URI}?start={start}&end={start + len(QUOTE)}")
    assert f'<mark id="quote">{QUOTE}</mark>' in page.get_data(as_text=True)
    assert page.get_data(as_text=True).count("<mark") == 1


def test_a_quote_that_moved_is_marked_alone(client: FlaskClient) -> None:
    """What else was quoted may have moved by another number of characters."""
    query = {"start": 3, "end": 9, "quote": QUOTE, "near": ["10-20", "9" * 5000 + "-7"]}
    page = client.get(f"/sources/{URI}", query_string=query).get_data(as_text=True)
    assert f'<mark id="quote">{QUOTE}</mark>' in page
    assert page.count("<mark") == 1
    del query["quote"]
    assert client.get(f"/sources/{URI}", query_string=query).status_code == 200


def test_the_answer_without_a_script(client: FlaskClient) -> None:
    question = "How large were targeted sanctions by mid-2024?"
    before = counted(client)
    reply = client.get("/ask", query_string={"q": question})
    page = reply.get_data(as_text=True)
    assert reply.status_code == 200
    assert re.search(
        r'href="/sources/\S+start=\d+&amp;end=\d+&amp;quote=\S+sha256=\w+#quote"', page
    )
    assert counted(client) == before + 1
    for wrong in ("x" * 2001, "oil after:banana"):
        assert client.get("/ask", query_string={"q": wrong}).status_code == 422


def counted(client: FlaskClient) -> float:
    """Return how many questions were replied to, as the metrics say."""
    lines = client.get("/metrics").get_data(as_text=True).splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("qa_answers_total{"))


def test_the_title_is_shown_once(client: FlaskClient) -> None:
    page = client.get(f"/sources/{URI}").get_data(as_text=True)
    _, _, content = page.partition("<main")
    assert content.count(">Russia-United States Relations: Current Dynamics in 2025<") == 1


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
    text = "---\ntitle: T\n---\n# T\n\n- A **bold** claim.[^1]\n\n```python\nx = 1\n```\n"
    text += "\n[^1]: Note.\n"
    document = read("a.md", text.encode())
    start = text.index("bold")
    pieces = list(
        chain.from_iterable(block.pieces for block in blocks(document, (start, start + 4)))
    )
    whole = "".join(piece.text for piece in pieces)
    assert "".join(whole.split()) == "".join(text.split())
    assert [piece.text for piece in pieces if piece.state == "cited"] == ["bold"]
    assert [piece.label for piece in pieces if piece.kind == "footnote"] == ["Note."]


def test_other_quotes_are_marked_faintly() -> None:
    document = read("a.txt", b"One is here. Two is here. Three is here.")
    (block,) = blocks(document, (0, 12), [(26, 40), (13, 16)])
    states = [(piece.text, piece.state) for piece in block.pieces]
    assert states == [
        ("One is here.", "cited"),
        (" ", ""),
        ("Two", "near"),
        (" is here. ", ""),
        ("Three is here.", "near"),
    ]


def cells(row: tuple[tuple[Piece, ...], ...]) -> list[str]:
    kept = ("".join(piece.text for piece in cell if piece.kind != "syntax") for cell in row)
    return [text.strip() for text in kept]


@pytest.mark.parametrize(
    ("uri", "data", "expected"),
    [
        pytest.param(
            "a.md",
            b"| Country | Budget |\n|---|---|\n| **Chad** | 5 |\n| Mali | 6 |\n",
            [(["Country", "Budget"], True), (["Chad", "5"], False), (["Mali", "6"], False)],
            id="Markdown",
        ),
        pytest.param(
            "a.csv",
            b'City,People,River\nVienna,"2,005",Danube\nUlm,,Danube\n',
            [
                (["City", "People", "River"], True),
                (["Vienna", "2,005", "Danube"], False),
                (["Ulm", "", "Danube"], False),
            ],
            id="CSV, an empty cell",
        ),
        pytest.param(
            "a.html",
            b"<h1>T</h1><table><tr><th>City<th>People</tr><tr><td>Ulm<td>2</tr></table>",
            [(["City", "People"], True), (["Ulm", "2"], False)],
            id="HTML",
        ),
        pytest.param(
            "a.xlsx",
            xlsx({"S": [["City", "People"], ["Ulm", 2], ["Bern", 3]]}),
            [(["City", "People"], True), (["Ulm", "2"], False), (["Bern", "3"], False)],
            id="XLSX",
        ),
    ],
)
def test_tables_are_tables(uri: str, data: bytes, expected: list[tuple[list[str], bool]]) -> None:
    (table,) = (block for block in blocks(read(uri, data)) if block.kind == "table")
    assert [(cells(row.cells), row.header) for row in table.rows] == expected


def test_source_text_is_escaped(client: FlaskClient) -> None:
    document = read("x.txt", b"<script>alert(1)</script> is text & stays text.")
    with client.application.test_request_context("/"):
        page = shown(document)
    assert "&lt;script&gt;alert(1)&lt;/script&gt; is text &amp; stays text." in page


def test_what_lies_between_blocks_is_shown(client: FlaskClient) -> None:
    """The header of a table and the info of a code block were once left out of the page."""
    document = read(
        "a.md", b"| Country | Budget |\n|---|---|\n| Chad | 5 |\n\n```python\nx = 1\n```\n"
    )
    with client.application.test_request_context("/"):
        page = shown(document)
    for part in ("Country", "Budget", "Chad", "python", "x = 1"):
        assert part in page


def test_a_browser_gets_a_page_for_every_error(empty_client: FlaskClient) -> None:
    reply = empty_client.get(f"/sources/{URI}", headers={"Accept": "text/html"})
    assert (reply.status_code, reply.mimetype) == (503, "text/html")
    page = reply.get_data(as_text=True)
    assert "There is no index yet; build it: qa index" in page
    assert "Back to the questions" in page
