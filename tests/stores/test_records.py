from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from qa.errors import UnknownSource
from qa.stores.records import Part, Records, write
from qa.types import Document, Mark, Passage, Sentence, SourceInfo

TEXT = "# Ünder\r\n\nOne \0 😀 *is*.[^1] e\u0301\ufeff שלום\u2028\rend"
FIRST = Document(
    "b/ü 1.md",
    'A "title"',
    "2024-02-29",
    "ab" * 32,
    TEXT,
    (Mark(0, 7, "heading", "Ünder", 1), Mark(10, 20, "block"), Mark(20, 24, "footnote", "“N”\n")),
)
SECOND = Document("a.txt", "Second", None, "cd" * 32, "Two.")
PASSAGES = [
    Passage(
        FIRST.uri,
        FIRST.title,
        0,
        len(TEXT),
        TEXT,
        "One \0 😀 is.",
        ("Ünder", "🙂"),
        1,
        None,
        (Sentence(10, 24, "One \0 😀 is."), Sentence(25, 30, "e\u0301")),
    ),
    Passage(FIRST.uri, FIRST.title, 3, 4, "x", "", (), 3, 12, ()),
    Passage(SECOND.uri, SECOND.title, 0, 4, "Two.", "Two.", (), 1, None, (Sentence(0, 4, "Two."),)),
]


PARTS = [Part(FIRST, PASSAGES[:2], ["k1", ""]), Part(SECOND, PASSAGES[2:], ["k2"])]


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Records]:
    write(tmp_path, PARTS)
    found = Records(tmp_path)
    yield found
    found.close()


@pytest.mark.parametrize("document", [FIRST, SECOND], ids=["with everything", "small"])
def test_documents_come_back_as_they_were(records: Records, document: Document) -> None:
    assert records.document(document.uri) == document


def test_passages_come_back_as_they_were_in_the_order_asked_for(records: Records) -> None:
    assert records.count() == 3
    assert records.passages([2, 0, 1, 0]) == [PASSAGES[place] for place in (2, 0, 1, 0)]
    assert records.passages([]) == []


def test_parts_come_back_as_they_were(records: Records) -> None:
    assert [records.part(uri) for uri in (FIRST.uri, SECOND.uri)] == PARTS
    with pytest.raises(UnknownSource):
        records.part("gone")


def test_keys_name_their_rows(records: Records) -> None:
    assert records.keyed_rows() == {"k1": 0, "k2": 2}


def test_sources_are_listed_by_uri(records: Records) -> None:
    assert list(records.sources()) == [
        SourceInfo("a.txt", "Second", None, "cd" * 32, 4, 1),
        SourceInfo("b/ü 1.md", 'A "title"', "2024-02-29", "ab" * 32, len(TEXT), 2),
    ]


@pytest.mark.parametrize("uris", [["a.txt"], ["b/ü 1.md", "a.txt"], ["x"], []])
def test_some_sources_are_listed(records: Records, uris: list[str]) -> None:
    known = {"a.txt", "b/ü 1.md"}
    assert [source.uri for source in records.sources(uris)] == sorted(known & set(uris))


def test_what_people_see_of_passages(records: Records) -> None:
    rows = [2, 0]
    assert records.plain(rows) == [passage.plain for passage in records.passages(rows)]


def test_an_unknown_source_is_named(records: Records) -> None:
    with pytest.raises(UnknownSource) as caught:
        records.document("' OR 1=1 --")
    assert caught.value.uri == "' OR 1=1 --"


def test_reading_writes_nothing(tmp_path: Path, records: Records) -> None:
    records.document("a.txt")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "documents.sqlite",
        "passages.sqlite",
    ]
