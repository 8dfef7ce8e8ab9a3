"""Build the index: walk the corpus, read, split, encode, publish."""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pathspec

from qa.config import Settings
from qa.errors import IndexDamaged, IndexIncompatible, IndexMissing, SourceError
from qa.readers import scanned
from qa.readers.worker import Worker
from qa.splitter import context, split
from qa.stores.generation import FORMAT, Manifest
from qa.stores.index import Generation, Index, open_index
from qa.stores.records import Part
from qa.types import Document, Encoder, Passage, SkippedSource, Vectors

logger = logging.getLogger(__name__)

#: Called with the phase, what is done of it, and how much there is to do.
Progress = Callable[[str, int, int], None]
#: Returns a unit vector per text; called in place of the encoder.
Embed = Callable[[Sequence[str], Progress], Vectors]

#: Raised when the same text is split or encoded differently than before.
SPLITTER_VERSION = 3
_ENCODED_AT_ONCE = 64
#: Passages among which those of like length are looked for, to be encoded together.
_SORTED_AT_ONCE = 4096
#: While one thread has the model busy, the other prepares what comes next.
_ENCODERS = 2
#: A file that was written to so shortly ago may be written to again without its times changing.
_UNSURE_NS = 2_000_000_000
#: Names files of the corpus that are not indexed, in the syntax of .gitignore.
IGNORE = ".qaignore"


@dataclass(frozen=True, slots=True)
class Report:
    """What a build did."""

    generation: str
    changed: bool
    #: why nothing of the index before could be used; empty where it was
    reason: str
    sources: dict[str, int]
    passages: dict[str, int]
    skipped: tuple[SkippedSource, ...]
    #: phase to duration
    seconds: dict[str, float]


@dataclass(frozen=True, slots=True)
class _Before:
    """What was live before a build."""

    #: its id, as the pointer says it; empty when there is none
    name: str
    #: None when there is none, or none that can be read
    manifest: Manifest | None = None
    #: why it cannot be read
    unusable: str = ""


@dataclass(frozen=True, slots=True)
class _File:
    """A file of the corpus as it is now."""

    path: Path
    sha256: str
    stat: list[int]


@dataclass(slots=True)
class _Corpus:
    """The files of a corpus as they are now."""

    files: dict[str, _File] = field(default_factory=dict)
    skipped: list[SkippedSource] = field(default_factory=list)

    @property
    def hashes(self) -> dict[str, str]:
        """Return uri to sha256 of what could be read."""
        return {uri: file.sha256 for uri, file in self.files.items()}


def build(
    settings: Settings,
    encoder: Encoder,
    *,
    full: bool = False,
    progress: Progress = lambda phase, done, total: None,
    now: datetime | None = None,
    embed: Embed | None = None,
) -> Report:
    """Bring the index up to date with the corpus, and return what was done.

    Sources whose content is in the live generation are taken over from it; of the others, a
    passage whose text was embedded before keeps its vector. Nothing is written when neither the
    files nor the settings changed, unless `full` is set, which takes nothing over. Files that
    cannot be read are skipped, with a reason in the report, and stop nothing.

    :param embed: where given, encodes the passages in place of the encoder.
    :raises SourceError: if there is no corpus folder, or it is empty and the index is not.
    :raises IndexBusy: if another process is building.
    """
    clock = _Clock()
    if not settings.corpus.is_dir():
        raise SourceError(str(settings.corpus), "no such folder; name it with --corpus")
    index = open_index(settings)
    before = _before(index)
    corpus = _read_corpus(settings, before.manifest, progress)
    if not full and _same(before.manifest, corpus, encoder, settings):
        return _unchanged(before, clock)
    with index.lock():
        if index.pointer() != before.name:  # another builder has just ended
            before = _before(index)
            corpus = _read_corpus(settings, before.manifest, progress)
            if not full and _same(before.manifest, corpus, encoder, settings):
                return _unchanged(before, clock)
        clock.lap("read")
        if not full:
            _refuse_empty(corpus, before, settings)
        return _build(index, corpus, before, settings, encoder, full, clock, progress, now, embed)


