"""The web server: it listens, and when told to stop it ends what it began."""

from __future__ import annotations

import logging
import signal
import threading
import time
from functools import partial
from types import FrameType
from typing import Any

import waitress
from flask import Flask
from waitress import wasyncore

from qa.app.jobs import Jobs
from qa.config import Settings

logger = logging.getLogger(__name__)

#: Threads for what asks no question: pages, sources, streams, health; and for refusing.
_SPARE_THREADS = 6
#: Bytes of a body beyond our own limit that are still read, so that the refusal is a problem
#: document and not a broken connection.
_REFUSED_KINDLY = 1024 * 1024
_HEADERS = 32 * 1024
_POLL_SECONDS = 0.05
#: The longest that the loop waits for something to happen before it looks whether it has ended.
_LOOP_SECONDS = 1


class Server:
    """Serves an application until SIGTERM or SIGINT, and then what is in flight for some time."""

    def __init__(self, app: Flask, jobs: Jobs, settings: Settings) -> None:
        """Bind the address; raise OSError or ValueError where that cannot be done."""
        self._jobs = jobs
        self._seconds = settings.drain_seconds
        self._stopping = self._ended = False
        #: everything that is open: listening sockets and channels, by file number
        self._open: dict[int, Any] = {}
        largest_kb = max(settings.max_body_kb, settings.uploads * settings.upload_mb * 1024)
        believed: dict[str, Any] = {
            "trusted_proxy": settings.proxy,
            "trusted_proxy_headers": ("x-forwarded-for", "x-forwarded-proto"),
        }
        self._server: Any = waitress.create_server(
            app,
            map=self._open,
            host=settings.host,
            port=settings.port,
            threads=settings.threads + settings.queue + _SPARE_THREADS,
            ident=None,
            max_request_body_size=largest_kb * 1024 + _REFUSED_KINDLY,
            max_request_header_size=_HEADERS,
            clear_untrusted_proxy_headers=True,
            **(believed if settings.proxy else {}),
        )

    @property
    def port(self) -> int:
        """Return the port that was bound."""
        listening = [entry for entry in self._open.values() if hasattr(entry, "effective_port")]
        return int(listening[0].effective_port)

    def run(self) -> bool:
        """Serve until told to stop.

        :returns: whether every request was replied to; if not, threads still work on some.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        # not the server's own loop: that ends by an exception, which a handler below it may catch
        while not self._ended:
            wasyncore.loop(_LOOP_SECONDS, map=self._open, count=1)
        self._server.task_dispatcher.shutdown(timeout=0.1)  # all waiting was ours
        return not self.busy()

    def busy(self) -> int:
        """Count the connections whose request is not replied to in full."""
        return sum(
            bool(entry.requests or entry.total_outbufs_len)
            for entry in list(self._open.values())
            if hasattr(entry, "total_outbufs_len")
        )

    def _stop(self, number: int, frame: FrameType | None) -> None:
        if self._stopping:  # told twice
            self._ended = True
            return
        self._stopping = True
        self._jobs.stop()  # so that no stream of progress holds a thread
        threading.Thread(target=self._drain, name="drain", daemon=True).start()

    def _drain(self) -> None:
        """Take no new connection, wait for the replies in flight, and end the loop."""
        listening = [entry for entry in self._open.values() if getattr(entry, "accepting", False)]
        for entry in listening:
            # in the thread of the loop; the trigger stays open, replies in flight need it
            entry.trigger.pull_trigger(partial(wasyncore.dispatcher.close, entry))
        end = time.monotonic() + self._seconds
        while self.busy() and time.monotonic() < end:
            time.sleep(_POLL_SECONDS)
        if cut := self.busy():
            logger.warning("stopped after %s s with %s requests unanswered", self._seconds, cut)
        self._ended = True
        for entry in listening:
            entry.trigger.pull_trigger()  # so that the loop looks
