from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from qa.answer import MARGIN, SENTENCES, check, choose, cite, link, rank, references
from qa.errors import CitationMismatch
from qa.types import Candidate, Citation, Document, Hit, Mark, Passage, Sentence

TEXT = "# Metals\r\n\r\nGold *melts*[^1] at 1,064 degrees.[^2]\r\nLead does at 327. Gold melts.\r\n"
DOCUMENT = Document(
    "metals 1/ü.md",
    "Metals",
    "2024-02-29",
    "ab" * 32,
    TEXT,
    (
        Mark(24, 28, "footnote", "Atlas, 2019."),
        Mark(46, 50, "footnote", "Chart."),
        Mark(46, 50, "footnote", "Atlas, 2019."),
    ),
)


class Shelf:
    """A store of documents, and of nothing else."""

    def __init__(self, *documents: Document) -> None:
        self.documents = {document.uri: document for document in documents}

    def document(self, uri: str) -> Document:
        return self.documents[uri]


def passage(text: str = TEXT, uri: str = DOCUMENT.uri, start: int = 0) -> Passage:
    return Passage(uri, "Metals", start, start + len(text), text, text, ("Metals",), 1, None, ())


def candidate(
    quote: str, score: float = 1.0, plain: str = "", found_in: Passage | None = None, row: int = 0
) -> Candidate:
    found_in = found_in or passage()
    start = found_in.start + found_in.text.index(quote)
    sentence = Sentence(start, start + len(quote), plain or quote)
    return Candidate(Hit(row, found_in, 0.5, 0.5, 1.0, {}), sentence, score, 0.5, 0.5)


# choosing


def chosen(candidates: Sequence[Candidate]) -> list[list[str]]:
    return [[found.sentence.plain for found in group] for group in choose(candidates)]


def test_the_best_sentence_comes_first() -> None:
    text = "One. Two. Three. Four."
    one = passage(text, "a")
    other = passage("Five.", "b")
    assert chosen(
        [
            candidate("Three.", 1.0, found_in=one),
            candidate("Five.", 0.99, found_in=other),
            candidate("One.", 0.98, found_in=one),
            candidate("Two.", 0.97, found_in=one),
        ]
    ) == [["Three."], ["Five."], ["One."]]


@pytest.mark.parametrize(
    ("scores", "kept"),
    [
        ([1.0], 1),
        ([1.0, 1.0 - MARGIN / 2], 2),
        ([1.0, 1.0 - MARGIN * 2], 1),
        ([1.0, 0.99, 0.98, 0.97], SENTENCES),
        ([], 0),
    ],
)
def test_only_what_comes_near_the_best_is_added(scores: list[float], kept: int) -> None:
    names = ["One.", "Two.", "Three.", "Four."]
    text = passage(" ".join(names), "a")
    found = choose(
        [candidate(name, score, found_in=text) for name, score in zip(names, scores, strict=False)]
    )
    assert len(found) == kept


def test_the_same_sentence_is_quoted_once_and_named_elsewhere() -> None:
    found = [
        candidate("Gold melts.", 1.0, found_in=passage("Gold melts.", "a")),
        candidate("GOLD  melts.", 0.5, found_in=passage("GOLD  melts.", "b")),
        candidate("Gold melts.", 0.1, found_in=passage("Lead. Gold melts.", "c")),
    ]
    (group,) = choose(found)
    assert group == found
    documents = [
        Document(found.hit.passage.uri, "", None, "", found.hit.passage.text) for found in group
    ]
    _, (citation,) = cite(Shelf(*documents), [group])
    assert [(place.uri, place.start, place.end) for place in citation.also] == [
        ("b", 0, 12),
        ("c", 6, 17),
    ]


# citing


def test_a_citation() -> None:
    quote = "Gold *melts*[^1] at 1,064 degrees.[^2]"
    (sentence,), (citation,) = cite(
        Shelf(DOCUMENT),
        [[candidate(quote, plain="Gold melts at 1,064 degrees.")]],
    )
    assert (sentence.text, sentence.plain, sentence.citation) == (
        quote,
        "Gold melts at 1,064 degrees.",
        1,
    )
    assert citation == Citation(
        number=1,
        uri="metals 1/ü.md",
        title="Metals",
        date="2024-02-29",
        sha256="ab" * 32,
        start=12,
        end=50,
        quote=quote,
        section=("Metals",),
        page=None,
        line=3,
        references=("Atlas, 2019.", "Chart."),
        link="/sources/metals%201/%C3%BC.md?start=12&end=50",
        also=(),
    )
    assert DOCUMENT.text[citation.start : citation.end] == citation.quote


