"""Check citations, and the sources of an index, against the files as they are now."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from qa.config import Settings
from qa.errors import CitationFileError, SourceError, UnknownSource
from qa.ingest import file_stat, walk
from qa.readers.worker import Worker
from qa.types import Location, SkippedSource, SourceInfo, Store

CitationState = Literal["valid", "moved", "changed", "missing"]
SourceState = Literal["unchanged", "changed", "missing", "new"]


@dataclass(frozen=True, slots=True)
class Cited:
    """A quote and where it is said to stand."""

    uri: str
    start: int
    end: int
    quote: str
    #: of the file it was cut from, where that is known
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class CheckedCitation:
    """What became of a citation."""

    uri: str
    start: int
    end: int
    state: CitationState
    #: where the quote stands now, when it moved
    moved_to: Location | None = None


@dataclass(frozen=True, slots=True)
class CheckedSource:
    """What became of a source since it was indexed."""

    uri: str
    state: SourceState


def verify(
    settings: Settings, citations: Sequence[Cited], stopped: Callable[[], bool] = lambda: False
) -> list[CheckedCitation]:
    """Read the cited files now, and say of each citation what became of it, in the given order.

    Valid: the quote stands at its offsets. Moved: it stands elsewhere in the file, or the file has
    another name. Changed: the file is there, the quote is not. Missing: there is no such file
    among those that `qa index` would read; a uri is looked up among them, and is never a path.

    :param stopped: asked before every file; once it says so, no other is read.
    :raises SourceError: if the corpus, or a folder of it, cannot be read.
    :raises TimeoutError: if it was stopped.
    """
    places: defaultdict[str, list[int]] = defaultdict(list)
    for place, cited in enumerate(citations):
        places[cited.uri].append(place)
    found: dict[int, CheckedCitation] = {}
    with Worker(settings) as worker:
        corpus = _Corpus(settings, worker, stopped)
        for uri, entries in places.items():  # every file is read once, and one at a time
            text = corpus.text(uri)
            for place in entries:
                found[place] = _check(corpus, citations[place], text)
    return [found[place] for place in range(len(citations))]


def locate(store: Store, cited: Cited) -> CheckedCitation:
    """Say what became of a citation in an index, as `verify` says it of the files."""
    texts = _Indexed(store)
    return _check(texts, cited, texts.text(cited.uri))


def verify_sources(
    settings: Settings, sources: Sequence[SourceInfo], skipped: Sequence[SkippedSource]
) -> Iterator[CheckedSource]:
    """Compare the sources of an index with the files as they are now, by uri.

    :param skipped: files that could not be indexed; they are not new.
    :raises SourceError: if the corpus, or a folder of it, cannot be read.
    """
    worker = Worker(settings)  # which reads none, so it is not started
    corpus = _Corpus(settings, worker, lambda: False)
    indexed = {source.uri: source.sha256 for source in sources}
    known = {entry.uri for entry in skipped} | set(indexed)
    for uri in sorted({*indexed, *(set(corpus.files) - known)}):
        if uri not in indexed:
            yield CheckedSource(uri, "new")
        elif not corpus.has(uri):
            yield CheckedSource(uri, "missing")
        else:
            same = corpus.digest(uri) == indexed[uri]
            yield CheckedSource(uri, "unchanged" if same else "changed")


def read_citations(name: str, text: str) -> list[Cited]:
    """Take the citations from what `qa ask --json` prints, an evidence pack, or a list of them.

    Of an answer, also those of its disagreements that the answer itself does not quote.

    :param name: of the file, for the message only.
    :raises CitationFileError: naming the first thing that is not as it should be.
    """
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CitationFileError(name, f"not JSON ({error})") from error
    answers = data.get("answers") if isinstance(data, dict) else None
    if not isinstance(answers, list):
        return _citations(name, "", data)
    return [
        cited
        for place, answer in enumerate(answers)
        for cited in _citations(name, f"answers[{place}].", answer)
    ]


def _citations(name: str, prefix: str, data: Any) -> list[Cited]:
    entries = data.get("citations") if isinstance(data, dict) else data
    if not isinstance(entries, list):
        expected = "expected what qa ask --json prints, an evidence pack, or a list of citations"
        raise CitationFileError(name, f"{prefix and f'{prefix[:-1]}: '}{expected}")
    cited = [
        _cited(name, f"{prefix}citations[{place}]", entry) for place, entry in enumerate(entries)
    ]
    if not isinstance(data, dict):
        return cited
    differing = (_cited(name, place, entry) for place, entry in _differing(name, prefix, data))
    return [*cited, *(entry for entry in dict.fromkeys(differing) if entry not in cited)]


def _differing(name: str, prefix: str, data: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the citations of the disagreements of an answer, each with where it stands."""
    place = f"{prefix}disagreements"
    found = data.get("disagreements", [])
    if not isinstance(found, list):
        raise CitationFileError(name, f"{place}: expected a list")
    for number, entry in enumerate(found):
        sides = entry.get("citations") if isinstance(entry, dict) else None
        if not isinstance(sides, list):
            raise CitationFileError(name, f"{place}[{number}].citations: expected a list")
        for side, cited in enumerate(sides):
            yield f"{place}[{number}].citations[{side}]", cited


