"""Connections to a PostgreSQL server: few, shared, renewed when they are lost."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import psycopg
from psycopg import Connection, Error, InterfaceError, OperationalError, ProgrammingError, errors
from psycopg.conninfo import conninfo_to_dict

from qa.errors import ConfigError, StoreBusy, StoreUnavailable, StoreUnfit

if TYPE_CHECKING:
    from psycopg.sql import Composed

Row: TypeAlias = tuple[Any, ...]

#: What an address leaves open. A server that vanished without a word is given up after 10 s.
_DEFAULTS = {
    "connect_timeout": "5",
    "tcp_user_timeout": "10000",
    "keepalives_idle": "10",
    "client_encoding": "utf8",
}
#: Milliseconds that one search may take.
_SEARCH_MS = 30_000


class Connections:
    """Up to so many connections to the server of an address. Safe to share between threads.

    They are made when they are needed, so that an error says why at once.
    """

    def __init__(self, address: str, most: int, patience: float) -> None:
        """Take the address of a server, or of several that stand in for each other.

        :param patience: seconds that a search waits for a connection when all are in use.
        """
        self._parameters = _parameters(address)
        self.place = _place(self._parameters)
        self._most = most
        self._patience = patience
        self._slots = threading.BoundedSemaphore(most)
        self._idle: list[Connection] = []

    def close(self) -> None:
        """Close what is not in use; a later search connects again."""
        while self._idle:
            self._idle.pop().close()

    def __del__(self) -> None:
        with contextlib.suppress(AttributeError):  # the address could not be read
            self.close()

    def fetch(
        self,
        query: Composed,
        values: Mapping[str, Any] | None = None,
        options: Mapping[str, str] | None = None,
    ) -> list[Row]:
        """Return the rows of a query that changes nothing.

        A connection that was lost while nobody used it is replaced without a word.

        :param options: parameters of the server that hold for this query.
        :raises StoreBusy: if no connection came free in time.
        :raises StoreUnavailable: if the server cannot be reached, or went away.
        """
        if not self._slots.acquire(timeout=self._patience):
            raise StoreBusy(self.place, self._most, self._patience)
        try:
            return self._fetch(query, values or {}, options or {})
        finally:
            self._slots.release()

    def _fetch(
        self, query: Composed, values: Mapping[str, Any], options: Mapping[str, str]
    ) -> list[Row]:
        while True:
            try:
                connection, new = self._idle.pop(), False
            except IndexError:
                connection, new = self._connect({}), True
            try:
                rows = _run(connection, query, values, options)
            except Error as error:
                lost = connection.broken
                connection.close()
                if lost and not new:
                    self.close()  # the others are likely to be lost as well
                    continue
                raise self._explained(error) from error
            self._idle.append(connection)
            return rows

    @contextlib.contextmanager
    def writing(self) -> Iterator[Connection]:
        """Lend a connection of its own to the server that takes writes.

        Errors in the block are raised as those of `fetch`.
        """
        wanted = {
            "target_session_attrs": "read-write",
            "application_name": f"qa index {os.getpid()}@{socket.gethostname()}",
        }
        connection = self._connect(wanted)
        try:
            yield connection
        except Error as error:
            raise self._explained(error) from error
        finally:
            connection.close()

    def _connect(self, wanted: Mapping[str, str]) -> Connection:
        parameters: dict[str, Any] = {**self._parameters, **wanted}
        try:
            # plans depend on the values, and a proxy in front may not keep prepared statements
            return psycopg.connect(**parameters, autocommit=True, prepare_threshold=None)
        except Error as error:
            raise self._explained(error) from error

    def _explained(self, error: Error) -> Exception:
        """Return what to raise: an error of ours where it is not the program that is wrong."""
        reason = " ".join(str(error).split())
        if isinstance(error, errors.InsufficientPrivilege):
            return StoreUnfit(
                self.place, f"{reason}; the rights of each role are in docs/postgres-roles.sql"
            )
        if isinstance(error, errors.UndefinedTable):
            reason = f"a generation is not there ({reason}); it was removed, or a replica lags"
        elif isinstance(error, errors.QueryCanceled):
            reason = f"a search took more than {_SEARCH_MS // 1000} s"
        elif not isinstance(error, OperationalError | InterfaceError):
            return error
        return StoreUnavailable(self.place, reason)


def _run(
    connection: Connection, query: Composed, values: Mapping[str, Any], options: Mapping[str, str]
) -> list[Row]:
    """Run a query in a transaction of its own, in as few round trips as can be."""
    chosen = {"statement_timeout": str(_SEARCH_MS), **options}
    calls = ", ".join("set_config(%s, %s, true)" for _ in chosen)
    flat = [part for item in chosen.items() for part in item]
    with connection.pipeline(), connection.transaction():
        connection.execute(f"SELECT {calls}".encode(), flat)
        return connection.execute(query, values).fetchall()


def _parameters(address: str) -> dict[str, str]:
    try:
        given = conninfo_to_dict(address)
    except ProgrammingError:  # its message may hold a part of the password
        given = {"port": "?"}
    ports = str(given.get("port", "")).replace(",", "")
    named_well = not set("/@:") & set(str(given.get("dbname", "")))
    if not named_well or (ports and not ports.isdecimal()):
        raise ConfigError(
            "store",
            "(not shown, it may hold a password)",
            "postgresql://user@host:port/database?option=value; in a password, every character "
            "that is neither letter nor digit is written %XX",
        )
    named = {"application_name": "qa", **_DEFAULTS, **given}
    return {key: str(value) for key, value in named.items()}


def _place(parameters: Mapping[str, str]) -> str:
    """Write an address without its password and options."""
    hosts = parameters.get("host", "").split(",")
    ports = parameters.get("port", "").split(",")
    pairs = zip(hosts, ports if len(ports) == len(hosts) else ports * len(hosts), strict=True)
    servers = ",".join(f"{host}:{port}" if port else host for host, port in pairs)
    user = f"{parameters['user']}@" if "user" in parameters else ""
    return f"postgresql://{user}{servers}/{parameters.get('dbname', '')}"
