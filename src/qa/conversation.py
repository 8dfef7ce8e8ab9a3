"""Make a follow-up question stand alone, by what was asked before it.

A question is a follow-up when something in it is missing: a fragment ("and in 2025?"), a word that
points outside it ("who mediated that?"), a verb or comparative without its complement, or any name
of what it is about. A fragment takes the place of what it is parallel to in the previous question;
any other follow-up is carried by the topic of the thread, appended to it. All other questions stay
as they are.

The rules read English, and read only the questions: function words from fixed lists, names by their
capitals, dates by their form.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import takewhile

from qa.text import FUNCTION_WORDS, terms
from qa.types import Span

#: A longer interpretation is not worth more; what would be longer stays as typed.
_LONGEST = 2000
#: Most content words of a topic; of a fragment after "and", and of one without; of a question that
#: goes on with "and"; of one that names nothing, or ends in a verb of saying.
_TOPIC_WORDS = 12
_FRAGMENT_WORDS, _BARE_WORDS = 6, 3
_JOINED_WORDS, _VAGUE_WORDS = 3, 2
#: A question of more words says what it is about.
_MOST_WORDS = 40


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_WH = _words("who whom whose what which when where why how")
_BE = _words("is are was were be been 's isn't aren't wasn't weren't")
_DO = _words("do does did")
_AUXILIARIES = (
    _BE
    | _DO
    | _words(
        "don't doesn't didn't has have had hasn't haven't hadn't can can't could couldn't "
        "will won't would wouldn't shall should shouldn't may might must"
    )
)
_SUBJECTS = _words("he she they")
_PERSONAL = _SUBJECTS | _words("it him them")
_POSSESSIVE = _words("his her hers its their theirs")
_PREPOSITIONS = _words(
    "about after against among as at before behind besides between by during for from in inside "
    "into like of on over outside per since through to toward towards under until till via with "
    "within without"
)
_ARTICLES = _words("the a an")
_SUBORDINATING = _words("when if while because although though whether where whose once")
_COMPARATIVES = _words(
    "more less fewer higher lower bigger smaller larger earlier later longer shorter older newer "
    "better worse faster slower"
)
#: Verbs that need something that was said or done before, and verbs that may do without.
_REPLYING = _words(
    "reply replied react reacted respond responded answer agree agreed follow go object comment"
)
_SAYING = _words("say said think thought propose proposed")
_ORDINALS = _words("first second third fourth fifth sixth seventh eighth ninth tenth last next")
_FIRST_PERSON = _words("i i'm my me we our us mine ours")
#: What "is it ..." says of a clause that comes after it.
_OF_A_CLAUSE = _words(
    "true possible likely unlikely legal illegal known clear easy hard necessary important said "
    "allowed certain fair safe"
)
_SEEMING = _words("seems seemed appears appeared takes took turns")
#: What a question may begin with, with a capital, beside function words.
_BEGINNINGS = _words("according despite please tell give show list explain describe compare")

#: What is said to be polite.
_SMALL_TALK = _words(
    "thanks thank thx ok okay yes yeah yep no nope great good fine nice cool please sorry help "
    "hello hi hey bye goodbye"
)

_COMMON = FUNCTION_WORDS | _AUXILIARIES | _PREPOSITIONS | _ORDINALS | _BEGINNINGS

_WORD = re.compile(r"[^\W_]+(?:[-./'’&][^\W_]+)*")
_OPENER = re.compile(
    r"\s*(?:(?:and|but|or|ok|okay|yes|yeah|thanks|so|then|also)\b[\s,:]*)*"
    r"(?:(?:what|how)\s+about\b|what\s+of\b|same\s+(?:question\s+)?for\b|as\s+for\b)?[\s,:]*",
    re.IGNORECASE,
)
_JOINING = re.compile(r"\s*(?:and|but|or)\b", re.IGNORECASE)
_MONTH = (
    r"(?:January|February|March|April|May|June|July|August|September|October|November|December)"
)
_DATE = re.compile(
    rf"\b(?:(?:early|mid|late)[ -])?(?:\d{{1,2}} )?(?:{_MONTH} )?(?:19|20)\d\d(?:-\d\d(?:\d\d)?)?\b"
    rf"|\b(?:\d{{1,2}} )?{_MONTH}\b"
)
_NOW = re.compile(r"\b(?:now|today|currently|nowadays)\b", re.IGNORECASE)
_IN = re.compile(r"(?:\b(?:in|since|by|on|of|at the end of)\s+)?$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Word:
    text: str
    start: int
    end: int
    #: written as a name: by its capital, in a place where other words have none
    name: bool

    @property
    def lower(self) -> str:
        return self.text.casefold().replace("’", "'")

    @property
    def content(self) -> bool:
        return self.lower not in FUNCTION_WORDS and self.lower not in _AUXILIARIES


@dataclass(frozen=True, slots=True)
class _Thread:
    """What a conversation is about: its last question, made to stand alone, and its topic."""

    question: str = ""
    topic: str = ""


def interpret(question: str, history: Sequence[str]) -> str:
    """Return the question as it would be asked on its own; unchanged if it is asked so already.

    :param history: the earlier questions as they were typed, oldest first.
    """
    thread = _Thread()
    for earlier in history:
        thread = _next(thread, earlier)
    return question if _is_small_talk(question) else _next(thread, question).question


def _next(thread: _Thread, question: str) -> _Thread:
    """Add a question to a thread."""
    if _is_small_talk(question):
        return thread
    text, topic = question, _topic(question)
    words = _split(question)
    if len(words) <= _MOST_WORDS and _split(thread.question):
        fragment = _fragment(question)
        if fragment:
            text, topic = _put_in(thread, fragment, question)
        elif _lacks(question, words, thread):
            text, topic = _carry(question, thread.topic), thread.topic
    return _Thread(text if len(text) <= _LONGEST else question, topic)


# words, names, topic


def _split(text: str) -> list[_Word]:
    shouted = text.isupper() and len(text.split()) > 2
    words: list[_Word] = []
    reach = 0
    for found in _WORD.finditer(text):
        first = not words or bool(re.search(r"[.?!]\s", text[reach : found.start()]))
        words.append(
            _Word(found[0], *found.span(), name=not shouted and _is_name(found[0], first=first))
        )
        reach = found.end()
    return words


def _is_name(text: str, *, first: bool) -> bool:
    lower = text.casefold()
    if re.search(r"[^\W\d_]", text) is None or re.fullmatch(_MONTH, text):
        return False
    if re.search(r"\d", text) or sum(letter.isupper() for letter in text) > 1:
        return True
    if not text[0].isupper() or lower in ("i", "i'm", "i've"):
        return False
    return not (first and lower in _COMMON)


def _topic(question: str) -> str:
    """Return what a question is about: from its first content word to its last, without "did"."""
    words = _split(question)
    if [word.lower in _AUXILIARIES for word in words[:3]] == [False, False, True]:
        words = words[2:] if words[0].lower == "how" else words  # "how large was"
    content = [word for word in words if word.content][:_TOPIC_WORDS]
    if not content:
        return ""
    start, end = content[0].start, content[-1].end
    asks = next((word for word in words if word.lower in _AUXILIARIES), None)
    if asks and asks.lower in _DO and start < asks.start < end:
        return question[start : asks.start] + question[asks.end : end].lstrip()
    return question[start:end]


def _is_small_talk(text: str) -> bool:
    """Recognise "ok, thank you", which asks nothing."""
    lowers = {word.lower for word in _split(text)}
    return bool(lowers & _SMALL_TALK) and not lowers - _SMALL_TALK - FUNCTION_WORDS | lowers & _WH


def _carry(question: str, topic: str) -> str:
    """Append what the thread is about, unless the question has all of it."""
    present = {term.text for term in terms(question)}
    if all(term.text in present for term in terms(topic)):
        return question
    return f"{_bare(question)} ({topic})?"


def _bare(text: str) -> str:
    return text.rstrip(" \t\r\n?!.…")


# what a question lacks


def _fragment(question: str) -> str:
    """Return the fragment that a question is, without "and" and the like; else nothing."""
    opener = _OPENER.match(question)
    assert opener is not None  # it matches the empty text
    opened = bool(opener[0].strip())
    rest = _bare(question[opener.end() :])
    words = _split(rest)
    if not words or _has_clause(words):
        return ""
    content = [word for word in words if word.content and not _DATE.fullmatch(word.text)]
    asked = question.rstrip().endswith("?")
    open_ended = words[0].lower in _PREPOSITIONS or not content
    limit = _FRAGMENT_WORDS if opened or open_ended else _BARE_WORDS
    return rest if len(content) <= limit and (opened or asked or open_ended) else ""


def _has_clause(words: Sequence[_Word]) -> bool:
    lowers = [word.lower for word in words]
    if _AUXILIARIES.intersection(lowers):
        return True
    why_not = lowers[:2] == ["why", "not"]
    return lowers[0] in _WH and any(word.content for word in words[1:]) and not why_not


def _lacks(question: str, words: Sequence[_Word], thread: _Thread) -> bool:
    clauses = _clauses(question, words)
    return (
        any(
            _points(words, place) and not _antecedent(words, clauses, place)
            for place in range(len(words))
        )
        or _unfinished(words, clauses)
        or _nameless(question, words, thread)
        or _joined(question, words)
    )


def _clauses(question: str, words: Sequence[_Word]) -> list[int]:
    """Return for each word the number of its clause."""
    numbers = []
    number = 0
    opens = _WH | _AUXILIARIES | _PERSONAL
    for place, word in enumerate(words):
        before = words[place - 1] if place else None
        after = words[place + 1].lower if place + 1 < len(words) else ""
        gap = question[before.end : word.start] if before else ""
        if before and (
            re.search(r"[,;:.?!]", gap)
            or (word.lower in _SUBORDINATING and before.lower not in _PREPOSITIONS)
            or (word.lower in ("and", "or", "but") and after in opens)
            or (word.lower in ("after", "before", "since", "until") and after in _SUBJECTS | {"it"})
            or (word.lower in ("that", "who", "which") and not _demonstrative(words, place))
            or (word.lower in _SUBJECTS and before.content)
        ):
            number += 1
        numbers.append(number)
    return numbers


def _demonstrative(words: Sequence[_Word], place: int) -> bool:
    """Tell "what about that?" from "the state that joined"."""
    before = words[place - 1].lower if place else ""
    if words[place].lower != "that":
        return words[place].lower in ("this", "these", "those")
    return (
        place == len(words) - 1
        or before in _PREPOSITIONS
        or (before in _AUXILIARIES and place > 0)
        or not before
    )


def _points(words: Sequence[_Word], place: int) -> bool:
    """Say whether a word stands for something that is named elsewhere."""
    lower = words[place].lower
    before = words[place - 1].lower if place else ""
    after = words[place + 1].lower if place + 1 < len(words) else ""
    if lower == "it":
        return not _expletive(words, place)
    if lower == "there":
        return not ({before, after} & _BE or after == "any") or (not after and before in _BE)
    if lower in ("that", "this", "these", "those"):
        free = after in ("who", "that", "which", "year", "month", "week", "of")
        return _demonstrative(words, place) and not free
    if lower in ("one", "ones"):
        return before in ("the", "this", "that", "which") and after not in ("of", "who", "that")
    if lower == "instead":
        return after != "of"
    if lower == "then":
        return not after
    return lower in _PERSONAL | _POSSESSIVE or lower in ("else", "others")


def _expletive(words: Sequence[_Word], place: int) -> bool:
    """Tell the "it" of "is it true that" and "it seems" from one that stands for something."""
    before = words[place - 1].lower if place else ""
    later = [word.lower for word in words[place + 1 :]]
    if later[:1] and later[0] in _SEEMING:
        return True
    if before not in _BE and not (later[:1] and later[0] in _BE):
        return False
    return bool(_OF_A_CLAUSE.intersection(later[:3])) or bool(
        _WH.union({"that"}).intersection(later[:-1])
    )


def _antecedent(words: Sequence[_Word], clauses: Sequence[int], place: int) -> bool:
    """Say whether what a word stands for is named in the question itself.

    An earlier clause may name it, or a later one after "when" and the like; a possessive may also
    belong to a name of its own clause.
    """
    own = clauses[place]
    if any(word.content and clauses[other] < own for other, word in enumerate(words)):
        return True
    if words[place].lower in _POSSESSIVE and any(
        word.name and (other < place or words[other - 1].lower in _AUXILIARIES | _ARTICLES)
        for other, word in enumerate(words)
    ):
        return True
    asks = words[1:] and words[1].lower in _AUXILIARIES
    if words[0].lower in _SUBORDINATING and not asks:
        return any(word.name and clauses[other] > own for other, word in enumerate(words))
    return False


def _unfinished(words: Sequence[_Word], clauses: Sequence[int]) -> bool:
    """Say whether a verb of saying, or a comparative, lacks what it needs."""
    if not words or clauses[-1]:
        return False
    lowers = [word.lower for word in words]
    few = sum(word.content for word in words) <= _VAGUE_WORDS
    if lowers[-1] in _REPLYING or (lowers[-1] in _SAYING and few):
        return True
    if lowers[-1] in ("different", "differ"):
        return True
    compared = _COMPARATIVES.intersection(lowers) and "than" not in lowers
    return bool(compared) and not any(word.name or _DATE.search(word.text) for word in words)


def _nameless(question: str, words: Sequence[_Word], thread: _Thread) -> bool:
    """Say whether a question names nothing, in a thread that names what it is about."""
    lowers = [word.lower for word in words]
    content = [word for word in words if word.content]
    if not 0 < len(content) <= _VAGUE_WORDS or _FIRST_PERSON.intersection(lowers):
        return False
    if any(word.name for word in words) or _DATE.search(question) or _defines(words):
        return False
    return any(word.name for word in _split(thread.question))


def _defines(words: Sequence[_Word]) -> bool:
    """Recognise "What is the price cap?", but not "What is the price?"."""
    if words and words[0].lower in ("and", "but", "or"):
        words = words[1:]
    lowers = [word.lower for word in words]
    if not lowers or lowers[0] not in ("what", "who", "what's", "who's"):
        return False
    if lowers[0] in ("what", "who") and lowers[1:2] not in (["is"], ["are"]):
        return False
    content = [word for word in words[1:] if word.content]
    return len(content) > 1 or any(word.name for word in content) or "the" not in lowers


def _joined(question: str, words: Sequence[_Word]) -> bool:
    """Say whether a short question goes on from the one before: "And what did the EU say?"."""
    if not _JOINING.match(question) or _defines(words):
        return False
    return sum(word.content for word in words) <= _JOINED_WORDS


# a fragment in the place of what it is parallel to


def _put_in(thread: _Thread, fragment: str, question: str) -> tuple[str, str]:
    """Return a fragment made a question by that of the thread, and the topic of it."""
    asked, carried, _ = thread.question.partition(f" ({thread.topic})")
    first = _split(fragment)[0]
    if carried and _names(fragment) and not _names(asked) and first.lower not in _PREPOSITIONS:
        topic = _put_in_parts(thread.topic, fragment).rstrip("?") or thread.topic
        return _carry(asked, topic), topic
    if _WH.intersection(word.lower for word in _split(fragment)):
        text = _ask_anew(asked, fragment)
    else:
        text = _put_in_parts(asked, fragment)
    if not text:
        topic = ", ".join(filter(None, (_topic(fragment), thread.topic)))
        return _carry(question, thread.topic), topic
    return (_carry(text, thread.topic), thread.topic) if carried else (text, _topic(text))


def _put_in_parts(text: str, fragment: str) -> str:
    dated, rest = _put_in_date(text, fragment)
    words = [word for word in _split(rest) if word.lower not in _DROPPED]
    if any(word.content for word in words):
        return _put_in_phrase(dated, rest, words)
    return dated if dated != text else f"{_bare(text)} {rest.strip()}?"


#: Words of a fragment that stand for nothing in the question it is put into.
_DROPPED = _words(
    "itself themselves himself herself too then though exactly only just years later one ones"
)


def _ask_anew(text: str, fragment: str) -> str:
    """Put "when" in the place of "where" in "Where did they meet?"; nothing if it has none."""
    if any(word.content for word in _split(fragment)):
        return ""
    words = _split(text)
    if not words:
        return ""
    asked = fragment[0].upper() + fragment[1:]
    if words[0].lower in _AUXILIARIES:
        return f"{asked} {words[0].lower}{text[words[0].end :]}"
    adverb = words[0].lower in ("when", "where", "why", "how")
    if adverb and words[1:] and words[1].lower in _AUXILIARIES:
        return f"{asked}{text[words[0].end :]}"
    return ""


def _put_in_date(text: str, fragment: str) -> tuple[str, str]:
    """Replace the last date of a text by that of a fragment; return also what else that has."""
    found = list(_DATE.finditer(fragment)) or list(_NOW.finditer(fragment))
    if not found:
        return text, fragment
    new, old = found[-1], list(_DATE.finditer(text))
    rest = f"{fragment[: new.start()]}{fragment[new.end() :]}"
    preposition = "" if _NOW.fullmatch(new[0]) else "in "
    if old:
        start, end = old[-1].span()
        if not preposition:
            start = len(_IN.sub("", text[:start]))
        return f"{text[:start]}{new[0]}{text[end:]}", rest
    return f"{_bare(text)} {preposition}{new[0]}?", rest


def _put_in_phrase(text: str, rest: str, words: Sequence[_Word]) -> str:
    """Replace the phrase of a text that a fragment is parallel to; nothing if it is to no other."""
    preposition = ""
    while words and not words[0].content and words[0].lower not in _ARTICLES:
        if words[0].lower in _PREPOSITIONS:
            preposition = words[0].lower
        words = words[1:]
    while words and not words[-1].content:
        words = words[:-1]
    if words[0].lower in _ARTICLES and any(word.lower in _ORDINALS for word in words):
        words = words[1:]
    phrase = rest[words[0].start : words[-1].end].removesuffix("'s")
    span = None
    if any(word.name for word in words):
        span = _parallel_name(text, phrase, preposition)
    if span:
        span = _with_what_follows(text, span, words)
    span = span or _parallel_noun(text, words, preposition)
    if span:
        return f"{text[: span[0]]}{phrase}{text[span[1] :]}"
    return "" if words[0].lower in _ARTICLES else f"{_bare(text)} {_bare(rest).strip()}?"


def _names(text: str) -> list[Span]:
    """Return the spans of the names of a text, of one word or several, with their article."""
    spans: list[Span] = []
    words = _split(text)
    for place, word in enumerate(words):
        if not word.name:
            continue
        end = word.end - 2 if word.lower.endswith("'s") else word.end
        if spans and text[spans[-1][1] : word.start] in (" ", "-"):
            spans[-1] = (spans[-1][0], end)
            continue
        before = words[place - 1] if place else None
        spans.append((before.start if before and before.lower == "the" else word.start, end))
    return spans


def _parallel_name(text: str, phrase: str, preposition: str) -> Span | None:
    before = "(?:with|between)" if preposition == "with" else preposition
    candidates = [
        span
        for span in _names(text)
        if not before or re.search(rf"\b{before}\s+$", text[: span[0]], re.IGNORECASE)
    ]
    return max(candidates, key=lambda span: _likeness(text, span, phrase), default=None)


def _with_what_follows(text: str, span: Span, new: Sequence[_Word]) -> Span:
    """Widen a name to what the new words have in its place, too.

    That is the noun after it ("the Minsk agreement" for "the Budapest agreement"), and the other
    names that it is listed with where the new words are a list.
    """
    start, end = span
    if any(word.lower == "and" for word in new):
        for other in _names(text):
            if text[end : other[0]].strip() == "and":
                end = other[1]
            if text[other[1] : start].strip() == "and":
                start = other[0]
    if not new[-1].name:
        words = [word for word in _split(text) if word.end > end]
        if words and words[0].start < end:  # the name itself, with its "'s"
            words = words[1:]
        nouns = takewhile(_is_common, words)
        end = next((word.end for word in nouns if word.lower == new[-1].lower), end)
    return start, end


def _likeness(text: str, span: Span, phrase: str) -> int:
    """Score how well a name may stand where another does: by form first, then as the subject."""
    old = text[span[0] : span[1]]
    same = sum(form(old) == form(phrase) for form in _FORMS)
    return 4 * same + 3 * _is_subject(text, span)


def _is_subject(text: str, span: Span) -> bool:
    before = text[: span[0]].split()[-1:]
    return bool(before) and before[0].casefold() in _AUXILIARIES


def _parallel_noun(text: str, new: Sequence[_Word], preposition: str) -> Span | None:
    """Return the ordinal, or the common noun, that common words are parallel to.

    The noun is what is counted or chosen ("how many civilians"), the subject ("does copper
    melt"), or what the question ends with ("the cap on diesel"), and agrees in number.
    """
    words = _split(text)
    if any(word.lower in _ORDINALS for word in new):
        ordinals = [word for word in words if word.lower in _ORDINALS]
        return (ordinals[0].start, ordinals[0].end) if ordinals else None
    if new[0].lower in _ARTICLES:
        return None
    groups = _groups_after(words, preposition) if preposition else _noun_groups(words)
    plural = _is_plural(new[-1].text)
    agreeing = [group for group in groups if _is_plural(group[-1].text) is plural]
    return (agreeing[0][0].start, agreeing[0][-1].end) if agreeing else None


def _noun_groups(words: Sequence[_Word]) -> list[Sequence[_Word]]:
    chosen = [
        group
        for lower in ("which", "what")
        for group in _groups_after(words, lower)
        if _before_auxiliary(words, group[-1], _BE)
    ]
    counted = [
        group if _before_auxiliary(words, group[-1]) else group[:1]
        for lower in ("many", "much")
        for group in _groups_after(words, lower)
        if group[0] is not words[-1]
    ]
    subjects = [group[:1] for lower in sorted(_DO) for group in _groups_after(words, lower)]
    last = [
        group
        for lower in sorted(_PREPOSITIONS)
        for group in _groups_after(words, lower)
        if group[-1] is words[-1]
    ]
    return [*counted, *chosen, *subjects, *last]


def _before_auxiliary(
    words: Sequence[_Word], word: _Word, auxiliaries: frozenset[str] = _AUXILIARIES
) -> bool:
    after = words[words.index(word) + 1 :]
    return bool(after) and after[0].lower in auxiliaries


def _groups_after(words: Sequence[_Word], lower: str) -> list[Sequence[_Word]]:
    """Return the runs of common words that follow a word."""
    groups: list[Sequence[_Word]] = []
    for place, word in enumerate(words):
        if word.lower != lower:
            continue
        end = place + 1
        while end < len(words) and _is_common(words[end]):
            end += 1
        if end > place + 1:
            groups.append(words[place + 1 : end])
    return groups


def _is_common(word: _Word) -> bool:
    return word.content and not word.name and not _DATE.fullmatch(word.text)


def _is_plural(text: str) -> bool:
    lower = text.casefold()
    return lower in _PLURALS or bool(re.search(r"[^sSu\W]s$", text) and lower not in _SINGULARS)


_PLURALS = _words("children people men women")
_SINGULARS = _words("gas news politics economics corps")
#: Names that agree in these are alike.
_FORMS: tuple[Callable[[str], bool], ...] = (
    lambda name: bool(re.search(r"\d", name)),
    _is_plural,
    lambda name: bool(re.search(r"(?:an|ish|ese)$", name)),  # "European"
)