def _cited(name: str, place: str, entry: Any) -> Cited:
    if not isinstance(entry, dict):
        raise CitationFileError(name, f"{place}: expected an object")
    for field in ("uri", "quote"):
        if not isinstance(entry.get(field), str) or not entry[field]:
            raise CitationFileError(name, f"{place}.{field}: expected a text")
    for field in ("start", "end"):
        value = entry.get(field)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise CitationFileError(name, f"{place}.{field}: expected a whole number, 0 or more")
    digest = entry.get("sha256")
    if digest is not None and not isinstance(digest, str):
        raise CitationFileError(name, f"{place}.sha256: expected a text")
    return Cited(entry["uri"], entry["start"], entry["end"], entry["quote"], digest)


class _Texts(Protocol):
    """Where quotes are looked for."""

    def has(self, uri: str) -> bool:
        """Return whether there is a source."""
        ...

    def text(self, uri: str) -> str | None:
        """Return the text of a source, None when there is none to be read."""
        ...

    def with_digest(self, sha256: str) -> list[str]:
        """Return the sources whose file has this sha256."""
        ...


def _check(corpus: _Texts, cited: Cited, text: str | None) -> CheckedCitation:
    def checked(state: CitationState, moved_to: Location | None = None) -> CheckedCitation:
        return CheckedCitation(cited.uri, cited.start, cited.end, state, moved_to)

    if text is not None:
        if text[cited.start : cited.end] == cited.quote:
            return checked("valid")
        start = _nearest(text, cited.quote, cited.start)
        if start is not None:
            return checked("moved", Location(cited.uri, start, start + len(cited.quote)))
    if corpus.has(cited.uri):
        return checked("changed")
    moved_to = _renamed(corpus, cited)
    return checked("moved" if moved_to else "missing", moved_to)


def _renamed(corpus: _Texts, cited: Cited) -> Location | None:
    """Find the file that a quote was cut from under another name."""
    for uri in corpus.with_digest(cited.sha256) if cited.sha256 else ():
        start = _nearest(corpus.text(uri) or "", cited.quote, cited.start)
        if start is not None:
            return Location(uri, start, start + len(cited.quote))
    return None


def _nearest(text: str, quote: str, start: int) -> int | None:
    """Return the offset nearest to `start` at which a quote stands, the earlier of two."""
    before = text.rfind(quote, 0, max(0, start - 1 + len(quote)))
    after = text.find(quote, start)
    found = [offset for offset in (before, after) if offset >= 0]
    return min(found, key=lambda offset: abs(offset - start), default=None)


class _Indexed:
    """The sources of an index."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def has(self, uri: str) -> bool:
        """Return whether there is a source."""
        return self.text(uri) is not None

    def text(self, uri: str) -> str | None:
        """Return the text of a source, None when there is none."""
        try:
            return self._store.document(uri).text
        except UnknownSource:
            return None

    def with_digest(self, sha256: str) -> list[str]:
        """Return the sources whose file has this sha256."""
        return [source.uri for source in self._store.sources() if source.sha256 == sha256.lower()]


class _Corpus:
    """The files that an index would be built from, as they are now."""

    def __init__(self, settings: Settings, worker: Worker, stopped: Callable[[], bool]) -> None:
        self._worker = worker
        self._stopped = stopped
        if not settings.corpus.is_dir():
            raise SourceError(str(settings.corpus), "no such folder; name it with --corpus")
        self._settings = settings
        self.files: Mapping[str, Path] = dict(walk(settings.corpus, settings.index.resolve()))
        self._uris: dict[str, list[str]] | None = None

    def has(self, uri: str) -> bool:
        """Return whether a file would be read: inside the corpus, regular, not too large."""
        path = self.files.get(uri)
        try:
            return path is not None and file_stat(uri, path, self._settings) is not None
        except SourceError:
            return False

    def text(self, uri: str) -> str | None:
        """Return the text of a file, None when there is none to be read."""
        self._go_on()
        try:
            if not self.has(uri):
                return None
            return self._worker.read(uri, self.files[uri].read_bytes()).text
        except (OSError, SourceError):
            return None

    def digest(self, uri: str) -> str | None:
        """Return the sha256 of a file, None when it cannot be read."""
        self._go_on()
        try:
            with self.files[uri].open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError:
            return None

    def _go_on(self) -> None:
        if self._stopped():
            raise TimeoutError("verification was stopped")

    def with_digest(self, sha256: str) -> list[str]:
        """Return the files with this sha256; the first call reads every file."""
        if self._uris is None:
            self._uris = {}
            for uri in self.files:
                if self.has(uri):
                    self._uris.setdefault(self.digest(uri) or "", []).append(uri)
        return self._uris.get(sha256.lower(), [])
