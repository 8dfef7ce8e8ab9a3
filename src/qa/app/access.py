"""Who may ask: whoever has the token, as a bearer or in the signed cookie of the page."""

from __future__ import annotations

import hmac
import ipaddress
import logging
import os
import re
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from flask import (
    Blueprint,
    Flask,
    Response,
    current_app,
    redirect,
    render_template,
    request,
    url_for,
)
from itsdangerous import BadData, URLSafeTimedSerializer
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import Unauthorized
from werkzeug.wrappers import Response as BaseResponse

from qa.app.metrics import REFUSALS
from qa.config import TOKEN, Settings
from qa.errors import ConfigError

logger = logging.getLogger(__name__)

COOKIE = "qa_session"
#: Seconds after which the page asks for the token again.
SESSION = 7 * 24 * 3600
#: Characters of the shortest token that is taken.
SHORTEST = 16
#: What can be sent as a bearer (RFC 6750, section 2.1).
_BEARER = re.compile(r"[A-Za-z0-9._~+/-]+=*")
#: What needs no token: it says nothing about the sources.
_OPEN = {
    "static",
    "operation.healthz",
    "operation.readyz",
    "access.sign_in",
    "access.start_session",
}

access = Blueprint("access", __name__)


def is_loopback(host: str) -> bool:
    """Say whether an address is reached from this machine alone."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def read_token(settings: Settings, environ: Mapping[str, str]) -> str:
    """Return the token of the environment or of its file, empty where there is none.

    :raises ConfigError: if it is too short or cannot be sent as a bearer, or if its file cannot be
        read; or is not there, and is not the one that is looked for by default.
    """
    given, name = environ.get(TOKEN, ""), TOKEN
    if not given:
        found, name = _read_file(settings.token_file), "token_file"
        if found is None:
            return ""
        given = found
    if len(given) < SHORTEST or not _BEARER.fullmatch(given):
        expected = (
            f"at least {SHORTEST} letters, digits and -._~+/, `=` only at its end; "
            "`qa token` makes a token"
        )
        raise ConfigError(name, "(not shown)", expected)
    return given


def _read_file(path: Path) -> str | None:
    """Return what a token file holds; None where there is none of the usual name."""
    try:
        given = path.read_text(encoding="utf-8").strip()
    except FileNotFoundError as error:
        if path.name == Settings().token_file.name:
            return None
        expected = "a file that is there; make it: qa token"  # or a slip would open the server
        raise ConfigError("token_file", str(path), expected) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError("token_file", str(path), "a text file") from error
    if os.name == "posix" and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        logger.warning("other users may read the token in %s; forbid it: chmod 600", path)
    return given


def make_token(path: Path) -> str:
    """Write a new token to a file that only its owner may read, and return it.

    :raises ConfigError: if the file is there already.
    """
    token = secrets.token_urlsafe(32)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        expected = "a file that is not there yet; delete it to make another token"
        raise ConfigError("token_file", str(path), expected) from error
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(f"{token}\n")
    return token


def install(app: Flask, token: str) -> None:
    """Ask for the token on every request; where there is none, for nothing."""
    app.register_blueprint(access)
    app.extensions["qa-token"] = token
    if token:
        app.before_request(_check)


def signed_in() -> bool:
    """Say whether the request carries the cookie of a page that was signed in."""
    token: str = current_app.extensions["qa-token"]
    try:
        _serializer(token).loads(request.cookies.get(COOKIE, ""), max_age=SESSION)
    except BadData:  # forged, of another token, too old, or from a clock that was set back
        return False
    return bool(token)


def _check() -> BaseResponse | None:
    if request.method == "OPTIONS" or request.endpoint in _OPEN:
        return None
    sent = request.authorization
    if sent and sent.type == "bearer" and _matches(sent.token or ""):
        return None
    if signed_in():
        return None
    REFUSALS.labels("token").inc()
    if request.method == "GET" and _is_browser():
        return redirect(url_for("access.sign_in", next=request.full_path.rstrip("?")), 303)
    raise Unauthorized(
        "Send the token as `Authorization: Bearer TOKEN`; on the page, sign in at /sign-in.",
        www_authenticate=WWWAuthenticate("bearer", {"realm": "qa"}),
    )


def _is_browser() -> bool:
    accepted = request.headers.get("Accept", "")
    return "text/html" in accepted and not request.path.startswith("/api/")


@access.get("/sign-in")
def sign_in() -> str | BaseResponse:
    """Ask for the token, where there is one."""
    if not current_app.extensions["qa-token"]:
        return redirect(_local(request.args.get("next", "/")), 303)
    return _page(request.args.get("next", "/"), "")


@access.post("/sign-in")
def start_session() -> BaseResponse:
    """Set the cookie for whoever sends the token."""
    wanted = _local(request.form.get("next", "/"))
    if not _matches(request.form.get("token", "").strip()):
        REFUSALS.labels("token").inc()
        return Response(_page(wanted, "That is not the token."), 401)
    reply = redirect(wanted, 303)
    encrypted = request.is_secure or request.headers.get("Origin", "").startswith("https://")
    reply.set_cookie(
        COOKIE,
        str(_serializer(current_app.extensions["qa-token"]).dumps("page")),
        max_age=SESSION,
        secure=encrypted,
        httponly=True,
        samesite="Strict",
    )
    return reply


@access.post("/sign-out")
def sign_out() -> BaseResponse:
    """Take the cookie away."""
    reply = redirect(url_for("access.sign_in"), 303)
    reply.delete_cookie(COOKIE, httponly=True, samesite="Strict")
    return reply


def _page(wanted: str, trouble: str) -> str:
    return render_template("sign_in.html", wanted=_local(wanted), trouble=trouble)


def _matches(sent: str) -> bool:
    token: str = current_app.extensions["qa-token"]
    return bool(token) and hmac.compare_digest(sent.encode(), token.encode())


def _serializer(token: str) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(token, salt="qa-page")


def _local(path: str) -> str:
    """Return a path on this server, and the first page for anything else."""
    try:
        parts = urlsplit(path)
    except ValueError:
        return "/"
    # "///x" has no host here, but browsers take one from it
    own = path.startswith("/") and not path.startswith("//") and not parts.scheme
    return path if own and "\\" not in path and path.isprintable() else "/"
