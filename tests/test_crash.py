"""A builder that is killed at any moment leaves an index that answers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from random import Random

import pytest

from fakes import FakeEncoder, fill
from qa.assistant import Live
from qa.config import Settings
from qa.doctor import checks
from qa.ingest import build
from qa.stores import generation
from qa.stores.local import LocalStore

KILLS = 100

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="kills processes it forked")


def text(source: int, version: int) -> str:
    """Return a source whose every third section differs in each version."""
    return "".join(
        f"# Part {part}\n\nMetal {source} part {part} melts at {version * (part % 3 == 0)}.\n\n"
        for part in range(9)
    )


def said(store: LocalStore) -> dict[str, object]:
    """Return everything that a store holds, ids aside."""
    rows = range(store.count())
    return {
        "sources": list(store.sources()),
        "passages": store.passages(rows),
        "vectors": store.vectors(rows).tobytes(),
        "words": store.lexical("metal part melts", 1000, None),
    }


def test_kill_the_builder_anywhere(
    settings: Settings, fake: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = Random(11)
    versions = dict.fromkeys(range(12), 0)
    fill(settings.corpus, {f"{source}.md": text(source, 0) for source in versions})
    script = Path(__file__).with_name("crash_builder.py")
    command = [sys.executable, str(script), str(settings.corpus), str(settings.index)]
    monkeypatch.setattr("qa.assistant.open_encoder", lambda found: fake)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as builder:
        assert builder.stdin
        assert builder.stdout

        def killed_after(seconds: float | None) -> tuple[int, float]:
            builder.stdin.write(b"\n")
            builder.stdin.flush()
            child = int(builder.stdout.readline())
            began = time.perf_counter()
            if seconds is not None:
                time.sleep(seconds)
                os.kill(child, signal.SIGKILL)
            return int(builder.stdout.readline()), time.perf_counter() - began

        def change() -> None:
            source = random.randrange(len(versions))
            versions[source] += 1
            fill(settings.corpus, {f"{source}.md": text(source, versions[source])})

        change()
        _, whole = killed_after(None)
        live = Live(settings)
        seen: Counter[str] = Counter()
        for kill in range(KILLS):
            change()
            before = generation.current(settings.index).name
            code, _ = killed_after(random.uniform(0, 1.1 * whole))
            seen["killed" if code else "ended"] += 1
            seen["swapped"] += generation.current(settings.index).name != before
            reply = live.assistant().ask("At what does metal 3 part 6 melt?")
            assert reply.generation == generation.current(settings.index).name
            found = {check.name: check for check in checks(settings)}
            assert found["index"].sound, found["index"].finding
            build(settings, fake)
            if kill % 10 == 9:
                patched = LocalStore.open(settings.index)
                build(settings, fake, full=True)
                assert said(patched) == said(LocalStore.open(settings.index))
        builder.stdin.close()
    assert seen["killed"] > KILLS / 2
    assert seen["swapped"] < KILLS
    names = sorted(path.name for path in settings.index.iterdir())
    assert names == ["CURRENT", "LOCK", "generations"]
    assert len(generation.generations(settings.index)) == settings.generations
