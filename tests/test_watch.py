"""`qa index --watch` as a process, and what counts as a change."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

import qa.watch
from fakes import CORPUS, SLOW_BUILD, fill
from patience import PATIENCE, until
from qa.config import Settings
from qa.stores.generation import pointer
from qa.stores.local import LocalStore
from qa.watch import watch


@pytest.fixture
def watched(settings: Settings, exported: Path) -> Settings:
    """Settings of the small corpus that holds its own index, with the model exported."""
    inside = replace(settings, index=settings.corpus / "index")
    fill(inside.corpus, CORPUS)
    shutil.copytree(exported, inside.index)
    return inside


@contextmanager
def watching(settings: Settings, *options: str) -> Iterator[subprocess.Popen[str]]:
    folders = ["--corpus", str(settings.corpus), "--index", str(settings.index)]
    command = [sys.executable, "-m", "qa", "index", "--watch", *folders, *options]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8"
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def uris(settings: Settings) -> list[str]:
    store = LocalStore.open(settings.index)
    found = [source.uri for source in store.sources()]
    store.close()
    return found


def changed(settings: Settings, change: Callable[[], object]) -> list[str]:
    """Make a change, wait for the generation that follows from it, and return its sources."""
    before = pointer(settings.index)
    change()
    until(lambda: pointer(settings.index) != before)
    return uris(settings)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_index_follows_the_corpus(watched: Settings, number: signal.Signals) -> None:
    corpus = watched.corpus
    first = sorted(CORPUS)
    with watching(watched, "--events") as process:
        until(lambda: pointer(watched.index) != "")
        assert uris(watched) == first
        new = changed(watched, lambda: fill(corpus, {"new.txt": "Tin melts at 232 degrees."}))
        assert new == sorted([*first, "new.txt"])
        if number == signal.SIGTERM:
            changed(watched, lambda: fill(corpus, {"new.txt": "Lead melts at 327 degrees."}))
            changed(watched, lambda: (corpus / "new.txt").rename(corpus / "cities" / "lead.txt"))
            assert uris(watched) == sorted([*first, "cities/lead.txt"])
            assert changed(watched, lambda: shutil.rmtree(corpus / "cities")) == [
                "notes.txt",
                "rivers.md",
            ]
        time.sleep(2)  # what the build wrote into the corpus is no change
        process.send_signal(number)
        out, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0
    assert err == ""
    events = [json.loads(line) for line in out.splitlines()]
    reports = [event["report"] for event in events if "report" in event]
    assert [report["changed"] for report in reports] == [True] * len(reports)
    assert len(reports) == (5 if number == signal.SIGTERM else 2)


def test_a_change_while_nothing_ran_counts(watched: Settings) -> None:
    with watching(watched) as process:
        until(lambda: pointer(watched.index) != "")
        process.terminate()
        assert process.wait(PATIENCE) == 0
    before = pointer(watched.index)
    (watched.corpus / "notes.txt").unlink()
    with watching(watched):
        until(lambda: pointer(watched.index) != before)
        assert uris(watched) == ["cities/vienna.md", "rivers.md"]


def test_an_error_does_not_end_it(settings: Settings, exported: Path) -> None:
    """A corpus that goes away and comes back, and patterns that cannot be read."""
    fill(settings.corpus, CORPUS)
    shutil.copytree(exported, settings.index)
    with watching(settings) as process:
        until(lambda: pointer(settings.index) != "")
        assert process.stderr
        shutil.rmtree(settings.corpus)
        assert process.stderr.readline() == (
            f"qa: the corpus {str(settings.corpus)!r} is not there; waiting for it\n"
        )
        assert changed(settings, lambda: fill(settings.corpus, {"a.txt": "A."})) == ["a.txt"]
        fill(settings.corpus, {".qaignore": b"\xff"})
        assert process.stderr.readline().startswith("qa: .qaignore: not a list of patterns")
        change = {".qaignore": b"a.txt\n", "b.txt": b"B."}
        assert changed(settings, lambda: fill(settings.corpus, change)) == ["b.txt"]


def test_a_build_by_another_process_is_waited_for(watched: Settings, tmp_path: Path) -> None:
    folders = ["--corpus", str(watched.corpus), "--index", str(watched.index)]
    command = [sys.executable, "-c", SLOW_BUILD, str(tmp_path), "index", *folders]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as builder:
        until((tmp_path / "begun").exists)
        with watching(watched) as process:
            assert process.stderr
            line = process.stderr.readline()
            assert line.startswith(f"qa: process {builder.pid} is building the index")
            assert line.endswith("trying again after the next change, or in 10 s\n")
            fill(watched.corpus, {"new.txt": "New."})
            assert process.stderr.readline() == line
            (tmp_path / "go").touch()
            until(lambda: pointer(watched.index) != "" and "new.txt" in uris(watched))


# in this process


@contextmanager
def counting(settings: Settings, *outcomes: bool) -> Iterator[list[float]]:
    """Watch in a thread, and lend the times at which a build was asked for."""
    builds: list[float] = []
    answers = iter(outcomes)
    stopping = threading.Event()

    def rebuild() -> bool:
        builds.append(time.monotonic())
        return next(answers, True)

    thread = threading.Thread(
        target=watch, args=(settings, rebuild, lambda message: None, stopping)
    )
    thread.start()
    try:
        yield builds
    finally:
        stopping.set()
        thread.join()


def test_many_changes_lead_to_one_build(settings: Settings) -> None:
    with counting(settings) as builds:
        until(lambda: len(builds) == 1)
        for number in range(8):
            fill(settings.corpus, {f"{number}.txt": "x" * number})
            time.sleep(0.2)
        last = time.monotonic()
        until(lambda: len(builds) == 2)
        assert builds[1] - last > 0.5
        time.sleep(1.5)
        assert len(builds) == 2


def test_what_cannot_change_the_index_leads_to_no_build(settings: Settings) -> None:
    inside = replace(settings, index=settings.corpus / "index")
    fill(inside.corpus, {"a/b.txt": "B."})
    with counting(inside) as builds:
        until(lambda: len(builds) == 1)
        fill(inside.corpus, {"index/CURRENT": "x", ".git/HEAD": "x", "a/.b.txt.swp": "x"})
        time.sleep(2.5)
        assert len(builds) == 1
        fill(inside.corpus, {".qaignore": "*.log"})
        until(lambda: len(builds) == 2)


def test_a_build_that_found_another_is_tried_again(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(qa.watch, "RETRY", 1.0)
    with counting(settings, False, False) as builds:
        until(lambda: len(builds) == 3)
        time.sleep(1.5)
    assert len(builds) == 3
    assert builds[1] - builds[0] >= 1


def test_a_folder_that_is_never_quiet_is_built_all_the_same(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(qa.watch, "LONGEST", 2.0)
    with counting(settings) as builds:
        until(lambda: len(builds) == 1)
        began = time.monotonic()
        number = 0
        while len(builds) < 2:
            assert time.monotonic() - began < 10
            number += 1
            fill(settings.corpus, {f"{number}.txt": "x"})
            time.sleep(0.1)


def test_a_corpus_that_is_not_there_yet_is_waited_for(settings: Settings) -> None:
    settings.corpus.rmdir()
    with counting(settings) as builds:
        time.sleep(0.7)
        assert builds == []
        settings.corpus.mkdir()
        until(lambda: len(builds) >= 1)