def test_citations_are_numbered_in_order() -> None:
    found = [[candidate("Lead does at 327.")], [candidate("Gold melts.")]]
    sentences, citations = cite(Shelf(DOCUMENT), found)
    assert [sentence.citation for sentence in sentences] == [1, 2]
    assert [(citation.number, citation.line) for citation in citations] == [(1, 4), (2, 4)]


def test_lines_end_at_a_lone_return_too() -> None:
    """Only line feeds were counted: a file with old line ends had one line."""
    document = replace(DOCUMENT, text="One.\r\rTwo.\rThree.")
    found = candidate("Three.", found_in=passage(document.text))
    _, (citation,) = cite(Shelf(document), [[found]])
    assert citation.line == 4


@pytest.mark.parametrize(
    "text",
    [TEXT.replace("Lead", "Zinc"), TEXT[1:], "", TEXT[:60]],
    ids=["word", "shift", "gone", "cut"],
)
def test_a_quote_that_is_not_in_its_document_is_never_given(text: str) -> None:
    found = candidate("Lead does at 327.")
    with pytest.raises(CitationMismatch) as caught:
        cite(Shelf(replace(DOCUMENT, text=text)), [[found]])
    assert caught.value.uri == DOCUMENT.uri
    assert (caught.value.start, caught.value.end) == (found.sentence.start, found.sentence.end)


@pytest.mark.parametrize(
    ("start", "end", "quote"),
    [(-4, -2, TEXT[-4:-2]), (3, 3, ""), (5, 3, ""), (0, 10**6, TEXT)],
    ids=["below zero", "empty", "backwards", "beyond the end"],
)
def test_offsets_must_be_a_span_of_the_text(start: int, end: int, quote: str) -> None:
    _, (citation,) = cite(
        Shelf(DOCUMENT),
        [[candidate("Gold melts.")]],
    )
    check(DOCUMENT, citation)
    with pytest.raises(CitationMismatch):
        check(DOCUMENT, replace(citation, start=start, end=end, quote=quote))


@pytest.mark.parametrize(
    ("span", "found"),
    [
        ((12, 50), ("Atlas, 2019.", "Chart.")),
        ((12, 28), ("Atlas, 2019.",)),
        ((12, 27), ()),
        ((50, 70), ()),
    ],
)
def test_references(span: tuple[int, int], found: tuple[str, ...]) -> None:
    assert references(DOCUMENT, *span) == found


@pytest.mark.parametrize(
    ("uri", "address"),
    [
        ("a/b.txt", "/sources/a/b.txt?start=1&end=2"),
        ("50% & more?#.md", "/sources/50%25%20%26%20more%3F%23.md?start=1&end=2"),
        ("ü.md", "/sources/%C3%BC.md?start=1&end=2"),
    ],
)
def test_link(uri: str, address: str) -> None:
    assert link(uri, 1, 2) == address


# ranking passages


def test_passages_are_ranked_by_their_best_sentence_then_the_rest() -> None:
    def hit(row: int, score: float) -> Hit:
        found = passage("😀 Gold melts.", f"{row}")
        return Hit(row, found, score, 0.1, 0.2, {"dense": row, "lexical": None})

    hits = [hit(1, 0.9), hit(2, 0.8), hit(3, 0.7), hit(4, 0.7)]
    sentence = Sentence(2, 13, "Gold melts.")
    candidates = [
        Candidate(hits[1], sentence, 1.5, 0.75, 0.5),
        Candidate(hits[0], sentence, 1.25, -2.0, 1.0),
        Candidate(hits[1], sentence, 0.5, 0, 0),
    ]
    undated = dict.fromkeys(hit.passage.uri for hit in hits)
    ranked = rank(hits, candidates, "Does gold melt?", 3, undated)
    assert [(found.evidence, found.coverage) for found in ranked] == [
        (0.75, 0.5),
        (-2.0, 1.0),
        (None, None),  # its sentences were not scored
    ]
    assert [(found.uri, found.score) for found in ranked] == [("2", 1.5), ("1", 1.25), ("3", 0.95)]
    assert ranked[0].highlights == ((2, 6), (7, 12))
    assert ranked[0].ranks == {"dense": 2, "lexical": None}
    assert rank([], [], "Why?", 5, {}) == ()
    assert [found.uri for found in rank(hits, [], "Why?", 4, undated)] == ["1", "2", "3", "4"]
