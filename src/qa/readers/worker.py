"""The process that reads files, so that a hostile one can take neither time nor memory from us.

One process reads many files, one after the other. It answers on pipes: a length, then as many
bytes; JSON both ways, and after each request the bytes of the file. It has no network, writes no
files, starts no programs, and ends with its parent.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self, TypeVar

from qa.errors import SourceError, UnreadableSource, UnsupportedFormat
from qa.readers.render import Picture
from qa.types import Document, Mark

if TYPE_CHECKING:
    from qa.config import Settings

_T = TypeVar("_T")
#: Makes something of a reply to a request about a uri.
_Take = Callable[[str, dict[str, Any]], _T]
_LENGTH = struct.Struct(">Q")
#: An answer has at most this many bytes for each character allowed, marks included.
_BYTES_PER_CHARACTER = 8
#: Finds this package where its parent found it, behind all that comes with Python.
_PROGRAM = (
    "import sys; sys.path.append(sys.argv[1]); "
    "from qa.readers.worker import main; main(sys.argv[2:])"
)
_HOME = Path(__file__).resolve().parents[2]
_WATCH_SECONDS = 0.2
_REFUSALS = {"UnsupportedFormat": UnsupportedFormat}
#: Python's names of what a reader has no need to do.
_FORBIDDEN = ("socket.", "subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.fork")


class _Broken(Exception):
    """The process has to be started anew; the reason is why."""


class _Late(_Broken):
    """It had to be ended."""


@dataclass(slots=True)
class _Child:
    process: subprocess.Popen[bytes]
    #: files it was sent
    files: int = 0
    #: when it is ended, on the monotonic clock; None while it has nothing to do
    deadline: float | None = None
    late: bool = False
    closed: threading.Event = field(default_factory=threading.Event)


class Worker:
    """Reads files in a process of its own, started with the first file."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._child: _Child | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *details: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process."""
        if self._child:
            self._child.closed.set()
            process = self._child.process
            process.kill()
            process.wait()
            for pipe in filter(None, (process.stdin, process.stdout)):
                with contextlib.suppress(OSError):
                    pipe.close()
        self._child = None

    def read(self, uri: str, data: bytes) -> Document:
        """Turn the bytes of a file into a document, within the limits of the settings.

        :raises SourceError: if that cannot be done, with the reason.
        """
        return self._retried({"uri": uri}, data, _document)

    def draw(self, uri: str, data: bytes, page: int) -> Picture:
        """Draw a page of a PDF, counted from 1, within the same limits; raise as `read` does."""
        return self._retried({"uri": uri, "page": page}, data, _picture)

    def _retried(self, request: dict[str, Any], data: bytes, take: _Take[_T]) -> _T:
        used = self._child is not None and self._child.files > 0
        try:
            return self._ask(request, data, take)
        except _Broken as error:
            self.close()
            # Unless what came before has used up its memory, a new process does no better.
            if used and not isinstance(error, _Late):
                return self._retried(request, data, take)
            raise UnreadableSource(request["uri"], str(error)) from error

    def _ask(self, request: dict[str, Any], data: bytes, take: _Take[_T]) -> _T:
        child = self._child = self._child or _start(self._settings)
        child.files += 1
        child.deadline = time.monotonic() + self._settings.reader_seconds
        try:
            return take(request["uri"], self._exchange(child, request, data))
        except (OSError, EOFError, ValueError, TypeError, KeyError) as error:
            if child.late:
                limit = f"took more than {self._settings.reader_seconds} s"
                raise _Late(limit) from error
            raise _Broken(_crash(child)) from error
        finally:
            child.deadline = None

    def _exchange(self, child: _Child, request: dict[str, Any], data: bytes) -> dict[str, Any]:
        assert child.process.stdin and child.process.stdout
        _send(child.process.stdin, json.dumps({**request, "bytes": len(data)}).encode(), data)
        most = self._settings.reader_characters * _BYTES_PER_CHARACTER
        message = _receive(child.process.stdout, most)
        reply = json.loads(message.decode("utf-8", "surrogatepass"))
        if not isinstance(reply, dict):
            raise ValueError("not an answer")
        if reply.get("memory"):
            raise _Broken(f"needs more than {self._settings.reader_memory_mb} MB of memory")
        return reply


def _watch(child: _Child) -> None:
    """End a process at its deadline. One thread for all files: starting one takes longer."""
    while not child.closed.wait(_WATCH_SECONDS):
        deadline = child.deadline
        if deadline is not None and time.monotonic() > deadline:
            child.late = True
            child.process.kill()


def _crash(child: _Child) -> str:
    with contextlib.suppress(subprocess.TimeoutExpired):
        code = child.process.wait(timeout=1)
        return f"its reader crashed ({f'signal {-code}' if code < 0 else f'exit code {code}'})"
    return "its reader gave no sound answer"


def _start(settings: Settings) -> _Child:
    limits = [str(settings.reader_memory_mb), str(settings.reader_characters)]
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", _PROGRAM, str(_HOME), *limits],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    child = _Child(process)
    threading.Thread(target=_watch, args=[child], daemon=True).start()
    return child


