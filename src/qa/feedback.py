"""What people said of answers, kept on this machine as lines of JSON."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Literal

from qa.config import Settings
from qa.errors import FeedbackError
from qa.stores.generation import flush, seize
from qa.verify import Cited

LONGEST_NOTE = 2000
#: Bytes beyond which the file grows no more: whoever may ask may also fill a disk.
LARGEST = 100_000_000
#: Seconds to wait for another process that writes.
_PATIENCE = 10.0

Verdict = Literal["good", "bad"]


@dataclass(frozen=True, slots=True)
class Feedback:
    """A verdict on an answer."""

    #: ISO 8601
    time: str
    question: str
    #: the stand-alone question that was searched
    interpreted: str
    answered: bool
    #: the quotes of the answer with their places; none where there was no answer
    citations: tuple[Cited, ...]
    generation: str
    verdict: Verdict
    note: str = ""


@dataclass(frozen=True, slots=True)
class BrokenLine:
    """A line that is no feedback."""

    #: 1-based
    number: int
    reason: str


def append(settings: Settings, entry: Feedback) -> None:
    """Add a line to the feedback file, whole and on disk, or leave the file as it was.

    :raises FeedbackError: if it cannot be written, is too large already, or lies in the corpus,
        where it would become a source.
    """
    path = settings.feedback
    if path.resolve().is_relative_to(settings.corpus.resolve()):
        reason = "lies inside the corpus, where it would be a source; set `feedback` elsewhere"
        raise FeedbackError(path, reason)
    line = json.dumps(asdict(entry), ensure_ascii=False).encode() + b"\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab+", buffering=0) as file:
            _wait(file, path)
            if os.fstat(file.fileno()).st_size + len(line) > LARGEST:
                reason = f"has {LARGEST // 1_000_000} MB; move it away, and a new one is begun"
                raise FeedbackError(path, reason)
            _write(file, line)
        flush(path.parent)  # a file that was just made is on disk once its folder is
    except OSError as error:
        raise FeedbackError(path, f"cannot be written: {error.strerror or error}") from error


def _wait(file: IO[bytes], path: Path) -> None:
    """Lock the file until it is closed."""
    deadline = time.monotonic() + _PATIENCE
    while not seize(file):
        if time.monotonic() > deadline:
            raise FeedbackError(path, f"is held by another process since {_PATIENCE:.0f} s")
        time.sleep(0.01)


def _write(file: IO[bytes], line: bytes) -> None:
    size = file.seek(0, os.SEEK_END)
    if size:
        file.seek(size - 1)
        if file.read(1) != b"\n":  # a line that a crash cut off stays a line of its own
            line = b"\n" + line
    try:
        left = memoryview(line)
        while left:
            left = left[file.write(left) :]
        os.fsync(file.fileno())
    except OSError:
        with contextlib.suppress(OSError):  # what failed first is what is to be told
            file.truncate(size)
        raise


def read(path: Path) -> tuple[list[Feedback], list[BrokenLine]]:
    """Read a feedback file; return its entries in order, and the lines that are none.

    :raises FeedbackError: if the file cannot be read.
    """
    from pydantic import TypeAdapter, ValidationError

    adapter = TypeAdapter(Feedback)
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise FeedbackError(path, f"cannot be read: {error.strerror or error}") from error
    entries: list[Feedback] = []
    broken: list[BrokenLine] = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                entries.append(adapter.validate_json(line, strict=True))
            except ValidationError as error:
                broken.append(BrokenLine(number, _reason(error.errors()[0])))
    return entries, broken


def _reason(error: Any) -> str:
    field = ".".join(str(part) for part in error["loc"])
    return f"{field}: {error['msg']}" if field else str(error["msg"])


def latest(entries: Iterable[Feedback]) -> list[Feedback]:
    """Keep the last verdict on each answer: on the same question with the same quotes."""
    found = {(entry.interpreted, entry.citations): entry for entry in entries}
    return list(found.values())


def questions(entries: Sequence[Feedback]) -> list[dict[str, Any]]:
    """Make questions for `qa eval` of the good answers, with their quotes as what is right.

    A refusal that was found good becomes a question that the sources do not answer.
    """
    found: dict[str, dict[Cited, None]] = {}
    for entry in entries:
        if entry.verdict == "good":
            found.setdefault(entry.interpreted, {}).update(dict.fromkeys(entry.citations))
    return [
        {
            "question": question,
            "answers": list(dict.fromkeys(cited.quote for cited in quotes)),
            "uri": list(dict.fromkeys(cited.uri for cited in quotes)),
        }
        for question, quotes in found.items()
    ]