def _build(
    index: Index,
    corpus: _Corpus,
    before: _Before,
    settings: Settings,
    encoder: Encoder,
    full: bool,
    clock: _Clock,
    progress: Progress,
    now: datetime | None,
    embed: Embed | None,
) -> Report:
    base, reason = (None, "") if full else _base(index, before, encoder, settings)
    parts, skipped = _split_corpus(corpus, base, settings, encoder, progress)
    clock.lap("split")
    vectors, embedded = _encode(parts, base, _window(settings, encoder), encoder, progress, embed)
    clock.lap("embed")
    sources = {part.document.uri: part.document.sha256 for part in parts}
    wanted = sum(bool(key) for part in parts for key in part.keys)
    changes = _changes(before.manifest, sources)
    passages = {"total": len(vectors), "reused": wanted - embedded, "embedded": embedded}
    entries = {
        "model": encoder.name,
        "dimension": encoder.dimension,
        "splitter": splitter_settings(settings),
        "sources": sources,
        "skipped": tuple(skipped),
        "skipped_hashes": {
            entry.uri: corpus.files[entry.uri].sha256
            for entry in skipped
            if entry.uri in corpus.files
        },
        "stats": {uri: file.stat for uri, file in corpus.files.items() if file.stat},
        "counts": {"sources": len(sources), "passages": len(vectors)},
        "report": {
            "reason": reason,
            "sources": changes,
            "passages": passages,
            "seconds": clock.total(),
        },
    }
    published = now or datetime.now(UTC)
    marked = list(_marked(parts, vectors))
    name = index.publish(marked, vectors, entries, published, settings.generations, base)
    clock.lap("publish")
    return Report(name, True, reason, changes, passages, tuple(skipped), clock.total())


def _unchanged(before: _Before, clock: _Clock) -> Report:
    clock.lap("read")
    assert before.manifest
    total = before.manifest.counts["passages"]
    return Report(
        before.name,
        False,
        "",
        _changes(before.manifest, before.manifest.sources),
        {"total": total, "reused": total, "embedded": 0},
        before.manifest.skipped,
        clock.total(),
    )


def _refuse_empty(corpus: _Corpus, before: _Before, settings: Settings) -> None:
    known = len(before.manifest.sources) if before.manifest else 0
    if known and not (corpus.files or corpus.skipped):
        raise SourceError(
            str(settings.corpus),
            f"holds no file, and the index has {known} sources; where that is meant: "
            "qa index --full",
        )


def splitter_settings(settings: Settings) -> dict[str, int]:
    """Return everything of the settings that decides how a text becomes passages."""
    return {"version": SPLITTER_VERSION, "passage_tokens": settings.passage_tokens}


def encoded_text(passage: Passage, window: int, encoder: Encoder) -> str:
    """Return what the model reads for a passage: title and headings, then the text."""
    return context(passage.title, passage.section, window, encoder.count) + passage.plain


def _window(settings: Settings, encoder: Encoder) -> int:
    return min(settings.passage_tokens, encoder.max_tokens) - 2  # for the special word pieces


def _before(index: Index) -> _Before:
    """Look at the live generation, and check that it is sound."""
    name = index.pointer()
    try:
        return _Before(name, index.check())
    except IndexMissing:
        return _Before(name)
    except IndexDamaged as error:
        return _Before(name, unusable=f"the index before cannot be used: {error.reason}")


def _base(
    index: Index, before: _Before, encoder: Encoder, settings: Settings
) -> tuple[Generation | None, str]:
    """Open the generation to take sources and vectors over from, or say why there is none."""
    manifest = before.manifest
    if manifest is None:
        return None, before.unusable
    if manifest.model != encoder.name:
        return None, f"the model is now {encoder.name}, the index was built with {manifest.model}"
    splitter = splitter_settings(settings)
    if manifest.splitter != splitter:
        differing = ", ".join(
            f"{key} is now {value}, was {manifest.splitter.get(key)}"
            for key, value in splitter.items()
            if manifest.splitter.get(key) != value
        )
        return None, f"texts are split differently: {differing}"
    try:
        return index.open(before.name, manifest), ""
    except IndexIncompatible as error:
        return None, f"the {error.field} of an index is now {error.expected}, was {error.found}"
    except IndexDamaged as error:
        return None, f"the index before cannot be used: {error.reason}"


