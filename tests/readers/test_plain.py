from __future__ import annotations

import hashlib

import pytest

from fakes import ARTICLE
from qa.errors import UnreadableSource, UnsupportedFormat
from qa.readers import READERS, read
from qa.readers.plain import file_title

LONG = "This line is long enough that the short one above it is taken for its heading, " + "x" * 60


def structure(text: str) -> list[tuple[str, str]]:
    """Return kind and text of each mark."""
    document = read("a.txt", text.encode())
    return [(mark.kind, document.text[mark.start : mark.end]) for mark in document.marks]


def test_the_article() -> None:
    data = ARTICLE.read_bytes()
    document = read("article.txt", data)
    title = "Russia-United States Relations: Current Dynamics in 2025"
    assert document.title == title
    assert document.date is None
    assert document.text == data.decode()
    assert document.sha256 == hashlib.sha256(data).hexdigest()
    headings = [mark for mark in document.marks if mark.kind == "heading"]
    assert [(mark.level, mark.label) for mark in headings] == [
        (1, title),
        (1, title),
        (2, "Historical Context and Modern Tensions"),
        (2, "Sanctions, Diplomacy, and Strategic Competition"),
        (2, "Geopolitical Shifts and Global Alliances"),
        (2, "Human Impact and Public Perception"),
        (2, "Looking Ahead: Possibilities and Pathways"),
    ]
    for mark in headings:
        assert document.text[mark.start : mark.end] == mark.label
    blocks = [mark for mark in document.marks if mark.kind == "block"]
    lines = [line for line in document.text.splitlines() if line.strip()]
    assert len(blocks) == len(lines) - len(headings)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
def test_wrapped_lines_are_paragraphs(end: str) -> None:
    first = [
        "A paragraph that was wrapped by hand at a width that no",
        "editor of today would ever use, since lines are as long",
        "as the window now.",
    ]
    second = [
        "And one more of the same kind, to show that a blank line",
        "is what parts the two.",
    ]
    text = end.join(["Heading", "", *first, "", *second, ""])
    assert structure(text) == [
        ("heading", "Heading"),
        ("block", end.join(first)),
        ("block", end.join(second)),
    ]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f"Heading\n{LONG}", [("heading", "Heading"), ("block", LONG)]),
        (f"Heading\n\n{LONG}", [("heading", "Heading"), ("block", LONG)]),
        (f"1. Scope\n{LONG}", [("heading", "1. Scope"), ("block", LONG)]),
        (f"A sentence.\n{LONG}", [("block", "A sentence."), ("block", LONG)]),
        (f"no capital\n{LONG}", [("block", "no capital"), ("block", LONG)]),
        (f"* * *\n{LONG}", [("block", "* * *"), ("block", LONG)]),
        ("Heading\nShort", [("block", "Heading"), ("block", "Short")]),
        (f"{LONG}\nLast line", [("block", LONG), ("block", "Last line")]),
        ("- one\n- two\n- three\n", [("block", "- one"), ("block", "- two"), ("block", "- three")]),
        (
            "  indented one\n\tindented two\n",
            [("block", "indented one"), ("block", "indented two")],
        ),
        (f"  Heading  \n  {LONG}  \n", [("heading", "Heading"), ("block", LONG)]),
        ("", []),
        (" \n\t\r\n\u3000\n", []),
    ],
    ids=[
        "heading",
        "blank line under a heading",
        "numbered heading",
        "a sentence is none",
        "small letter is none",
        "stars are none",
        "nothing long under it",
        "at the end",
        "list",
        "indented",
        "blanks around",
        "empty",
        "blank",
    ],
)
def test_structure(text: str, found: list[tuple[str, str]]) -> None:
    assert structure(text) == found


@pytest.mark.parametrize(
    ("text", "title"),
    [
        (f"Heading\n{LONG}", "Heading"),
        (f"Heading\nHeading\n{LONG}", "Heading"),
        (f"{LONG}\nHeading\n{LONG}", "my notes 2024"),
        ("Just a sentence.", "my notes 2024"),
    ],
    ids=["first line", "first line twice", "not the first line", "none"],
)
def test_title(text: str, title: str) -> None:
    assert read("a/my_notes-2024.txt", text.encode()).title == title


@pytest.mark.parametrize(
    ("uri", "title"),
    [
        ("a/b/my_notes-2024.txt", "my notes 2024"),
        ("v1.2.txt", "v1.2"),
        ("README", "README"),
        ("---.txt", "---.txt"),
        (".txt", ".txt"),
    ],
)
def test_file_title(uri: str, title: str) -> None:
    assert file_title(uri) == title


@pytest.mark.parametrize("uri", ["a.TXT", "a/b.Markdown", "a.md"])
def test_a_suffix_has_a_reader(uri: str) -> None:
    assert read(uri, b"Some text.").text == "Some text."


@pytest.mark.parametrize(
    ("uri", "reason"),
    [("a.exe", "no reader for .exe"), ("Makefile", "no reader for a file without a suffix")],
)
def test_other_formats_are_refused_by_name(uri: str, reason: str) -> None:
    with pytest.raises(UnsupportedFormat) as caught:
        read(uri, b"Some text.")
    assert caught.value.reason == reason


@pytest.mark.parametrize("suffix", READERS)
def test_no_reader_takes_bytes_that_are_no_text(suffix: str) -> None:
    with pytest.raises(UnreadableSource):
        read(f"a{suffix}", b"\xff\xfe\xfd")
