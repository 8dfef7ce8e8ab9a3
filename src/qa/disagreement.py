"""Find where sources differ: sentences that do not say the same about what was asked."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

from qa.answer import cited
from qa.text import FUNCTION_WORDS, Markup, same_sentence, terms, topic_terms
from qa.types import (
    Candidate,
    Citation,
    Disagreement,
    DisagreementKind,
    Document,
    Passage,
    Sentence,
    Span,
    Store,
)
from qa.values import Value, comparable, compatible, values

#: Notices that a reply has at most.
MOST = 3
#: Least share of the words of a claim, weighted by rarity, that the sentence has that makes it.
CLAIMED = 0.5
#: Sentences that came nearest to the question, of which one is to be in a dispute.
FOREMOST = 8
#: How well a claim must cover the question, as a share of how well the answer does: where one of
#: the two sentences is among the foremost, and where neither is.
AT_ISSUE, AT_ISSUE_BESIDE = 0.3, 0.5
#: The same, where the claim has a single word of the question.
AT_ISSUE_BY_ONE = 0.6
#: Where neither is: least share of the claim, and of what is held against it, in the answer.
ECHOED, ECHOED_AGAINST = 0.33, 0.15
#: Two sentences state the same thing when they share so much of the shorter, and of the longer.
SAME_OF_SHORTER, SAME_OF_LONGER = 0.6, 0.4
#: A sentence that denies another has nearly all its words.
SAME_DENIED = 0.8
#: How well the other sentence must cover the question, as a share of how well the answer does.
AS_RELEVANT = 0.8
#: Stems are the same word when so many of their first letters are.
_PREFIX = 7
#: Sentences of which it is kept what was read in them.
_REMEMBERED = 20_000


@dataclass(frozen=True, slots=True)
class Statement:
    """A sentence in its place."""

    passage: Passage
    sentence: Sentence

    @property
    def words(self) -> frozenset[str]:
        """Return the stems of the words that carry its meaning."""
        return content_words(self.sentence.plain)

    @property
    def key(self) -> tuple[str, int]:
        """Identify the statement by its place."""
        return self.passage.uri, self.sentence.start


@dataclass(frozen=True, slots=True)
class Finding:
    """Two statements of different sources that differ, with the spans of their plain texts."""

    kind: DisagreementKind
    statements: tuple[Statement, Statement]
    spans: tuple[tuple[Span, ...], tuple[Span, ...]]


@lru_cache(_REMEMBERED)
def content_words(text: str) -> frozenset[str]:
    """Return the stems of the words of a text that are not function words."""
    return frozenset(
        term.text
        for term in terms(text)
        if text[term.start : term.end].casefold() not in FUNCTION_WORDS
    )


def disagreements(
    store: Store,
    question: str,
    groups: Sequence[Sequence[Candidate]],
    candidates: Sequence[Candidate],
    citations: Sequence[Citation],
    passages: Iterable[Passage],
    nearest: Callable[[str], Sequence[Passage]],
) -> tuple[Disagreement, ...]:
    """Return where sources differ on what was asked, each pair quoted side by side.

    :param groups: the sentences of the answer, as `answer.choose` returns them.
    :param candidates: the sentences that were scored, best first.
    :param citations: those of the answer, in the same order.
    :param passages: in which to look; those near the answer's sentences are looked into as well.
    :param nearest: returns the passages whose words come nearest to a text.
    :raises CitationMismatch: if a document does not have a passage's text at its offsets.
    """
    if not groups:
        return ()
    answer = [Statement(group[0].hit.passage, group[0].sentence) for group in groups]
    near = (passage for found in answer for passage in nearest(found.sentence.plain))
    foremost = [Statement(found.hit.passage, found.sentence) for found in candidates[:FOREMOST]]
    found = find(store, question, answer, foremost, [*passages, *near], nearest)
    numbers = {(made.uri, made.start): made.number for made in citations}
    for finding in found:
        for entry in finding.statements:
            numbers.setdefault(entry.key, len(numbers) + 1)
    return tuple(_quoted(store, finding, numbers) for finding in found)


def _quoted(store: Store, finding: Finding, numbers: Mapping[tuple[str, int], int]) -> Disagreement:
    sides = []
    for entry, spans in zip(finding.statements, finding.spans, strict=True):
        document = store.document(entry.passage.uri)
        citation = cited(numbers[entry.key], document, entry.passage, entry.sentence)
        sides.append((citation, tuple(_in_quote(document, entry.sentence, span) for span in spans)))
    (newer, of_newer), (older, of_older) = sorted(
        sides, key=lambda side: side[0].date or "", reverse=True
    )
    return Disagreement(finding.kind, (newer, older), (of_newer, of_older))


def _in_quote(document: Document, sentence: Sentence, span: Span) -> Span:
    """Return where a span of a sentence's plain text stands in its quote."""
    offsets = Markup(document.text, document.marks).plain(sentence.start, sentence.end).offsets
    return offsets[span[0]] - sentence.start, offsets[span[1] - 1] + 1 - sentence.start


