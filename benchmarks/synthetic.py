"""Make a corpus of any size, already embedded: texts of made-up words, vectors like real ones.

Embedding a million passages takes hours; looking for one among a million can be measured without.
Words are drawn as they are in real texts (Zipf's law). A vector is that of a real sentence, moved
by the difference of two others, plus a little noise: so vectors keep to the few directions that
real ones have, and are about as near to each other. The same number gives the same corpus.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from qa.config import Settings
from qa.ingest import splitter_settings, walk
from qa.readers import read
from qa.splitter import split
from qa.stores import generation, local
from qa.stores.records import Part, Records
from qa.types import Document, Encoder, Passage, Sentence, Vectors

ROOT = Path(__file__).parents[1]
QUESTION_FILES = ("corpus.jsonl", "hard.jsonl")

WORDS = 100_000
PASSAGES_OF_A_DOCUMENT = 20
#: sentences of a passage, words of a sentence: at least, and less than
SENTENCES, LENGTHS = (4, 8), (10, 25)
#: The commonest words stand for those that carry no topic, and are in no question.
COMMON = 150
QUESTION_WORDS = 5
#: How far vectors of passages and of questions are moved, least and most.
PASSAGE_MOVES, QUESTION_MOVES, NOISE = (0.6, 1.0), (0.2, 0.4), 0.3
_AT_ONCE = 50_000
_SYLLABLES = [consonant + vowel for vowel in "aeiou" for consonant in "bcdfghjklmnprst"]


@dataclass(frozen=True, slots=True)
class Sample:
    """Vectors of real sentences and questions, shape (rows, dimension)."""

    sentences: Vectors
    questions: Vectors


@dataclass(frozen=True, slots=True)
class Question:
    """A made-up question with a vector like that of a real one."""

    text: str
    vector: Vectors


def sample(encoder: Encoder) -> Sample:
    """Embed the sentences of the shipped corpus, and the questions on it."""
    texts = set()
    for uri, path in walk(ROOT / "corpus", ROOT / "index"):
        document = read(uri, path.read_bytes())
        for passage in split(document, encoder.max_tokens - 2, encoder.count):
            texts |= {sentence.plain for sentence in passage.sentences}
    questions = [
        json.loads(line)["question"]
        for name in QUESTION_FILES
        for line in (ROOT / "tests" / "questions" / name).read_text(encoding="utf-8").splitlines()
    ]
    return Sample(encoder.encode(sorted(texts)), encoder.encode(questions))


def words() -> list[str]:
    """Return made-up words, the commonest and shortest first."""
    base = len(_SYLLABLES)
    found = []
    for number in range(WORDS):
        syllables = []
        while number >= 0:
            syllables.append(_SYLLABLES[number % base])
            number = number // base - 1
        found.append("".join(syllables))
    return found


class Corpus:
    """Documents of made-up passages; gone through as often as one likes."""

    def __init__(self, count: int) -> None:
        #: of passages
        self.count = count
        self._words = words()
        rarity = 1 / (np.arange(WORDS) + 2.7)  # Zipf's law as Mandelbrot wrote it
        self._reach = np.cumsum(rarity) / rarity.sum()

    def __iter__(self) -> Iterator[Part]:
        for number in range(-(-self.count // PASSAGES_OF_A_DOCUMENT)):
            yield self.part(number)

    def part(self, number: int) -> Part:
        """Make one document."""
        random = np.random.default_rng([0, number])
        left = self.count - number * PASSAGES_OF_A_DOCUMENT
        uri, title = f"{number // 1000:04}/{number:07}.txt", f"Document {number}"
        passages = []
        start = 0
        for _ in range(min(left, PASSAGES_OF_A_DOCUMENT)):
            passages.append(self._passage(uri, title, start, 2 * len(passages) + 1, random))
            start = passages[-1].end + 2
        text = "\n\n".join(passage.text for passage in passages)
        document = Document(uri, title, None, hashlib.sha256(text.encode()).hexdigest(), text)
        keys = [hashlib.sha256(passage.plain.encode()).hexdigest()[:32] for passage in passages]
        return Part(document, passages, keys)

    def question(self, row: int) -> str:
        """Ask with rarer words of a passage."""
        part = self.part(row // PASSAGES_OF_A_DOCUMENT)
        text = part.passages[row % PASSAGES_OF_A_DOCUMENT].plain
        common = set(self._words[:COMMON])
        rarer = [word for word in text.lower().replace(".", "").split() if word not in common]
        step = max(1, len(rarer) // QUESTION_WORDS)
        return f"What is {' '.join(rarer[::step][:QUESTION_WORDS])}?"

    def _passage(
        self, uri: str, title: str, start: int, line: int, random: np.random.Generator
    ) -> Passage:
        lengths = random.integers(*LENGTHS, size=random.integers(*SENTENCES))
        ranks = np.searchsorted(self._reach, random.random(int(lengths.sum()))).tolist()
        drawn = [self._words[rank] for rank in ranks]
        sentences = []
        place = start
        for first, last in pairwise([0, *np.cumsum(lengths).tolist()]):
            plain = " ".join(drawn[first:last]).capitalize() + "."
            sentences.append(Sentence(place, place + len(plain), plain))
            place += len(plain) + 1
        text = " ".join(sentence.plain for sentence in sentences)
        end = start + len(text)
        return Passage(uri, title, start, end, text, text, (), line, None, tuple(sentences))


def moved(
    base: Vectors,
    around: Vectors,
    count: int,
    moves: tuple[float, float],
    noise: float,
    random: np.random.Generator,
) -> Vectors:
    """Return unit vectors, shape (count, dimension): those of `base`, moved."""
    first, second, third = (random.integers(0, len(rows), count) for rows in (base, around, around))
    far = random.uniform(*moves, (count, 1)).astype(np.float32)
    found = base[first] + far * (around[second] - around[third])
    found += noise / np.sqrt(base.shape[1]) * random.standard_normal(found.shape, np.float32)
    unit: Vectors = (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)
    return unit


def write_vectors(path: Path, count: int, drawn: Sample) -> NDArray[np.float32]:
    """Make a vector for every passage, in a file that is mapped, shape (count, dimension)."""
    shape = (count, drawn.sentences.shape[1])
    mapped = np.memmap(path, dtype=np.float32, mode="w+", shape=shape)
    random = np.random.default_rng(1)
    for start in range(0, count, _AT_ONCE):
        size = min(_AT_ONCE, count - start)
        mapped[start : start + size] = moved(
            drawn.sentences, drawn.sentences, size, PASSAGE_MOVES, NOISE, random
        )
    mapped.flush()
    return mapped


def questions(count: int, corpus: Corpus, drawn: Sample) -> list[Question]:
    """Make questions on a corpus."""
    random = np.random.default_rng(2)
    rows = random.integers(0, corpus.count, count).tolist()
    vectors = moved(drawn.questions, drawn.sentences, count, QUESTION_MOVES, 0.0, random)
    return [
        Question(corpus.question(row), vector) for row, vector in zip(rows, vectors, strict=True)
    ]


def publish(settings: Settings, corpus: Corpus, vectors: Vectors, encoder: Encoder) -> str:
    """Write the corpus as a generation of an index, and return its id."""
    with generation.lock(settings.index), generation.building(settings.index) as folder:
        local.write(folder, corpus, vectors)
        written = Records(folder)
        sources = {source.uri: source.sha256 for source in written.sources()}
        written.close()
        entries = {
            "model": encoder.name,
            "dimension": encoder.dimension,
            "splitter": splitter_settings(settings),
            "sources": sources,
            "skipped": (),
            "skipped_hashes": {},
            "stats": {},
            "counts": {"sources": len(sources), "passages": corpus.count},
            "report": {},
        }
        return generation.publish(
            settings.index, folder, entries, datetime.now(UTC), keep=1, verify=local.verify
        )
