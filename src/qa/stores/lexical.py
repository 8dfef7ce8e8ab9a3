"""The lexical channel: BM25 by tantivy over text, title and headings."""

from __future__ import annotations

import contextlib
import math
import shutil
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from qa import phrases
from qa.text import analyzer, fold_initials, topic_terms
from qa.types import Allowed, Passage, Scored

FOLDER = "lexical"
#: What a word counts for in the title or a heading, where 1 is its weight in the text.
CONTEXT_WEIGHT = 0.3
_HEAP = 64 * 1024 * 1024
_REMOVALS = 100


def write(folder: Path, passages: Iterable[Passage]) -> None:
    """Write an index in which the passages have the rows 0, 1, 2 and so on."""
    import tantivy

    target = folder / FOLDER
    target.mkdir()
    schema = (
        tantivy.SchemaBuilder()
        .add_text_field("text", tokenizer_name="qa", index_option="freq")
        .add_text_field("context", tokenizer_name="qa", index_option="freq")
        .add_text_field("exact", tokenizer_name="exact", index_option="position")
        .add_text_field("uri", tokenizer_name="raw", index_option="basic")
        .add_unsigned_field("row", fast=True)
        .build()
    )
    index = tantivy.Index(schema, path=str(target))
    _register(index)
    writer = index.writer(_HEAP, 1)
    for row, passage in enumerate(passages):
        entry = tantivy.Document()
        entry.add_text("uri", passage.uri)
        entry.add_unsigned("row", row)
        if passage.plain:
            entry.add_text("text", fold_initials(passage.plain))
            entry.add_text("context", fold_initials(" ".join((passage.title, *passage.section))))
            entry.add_text("exact", phrases.folded(passage.plain))
        writer.add_document(entry)
    writer.commit()
    writer.wait_merging_threads()
    sweep(folder)


def sweep(folder: Path) -> None:
    """Remove the locks that tantivy leaves where it may write."""
    for lock in (folder / FOLDER).glob(".tantivy-*.lock"):
        with contextlib.suppress(OSError):
            lock.unlink()


class LexicalIndex:
    """An opened index. Searches are safe to run side by side."""

    def __init__(self, folder: Path) -> None:
        index, self._searcher = _open(folder / FOLDER)
        self._schema = index.schema
        self.rows: int = self._searcher.num_docs

    def close(self) -> None:
        """Release the files; nothing can be searched afterwards."""
        self._searcher = self._schema = None

    def search(self, question: str, limit: int, allowed: Allowed | None) -> list[Scored]:
        """Return the rows with the highest BM25 for the question's topic words, best first.

        With a phrase, or an excluded one, some that are not allowed may be among them: see `rows`.
        """
        from tantivy import Occur, Query

        parts: list[tuple[Occur, Query]] = []
        for term in topic_terms(question):
            for name, weight in (("text", 1.0), ("context", CONTEXT_WEIGHT)):
                query = Query.term_query(self._schema, name, term, index_option="freq")
                parts.append((Occur.Should, Query.boost_query(query, weight)))
        if not parts or not self.rows:
            return []
        query = Query.boolean_query(parts)
        if allowed is not None:
            within = Query.const_score_query(self._within(allowed), 0.0)
            query = Query.boolean_query([(Occur.Must, query), (Occur.Must, within)])
        hits = self._searcher.search(query, limit, count=False).hits
        found = [Scored(row, score) for (score, _), row in zip(hits, self._rows(hits), strict=True)]
        return sorted(found, key=lambda scored: (-scored.score, scored.row))

    def allowed(self, allowed: Allowed) -> list[int]:
        """Return the rows that a filter may allow, in order: all that it allows, and few others.

        Words are compared without what stands between them: the rows of `"US-China"` are among
        those of `"US China"`.
        """
        from tantivy import Query

        if not self.rows:
            return []
        query = Query.const_score_query(self._within(allowed), 0.0)
        return sorted(self._rows(self._searcher.search(query, self.rows, count=False).hits))

    def _rows(self, hits: Any) -> list[int]:
        rows: list[int] = self._searcher.fast_field_values("row", [place for _, place in hits])
        return rows

    def _within(self, allowed: Allowed) -> Any:
        from tantivy import Occur, Query

        parts: list[tuple[Occur, Query]] = [(Occur.Must, Query.all_query())]
        if allowed.uris is not None:
            within = Query.term_set_query(self._schema, "uri", list(allowed.uris))
            parts.append((Occur.Must, within))
        parts += [(Occur.Must, self._phrase(phrase)) for phrase in allowed.phrases]
        parts += [
            (Occur.MustNot, self._phrase(phrase))
            for phrase in allowed.excluded
            if phrases.words(phrase) == [phrases.folded(phrase)]
        ]
        return Query.boolean_query(parts)

    def _phrase(self, phrase: str) -> Any:
        from tantivy import Query

        words = phrases.words(phrase)
        if len(words) > 1:
            return Query.phrase_query(self._schema, "exact", words)
        return Query.term_set_query(self._schema, "exact", words)

    def rarities(self, terms: Sequence[str]) -> list[float]:
        """Return the inverse document frequency of each term, as in BM25.

        Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009.
        """
        values = []
        for term in terms:
            frequency = self._searcher.doc_freq("text", term)
            values.append(math.log(1 + (self.rows - frequency + 0.5) / (frequency + 0.5)))
        return values


def _open(folder: Path) -> tuple[Any, Any]:
    """Return an index with its searcher, also where nothing may be written.

    tantivy wants a lock beside the files while it opens them; links to them will do.
    """
    try:
        return _load(folder)
    except ValueError:
        linked = Path(tempfile.mkdtemp(prefix="qa-lexical-"))
        try:
            for path in folder.glob("[!.]*"):
                (linked / path.name).symlink_to(path.resolve())
            return _load(linked)
        finally:
            _remove(linked)


def _remove(folder: Path) -> None:
    """Remove a folder into which tantivy, which watches it, may just be putting its lock."""
    for _ in range(_REMOVALS):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(0.01)


def _register(index: Any) -> None:
    index.register_tokenizer("qa", analyzer())
    index.register_tokenizer("exact", phrases.analyzer())


def _load(folder: Path) -> tuple[Any, Any]:
    import tantivy

    index = tantivy.Index.open(str(folder))
    _register(index)
    return index, index.searcher()
