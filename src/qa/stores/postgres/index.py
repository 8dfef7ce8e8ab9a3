"""The generations of an index in a PostgreSQL database: built and switched in one transaction."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from psycopg import errors
from psycopg.sql import SQL, Composed, Identifier

from qa.config import Settings
from qa.errors import (
    IndexBusy,
    IndexDamaged,
    IndexMissing,
    StoreUnavailable,
    StoreUnfit,
    UnknownGeneration,
)
from qa.stores.generation import FORMAT, Manifest, before, identify
from qa.stores.postgres import words
from qa.stores.postgres.connections import Connections
from qa.stores.postgres.store import PostgresStore
from qa.stores.postgres.tables import KINDS, LOCK, SCHEMA, Tables
from qa.stores.postgres.write import write
from qa.stores.records import Part
from qa.types import Vectors

if TYPE_CHECKING:
    from psycopg import Connection

    from qa.stores.index import Generation

#: pgvector from which on a search goes on until a filter is satisfied.
LEAST_PGVECTOR = (0, 8)
LEAST_SERVER = 130_000

_HAVE = SQL("""
SELECT current_setting('server_version_num')::int, current_setting('server_version'),
    current_setting('server_encoding'), pg_is_in_recovery(),
    (SELECT extversion FROM pg_extension WHERE extname = 'vector'),
    (SELECT extversion FROM pg_extension WHERE extname = 'pg_textsearch'),
    (SELECT extversion FROM pg_extension WHERE extname = 'citus'),
    to_regclass('qa.live') IS NOT NULL