def _same(live: Manifest | None, corpus: _Corpus, encoder: Encoder, settings: Settings) -> bool:
    if live is None:
        return False
    unreadable = {_shown(entry.uri) for entry in corpus.skipped}
    known = {entry.uri for entry in live.skipped} - set(live.skipped_hashes)
    return (
        live.format == FORMAT
        and live.model == encoder.name
        and live.splitter == splitter_settings(settings)
        and {**live.sources, **live.skipped_hashes} == corpus.hashes
        and unreadable == known
    )


def _changes(live: Manifest | None, sources: dict[str, str]) -> dict[str, int]:
    """Count what happened to the sources; one that went and came under another name was renamed."""
    old = live.sources if live else {}
    added = Counter(digest for uri, digest in sources.items() if uri not in old)
    removed = Counter(digest for uri, digest in old.items() if uri not in sources)
    renamed = (added & removed).total()
    return {
        "added": added.total() - renamed,
        "changed": sum(uri in old and old[uri] != digest for uri, digest in sources.items()),
        "renamed": renamed,
        "removed": removed.total() - renamed,
        "duplicate": len(sources) - len(set(sources.values())),
        "unchanged": sum(old.get(uri) == digest for uri, digest in sources.items()),
    }


def _read_corpus(settings: Settings, manifest: Manifest | None, progress: Progress) -> _Corpus:
    """Find the files and what tells their content; what was not touched is not read."""
    corpus = _Corpus()
    known = {**manifest.sources, **manifest.skipped_hashes} if manifest else {}
    stats = manifest.stats if manifest else {}
    paths = list(walk(settings.corpus, settings.index.resolve()))
    for number, (uri, path) in enumerate(paths, 1):
        try:
            stat = file_stat(uri, path, settings)
            if stat and stats.get(uri) == stat and uri in known:
                corpus.files[uri] = _File(path, known[uri], stat)
            else:
                digest = hashlib.sha256(_read_file(uri, path)).hexdigest()
                corpus.files[uri] = _File(path, digest, stat)
        except SourceError as error:
            corpus.skipped.append(SkippedSource(uri, error.reason))
        progress("read", number, len(paths))
    return corpus


def walk(root: Path, index: Path) -> Iterator[tuple[str, Path]]:
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


def file_stat(uri: str, path: Path, settings: Settings) -> list[int]:
    """Return what changes when a file is written to; empty when it was written to just now.

    :raises SourceError: for what is no file to be read.
    """
    if not uri.isprintable() and any("\udc80" <= character <= "\udcff" for character in uri):
        raise SourceError(uri, "its name is not UTF-8; rename it")
    try:
        if not path.resolve().is_relative_to(settings.corpus.resolve()):
            raise SourceError(uri, "a link that leads out of the corpus")
        if not path.is_file():
            raise SourceError(uri, "a link to a folder" if path.is_dir() else "not a regular file")
        found = path.stat()
    except OSError as error:
        raise SourceError(uri, error.strerror or "cannot be read") from error
    except RuntimeError as error:  # of Python 3.11 and 3.12
        raise SourceError(uri, "a link that leads to itself") from error
    if found.st_size > settings.max_source_mb * 1024 * 1024:
        size, most = found.st_size / 1024**2, settings.max_source_mb
        raise SourceError(uri, f"{size:.0f} MB, more than max_source_mb = {most}")
    if abs(time.time_ns() - max(found.st_mtime_ns, found.st_ctime_ns)) < _UNSURE_NS:
        return []
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns]


