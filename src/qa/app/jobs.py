"""Builds of the index in a child process, one at a time."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import os
import re
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import IO, Any, Literal

from qa.app.metrics import REBUILDS
from qa.config import Settings
from qa.errors import QAError
from qa.ingest import Report
from qa.stores.index import open_index
from qa.types import SkippedSource

logger = logging.getLogger(__name__)

State = Literal["running", "done", "failed", "cancelled"]

REMEMBERED = 20
#: Seconds that a child has to end by itself, and that a stream may be silent.
PATIENCE = 5.0
KEEP_ALIVE = 15.0
#: Streams of progress at once; each holds a thread of the server.
MOST_STREAMS = 2
#: Bytes of a child's standard error that are looked at.
_LAST_WORDS = 64 * 1024
#: Of a build beside a server: the least there is, a 70th of the share of a question that wants the
#: same processor.
_NICENESS = 19
#: The program, whatever lies in the current folder.
COMMAND = (sys.executable, "-P", "-m", "qa")


@dataclass(frozen=True, slots=True)
class Job:
    """A build that was asked for, as it is now."""

    id: str
    state: State
    #: "start" until the build itself begins; then "read", "split", "embed"
    phase: str
    #: of the phase
    done: int
    total: int
    #: seconds to the end of the phase at its pace so far, None while that cannot be said
    eta_s: float | None
    #: ISO 8601 time
    started: str
    #: seconds since then, or to its end
    took_s: float
    report: Report | None
    #: what went wrong, without a path of this machine; or that it was too late to cancel
    error: str | None


@dataclass(slots=True)
class _Build:
    """A job with what is known of its process. Changed only while the lock of `Jobs` is held."""

    job: Job
    began: float
    #: on the clock: when the phase began, and when something was last heard
    phase_began: float
    heard: float
    #: the generation that was live when it began
    before: str
    process: subprocess.Popen[str] | None = None
    thread: threading.Thread | None = None
    cancelled: bool = False
    #: another process held the lock of the index
    busy: bool = False
    #: grows with every change of the job
    version: int = 0


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What a child said before it ended: the report, or an error with the name of its class."""

    report: Report | None = None
    error: str = ""
    kind: str = ""