def _refused(uri: str, reply: dict[str, Any]) -> None:
    if "reason" in reply:
        raise _REFUSALS.get(reply["error"], UnreadableSource)(uri, reply["reason"])


def _picture(uri: str, reply: dict[str, Any]) -> Picture:
    _refused(uri, reply)
    size = reply["width"], reply["height"]
    return Picture(base64.b64decode(reply["png"]), *size, tuple(reply["matrix"]))


def _document(uri: str, reply: dict[str, Any]) -> Document:
    _refused(uri, reply)
    marks = tuple(Mark(*fields) for fields in reply["marks"])
    return Document(uri, reply["title"], reply["date"], reply["sha256"], reply["text"], marks)


def _send(pipe: IO[bytes], *parts: bytes) -> None:
    pipe.write(_LENGTH.pack(len(parts[0])))
    for part in parts:
        pipe.write(part)
    pipe.flush()


def _receive(pipe: IO[bytes], most: int) -> bytes:
    (length,) = _LENGTH.unpack(_exactly(pipe, _LENGTH.size))
    if length > most:
        raise ValueError("too long")
    return _exactly(pipe, length)


def _exactly(pipe: IO[bytes], length: int) -> bytes:
    data = pipe.read(length)
    if len(data) < length:
        raise EOFError
    return data


# what follows runs in the process that reads


def main(arguments: Sequence[str]) -> None:
    """Answer requests until the pipe is closed."""
    memory, characters = (int(argument) for argument in arguments)
    requests, replies = _take_pipes()
    sys.modules["numpy"] = None  # type: ignore[assignment]  # which some readers take if they can
    from qa.readers import read
    from qa.readers.render import draw

    _die_with_parent()
    _limit(memory)
    sys.addaudithook(_refuse)
    while True:
        try:
            request = json.loads(_receive(requests, 1 << 20))
            data = _exactly(requests, request["bytes"])
        except EOFError:
            return
        uri, page = request["uri"], request.get("page")
        if page is None:
            work = partial(_read, read, uri, data, characters)
        else:
            work = partial(_draw, draw, uri, data, page)
        _send(replies, _answer(uri, work))


def _read(read: Any, uri: str, data: bytes, characters: int) -> bytes:
    document = read(uri, data)
    most = f"more than {characters:,} characters"
    if len(document.text) > characters:
        raise UnreadableSource(uri, most)
    message = _message(document)
    if len(message) > characters * _BYTES_PER_CHARACTER:
        raise UnreadableSource(uri, f"{most}, its structure counted")
    return message


def _draw(draw: Any, uri: str, data: bytes, page: int) -> bytes:
    picture = draw(uri, data, page)
    fields = {
        "png": base64.b64encode(picture.png).decode(),
        "width": picture.width,
        "height": picture.height,
        "matrix": picture.matrix,
    }
    return json.dumps(fields).encode()


def _answer(uri: str, work: Callable[[], bytes]) -> bytes:
    try:
        return work()
    except SourceError as error:
        return _refusal(error)
    except MemoryError:
        return json.dumps({"memory": True}).encode()
    except RecursionError:
        return _refusal(UnreadableSource(uri, "nested too deeply"))
    except Exception as error:
        detail = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        return _refusal(UnreadableSource(uri, f"damaged, or its reader failed ({detail})"))


def _refusal(error: SourceError) -> bytes:
    reason = error.reason if len(error.reason) <= 300 else f"{error.reason[:299]}…"
    return json.dumps({"error": type(error).__name__, "reason": reason}).encode()


def _message(document: Document) -> bytes:
    marks = [(mark.start, mark.end, mark.kind, mark.label, mark.level) for mark in document.marks]
    fields = {
        "title": document.title,
        "date": document.date,
        "sha256": document.sha256,
        "text": document.text,
        "marks": marks,
    }
    return json.dumps(fields, ensure_ascii=False).encode("utf-8", "surrogatepass")


def _take_pipes() -> tuple[IO[bytes], IO[bytes]]:
    """Move the pipes away from where a library might print to them."""
    pipes = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    return pipes


def _die_with_parent() -> None:
    """Ask Linux for it; elsewhere the process ends when the pipe does."""
    if sys.platform == "linux":
        import ctypes

        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(1, 9, 0, 0, 0)  # PR_SET_PDEATHSIG, SIGKILL


def _limit(memory: int) -> None:
    """Limit address space, in MB, and forbid writing files, where the system can."""
    try:
        import resource
    except ImportError:  # Windows
        return
    limits = {"RLIMIT_AS": memory * 1024**2, "RLIMIT_FSIZE": 0, "RLIMIT_CORE": 0}
    for name, most in limits.items():
        with contextlib.suppress(OSError, ValueError, AttributeError):
            resource.setrlimit(getattr(resource, name), (most, most))


def _refuse(event: str, arguments: tuple[object, ...]) -> None:
    if event.startswith(_FORBIDDEN):
        raise PermissionError(f"a reader does not do this: {event}")
