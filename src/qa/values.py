"""Quantities and dates of a text, in a form in which two of them can be compared."""

from __future__ import annotations

import calendar
import math
import re
from bisect import bisect_left, insort
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Literal

from qa.text import FUNCTION_WORDS, terms
from qa.types import Span

ValueKind = Literal["quantity", "date"]


@dataclass(frozen=True, slots=True)
class Value:
    """What a number or a date of a text can mean: everything from `low` to `high`."""

    kind: ValueKind
    start: int
    end: int
    #: of a quantity: what it counts or measures, as stems; values of other units never compare
    units: frozenset[str]
    #: a quantity in its base unit, or a day as its ordinal
    low: float
    high: float


_MONTHS = {name.lower(): number for number, name in enumerate(calendar.month_name) if name}
_MONTHS |= {name.lower(): number for number, name in enumerate(calendar.month_abbr) if name}
_MONTHS["sept"] = 9
_MONTH = f"(?P<month>{'|'.join(sorted(_MONTHS, key=len, reverse=True))})\\.?"
_DAYS = (
    r"(?P<first>\d{1,2})(?:st|nd|rd|th)?(?:\s*(?:-|–|to|and)\s*(?P<last>\d{1,2})(?:st|nd|rd|th)?)?"
)
_YEAR = r"(?P<year>1[5-9]\d\d|20\d\d)"
#: From the most to the least precise: what one has taken, none after it takes.
_DATES = [
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"\b{_YEAR}-(?P<month>\d\d)-(?P<first>\d\d)\b",
        rf"\b{_DAYS}\s+(?:of\s+)?{_MONTH}(?:,?\s+{_YEAR})?\b",
        rf"\b{_MONTH}\s+{_DAYS},?\s+{_YEAR}\b",
        rf"\b{_MONTH},?\s+{_YEAR}\b",
        rf"\b{_YEAR}\s*(?:-|–|to)\s*(?P<until>20\d\d|1[5-9]\d\d)\b",
        rf"(?<![\d.,$€£¥]){_YEAR}(?![\d%]|[.,]\d)\b",
    )
]

_SCALES = {
    "hundred": 1e2,
    "thousand": 1e3,
    "million": 1e6,
    "billion": 1e9,
    "bn": 1e9,
    "trillion": 1e12,
}
#: After an amount of money: "$1.2m" is no length.
_SHORT_SCALES = {"k": 1e3, "m": 1e6, "mm": 1e6, "mn": 1e6, "mln": 1e6, "b": 1e9} | dict.fromkeys(
    ("t", "tn", "trn"), 1e12
)
_WORDS = {
    word: number
    for number, word in enumerate(
        "two three four five six seven eight nine ten eleven twelve".split(), 2
    )
}
#: Unit as written to the base unit and what one is of it.
_UNITS: dict[str, tuple[str, float]] = {
    spelling: (base, factor)
    for base, factor, spellings in (
        ("%", 1, "% percent"),
        ("$", 1, "dollar dollars usd"),
        ("€", 1, "euro euros eur"),
        ("£", 1, "gbp"),
        ("m", 1e-3, "mm millimetre millimetres millimeter millimeters"),
        ("m", 1e-2, "cm centimetre centimetres centimeter centimeters"),
        ("m", 1, "m metre metres meter meters"),
        ("m", 1e3, "km kilometre kilometres kilometer kilometers"),
        ("m", 0.3048, "ft foot feet"),
        ("m", 1609.344, "mile miles"),
        ("kg", 1e-3, "g gram grams"),
        ("kg", 1, "kg kilogram kilograms"),
        ("kg", 1e3, "tonne tonnes"),
        ("°", 1, "degree degrees"),
        ("min", 1 / 60, "second seconds"),
        ("min", 1, "minute minutes"),
        ("min", 60, "hour hours"),
        ("day", 1, "day days"),
        ("day", 7, "week weeks"),
        ("month", 1, "month months"),
        ("month", 12, "year years"),
    )
    for spelling in spellings.split()
}
_NUMBER = rf"(?:\d{{1,3}}(?:[,\s]\d{{3}})+\b(?:\.\d+)?|\d+(?:\.\d+)?|\b(?:{'|'.join(_WORDS)})\b)"
_QUANTITY = re.compile(
    r"(?:\b(?P<least>over|more than|above|at least|exceeding|no fewer than)\s+"
    r"|\b(?P<most>up to|under|below|less than|fewer than|at most)\s+"
    r"|\b(?P<between>between)\s+"
    r"|(?:\b(?P<about>about|around|roughly|approximately|some|nearly|almost|circa)\s+|~\s*))?"
    r"(?P<currency>(?:\b(?:US|CA?|AU?|HK|NZ|S|R|NT|MX))?[$€£¥])?"
    rf"(?<![\w.])(?P<number>{_NUMBER})"
    rf"(?:\s*(?(between)and|(?:-|–|to))\s*[$€£¥]?(?P<until>{_NUMBER}))?"
    rf"(?:[\s-]*(?P<scale>{'|'.join(_SCALES)})\b"
    rf"|(?(currency)\s?(?P<short>{'|'.join(_SHORT_SCALES)})\b))?"
    r"(?:\s*(?P<percent>%|per\s?cent\b)|[\s-]*(?P<unit>[^\W\d_]+)\b)?",
    re.IGNORECASE,
)
_FOLLOWING = re.compile(r"[\s-]+([^\W\d_]+)")
#: Words after a number among which the counted noun is looked for: "60 Russian diplomats".
_NOUN_WORDS = 3
#: How far a number that is "about" so much may be off, as a share of it.
_ABOUT = 0.05
#: Factors of units that are as a rule the rounded conversion of another one.
_CONVERTED = (0.3048, 1609.344)
#: Zeros at the end of a number that a float can hold.
_MOST_ZEROS = 300
#: A counted number below this one is meant exactly, even when it ends in 0.
_COUNTED = 100


