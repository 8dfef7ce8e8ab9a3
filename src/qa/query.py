"""The syntax of a question: exact phrases, excluded words, sources, types and dates.

    "exact phrase"   -word   -"exact phrase"   source:name   type:pdf   after:2025-01   before:2025

Everything else is plain text, also what only looks alike: a quotation mark without its partner, a
hyphen inside a word, before a number, a letter or a function word, or where a line begins; a colon
before a blank, in an address, after a capital or after one or two letters.
"""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

from qa.errors import QuestionError
from qa.text import FUNCTION_WORDS

#: Field of the syntax to field of `Query`.
FIELDS = {"source": "sources", "type": "types", "after": "after", "before": "before"}
#: What stands before a colon in addresses and identifiers.
_SCHEMES = frozenset("arxiv doi file ftp http https isbn issn localhost mailto tel urn".split())
_MARK = '["“”„‟]'
#: With a letter or a digit somewhere; possessive, so that without a partner it is read but once.
_INSIDE = r'(?=[^"“”„‟\n]*?[^\W_])[^"“”„‟\n]*+'
_SYNTAX = re.compile(
    rf"""
    (?<!\S) (?P<not>-?) (?P<field>[A-Za-z]+) :
      (?: {_MARK}(?P<quoted>{_INSIDE}){_MARK} | (?P<value>\S+) )
    | (?<![^\s(\[{{/—–]) (?P<minus>-?) {_MARK}(?P<phrase>{_INSIDE}){_MARK} (?![^\W_])
    | (?<!\S) - (?P<word>[^\W\d_][\w'’.&-]*\w) (?=[^\w\s-]*(?:\s|$))
    """,
    re.VERBOSE,
)
#: The blanks before anything else in a line.
_INDENT = re.compile(r"^[^\S\n]*", re.MULTILINE)
#: What ends a sentence or a clause, and belongs to no name and no phrase.
_CLOSING = ".,;:!?…"
_DAY = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d))?)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Query:
    """A question, taken apart."""

    #: the question without its syntax; the words of phrases stay in it
    text: str
    phrases: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    #: uris, or parts of uris and titles; alternatives
    sources: tuple[str, ...] = ()
    #: suffixes of files, without the dot, in lower case; alternatives
    types: tuple[str, ...] = ()
    #: ISO 8601 days, both included
    after: str | None = None
    before: str | None = None


class _Part(NamedTuple):
    """A piece of syntax: the field of `Query` that takes its value, and what it leaves as text."""

    field: str
    value: str
    left: str


def parse(text: str) -> Query:
    """Take a question apart; several days after (before) which to search count as the last (first).

    :raises QuestionError: if a field is unknown, a day is none, or no word is left to search for.
    """
    plain: list[str] = []
    indents = {indent.end() for indent in _INDENT.finditer(text)}
    found: dict[str, dict[str, None]] = {}
    reach = 0
    for token in _SYNTAX.finditer(text):
        part = _part(token, token.start() in indents)
        if part is None:
            continue
        found.setdefault(part.field, {})[part.value] = None  # each once, in order
        between = text[reach : token.start()]
        plain += [between if part.field == "phrases" else between.rstrip(" \t"), part.left]
        reach = token.end()
    question = "".join((*plain, text[reach:])).strip()
    if found and not re.search(r"[^\W_]", question):
        raise QuestionError("question", "only says what to search; write a question too")
    return Query(
        question,
        phrases=tuple(found.get("phrases", ())),
        excluded=tuple(found.get("excluded", ())),
        sources=tuple(found.get("sources", ())),
        types=tuple(found.get("types", ())),
        after=max(found.get("after", ()), default=None),
        before=min(found.get("before", ()), default=None),
    )


def _part(token: re.Match[str], begins_line: bool) -> _Part | None:
    """Return what a token says, None if it is plain text, as is an item of a list."""
    if token["field"]:
        return _field(token)
    if token["phrase"] and not token["minus"]:
        return _Part("phrases", _phrase(token["phrase"]), token["phrase"])
    if begins_line:
        return None
    if token["phrase"]:
        return _Part("excluded", _phrase(token["phrase"]), "")
    if token["word"].casefold() in FUNCTION_WORDS:
        return None
    return _Part("excluded", token["word"], "")


def _phrase(text: str) -> str:
    return " ".join(text.split()).rstrip(_CLOSING + " ")


def _field(token: re.Match[str]) -> _Part | None:
    name = token["field"]
    given = token["quoted"] or token["value"]
    value = token["quoted"] or given.rstrip(_CLOSING)
    if name.lower() not in FIELDS:
        _refuse_unknown(name, given)
        return None
    if not value:
        return None
    if re.match(_MARK, value):
        if re.fullmatch(rf"{_MARK}\s*{_MARK}", value):
            raise QuestionError("question", f"{name}: has nothing between its quotation marks")
        raise QuestionError("question", f"the quotation mark after {name}: is not closed")
    if token["not"]:
        raise QuestionError(
            "question", f"-{name}: cannot be used; name with {name}: what to search instead"
        )
    return _Part(FIELDS[name.lower()], _value(name.lower(), value), given[len(value) :])


def _refuse_unknown(name: str, value: str) -> None:
    """Raise QuestionError for a field that there is not, unless it looks like text."""
    like_a_field = name.islower() and len(name) > 2 and name not in _SCHEMES
    if like_a_field and re.match(rf"{_MARK}|[^\W_]", value):
        known = ", ".join(f"{field}:" for field in FIELDS)
        raise QuestionError(
            "question",
            f"there is no field {name}:, only {known}; as text, write a blank after the colon",
        )


def _value(name: str, value: str) -> str:
    if name in ("after", "before"):
        return _day(name, value)
    if name == "type":
        return value.lower().lstrip(".")
    return " ".join(value.split())


def _day(name: str, value: str) -> str:
    """Return an ISO 8601 day: of a year or a month the first after which, the last before which."""
    if found := _DAY.fullmatch(value):
        year, month, day = (int(part) if part else None for part in found.groups())
        try:
            if name == "after":
                return date(year or 0, month or 1, day or 1).isoformat()
            month = month or 12
            return date(
                year or 0, month, day or calendar.monthrange(year or 0, month)[1]
            ).isoformat()
        except ValueError:
            pass
    raise QuestionError("question", f"{name}:{value} is no day; write YYYY-MM-DD, YYYY-MM or YYYY")
