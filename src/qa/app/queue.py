"""The queue in front of the model: a few questions at once, a few that wait, no more."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as LateError
from typing import Any, TypeVar

from flask import current_app
from werkzeug.exceptions import ServiceUnavailable, TooManyRequests

from qa.app.metrics import REFUSALS

_T = TypeVar("_T")
#: Set when the request gave up waiting for the work that runs in this context.
_given_up: contextvars.ContextVar[threading.Event] = contextvars.ContextVar("given_up")
#: Seconds after which a client that was sent away may come again.
_AGAIN = 1


class Queue:
    """Runs work in its own threads, so that a request can give up waiting for it."""

    def __init__(self, threads: int, waiting: int, seconds: float) -> None:
        """:param seconds: after which a request gets no more than an excuse."""
        self._seconds = seconds
        self._threads = threads
        self._places = threads + waiting
        self._held = 0
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="question")

    def run(self, work: Callable[[], _T]) -> _T:
        """Return what the work returns.

        :raises TooManyRequests: at once, if every place is taken.
        :raises ServiceUnavailable: if it takes too long. Work that has begun goes on, and keeps its
            place until it ends; it can end sooner where it asks whether it was `abandoned`.
        """
        self._enter()
        late = threading.Event()
        context = contextvars.copy_context()
        context.run(_given_up.set, late)
        try:
            future = self._pool.submit(context.run, work)
        except RuntimeError:
            self._leave(None)
            raise
        future.add_done_callback(self._leave)
        try:
            return future.result(self._seconds)
        except LateError:
            if future.done() and not future.cancelled():
                raise  # the work's own
            future.cancel()
            late.set()
            REFUSALS.labels("time").inc()
            raise ServiceUnavailable(
                f"No answer within {self._seconds:g} s; ask again, or ask less at once.",
                retry_after=_AGAIN,
            ) from None

    def state(self) -> tuple[int, int]:
        """Return how many are answered now, and how many wait."""
        with self._lock:
            running = min(self._held, self._threads)
            return running, self._held - running

    def busy(self) -> bool:
        """Say whether somebody waits for an answer."""
        return self._held > 0

    def _enter(self) -> None:
        with self._lock:
            if self._held < self._places:
                self._held += 1
                return
        REFUSALS.labels("queue").inc()
        raise TooManyRequests(
            f"{self._places} questions are being answered or wait already; ask again.",
            retry_after=_AGAIN,
        )

    def _leave(self, future: Future[Any] | None) -> None:
        with self._lock:
            self._held -= 1


def abandoned() -> bool:
    """Say whether the request gave up waiting for the work in which this is asked."""
    late = _given_up.get(None)
    return late is not None and late.is_set()


def queue() -> Queue:
    """Return the queue of the application."""
    found: Queue = current_app.extensions["qa-queue"]
    return found
