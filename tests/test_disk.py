"""What the user sees when the disk is full, cannot be written to, or changes while it is read."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from fakes import CORPUS, FakeEncoder, fill
from qa import cli
from qa.app import create_app
from qa.assistant import Assistant, Live
from qa.config import Settings
from qa.doctor import checks
from qa.ingest import build
from qa.stores.generation import generations, pointer
from qa.stores.local import LocalStore
from qa.verify import Cited, verify

ANSWER = {"question": "Where does the Danube rise?"}
VERDICT = {
    "question": "q",
    "interpreted": "q",
    "citations": [],
    "generation": "g",
    "verdict": "good",
}


def mount(*arguments: str) -> None:
    if sys.platform != "linux" or not shutil.which("mount"):
        pytest.skip("no file system can be mounted here")
    done = subprocess.run(["mount", *arguments], capture_output=True, encoding="utf-8", check=False)
    if done.returncode:
        pytest.skip(f"no file system may be mounted here: {done.stderr.strip()}")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 24 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount("-t", "tmpfs", "-o", "size=24m", "none", str(folder))
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def stored(
    indexed: Settings, disk: Path, fake: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    """Settings of the small corpus whose index and feedback lie on the small disk."""
    shutil.move(indexed.index, disk / "index")
    monkeypatch.setattr("qa.assistant.open_encoder", lambda settings: fake)
    monkeypatch.setattr("qa.encoder.open_encoder", lambda settings: fake)
    return replace(indexed, index=disk / "index", feedback=disk / "feedback.jsonl")


def leave(disk: Path, space: int) -> Path:
    """Fill a disk until only so many bytes are left."""
    used = shutil.disk_usage(disk)
    filler = disk / "filler"
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(1, used.free - space))
    return filler


def indexes(settings: Settings) -> int:
    return cli.main(["index", "--corpus", str(settings.corpus), "--index", str(settings.index)])


def answers(client: FlaskClient, generation: str) -> bool:
    reply = client.post("/api/v1/answer", json=ANSWER)
    return bool(reply.status_code == 200 and reply.get_json()["generation"] == generation)


@pytest.mark.parametrize("share", [0.0, 0.2, 0.4, 0.6, 0.8, 0.95])
def test_a_full_disk_leaves_the_index_as_it_was(
    stored: Settings, disk: Path, capsys: pytest.CaptureFixture[str], share: float
) -> None:
    """However far a build comes, it says what is missing, and leaves nothing behind."""
    client = create_app(Live(stored)).test_client()
    before = pointer(stored.index)
    assert answers(client, before)
    text = "".join(f"Metal {number} melts at {number} degrees.\n\n" for number in range(2000))
    fill(stored.corpus, {"metals.txt": text})
    filler = leave(disk, int(share * needed(stored)))
    assert indexes(stored) == cli.FAILED
    said = capsys.readouterr().err
    assert "No space left on device" in said, said
    assert "fault of the program" not in said
    assert pointer(stored.index) == before
    assert generations(stored.index) == [before]
    names = sorted(path.name for path in stored.index.iterdir())
    assert names == ["CURRENT", "LOCK", "generations"]
    assert answers(client, before)
    filler.unlink()
    assert indexes(stored) == cli.DONE
    assert answers(client, pointer(stored.index))
    assert pointer(stored.index) != before


def needed(settings: Settings) -> int:
    """Return the bytes that the next build will write."""
    elsewhere = replace(settings, index=settings.corpus.parent / "elsewhere")
    folder = elsewhere.index / "generations" / build(elsewhere, FakeEncoder()).generation
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_feedback_on_a_full_disk_is_not_acknowledged(stored: Settings, disk: Path) -> None:
    client = create_app(Live(stored)).test_client()
    assert client.post("/api/v1/feedback", json=VERDICT).status_code == 201
    before = stored.feedback.read_bytes()
    filler = leave(disk, 0)
    long = {**VERDICT, "note": "x" * 2000, "question": "y" * 2000, "interpreted": "z" * 4000}
    reply = client.post("/api/v1/feedback", json=long)
    assert reply.status_code == 503
    said = "The feedback file feedback.jsonl cannot be written: No space left on device."
    assert reply.get_json()["detail"] == said
    assert stored.feedback.read_bytes() == before
    assert client.post("/api/v1/answer", json=ANSWER).status_code == 200
    filler.unlink()
    assert client.post("/api/v1/feedback", json=long).status_code == 201
    assert stored.feedback.read_bytes().startswith(before)


def test_an_index_on_a_read_only_disk_is_served(
    stored: Settings,
    disk: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also to root, who may write to any folder that is only marked so."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    before = pointer(stored.index)
    fill(stored.corpus, {"lead.txt": "Lead melts at 327 degrees."})
    mount("-o", "remount,ro", str(disk))
    client = create_app(Live(stored)).test_client()
    assert client.get("/readyz").status_code == 200
    assert client.get("/").status_code == 200
    assert answers(client, before)
    for _ in range(50):  # tantivy watches the folder, also while it is closed
        assert [check.sound for check in checks(stored) if check.name == "index"] == [True]
    assert not list(temporary.iterdir())
    assert indexes(stored) == cli.FAILED
    said = capsys.readouterr().err
    assert "Read-only file system" in said and "fault of the program" not in said
    reply = client.post("/api/v1/feedback", json=VERDICT)
    assert (reply.status_code, reply.get_json()["type"]) == (
        503,
        "urn:qa:problem:feedback-not-kept",
    )
    assert "Read-only file system" in reply.get_json()["detail"]
    mount("-o", "remount,rw", str(disk))
    assert indexes(stored) == cli.DONE
    assert answers(client, pointer(stored.index))


# files that change while they are read

OLD = "Gold melts at 1,064 degrees. Nobody doubts it."
NEW = "Gold melts at 1,063 degrees, said the paper. Somebody did doubt it."


def overwrite(path: Path) -> None:
    path.write_text(NEW)


def exchange(path: Path) -> None:
    other = path.with_name(".new")
    other.write_text(NEW)
    other.replace(path)


def truncate(path: Path) -> None:
    path.write_text("")


CHANGES: dict[str, tuple[Callable[[Path], None], str, str]] = {
    "overwritten": (overwrite, NEW, ""),
    "exchanged": (exchange, NEW, ""),
    "deleted": (Path.unlink, "", "No such file or directory"),
    "emptied": (truncate, "", "empty"),
}


@pytest.mark.parametrize(("change", "text", "reason"), CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("moment", ["found", "compared", "read"])
def test_a_source_that_changes_while_it_is_read(
    settings: Settings,
    fake: FakeEncoder,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Path], None],
    text: str,
    reason: str,
    moment: str,
) -> None:
    """What is indexed is one of both, whole, and is known by its own hash; the next build has it.

    A build looks at a file twice: to compare it with what it knows, and to read it.
    """
    path = settings.corpus / "gold.txt"
    fill(settings.corpus, {"gold.txt": OLD, "other.txt": "Tin."})
    looks: list[Path] = []
    original = Path.read_bytes

    def read_bytes(self: Path) -> bytes:
        if self != path:
            return original(self)
        looks.append(self)
        if moment == "found" and len(looks) == 1:
            change(path)
        data = original(self)
        if len(looks) == {"found": 0, "compared": 1, "read": 2}[moment]:
            change(path)
        return data

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    report = build(settings, fake)
    monkeypatch.undo()
    store = LocalStore.open(settings.index)
    seen = OLD if moment == "read" else text
    skipped = {entry.uri: entry.reason for entry in report.skipped}
    if seen:
        document = store.document("gold.txt")
        assert document.text == seen
        assert document.sha256 == hashlib.sha256(seen.encode()).hexdigest()
        assert skipped == {}
    else:
        assert skipped == {"gold.txt": reason}
        assert [source.uri for source in store.sources()] == ["other.txt"]

    # until the next build, whoever checks a quote is told
    (checked,) = verify(settings, [Cited("gold.txt", 0, 4, "Gold")])
    assert checked.state == ("valid" if text else "changed" if path.exists() else "missing")
    (checked,) = verify(settings, [Cited("gold.txt", 0, len(OLD), OLD)])
    assert checked.state == ("changed" if path.exists() else "missing")

    again = build(settings, fake)
    if text:
        assert LocalStore.open(settings.index).document("gold.txt").text == text
    else:
        assert "gold.txt" not in [entry.uri for entry in LocalStore.open(settings.index).sources()]
        gone = {"gold.txt": reason} if path.exists() else {}
        assert {entry.uri: entry.reason for entry in again.skipped} == gone


def test_an_answer_keeps_to_the_generation_that_it_began_with(
    settings: Settings, fake: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files, and the index itself, may change while a question is answered."""
    fill(settings.corpus, CORPUS)
    build(settings, fake)
    with Assistant.open(settings=settings, encoder=fake) as assistant:
        first = assistant.ask("At how many degrees does gold melt?")
        fill(settings.corpus, {"notes.txt": "Tin melts at 232 degrees."})
        build(settings, fake)
        again = assistant.ask("At how many degrees does gold melt?")
    assert [cited.quote for cited in again.citations] == [cited.quote for cited in first.citations]
    assert again.generation == first.generation != pointer(settings.index)
