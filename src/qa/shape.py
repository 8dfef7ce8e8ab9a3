"""The shape of an index: size and date of its sources, and how they are divided."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

from qa.stores.index import Generation
from qa.types import Passage, SourceInfo

#: Sources whose sections are looked at, the largest.
LARGEST = 40
#: Months that are told apart; over a longer time, years are.
_MONTHS = 24


@dataclass(frozen=True, slots=True)
class Section:
    """What stands below one of the outermost headings of a source."""

    label: str
    start: int
    end: int
    passages: int


@dataclass(frozen=True, slots=True)
class Divided:
    """A source with its sections in order."""

    source: SourceInfo
    sections: tuple[Section, ...]


@dataclass(frozen=True, slots=True)
class Shape:
    """What an index is made of."""

    #: largest first
    largest: tuple[Divided, ...]
    #: month or year to the sources of it, in order, none left out
    periods: tuple[tuple[str, int], ...]
    undated: int


def shape(store: Generation) -> Shape:
    """Measure an index."""
    sources = list(store.sources())
    largest = sorted(sources, key=lambda source: (-source.characters, source.uri))[:LARGEST]
    dates = [source.date for source in sources if source.date]
    return Shape(
        tuple(Divided(source, sections(store.part(source.uri).passages)) for source in largest),
        periods(dates),
        len(sources) - len(dates),
    )


def sections(passages: Iterable[Passage]) -> tuple[Section, ...]:
    """Divide the passages of a source, in order, by the outermost heading above them."""
    found = []
    for label, group in groupby(passages, key=lambda passage: "".join(passage.section[:1])):
        together = list(group)
        found.append(Section(label, together[0].start, together[-1].end, len(together)))
    return tuple(found)


def periods(dates: Iterable[str]) -> tuple[tuple[str, int], ...]:
    """Count days (ISO 8601) by month, or by year where that would be too many."""
    months = Counter(date[:7] for date in dates)
    if not months:
        return ()
    first, last = (_number(month) for month in (min(months), max(months)))
    if last - first < _MONTHS:
        names = [f"{number // 12:04}-{number % 12 + 1:02}" for number in range(first, last + 1)]
        return tuple((name, months[name]) for name in names)
    years: Counter[str] = Counter()
    for month, count in months.items():
        years[month[:4]] += count
    span = range(int(min(years)), int(max(years)) + 1)
    return tuple((f"{year:04}", years[f"{year:04}"]) for year in span)


def _number(month: str) -> int:
    year, _, number = month.partition("-")
    return int(year) * 12 + int(number) - 1
