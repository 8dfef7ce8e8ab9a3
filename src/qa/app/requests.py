"""The account of requests: an id for each, a line in the log, counters."""

from __future__ import annotations

import logging
import re
import secrets
import time

from flask import Flask, Response, g, request

from qa.app.metrics import REQUEST_SECONDS, REQUESTS
from qa.logs import request_id

logger = logging.getLogger(__name__)

HEADER = "X-Request-ID"
_SANE = re.compile(r"[A-Za-z0-9._-]{1,64}")
#: Methods that are counted by name; a client may invent any number of others.
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


def install(app: Flask) -> None:
    """Give every request an id, and tell of it when its reply is made."""

    @app.before_request
    def begin() -> None:
        g.began = time.perf_counter()
        sent = request.headers.get(HEADER, "")
        g.request_id = sent if _SANE.fullmatch(sent) else secrets.token_hex(8)
        request_id.set(g.request_id)

    @app.after_request
    def end(reply: Response) -> Response:
        seconds = time.perf_counter() - g.began
        reply.headers[HEADER] = g.request_id
        endpoint = request.endpoint or "none"
        method = request.method if request.method in _METHODS else "other"
        REQUESTS.labels(endpoint, method, reply.status_code).inc()
        REQUEST_SECONDS.labels(endpoint).observe(seconds)
        # the path without the query, which may hold a question
        facts = {
            "method": method,
            "path": request.path,
            "status": reply.status_code,
            "ms": round(seconds * 1000, 1),
            "client": request.remote_addr,
            **g.get("facts", {}),
        }
        logger.info("request", extra={"facts": facts})
        return reply

    @app.teardown_request
    def forget(error: BaseException | None) -> None:
        request_id.set("")
