"""The data that flows through the program, with the contracts of its exchangeable parts.

Every offset is 0-based, end-exclusive, in Unicode code points of `Document.text`.
Every score is higher-is-better.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: Not evaluated, so that the process that reads files needs no numpy.
Vectors: TypeAlias = "NDArray[np.float32]"
#: One number a sentence.
Scores: TypeAlias = "NDArray[np.float32]"
Span = tuple[int, int]

DisagreementKind = Literal["quantity", "date", "claim"]

MarkKind = Literal[
    "heading",  # label: its text; level: 1 is the outermost
    "block",  # a paragraph, list item or table cell: sentences never cross its border
    "row",  # a table row
    "page",  # label: the printed page number; level: 1-based; without text where it needs OCR
    "line",  # a line of a page; label: its box "x0 y0 x1 y1" in points, origin bottom left
    "syntax",  # markup; label: the characters that people see in its place
    "footnote",  # a footnote mark; label: the text of the footnote
    "hidden",  # never an answer: front matter, comments, footnote definitions
    "source",  # label: a source that the document names for itself
]


@dataclass(frozen=True, slots=True)
class Mark:
    """What a reader knows about a span of a document's text."""

    start: int
    end: int
    kind: MarkKind
    label: str = ""
    level: int = 0


@dataclass(frozen=True, slots=True)
class Document:
    """A source as text, of which every offset is an index.

    Of a text file it is the decoded file, character for character; of other formats, what their
    reader extracts.
    """

    uri: str
    title: str
    #: ISO 8601 day, or None where the source names none
    date: str | None
    #: of the file's bytes
    sha256: str
    text: str
    #: ordered by start
    marks: tuple[Mark, ...] = ()


@dataclass(frozen=True, slots=True)
class Sentence:
    """A span that may be quoted as an answer."""

    start: int
    end: int
    #: as people see it: without markup, white space folded
    plain: str


@dataclass(frozen=True, slots=True)
class Passage:
    """A span of a document that is searched as one: `text == document.text[start:end]`."""

    uri: str
    title: str
    start: int
    end: int
    text: str
    #: `text` as people see it, without its headings; empty when nothing in it is to be found
    plain: str
    #: headings above it, outermost first
    section: tuple[str, ...]
    #: 1-based line of `start`
    line: int
    #: 1-based page of `start`, None where there are none
    page: int | None
    sentences: tuple[Sentence, ...]

    @property
    def id(self) -> str:
        """Identify the passage by place, so that equal texts stay two passages."""
        return f"{self.uri}:{self.start}-{self.end}"


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """A line of the list of sources."""

    uri: str
    title: str
    date: str | None
    sha256: str
    characters: int
    passages: int


@dataclass(frozen=True, slots=True)
class SkippedSource:
    """A file that could not be indexed."""

    uri: str
    reason: str


@dataclass(frozen=True, slots=True)
class Allowed:
    """Which passages of a store may be found: those that meet every one of these.

    Phrases are compared as `qa.phrases.folded` says, and have a letter or digit each.
    """

    #: None for all
    uris: tuple[str, ...] | None = None
    #: a passage has them all in its `plain`
    phrases: tuple[str, ...] = ()
    #: and none of these
    excluded: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Scored:
    """A row of a store with its score in one channel."""

    row: int
    score: float


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage with what the channels said of it."""

    row: int
    passage: Passage
    #: fused, 0 to 1
    score: float
    #: cosine similarity to the question
    similarity: float
    #: BM25, 0 where the channel did not return it
    bm25: float
    #: 1-based rank in each channel, None where the channel did not return it
    ranks: Mapping[str, int | None]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A sentence that might answer, with its scores."""

    hit: Hit
    sentence: Sentence
    score: float
    #: log-odds that it answers, as the scorer sees it; estimated where it was too unlikely to read
    evidence: float
    #: share of the question's words that it has, weighted by rarity, 0 to 1
    coverage: float


@dataclass(frozen=True, slots=True)
class Location:
    """A place in a source."""

    uri: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Citation:
    """Where a quote stands: `quote == document.text[start:end]`, checked before it is made."""

    number: int
    uri: str
    title: str
    date: str | None
    sha256: str
    start: int
    end: int
    quote: str
    section: tuple[str, ...]
    page: int | None
    line: int
    #: the footnotes that the sentence carries, as text
    references: tuple[str, ...]
    #: the page that shows the source with the quote marked
    link: str
    #: the same sentence elsewhere
    also: tuple[Location, ...]


