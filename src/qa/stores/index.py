"""What every place for an index offers, and which place the settings name."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, Protocol

from qa.config import LOCAL, Settings
from qa.errors import ConfigError
from qa.stores.generation import Manifest
from qa.stores.local import LocalIndex
from qa.stores.records import Part
from qa.types import Store, Vectors


class Generation(Store, Protocol):
    """An opened generation: what answers are made from, and what a build takes over."""

    manifest: Manifest

    @property
    def dense_kind(self) -> str:
        """Say in words how vectors are searched."""
        ...

    def close(self) -> None:
        """Release files and connections."""
        ...

    def count(self) -> int:
        """Count the passages."""
        ...

    def vectors(self, rows: Sequence[int]) -> Vectors:
        """Return the stored vectors of these rows, shape (len(rows), dimension)."""
        ...

    def part(self, uri: str) -> Part:
        """Return a source with its passages as they were written."""
        ...

    def keyed_rows(self) -> dict[str, int]:
        """Return a row for every key of a passage's vector."""
        ...


class Index(Protocol):
    """Where generations are kept: built aside, complete or absent, one of them live."""

    #: as people may see it: without a password
    place: str

    def pointer(self) -> str:
        """Return the id of the live generation, unchecked; empty when there is none."""
        ...

    def check(self) -> Manifest:
        """Return the manifest of the live generation once what it names is sound.

        :raises IndexMissing: if nothing was built yet.
        :raises IndexDamaged: if it is not what was written.
        """
        ...

    def open(self, name: str | None = None, manifest: Manifest | None = None) -> Generation:
        """Open a generation, the live one where none is named.

        :param manifest: of that generation, where `check` just returned it.
        :raises IndexMissing: if nothing was built yet.
        :raises IndexDamaged: if it is not what was written.
        :raises IndexIncompatible: if another version of the program wrote it.
        """
        ...

    def generations(self) -> list[str]:
        """Return the ids of the complete generations, oldest first."""
        ...

    def rollback(self, name: str | None = None) -> str:
        """Make an earlier generation the live one, and return its id.

        :param name: where not given, the one before the live one.
        :raises UnknownGeneration: if there is none of that name, or none before the live one.
        """
        ...

    def lock(self) -> AbstractContextManager[None]:
        """Be the one builder; raise IndexBusy naming who is."""
        ...

    def publish(
        self,
        parts: Sequence[Part],
        vectors: Vectors,
        entries: dict[str, Any],
        now: datetime,
        keep: int,
        base: Generation | None,
    ) -> str:
        """Write a generation, verify it, make it the live one, and return its id; needs the lock.

        Whatever happens before the switch leaves the old one live.

        :param vectors: one row a passage, in the order of `parts`.
        :param entries: of the manifest.
        :param keep: generations that are kept, the new one among them.
        :param base: an opened generation some of whose sources are taken over as they are: those
            of the same uri and sha256.
        """
        ...

    def facts(self) -> dict[str, str]:
        """Describe the place in words, for people: what it is, how it searches."""
        ...


def open_index(settings: Settings) -> Index:
    """Return the place that the settings name. Nothing is opened or connected yet."""
    if settings.store == LOCAL:
        return LocalIndex(settings.index)
    try:
        from qa.stores.postgres.index import PostgresIndex
    except ImportError as error:
        expected = f"{LOCAL!r}, or PostgreSQL with its driver: pip install 'qa[postgres]'"
        raise ConfigError("store", "(an address)", expected) from error
    return PostgresIndex(settings)
