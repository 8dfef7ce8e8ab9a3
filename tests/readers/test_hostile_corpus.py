"""One corpus of all hostile files, built by the command as a process of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fakes import CORPUS, FakeEncoder, fill
from qa.assistant import Assistant
from qa.config import Settings
from qa.encoder import OpenVINOEncoder
from qa.ingest import build
from qa.stores.local import LocalStore
from qa.types import Vectors

#: MB that the build and the process that reads may take together.
MOST_MB = 1500
#: Runs `qa index`, and prints its report and the most memory of both processes.
BUILD = """
import pathlib, re, sys, threading, time
from qa.cli import main
def most(pid):
    try:
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    found = re.search(r"VmHWM:\\s+(\\d+) kB", status)
    return int(found[1]) / 1024 if found else 0
seen = [0.0]
def watch():
    while True:
        for children in pathlib.Path("/proc/self/task").glob("*/children"):
            for child in children.read_text().split():
                seen[0] = max(seen[0], most(child))
        time.sleep(0.02)
threading.Thread(target=watch, daemon=True).start()
code = main(["index", "--json"])
print(most("self"), seen[0], file=sys.stderr)
sys.exit(code)
"""

#: Texts of which a model might make no numbers: nothing, or nothing that it knows.
NO_NUMBERS = {
    "blanks": "\u00a0\u2003 \u3000" * 50,
    "invisible": "\u200b\u2060\ufeff" * 300,
    "combining": "\u0301" * 3000,
    "unassigned": "\U000e0fff\u0378" * 500,
    "private": "\ue000\uf8ff" * 500,
    "controls": "\x01\x02\x7f\x9f " * 200,
    "punctuation": "?!…—" * 300,
    "right to left": "\u202e\u2067" * 300,
    "emoji": "👩‍👩‍👧‍👦" * 200,
    "numbers": "nan inf -inf 1e999 NaN " * 100,
    "one letter": "a",
    "a long word": "x" * 20_000,
    "NUL": "a\0b " * 300,
}


def hostile() -> dict[str, tuple[bytes, str]]:
    """Return name, bytes, and a part of the reason where it must be skipped."""
    pytest.importorskip("trafilatura")
    from test_hostile import HOSTILE

    found = {
        f"{number:02} {what}/{name}": (make(), reason)
        for number, (what, name, make, reason) in enumerate(HOSTILE)
    }
    found |= {f"no numbers/{name}.txt": (text.encode(), "") for name, text in NO_NUMBERS.items()}
    line = b"The Elbe is a river. " * 5_000_000
    assert len(line) > 100_000_000
    found["line.txt"] = (line, "100 MB, more than max_source_mb = 50")
    found["line allowed.md"] = (line[: 40 * 1024 * 1024], "more than 20,000,000 characters")
    found["line read.txt"] = (b"word " * 600_000, "")
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_hostile_corpus_is_built(
    settings: Settings, exported: Path, encoder: OpenVINOEncoder
) -> None:
    shutil.copytree(exported, settings.index)
    files = hostile()
    assert len(files) >= 60
    fill(settings.corpus, {**{name: data for name, (data, _) in files.items()}, **CORPUS})
    done = subprocess.run(
        [sys.executable, "-c", BUILD],
        env={**os.environ, "QA_CORPUS": str(settings.corpus), "QA_INDEX": str(settings.index)},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    build_mb, reader_mb = (float(value) for value in done.stderr.split()[-2:])
    report = json.loads(done.stdout)
    assert reader_mb > 0
    assert build_mb + reader_mb < MOST_MB

    store = LocalStore.open(settings.index)
    indexed = {source.uri for source in store.sources()}
    skipped = {entry["uri"]: entry["reason"] for entry in report["skipped"]}
    assert indexed | set(skipped) == {*files, *CORPUS}
    assert set(CORPUS) <= indexed
    for name, (_, reason) in files.items():
        if reason and reason != "empty":
            assert reason in skipped[name], name
    assert all(reason.isprintable() for reason in skipped.values())
    vectors = store.vectors(range(store.count()))
    assert np.isfinite(vectors).all()
    found = Assistant.open(settings=replace(settings, threshold=0.0), encoder=encoder)
    reply = found.ask("At how many degrees does gold melt? source:notes")
    assert "Gold melts at 1,064 degrees." in [sentence.plain for sentence in reply.answer]


@pytest.mark.parametrize("text", NO_NUMBERS.values(), ids=NO_NUMBERS)
def test_the_model_makes_numbers_of_any_text(encoder: OpenVINOEncoder, text: str) -> None:
    (vector,) = encoder.encode([text])
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


def test_what_a_model_has_no_numbers_for_is_found_by_its_words(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    class Failing(FakeEncoder):
        def encode(self, texts: Any) -> Vectors:
            vectors = super().encode(texts)
            for row, text in enumerate(texts):
                if "Elbe" in text:
                    vectors[row] = np.nan
            return vectors

    fill(settings.corpus, {**CORPUS, "elbe.txt": "The Elbe is a river of 1,094 kilometres."})
    build(settings, Failing())
    assert "gave no numbers for 1 passages" in caplog.text
    store = LocalStore.open(settings.index)
    assert np.isfinite(store.vectors(range(store.count()))).all()
    reply = Assistant(store, Failing(), _similarity(), settings).ask("How long is this river?")
    assert "elbe.txt" in [passage.uri for passage in reply.passages]
    assert all(np.isfinite(passage.score) for passage in reply.passages)


def _similarity() -> Any:
    from qa.scorer import SimilarityScorer

    return SimilarityScorer(FakeEncoder())
