"""Evidence packs: answers to keep or hand on, every quote checked against its file."""

from __future__ import annotations

import json
import re
import textwrap
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib import metadata
from typing import TYPE_CHECKING

from qa.answer import references
from qa.assistant import Assistant
from qa.config import Settings, web_folder
from qa.errors import UnknownSource
from qa.splitter import section_at
from qa.text import Pages, line_ends, percent
from qa.types import Answer, Document, Location, Store
from qa.verify import CheckedCitation, CitationState, Cited, verify

if TYPE_CHECKING:
    from markupsafe import Markup

#: Raised when the fields of a pack change their meaning.
FORMAT = "qa-evidence-1"
#: Passages that are shown beside a refusal.
RELATED = 3
#: Characters of a question in the name of a file.
_NAME = 50


@dataclass(frozen=True, slots=True)
class Asked:
    """A reply to a question, without what can be looked up again."""

    question: str
    #: the stand-alone question that was searched
    interpreted: str
    #: calibrated probability that the sources answer
    confidence: float
    #: the one that replied
    generation: str
    #: empty for a refusal
    citations: tuple[Cited, ...] = ()
    #: passages that came near, best first
    related: tuple[Location, ...] = ()
    #: the options of the question
    sources: tuple[str, ...] | None = None
    after: str | None = None
    before: str | None = None


@dataclass(frozen=True, slots=True)
class Searched:
    """What a question was asked of."""

    #: number of sources; None when the generation that replied is not the live one
    count: int | None
    sources: tuple[str, ...] | None
    after: str | None
    before: str | None


@dataclass(frozen=True, slots=True)
class Quote:
    """A verbatim span of a source, what is known of it, and what verification said of it.

    Without its source in the live index there is no title and no date; without the quote at its
    offsets there, no section, page, line and references.
    """

    uri: str
    start: int
    end: int
    quote: str
    #: of the file it was cut from, where that is known
    sha256: str | None
    state: CitationState
    #: where the quote stands now, when it moved
    moved_to: Location | None
    title: str | None
    date: str | None
    section: tuple[str, ...]
    page: int | None
    line: int | None
    references: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Evidence:
    """A question with its quotes, or without any, and then the passages nearest to it."""

    question: str
    interpreted: str
    answered: bool
    confidence: float
    generation: str
    searched: Searched
    citations: tuple[Quote, ...]
    #: passages, without the footnotes that they carry
    related: tuple[Quote, ...]


@dataclass(frozen=True, slots=True)
class Pack:
    """One answer or a thread, as it was checked at one time."""

    format: str
    #: of the program
    version: str
    #: ISO 8601 time at which the quotes were checked
    created: str
    #: the live one at that time
    generation: str
    answers: tuple[Evidence, ...]


def asked(
    answer: Answer,
    sources: Sequence[str] | None = None,
    after: str | None = None,
    before: str | None = None,
) -> Asked:
    """Take from an answer what a pack needs; the options are those that it was asked with."""
    passages = () if answer.answered else answer.passages[:RELATED]
    return Asked(
        answer.question,
        answer.interpreted,
        answer.confidence,
        answer.generation,
        tuple(
            Cited(found.uri, found.start, found.end, found.quote, found.sha256)
            for found in answer.citations
        ),
        tuple(Location(passage.uri, passage.start, passage.end) for passage in passages),
        None if sources is None else tuple(sources),
        after,
        before,
    )


def collect(
    assistant: Assistant,
    settings: Settings,
    replies: Sequence[Asked],
    now: datetime,
    stopped: Callable[[], bool] = lambda: False,
) -> Pack:
    """Check every quote against its file, and look up what the live index knows of it.

    Related passages are looked up by place, so those of another generation are left out.

    :raises SourceError: if the corpus, or a folder of it, cannot be read.
    :param stopped: as in `verify`.
    :raises UnknownSource: if a question was asked of a source that is not in the index.
    """
    store = assistant.store
    related = [tuple(_related(store, reply)) for reply in replies]
    quotes = [
        cited
        for reply, passages in zip(replies, related, strict=True)
        for cited in (*reply.citations, *passages)
    ]
    checked = iter(verify(settings, quotes, stopped) if quotes else ())
    answers = tuple(
        Evidence(
            question=reply.question,
            interpreted=reply.interpreted,
            answered=bool(reply.citations),
            confidence=reply.confidence,
            generation=reply.generation,
            searched=_searched(assistant, reply),
            citations=tuple(_quote(store, cited, next(checked)) for cited in reply.citations),
            related=tuple(
                replace(_quote(store, cited, next(checked)), references=()) for cited in passages
            ),
        )
        for reply, passages in zip(replies, related, strict=True)
    )
    created = now.astimezone(UTC).isoformat(timespec="seconds")
    return Pack(FORMAT, metadata.version("qa"), created, store.generation, answers)


