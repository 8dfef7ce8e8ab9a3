"""The JSON interface, version 1."""

from __future__ import annotations

import dataclasses
from typing import Any

from flask import Response, current_app, jsonify
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from flask_openapi3.types import ResponseDict
from prometheus_client import CONTENT_TYPE_LATEST, Counter, Histogram, generate_latest
from pydantic import BaseModel, ConfigDict, Field, RootModel

from qa.app.problems import of_error
from qa.assistant import LONGEST_QUESTION, MOST_PASSAGES, MOST_TURNS, Live
from qa.errors import QAError, QuestionError, UnknownSource
from qa.types import Answer, Document, SkippedSource, SourceInfo

_DAY = r"^\d{4}-\d{2}-\d{2}$"


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Turn(_Request):
    """An earlier turn of the conversation."""

    question: str = Field(min_length=1, max_length=LONGEST_QUESTION)


class AnswerRequest(_Request):
    """A question with its options."""

    question: str = Field(min_length=1, max_length=LONGEST_QUESTION)
    limit: int = Field(5, ge=1, le=MOST_PASSAGES, description="passages to return")
    sources: list[str] | None = Field(None, min_length=1, description="uris: only these")
    after: str | None = Field(None, pattern=_DAY, description="only sources of that day or later")
    before: str | None = Field(None, pattern=_DAY, description="only those of that day or earlier")
    history: list[Turn] = Field(
        [], max_length=MOST_TURNS, description="earlier turns, oldest first"
    )


class AnswerReply(RootModel[Answer]):
    """Quoted sentences with citations, or a refusal with the nearest passages."""


class SourcesReply(BaseModel):
    """What is in the index, and what could not be read."""

    generation: str
    sources: list[SourceInfo]
    skipped: list[SkippedSource]


class SourcePath(BaseModel):
    """The uri of a source."""

    uri: str


class SourceReply(RootModel[Document]):
    """A source as text, with what is known about its spans."""


class StatusReply(BaseModel):
    """The live generation."""

    generation: str
    created: str
    model: str
    dimension: int
    sources: int
    passages: int
    skipped: list[SkippedSource]
    threshold: float


class Health(BaseModel):
    """Whether the process runs, or can answer."""

    status: str


def _problem(description: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        "description": description,
        "content": {"application/problem+json": {"schema": schema}},
    }


_NO_INDEX = _problem("No usable index; the detail names the command that makes one.")
_INVALID = _problem("A field does not fit; the detail names it.")
_UNKNOWN = _problem("No such source.")
_ASK_RESPONSES: ResponseDict = {
    "200": AnswerReply,
    "400": _problem("The body is not a JSON object."),
    "413": _problem("The body is too large."),
    "415": _problem("The content type is not application/json."),
    "422": _INVALID,
    "503": _NO_INDEX,
}

_questions = Tag(name="questions", description="Ask, and get quoted answers.")
_index = Tag(name="index", description="What the answers are taken from.")
_operation = Tag(name="operation", description="For whoever runs the server.")

api = APIBlueprint("api", __name__, url_prefix="/api/v1")
operation = APIBlueprint("operation", __name__)

ANSWERS = Counter("qa_answers_total", "Questions replied to", ["outcome"])
LATENCY = Histogram(
    "qa_answer_seconds",
    "Time to reply to a question",
    buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
)


def live() -> Live:
    """Return what the application answers from."""
    found: Live = current_app.extensions["qa"]
    return found


@api.post("/answer", tags=[_questions], responses=_ASK_RESPONSES)
def answer(body: AnswerRequest) -> Response:
    """Answer a question with sentences quoted from the sources, or refuse."""
    try:
        reply = (
            live()
            .assistant()
            .ask(
                body.question,
                limit=body.limit,
                sources=body.sources,
                after=body.after,
                before=body.before,
            )
        )
    except UnknownSource as error:
        return of_error(QuestionError("sources", str(error)))
    ANSWERS.labels("answered" if reply.answered else "refused").inc()
    LATENCY.observe(reply.took_ms / 1000)
    return jsonify(dataclasses.asdict(reply))


@api.get("/sources", tags=[_index], responses={"200": SourcesReply, "503": _NO_INDEX})
def sources() -> Response:
    """List the sources, and the files that could not be read."""
    store = live().assistant().store
    return jsonify(
        generation=store.generation,
        sources=[dataclasses.asdict(source) for source in store.sources()],
        skipped=[dataclasses.asdict(entry) for entry in store.manifest.skipped],
    )


@api.get(
    "/sources/<path:uri>",
    tags=[_index],
    responses={"200": SourceReply, "404": _UNKNOWN, "422": _INVALID, "503": _NO_INDEX},
)
def source(path: SourcePath) -> Response:
    """Return the text of a source, with what is known about its spans."""
    return jsonify(dataclasses.asdict(live().assistant().store.document(path.uri)))


@api.get("/status", tags=[_index], responses={"200": StatusReply, "503": _NO_INDEX})
def status() -> Response:
    """Describe the live generation."""
    assistant = live().assistant()
    manifest = assistant.store.manifest
    return jsonify(
        generation=assistant.store.generation,
        created=manifest.created,
        model=manifest.model,
        dimension=manifest.dimension,
        sources=manifest.counts["sources"],
        passages=manifest.counts["passages"],
        skipped=[dataclasses.asdict(entry) for entry in manifest.skipped],
        threshold=assistant.threshold,
    )


@operation.get("/healthz", tags=[_operation], responses={"200": Health})
def healthz() -> Response:
    """Say that the process runs."""
    return jsonify(status="ok")


@operation.get("/readyz", tags=[_operation], responses={"200": Health, "503": _NO_INDEX})
def readyz() -> Response:
    """Say whether questions can be answered."""
    try:
        live().assistant()
    except QAError as error:
        return of_error(error)
    return jsonify(status="ready")


@operation.get(
    "/metrics",
    tags=[_operation],
    responses={"200": {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
def metrics() -> Response:
    """Report counters in the text format of Prometheus."""
    return Response(generate_latest(), content_type=CONTENT_TYPE_LATEST)
