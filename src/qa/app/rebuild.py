"""Rebuilding the index through the JSON interface."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Iterator
from typing import Any

from flask import Response, abort, current_app, jsonify, request, url_for
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.types import ResponseDict
from pydantic import BaseModel, Field, RootModel
from werkzeug.exceptions import ServiceUnavailable

from qa.app.api import BODY_PROBLEMS, GUARD_PROBLEMS, INDEX, SECURITY, Request, problem_response
from qa.app.jobs import MOST_STREAMS, Job, Jobs

_STREAM = "text/event-stream"

rebuild = APIBlueprint(
    "rebuild",
    __name__,
    url_prefix="/api/v1/index",
    abp_responses=GUARD_PROBLEMS,
    abp_security=SECURITY,
)


class IndexRequest(Request):
    """How to rebuild."""

    full: bool = Field(False, description="build even if nothing changed")


class JobPath(BaseModel):
    """The id of a job."""

    id: str


class JobReply(RootModel[Job]):
    """A build that was asked for, as it is now."""


class JobsReply(BaseModel):
    """The last jobs, newest first."""

    jobs: list[Job]


_UNKNOWN = problem_response("No such job; only the last 20 are remembered.")
_STARTED: ResponseDict = {"202": JobReply, **BODY_PROBLEMS}
_JOB: ResponseDict = {
    "200": {
        "description": "The job; where the Accept header names text/event-stream, it is sent at "
        "every change as an event `progress`, at last as `done`, with a comment in long silences.",
        "content": {
            "application/json": {"schema": {"$ref": "#/components/schemas/JobReply"}},
            _STREAM: {"schema": {"type": "string"}},
        },
    },
    "404": _UNKNOWN,
    "503": problem_response(f"{MOST_STREAMS} streams are open already; ask for JSON, or later."),
}


def jobs() -> Jobs:
    """Return what runs the builds."""
    found: Jobs = current_app.extensions["qa-jobs"]
    return found


@rebuild.post("", tags=[INDEX], responses=_STARTED)
def start(body: IndexRequest) -> tuple[Response, int, dict[str, str]]:
    """Start a rebuild, or return the one that is running."""
    job = jobs().start(full=body.full)
    return jsonify(_json(job)), 202, {"Location": url_for("rebuild.job", id=job.id)}


@rebuild.get("/jobs", tags=[INDEX], responses={"200": JobsReply})
def listed() -> Response:
    """List the last rebuilds, newest first."""
    return jsonify(jobs=[_json(job) for job in jobs().list()])


@rebuild.get("/jobs/<id>", tags=[INDEX], responses=_JOB)
def job(path: JobPath) -> Response:
    """Describe a rebuild, or follow it as server-sent events."""
    found = jobs().get(path.id) or _unknown(path.id)
    if request.accept_mimetypes.best_match(["application/json", _STREAM]) == _STREAM:
        return _stream(path.id)
    return jsonify(_json(found))


@rebuild.delete(
    "/jobs/<id>",
    tags=[INDEX],
    responses={"200": JobReply, "404": _UNKNOWN},
)
def cancel(path: JobPath) -> Response:
    """End a rebuild and leave the index as it was; one that is over stays as it is."""
    return jsonify(_json(jobs().cancel(path.id) or _unknown(path.id)))


def _unknown(id_: str) -> Any:
    abort(404, f"There is no job {id_}; GET {url_for('rebuild.listed')} lists the last ones.")


def _json(job: Job) -> dict[str, Any]:
    return dataclasses.asdict(job)


def _stream(id_: str) -> Response:
    slots = jobs().streams
    if not slots.acquire(blocking=False):
        raise ServiceUnavailable(
            "Too many streams are open; ask for application/json, or again later.", retry_after=5
        )
    reply = Response(_events(jobs(), id_), content_type=f"{_STREAM}; charset=utf-8")
    reply.headers["Cache-Control"] = "no-store"
    reply.headers["X-Accel-Buffering"] = "no"  # a proxy in front would hold the events back
    held = contextlib.ExitStack()
    held.callback(slots.release)
    reply.call_on_close(held.close)  # releases once, however often it is called
    return reply


def _events(jobs: Jobs, id_: str) -> Iterator[str]:
    for job in jobs.follow(id_):
        if job is None:
            yield ": still there\n\n"
        else:
            name = "progress" if job.state == "running" else "done"
            yield f"event: {name}\ndata: {json.dumps(_json(job), ensure_ascii=False)}\n\n"
