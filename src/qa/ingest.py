"""Build the index: walk the corpus, read, split, encode, publish."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pathspec

from qa.config import Settings
from qa.errors import IndexDamaged, IndexMissing, SourceError
from qa.readers import scanned
from qa.readers.worker import Worker
from qa.splitter import context, split
from qa.stores import generation, local
from qa.types import Document, Encoder, Passage, SkippedSource, Vectors

#: Called with the phase, what is done of it, and how much there is to do.
Progress = Callable[[str, int, int], None]

#: Raised when the same text is split or encoded differently than before.
SPLITTER_VERSION = 3
_ENCODED_AT_ONCE = 64
#: Names files of the corpus that are not indexed, in the syntax of .gitignore.
IGNORE = ".qaignore"


@dataclass(frozen=True, slots=True)
class Report:
    """What a build did."""

    generation: str
    changed: bool
    sources: dict[str, int]
    passages: dict[str, int]
    skipped: tuple[SkippedSource, ...]
    #: phase to duration
    seconds: dict[str, float]


@dataclass(slots=True)
class _Corpus:
    """The files of a corpus as they are now."""

    contents: dict[str, bytes] = field(default_factory=dict)
    hashes: dict[str, str] = field(default_factory=dict)
    skipped: list[SkippedSource] = field(default_factory=list)


def build(
    settings: Settings,
    encoder: Encoder,
    *,
    full: bool = False,
    progress: Progress = lambda phase, done, total: None,
    now: datetime | None = None,
) -> Report:
    """Bring the index up to date with the corpus, and return what was done.

    Nothing is written when neither the files nor the settings changed, unless `full` is set.
    Files that cannot be read are skipped, with a reason in the report, and stop nothing.

    :raises SourceError: if there is no corpus folder.
    :raises IndexBusy: if another process is building.
    """
    clock = _Clock()
    if not settings.corpus.is_dir():
        raise SourceError(str(settings.corpus), "no such folder; name it with --corpus")
    corpus = _read_corpus(settings, progress)
    clock.lap("read")
    splitter = splitter_settings(settings)
    live = _live(settings.index)
    if live and not full and _same(live, corpus, encoder, splitter):
        return Report(
            generation.current(settings.index).name,
            False,
            _changes(live, live.sources),
            {"total": live.counts["passages"], "reused": live.counts["passages"], "embedded": 0},
            live.skipped,
            clock.total(),
        )
    with generation.building(settings.index) as folder:
        parts, skipped = _split_corpus(corpus, settings, encoder, progress)
        clock.lap("split")
        vectors = _encode(parts, _window(settings, encoder), encoder, progress)
        clock.lap("embed")
        local.write(folder, parts, vectors)
        sources = {document.uri: document.sha256 for document, _ in parts}
        embedded = sum(bool(passage.plain) for _, passages in parts for passage in passages)
        report = Report(
            "",
            True,
            _changes(live, sources),
            {"total": len(vectors), "reused": 0, "embedded": embedded},
            tuple(skipped),
            {},
        )
        manifest = {
            "model": encoder.name,
            "dimension": encoder.dimension,
            "splitter": splitter,
            "sources": sources,
            "skipped": tuple(skipped),
            "skipped_hashes": {
                entry.uri: corpus.hashes[entry.uri]
                for entry in skipped
                if entry.uri in corpus.hashes
            },
            "counts": {"sources": len(sources), "passages": len(vectors)},
            "report": {"sources": report.sources, "passages": report.passages},
        }
        name = generation.publish(settings.index, folder, manifest, now or datetime.now(UTC))
    clock.lap("publish")
    return Report(name, True, report.sources, report.passages, report.skipped, clock.total())


def splitter_settings(settings: Settings) -> dict[str, int]:
    """Return everything of the settings that decides how a text becomes passages."""
    return {"version": SPLITTER_VERSION, "passage_tokens": settings.passage_tokens}


def encoded_text(passage: Passage, window: int, encoder: Encoder) -> str:
    """Return what the model reads for a passage: title and headings, then the text."""
    return context(passage.title, passage.section, window, encoder.count) + passage.plain


def _window(settings: Settings, encoder: Encoder) -> int:
    return min(settings.passage_tokens, encoder.max_tokens) - 2  # for the special word pieces


def _live(index: Path) -> generation.Manifest | None:
    """Return the manifest of the live generation, None when there is none to build upon."""
    try:
        return generation.check(generation.current(index))
    except (IndexMissing, IndexDamaged):
        return None


def _same(
    live: generation.Manifest, corpus: _Corpus, encoder: Encoder, splitter: dict[str, int]
) -> bool:
    unreadable = {_shown(entry.uri) for entry in corpus.skipped}
    known = {entry.uri for entry in live.skipped} - set(live.skipped_hashes)
    return (
        live.format == generation.FORMAT
        and live.model == encoder.name
        and live.splitter == splitter
        and {**live.sources, **live.skipped_hashes} == corpus.hashes
        and unreadable == known
    )


def _changes(live: generation.Manifest | None, sources: dict[str, str]) -> dict[str, int]:
    old = live.sources if live else {}
    return {
        "added": sum(uri not in old for uri in sources),
        "changed": sum(uri in old and old[uri] != digest for uri, digest in sources.items()),
        "renamed": 0,
        "removed": sum(uri not in sources for uri in old),
        "duplicate": len(sources) - len(set(sources.values())),
        "unchanged": sum(old.get(uri) == digest for uri, digest in sources.items()),
    }


def _read_corpus(settings: Settings, progress: Progress) -> _Corpus:
    corpus = _Corpus()
    paths = list(_walk(settings.corpus, settings.index.resolve()))
    for number, (uri, path) in enumerate(paths, 1):
        try:
            data = _read_file(uri, path, settings)
        except SourceError as error:
            corpus.skipped.append(SkippedSource(uri, error.reason))
        else:
            corpus.contents[uri] = data
            corpus.hashes[uri] = hashlib.sha256(data).hexdigest()
        progress("read", number, len(paths))
    return corpus


def _walk(root: Path, index: Path) -> Iterator[tuple[str, Path]]:
    """Yield every file below a folder with its uri, in order; links to folders count as files.

    Hidden files are left out, what the patterns of `.qaignore` match, and the index itself.

    :raises SourceError: for a folder that cannot be read, so that its files do not seem removed.
    """
    ignored = _ignored(root / IGNORE)
    for folder, folders, names in os.walk(root, onerror=_refuse):
        links = [name for name in folders if Path(folder, name).is_symlink()]
        folders[:] = sorted(
            name
            for name in set(folders).difference(links)
            if not name.startswith(".") and Path(folder, name).resolve() != index
        )
        for name in sorted([*names, *links]):
            path = Path(folder, name)
            uri = path.relative_to(root).as_posix()
            if not name.startswith(".") and not ignored.match_file(uri):
                yield uri, path


def _refuse(error: OSError) -> None:
    raise SourceError(str(error.filename), f"cannot be read ({error.strerror})") from error


def _ignored(path: Path) -> pathspec.GitIgnoreSpec:
    if not path.is_file():
        return pathspec.GitIgnoreSpec.from_lines([])
    try:
        return pathspec.GitIgnoreSpec.from_lines(path.read_text(encoding="utf-8-sig").splitlines())
    except (UnicodeDecodeError, ValueError) as error:
        raise SourceError(IGNORE, f"not a list of patterns as in .gitignore ({error})") from error


def _read_file(uri: str, path: Path, settings: Settings) -> bytes:
    if not uri.isprintable() and any("\udc80" <= character <= "\udcff" for character in uri):
        raise SourceError(uri, "its name is not UTF-8; rename it")
    try:
        if not path.resolve().is_relative_to(settings.corpus.resolve()):
            raise SourceError(uri, "a link that leads out of the corpus")
        if not path.is_file():
            raise SourceError(uri, "a link to a folder" if path.is_dir() else "not a regular file")
        size = path.stat().st_size
        if size > settings.max_source_mb * 1024 * 1024:
            raise SourceError(
                uri, f"{size / 1024**2:.0f} MB, more than max_source_mb = {settings.max_source_mb}"
            )
        return path.read_bytes()
    except OSError as error:
        raise SourceError(uri, error.strerror or "cannot be read") from error
    except RuntimeError as error:  # of Python 3.11 and 3.12
        raise SourceError(uri, "a link that leads to itself") from error


def _split_corpus(
    corpus: _Corpus, settings: Settings, encoder: Encoder, progress: Progress
) -> tuple[list[tuple[Document, list[Passage]]], list[SkippedSource]]:
    window = _window(settings, encoder)
    parts = []
    skipped = [SkippedSource(_shown(entry.uri), entry.reason) for entry in corpus.skipped]
    with Worker(settings) as worker:
        for number, (uri, data) in enumerate(corpus.contents.items(), 1):
            try:
                document = worker.read(uri, data)
            except SourceError as error:
                skipped.append(SkippedSource(uri, error.reason))
            else:
                passages = split(document, window, encoder.count)
                if passages:
                    parts.append((document, passages))
                else:
                    skipped.append(SkippedSource(uri, "empty"))
                pages = scanned(document)
                if pages:
                    reason = f"in part: no text on page {', '.join(pages)}; it needs OCR"
                    skipped.append(SkippedSource(uri, reason))
            progress("split", number, len(corpus.contents))
    return parts, sorted(skipped, key=lambda entry: entry.uri)


def _shown(uri: str) -> str:
    """Write a name that is not UTF-8 with escapes, so that it can be printed and stored."""
    return uri.encode("utf-8", "backslashreplace").decode("utf-8")


def _encode(
    parts: Sequence[tuple[Document, list[Passage]]],
    window: int,
    encoder: Encoder,
    progress: Progress,
) -> Vectors:
    """Return one row a passage; a passage in which nothing is to be found has the zero vector."""
    passages = [passage for _, split_ in parts for passage in split_]
    vectors = np.zeros((len(passages), encoder.dimension), dtype=np.float32)
    rows = [row for row, passage in enumerate(passages) if passage.plain]
    for start in range(0, len(rows), _ENCODED_AT_ONCE):
        chosen = rows[start : start + _ENCODED_AT_ONCE]
        texts = [encoded_text(passages[row], window, encoder) for row in chosen]
        vectors[chosen] = encoder.encode(texts)
        progress("embed", start + len(chosen), len(rows))
    return vectors


class _Clock:
    """Takes the time of each phase."""

    def __init__(self) -> None:
        self._begin = self._last = time.perf_counter()
        self._phases: dict[str, float] = {}

    def lap(self, phase: str) -> None:
        """End a phase."""
        now = time.perf_counter()
        self._phases[phase] = round(now - self._last, 3)
        self._last = now

    def total(self) -> dict[str, float]:
        """Return the seconds of each phase and of all."""
        names = ("read", "split", "embed", "publish")
        phases = {name: self._phases.get(name, 0.0) for name in names}
        return {**phases, "total": round(time.perf_counter() - self._begin, 3)}
