"""One generation in PostgreSQL, opened for reading."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from psycopg.sql import SQL, Composed

from qa import phrases
from qa.errors import IndexIncompatible, UnknownSource
from qa.stores.exact import Exact
from qa.stores.generation import FORMAT, Manifest
from qa.stores.postgres import words
from qa.stores.postgres.connections import Connections
from qa.stores.postgres.tables import (
    Tables,
    read_document,
    read_passage,
    read_source,
    storable,
    vector_text,
)
from qa.stores.records import Part
from qa.text import topic_terms
from qa.types import Allowed, Document, Passage, Scored, SourceInfo, Vectors

#: Candidates that pgvector keeps while it searches, for each passage asked for; within its limits.
_EF_EACH, _EF_LEAST, _EF_MOST = 4, 100, 1000
#: Passages whose vectors are fetched at once.
_AT_ONCE = 10_000

_NEAREST = """
SELECT row, -(vector <#> %(vector)s::halfvec) AS score FROM {passages}
WHERE {condition} ORDER BY vector <#> %(vector)s::halfvec LIMIT %(limit)s
"""
#: The same by looking at every vector: the sum keeps the index out.
_NEAREST_EXACT = """
SELECT row, -(vector <#> %(vector)s::halfvec) AS score FROM {passages}
WHERE {condition} ORDER BY (vector <#> %(vector)s::halfvec) + 0, row LIMIT %(limit)s
"""
_SIMILARITIES = (
    "SELECT row, -(vector <#> %(vector)s::halfvec) FROM {passages} WHERE row = ANY(%(rows)s)"
)
_VECTORS = "SELECT row, vector::vector::real[] FROM {passages} WHERE row = ANY(%(rows)s)"
_RARITIES = "SELECT word, passages FROM {postings} WHERE field = 'text' AND word = ANY(%(words)s)"
_RECORDS = "SELECT row, uri, record FROM {passages} WHERE row = ANY(%(rows)s)"
_PART = "SELECT key, record FROM {passages} WHERE uri = %(uri)s ORDER BY row"
_KEYS = "SELECT key, row FROM {passages} WHERE key <> ''"
_DOCUMENT = "SELECT uri, sha256, info, body FROM {documents} WHERE uri = %(uri)s"
_SOURCES = "SELECT uri, sha256, passages, info FROM {documents} WHERE {condition} ORDER BY uri"
_COUNT = """
SELECT count(*) FROM (SELECT FROM {passages} WHERE {condition} LIMIT %(most)s) AS allowed
"""
_ALL = SQL("true")


class PostgresStore:
    """An opened generation. Safe to share between threads."""

    def __init__(
        self, connections: Connections, generation: str, manifest: Manifest, extension: bool
    ) -> None:
        """Take a generation.

        :param extension: whether pg_textsearch searches its words.
        """
        if manifest.format != FORMAT:
            raise IndexIncompatible("format", FORMAT, manifest.format)
        self.manifest = manifest
        self.generation = generation
        self._connections = connections
        self._tables = Tables(generation)
        self._extension = extension
        self._exact = Exact(manifest.counts["passages"], self._plain)

    @property
    def dense_kind(self) -> str:
        """Say in words how vectors are searched."""
        return "approximate: HNSW by pgvector, 16 bits a number"

    def close(self) -> None:
        """Close the connections that are not in use."""
        self._connections.close()

    def dense(self, vector: Vectors, limit: int, allowed: Allowed | None) -> list[Scored]:
        """Return the rows nearest to a unit vector of shape (dimension,), best first."""
        search = partial(self._nearest, vector, allowed=allowed)
        return self._exact.best(search, limit, allowed)

    def lexical(self, question: str, limit: int, allowed: Allowed | None) -> list[Scored]:
        """Return the rows with the highest BM25, best first."""
        search = partial(self._best, question, allowed=allowed)
        return self._exact.best(search, limit, allowed)

    def similarities(self, vector: Vectors, rows: Sequence[int]) -> list[float]:
        """Return the cosine of a unit vector to each of these rows."""
        values = {"vector": vector_text(vector), "rows": list(rows)}
        found = dict(self._fetch(_SIMILARITIES, values)) if rows else {}
        return [found[row] for row in rows]

    def rarities(self, terms: Sequence[str]) -> list[float]:
        """Return the inverse document frequency of each term, as the local store does."""
        known = dict(self._fetch(_RARITIES, {"words": list(terms)})) if terms else {}
        counts = [known.get(term, 0) for term in terms]
        return [math.log(1 + (self.count() - count + 0.5) / (count + 0.5)) for count in counts]

    def count(self) -> int:
        """Count the passages."""
        return self.manifest.counts["passages"]

    def vectors(self, rows: Sequence[int]) -> Vectors:
        """Return the stored vectors of these rows, shape (len(rows), dimension)."""
        vectors = np.zeros((len(rows), self.manifest.dimension), dtype=np.float32)
        for start in range(0, len(rows), _AT_ONCE):
            some = rows[start : start + _AT_ONCE]
            found = dict(self._fetch(_VECTORS, {"rows": list(some)}))
            vectors[start : start + len(some)] = [found[row] for row in some]
        return vectors

    def part(self, uri: str) -> Part:
        """Return a source with its passages as they were written."""
        found = self._fetch(_PART, {"uri": uri})
        passages = [read_passage(uri, record) for _, record in found]
        return Part(self.document(uri), passages, [key for key, _ in found])

    def keyed_rows(self) -> dict[str, int]:
        """Return a row for every key of a passage's vector."""
        return dict(self._fetch(_KEYS))

    def passages(self, rows: Sequence[int]) -> list[Passage]:
        """Return these passages in this order."""
        found = {
            row: (uri, record) for row, uri, record in self._fetch(_RECORDS, {"rows": list(rows)})
        }
        return [read_passage(*found[row]) for row in rows]

    def document(self, uri: str) -> Document:
        """Return a source; raise UnknownSource if there is none."""
        found = self._fetch(_DOCUMENT, {"uri": uri})
        if not found:
            raise UnknownSource(uri, "not in the index; `qa sources` lists what is")
        return read_document(*found[0])

    def sources(self, uris: Sequence[str] | None = None) -> Iterator[SourceInfo]:
        """List the sources, or those of these that there are, by uri."""
        condition = _ALL if uris is None else SQL("uri = ANY(%(uris)s)")
        wanted = {"uris": list(uris or ())}
        for row in self._fetch(_SOURCES, wanted, condition=condition):
            yield read_source(*row)

    def _nearest(self, vector: Vectors, limit: int, allowed: Allowed | None) -> list[Scored]:
        """Search the graph of vectors; where that finds too little, look at every one allowed."""
        limit = min(limit, self.count())
        condition, values = _condition(allowed)
        values |= {"vector": vector_text(vector), "limit": limit}
        ef = min(max(_EF_LEAST, _EF_EACH * limit), _EF_MOST)
        options = {"hnsw.ef_search": str(ef), "hnsw.iterative_scan": "relaxed_order"}
        found = self._fetch(_NEAREST, values, options, condition=condition)
        if len(found) < limit:
            found = self._fetch(_NEAREST_EXACT, values, condition=condition)
        return _ranked(found)

    def _best(self, question: str, limit: int, allowed: Allowed | None) -> list[Scored]:
        terms = [storable(term) for term in topic_terms(question)]
        if not terms or not self.count():
            return []
        condition, values = _condition(allowed)
        few = allowed is not None and self._extension and self._few(condition, values)
        query = words.search(self._tables, self._extension, condition if allowed else None, few)
        values |= words.values(terms, self.count(), limit)
        options = {"enable_sort": "off"} if self._extension else {}  # its index has the order
        return _ranked(self._connections.fetch(query, values, options))

    def _few(self, condition: Composed, values: dict[str, Any]) -> bool:
        ((count,),) = self._fetch(_COUNT, {**values, "most": words.FEW + 1}, condition=condition)
        return bool(count <= words.FEW)

    def _plain(self, rows: Sequence[int]) -> list[str]:
        return [passage.plain for passage in self.passages(rows)]

    def _fetch(
        self,
        query: str,
        values: dict[str, Any] | None = None,
        options: dict[str, str] | None = None,
        **parts: Composed | SQL,
    ) -> list[tuple[Any, ...]]:
        return self._connections.fetch(self._tables(query, **parts), values, options)


def _condition(allowed: Allowed | None) -> tuple[Composed, dict[str, Any]]:
    """Return what a row must meet to be allowed, and few that are not do, with its values."""
    conditions = [SQL("true")]
    values: dict[str, Any] = {}
    if allowed and allowed.uris is not None:
        conditions.append(SQL("uri = ANY(%(uris)s)"))
        values["uris"] = list(allowed.uris)
    for place, phrase in enumerate(allowed.phrases if allowed else ()):
        conditions += [
            SQL(f"exact_words @> %(words_{place})s::text[]"),
            SQL(f"strpos(folded, %(phrase_{place})s) > 0"),
        ]
        values |= {f"words_{place}": _exact(phrase), f"phrase_{place}": _folded(phrase)}
    single = [_folded(phrase) for phrase in (allowed.excluded if allowed else ())]
    values["excluded"] = [word for word in single if _exact(word) == [word]]
    if values["excluded"]:
        conditions.append(SQL("NOT exact_words && %(excluded)s::text[]"))
    return SQL(" AND ").join(conditions), values


def _exact(phrase: str) -> list[str]:
    return [storable(word) for word in phrases.words(phrase)]


def _folded(phrase: str) -> str:
    return storable(phrases.folded(phrase))


def _ranked(found: Sequence[tuple[int, float]]) -> list[Scored]:
    return sorted(
        (Scored(row, float(score)) for row, score in found),
        key=lambda scored: (-scored.score, scored.row),
    )
