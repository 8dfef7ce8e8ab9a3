"""What may be found for a question: the sources and passages that its filters let through."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from pathlib import PurePosixPath

from qa.errors import QuestionError, UnknownSource
from qa.phrases import folded
from qa.query import Query
from qa.types import Allowed, Filters, SourceInfo, Store

#: Names that a message suggests, and types that it lists.
_SUGGESTED = 3
_LISTED = 12


@dataclass(frozen=True, slots=True)
class Narrowed:
    """The filters of a question, and what they let through."""

    filters: Filters
    #: uris of the sources that fit by name and type, whatever their date; None for all
    named: tuple[str, ...] | None
    #: None for everything
    allowed: Allowed | None


def narrow(
    query: Query,
    store: Store,
    sources: Sequence[str] | None = None,
    after: str | None = None,
    before: str | None = None,
) -> Narrowed:
    """Combine the filters of a question with the options beside it: all of them hold.

    :param sources: uris; where given, the only sources searched.
    :param after: ISO 8601 day; only sources dated that day or later.
    :param before: ISO 8601 day; only sources dated that day or earlier.
    :raises QuestionError: if an option is none, a name or a type fits no source, or none of
        `sources` is one that the question names.
    :raises UnknownSource: if one of `sources` is not in the index.
    """
    if sources is not None and not sources:
        raise QuestionError("sources", "is empty; leave it out to search all sources")
    first = max(filter(None, (_day("after", after), query.after)), default=None)
    last = min(filter(None, (_day("before", before), query.before)), default=None)
    names = tuple(dict.fromkeys((*(sources or ()), *query.sources)))
    filters = Filters(query.phrases, query.excluded, names, query.types, first, last)
    if not (names or query.types or first or last):
        within = Allowed(None, query.phrases, query.excluded)
        return Narrowed(filters, None, within if within != Allowed() else None)
    known = list(store.sources())
    named = _named(known, query, sources)
    dated = tuple(source.uri for source in named if _dated(source, first, last))
    return Narrowed(
        filters,
        tuple(source.uri for source in named) if names or query.types else None,
        Allowed(dated, query.phrases, query.excluded),
    )


def _named(
    known: Sequence[SourceInfo], query: Query, uris: Sequence[str] | None
) -> list[SourceInfo]:
    """Return the sources that fit by name and by type."""
    there = {source.uri for source in known}
    for uri in uris or ():
        if uri not in there:
            raise UnknownSource(uri, "not in the index; `qa sources` lists what is")
    kept = there if uris is None else set(uris)
    if query.sources:
        kept = kept & {uri for name in query.sources for uri in _by_name(name, known)}
    if not kept:
        listed = " or ".join(f"source:{name}" for name in query.sources)
        raise QuestionError("question", f"none of the sources chosen beside it fits {listed}")
    if query.types:
        kept = kept & {uri for name in query.types for uri in _by_type(name, known)}
    return [source for source in known if source.uri in kept]


def _by_name(name: str, known: Sequence[SourceInfo]) -> list[str]:
    """Return the uri that is the name, else those that it is a part of, or of whose title."""
    form = folded(name)
    exact = [source.uri for source in known if folded(source.uri) == form]
    fitting = exact or [
        source.uri for source in known if form in folded(source.uri) or form in folded(source.title)
    ]
    if not fitting:
        raise QuestionError("question", f"no source fits source:{name}; {_near(form, known)}")
    return fitting


def _near(form: str, known: Sequence[SourceInfo]) -> str:
    named = {part: source.uri for source in reversed(known) for part in _parts(source)}
    close = get_close_matches(form, named, n=_SUGGESTED * 3)
    uris = list(dict.fromkeys(named[part] for part in close))[:_SUGGESTED]
    what = "near it are" if uris else "there are, for example,"
    shown = uris or [source.uri for source in known[:_SUGGESTED]]
    return f"{what} {', '.join(shown)}; `qa sources` lists all {len(known)}"


def _parts(source: SourceInfo) -> Iterable[str]:
    """Yield what may have been meant by a name: the file, its stem, words of both and the title."""
    path = PurePosixPath(source.uri)
    yield from (folded(source.uri), folded(path.name), folded(path.stem))
    yield from folded(f"{path.stem} {source.title}".replace("-", " ").replace("_", " ")).split()


def _by_type(name: str, known: Sequence[SourceInfo]) -> list[str]:
    fitting = [source.uri for source in known if _type(source.uri) == name]
    if not fitting:
        types = sorted({_type(source.uri) for source in known} - {""})
        listed = ", ".join(get_close_matches(name, types, _LISTED, 0.0)) or "none"
        raise QuestionError("question", f"no source fits type:{name}; the types are: {listed}")
    return fitting


def _type(uri: str) -> str:
    return PurePosixPath(uri).suffix.lower().lstrip(".")


def _dated(source: SourceInfo, first: str | None, last: str | None) -> bool:
    """Tell whether a source is dated in a range; one without a date is in none."""
    return (not first or (source.date or "") >= first) and (
        not last or (source.date or "9999-99") <= last
    )


def _day(field: str, value: str | None) -> str | None:
    if value is None:
        return None
    try:
        return date.fromisoformat(value).isoformat()
    except ValueError as error:
        raise QuestionError(field, f"is {value!r}; a day is written YYYY-MM-DD") from error
