"""Rebuild whenever the corpus has changed and is quiet again."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import watchfiles

from qa.config import Settings
from qa.ingest import IGNORE

#: Seconds without a change after which the corpus counts as settled, and the longest wait for it.
QUIET = 1.0
LONGEST = 30.0
#: Seconds after which a build that found another process building is tried again.
RETRY = 10.0
_TICK_MS = 500
_STEP_MS = 100


def watch(
    settings: Settings,
    rebuild: Callable[[], bool],
    say: Callable[[str], None],
    stopping: threading.Event,
) -> None:
    """Rebuild at once, then after every change below the corpus, until told to stop.

    The corpus is watched before the first build begins, so that no change is lost, and changes
    during a build lead to one more. A folder that vanishes is waited for.

    :param rebuild: returns False to be called again after the next change or 10 seconds.
    :param say: is told what is waited for.
    """
    due, first = -math.inf, math.inf  # on the clock: when to build; the oldest change not built
    for changed in _ticks(settings, say, stopping):
        now = time.monotonic()
        if changed:
            first = min(first, now)
            due = min(now + QUIET, first + LONGEST)
        if now >= due:
            due, first = math.inf, math.inf
            if not rebuild():
                due = time.monotonic() + RETRY


def _ticks(
    settings: Settings, say: Callable[[str], None], stopping: threading.Event
) -> Iterator[bool]:
    """Say at least twice a second whether something changed."""
    while not stopping.is_set():
        if not settings.corpus.is_dir():
            say(f"the corpus {str(settings.corpus)!r} is not there; waiting for it")
            while not settings.corpus.is_dir():
                if stopping.wait(_TICK_MS / 1000):
                    return
        yield from _changes(settings, stopping)
        yield True  # the folder vanished, or another one took its place


def _changes(settings: Settings, stopping: threading.Event) -> Iterator[bool]:
    """Say whether something changed, until the folder is no longer the one that is watched."""
    root, index = settings.corpus.resolve(), settings.index.resolve()
    before = _identity(settings.corpus)
    found = watchfiles.watch(
        root,
        watch_filter=None,
        debounce=_TICK_MS,
        step=_STEP_MS,
        rust_timeout=_TICK_MS,
        yield_on_timeout=True,
        stop_event=stopping,
    )
    try:
        for changes in found:
            paths = [Path(path) for _, path in changes]
            if root in paths or _identity(settings.corpus) != before:  # an inode can come back
                return
            yield any(_counts(path, root, index) for path in paths)
    except FileNotFoundError:  # gone before it could be watched
        return


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        found = folder.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _counts(path: Path, root: Path, index: Path) -> bool:
    """Return whether a change of a path can change the index: hidden files and the index do not."""
    if path.is_relative_to(index):
        return False
    parts = path.relative_to(root).parts if path.is_relative_to(root) else ()
    return parts == (IGNORE,) or not any(part.startswith(".") for part in parts)
