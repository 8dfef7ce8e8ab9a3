"""Index, serve and ask, while every socket that leads beyond this machine is refused and noted."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

import qa
from fakes import ARTICLE
from patience import PATIENCE

#: Python runs this at the start of every process that finds it, our children included.
GUARD = """
import ipaddress, os, sys

def local(address):
    host = address[0] if isinstance(address, tuple) else address
    if host in (None, "", "localhost") or isinstance(host, bytes) or str(host).startswith("/"):
        return True
    try:
        return ipaddress.ip_address(str(host).partition("%")[0]).is_loopback
    except ValueError:
        return False

def watch(event, arguments):
    if event in ("socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg"):
        address = arguments[1]
    elif event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"):
        address = arguments[0]
    else:
        return
    if not local(address):
        with open(os.environ["SEEN"], "a") as seen:
            print(event, address, sys.argv, file=seen)
        raise OSError(f"refused: {event} {address}")

sys.addaudithook(watch)
with open(os.environ["GUARDED"], "a") as guarded:
    print(os.getpid(), sys.argv[:4], file=guarded)
"""


@pytest.fixture
def seen(tmp_path: Path, exported: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that names every attempt; the current folder has a corpus and the model."""
    guard = tmp_path / "guard"
    guard.mkdir()
    (guard / "sitecustomize.py").write_text(GUARD, encoding="utf-8")
    home = str(Path(qa.__file__).parents[1])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(guard), home]))
    monkeypatch.setenv("SEEN", str(tmp_path / "seen"))
    monkeypatch.setenv("GUARDED", str(tmp_path / "guarded"))
    monkeypatch.setenv("QA_REQUEST_SECONDS", "600")  # however slow the machine
    monkeypatch.setenv("HTTPS_PROXY", "http://192.0.2.1:9")
    (tmp_path / "corpus").mkdir()
    shutil.copy(ARTICLE, tmp_path / "corpus")
    shutil.copytree(exported, tmp_path / "index")
    return tmp_path / "seen"


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command], capture_output=True, encoding="utf-8", check=False, timeout=120
    )


@pytest.mark.parametrize(
    "code",
    [
        "import socket; socket.create_connection(('192.0.2.1', 80), 1)",
        "import socket; socket.getaddrinfo('example.org', 80)",
        "import socket; socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.1', 53))",
        "import socket; socket.socket().bind(('0.0.0.0', 0))",
        "import urllib.request; urllib.request.urlopen('http://example.org/', timeout=1)",
    ],
    ids=["connect", "name", "datagram", "listen", "fetch"],
)
def test_the_guard_guards(seen: Path, code: str) -> None:
    assert run("-c", code).returncode == 1
    assert seen.read_text()


def test_index_serve_and_ask_stay_on_this_machine(seen: Path) -> None:
    question = "How large did the US Treasury estimate targeted sanctions to be by mid-2024?"
    indexed = run("-m", "qa", "index")
    assert indexed.returncode == 0, indexed.stderr
    asked = run("-m", "qa", "ask", question)
    assert asked.returncode == 0, asked.stderr
    assert "$330 billion" in asked.stdout
    assert run("-m", "qa", "verify").returncode == 0
    assert run("-m", "qa", "doctor").returncode == 0
    with subprocess.Popen(
        [sys.executable, "-m", "qa", "serve", "--port", "0"],
        stdout=subprocess.PIPE,
        encoding="utf-8",
    ) as server:
        try:
            assert server.stdout
            found = re.search(r"127\.0\.0\.1:(\d+)", server.stdout.readline())
            assert found
            with closing(
                http.client.HTTPConnection("127.0.0.1", int(found[1]), timeout=PATIENCE)
            ) as to:
                reply = post(to, "/api/v1/answer", {"question": question})
                assert "$330 billion" in str(reply["answer"])
                job = post(to, "/api/v1/index", {"full": True})
                end = time.monotonic() + 120
                while job["state"] == "running" and time.monotonic() < end:
                    time.sleep(0.1)
                    to.request("GET", f"/api/v1/index/jobs/{job['id']}")
                    job = json.loads(to.getresponse().read())
                assert job["state"] == "done", job
                for path in ("/", f"/sources/{ARTICLE.name}", "/metrics"):
                    to.request("GET", path)
                    served = to.getresponse()
                    assert (served.status, bool(served.read())) == (200, True)
        finally:
            server.terminate()
            server.wait(PATIENCE)
    guarded = seen.with_name("guarded").read_text()
    assert guarded.count("\n") >= 6  # the five commands, and the build that the server started
    assert not seen.exists(), seen.read_text()


def post(to: http.client.HTTPConnection, path: str, body: object) -> dict[str, object]:
    to.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
    reply: dict[str, object] = json.loads(to.getresponse().read())
    return reply
