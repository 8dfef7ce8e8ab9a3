"""A server that is killed at its busiest loses nothing that it acknowledged, and starts again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from app.test_drain import request
from app.test_serve import started
from fakes import fill
from patience import PATIENCE, until
from qa.config import Settings
from qa.doctor import checks
from qa.feedback import read
from qa.stores.generation import generations, pointer

#: Begins every program: the fake model; builds and answers wait for a file of the first argument.
FAKED = f"""
import os, pathlib, sys, time
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
import qa.assistant, qa.encoder
from fakes import FakeEncoder
folder = pathlib.Path(sys.argv[1])
def waits(name):
    (folder / f"{{name}}-{{os.getpid()}}").touch()
    while not (folder / name).exists():
        time.sleep(0.01)
class Slow(FakeEncoder):
    def encode(self, texts):
        waits("build")
        return super().encode(texts)
"""
CHILD = f"""{FAKED}
qa.encoder.open_encoder = lambda settings: Slow()
from qa.cli import main
sys.exit(main(sys.argv[2:]))
"""
SERVER = f"""{FAKED}
qa.assistant.open_encoder = lambda settings: FakeEncoder()
ask = qa.assistant.Assistant.ask
def slow(self, question, **options):
    if "slowly" in question:
        waits("answer")
    return ask(self, question, **options)
qa.assistant.Assistant.ask = slow
import qa.app.jobs
qa.app.jobs.Jobs.__init__.__defaults__ = ((sys.executable, "-c", {CHILD!r}, sys.argv[1]),)
from qa.cli import main
sys.exit(main(sys.argv[2:]))
"""

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs POSIX signals")


@contextmanager
def server(
    settings: Settings, folder: Path, port: int = 0
) -> Iterator[tuple[subprocess.Popen[str], int]]:
    where = ["--corpus", str(settings.corpus), "--index", str(settings.index)]
    with started("-c", SERVER, str(folder), "serve", "--port", str(port), *where) as found:
        yield found


def runs(pid: int) -> bool:
    """Say whether a process runs; one that nobody waited for does not."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


def job(port: int, location: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(request(port, "GET", location)[2])
    return found


def verdict(number: int) -> dict[str, Any]:
    return {
        "question": f"Question {number}?",
        "interpreted": f"Question {number}?",
        "generation": "g",
        "verdict": "good",
        "note": "x" * 2000,
    }


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_nothing_acknowledged_is_lost(indexed: Settings, tmp_path: Path) -> None:
    """Killed while it answers, keeps feedback and builds; and after it had published."""
    before = pointer(indexed.index)
    kept: list[str] = []
    with server(indexed, tmp_path) as (process, port):
        stopping = threading.Event()

        def give() -> None:
            number = 0
            while not stopping.is_set():
                number += 1
                status, _, body = request(port, "POST", "/api/v1/feedback", verdict(number))
                if status == 201:
                    kept.append(json.loads(body)["question"])

        replies: list[int] = []

        def ask() -> None:
            question = {"question": "How slowly does gold melt?"}
            replies.append(request(port, "POST", "/api/v1/answer", question)[0])

        threads = [threading.Thread(target=give), threading.Thread(target=ask)]
        for thread in threads:
            thread.start()
        fill(indexed.corpus, {"lead.txt": "Lead melts at 327 degrees."})
        status, headers, _ = request(port, "POST", "/api/v1/index", {"full": False})
        assert status == 202
        until(lambda: list(tmp_path.glob("build-*")) and list(tmp_path.glob("answer-*")))
        until(lambda: len(kept) > 5)
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait(PATIENCE) == -signal.SIGKILL
        stopping.set()
        for thread in threads:
            thread.join()
    assert replies == [0]  # who was asking sees the connection end
    entries, broken = read(Path("feedback.jsonl"))
    assert len(broken) <= 1  # that nobody was told of
    assert [entry.question for entry in entries][: len(kept)] == kept

    # the builder that it left behind ends by itself, and harms nothing
    (builder,) = (int(path.name.partition("-")[2]) for path in tmp_path.glob("build-*"))
    assert runs(builder)
    (tmp_path / "build").touch()
    (tmp_path / "answer").touch()
    until(lambda: not runs(builder))
    assert before in generations(indexed.index)
    assert {check.name: check.sound for check in checks(indexed)}["index"]

    # the same port, the same index: it starts, builds, and is killed as soon as that is published
    with server(indexed, tmp_path, port) as (process, _):
        answer = request(port, "POST", "/api/v1/answer", {"question": "Where is the Danube?"})
        assert answer[0] == 200
        status, headers, _ = request(port, "POST", "/api/v1/index", {"full": True})
        until(lambda: job(port, headers["Location"])["state"] != "running")
        done = job(port, headers["Location"])
        assert done["state"] == "done", done
        os.kill(process.pid, signal.SIGKILL)
        process.wait(PATIENCE)
    with server(indexed, tmp_path, port):
        status, _, body = request(port, "GET", "/api/v1/status")
        found = json.loads(body)
        assert (status, found["generation"]) == (200, done["report"]["generation"])
        assert found["fallback"] is None
        lead = request(port, "POST", "/api/v1/answer", {"question": "At how many degrees lead?"})
        assert json.loads(lead[2])["passages"][0]["uri"] == "lead.txt"
        assert request(port, "POST", "/api/v1/feedback", verdict(0))[0] == 201
    assert read(Path("feedback.jsonl"))[0][-1].question == "Question 0?"


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_builder_that_is_killed_is_said_so(indexed: Settings, tmp_path: Path) -> None:
    before = pointer(indexed.index)
    with server(indexed, tmp_path) as (_, port):
        fill(indexed.corpus, {"lead.txt": "Lead melts at 327 degrees."})
        location = request(port, "POST", "/api/v1/index", {"full": False})[1]["Location"]
        until(lambda: list(tmp_path.glob("build-*")))
        (builder,) = (int(path.name.partition("-")[2]) for path in tmp_path.glob("build-*"))
        os.kill(builder, signal.SIGKILL)
        until(lambda: job(port, location)["state"] != "running")
        ended = job(port, location)
        assert (ended["state"], ended["error"]) == ("failed", "the build was ended by SIGKILL")
        status = json.loads(request(port, "GET", "/api/v1/status")[2])
        assert (status["generation"], status["fallback"]) == (before, None)
        (tmp_path / "build").touch()  # the next one is not in its way
        location = request(port, "POST", "/api/v1/index", {"full": False})[1]["Location"]
        until(lambda: job(port, location)["state"] != "running")
        assert job(port, location)["state"] == "done"
        status = json.loads(request(port, "GET", "/api/v1/status")[2])
        assert status["generation"] == pointer(indexed.index) > before
    names = {path.name for path in indexed.index.iterdir()} - {"models"}  # what answers keeps there
    assert names == {"CURRENT", "LOCK", "generations"}
