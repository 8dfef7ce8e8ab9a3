"""The sources as a list: what each is, and whether its file is still what was indexed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from qa.config import Settings
from qa.errors import SourceError
from qa.ingest import file_stat
from qa.stores.index import Generation
from qa.types import SourceInfo
from qa.uploads import FOLDER

State = Literal["indexed", "changed", "missing"]


@dataclass(frozen=True, slots=True)
class Listed:
    """A line of the list."""

    source: SourceInfo
    #: suffix of the file, without the dot
    kind: str
    #: bytes of the file, None where that is not known
    size: int | None
    state: State
    #: the name of an uploaded file, by which it can be deleted
    uploaded: str


def listed(store: Generation, settings: Settings) -> Iterator[Listed]:
    """List the sources by uri, each with what became of its file."""
    for source in store.sources():
        known = store.manifest.stats.get(source.uri)
        state, size = _look(source, known, settings)
        folder, _, name = source.uri.rpartition("/")
        yield Listed(
            source,
            PurePosixPath(source.uri).suffix.lower().lstrip("."),
            size,
            state,
            name if folder == FOLDER else "",
        )


def _look(
    source: SourceInfo, known: list[int] | None, settings: Settings
) -> tuple[State, int | None]:
    """Compare a file with what was indexed: at a glance, and by its content where that differs."""
    path = settings.corpus / source.uri
    try:
        found = file_stat(source.uri, path, settings)
        if known and found == known:
            return "indexed", known[0]
        with path.open("rb") as file:
            same = hashlib.file_digest(file, "sha256").hexdigest() == source.sha256
        return "indexed" if same else "changed", path.stat().st_size
    except (OSError, SourceError):
        return "missing", known[0] if known else None