def values(text: str) -> list[Value]:
    """Return the quantities and dates of a text, by their place.

    "60.8 billion" means what rounds to it, "over 60" everything above, "March 2014" all its days.
    A day without a year is not returned, nor is a number that is part of a name.
    """
    dates = list(_dates(text))
    taken = sorted((value.start, value.end) for value in dates)
    found = [value for value in dates if not math.isnan(value.low)]
    for match in _QUANTITY.finditer(text):
        if not _overlaps(taken, match.span("number")) and (value := _quantity(text, match)):
            found.append(value)
    return sorted(found, key=lambda value: value.start)


def comparable(one: Value, other: Value) -> bool:
    """Say whether two values are of the same kind, in the same unit."""
    if one.kind != other.kind:
        return False
    return one.kind == "date" or bool(one.units & other.units)


def compatible(one: Value, other: Value) -> bool:
    """Say whether two values can both be right: one rounds, or is more precise than, the other."""
    return one.low <= other.high and other.low <= one.high


def _dates(text: str) -> Iterator[Value]:
    taken: list[Span] = []
    for pattern in _DATES:
        for match in pattern.finditer(text):
            if _overlaps(taken, match.span()):
                continue
            insort(taken, match.span())
            low, high = _days({key: value or "" for key, value in match.groupdict().items()})
            yield Value("date", *match.span(), frozenset(), low, high)


def _overlaps(taken: list[Span], span: Span) -> bool:
    """Say whether a span overlaps one of several, which are in order and apart."""
    before = bisect_left(taken, (span[1], span[1]))
    return before > 0 and taken[before - 1][1] > span[0]


def _days(parts: dict[str, str]) -> tuple[float, float]:
    """Return the first and last day that a date can mean, as ordinals; NaN without a year."""
    if not parts.get("year"):
        return math.nan, math.nan
    year, until = int(parts["year"]), int(parts.get("until") or parts["year"])
    written = parts.get("month", "").lower()
    month = int(written) if written.isdigit() else _MONTHS.get(written, 0)
    try:
        if not month:
            return date(year, 1, 1).toordinal(), date(until, 12, 31).toordinal()
        length = calendar.monthrange(year, month)[1]
        first = int(parts.get("first") or 1)
        last = int(parts.get("last") or parts.get("first") or length)
        return date(year, month, first).toordinal(), date(year, month, last).toordinal()
    except ValueError:  # 31 June, or month 13
        return math.nan, math.nan


def _quantity(text: str, match: re.Match[str]) -> Value | None:
    end, units, factor = _units(text, match)
    attached = match["currency"] and text[end : end + 1].isalpha()  # what "$5x" means is not known
    if not units or attached:
        return None
    written = (match["scale"] or match["short"] or "").lower()
    scale = (_SCALES | _SHORT_SCALES).get(written, 1.0) * factor
    low, high = _range(match["number"], scale, bool(written))
    if match["until"]:
        high = _range(match["until"], scale, bool(written))[1]
    if match["about"] or factor in _CONVERTED:
        low, high = low * (1 - _ABOUT), high * (1 + _ABOUT)
    if match["least"]:
        high = math.inf
    if match["most"]:
        low = -math.inf
    return Value("quantity", match.start(), end, units, low, high)


def _units(text: str, match: re.Match[str]) -> tuple[int, frozenset[str], float]:
    """Return where a quantity ends, what it is of, and the factor to its base unit."""
    end = max(match.end(part) for part in ("scale", "short", "until", "number"))
    if match["percent"]:
        return match.end("percent"), frozenset("%"), 1.0
    if match["currency"]:
        return end, frozenset([match["currency"].upper().removeprefix("US")]), 1.0
    if match["unit"] and match["unit"].lower() in _UNITS:
        base, factor = _UNITS[match["unit"].lower()]
        return match.end("unit"), frozenset([base]), factor
    counted = _nouns(text, end)
    return end, frozenset(term.text for term in terms(" ".join(counted))), 1.0


def _nouns(text: str, reach: int) -> list[str]:
    """Return what is counted: the words that follow, without names where there are others."""
    found: list[str] = []
    while len(found) < _NOUN_WORDS and (word := _FOLLOWING.match(text, reach)):
        if word[1].casefold() in FUNCTION_WORDS:
            break
        reach = word.end()
        found.append(word[1])
    return [word for word in found if word.islower()] or found


def _range(written: str, scale: float, scaled: bool) -> tuple[float, float]:
    """Return what a number can mean: all that rounds to it, by the last digit that says something.

    "61 billion" is anything from 60.5 on, "1,200" from 1,150 on, but "60" is 60.
    """
    if written.lower() in _WORDS:
        number = float(_WORDS[written.lower()])
        return number * scale, number * scale
    digits = re.sub(r"[,\s]", "", written)
    number = float(digits)
    if "." in digits:
        step = 10.0 ** -len(digits.partition(".")[2])
    elif number < _COUNTED and not scaled:
        step = 0.0
    else:
        zeros = min(len(digits) - len(digits.rstrip("0")), _MOST_ZEROS)
        step = 10.0**zeros if number else 0.0
    half = step * 0.49  # so that 2,850 and 2,860 do not touch
    return (number - half) * scale, (number + half) * scale
