"""Write a generation into new tables, taking over what is in an earlier one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from qa.stores.postgres import words
from qa.stores.postgres.tables import (
    CREATE,
    DOCUMENT_COLUMNS,
    INDEX_EXACT,
    INDEX_ROWS,
    INDEX_VECTORS,
    PASSAGE_COLUMNS,
    PLAIN_VECTORS,
    SCHEMA,
    SHARED,
    Tables,
    document_row,
    passage_row,
)
from qa.stores.records import Part
from qa.types import Vectors

if TYPE_CHECKING:
    from psycopg import Connection

    from qa.stores.postgres.store import PostgresStore

_TAKE_DOCUMENTS = f"""
INSERT INTO {{documents}} ({DOCUMENT_COLUMNS})
SELECT {DOCUMENT_COLUMNS} FROM {{old_documents}} WHERE uri IN (SELECT uri FROM pg_temp.taken)
"""
_TAKE_PASSAGES = f"""
INSERT INTO {{passages}} ({PASSAGE_COLUMNS})
SELECT o.uri, o.row - min(o.row) OVER (PARTITION BY o.uri) + t.first, o.key, o.vector, o.text_words,
    o.text_length, o.context_words, o.context_length, o.exact_words, o.folded, o.record
FROM {{old_passages}} o JOIN pg_temp.taken t USING (uri)
"""


def write(
    connection: Connection,
    tables: Tables,
    parts: Sequence[Part],
    vectors: Vectors,
    base: PostgresStore | None,
    *,
    extension: bool,
    shards: int,
) -> None:
    """Make the tables of a generation with everything in them; needs a transaction.

    :param vectors: one row a passage, in the order of `parts`.
    :param base: sources of the same uri and sha256 in it never leave the server.
    :param extension: whether pg_textsearch shall search.
    :param shards: over which Citus spreads documents and passages; 0 for none.
    """
    _share(connection)
    for statement in (*CREATE, PLAIN_VECTORS):
        connection.execute(tables(statement))
    if shards:
        _spread(connection, tables, shards)
    known = base.manifest.sources if base else {}
    placed = list(_placed(parts))
    taken = [entry for entry in placed if _same(entry[1], known)]
    new = [entry for entry in placed if not _same(entry[1], known)]
    if base and taken:
        _take(connection, tables, base, taken)
    _copy(connection, tables, new, vectors)
    memory = "SET LOCAL maintenance_work_mem = '512MB'"  # for a graph of some 400,000 vectors
    for made in (memory, "SET LOCAL work_mem = '128MB'"):
        connection.execute(made)
    for statement in (INDEX_ROWS, INDEX_EXACT, INDEX_VECTORS):
        connection.execute(tables(statement))
    for query in words.statements(tables, extension):
        connection.execute(query)
    for kind in ("{documents}", "{passages}", "{postings}"):
        connection.execute(tables(f"ANALYZE {kind}"))


def _share(connection: Connection) -> None:
    """Make what is there once: who may not create schemas finds this one."""
    found = connection.execute("SELECT to_regnamespace(%s) IS NOT NULL", [SCHEMA]).fetchall()
    if found != [(True,)]:
        connection.execute("CREATE SCHEMA qa")
    for statement in SHARED:
        connection.execute(statement)


def _spread(connection: Connection, tables: Tables, shards: int) -> None:
    for kind in ("documents", "passages"):
        connection.execute(
            "SELECT create_distributed_table(%s, 'uri', shard_count => %s)",
            [f"{SCHEMA}.{tables.names[kind]}", shards],
        )
    connection.execute(
        "SELECT create_reference_table(%s)", [f"{SCHEMA}.{tables.names['postings']}"]
    )


def _placed(parts: Sequence[Part]) -> Iterator[tuple[int, Part]]:
    """Yield each part with the row of its first passage."""
    first = 0
    for part in parts:
        yield first, part
        first += len(part.passages)


def _same(part: Part, known: dict[str, str]) -> bool:
    return known.get(part.document.uri) == part.document.sha256


def _take(
    connection: Connection, tables: Tables, base: PostgresStore, taken: Sequence[tuple[int, Part]]
) -> None:
    connection.execute("CREATE TEMP TABLE taken (uri text, first integer) ON COMMIT DROP")
    with connection.cursor().copy("COPY pg_temp.taken (uri, first) FROM STDIN") as copy:
        for first, part in taken:
            copy.write_row((part.document.uri, first))
    old = Tables(base.generation)
    for statement in (_TAKE_DOCUMENTS, _TAKE_PASSAGES):
        names: dict[str, Any] = {
            "old_documents": old("{documents}"),
            "old_passages": old("{passages}"),
        }
        connection.execute(tables(statement, **names))


def _copy(
    connection: Connection, tables: Tables, new: Sequence[tuple[int, Part]], vectors: Vectors
) -> None:
    with connection.cursor().copy(
        tables(f"COPY {{documents}} ({DOCUMENT_COLUMNS}) FROM STDIN")
    ) as copy:
        for _, part in new:
            copy.write_row(document_row(part))
    with connection.cursor().copy(
        tables(f"COPY {{passages}} ({PASSAGE_COLUMNS}) FROM STDIN")
    ) as copy:
        for first, part in new:
            pairs = zip(part.passages, part.keys, strict=True)
            for row, (passage, key) in enumerate(pairs, first):
                copy.write_row(passage_row(row, passage, key, vectors[row]))