def find(
    store: Store,
    question: str,
    answer: Sequence[Statement],
    foremost: Sequence[Statement],
    passages: Iterable[Passage],
    nearest: Callable[[str], Sequence[Passage]],
) -> list[Finding]:
    """Return where sources differ on what was asked, the surest first.

    :param foremost: the sentences that came nearest to the question, quoted or not.
    """
    distinct = {(passage.uri, passage.start): passage for passage in passages}
    considered = [
        Statement(passage, sentence)
        for passage in distinct.values()
        for sentence in passage.sentences
    ]
    case = _Case(store, question, answer, foremost, considered, nearest)
    kept: dict[object, Finding] = {}
    for finding in _disputes(case):  # one for each claim
        kept.setdefault(same_sentence(finding.statements[1].sentence.plain), finding)
    for finding in (*_denials(case), *_differing_values(case)):  # one for each pair
        pair = (same_sentence(entry.sentence.plain) for entry in finding.statements)
        kept.setdefault(frozenset(pair), finding)
    return list(kept.values())[:MOST]


class _Case:
    """A question with its answer, and the weights of words, looked up once."""

    def __init__(
        self,
        store: Store,
        question: str,
        answer: Sequence[Statement],
        foremost: Sequence[Statement],
        considered: Sequence[Statement],
        nearest: Callable[[str], Sequence[Passage]],
    ) -> None:
        self.store = store
        self.question = question
        self.answer = answer
        self.considered = considered
        self.nearest = nearest
        self.quoted = {found.key for found in answer}
        self.foremost = self.quoted | {found.key for found in foremost}
        self.echo = frozenset().union(*(found.words for found in answer))
        self._rarity: dict[str, float] = {}
        self._asked = frozenset(topic_terms(question))
        self._best = max((self._covered(found.words) for found in answer), default=0.0)

    def weight(self, words: Iterable[str]) -> float:
        """Return the sum of the rarities of words."""
        words = sorted(words)
        unknown = [word for word in words if word not in self._rarity]
        self._rarity.update(zip(unknown, self.store.rarities(unknown), strict=True))
        return sum(self._rarity[word] for word in words)

    def share(self, words: Iterable[str], of: frozenset[str]) -> float:
        """Return how much of a set of words is among others, 0 to 1."""
        total = self.weight(of)
        return self.weight(_shared(of, words)) / total if total else 0.0

    def relevance(self, words: frozenset[str]) -> float:
        """Return how well words cover the question, as a share of how well the answer does."""
        return self._covered(words) / self._best if self._best else 0.0

    def asks_about(self, claim: frozenset[str]) -> bool:
        """Say whether a claim is what was asked: one word alone must say most of it."""
        least = AT_ISSUE if len(_shared(self._asked, claim)) > 1 else AT_ISSUE_BY_ONE
        return self.relevance(claim) >= least

    def as_relevant(self, one: Statement, other: Statement) -> bool:
        """Say whether the other statement is about what was asked as much as the one is."""
        return self.relevance(other.words) >= AS_RELEVANT * self.relevance(one.words)

    def _covered(self, words: frozenset[str]) -> float:
        return self.weight(_shared(self._asked, words))


def _shared(words: Iterable[str], others: Iterable[str]) -> set[str]:
    """Return the words that are among others, "intensifi" and "intensif" being the same."""
    begun = {other[:_PREFIX] for other in others}
    return {word for word in words if word[:_PREFIX] in begun}


# disputes: one source says of another, or of what another says, that it is not so

