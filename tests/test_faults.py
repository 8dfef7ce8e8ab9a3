"""What the user sees when what is stored is damaged, gone, locked, or of another time."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from flask.testing import FlaskClient

import qa.assistant
import qa.stores.generation
from fakes import CORPUS, FakeEncoder, fill
from qa.app import create_app
from qa.assistant import Live
from qa.config import Settings
from qa.ingest import build
from qa.stores.generation import generations, pointer

QUESTION = {"question": "At how many degrees does lead melt?"}


@pytest.fixture
def two(
    indexed: Settings, fake: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> tuple[Settings, str, str]:
    """An index of two generations; only the live one knows of lead."""
    monkeypatch.setattr(qa.assistant, "open_encoder", lambda settings: fake)
    first = pointer(indexed.index)
    fill(indexed.corpus, {"lead.txt": "Lead melts at 327 degrees."})
    return indexed, first, build(indexed, fake).generation


def served(settings: Settings) -> FlaskClient:
    return create_app(Live(settings)).test_client()


def remove(folder: Path) -> None:
    shutil.rmtree(folder)


def truncate(folder: Path) -> None:
    path = folder / "passages.sqlite"
    os.truncate(path, path.stat().st_size // 2)


def flip(folder: Path) -> None:
    data = bytearray((folder / "dense.faiss").read_bytes())
    data[-1] ^= 1
    (folder / "dense.faiss").write_bytes(data)


def swap(folder: Path) -> None:
    other = next(path for path in folder.parent.iterdir() if path != folder)
    shutil.copy(other / "documents.sqlite", folder / "documents.sqlite")


def swap_manifest(folder: Path) -> None:
    other = next(path for path in folder.parent.iterdir() if path != folder)
    shutil.copy(other / "manifest.json", folder / "manifest.json")


def forget_manifest(folder: Path) -> None:
    (folder / "manifest.json").unlink()


def nonsense(folder: Path) -> None:
    (folder.parents[1] / "CURRENT").write_text("../../etc")


def forget_pointer(folder: Path) -> None:
    (folder.parents[1] / "CURRENT").unlink()


def later_version(folder: Path) -> None:
    """Write the generation as a version to come would: sound, but of another format."""
    manifest = json.loads((folder / "manifest.json").read_text())
    text = json.dumps({**manifest, "format": manifest["format"] + 1})
    (folder / "manifest.json").write_text(text)
    stamp = qa.stores.generation._stamp(text.encode())
    named = folder.with_name(f"{folder.name.partition('-')[0]}-{stamp}")
    folder.rename(named)
    (folder.parents[1] / "CURRENT").write_text(named.name)


DAMAGE: dict[str, tuple[Callable[[Path], None], str]] = {
    "removed": (remove, "damaged; rebuild it: qa index --full"),
    "truncated": (truncate, "damaged; rebuild it: qa index --full"),
    "a bit flipped": (flip, "damaged; rebuild it: qa index --full"),
    "a file of another generation": (swap, "damaged; rebuild it: qa index --full"),
    "the manifest of another generation": (swap_manifest, "damaged; rebuild it: qa index --full"),
    "no manifest": (forget_manifest, "damaged; rebuild it: qa index --full"),
    "pointer to nowhere": (nonsense, "damaged; rebuild it: qa index --full"),
    "no pointer": (forget_pointer, "build it: qa index"),
    "a later version": (later_version, "built by other settings; rebuild it: qa index"),
}


@pytest.mark.parametrize(("damage", "advice"), DAMAGE.values(), ids=DAMAGE)
def test_the_generation_before_answers_and_it_is_said(
    two: tuple[Settings, str, str],
    fake: FakeEncoder,
    caplog: pytest.LogCaptureFixture,
    damage: Callable[[Path], None],
    advice: str,
) -> None:
    settings, first, second = two
    damage(settings.index / "generations" / second)
    # where no pointer says which was live, the last good one is taken
    expected = second if damage in (nonsense, forget_pointer) else first
    client = served(settings)
    assert client.get("/readyz").status_code == 200
    reply = client.post("/api/v1/answer", json={"question": "Where does the Danube rise?"})
    assert reply.get_json()["generation"] == expected
    assert reply.get_json()["passages"][0]["uri"] == "rivers.md"
    status = client.get("/api/v1/status").get_json()
    assert status["generation"] == expected
    assert advice in status["fallback"]
    page = client.get("/").text
    assert "An earlier index answers" in page and advice in page
    assert "qa_index_fallback 1.0" in client.get("/metrics").text
    (record,) = caplog.records
    assert f"{expected} answers instead" in record.message and "qa index" in record.message
    assert str(settings.index) not in page + json.dumps(status)

    repaired = build(settings, fake, full=True).generation
    assert client.post("/api/v1/answer", json=QUESTION).get_json()["generation"] == repaired
    assert client.get("/api/v1/status").get_json()["fallback"] is None
    assert "An earlier index answers" not in client.get("/").text
    assert "qa_index_fallback 0.0" in client.get("/metrics").text


def test_when_none_is_usable_it_is_said_so(two: tuple[Settings, str, str]) -> None:
    settings, first, second = two
    for name in (first, second):
        truncate(settings.index / "generations" / name)
    client = served(settings)
    for path in ("/readyz", "/api/v1/status", "/api/v1/sources"):
        reply = client.get(path)
        assert (reply.status_code, reply.content_type) == (503, "application/problem+json")
        assert reply.get_json()["detail"] == ("The index is damaged; rebuild it: qa index --full")
    assert client.post("/api/v1/answer", json=QUESTION).status_code == 503
    page = client.get("/")
    assert page.status_code == 200
    assert "No question can be answered now" in page.text
    assert client.get("/healthz").status_code == 200


def test_a_hopeless_index_is_not_read_with_every_request(
    two: tuple[Settings, str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, first, second = two
    for name in (first, second):
        truncate(settings.index / "generations" / name)
    opened: list[object] = []
    check = qa.stores.local.check
    monkeypatch.setattr(
        "qa.stores.local.check",
        lambda folder, **how: opened.append(folder) or check(folder, **how),
    )
    client = served(settings)
    for _ in range(5):
        assert client.get("/readyz").status_code == 503
    assert len(opened) == 2
    monkeypatch.setattr(qa.assistant, "RETRY", 0.0)
    client.get("/readyz")
    assert len(opened) == 4


def test_a_generation_that_was_left_is_not_returned_to(two: tuple[Settings, str, str]) -> None:
    """After a rollback the later generation is one that somebody did not want."""
    settings, first, _ = two
    qa.stores.generation.rollback(settings.index)
    assert pointer(settings.index) == first
    truncate(settings.index / "generations" / first)
    assert served(settings).get("/readyz").status_code == 503


def test_files_damaged_under_a_running_server(two: tuple[Settings, str, str]) -> None:
    """The request that meets the damage fails, the next is answered by the generation before."""
    settings, first, second = two
    client = served(settings)
    assert client.get("/api/v1/status").get_json()["generation"] == second
    for name in ("documents.sqlite", "passages.sqlite"):
        path = settings.index / "generations" / second / name
        path.write_bytes(b"\0" * path.stat().st_size)
    reply = client.get("/api/v1/sources/lead.txt")
    assert (reply.status_code, reply.get_json()["type"]) == (503, "urn:qa:problem:damaged-index")
    status = client.get("/api/v1/status").get_json()
    assert (status["generation"], status["fallback"] is None) == (first, False)


def test_an_index_deleted_under_a_running_server(
    two: tuple[Settings, str, str], fake: FakeEncoder
) -> None:
    """What is open goes on answering, the page says what is wrong, and a build mends it."""
    settings, _, second = two
    client = served(settings)
    assert client.get("/readyz").status_code == 200
    shutil.rmtree(settings.index)
    reply = client.post("/api/v1/answer", json=QUESTION)
    assert (reply.status_code, reply.get_json()["generation"]) == (200, second)
    assert "build it: qa index" in client.get("/api/v1/status").get_json()["fallback"]
    assert "There is no index yet; build it: qa index" in client.get("/").text
    assert served(settings).get("/readyz").status_code == 503  # one that starts now has nothing
    built = build(settings, fake).generation
    assert client.post("/api/v1/answer", json=QUESTION).get_json()["generation"] == built
    assert client.get("/api/v1/status").get_json()["fallback"] is None


@pytest.mark.skipif(os.name == "nt", reason="modes of folders")
def test_a_read_only_index_is_served(two: tuple[Settings, str, str], tmp_path: Path) -> None:
    settings, _, second = two
    folders = [settings.index, *(path for path in settings.index.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    try:
        before = sorted(settings.index.rglob("*"))
        client = served(settings)
        reply = client.post("/api/v1/answer", json=QUESTION).get_json()
        assert (reply["generation"], reply["answered"]) == (second, True)
        assert client.get("/").status_code == 200
        if os.geteuid():  # root writes everywhere
            with pytest.raises(OSError, match="ermission"):
                build(settings, FakeEncoder(), full=True)
            assert sorted(settings.index.rglob("*")) == before
    finally:
        for folder in folders:
            folder.chmod(0o755)


def test_a_clock_that_was_set_back(
    two: tuple[Settings, str, str], fake: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A build of yesterday's clock is still the later one, and its age is not negative."""
    settings, _, second = two
    client = served(settings)
    assert client.get("/api/v1/status").get_json()["generation"] == second
    later, earlier = (datetime.now(UTC) + timedelta(days=days) for days in (400, -400))
    third = build(settings, fake, full=True, now=later).generation
    client.get("/readyz")
    assert "qa_index_age_seconds 0.0" in client.get("/metrics").text
    fourth = build(settings, fake, full=True, now=earlier).generation
    assert generations(settings.index)[-1] == fourth > third > second
    assert client.post("/api/v1/answer", json=QUESTION).get_json()["generation"] == fourth


def test_an_index_of_another_model_waits_for_a_build(
    two: tuple[Settings, str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, _, _ = two
    other = FakeEncoder("fake-2")
    monkeypatch.setattr(qa.assistant, "open_encoder", lambda found: other)
    client = served(settings)
    reply = client.get("/readyz")
    assert reply.status_code == 503
    assert "rebuild it: qa index" in reply.get_json()["detail"]
    build(replace(settings, model="fake-2"), other)
    assert client.get("/readyz").status_code == 200
    assert len(client.get("/api/v1/sources").get_json()["sources"]) == len(CORPUS) + 1
