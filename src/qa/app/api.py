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
from qa.types import Answer, Document, Order, SkippedSource, SourceInfo
from qa.verify import CheckedCitation, Cited, verify

MOST_CITATIONS = 100
DAY = r"^\d{4}-\d{2}-\d{2}$"
GENERATION = r"^[\w-]{1,100}$"
#: A follow-up question is longer when it stands alone.
LONGEST_INTERPRETED = 2 * LONGEST_QUESTION


class Request(BaseModel):
    """A body in which an unknown field is refused."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Turn(Request):
    """An earlier turn of the conversation."""

    question: str = Field(min_length=1, max_length=LONGEST_QUESTION)


class AnswerRequest(Request):
    """A question with its options."""

    question: str = Field(min_length=1, max_length=LONGEST_QUESTION)
    limit: int = Field(5, ge=1, le=MOST_PASSAGES, description="passages to return")
    sources: list[str] | None = Field(None, min_length=1, description="uris: only these")
    after: str | None = Field(None, pattern=DAY, description="only sources of that day or later")
    before: str | None = Field(None, pattern=DAY, description="only those of that day or earlier")
    sort: Order = Field("relevance", description="order of the passages: best or newest first")
    history: list[Turn] = Field(
        [],
        max_length=MOST_TURNS,
        description="earlier turns, oldest first, by which a follow-up question is understood",
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


class QuotedCitation(Request):
    """A quote and where it is said to stand."""

    uri: str = Field(min_length=1)
    start: int = Field(ge=0, description="0-based, in code points of the source's text")
    end: int = Field(ge=0, description="exclusive")
    quote: str = Field(min_length=1)
    sha256: str | None = Field(None, description="of the file that was cited, to find it renamed")


class VerifyRequest(Request):
    """Citations to check against the files as they are now."""

    citations: list[QuotedCitation] = Field(min_length=1, max_length=MOST_CITATIONS)


class VerifyReply(BaseModel):
    """What became of each citation, in the order of the request."""

    citations: list[CheckedCitation]
    generation: str


class Health(BaseModel):
    """Whether the process runs, or can answer."""

    status: str


def problem_response(description: str) -> dict[str, Any]:
    """Describe a problem document for the schema."""
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        "description": description,
        "content": {"application/problem+json": {"schema": schema}},
    }


_NO_INDEX = problem_response("No usable index; the detail names the command that makes one.")
_INVALID = problem_response("A field does not fit; the detail names it.")
_UNKNOWN = problem_response("No such source.")
BODY_PROBLEMS: ResponseDict = {
    "400": problem_response("The body is not a JSON object."),
    "413": problem_response("The body is too large."),
    "415": problem_response("The content type is not application/json."),
    "422": _INVALID,
}
_ASK_RESPONSES: ResponseDict = {"200": AnswerReply, **BODY_PROBLEMS, "503": _NO_INDEX}
_VERIFY_RESPONSES: ResponseDict = {
    "200": VerifyReply,
    **BODY_PROBLEMS,
    "503": problem_response("No usable index, or no corpus; the detail names what to do."),
}

QUESTIONS = Tag(name="questions", description="Ask, and get quoted answers.")
INDEX = Tag(name="index", description="What the answers are taken from.")
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


@api.post("/answer", tags=[QUESTIONS], responses=_ASK_RESPONSES)
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
                history=[turn.question for turn in body.history],
                sort=body.sort,
            )
        )
    except UnknownSource as error:
        return of_error(QuestionError("sources", str(error)))
    ANSWERS.labels("answered" if reply.answered else "refused").inc()
    LATENCY.observe(reply.took_ms / 1000)
    return jsonify(dataclasses.asdict(reply))


@api.get("/sources", tags=[INDEX], responses={"200": SourcesReply, "503": _NO_INDEX})
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
    tags=[INDEX],
    responses={"200": SourceReply, "404": _UNKNOWN, "422": _INVALID, "503": _NO_INDEX},
)
def source(path: SourcePath) -> Response:
    """Return the text of a source, with what is known about its spans."""
    return jsonify(dataclasses.asdict(live().assistant().store.document(path.uri)))


@api.get("/status", tags=[INDEX], responses={"200": StatusReply, "503": _NO_INDEX})
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


@api.post("/verify", tags=[QUESTIONS], responses=_VERIFY_RESPONSES)
def verify_citations(body: VerifyRequest) -> Response:
    """Say of each citation whether it is valid, moved, changed or missing in the files now."""
    generation = live().assistant().store.generation
    cited = [Cited(**entry.model_dump()) for entry in body.citations]
    checked = verify(live().settings, cited)
    return jsonify(
        citations=[dataclasses.asdict(entry) for entry in checked], generation=generation
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