""").format()
_POINTER = SQL("SELECT id FROM qa.live").format()
_GENERATIONS = SQL('SELECT id FROM qa.generations ORDER BY id COLLATE "C"').format()
_MANIFEST = SQL("SELECT manifest FROM qa.generations WHERE id = %(id)s").format()
_SEARCHED = SQL("SELECT to_regclass(%(name)s) IS NOT NULL").format()
_TABLES = SQL("SELECT count(*) FROM pg_tables WHERE schemaname = 'qa' AND tablename = ANY(%(n)s)")
_HOLDER = SQL("""
SELECT a.application_name, a.pid, coalesce(a.backend_start, now()) FROM pg_locks l
JOIN pg_stat_activity a USING (pid) WHERE l.locktype = 'advisory' AND l.granted
AND (l.classid::bigint << 32 | l.objid::bigint) = %(lock)s
""").format()
_SWITCH = SQL("""
INSERT INTO qa.live (id) VALUES (%(id)s) ON CONFLICT (sole) DO UPDATE SET id = excluded.id
""").format()


_RETIRE = SQL("""
UPDATE qa.generations SET retired = CASE WHEN id = %(id)s THEN NULL ELSE now() END
WHERE id = %(id)s OR id = (SELECT id FROM qa.live)
""").format()
_RETIRED = SQL("""
SELECT id FROM qa.generations WHERE id <> %(live)s
AND retired <= now() - make_interval(secs => %(grace)s)
""").format()
#: Seconds for which a generation that is not kept stays for those who still read it.
GRACE = 300.0


@dataclass(frozen=True, slots=True)
class _Server:
    """What a server has."""

    version: str
    replica: bool
    vector: str
    textsearch: str
    citus: str
    #: whether an index was ever built
    built: bool


class PostgresIndex:
    """A database that keeps an index. Safe to share between threads."""

    def __init__(self, settings: Settings) -> None:
        self._connections = Connections(
            settings.store, settings.store_connections, settings.store_seconds
        )
        self.place = self._connections.place
        self._shards = settings.store_shards
        self._writer: Connection | None = None

    def pointer(self) -> str:
        """Return the id of the live generation, unchecked; empty when there is none."""
        try:
            found = self._connections.fetch(_POINTER)
        except StoreUnavailable as error:
            if isinstance(error.__cause__, errors.UndefinedTable | errors.InvalidSchemaName):
                return ""
            raise
        return str(found[0][0]) if found else ""

    def check(self) -> Manifest:
        """Return the manifest of the live generation; the server checks what it keeps."""
        self._server()
        return self._manifest(self._live())

    def open(self, name: str | None = None, manifest: Manifest | None = None) -> PostgresStore:
        """Open a generation, the live one where none is named.

        :raises StoreUnfit: if the server lacks an extension.
        """
        if manifest is None:
            self._server()
        name = name or self._live()
        manifest = manifest or self._manifest(name)
        tables = Tables(name)
        names = list(tables.names.values())
        ((count,),) = self._connections.fetch(_TABLES.format(), {"n": names})
        if count != len(names):
            raise IndexDamaged(self.place, f"tables of generation {name} are missing")
        index = f"{SCHEMA}.{words.index_name(tables, 'text')}"
        ((extension,),) = self._connections.fetch(_SEARCHED, {"name": index})
        return PostgresStore(self._connections, name, manifest, extension)

    def generations(self) -> list[str]:
        """Return the ids of the complete generations, oldest first."""
        return [name for (name,) in self._connections.fetch(_GENERATIONS)] if self.pointer() else []

    def rollback(self, name: str | None = None) -> str:
        """Make an earlier generation the live one, and return its id."""
        with self.lock():
            chosen = before(self._live(), self.generations(), name)
            self.open(chosen)
            assert self._writer
            with self._writer.transaction():
                _switch(self._writer, chosen)
        return chosen

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Be the one builder: the server frees the lock when the connection ends.

        :raises IndexBusy: naming who holds it.
        """
        with self._connections.writing() as connection:
            ((held,),) = connection.execute("SELECT pg_try_advisory_lock(%s)", [LOCK]).fetchall()
            if not held:
                raise self._busy(connection)
            self._writer = connection
            try:
                yield
            finally:
                self._writer = None

    def publish(
        self,
        parts: Sequence[Part],
        vectors: Vectors,
        entries: dict[str, Any],
        now: datetime,
        keep: int,
        base: Generation | None = None,
    ) -> str:
        """Write a generation and make it the live one in one transaction; return its id."""
        assert self._writer
        server = self._server()
        manifest = Manifest(format=FORMAT, created=now.isoformat(), files={}, **entries)
        text = manifest.dump()
        name = identify(text, now, self.generations())
        with self._writer.transaction():
            tables = Tables(name, dimension=manifest.dimension)
            write(
                self._writer,
                tables,
                parts,
                vectors,
                base if isinstance(base, PostgresStore) else None,
                extension=bool(server.textsearch),
                shards=self._shards,
            )
            _verify(self._writer, tables, manifest, self.place)
            insert = "INSERT INTO qa.generations (id, manifest) VALUES (%s, %s)"
            self._writer.execute(insert, [name, text])
            _switch(self._writer, name)
        self._prune(self._writer, name, keep)
        return name

    def facts(self) -> dict[str, str]:
        """Describe the server and what searches on it."""
        server = self._server()
        role = "a replica" if server.replica else "takes writes"
        if server.textsearch:
            text = f"BM25 by pg_textsearch {server.textsearch}"
        else:
            text = (
                "BM25 from a table of postings, time grows with the passages; "
                "pg_textsearch (PostgreSQL 17 or later) would keep it short"
            )
        spread = f", Citus {server.citus}" if server.citus else ""
        return {
            "store": f"{self.place}, PostgreSQL {server.version} with "
            f"pgvector {server.vector}{spread}, {role}",
            "words": text,
        }

    def _live(self) -> str:
        name = self.pointer()
        if not name:
            raise IndexMissing(self.place)
        return name

    def _manifest(self, name: str) -> Manifest:
        found = self._connections.fetch(_MANIFEST, {"id": name})
        if not found:
            raise UnknownGeneration(name, self.generations())
        try:
            return Manifest.parse(found[0][0])
        except ValueError as error:
            reason = f"generation {name} has no manifest of this version"
            raise IndexDamaged(self.place, reason) from error

    def _server(self) -> _Server:
        """Look at the server; raise StoreUnfit naming what it lacks, and how to add it."""
        (found,) = self._connections.fetch(_HAVE)
        number, version, encoding, replica, vector, textsearch, citus, built = found
        if number < LEAST_SERVER:
            raise StoreUnfit(self.place, f"PostgreSQL {version} is too old; 13 or later is needed")
        if encoding != "UTF8":
            raise StoreUnfit(
                self.place,
                f"the database has the encoding {encoding}; make it with: CREATE DATABASE ... "
                "ENCODING 'UTF8' TEMPLATE template0",
            )
        if vector is None:
            raise StoreUnfit(
                self.place,
                "the extension pgvector is not installed in this database; as its "
                "administrator run: CREATE EXTENSION vector",
            )
        if _numbers(vector) < LEAST_PGVECTOR:
            raise StoreUnfit(
                self.place,
                f"pgvector {vector} is too old: before 0.8 a filtered search loses results; "
                "install 0.8 or later, then run: ALTER EXTENSION vector UPDATE",
            )
        return _Server(version, replica, vector, textsearch or "", citus or "", built)

    def _busy(self, connection: Connection) -> IndexBusy:
        found = connection.execute(_HOLDER, {"lock": LOCK}).fetchall()
        name, pid, since = found[0] if found else ("", 0, datetime.now().astimezone())
        told = re.fullmatch(r"qa index (\d+)@(.+)", name)
        place = f"{self.place} from {told[2]}" if told else self.place
        since = since.astimezone().isoformat(timespec="seconds")
        return IndexBusy(place, int(told[1]) if told else pid, since)

    def _prune(self, connection: Connection, live: str, keep: int) -> None:
        """Drop the generations that are not kept, and that nobody reads any more."""
        known = connection.execute(_GENERATIONS).fetchall()
        others = [name for (name,) in known if name != live]
        found = connection.execute(_RETIRED, {"live": live, "grace": GRACE}).fetchall()
        retired = {name for (name,) in found}
        for name in retired.intersection(others[: max(0, len(others) - (keep - 1))]):
            with contextlib.suppress(errors.LockNotAvailable), connection.transaction():
                connection.execute("SET LOCAL lock_timeout = '2s'")
                connection.execute("DELETE FROM qa.generations WHERE id = %s", [name])
                connection.execute(_drop(name))


