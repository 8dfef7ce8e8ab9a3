"""What keeps pages of other sites away, and the browser from doing more with ours than it should.

A page that the user visits can send requests to a server on this machine. Three checks stand in its
way: the name by which the server was called (a name of the page's own that was made to lead here,
DNS rebinding, is not among ours), what browsers say of where a request comes from (Origin, Fetch
Metadata, https://www.w3.org/TR/fetch-metadata/), and JSON as the only form of a body.
"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from flask import Flask, Response, request
from werkzeug.exceptions import Forbidden, HTTPException

from qa.app.metrics import REFUSALS
from qa.config import Settings

HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'; object-src 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
_STANDARD_PORTS = {"http": "80", "https": "443"}


class Misdirected(HTTPException):
    """The server was called by a name that is not its own (RFC 9110, 15.5.20)."""

    code = 421


def install(app: Flask, settings: Settings) -> None:
    """Check every request, and send the headers with every reply."""
    names = frozenset(settings.hosts.split())
    origins = frozenset(settings.origins.split())

    @app.before_request
    def check() -> None:
        called = request.environ.get("HTTP_HOST", "").lower()
        if called not in names | _own_names(settings.host):
            REFUSALS.labels("host").inc()
            raise Misdirected(
                "This server is not called by that name; the setting `hosts` names others."
            )
        trusted = request.headers.get("Origin") in origins
        if not trusted and comes_from_elsewhere() and not _opens_a_page():
            REFUSALS.labels("site").inc()
            raise Forbidden("The request comes from a page of another site.")

    @app.after_request
    def add_headers(reply: Response) -> Response:
        for name, value in HEADERS.items():
            reply.headers.setdefault(name, value)
        if request.path.startswith("/api/"):
            reply.headers.setdefault("Cache-Control", "no-store")
            if origins:
                _allow_origin(reply, origins)
        elif request.endpoint != "static":  # no cache on the way may hand it to somebody else
            reply.headers.setdefault("Cache-Control", "private, no-cache")
        return reply


def comes_from_elsewhere() -> bool:
    """Say whether a browser says that a page of another site asks.

    Programs send neither header; browsers send them, and no page can change them.
    """
    if request.headers.get("Sec-Fetch-Site", "none") not in ("same-origin", "none"):
        return True
    origin = request.headers.get("Origin")
    try:
        return origin is not None and urlsplit(origin).netloc.lower() != request.host.lower()
    except ValueError:
        return True


def _own_names(host: str) -> frozenset[str]:
    """Return the names of this machine, and the address that was bound, with the port."""
    port = request.environ["SERVER_PORT"]
    names = {*_LOOPBACK, _in_address(host)} - {"", "0.0.0.0", "[::]"}
    standard = names if _STANDARD_PORTS.get(request.scheme) == port else set()
    return frozenset({f"{name}:{port}" for name in names} | standard)


def _in_address(host: str) -> str:
    """Write a host as browsers do in addresses: IPv6 in its short form and in brackets."""
    try:
        parsed = ipaddress.ip_address(host)
    except ValueError:
        return host.lower()
    return f"[{parsed}]" if parsed.version == 6 else str(parsed)


def _opens_a_page() -> bool:
    """Say whether a link of another site is followed to a page of ours, which it cannot read."""
    return (
        request.method in ("GET", "HEAD")
        and "Origin" not in request.headers
        and request.headers.get("Sec-Fetch-Mode") == "navigate"
        and request.headers.get("Sec-Fetch-Dest") == "document"
        and request.blueprint in ("pages", "access")
    )


def _allow_origin(reply: Response, origins: frozenset[str]) -> None:
    reply.vary.add("Origin")
    origin = request.headers.get("Origin")
    if origin not in origins:
        return
    reply.headers["Access-Control-Allow-Origin"] = origin
    reply.headers["Access-Control-Expose-Headers"] = "Location, Retry-After, X-Request-ID"
    if request.method == "OPTIONS":
        reply.headers["Access-Control-Allow-Methods"] = "GET, POST, DELETE"
        reply.headers["Access-Control-Allow-Headers"] = "Authorization, Content-Type, X-Request-ID"
        reply.headers["Access-Control-Max-Age"] = "600"
