from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest

from fakes import FakeEncoder, fill, written
from qa.config import Settings
from qa.errors import (
    IndexBusy,
    IndexDamaged,
    IndexIncompatible,
    IndexMissing,
    UnknownGeneration,
)
from qa.ingest import build
from qa.stores import dense, generation, local
from qa.stores.local import LocalStore
from qa.types import Vectors

#: What lies in an index between builds.
LIVING = ["CURRENT", "LOCK", "generations"]


def day(number: int) -> datetime:
    return datetime(2100, 1, number, tzinfo=UTC)


def names(index: Path) -> list[str]:
    return sorted(path.name for path in (index / "generations").iterdir())


def resealed(index: Path, **changes: Any) -> None:
    """Change the manifest of the live generation, and bring every checksum up to date."""
    folder = generation.current(index)
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    manifest["files"] = {name: sha256(folder / name) for name in manifest["files"]}
    (folder / "manifest.json").write_text(json.dumps({**manifest, **changes}), encoding="utf-8")
    name = f"{folder.name.partition('-')[0]}-{sha256(folder / 'manifest.json')[:8]}"
    folder.rename(folder.with_name(name))
    (index / "CURRENT").write_text(name)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_generation_is_described_by_its_manifest(indexed: Settings, fake: FakeEncoder) -> None:
    report = build(indexed, fake, full=True, now=day(1))
    folder = generation.current(indexed.index)
    manifest = generation.check(folder)
    assert folder.name == report.generation
    assert folder.name.startswith("21000101T000000000-")
    assert manifest.created == "2100-01-01T00:00:00+00:00"
    assert (manifest.format, manifest.model, manifest.dimension) == (4, "fake-1", 256)
    assert sorted(manifest.sources) == ["cities/vienna.md", "notes.txt", "rivers.md"]
    assert manifest.counts == {"sources": 3, "passages": report.passages["total"]}
    on_disk = {path.relative_to(folder).as_posix() for path in written(folder) if path.is_file()}
    assert on_disk == {*manifest.files, "manifest.json"}


# damage


def test_no_index(settings: Settings) -> None:
    with pytest.raises(IndexMissing) as caught:
        LocalStore.open(settings.index)
    assert caught.value.path == settings.index


@pytest.mark.parametrize("name", ["dense.faiss", "documents.sqlite", "passages.sqlite", "lexical"])
def test_a_changed_file_is_named(indexed: Settings, name: str) -> None:
    path = generation.current(indexed.index) / name
    path = min(path.iterdir()) if path.is_dir() else path
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(IndexDamaged, match=r"checksum differs.*qa index --full") as caught:
        LocalStore.open(indexed.index)
    assert path.name in caught.value.reason


def test_a_changed_manifest_is_named(indexed: Settings) -> None:
    path = generation.current(indexed.index) / "manifest.json"
    path.write_text(path.read_text(encoding="utf-8").replace("Vienna", "Venice").replace("3", "4"))
    with pytest.raises(IndexDamaged) as caught:
        LocalStore.open(indexed.index)
    assert caught.value.reason == "manifest.json is not what was written (checksum differs)"


@pytest.mark.parametrize("name", ["dense.faiss", "manifest.json"])
def test_a_missing_file_is_named(indexed: Settings, name: str) -> None:
    (generation.current(indexed.index) / name).unlink()
    with pytest.raises(IndexDamaged) as caught:
        LocalStore.open(indexed.index)
    assert caught.value.reason == f"{name} is missing"


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"null", b"[]", b'"text"', b"{}", b'{"skipped": [1]}', b"\xff", b'{"new": 1}'],
    ids=repr,
)
def test_a_manifest_that_is_none(indexed: Settings, content: bytes) -> None:
    (generation.current(indexed.index) / "manifest.json").write_bytes(content)
    with pytest.raises(IndexDamaged) as caught:
        LocalStore.open(indexed.index)
    assert caught.value.reason == "manifest.json is not a manifest of this version"


@pytest.mark.parametrize(
    "pointer",
    [b"", b"gone\n", b"..", b"../generations", b"a\\b", b"/etc", b"\xff\xfe", b"a\0b", b"x" * 5000],
    ids=lambda pointer: repr(pointer[:20]),
)
def test_a_pointer_that_leads_nowhere(indexed: Settings, pointer: bytes, fake: FakeEncoder) -> None:
    (indexed.index / "CURRENT").write_bytes(pointer)
    with pytest.raises(IndexDamaged, match="CURRENT names"):
        LocalStore.open(indexed.index)
    assert build(indexed, fake).changed
    LocalStore.open(indexed.index).close()