_NOUN = r"(?:article|report|paper|study|brief|briefing|memo|statement|survey|analysis|book|post)"
#: "The 2025 article says", "the report's words"; the word that follows belongs to it.
_REFERENCE = re.compile(
    rf"\b(?:the|this|that)\s+(?:\d{{4}}\s+)?{_NOUN}(?:['’]s|\s+[\"“][^\"”]*[\"”],?)?(?:\s+\w+)?",
    re.IGNORECASE,
)
_CONTRAST = re.compile(r"[,;]?\s(?:while|whereas|but|although|though|however|yet)\s", re.IGNORECASE)
_CONCESSION = re.compile(r"(?:while|whereas|although|though)\s", re.IGNORECASE)
_DENIAL = re.compile(
    r"\b(?:disputed|contradicted|refuted|unconfirmed|unsupported|inaccurate|incorrect|wrong|wrongly"
    r"|mistaken|outdated|out of date|only part|neither|nor|not|no|never"
    r"|(?:earlier|later|more|less|fewer|higher|lower) than)\b",
    re.IGNORECASE,
)
_AGREEMENT = re.compile(
    r"(?<!not )(?<!not be )(?<!never )\b(?:confirmed|correct|accurate|supported|agrees?"
    r"|bears? out|borne out|confirms? (?:the|this|that)|in line with|consistent with)\b",
    re.IGNORECASE,
)
_NO_SOURCE = re.compile(
    r"\bno (?:\w+ ){0,2}?(?:source|evidence|record|proof|confirmation)s? (?:for|of|that) "
    r"(?P<claim>.+?)"
    r"(?=,|;|\.$|$| (?:was|were|is|are|has been|have been|could be) (?:found|seen)\b)",
    re.IGNORECASE,
)
_UNCONFIRMED = re.compile(
    r"^(?P<claim>.+?) (?:is|are|was|were|has been|have been|remains?|could|can) (?:\w+ )?"
    r"(?:unconfirmed|unverified|(?:not|never) (?:be |been )?(?:confirmed|verified))\b",
    re.IGNORECASE,
)
#: What every sentence has that one of these patterns may fit.
_HINT = re.compile(rf"\b{_NOUN}\b|\bno\b|confirmed|verified", re.IGNORECASE)
#: Where a clause ends.
_CLAUSE = re.compile(
    r"[,;:]\s|\s(?:while|whereas|but|although|though)\s"
    r"|\s(?:is|are|was|were) (?=disputed|outdated|out of date|found in no|wrong|incorrect|not )",
    re.IGNORECASE,
)
#: A section in which a source says where others differ.
_SECTION = re.compile(r"\b(?:differ|disagree|disput|discrepan|contradict|conflicting)", re.I)
_ENDING = " .!?…;:,"


@dataclass(frozen=True, slots=True)
class _Dispute:
    """A statement that says of a claim that it is not so."""

    statement: Statement
    claim: frozenset[str]
    #: of the plain text: what is held against the claim
    against: Span
    #: whether it speaks of another source, which must then be the one that makes the claim
    named: bool
    #: whether it says so itself, or only stands after the report of a claim
    outright: bool


def _disputes(case: _Case) -> Iterator[Finding]:
    found = [
        (case.relevance(dispute.claim), dispute)
        for dispute in _stated(case.considered)
        if case.asks_about(dispute.claim)
    ]
    found.sort(key=lambda entry: (entry[1].statement.key not in case.quoted, -entry[0]))
    for relevance, dispute in found:
        disputed = _claimant(case, dispute)
        if disputed and _at_issue(case, dispute, disputed, relevance):
            claimed = _reach(disputed.sentence.plain, dispute.claim)
            spans = ((dispute.against,), (claimed,))
            yield Finding("claim", (dispute.statement, disputed), spans)


def _at_issue(case: _Case, dispute: _Dispute, disputed: Statement, relevance: float) -> bool:
    """Say whether a dispute whose claim is what was asked is one about the answer."""
    keys = {dispute.statement.key, disputed.key}
    if not dispute.outright:
        return dispute.statement.key in case.foremost
    if keys & case.foremost:
        return True
    against = dispute.statement.words - dispute.claim
    return (
        relevance >= AT_ISSUE_BESIDE
        and keys <= {found.key for found in case.considered}
        and case.share(case.echo, dispute.claim) >= ECHOED
        and case.share(case.echo, against) >= ECHOED_AGAINST
    )


@dataclass(frozen=True, slots=True)
class _Reading:
    """What a sentence says of a claim that is not its own."""

    #: the words of the claim
    claim: frozenset[str]
    #: of the plain text: what is held against it, None where the sentence only reports it
    against: Span | None
    #: whether another source is named as the one that makes it
    named: bool


@lru_cache(_REMEMBERED)
def _read(plain: str) -> _Reading | None:
    """Read a sentence for a claim of another source; None where it has none, or agrees."""
    if not _HINT.search(plain) or _AGREEMENT.search(plain):
        return None
    reference = _REFERENCE.search(plain)
    if denied := _NO_SOURCE.search(plain) or _UNCONFIRMED.search(plain):
        return _Reading(content_words(denied["claim"]), _body(plain), bool(reference))
    if not reference:
        return None
    claim, end = _claim(plain, reference)
    return _Reading(claim, _against(plain, end), True)


