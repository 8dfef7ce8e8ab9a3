from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from qa.config import Settings
from qa.errors import UnreadableSource, UnsupportedFormat
from qa.readers import read
from qa.readers.worker import Worker

#: A reader that does what its text says.
HOSTILE = """
import os, sys, time
import qa.readers

def read(uri, data):
    exec(data.decode())

qa.readers.READERS[".evil"] = read
"""

linux = pytest.mark.skipif(sys.platform != "linux", reason="limits are those of Linux")


@pytest.fixture
def evil(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Worker]:
    """A worker that has a reader for Python programs, which it runs."""
    # Its limit on time is never reached, on a machine that is busy with other things neither.
    (tmp_path / "sitecustomize.py").write_text(HOSTILE)
    paths = [str(tmp_path), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
    with Worker(Settings(reader_memory_mb=512)) as worker:
        yield worker


def reason(worker: Worker, program: str) -> str:
    with pytest.raises(UnreadableSource) as caught:
        worker.read("a.evil", program.encode())
    return caught.value.reason


def pid(worker: Worker) -> int:
    assert worker._child
    return worker._child.process.pid


@pytest.fixture
def worker() -> Iterator[Worker]:
    with Worker(Settings()) as found:
        yield found


def test_it_reads_as_the_readers_do(worker: Worker) -> None:
    for uri, data in {
        "a.md": b"# A *b*\n\nOne.[^1]\n\n[^1]: Note.\n",
        "b.txt": "Zürich 😀\r\nשלום\rcafe\u0301\n".encode(),
        "c.csv": b"City,Population\nVienna,2\n",
        "d.py": b"x = '\\ud800'\n",
        "e.txt": b"",
    }.items():
        assert worker.read(uri, data) == read(uri, data)


def test_one_process_reads_many_files(worker: Worker) -> None:
    worker.read("a.txt", b"One.")
    first = pid(worker)
    worker.read("b.txt", b"Two." * 1_000_000)
    assert pid(worker) == first


@pytest.mark.parametrize(
    "uri", ["q\"uo'te.txt", "new\nline.txt", "\u202eright.txt", "bad\udc80.txt", "{%s}.txt"]
)
def test_any_name_survives(worker: Worker, uri: str) -> None:
    assert worker.read(uri, b"One.").uri == uri


def test_refusals_come_through(worker: Worker) -> None:
    with pytest.raises(UnreadableSource, match="not UTF-8"):
        worker.read("a.txt", b"a\xff")
    with pytest.raises(UnsupportedFormat, match=r"no reader for \.exe"):
        worker.read("a.exe", b"a")


def test_too_much_text_is_refused() -> None:
    with Worker(Settings(reader_characters=1000)) as worker:
        assert len(worker.read("a.txt", b"a" * 1000).text) == 1000
        with pytest.raises(UnreadableSource, match=r"more than 1,000 characters$"):
            worker.read("a.txt", b"a" * 1001)
        with pytest.raises(UnreadableSource, match="its structure counted"):
            worker.read("a.txt", b"a\n" * 500)


def test_a_slow_file_is_ended(evil: Worker) -> None:
    evil._settings = replace(evil._settings, reader_seconds=1)
    began = time.monotonic()
    assert reason(evil, "time.sleep(600)") == "took more than 1 s"
    assert time.monotonic() - began < 60
    evil._settings = Settings()
    assert evil.read("a.txt", b"One.").text == "One."


@linux
def test_a_large_file_is_ended(evil: Worker) -> None:
    assert reason(evil, "x = 'x' * 10**9") == "needs more than 512 MB of memory"
    assert evil.read("a.txt", b"One.").text == "One."


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("os._exit(3)", "its reader crashed (exit code 3)"),
        ("os.abort()", "its reader crashed (signal 6)"),
        ("os.kill(os.getpid(), 11)", "its reader crashed (signal 11)"),
        ("sys.exit(4)", "its reader crashed (exit code 4)"),
        ("1 / 0", "damaged, or its reader failed (ZeroDivisionError: division by zero)"),
        ("f = lambda: f(); f = lambda: g(); g = lambda: f(); f()", "nested too deeply"),
        ("print('x' * 10**6); 1 / 0", "damaged, or its reader failed (ZeroDivision"),
        ("import socket; socket.socket()", "damaged, or its reader failed (PermissionError"),
        ("import subprocess; subprocess.run('ls')", "damaged, or its reader failed (Permission"),
        ("os.system('ls')", "damaged, or its reader failed (PermissionError"),
    ],
    ids=[
        "exit",
        "abort",
        "segmentation fault",
        "exception that exits",
        "exception",
        "recursion",
        "print",
        "network",
        "program",
        "shell",
    ],
)
def test_nothing_else_ends_with_it(evil: Worker, program: str, said: str) -> None:
    assert reason(evil, f"global f, g\n{program}").startswith(said)
    assert evil.read("a.txt", b"One.").text == "One."


@linux
def test_it_writes_no_files(evil: Worker, tmp_path: Path) -> None:
    written = tmp_path / "written"
    said = reason(evil, f"open({str(written)!r}, 'w').write('x' * 10**6)")
    assert "File too large" in said
    assert written.read_bytes() == b""


def test_a_crash_that_another_file_caused_is_tried_again(worker: Worker) -> None:
    worker.read("a.txt", b"One.")
    os.kill(pid(worker), signal.SIGKILL)
    assert worker.read("b.txt", b"Two.").text == "Two."


@linux
def test_it_ends_with_its_parent() -> None:
    program = """
        import os
        from qa.config import Settings
        from qa.readers.worker import Worker
        worker = Worker(Settings())
        worker.read("a.txt", b"One.")
        print(worker._child.process.pid, flush=True)
        os.kill(os.getpid(), 9)
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    done = subprocess.run(command, capture_output=True, encoding="utf-8")
    child = int(done.stdout)
    for _ in range(50):
        state = Path(f"/proc/{child}/stat")
        if not state.exists() or " Z " in state.read_text():
            return
        time.sleep(0.1)
    raise AssertionError("it lives on")


def test_closing_ends_it(worker: Worker) -> None:
    worker.read("a.txt", b"One.")
    assert worker._child
    process = worker._child.process
    worker.close()
    assert process.poll() is not None


def test_it_imports_nothing_heavy() -> None:
    program = (
        "import sys, qa.readers.worker, qa.readers\n"
        "heavy = {'numpy', 'torch', 'openvino', 'tantivy', 'flask', 'lxml', 'pypdfium2'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, encoding="utf-8")
    assert done.stdout.strip() == "[]", done.stderr