class Jobs:
    """Runs `qa index` in child processes and remembers the last jobs. Safe to share."""

    def __init__(self, settings: Settings, command: Sequence[str] = COMMAND) -> None:
        self._settings = settings
        self._index = open_index(settings)
        self._command = tuple(command)
        self._changed = threading.Condition()
        self._builds: dict[str, _Build] = {}  # oldest first
        self._running: _Build | None = None
        self._closing = False
        #: held while progress is streamed; one thread of the server always stays free
        self.streams = threading.BoundedSemaphore(min(MOST_STREAMS, settings.threads - 1))

    def start(self, *, full: bool = False) -> Job:
        """Start a build and return its job, or the job of the one that is running."""
        with self._changed:
            if self._running:
                return _now(self._running)
            build = _new(self._pointer())
            self._remember(build)
            if self._closing:
                self._end(build, "failed", error="the server is stopping")
                return build.job
            errors = tempfile.TemporaryFile()  # noqa: SIM115 (the thread closes it)
            try:
                build.process = self._spawn(full, errors)
            except OSError as error:
                errors.close()
                self._end(build, "failed", error=f"cannot start: {error.strerror}")
                return build.job
            build.thread = threading.Thread(target=self._follow, args=(build, errors))
            self._running = build
            build.thread.start()
            return build.job

    def rebuild(self) -> bool:
        """Build after the running job, if there is one, and wait for the end.

        :returns: False when another process was building, so that nothing was done.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._running is None)
            build = self._builds[self.start().id]
            self._changed.wait_for(lambda: build.job.state != "running")
            return not build.busy

    def get(self, id_: str) -> Job | None:
        """Return a job as it is now, None if there is none of this id."""
        with self._changed:
            build = self._builds.get(id_)
            return _now(build) if build else None

    def list(self) -> list[Job]:
        """Return the last jobs, newest first."""
        with self._changed:
            return [_now(build) for build in reversed(self._builds.values())]

    def follow(self, id_: str, keep_alive: float = KEEP_ALIVE) -> Iterator[Job | None]:
        """Yield a job now and at every change until it ends; None after a silence.

        :param keep_alive: the longest silence, in seconds.
        """
        with self._changed:
            build = self._builds.get(id_)
        seen = -1
        while build:
            job, version = self._next(build, seen, keep_alive)
            yield job if version > seen else None
            if version > seen and job.state != "running":
                return
            seen = version

    def cancel(self, id_: str) -> Job | None:
        """End a job and return it; one that is over stays as it is. None for an unknown id."""
        with self._changed:
            build = self._builds.get(id_)
            if build:
                _terminate(build)
        if build:
            _wait(build)
            return build.job
        return None

    def stop(self) -> None:
        """Tell the running job to end, start no other, and do not wait."""
        with self._changed:
            self._closing = True
            if self._running:
                _terminate(self._running)

    def close(self) -> None:
        """End the running job, and wait until nothing of any job is left."""
        self.stop()
        with self._changed:
            builds = list(self._builds.values())
        for build in builds:
            _wait(build)

    def _next(self, build: _Build, seen: int, timeout: float) -> tuple[Job, int]:
        with self._changed:
            self._changed.wait_for(lambda: build.version > seen, timeout)
            return _now(build), build.version

    def _spawn(self, full: bool, errors: IO[bytes]) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*self._command, "index", "--events", *(["--full"] if full else [])],
            env=_environment(self._settings),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            encoding="utf-8",
            errors="replace",
        )
        _stand_back(process.pid)
        return process

    def _follow(self, build: _Build, errors: IO[bytes]) -> None:
        """Take in what a child says, until it ends."""
        process = build.process
        assert process
        with errors, process:
            try:
                outcome = self._listen(build, process)
            except (KeyError, TypeError, ValueError):  # installed anew while the server runs
                process.kill()
                outcome = _Outcome(error="another version of qa is installed; restart the server")
            process.wait()
            errors.seek(max(0, errors.seek(0, os.SEEK_END) - _LAST_WORDS))
            last_words = errors.read().decode("utf-8", "replace")
        with self._changed:
            self._conclude(build, outcome, last_words, process.returncode)

    def _listen(self, build: _Build, process: subprocess.Popen[str]) -> _Outcome:
        outcome = _Outcome()
        assert process.stdout
        for line in process.stdout:
            event = _event(line)
            if "phase" in event:
                self._progress(build, event)
            elif "report" in event:
                outcome = _Outcome(report=_report(event["report"]))
            elif "error" in event:
                outcome = _Outcome(error=str(event["error"]), kind=str(event.get("kind")))
        return outcome

    def _progress(self, build: _Build, event: dict[str, Any]) -> None:
        phase, done, total = str(event["phase"]), int(event["done"]), int(event["total"])
        with self._changed:
            if phase != build.job.phase:
                build.phase_began = build.heard
            build.heard = time.monotonic()
            spent = build.heard - build.phase_began
            eta = round(spent / done * (total - done), 1) if 0 < done < total else None
            build.job = replace(build.job, phase=phase, done=done, total=total, eta_s=eta)
            self._tell(build)

    def _conclude(self, build: _Build, outcome: _Outcome, last_words: str, code: int) -> None:
        self._running = None
        build.busy = outcome.kind == "IndexBusy"
        if outcome.report:
            self._end(build, "done", report=outcome.report)
        elif build.cancelled:
            late = self._pointer() != build.before
            self._end(
                build, "cancelled", error="the new index was in place already" if late else None
            )
        else:
            said = last_words.strip().rpartition("\n")[2].strip().removeprefix("qa: ")
            error = outcome.error or said or _ending(code)
            logger.error("job %s failed: %s", build.job.id, error)
            self._end(build, "failed", error=without_paths(error, self._settings))

    def _end(
        self, build: _Build, state: State, report: Report | None = None, error: str | None = None
    ) -> None:
        REBUILDS.labels(state).inc()
        took = round(time.monotonic() - build.began, 1)
        build.job = replace(
            build.job, state=state, eta_s=None, took_s=took, report=report, error=error
        )
        self._tell(build)

    def _pointer(self) -> str:
        """Return the id of the live generation; empty also where the store cannot be asked."""
        try:
            return self._index.pointer()
        except QAError:
            return ""

    def _tell(self, build: _Build) -> None:
        build.version += 1
        self._changed.notify_all()

    def _remember(self, build: _Build) -> None:
        self._builds[build.job.id] = build
        for id_ in list(self._builds)[:-REMEMBERED]:
            del self._builds[id_]


def without_paths(text: str, settings: Settings) -> str:
    """Shorten every absolute path in a message to its last part."""
    for folder in (settings.corpus, settings.index):
        for known in (folder.absolute(), folder.resolve()):
            text = text.replace(f"{known.parent}{os.sep}", "")
    return _BARE.sub("", _QUOTED.sub(r"\1\2\1", text))


_QUOTED = re.compile(r"""(['"])(?:[A-Za-z]:)?[/\\][^'"]*[/\\]([^'"/\\]+)\1""")
_BARE = re.compile(r"""(?<![\w.:/\\-])(?:[A-Za-z]:)?[/\\](?=[^\s/\\])(?:[^\s/\\'"]+[/\\])*""")


def _new(before: str) -> _Build:
    started = datetime.now(UTC).isoformat(timespec="seconds")
    job = Job(secrets.token_hex(8), "running", "start", 0, 0, None, started, 0.0, None, None)
    now = time.monotonic()
    return _Build(job, began=now, phase_began=now, heard=now, before=before)


def _now(build: _Build) -> Job:
    if build.job.state != "running":
        return build.job
    return replace(build.job, took_s=round(time.monotonic() - build.began, 1))


def _environment(settings: Settings) -> dict[str, str]:
    """Return the environment in which a child has the same settings, whatever its files say."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("QA_")}
    values = {
        entry.name: getattr(settings, entry.name) for entry in dataclasses.fields(Settings)
    } | {"corpus": settings.corpus.absolute(), "index": settings.index.absolute()}
    given = {f"QA_{name.upper()}": str(value) for name, value in values.items()}
    return {**kept, **given, "PYTHONIOENCODING": "utf-8"}


def _stand_back(pid: int) -> None:
    """Let a process take only the time that questions leave, and all that it starts as well."""
    if sys.platform != "win32":
        with contextlib.suppress(OSError):  # it has ended already
            os.setpriority(os.PRIO_PROCESS, pid, _NICENESS)


def _event(line: str) -> dict[str, Any]:
    """Return a line of events, empty for anything else that a library printed."""
    try:
        event = json.loads(line)
    except ValueError:
        return {}
    return event if isinstance(event, dict) else {}


def _report(data: dict[str, Any]) -> Report:
    skipped = tuple(SkippedSource(**entry) for entry in data["skipped"])
    return Report(**{**data, "skipped": skipped})


def _ending(code: int) -> str:
    if code < 0:
        return f"the build was ended by {signal.Signals(-code).name}"
    return f"the build ended with exit code {code} and without a report"


def _terminate(build: _Build) -> None:
    if build.process and build.job.state == "running":
        build.cancelled = True
        build.process.terminate()


def _wait(build: _Build) -> None:
    """Wait for the end of a job whose process was told to end, and kill it if it does not."""
    if build.process and build.thread:
        try:
            build.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            build.process.kill()
        build.thread.join()
