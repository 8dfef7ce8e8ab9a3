"""What a reader should know beside a reply: nothing was left to search, newer sources match."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from qa.answer import MARGIN
from qa.narrow import Narrowed
from qa.types import Allowed, Candidate, Citation, Encoder, Filters, Notice, Store


def nothing_left(
    store: Store, encoder: Encoder, question: str, narrowed: Narrowed
) -> tuple[Notice, ...]:
    """Name the filter that left no passage, where there is one."""
    if narrowed.allowed is None:
        return ()
    (vector,) = encoder.encode([question])
    for allowed, text in _stages(narrowed, narrowed.allowed):
        if allowed.uris == () or not store.dense(vector, 1, allowed):
            return (Notice("nothing_left", f"{text[0].upper()}{text[1:]}."),)
    return (Notice("nothing_left", "Nothing that can be quoted is left."),)


def _stages(narrowed: Narrowed, allowed: Allowed) -> Iterator[tuple[Allowed, str]]:
    """Yield ever tighter filters, each with what it means when it leaves nothing."""
    filters = narrowed.filters
    if narrowed.named is not None:
        yield Allowed(narrowed.named), f"no source fits {_names(filters)}"
    if filters.after or filters.before:
        some = "no source" if narrowed.named is None else f"no source that fits {_names(filters)}"
        yield Allowed(allowed.uris), f"{some} is dated {_range(filters)}"
    where = "no passage" if allowed.uris is None else "no passage of the sources that fit"
    for phrase in allowed.phrases:
        yield replace(allowed, phrases=(phrase,), excluded=()), f"{where} has the phrase “{phrase}”"
    together = " and ".join(f"“{phrase}”" for phrase in allowed.phrases)
    yield replace(allowed, excluded=()), f"{where} has {together} together"
    words = " or ".join(f"“{word}”" for word in allowed.excluded)
    yield allowed, f"every passage that fits has {words}, which you left out"


def _names(filters: Filters) -> str:
    """Say which sources and types were asked for."""
    kinds = (("source", filters.sources), ("type", filters.types))
    return " and ".join(
        " or ".join(f"{kind}:{name}" for name in names) for kind, names in kinds if names
    )


def _range(filters: Filters) -> str:
    if filters.after and filters.before:
        return f"from {filters.after} to {filters.before}"
    return f"{filters.after} or later" if filters.after else f"{filters.before} or earlier"


def newer_sources(
    citations: Sequence[Citation],
    candidates: Sequence[Candidate],
    dates: Mapping[str, str | None],
) -> tuple[Notice, ...]:
    """Name the newer sources of which a sentence scores well enough to have been quoted, too.

    Sources without a date count on neither side.

    :param candidates: best first.
    """
    quoted = sorted({citation.date for citation in citations if citation.date})
    if not quoted:
        return ()
    newer = [
        found.hit.passage.uri
        for found in candidates
        if found.score >= candidates[0].score - MARGIN
        and (dates[found.hit.passage.uri] or "") > quoted[-1]
    ]
    uris = tuple(dict.fromkeys(newer))
    if not uris:
        return ()
    listed = ", ".join(f"{uri} ({dates[uri]})" for uri in uris)
    several = " to ".join(dict.fromkeys((quoted[0], quoted[-1])))
    if all(citation.date for citation in citations):
        whose = "The answer is from sources"
    else:
        whose = "The dated sources of the answer are"
    text = f"{whose} of {several}; newer sources also match: {listed}."
    return (Notice("newer_sources", text, uris),)