def _stated(statements: Sequence[Statement]) -> Iterator[_Dispute]:
    """Yield the statements that dispute a claim.

    Where a section is about what differs, a sentence that follows the mere report of a claim
    disputes it, too.
    """
    before: Statement | None = None
    reported: _Reading | None = None
    for found in statements:
        plain = found.sentence.plain
        reading = _read(plain)
        if reading and reading.against:
            yield _Dispute(found, reading.claim, reading.against, reading.named, True)
        elif before and reported and _follows(before, found) and not _AGREEMENT.search(plain):
            yield _Dispute(found, reported.claim, _body(plain), True, False)
        before = found
        reported = reading if reading and not reading.against else None


def _follows(one: Statement, other: Statement) -> bool:
    """Say whether a statement comes next in the same passage, in a section about differences."""
    sentences = one.passage.sentences
    return (
        one.passage == other.passage
        and sentences.index(one.sentence) + 1 == sentences.index(other.sentence)
        and any(_SECTION.search(heading) for heading in one.passage.section)
    )


def _claim(plain: str, reference: re.Match[str]) -> tuple[frozenset[str], int]:
    """Return the words of the claim that a sentence reports of another source, and where it ends.

    "The $330 billion in the article" names it before, "the article says that" after.
    """
    ends = [found.end() for found in _CLAUSE.finditer(plain) if found.end() <= reference.start()]
    words = content_words(plain[ends[-1] if ends else 0 : reference.start()])
    if words:
        return words, reference.end()
    clause = _CLAUSE.search(plain, reference.end())
    end = clause.start() if clause else len(plain)
    return content_words(plain[reference.end() : end]), end


def _against(plain: str, start: int) -> Span | None:
    """Return what a sentence holds against the claim that ends at `start`, None where nothing."""
    end = _body(plain)[1]
    if _CONCESSION.match(plain):
        start += len(plain[start:]) - len(plain[start:].lstrip(_ENDING))
    elif contrast := _CONTRAST.search(plain, start):
        start = contrast.end()
    elif denial := _DENIAL.search(plain, start):
        start = denial.start()
    else:
        return None
    return (start, end) if start < end else None


def _body(plain: str) -> Span:
    return 0, len(plain.rstrip(_ENDING))


def _claimant(case: _Case, dispute: _Dispute) -> Statement | None:
    """Return the statement of another source that makes the claim, if there is one."""
    near = (
        Statement(passage, sentence)
        for passage in case.nearest(" ".join(sorted(dispute.claim)))
        for sentence in passage.sentences
    )
    shares = {
        found.key: (case.share(found.words, dispute.claim), found)
        for found in (*case.considered, *near)
        if found.passage.uri != dispute.statement.passage.uri
        and len(_shared(dispute.claim, found.words)) > 1
        and not _read(found.sentence.plain)
    }
    ordered = sorted(shares.values(), key=lambda entry: (-entry[0], entry[1].key))
    for share, found in ordered:
        if share < CLAIMED:
            return None
        if not dispute.named or _names(case, dispute.statement, found):
            return found
    return None


def _names(case: _Case, one: Statement, other: Statement) -> bool:
    """Say whether the source of one statement names the source of the other by its title."""
    text = same_sentence(case.store.document(one.passage.uri).text)
    title = re.escape(same_sentence(other.passage.title))
    return bool(re.search(rf'(?:"|\b{_NOUN} ){title}\b', text))


def _reach(plain: str, words: frozenset[str]) -> Span:
    """Return the shortest span of a text that has all the words that it shares with others."""
    found = [term for term in terms(plain) if _shared([term.text], words)]
    wanted = {term.text for term in found}
    spans = [
        (first.start, found[last].end)
        for place, first in enumerate(found)
        for last in range(place, len(found))
        if {term.text for term in found[place : last + 1]} == wanted
    ]
    return min(spans, key=lambda span: (span[1] - span[0], span))


# denials: one source says with "not" what another says without

_NEGATION = re.compile(
    r"\b(?:not|never|neither|no)\b(?! (?:only|until|longer|later|more|fewer|less|just|yet)\b)"
    r"|n['’]t\b",
    re.IGNORECASE,
)


