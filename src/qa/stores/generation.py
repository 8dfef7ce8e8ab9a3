"""Generations of an index on disk: built aside, complete or absent, switched by one pointer."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import secrets
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any

from qa.errors import IndexBusy, IndexDamaged, IndexMissing, UnknownGeneration
from qa.types import SkippedSource

#: Raised when the files of a generation change their meaning.
FORMAT = 4
MANIFEST = "manifest.json"
_POINTER = "CURRENT"
#: Bytes from which on a file that was not touched since it was written is not read to be checked.
_LARGE = 32 * 1024 * 1024
#: Seconds in which a lock may come free: a child that a killed builder was about to start holds it
#: until it has started.
_PATIENCE = 1.0
_TIME = "%Y%m%dT%H%M%S%f"
_NAME = re.compile(r"[\w-]{1,100}")
_ID = re.compile(r"\d{8}T\d{9}-[0-9a-f]{8}")


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a generation is made of. Written last; a folder without it is no generation."""

    format: int
    created: str
    #: name and hash of the embedding model
    model: str
    dimension: int
    #: everything of the settings that changes passages or vectors
    splitter: dict[str, int]
    #: uri to sha256 of every file that was read
    sources: dict[str, str]
    skipped: tuple[SkippedSource, ...]
    #: sha256 of the files that were skipped, where they could be read
    skipped_hashes: dict[str, str]
    #: uri to what tells an untouched file at a glance: size, and times of change in nanoseconds
    stats: dict[str, list[int]]
    counts: dict[str, int]
    #: path below the generation to sha256
    files: dict[str, str]
    report: dict[str, Any]
    #: of the large files, what the system says of each until something touches it
    stamps: dict[str, list[int]] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Read the manifest of a generation; raise IndexDamaged if it is not one."""
        try:
            return cls.parse((folder / MANIFEST).read_bytes())
        except FileNotFoundError as error:
            raise IndexDamaged(folder, f"{MANIFEST} is missing") from error
        except ValueError as error:
            raise IndexDamaged(folder, f"{MANIFEST} is not a manifest of this version") from error

    @classmethod
    def parse(cls, text: str | bytes) -> Manifest:
        """Make a manifest of what `dump` wrote; raise ValueError if it is not one."""
        try:
            data = json.loads(text)
            skipped = tuple(SkippedSource(**entry) for entry in data.pop("skipped"))
            return cls(**data, skipped=skipped)
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError("not a manifest") from error

    def dump(self) -> str:
        """Return the manifest as text: the same manifest is the same text."""
        return json.dumps(asdict(self), ensure_ascii=False, indent=1, sort_keys=True)


def pointer(index: Path) -> str:
    """Return what the pointer says, unchecked; empty when there is none."""
    try:
        return (index / _POINTER).read_text(encoding="utf-8", errors="replace").strip() or "nothing"
    except (FileNotFoundError, NotADirectoryError):
        return ""


def current(index: Path) -> Path:
    """Return the folder of the live generation.

    :raises IndexMissing: if nothing was built yet.
    :raises IndexDamaged: if the pointer leads nowhere.
    """
    name = pointer(index)
    if not name:
        raise IndexMissing(index)
    folder = index / "generations" / name
    if not _NAME.fullmatch(name) or not folder.is_dir():
        raise IndexDamaged(index, f"{_POINTER} names {name!r}, which is not there")
    return folder


def check(folder: Path, *, trusting: bool = False) -> Manifest:
    """Compare every file of a generation with its checksum; raise IndexDamaged at a difference.

    The id of a generation ends in the checksum of its manifest.

    :param trusting: do not read a large file that the system says nothing touched since its
        checksum was taken, so that opening an index takes no longer when it grows.
    """
    manifest = Manifest.read(folder)
    if not folder.name.endswith(_stamp((folder / MANIFEST).read_bytes())):
        raise IndexDamaged(folder, f"{MANIFEST} is not what was written (checksum differs)")
    for name, expected in manifest.files.items():
        path = folder / name
        if not path.is_file():
            raise IndexDamaged(folder, f"{name} is missing")
        if trusting and name in manifest.stamps and _touched(path) == manifest.stamps[name]:
            continue
        if _digest(path) != expected:
            raise IndexDamaged(folder, f"{name} is not what was written (checksum differs)")
    return manifest


def is_generation(name: str) -> bool:
    """Say whether a text can be the id of a generation."""
    return bool(_ID.fullmatch(name))


def generations(index: Path) -> list[str]:
    """Return the ids of the complete generations, oldest first."""
    found = [path.parent.name for path in (index / "generations").glob(f"*/{MANIFEST}")]
    return sorted(name for name in found if _NAME.fullmatch(name))


def rollback(index: Path, name: str | None = None) -> str:
    """Make an earlier generation the live one, and return its id.

    :param name: where not given, the one before the live one.
    :raises IndexMissing: if nothing was built yet.
    :raises UnknownGeneration: if there is none of that name, or none before the live one.
    :raises IndexDamaged: if its files are not what was written.
    :raises IndexBusy: if another process is building.
    """
    with lock(index):
        live = pointer(index)
        if not live:
            raise IndexMissing(index)
        chosen = before(live, generations(index), name)
        check(index / "generations" / chosen)
        write_file(index / _POINTER, f"{chosen}\n".encode())
    return chosen


@contextlib.contextmanager
def building(index: Path) -> Iterator[Path]:
    """Lend an empty folder that is swept away afterwards; needs the lock.

    What a builder left that was stopped in the middle is swept away first.
    """
    for leftover in (*index.glob("building-*"), *index.glob(f".{_POINTER}.*")):
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)
    folder = index / f"building-{secrets.token_hex(4)}"
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def publish(
    index: Path,
    folder: Path,
    manifest: dict[str, Any],
    now: datetime,
    *,
    keep: int,
    verify: Callable[[Path, Manifest], None],
) -> str:
    """Make a built folder the live generation, and return its id; needs the lock.

    Its manifest is written last, `verify` has its say, everything is flushed to disk, the folder is
    renamed into place, and only then the pointer is replaced. Whatever happens before leaves the
    old one live.

    :param keep: generations that are kept, the new one among them.
    """
    files = {
        path.relative_to(folder).as_posix(): _digest(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != ".lock"  # which tantivy may leave for a moment
    }
    stamps = {
        name: _touched(folder / name) for name in files if (folder / name).stat().st_size >= _LARGE
    }
    complete = Manifest(
        format=FORMAT, created=now.isoformat(), files=files, stamps=stamps, **manifest
    )
    text = complete.dump()
    write_file(folder / MANIFEST, text.encode())
    verify(folder, complete)
    for path in sorted(folder.rglob("*")):
        flush(path)
    flush(folder)
    generation = identify(text, now, generations(index))
    target = index / "generations" / generation
    target.parent.mkdir(exist_ok=True)
    folder.rename(target)
    flush(target.parent)
    write_file(index / _POINTER, f"{generation}\n".encode())
    _prune(index, generation, keep)
    return generation


def identify(manifest: str, now: datetime, known: Sequence[str]) -> str:
    """Name a generation so that ids sort by when they were published, whatever the clock does.

    :param known: the ids there are.
    """
    last = max(known, default="").partition("-")[0]
    with contextlib.suppress(ValueError):
        after = datetime.strptime(last, _TIME).replace(tzinfo=UTC) + timedelta(milliseconds=1)
        now = max(now.astimezone(UTC), after)
    time_ms = now.strftime(_TIME)[:-3]
    return f"{time_ms}-{_stamp(manifest.encode())}"


def before(live: str, known: Sequence[str], name: str | None) -> str:
    """Return the generation that a rollback leads to.

    :param known: the ids there are, oldest first.
    :param name: where not given, the one before the live one.
    :raises UnknownGeneration: if there is none of that name, or none before the live one.
    """
    earlier = [found for found in known if found < live]
    chosen = name or (earlier[-1] if earlier else "")
    if chosen not in known:
        raise UnknownGeneration(chosen, known)
    return chosen


def write_file(path: Path, data: bytes) -> None:
    """Write a file so that a crash leaves the old one or the new one, never half."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    flush(path.parent)