def test_parts_that_do_not_agree_are_counted(indexed: Settings, fake: FakeEncoder) -> None:
    folder = generation.current(indexed.index)
    total = generation.check(folder).counts["passages"]
    dense.write(folder, fake.encode(["one", "two"]))
    resealed(indexed.index)
    with pytest.raises(IndexDamaged) as caught:
        LocalStore.open(indexed.index)
    assert caught.value.reason == (
        f"its parts do not agree: {total} passages, 2 vectors, {total} lexical documents"
    )


def test_another_format_is_refused_and_rebuilt(indexed: Settings, fake: FakeEncoder) -> None:
    resealed(indexed.index, format=99)
    with pytest.raises(IndexIncompatible) as caught:
        LocalStore.open(indexed.index)
    assert (caught.value.field, caught.value.expected, caught.value.found) == ("format", 4, 99)
    assert build(indexed, fake).reason == "the format of an index is now 4, was 99"
    LocalStore.open(indexed.index).close()


def test_a_lock_of_tantivy_is_no_part_of_a_generation(
    indexed: Settings, fake: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lock that outlived the writer by a moment once made the new index count as damaged."""
    write = local.write

    def leaving_a_lock(folder: Path, *given: Any) -> None:
        write(folder, *given)
        (folder / "lexical" / ".tantivy-meta.lock").touch()

    monkeypatch.setattr(local, "write", leaving_a_lock)
    build(indexed, fake, full=True)
    LocalStore.open(indexed.index).close()


# one builder at a time


HOLD = """
import sys, time
from pathlib import Path
from qa.stores.generation import lock
with lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(indexed: Settings) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock."""
    command = [sys.executable, "-c", HOLD, str(indexed.index)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8") as process:
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_second_builder_is_told_who_builds(
    indexed: Settings, fake: FakeEncoder, holder: subprocess.Popen[str]
) -> None:
    with pytest.raises(IndexBusy, match="wait for it to end") as caught:
        build(indexed, fake, full=True)
    assert caught.value.pid == holder.pid
    since = datetime.fromisoformat(caught.value.since)
    assert abs((datetime.now(UTC) - since).total_seconds()) < 60
    with pytest.raises(IndexBusy):
        generation.rollback(indexed.index)


def test_the_lock_of_a_process_that_was_killed_is_free(
    indexed: Settings, fake: FakeEncoder, holder: subprocess.Popen[str]
) -> None:
    """Its number may even have been given to another process."""
    holder.kill()
    holder.wait()
    (indexed.index / "building-dead").mkdir()
    (indexed.index / "building-dead" / "file").touch()
    (indexed.index / ".CURRENT.0badcafe").touch()
    assert build(indexed, fake, full=True).changed
    assert sorted(path.name for path in indexed.index.iterdir()) == LIVING


@pytest.mark.parametrize("content", ["", "0", "nonsense", "\0", '{"pid": 1}', "[]"], ids=repr)
def test_what_a_lock_says_does_not_hold_it(
    indexed: Settings, fake: FakeEncoder, content: str
) -> None:
    (indexed.index / "LOCK").write_text(content)
    assert build(indexed, fake, full=True).changed


def test_a_build_that_is_not_needed_takes_no_lock(
    indexed: Settings, fake: FakeEncoder, holder: subprocess.Popen[str]
) -> None:
    assert not build(indexed, fake).changed


# publishing


@pytest.mark.parametrize(
    "broken",
    [
        "qa.stores.records.write",
        "qa.stores.lexical.write",
        "qa.stores.dense.write",
        "qa.stores.generation._digest",
        "qa.stores.generation.os.fsync",
        "pathlib.Path.rename",
        "pathlib.Path.replace",
        "encoder",
    ],
)
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failed_build_leaves_the_old_generation_live(
    indexed: Settings,
    fake: FakeEncoder,
    monkeypatch: pytest.MonkeyPatch,
    broken: str,
    error: BaseException,
) -> None:
    before = written(indexed.index)
    live = generation.current(indexed.index).name

    class Broken(FakeEncoder):
        def encode(self, texts: Sequence[str]) -> Vectors:
            raise error

    def fail(*arguments: object, **options: object) -> NoReturn:
        raise error

    with monkeypatch.context() as patched:
        if broken != "encoder":
            patched.setattr(broken, fail)
        fill(indexed.corpus, {"new.txt": "Lead melts at 327 degrees."})
        with pytest.raises(type(error)):
            build(indexed, Broken() if broken == "encoder" else fake, full=True)
    assert written(indexed.index) == before
    assert LocalStore.open(indexed.index).generation == live
    assert build(indexed, fake).sources["added"] == 1


def test_a_failure_at_the_last_step_leaves_the_old_generation_live(
    indexed: Settings, fake: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A half-written pointer was left lying beside the old one."""
    live = generation.current(indexed.index).name
    move = Path.replace

    def fail_on_pointer(source: Path, target: Path) -> Path:
        if target.name == "CURRENT":
            raise OSError(28, "No space left on device")
        return move(source, target)

    with monkeypatch.context() as patched:
        patched.setattr("pathlib.Path.replace", fail_on_pointer)
        with pytest.raises(OSError, match="No space left"):
            build(indexed, fake, full=True)
    assert LocalStore.open(indexed.index).generation == live
    assert sorted(path.name for path in indexed.index.iterdir()) == LIVING


def test_the_last_three_generations_are_kept(settings: Settings, fake: FakeEncoder) -> None:
    fill(settings.corpus, {"a.txt": "Gold melts."})
    built = [build(settings, fake, full=True, now=day(number)).generation for number in range(1, 6)]
    assert names(settings.index) == built[2:]
    assert generation.current(settings.index).name == built[4]


@pytest.mark.parametrize("keep", [1, 2, 5])
def test_as_many_are_kept_as_set(settings: Settings, fake: FakeEncoder, keep: int) -> None:
    settings = replace(settings, generations=keep)
    fill(settings.corpus, {"a.txt": "Gold melts."})
    built = [build(settings, fake, full=True, now=day(number)).generation for number in range(1, 8)]
    assert names(settings.index) == built[-keep:]


def test_ids_sort_by_time_also_when_the_clock_went_back(
    settings: Settings, fake: FakeEncoder
) -> None:
    fill(settings.corpus, {"a.txt": "Gold melts."})
    built = [
        build(settings, fake, full=True, now=day(number)).generation for number in (8, 9, 10, 1, 1)
    ]
    assert built == sorted(built)
    assert names(settings.index) == built[2:]
    assert generation.current(settings.index).name == built[4]


def test_what_is_not_found_in_its_own_index_is_not_published(
    indexed: Settings, fake: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = generation.current(indexed.index).name
    write = dense.write

    def write_others(folder: Path, vectors: Vectors) -> None:
        write(folder, np.zeros_like(vectors))

    with monkeypatch.context() as patched:
        patched.setattr("qa.stores.dense.write", write_others)
        with pytest.raises(IndexDamaged, match="is not found in it"):
            build(indexed, fake, full=True)
    assert LocalStore.open(indexed.index).generation == live


# going back


@pytest.fixture
def history(settings: Settings, fake: FakeEncoder) -> list[str]:
    """Three generations of one source that says which it is from."""
    built = []
    for number in range(1, 4):
        fill(settings.corpus, {"a.txt": f"Number {number}."})
        built.append(build(settings, fake, now=day(number)).generation)
    return built


def said(settings: Settings) -> str:
    store = LocalStore.open(settings.index)
    try:
        return store.document("a.txt").text
    finally:
        store.close()


def test_rollback_returns_to_the_one_before(
    settings: Settings, fake: FakeEncoder, history: list[str]
) -> None:
    assert generation.generations(settings.index) == history
    assert generation.rollback(settings.index) == history[1]
    assert said(settings) == "Number 2."
    assert generation.rollback(settings.index) == history[0]
    with pytest.raises(UnknownGeneration, match="no generation before the live one; there are: "):
        generation.rollback(settings.index)
    assert generation.rollback(settings.index, history[2]) == history[2]
    assert said(settings) == "Number 3."


def test_after_a_rollback_a_build_is_up_to_date_again(
    settings: Settings, fake: FakeEncoder, history: list[str]
) -> None:
    generation.rollback(settings.index, history[0])
    report = build(settings, fake, now=day(2))
    assert report.sources["changed"] == 1
    assert said(settings) == "Number 3."
    assert names(settings.index) == [*history[1:], report.generation]


@pytest.mark.parametrize("name", ["gone", "..", "../generations", "a/b", ""])
def test_an_unknown_generation_is_named(settings: Settings, history: list[str], name: str) -> None:
    generation.rollback(settings.index, history[0])
    with pytest.raises(UnknownGeneration) as caught:
        generation.rollback(settings.index, name)
    assert list(caught.value.known) == history
    assert generation.current(settings.index).name == history[0]


def test_no_return_to_a_damaged_generation(settings: Settings, history: list[str]) -> None:
    (settings.index / "generations" / history[1] / "dense.faiss").write_bytes(b"x")
    with pytest.raises(IndexDamaged):
        generation.rollback(settings.index)
    assert generation.current(settings.index).name == history[2]


def test_a_generation_without_manifest_is_none(
    settings: Settings, fake: FakeEncoder, history: list[str]
) -> None:
    """It is what is left of one that was being removed."""
    half = settings.index / "generations" / "20990101T000000000-0badcafe"
    shutil.copytree(settings.index / "generations" / history[0], half)
    (half / "manifest.json").unlink()
    assert generation.generations(settings.index) == history
    build(settings, fake, full=True)
    assert not half.exists()


def test_nothing_to_return_to(settings: Settings) -> None:
    with pytest.raises(IndexMissing):
        generation.rollback(settings.index)


def test_a_reader_keeps_its_generation(indexed: Settings, fake: FakeEncoder) -> None:
    store = LocalStore.open(indexed.index)
    for number in range(1, 5):
        fill(indexed.corpus, {"notes.txt": f"Only number {number}."})
        build(indexed, fake, now=day(number))
    assert store.generation not in names(indexed.index)
    (vector,) = fake.encode(["Gold melts at 1,064 degrees."])
    (best,) = store.dense(vector, 1, None)
    assert "Gold melts" in store.passages([best.row])[0].text
    assert [scored.row for scored in store.lexical("gold", 5, None)] == [best.row]
    assert store.document("notes.txt").text.startswith("Copper melts")
    store.close()
    assert LocalStore.open(indexed.index).document("notes.txt").text == "Only number 4."


def test_write_file_replaces_as_a_whole(tmp_path: Path) -> None:
    target = tmp_path / "file"
    for data in (b"old", b"", b"\0new"):
        generation.write_file(target, data)
        assert target.read_bytes() == data
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


# large files


def test_a_large_file_that_nothing_touched_is_not_read_again(
    indexed: Settings, fake: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generation, "_LARGE", 1)
    build(indexed, fake, full=True)
    folder = generation.current(indexed.index)
    digested: list[str] = []
    digest = generation._digest

    def listening(path: Path) -> str:
        digested.append(path.name)
        return digest(path)

    monkeypatch.setattr(generation, "_digest", listening)
    LocalStore.open(indexed.index).close()
    assert digested == []
    LocalStore.open(indexed.index, trusting=False).close()
    assert len(digested) == len(generation.Manifest.read(folder).files)


@pytest.mark.parametrize("keeps_times", [False, True])
def test_a_large_file_that_was_touched_is_read(
    indexed: Settings, fake: FakeEncoder, monkeypatch: pytest.MonkeyPatch, keeps_times: bool
) -> None:
    """Its time of change cannot be set back."""
    monkeypatch.setattr(generation, "_LARGE", 1)
    build(indexed, fake, full=True)
    path = generation.current(indexed.index) / "dense.faiss"
    before = path.stat()
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    if keeps_times:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(IndexDamaged, match=r"dense\.faiss is not what was written"):
        LocalStore.open(indexed.index)


def test_a_copied_index_is_checked_and_opened(
    indexed: Settings, fake: FakeEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generation, "_LARGE", 1)
    build(indexed, fake, full=True)
    shutil.copytree(indexed.index, tmp_path / "copy")
    live = generation.current(indexed.index).name
    assert LocalStore.open(tmp_path / "copy").generation == live


def test_an_index_of_the_format_before_is_named_and_built_anew(
    indexed: Settings, fake: FakeEncoder
) -> None:
    """Its manifest had no stamps."""
    resealed(indexed.index, format=3)
    path = generation.current(indexed.index) / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    del manifest["stamps"]
    path.write_text(json.dumps(manifest), encoding="utf-8")
    name = f"{path.parent.name.partition('-')[0]}-{sha256(path)[:8]}"
    path.parent.rename(path.parent.with_name(name))
    (indexed.index / "CURRENT").write_text(name)
    with pytest.raises(IndexIncompatible, match="qa index") as caught:
        LocalStore.open(indexed.index)
    assert (caught.value.field, caught.value.expected, caught.value.found) == ("format", 4, 3)
    report = build(indexed, fake)
    assert report.reason == "the format of an index is now 4, was 3"
