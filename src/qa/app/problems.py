"""Errors as problem details (RFC 9457): what happened, to which field, what to do next."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

from flask import Flask, Response, current_app, json, render_template, request
from pydantic import BaseModel, ConfigDict, ValidationError
from werkzeug.exceptions import HTTPException

from qa.errors import (
    AlreadyUploaded,
    FeedbackError,
    IndexBusy,
    IndexDamaged,
    IndexIncompatible,
    IndexMissing,
    ModelMissing,
    QAError,
    QuestionError,
    SourceError,
    StoreBusy,
    StoreUnavailable,
    StoreUnfit,
    UnknownSource,
    UploadRefused,
)

logger = logging.getLogger(__name__)

#: Class of error to status and name; the nearest class in the order of resolution decides.
STATUS: dict[type[QAError], tuple[HTTPStatus, str]] = {
    QuestionError: (HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-request"),
    UnknownSource: (HTTPStatus.NOT_FOUND, "unknown-source"),
    SourceError: (HTTPStatus.SERVICE_UNAVAILABLE, "unreadable-corpus"),
    IndexMissing: (HTTPStatus.SERVICE_UNAVAILABLE, "no-index"),
    IndexDamaged: (HTTPStatus.SERVICE_UNAVAILABLE, "damaged-index"),
    IndexIncompatible: (HTTPStatus.SERVICE_UNAVAILABLE, "incompatible-index"),
    IndexBusy: (HTTPStatus.CONFLICT, "index-busy"),
    ModelMissing: (HTTPStatus.SERVICE_UNAVAILABLE, "no-model"),
    UploadRefused: (HTTPStatus.UNPROCESSABLE_ENTITY, "not-taken"),
    AlreadyUploaded: (HTTPStatus.CONFLICT, "already-uploaded"),
    StoreUnavailable: (HTTPStatus.SERVICE_UNAVAILABLE, "store-unavailable"),
    StoreBusy: (HTTPStatus.TOO_MANY_REQUESTS, "store-busy"),
    StoreUnfit: (HTTPStatus.SERVICE_UNAVAILABLE, "unfit-store"),
    FeedbackError: (HTTPStatus.SERVICE_UNAVAILABLE, "feedback-not-kept"),
    QAError: (HTTPStatus.INTERNAL_SERVER_ERROR, "internal-error"),
}
#: Seconds after which to ask again.
RETRY_AFTER = {"store-unavailable": 5, "store-busy": 1}
#: What is said where the message of an error would tell where things lie on this machine.
ADVICE: dict[str, str] = {
    "no-index": "There is no index yet; build it: qa index",
    "damaged-index": "The index is damaged; rebuild it: qa index --full",
    "incompatible-index": "The index was built by other settings; rebuild it: qa index",
    "index-busy": "Another process is building the index; wait for it to end.",
    "unreadable-corpus": "The corpus cannot be read; see: qa doctor",
    "no-model": "The embedding model cannot be loaded; see: qa doctor",
    "store-unavailable": "The server that keeps the index cannot be reached; see: qa doctor",
    "store-busy": "Every connection to the server that keeps the index is in use; ask again, or "
    "raise store_connections.",
    "unfit-store": "The server that keeps the index lacks something; see: qa doctor",
    "internal-error": "The program failed; its log says why.",
}


class FieldProblem(BaseModel):
    """What is wrong with one field of a request."""

    field: str
    reason: str


class Problem(BaseModel):
    """A problem document (RFC 9457)."""

    model_config = ConfigDict(json_schema_extra={"description": "Problem details (RFC 9457)."})

    type: str
    title: str
    status: int
    detail: str
    errors: list[FieldProblem] = []


def problem(
    status: HTTPStatus, name: str, detail: str, errors: list[FieldProblem] | None = None
) -> Response:
    """Make the reply for an error."""
    body = Problem(
        type=f"urn:qa:problem:{name}",
        title=status.phrase,
        status=status.value,
        detail=detail,
        errors=errors or [],
    )
    return Response(
        json.dumps(body.model_dump()), status.value, content_type="application/problem+json"
    )


def advice(error: QAError) -> str:
    """Say what happened and what to do, without a path of this machine."""
    _, name = _status(error)
    return ADVICE.get(name) or str(error)


def _status(error: QAError) -> tuple[HTTPStatus, str]:
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def of_error(error: QAError) -> Response:
    """Make the reply for one of our own errors."""
    status, name = _status(error)
    if status is HTTPStatus.INTERNAL_SERVER_ERROR:
        logger.error("request failed", exc_info=error)
    errors = []
    if isinstance(error, QuestionError):
        errors = [FieldProblem(field=error.field, reason=error.reason)]
    reply = problem(status, name, advice(error), errors)
    if name in RETRY_AFTER:
        logger.warning("%s", error)
        reply.headers["Retry-After"] = str(RETRY_AFTER[name])
    return reply


def of_validation(error: ValidationError) -> Response:
    """Make the reply for a request that does not fit its schema, naming every field."""
    errors = []
    for found in error.errors(include_url=False, include_context=False, include_input=False):
        field = ".".join(str(part) for part in found["loc"]) or "the body"
        reason = "unknown field" if found["type"] == "extra_forbidden" else found["msg"]
        errors.append(FieldProblem(field=field, reason=reason))
    detail = "; ".join(f"{entry.field}: {entry.reason}" for entry in errors)
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-request", detail, errors)


def of_http(error: HTTPException) -> Response:
    """Make the reply for an error of the protocol: no such address, wrong method, too large."""
    status = HTTPStatus(error.code or 500)
    name = status.name.lower().replace("_", "-")
    reply = problem(status, name, error.description or status.phrase)
    for name, value in error.get_headers():
        if name in ("Allow", "Retry-After", "WWW-Authenticate"):
            reply.headers[name] = value
    return reply


def check_json_body() -> Response | None:
    """Refuse a body that is not a JSON object before anything looks at it."""
    there = request.routing_exception is None
    if request.method != "POST" or not request.path.startswith("/api/") or not there:
        return None
    if request.mimetype != "application/json":
        return problem(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "unsupported-media-type",
            f"the content type is {request.mimetype or 'missing'!r}; send application/json",
        )
    try:
        body: Any = json.loads(request.get_data())
    except (ValueError, RecursionError):
        return problem(HTTPStatus.BAD_REQUEST, "invalid-json", "the body is not JSON in UTF-8")
    if not isinstance(body, dict):
        return problem(HTTPStatus.BAD_REQUEST, "invalid-json", "the body is not a JSON object")
    return None


def install(app: Flask) -> None:
    """Answer every error: with a page where a browser asks for one, else a problem document."""
    app.before_request(check_json_body)
    app.register_error_handler(Exception, _reply)


def _reply(error: Exception) -> Response:
    if isinstance(error, IndexDamaged):
        current_app.extensions["qa"].distrust()
    if isinstance(error, QAError):
        reply = of_error(error)
    elif isinstance(error, HTTPException):
        reply = of_http(error)
    else:
        logger.error("request failed", exc_info=error)
        name = "internal-error"
        reply = problem(HTTPStatus.INTERNAL_SERVER_ERROR, name, ADVICE[name])
    if request.path.startswith("/api/") or not request.accept_mimetypes.accept_html:
        return reply
    reply.set_data(render_template("error.html", problem=reply.get_json()))
    reply.content_type = "text/html; charset=utf-8"
    return reply
