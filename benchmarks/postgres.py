"""Time the store in PostgreSQL beside the local one: `python -m benchmarks.postgres [ROWS]`.

The passages are made up: words drawn as in a language (Zipf), vectors around 400 topics. A server
of each kind that is installed is started on loopback, as in the tests, and removed afterwards.
"""

from __future__ import annotations

import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from qa.config import Settings
from qa.stores.index import Generation, Index, open_index
from qa.stores.records import Part
from qa.types import Allowed, Document, Passage, Sentence, Vectors

ROOT = Path(__file__).parents[1]
DIMENSION, WORDS, VOCABULARY, TOPICS = 384, 60, 50_000, 400
PASSAGES_A_SOURCE = 50
QUERIES = 100
#: The most frequent words stand for those of function, which no question is searched by.
FUNCTION_WORDS = 100
LIMIT = 50
SHARE = 0.02


def main() -> None:
    """Build each store, ask it, and print a table."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    sys.path.insert(0, str(ROOT / "tests"))
    import postgres

    random = np.random.default_rng(7)
    parts, vectors = made(rows, random)
    queries = list(asked(vectors, random))
    exact = [nearest(vectors, vector) for _, vector in queries]
    print(f"{rows} passages of {WORDS} words in {len(parts)} sources, {DIMENSION} dimensions")
    with tempfile.TemporaryDirectory() as folder, postgres.servers() as servers:
        settings = Settings(index=Path(folder, "index"))
        report("local", open_index(settings), parts, vectors, queries, exact)
        size = sum(path.stat().st_size for path in settings.index.rglob("*") if path.is_file())
        print(f"  disk                {size / 1e6:8.0f} MB")
        for kind in postgres.KINDS:
            if postgres.installation(kind):
                server = servers.get(kind)
                database = server.database()
                built = replace(settings, store=server.url(database, "qa_builder"))
                report(kind, open_index(built), parts, vectors, queries, exact)
                for name, size in sizes(server, database):
                    print(f"  disk, {name:<13} {size / 1e6:8.0f} MB")


def made(rows: int, random: np.random.Generator) -> tuple[list[Part], Vectors]:
    """Make sources with passages, and a vector for each passage."""
    ranks = np.arange(1, VOCABULARY + 1)
    odds = 1 / ranks
    names = np.array([word(number) for number in range(VOCABULARY)])
    drawn = names[random.choice(VOCABULARY, (rows, WORDS), p=odds / odds.sum())]
    parts = []
    for first in range(0, rows, PASSAGES_A_SOURCE):
        texts = [" ".join(found) + "." for found in drawn[first : first + PASSAGES_A_SOURCE]]
        uri = f"{first // PASSAGES_A_SOURCE:06}.txt"
        document = Document(uri, uri, None, uri, "\n".join(texts))
        passages, start = [], 0
        for text in texts:
            end = start + len(text)
            sentence = (Sentence(start, end, text),)
            passages.append(Passage(uri, uri, start, end, text, text, (), 1, None, sentence))
            start = end + 1
        keys = [f"{uri}:{passage.start}" for passage in passages]
        parts.append(Part(document, passages, keys))
    centres = random.normal(size=(TOPICS, DIMENSION))
    vectors = centres[random.integers(TOPICS, size=rows)] + 0.8 * random.normal(
        size=(rows, DIMENSION)
    )
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return parts, vectors.astype(np.float32)


def word(number: int) -> str:
    """Write a number as a word that no stemmer changes: consonants and vowels in turn."""
    letters = ""
    for alphabet in ("bdfgklmnprtvz", "aou", "bdfgklmnprtvz", "aou", "bdfgkmnprtz", "bk"):
        number, place = divmod(number, len(alphabet))
        letters += alphabet[place]
    return letters


def asked(vectors: Vectors, random: np.random.Generator) -> Iterator[tuple[str, Vectors]]:
    """Make questions: a few words, and a vector near that of a passage."""
    odds = 1 / np.arange(1, VOCABULARY + 1)
    odds[:FUNCTION_WORDS] = 0
    for row in random.integers(len(vectors), size=QUERIES):
        words = random.choice(VOCABULARY, 6, p=odds / odds.sum())
        vector = vectors[row] + 0.03 * random.normal(size=DIMENSION)
        yield (
            " ".join(word(number) for number in words),
            (vector / np.linalg.norm(vector)).astype(np.float32),
        )


def nearest(vectors: Vectors, vector: Vectors, rows: Any = None) -> set[int]:
    """Return the ten nearest rows."""
    scores = vectors @ vector
    if rows is not None:
        scores = np.where(rows, scores, -2)
    return set(np.argpartition(-scores, 10)[:10].tolist())


def report(
    name: str,
    index: Index,
    parts: list[Part],
    vectors: Vectors,
    queries: list[tuple[str, Vectors]],
    exact: list[set[int]],
) -> None:
    """Build, ask, and print what it took."""
    entries = {
        "model": "made up",
        "dimension": DIMENSION,
        "splitter": {},
        "sources": {part.document.uri: part.document.sha256 for part in parts},
        "skipped": (),
        "skipped_hashes": {},
        "stats": {},
        "counts": {"sources": len(parts), "passages": len(vectors)},
        "report": {},
    }
    began = time.perf_counter()
    with index.lock():
        index.publish(parts, vectors, entries, datetime.now(UTC), 1, None)
    print(f"{name}\n  build               {time.perf_counter() - began:8.1f} s")
    for fact, value in index.facts().items():
        print(f"  {fact:<10} {value}")
    store = index.open()
    some = tuple(part.document.uri for part in parts[:: round(1 / SHARE)])
    chosen = np.isin(np.arange(len(vectors)) // PASSAGES_A_SOURCE % round(1 / SHARE), [0])
    within = [nearest(vectors, vector, chosen) for _, vector in queries]
    for title, allowed, truth in (
        ("", None, exact),
        (f", {SHARE:.0%} allowed", Allowed(some), within),
    ):
        found = [
            {entry.row for entry in store.dense(vector, LIMIT, allowed)[:10]}
            for _, vector in queries
        ]
        recall = np.mean([len(a & b) / 10 for a, b in zip(found, truth, strict=True)])
        print(f"  recall@10{title:<14} {recall:.3f}", flush=True)
        searches: dict[str, Callable[[int], object]] = {
            "dense": lambda place, a=allowed: store.dense(queries[place][1], LIMIT, a),
            "lexical": lambda place, a=allowed: store.lexical(queries[place][0], LIMIT, a),
            "both, fetched": lambda place, a=allowed: both(store, *queries[place], a),
        }
        for kind, search in searches.items():
            for clients in (1, 4):
                taken, rate = timed(search, clients)
                half, most = np.percentile(taken, (50, 95)) * 1000
                print(
                    f"  {kind + title:<25} {clients} client{'s' if clients > 1 else ' '} "
                    f"p50 {half:7.1f} ms, p95 {most:7.1f} ms, {rate:6.0f} a second"
                )
    store.close()


def both(store: Generation, question: str, vector: Vectors, allowed: Allowed | None) -> None:
    """Do what a question does: ask both channels, fuse, fetch the best passages."""
    from qa.retrieve import retrieve

    retrieve(store, question, vector, dense_weight=0.5, candidates=LIMIT, limit=10, allowed=allowed)


def timed(search: Callable[[int], object], clients: int) -> tuple[list[float], float]:
    """Return the seconds of each search, and searches a second."""
    taken: list[float] = []

    def client(number: int) -> None:
        for place in range(number, QUERIES, clients):
            began = time.perf_counter()
            search(place)
            taken.append(time.perf_counter() - began)

    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return taken, QUERIES / (time.perf_counter() - began)


def sizes(server: Any, database: str) -> list[tuple[str, int]]:
    """Return the bytes of each table with its indexes, and of the vectors' graph."""
    return list(
        server.execute(
            database,
            "SELECT split_part(relname, '_', 1), pg_total_relation_size(oid) FROM pg_class "
            "WHERE relkind = 'r' AND relnamespace = 'qa'::regnamespace AND relname ~ '_' "
            "UNION ALL SELECT 'graph', pg_relation_size(indexrelid) FROM pg_index "
            "JOIN pg_class ON pg_class.oid = indexrelid WHERE relname ~ 'vector_idx' ORDER BY 1",
        )
    )


if __name__ == "__main__":
    main()
