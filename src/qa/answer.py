"""Compose an answer of quoted sentences with their citations, or say that there is none."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from urllib.parse import quote as percent_encode

from qa.errors import CitationMismatch
from qa.phrases import Phrases
from qa.text import Pages, line_ends, matches, same_sentence, topic_terms
from qa.types import (
    AnswerSentence,
    Candidate,
    Citation,
    Document,
    Hit,
    Location,
    Passage,
    RankedPassage,
    Sentence,
    Store,
)

#: Sentences an answer has at most, and how far below the best one another may score.
SENTENCES = 3
MARGIN = 3.0


def prefer(candidates: Sequence[Candidate], phrases: Sequence[str]) -> Sequence[Candidate]:
    """Return the sentences that have the most of the phrases, in the order given."""
    wanted = Phrases(phrases)
    counts = [wanted.count(found.sentence.plain) for found in candidates]
    most = max(counts, default=0)
    return [found for found, count in zip(candidates, counts, strict=True) if count == most]


def choose(candidates: Sequence[Candidate]) -> list[list[Candidate]]:
    """Choose the sentences of an answer: the best, with others that come near it.

    Each is a group: the sentence, then the same sentence elsewhere.

    :param candidates: the sentences that were scored, best first; so are the groups.
    """
    groups: dict[str, list[Candidate]] = {}
    for found in candidates:
        key = same_sentence(found.sentence.plain)
        if key in groups:
            groups[key].append(found)
        elif len(groups) < SENTENCES and found.score >= candidates[0].score - MARGIN:
            groups[key] = [found]
    return list(groups.values())


def cite(
    store: Store,
    groups: Sequence[Sequence[Candidate]],
    nearest: Callable[[str], Iterable[Passage]] = lambda plain: (),
) -> tuple[tuple[AnswerSentence, ...], tuple[Citation, ...]]:
    """Quote each group's sentence from its document.

    :param nearest: returns the passages in which a copy of a sentence is looked for as well.
    :raises CitationMismatch: if the document does not have the passage's text at its offsets.
    """
    sentences = []
    citations = []
    for number, group in enumerate(groups, 1):
        found = group[0]
        also = copies(group, nearest(found.sentence.plain))
        document = store.document(found.hit.passage.uri)
        citation = cited(number, document, found.hit.passage, found.sentence, also)
        citations.append(citation)
        sentences.append(AnswerSentence(citation.quote, found.sentence.plain, number))
    return tuple(sentences), tuple(citations)


def copies(group: Sequence[Candidate], passages: Iterable[Passage]) -> tuple[Location, ...]:
    """Return where else the sentence of a group stands: in the group, and in other passages."""
    first = _location(group[0].hit.passage, group[0].sentence)
    same = same_sentence(group[0].sentence.plain)
    found = [_location(other.hit.passage, other.sentence) for other in group[1:]] + [
        _location(passage, sentence)
        for passage in passages
        for sentence in passage.sentences
        if same_sentence(sentence.plain) == same
    ]
    return tuple(place for place in dict.fromkeys(found) if place != first)


def _location(passage: Passage, sentence: Sentence) -> Location:
    return Location(passage.uri, sentence.start, sentence.end)


def cited(
    number: int,
    document: Document,
    passage: Passage,
    sentence: Sentence,
    also: tuple[Location, ...] = (),
) -> Citation:
    """Quote a sentence of a passage from its document.

    :raises CitationMismatch: if the document does not have the passage's text at its offsets.
    """
    start, end = sentence.start, sentence.end
    citation = Citation(
        number=number,
        uri=document.uri,
        title=document.title,
        date=document.date,
        sha256=document.sha256,
        start=start,
        end=end,
        quote=passage.text[start - passage.start : end - passage.start],
        section=passage.section,
        page=Pages(document.marks).at(start),
        line=passage.line + line_ends(passage.text, 0, start - passage.start),
        references=references(document, start, end),
        link=link(document.uri, start, end),
        also=also,
    )
    check(document, citation)
    return citation


def check(document: Document, citation: Citation) -> None:
    """Make sure that a citation is the text at its offsets; raise CitationMismatch if not.

    No citation leaves the program without this check.
    """
    start, end = citation.start, citation.end
    inside = 0 <= start < end <= len(document.text)
    if not (inside and document.text[start:end] == citation.quote):
        raise CitationMismatch(document.uri, start, end)


def references(document: Document, start: int, end: int) -> tuple[str, ...]:
    """Return the texts of the footnotes that a span carries, each once."""
    found = (
        mark.label
        for mark in document.marks
        if mark.kind == "footnote" and start <= mark.start and mark.end <= end and mark.label
    )
    return tuple(dict.fromkeys(found))


def link(uri: str, start: int, end: int) -> str:
    """Return the address of the page that shows a source with a span marked."""
    return f"/sources/{percent_encode(uri)}?start={start}&end={end}"


def rank(
    hits: Sequence[Hit],
    candidates: Sequence[Candidate],
    question: str,
    limit: int,
    dates: Mapping[str, str | None],
) -> tuple[RankedPassage, ...]:
    """Return the best passages: those whose sentences were scored by their best one, then the rest.

    The score is that of the best sentence, else the fused one lowered below all of those.

    :param dates: of the sources of the hits.
    """
    best: dict[int, Candidate] = {}
    for found in candidates:
        if found.hit.row not in best or found.score > best[found.hit.row].score:
            best[found.hit.row] = found
    floor = min((found.score for found in best.values()), default=1.0) - 1.0
    scores = {
        hit.row: best[hit.row].score if hit.row in best else floor + min(hit.score, 1.0)
        for hit in hits
    }
    ordered = sorted(hits, key=lambda hit: (-scores[hit.row], hit.row))
    wanted = topic_terms(question)
    return tuple(
        _ranked(hit, best.get(hit.row), scores[hit.row], wanted, dates[hit.passage.uri])
        for hit in ordered[:limit]
    )


def newest_first(passages: Sequence[RankedPassage]) -> tuple[RankedPassage, ...]:
    """Order passages by date, those without one last; those of a day stay as they are."""
    return tuple(sorted(passages, key=lambda passage: passage.date or "", reverse=True))


def _ranked(
    hit: Hit, best: Candidate | None, score: float, wanted: Sequence[str], date: str | None
) -> RankedPassage:
    passage = hit.passage
    return RankedPassage(
        uri=passage.uri,
        title=passage.title,
        start=passage.start,
        end=passage.end,
        text=passage.text,
        section=passage.section,
        page=passage.page,
        line=passage.line,
        date=date,
        score=round(score, 4),
        ranks=hit.ranks,
        evidence=round(best.evidence, 4) if best else None,
        coverage=round(best.coverage, 4) if best else None,
        highlights=matches(passage.text, wanted),
    )