def _related(store: Store, reply: Asked) -> Iterator[Cited]:
    for place in reply.related if reply.generation == store.generation else ():
        document = _document(store, place.uri)
        text = document.text[place.start : place.end] if document else ""
        if document and text:
            yield Cited(place.uri, place.start, place.end, text, document.sha256)


def _searched(assistant: Assistant, reply: Asked) -> Searched:
    count = None
    if reply.generation == assistant.store.generation:
        count = assistant.searched(reply.question, reply.sources, reply.after, reply.before)
    return Searched(count, reply.sources, reply.after, reply.before)


def _quote(store: Store, cited: Cited, checked: CheckedCitation) -> Quote:
    document = _document(store, cited.uri)
    stands = document if document and _stands(document, cited) else None
    return Quote(
        uri=cited.uri,
        start=cited.start,
        end=cited.end,
        quote=cited.quote,
        sha256=cited.sha256 or (stands.sha256 if stands else None),
        state=checked.state,
        moved_to=checked.moved_to,
        title=document.title if document else None,
        date=document.date if document else None,
        section=section_at(stands, cited.start) if stands else (),
        page=Pages(stands.marks).at(cited.start) if stands else None,
        line=1 + line_ends(stands.text, 0, cited.start) if stands else None,
        references=references(stands, cited.start, cited.end) if stands else (),
    )


def _stands(document: Document, cited: Cited) -> bool:
    return document.text[cited.start : cited.end] == cited.quote


def _document(store: Store, uri: str) -> Document | None:
    try:
        return store.document(uri)
    except UnknownSource:
        return None


# words that the Markdown and the HTML share

_STATES: dict[CitationState, str] = {
    "valid": "valid: the quote stands there in the file",
    "moved": "moved: the quote stands elsewhere now",
    "changed": "changed: the file has this quote no more",
    "missing": "missing: the file is not among the sources any more",
}


def _summary(pack: Pack) -> str:
    """Say when, by what and from what a pack was made."""
    return (
        f"Made by qa {pack.version} on {_time(pack.created)}. Every quote was checked against its "
        f"file at that time; its state says what was found. Live index: {pack.generation}."
    )


def _time(created: str) -> str:
    return f"{datetime.fromisoformat(created):%Y-%m-%d %H:%M:%S} UTC"


def _notes(found: Evidence) -> list[str]:
    """Say what was searched, in which generation, and with what confidence."""
    notes = []
    if found.interpreted != found.question:
        notes.append(f"Searched as: {found.interpreted}")
    searched = found.searched
    what = "the sources"
    if searched.count is not None:
        what = f"{searched.count} source{'' if searched.count == 1 else 's'}"
    dated = [
        f"dated {day} or {word}"
        for word, day in (("later", searched.after), ("earlier", searched.before))
        if day
    ]
    what = ", ".join([what, *dated])
    notes.append(f"Searched: {what}, in the index {found.generation}")
    if searched.sources is not None:
        notes.append(f"Only these sources: {', '.join(searched.sources)}")
    notes.append(f"Confidence that the sources answer: {percent(found.confidence)}")
    return notes


def _facts(quote: Quote) -> list[tuple[str, str]]:
    """Return what is known of a quote, as pairs of a label and a text."""
    dated = f" ({quote.date})" if quote.date else ""
    place = [quote.uri]
    if quote.page is not None:
        place.append(f"page {quote.page}")
    if quote.line is not None:
        place.append(f"line {quote.line}")
    place.append(f"characters {quote.start}-{quote.end}")
    state = _STATES[quote.state]
    if moved := quote.moved_to:
        state += f", in {moved.uri}, characters {moved.start}-{moved.end}"
    facts = [
        ("Source", f"{quote.title or quote.uri}{dated}"),
        ("Section", " > ".join(quote.section)),
        ("Place", ", ".join(place)),
        ("SHA-256 of the file", quote.sha256 or ""),
        *(("Cites", reference) for reference in quote.references),
        ("State", state),
    ]
    return [(label, value) for label, value in facts if value]