def flush(path: Path) -> None:
    """Bring a file or the entries of a folder to disk, where the system can."""
    if os.name == "nt" and path.is_dir():
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _touched(path: Path) -> list[int]:
    """Return what changes when a file is written to, replaced or copied."""
    found = path.stat()
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino]


def _stamp(manifest: bytes) -> str:
    return hashlib.sha256(manifest).hexdigest()[:8]


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _prune(index: Path, live: str, keep: int) -> None:
    others = [name for name in generations(index) if name != live]
    for name in others[: len(others) - (keep - 1)] if len(others) >= keep else []:
        _remove(index / "generations" / name)
    for path in (index / "generations").iterdir():
        if path.is_dir() and not (path / MANIFEST).is_file():
            shutil.rmtree(path, ignore_errors=True)


def _remove(folder: Path) -> None:
    """Remove a generation, its manifest first: what is left of it is none."""
    (folder / MANIFEST).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def lock(index: Path) -> Iterator[None]:
    """Be the one builder of an index. The system frees the lock of a process that ends.

    :raises IndexBusy: naming who holds it.
    """
    index.mkdir(parents=True, exist_ok=True)
    with (index / "LOCK").open("a+", encoding="utf-8") as file:
        deadline = time.monotonic() + _PATIENCE
        while not seize(file):
            if time.monotonic() > deadline:
                raise IndexBusy(index, *_owner(file))
            time.sleep(_PATIENCE / 20)
        file.seek(0)
        file.truncate()
        owner = {"pid": os.getpid(), "since": datetime.now(UTC).isoformat(timespec="seconds")}
        json.dump(owner, file)
        file.flush()
        yield


def seize(file: IO[Any]) -> bool:
    """Lock an open file for this process until it is closed; False if another one holds it."""
    try:
        if sys.platform == "win32":
            import msvcrt

            file.seek(1 << 20)  # beyond what is written, so that others can read who holds it
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _owner(file: IO[str]) -> tuple[int, str]:
    try:
        file.seek(0)
        owner = json.load(file)
        return int(owner["pid"]), str(owner["since"])
    except (ValueError, KeyError, TypeError):  # it is just being written
        return 0, "now"