def _denials(case: _Case) -> Iterator[Finding]:
    for one, other in _rivals(case):
        negations = _negations(one.sentence.plain), _negations(other.sentence.plain)
        if (
            bool(negations[0]) != bool(negations[1])
            and case.share(one.words, other.words) >= SAME_DENIED
            and case.share(other.words, one.words) >= SAME_DENIED
            and case.as_relevant(one, other)
        ):
            yield Finding("claim", (one, other), negations)


@lru_cache(_REMEMBERED)
def _negations(plain: str) -> tuple[Span, ...]:
    return tuple(found.span() for found in _NEGATION.finditer(plain))


def _rivals(case: _Case) -> Iterator[tuple[Statement, Statement]]:
    """Yield each sentence of the answer with those of other sources that speak for themselves."""
    for one, other in product(case.answer, case.considered):
        if (
            one.passage.uri != other.passage.uri
            and not _turns(one.sentence.plain)
            and not _turns(other.sentence.plain)
        ):
            yield one, other


def _turns(plain: str) -> bool:
    """Say whether a sentence holds something against a claim of another source."""
    reading = _read(plain)
    return bool(reading and reading.against)


# values: two sources give different quantities or dates

_ASKS = {
    "date": re.compile(r"\b(?:when|(?:what|which) (?:year|day|date|month)|date of)\b", re.I),
    "quantity": re.compile(
        r"\bhow (?:many|much|long|large|big|small|high|low|tall|far|old|often|deep|wide|heavy|fast"
        r"|hot|cold|strong|few)\b"
        r"|\b(?:number|share|percentage|percent|price|cost|amount|size|figure|total|rate|population"
        r"|length|height|depth|width|weight|salary|budget|temperature|distance|value|sum|age|speed"
        r"|area|capacity|revenue|turnover|profit|fee|limit|duration|deadline)\b",
        re.IGNORECASE,
    ),
}
_NAME = re.compile(r"\b[A-Z][\w’'-]*")


def _differing_values(case: _Case) -> Iterator[Finding]:
    kinds: list[DisagreementKind] = ["date", "quantity"]
    asked = next((kind for kind in kinds if _ASKS[kind].search(case.question)), None)
    if not asked:
        return
    for one, other in _rivals(case):
        given = _values(one.sentence.plain), _values(other.sentence.plain)
        pair = _conflict(asked, *given)
        if pair and _same_thing(case, one, other, *given) and case.as_relevant(one, other):
            spans = tuple(((value.start, value.end),) for value in pair)
            yield Finding(asked, (one, other), (spans[0], spans[1]))


@lru_cache(_REMEMBERED)
def _values(plain: str) -> tuple[Value, ...]:
    return tuple(values(plain))


def _conflict(
    kind: DisagreementKind, ones: Sequence[Value], others: Sequence[Value]
) -> tuple[Value, Value] | None:
    """Return the one value of each side that cannot be right together with the other's.

    None where a side has several that might be meant, or where the two speak of different times.
    """
    if kind == "quantity" and not _same_time(ones, others):
        return None
    pairs = [
        (one, other)
        for one, other in product(ones, others)
        if one.kind == kind and comparable(one, other)
    ]
    if len(pairs) != 1 or compatible(*pairs[0]):
        return None
    return pairs[0]


def _same_time(ones: Sequence[Value], others: Sequence[Value]) -> bool:
    """Say whether two sets of values name the same times, or none."""
    days, other_days = ([v for v in side if v.kind == "date"] for side in (ones, others))
    return bool(days) == bool(other_days) and all(
        any(compatible(day, other) for other in against)
        for side, against in ((days, other_days), (other_days, days))
        for day in side
    )


def _same_thing(
    case: _Case, one: Statement, other: Statement, ones: Sequence[Value], others: Sequence[Value]
) -> bool:
    """Say whether two sentences, their values aside, state the same about the same thing."""
    frames = _frame(one, ones), _frame(other, others)
    shares = case.share(frames[0], frames[1]), case.share(frames[1], frames[0])
    names = [frozenset(_NAME.findall(entry.sentence.plain)) for entry in (one, other)]
    strange = [
        content_words(" ".join(mine)) - content_words(" ".join(theirs))
        for mine, theirs in (names, reversed(names))
    ]
    return max(shares) >= SAME_OF_SHORTER and min(shares) >= SAME_OF_LONGER and not all(strange)


def _frame(found: Statement, given: Sequence[Value]) -> frozenset[str]:
    """Return the words of a statement without those of its values."""
    plain = found.sentence.plain
    for value in given:
        plain = plain[: value.start] + " " * (value.end - value.start) + plain[value.end :]
    return content_words(plain)