# the three formats


def to_json(pack: Pack) -> str:
    """Return a pack as JSON, which `qa verify` reads."""
    return json.dumps(asdict(pack), ensure_ascii=False, indent=2) + "\n"


def to_markdown(pack: Pack) -> str:
    """Return a pack as Markdown (CommonMark) in which no text of a source is markup.

    A rendered quote is the quote, white space included; only NUL, which Markdown cannot hold,
    becomes U+FFFD.
    """
    blocks = ["# Evidence", escape_markdown(_summary(pack))]
    for found in pack.answers:
        blocks.append(f"## {escape_markdown(found.question)}")
        if found.answered:
            blocks += _markdown_quotes("Quote", found.citations)
        else:
            blocks.append("**The sources do not answer this.**")
            blocks += _markdown_quotes("Related, not an answer:", found.related)
        blocks.append("\n".join(f"- {escape_markdown(note)}" for note in _notes(found)))
    return "\n\n".join(blocks) + "\n"


def _markdown_quotes(title: str, quotes: Sequence[Quote]) -> Iterator[str]:
    for number, quote in enumerate(quotes, 1):
        yield f"### {title} {number}"
        yield f"> {escape_markdown(quote.quote)}"
        yield "\n".join(f"- {label}: {escape_markdown(value)}" for label, value in _facts(quote))


#: What can begin markup anywhere, or at the start of a line (CommonMark 0.31, and GitHub's
#: strikethrough, tables, mathematics, emoji and addresses).
_MARKUP = re.compile(
    r"[\\`*_{}\[\]<>&|~$^#!]|(?<!\d):(?=\S)|(?<=www)\.|^(?:[-+=]|\d+[.)])", re.IGNORECASE
)
#: White space that a line of Markdown would lose. Control characters have no reference.
_LOST = re.compile(r"^ +| +$| {2,}|[^\S \x0b\x1c-\x1f\x85]")


def escape_markdown(text: str) -> str:
    """Return Markdown on one line that is rendered as this text and nothing else."""
    escaped = _MARKUP.sub(lambda found: f"{found[0][:-1]}\\{found[0][-1]}", text)
    return _LOST.sub(lambda found: "".join(f"&#{ord(blank)};" for blank in found[0]), escaped)


def to_html(pack: Pack) -> str:
    """Return a pack as an HTML page that needs no other file and runs no script.

    The text of a quote's element is the quote; only NUL, which HTML cannot hold, becomes U+FFFD.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(web_folder() / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["verbatim"] = _verbatim
    template = environment.get_template("evidence.html")
    return template.render(pack=pack, summary=_summary(pack), notes=_notes, facts=_facts)


def _verbatim(text: str) -> Markup:
    """Escape a text so that a browser changes no character: it would take CR for a line feed."""
    from markupsafe import Markup, escape

    return escape(text.replace("\0", "\ufffd")).replace("\r", Markup("&#13;"))


#: Name of a format to what writes it, its suffix and its media type.
FORMATS: dict[str, tuple[Callable[[Pack], str], str, str]] = {
    "markdown": (to_markdown, "md", "text/markdown; charset=utf-8"),
    "json": (to_json, "json", "application/json"),
    "html": (to_html, "html", "text/html; charset=utf-8"),
}


def file_name(pack: Pack, suffix: str) -> str:
    """Return a name for the file of a pack, of ASCII letters, digits and hyphens."""
    name = "thread"
    if len(pack.answers) == 1:
        letters = unicodedata.normalize("NFKD", pack.answers[0].question).lower()
        words = re.findall(r"[a-z0-9]+", letters.encode("ascii", "ignore").decode())
        name = textwrap.shorten(" ".join(words), _NAME, placeholder="").replace(" ", "-")
        name = name or "answer"
    return f"qa-{name}-{pack.created[:10]}.{suffix}"
