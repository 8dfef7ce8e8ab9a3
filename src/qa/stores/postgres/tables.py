"""The tables of the store, and how passages and documents are written as rows.

Everything lies in the schema `qa`, which an index has to itself. `generations` and `live` are there
once; the other tables are made for each generation and never change afterwards:

documents   (uri, sha256, info, body)       one row a source
passages    (uri, row, ...)                 one row a passage, rows counting up from 0
postings    (field, word, ...)              how often words occur; see `words`

The uri is part of every key of the first two, so that Citus can spread them by it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from psycopg.sql import SQL, Composable, Composed, Identifier

from qa import phrases
from qa.stores.records import Part
from qa.text import terms
from qa.types import Document, Mark, Passage, Sentence, SourceInfo, Vectors

SCHEMA = "qa"
#: The advisory lock that the one builder of a database holds: "qa.index" as a number.
LOCK = int.from_bytes(b"qa.index", "big")
#: Links of each vector in its graph, and vectors looked at to choose them.
HNSW_LINKS, HNSW_BREADTH = 16, 100

KINDS = ("documents", "passages", "postings")

SHARED = (
    "CREATE TABLE IF NOT EXISTS qa.generations (id text PRIMARY KEY, manifest text NOT NULL, "
    "retired timestamptz)",  # when it was live last; null while it is
    "CREATE TABLE IF NOT EXISTS qa.live (sole boolean PRIMARY KEY DEFAULT true CHECK (sole), "
    "id text NOT NULL REFERENCES qa.generations)",
)

_DOCUMENTS = """
CREATE TABLE {documents} (
    uri text COLLATE "C" PRIMARY KEY,
    sha256 text NOT NULL,
    passages integer NOT NULL,
    info text NOT NULL,
    body text NOT NULL
)
"""
_PASSAGES = """
CREATE TABLE {passages} (
    uri text COLLATE "C" NOT NULL,
    row integer NOT NULL,
    key text NOT NULL,
    vector halfvec({dimension}) NOT NULL,
    text_words text COLLATE "C" NOT NULL,
    text_length integer NOT NULL,
    context_words text COLLATE "C" NOT NULL,
    context_length integer NOT NULL,
    exact_words text[] COLLATE "C" NOT NULL,
    folded text COLLATE "C" NOT NULL,
    record text NOT NULL,
    PRIMARY KEY (uri, row)
)
"""
_POSTINGS = """
CREATE TABLE {postings} (
    field text COLLATE "C" NOT NULL,
    word text COLLATE "C" NOT NULL,
    passages integer NOT NULL,
    rows integer[] NOT NULL,
    weights real[] NOT NULL,
    PRIMARY KEY (field, word)
)
"""
CREATE = (_DOCUMENTS, _PASSAGES, _POSTINGS)
#: A vector is read where it stands, never from beside the table.
PLAIN_VECTORS = "ALTER TABLE {passages} ALTER COLUMN vector SET STORAGE PLAIN"
INDEX_ROWS = "CREATE INDEX ON {passages} (row)"
INDEX_EXACT = "CREATE INDEX ON {passages} USING gin (exact_words)"
INDEX_VECTORS = (
    "CREATE INDEX ON {passages} USING hnsw (vector halfvec_ip_ops) "
    f"WITH (m = {HNSW_LINKS}, ef_construction = {HNSW_BREADTH})"
)

DOCUMENT_COLUMNS = "uri, sha256, passages, info, body"
PASSAGE_COLUMNS = (
    "uri, row, key, vector, text_words, text_length, context_words, context_length, exact_words, "
    "folded, record"
)


class Tables:
    """Writes queries about the tables of one generation."""

    def __init__(self, generation: str, **values: Any) -> None:
        """Take the id of a generation, and numbers to put in place of other names."""
        self.names = {kind: f"{kind}_{_name(generation)}" for kind in KINDS}
        self._parts: dict[str, Composable] = {
            **{
                kind: SQL(".").join(map(Identifier, (SCHEMA, name)))
                for kind, name in self.names.items()
            },
            **{name: SQL(str(int(value))) for name, value in values.items()},
        }

    def __call__(self, query: str, **more: Composable) -> Composed:
        """Put the names of the tables in place of `{documents}`, `{passages}`, `{postings}`."""
        return SQL(query).format(**self._parts, **more)


def _name(generation: str) -> str:
    return generation.lower().replace("-", "_")


def document_row(part: Part) -> tuple[object, ...]:
    """Write a source as a row. Texts are JSON: PostgreSQL takes no character NUL."""
    document = part.document
    info = [document.title, document.date, len(document.text)]
    marks = [[mark.start, mark.end, mark.kind, mark.label, mark.level] for mark in document.marks]
    body = [document.text, marks]
    return document.uri, document.sha256, len(part.passages), _dump(info), _dump(body)


def passage_row(row: int, passage: Passage, key: str, vector: Sequence[float]) -> tuple[Any, ...]:
    """Write a passage as a row; its words are those that the local store would index."""
    found = passage.plain
    context = " ".join((passage.title, *passage.section)) if found else ""
    return (
        passage.uri,
        row,
        key,
        vector_text(vector),
        *_words(found),
        *_words(context),
        sorted({storable(word) for word in phrases.words(found)}),
        storable(phrases.folded(found)),
        _record(passage),
    )


def _words(text: str) -> tuple[str, int]:
    """Return the stemmed words of a text, and their number as BM25 takes it."""
    found = [term.text for term in terms(text)]
    return " ".join(found), _length(len(found))


def _length(words: int) -> int:
    """Round a number of words down as tantivy does, which keeps it in one byte.

    Up to 40 it is exact; from there on, eight steps lead to each next doubling of what is above 24.
    """
    if words < 40:
        return words
    step: int = 1 << ((words - 24).bit_length() - 4)
    return 24 + (words - 24) // step * step


def storable(text: str) -> str:
    """Return a text that is searched with another character in the place of NUL."""
    return text.replace("\0", "\1")


def vector_text(vector: Sequence[float] | Vectors) -> str:
    """Write a vector as pgvector reads it."""
    return "[" + ",".join(f"{value:.8g}" for value in vector) + "]"


def _record(passage: Passage) -> str:
    """Write what is shown of a passage; what people see only where it is not its text."""
    sentences = []
    for sentence in passage.sentences:
        start, end = sentence.start, sentence.end
        same = passage.text[start - passage.start : end - passage.start] == sentence.plain
        sentences.append([start, end] if same else [start, end, sentence.plain])
    return _dump(
        [
            passage.title,
            passage.start,
            passage.end,
            passage.text,
            None if passage.plain == passage.text else passage.plain,
            passage.section,
            passage.line,
            passage.page,
            sentences,
        ]
    )


def read_passage(uri: str, record: str) -> Passage:
    """Read a passage from its row."""
    title, start, end, text, plain, section, line, page, sentences = json.loads(record)
    return Passage(
        uri=uri,
        title=title,
        start=start,
        end=end,
        text=text,
        plain=text if plain is None else plain,
        section=tuple(section),
        line=line,
        page=page,
        sentences=tuple(
            Sentence(first, last, *(shown or [text[first - start : last - start]]))
            for first, last, *shown in sentences
        ),
    )


def read_document(uri: str, sha256: str, info: str, body: str) -> Document:
    """Read a source from its row."""
    title, date, _ = json.loads(info)
    text, marks = json.loads(body)
    return Document(uri, title, date, sha256, text, tuple(Mark(*fields) for fields in marks))


def read_source(uri: str, sha256: str, passages: int, info: str) -> SourceInfo:
    """Read a line of the list of sources from its row."""
    title, date, characters = json.loads(info)
    return SourceInfo(uri, title, date, sha256, characters, passages)


def _dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
