"""Generations of an index on disk: built aside, complete or absent, switched by one pointer."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from qa.errors import IndexBusy, IndexDamaged, IndexMissing
from qa.types import SkippedSource

#: Raised when the files of a generation change their meaning.
FORMAT = 1
KEPT = 3
MANIFEST = "manifest.json"
_POINTER = "CURRENT"
_NAME = re.compile(r"[\w-]{1,100}")


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
    counts: dict[str, int]
    #: path below the generation to sha256
    files: dict[str, str]
    report: dict[str, Any]

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Read the manifest of a generation; raise IndexDamaged if it is not one."""
        try:
            data = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
            skipped = tuple(SkippedSource(**entry) for entry in data.pop("skipped"))
            return cls(**data, skipped=skipped)
        except FileNotFoundError as error:
            raise IndexDamaged(folder, f"{MANIFEST} is missing") from error
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise IndexDamaged(folder, f"{MANIFEST} is not a manifest of this version") from error


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


def check(folder: Path) -> Manifest:
    """Compare every file of a generation with its checksum; raise IndexDamaged at a difference.

    The id of a generation ends in the checksum of its manifest.
    """
    manifest = Manifest.read(folder)
    if not folder.name.endswith(_stamp((folder / MANIFEST).read_bytes())):
        raise IndexDamaged(folder, f"{MANIFEST} is not what was written (checksum differs)")
    for name, expected in manifest.files.items():
        path = folder / name
        if not path.is_file():
            raise IndexDamaged(folder, f"{name} is missing")
        if _digest(path) != expected:
            raise IndexDamaged(folder, f"{name} is not what was written (checksum differs)")
    return manifest


@contextlib.contextmanager
def building(index: Path) -> Iterator[Path]:
    """Hold the lock of the one builder, and lend an empty folder that is swept away afterwards."""
    index.mkdir(parents=True, exist_ok=True)
    with _lock(index / "LOCK"):
        for leftover in index.glob("building-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        folder = index / f"building-{secrets.token_hex(4)}"
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def publish(index: Path, folder: Path, manifest: dict[str, Any], now: datetime) -> str:
    """Make a built folder the live generation, and return its id.

    Its manifest is written last, everything is flushed to disk, the folder is renamed into place,
    and only then the pointer is replaced. Whatever happens before leaves the old one live.
    """
    files = {
        path.relative_to(folder).as_posix(): _digest(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    complete = Manifest(format=FORMAT, created=now.isoformat(), files=files, **manifest)
    text = json.dumps(asdict(complete), ensure_ascii=False, indent=1, sort_keys=True)
    write_file(folder / MANIFEST, text.encode())
    for path in sorted(folder.rglob("*")):
        _flush(path)
    _flush(folder)
    generation = f"{now:%Y%m%dT%H%M%S}-{_stamp(text.encode())}"
    target = index / "generations" / generation
    target.parent.mkdir(exist_ok=True)
    folder.rename(target)
    _flush(target.parent)
    write_file(index / _POINTER, f"{generation}\n".encode())
    _prune(index, generation)
    return generation


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
    _flush(path.parent)


def _flush(path: Path) -> None:
    """Bring a file or the entries of a folder to disk, where the system can."""
    if os.name == "nt" and path.is_dir():
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _stamp(manifest: bytes) -> str:
    return hashlib.sha256(manifest).hexdigest()[:8]


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _prune(index: Path, live: str) -> None:
    names = sorted(path.name for path in (index / "generations").iterdir() if path.is_dir())
    for name in [name for name in names if name != live][: -(KEPT - 1) or None]:
        shutil.rmtree(index / "generations" / name, ignore_errors=True)


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Hold a lock file that carries the owner's process id; take over that of a dead process."""
    mine = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    mine.write_text(str(os.getpid()), encoding="utf-8")
    try:
        while True:
            try:
                os.link(mine, path)  # atomic: the lock never exists without its owner's id
                break
            except FileExistsError:
                owner = _owner(path)
                if owner and _alive(owner):
                    raise IndexBusy(path.parent, owner) from None
                path.unlink(missing_ok=True)
    finally:
        mine.unlink()
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _owner(path: Path) -> int:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return 0
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text) else 0


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