@dataclass(frozen=True, slots=True)
class Disagreement:
    """Two sources that do not say the same about what was asked, the newer one first."""

    #: "claim": one disputes or denies what the other says
    kind: DisagreementKind
    #: numbered as in the answer where the sentence is quoted there, else on from its last
    citations: tuple[Citation, Citation]
    #: for each citation, the spans of its quote that differ, relative to it
    spans: tuple[tuple[Span, ...], tuple[Span, ...]]


@dataclass(frozen=True, slots=True)
class AnswerSentence:
    """A sentence of an answer with the number of its citation."""

    text: str
    plain: str
    citation: int


@dataclass(frozen=True, slots=True)
class RankedPassage:
    """A passage behind an answer, or near a question that has none."""

    uri: str
    title: str
    start: int
    end: int
    text: str
    section: tuple[str, ...]
    page: int | None
    line: int
    #: of its source
    date: str | None
    score: float
    ranks: Mapping[str, int | None]
    #: log-odds that its best sentence answers, as the scorer sees it, estimated where that was too
    #: unlikely to be read; None where none of its sentences was scored
    evidence: float | None
    #: share of the question's words in its best sentence, weighted by rarity, 0 to 1
    coverage: float | None
    #: spans of `text`, relative to it, that match words of the question
    highlights: tuple[Span, ...]


#: The order of the passages of a reply.
Order = Literal["relevance", "date"]


@dataclass(frozen=True, slots=True)
class Filters:
    """What a question was narrowed by, in its own syntax and by options beside it."""

    phrases: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    #: uris, or parts of uris and titles; alternatives, in the question and again beside it
    sources: tuple[str, ...] = ()
    #: suffixes of files, without the dot; alternatives
    types: tuple[str, ...] = ()
    #: ISO 8601 days, both included
    after: str | None = None
    before: str | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """What a reader of a reply should know beside it."""

    kind: Literal["nothing_left", "newer_sources"]
    text: str
    uris: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply: quoted sentences, or none and the nearest passages."""

    question: str
    #: the stand-alone question that was searched
    interpreted: str
    answered: bool
    #: calibrated probability that the sources answer
    confidence: float
    answer: tuple[AnswerSentence, ...]
    citations: tuple[Citation, ...]
    passages: tuple[RankedPassage, ...]
    disagreements: tuple[Disagreement, ...]
    filters: Filters
    notices: tuple[Notice, ...]
    generation: str
    took_ms: float


class Encoder(Protocol):
    """Turns texts into unit vectors."""

    #: model name and hash of its files
    name: str
    dimension: int
    #: the window of the model, two special word pieces included
    max_tokens: int

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Return one unit vector per text, shape (len(texts), dimension), float32."""
        ...

    def count(self, texts: Sequence[str]) -> list[int]:
        """Count the word pieces of each text, without the special ones."""
        ...


class SentenceScorer(Protocol):
    """Says which sentences answer a question."""

    #: what its scores mean: "none" (similarity), "selector" or "cross-encoder"
    kind: str

    def score(
        self,
        question: str,
        vector: Vectors,
        passages: Sequence[Passage],
        besides: Sequence[Scores] | None = None,
    ) -> list[Scores]:
        """Return a score for each sentence of each passage, in log-odds.

        :param vector: the encoded question, shape (dimension,), unit length.
        :param besides: what is added to the scores to rank the sentences; those that cannot win
            need not be read.
        """
        ...

    def learn(self, passages: Sequence[Passage]) -> bool:
        """Prepare for some passages ahead; return whether more can be prepared."""
        ...


class Store(Protocol):
    """One immutable generation of an index."""

    generation: str

    def dense(self, vector: Vectors, limit: int, allowed: Allowed | None) -> list[Scored]:
        """Return the rows nearest to a unit vector of shape (dimension,), best first."""
        ...

    def lexical(self, question: str, limit: int, allowed: Allowed | None) -> list[Scored]:
        """Return the rows with the highest BM25, best first."""
        ...

    def similarities(self, vector: Vectors, rows: Sequence[int]) -> list[float]:
        """Return the cosine of a unit vector to each of these rows."""
        ...

    def rarities(self, terms: Sequence[str]) -> list[float]:
        """Return the inverse document frequency of each term."""
        ...

    def passages(self, rows: Sequence[int]) -> list[Passage]:
        """Return these passages in this order."""
        ...

    def document(self, uri: str) -> Document:
        """Return a source; raise UnknownSource if there is none."""
        ...

    def sources(self, uris: Sequence[str] | None = None) -> Iterator[SourceInfo]:
        """List the sources, or those of these that there are, by uri."""
        ...
