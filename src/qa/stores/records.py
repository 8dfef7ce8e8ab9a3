"""Documents and passages of a generation, in SQLite: fetched by key, never read as a whole."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qa.errors import IndexDamaged, UnknownSource
from qa.types import Document, Mark, Passage, Sentence, SourceInfo

DOCUMENTS = "documents.sqlite"
PASSAGES = "passages.sqlite"

_DOCUMENTS_SCHEMA = """
CREATE TABLE documents (
    uri TEXT PRIMARY KEY, title TEXT NOT NULL, date TEXT, sha256 TEXT NOT NULL,
    characters INTEGER NOT NULL, passages INTEGER NOT NULL, text TEXT NOT NULL, marks TEXT NOT NULL
) WITHOUT ROWID, STRICT
"""
_PASSAGES_SCHEMA = """
CREATE TABLE passages (
    row INTEGER PRIMARY KEY, uri TEXT NOT NULL, title TEXT NOT NULL,
    start INTEGER NOT NULL, end INTEGER NOT NULL, text TEXT NOT NULL, plain TEXT,
    section TEXT NOT NULL, line INTEGER NOT NULL, page INTEGER, sentences TEXT NOT NULL,
    key TEXT NOT NULL
) STRICT
"""


@dataclass(frozen=True, slots=True)
class Part:
    """A document with its passages."""

    document: Document
    passages: Sequence[Passage]
    #: of each passage, what tells that its vector is the same; empty where it has none
    keys: Sequence[str]


#: What people see of a passage is kept only where it is not its text; so it is with a sentence.
_PLAIN = "coalesce(plain, text)"
_FIELDS = f"row, uri, title, start, end, text, {_PLAIN}, section, line, page, sentences"


def write(folder: Path, parts: Iterable[Part]) -> None:
    """Write documents with their passages; rows count up from 0 in the order given."""
    row = 0
    documents = _create(folder / DOCUMENTS, _DOCUMENTS_SCHEMA)
    passages = _create(folder / PASSAGES, _PASSAGES_SCHEMA)
    with documents, passages:
        for part in parts:
            document = part.document
            documents.execute(
                "INSERT INTO documents VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    document.uri,
                    document.title,
                    document.date,
                    document.sha256,
                    len(document.text),
                    len(part.passages),
                    document.text,
                    json.dumps([_mark_row(mark) for mark in document.marks], ensure_ascii=False),
                ),
            )
            passages.executemany(
                "INSERT INTO passages VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    (*_passage_row(number, passage), key)
                    for number, (passage, key) in enumerate(
                        zip(part.passages, part.keys, strict=True), row
                    )
                ),
            )
            row += len(part.passages)
        passages.execute("CREATE INDEX by_uri ON passages (uri)")
    documents.close()
    passages.close()


def _create(path: Path, schema: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path)
    connection.execute(schema)
    return connection


def _mark_row(mark: Mark) -> list[object]:
    return [mark.start, mark.end, mark.kind, mark.label, mark.level]


def _passage_row(row: int, passage: Passage) -> tuple[object, ...]:
    sentences = []
    for sentence in passage.sentences:
        start, end = sentence.start, sentence.end
        same = passage.text[start - passage.start : end - passage.start] == sentence.plain
        sentences.append([start, end] if same else [start, end, sentence.plain])
    return (
        row,
        passage.uri,
        passage.title,
        passage.start,
        passage.end,
        passage.text,
        None if passage.plain == passage.text else passage.plain,
        json.dumps(passage.section, ensure_ascii=False),
        passage.line,
        passage.page,
        json.dumps(sentences, ensure_ascii=False),
    )


class Records:
    """Opened documents and passages. Safe to share between threads: SQLite serialises."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._documents = _open(folder / DOCUMENTS)
        self._passages = _open(folder / PASSAGES)

    def close(self) -> None:
        """Close both files."""
        self._documents.close()
        self._passages.close()

    def count(self) -> int:
        """Count the passages."""
        ((last,),) = self._fetch(self._passages, "SELECT max(row) FROM passages")
        return 0 if last is None else int(last) + 1

    def passages(self, rows: Sequence[int]) -> list[Passage]:
        """Return these passages in this order."""
        query = f"SELECT {_FIELDS} FROM passages WHERE row IN (SELECT value FROM json_each(?))"
        entries = self._fetch(self._passages, query, json.dumps(list(rows)))
        found = {entry[0]: _passage(entry[1:]) for entry in entries}
        return [found[row] for row in rows]

    def part(self, uri: str) -> Part:
        """Return a source with its passages as they were written."""
        query = f"SELECT key, {_FIELDS} FROM passages WHERE uri = ? ORDER BY row"
        entries = self._fetch(self._passages, query, uri)
        passages = [_passage(entry[2:]) for entry in entries]
        return Part(self.document(uri), passages, [entry[0] for entry in entries])

    def keyed_rows(self) -> dict[str, int]:
        """Return a row for every key."""
        return dict(self._fetch(self._passages, "SELECT key, row FROM passages WHERE key != ''"))

    def key(self, row: int) -> str:
        """Return the key of a passage's vector, empty where it has none."""
        ((key,),) = self._fetch(self._passages, "SELECT key FROM passages WHERE row = ?", str(row))
        return str(key)

    def plain(self, rows: Sequence[int]) -> list[str]:
        """Return what people see of these passages, in this order."""
        query = f"SELECT row, {_PLAIN} FROM passages WHERE row IN (SELECT value FROM json_each(?))"
        found = dict(self._fetch(self._passages, query, json.dumps(list(rows))))
        return [found[row] for row in rows]

    def document(self, uri: str) -> Document:
        """Return a source; raise UnknownSource if there is none."""
        query = "SELECT uri, title, date, sha256, text, marks FROM documents WHERE uri = ?"
        found = self._fetch(self._documents, query, uri)
        if not found:
            raise UnknownSource(uri, "not in the index; `qa sources` lists what is")
        (entry,) = found
        marks = tuple(Mark(*fields) for fields in json.loads(entry[5]))
        uri, title, date, digest, text, _ = entry
        return Document(uri, title, date, digest, text, marks)

    def sources(self, uris: Sequence[str] | None = None) -> Iterator[SourceInfo]:
        """List the sources, or those of these that there are, by uri."""
        some = "" if uris is None else "WHERE uri IN (SELECT value FROM json_each(?)) "
        query = (
            "SELECT uri, title, date, sha256, characters, passages "
            f"FROM documents {some}ORDER BY uri"
        )
        wanted = () if uris is None else (json.dumps(list(uris)),)
        for entry in self._fetch(self._documents, query, *wanted):
            yield SourceInfo(*entry)

    def _fetch(
        self, connection: sqlite3.Connection, query: str, *values: str
    ) -> list[tuple[Any, ...]]:
        try:
            return connection.execute(query, values).fetchall()
        except sqlite3.DatabaseError as error:  # the file changed since its checksum matched
            raise IndexDamaged(self._folder, str(error)) from error


def _open(path: Path) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
    return sqlite3.connect(uri, uri=True, check_same_thread=False)


def _passage(entry: Sequence[Any]) -> Passage:
    uri, title, start, end, text, plain, section, line, page, sentences = entry
    return Passage(
        uri=uri,
        title=title,
        start=start,
        end=end,
        text=text,
        plain=plain,
        section=tuple(json.loads(section)),
        line=line,
        page=page,
        sentences=tuple(
            Sentence(first, last, *(shown or [text[first - start : last - start]]))
            for first, last, *shown in json.loads(sentences)
        ),
    )