def _read_file(uri: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SourceError(uri, error.strerror or "cannot be read") from error


def _split_corpus(
    corpus: _Corpus,
    base: Generation | None,
    settings: Settings,
    encoder: Encoder,
    progress: Progress,
) -> tuple[list[Part], list[SkippedSource]]:
    """Return each source with its passages, those that did not change as they were."""
    window = _window(settings, encoder)
    known = base.manifest.sources if base else {}
    parts = []
    skipped = [SkippedSource(_shown(entry.uri), entry.reason) for entry in corpus.skipped]
    with Worker(settings) as worker:
        for number, (uri, file) in enumerate(corpus.files.items(), 1):
            try:
                if base and known.get(uri) == file.sha256:
                    part = base.part(uri)
                else:
                    document = worker.read(uri, _read_file(uri, file.path))
                    part = _part(document, window, encoder)
            except SourceError as error:
                skipped.append(SkippedSource(uri, error.reason))
            else:
                parts.append(part)
                pages = scanned(part.document)
                if pages:
                    reason = f"in part: no text on page {', '.join(pages)}; it needs OCR"
                    skipped.append(SkippedSource(uri, reason))
            progress("split", number, len(corpus.files))
    return parts, sorted(skipped, key=lambda entry: entry.uri)


def _part(document: Document, window: int, encoder: Encoder) -> Part:
    passages = split(document, window, encoder.count)
    if not passages:
        raise SourceError(document.uri, "empty")
    return Part(document, passages, [_key(passage, window, encoder) for passage in passages])


def _key(passage: Passage, window: int, encoder: Encoder) -> str:
    """Name what the model reads for a passage; empty where nothing in it is to be found."""
    if not passage.plain:
        return ""
    return hashlib.sha256(encoded_text(passage, window, encoder).encode()).hexdigest()[:32]


def _shown(uri: str) -> str:
    """Write a name that is not UTF-8 with escapes, so that it can be printed and stored."""
    return uri.encode("utf-8", "backslashreplace").decode("utf-8")


def _encode(
    parts: Sequence[Part],
    base: Generation | None,
    window: int,
    encoder: Encoder,
    progress: Progress,
    embed: Embed | None,
) -> tuple[Vectors, int]:
    """Return one row a passage, and how many texts were encoded for that.

    Of texts that are the same, one is encoded, and none that is in `base`. A passage in which
    nothing is to be found has the zero vector.
    """
    passages = [passage for part in parts for passage in part.passages]
    keys = [key for part in parts for key in part.keys]
    vectors = np.zeros((len(keys), encoder.dimension), dtype=np.float32)
    known = base.keyed_rows() if base else {}
    old = [row for row, key in enumerate(keys) if key in known]
    if base and old:
        vectors[old] = base.vectors([known[keys[row]] for row in old])
    first = {key: row for row, key in reversed([*enumerate(keys)]) if key and key not in known}
    rows = sorted(first.values())

    def encode(chosen: Sequence[int]) -> Vectors:
        texts = [encoded_text(passages[row], window, encoder) for row in chosen]
        return embed(texts, progress) if embed else _sound(encoder.encode(texts))

    if embed and rows:
        vectors[rows] = encode(rows)
    elif rows:
        _fill(
            vectors, _alike(passages, rows), encode, lambda done: progress("embed", done, len(rows))
        )
    again = [row for row, key in enumerate(keys) if key in first]
    vectors[again] = vectors[[first[keys[row]] for row in again]]
    return vectors, len(rows)


def _fill(
    vectors: Vectors,
    groups: Iterable[Sequence[int]],
    encode: Callable[[Sequence[int]], Vectors],
    progress: Callable[[int], None],
) -> None:
    """Encode rows group by group, several groups side by side."""
    done = 0
    with ThreadPoolExecutor(_ENCODERS) as encoders:
        for chosen, encoded in encoders.map(lambda group: (group, encode(group)), groups):
            vectors[chosen] = encoded
            done += len(chosen)
            progress(done)


def _marked(parts: Sequence[Part], vectors: Vectors) -> Iterator[Part]:
    """Yield the parts with an empty key for every passage that has no vector."""
    row = 0
    for part in parts:
        own = vectors[row : row + len(part.keys)]
        keys = [key if vector.any() else "" for key, vector in zip(part.keys, own, strict=True)]
        yield replace(part, keys=keys)
        row += len(keys)


def _sound(vectors: Vectors) -> Vectors:
    """Put the zero vector, which is near nothing, where a model gave no numbers for a text."""
    finite = np.isfinite(vectors).all(axis=1, keepdims=True)
    if not finite.all():
        logger.warning(
            "the model gave no numbers for %s passages; words find them", (~finite).sum()
        )
    return np.where(finite, vectors, np.float32(0))


def _alike(passages: Sequence[Passage], rows: Sequence[int]) -> Iterator[Sequence[int]]:
    """Yield rows in groups of like length: a run takes as long as its longest text."""
    for start in range(0, len(rows), _SORTED_AT_ONCE):
        chosen = sorted(
            rows[start : start + _SORTED_AT_ONCE], key=lambda row: len(passages[row].plain)
        )
        for place in range(0, len(chosen), _ENCODED_AT_ONCE):
            yield chosen[place : place + _ENCODED_AT_ONCE]


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