def _switch(connection: Connection, name: str) -> None:
    connection.execute(_RETIRE, {"id": name})
    connection.execute(_SWITCH, {"id": name})


def _drop(name: str) -> Composed:
    tables = [Identifier(SCHEMA, Tables(name).names[kind]) for kind in KINDS]
    return SQL("DROP TABLE IF EXISTS {}").format(SQL(", ").join(tables))


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:2])


def _verify(connection: Connection, tables: Tables, manifest: Manifest, place: str) -> None:
    """Count what was written, and look for a passage by its own vector."""
    query = tables(
        "SELECT (SELECT count(*) FROM {documents}), (SELECT count(*) FROM {passages}), "
        "(SELECT coalesce(sum(passages), 0) FROM {documents})"
    )
    ((documents, passages, listed),) = connection.execute(query).fetchall()
    expected = manifest.counts["sources"], manifest.counts["passages"]
    if (documents, passages) != expected or listed != passages:
        raise IndexDamaged(
            place,
            f"{documents} documents with {listed} passages and {passages} rows were written "
            f"of {expected[0]} and {expected[1]}",
        )
    probe = tables("""
        SELECT count(*) FROM {passages} p WHERE key <> '' AND row IN (0, %(middle)s, %(last)s)
        AND -(p.vector <#> (
            SELECT vector FROM {passages} o ORDER BY o.vector <#> p.vector LIMIT 1)) < 0.99
    """)
    rows = {"middle": passages // 2, "last": passages - 1}
    ((lost,),) = connection.execute(probe, rows).fetchall()
    if lost:
        raise IndexDamaged(place, "a passage is not found by its own vector")
