"""The JSON interface, version 1."""

from __future__ import annotations

import contextlib
import dataclasses
from datetime import UTC, datetime
from typing import Annotated, Any

from flask import Response, current_app, g, jsonify
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from flask_openapi3.types import ResponseDict
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel, ConfigDict, Field, RootModel

from qa.app.cited import cited_places
from qa.app.metrics import ANSWERS, FALLBACK, INDEX_AGE, LATENCY, QUEUE
from qa.app.problems import advice, of_error
from qa.app.queue import abandoned, queue
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
    """A body in which an unknown field is refused.

    Every text of it needs a limit of some kind: without one, pydantic lets half of a surrogate pair
    through, which can be neither kept nor sent.
    """

    model_config = ConfigDict(extra="forbid", strict=True)


#: The uri of a source, whether there is one of that name or not.
Uri = Annotated[str, Field(min_length=1)]


class Turn(Request):
    """An earlier turn of the conversation."""

    question: str = Field(min_length=1, max_length=LONGEST_QUESTION)


class AnswerRequest(Request):
    """A question with its options."""

    question: str = Field(min_length=1, max_length=LONGEST_QUESTION)
    limit: int = Field(5, ge=1, le=MOST_PASSAGES, description="passages to return")
    sources: list[Uri] | None = Field(None, min_length=1, description="uris: only these")
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
    fallback: str | None = Field(
        description="where an earlier generation stands in for one that cannot be used: why, and "
        "what to do"
    )


class QuotedCitation(Request):
    """A quote and where it is said to stand."""

    uri: Uri
    start: int = Field(ge=0, description="0-based, in code points of the source's text")
    end: int = Field(ge=0, description="exclusive")
    quote: str = Field(min_length=1)
    sha256: str | None = Field(
        None, max_length=64, description="of the file that was cited, to find it renamed"
    )


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


_NO_INDEX = problem_response("No usable index, or it took too long; the detail says what to do.")
_INVALID = problem_response("A field does not fit; the detail names it.")
_UNKNOWN = problem_response("No such source.")
BODY_PROBLEMS: ResponseDict = {
    "400": problem_response("The body is not a JSON object."),
    "413": problem_response("The body is too large."),
    "415": problem_response("The content type is not application/json."),
    "422": _INVALID,
}
GUARD_PROBLEMS: ResponseDict = {
    "401": problem_response("The token is missing or wrong."),
    "403": problem_response("The request comes from a page of another site."),
    "421": problem_response("The server is not called by that name."),
    "429": problem_response("Too many requests; Retry-After says when to come again."),
}
_ASK_RESPONSES: ResponseDict = {"200": AnswerReply, **BODY_PROBLEMS, "503": _NO_INDEX}
_VERIFY_RESPONSES: ResponseDict = {
    "200": VerifyReply,
    **BODY_PROBLEMS,
    "503": problem_response("No usable index, no corpus, or it took too long."),
}

QUESTIONS = Tag(name="questions", description="Ask, and get quoted answers.")
INDEX = Tag(name="index", description="What the answers are taken from.")
_operation = Tag(name="operation", description="For whoever runs the server.")

#: With the token, or without where the server has none.
SECURITY: list[dict[str, list[str]]] = [{}, {"token": []}]

api = APIBlueprint(
    "api", __name__, url_prefix="/api/v1", abp_responses=GUARD_PROBLEMS, abp_security=SECURITY
)
operation = APIBlueprint("operation", __name__, abp_responses=GUARD_PROBLEMS)


def live() -> Live:
    """Return what the application answers from."""
    found: Live = current_app.extensions["qa"]
    return found


def fallback() -> str | None:
    """Say why an earlier generation answers, and what to do; None while the live one does."""
    trouble = live().trouble
    return advice(trouble) if trouble else None


@api.post("/answer", tags=[QUESTIONS], responses=_ASK_RESPONSES)
def answer(body: AnswerRequest) -> Response:
    """Answer a question with sentences quoted from the sources, or refuse."""
    check_limits(body.question, body.limit, len(body.history))
    answering = live()
    try:
        reply = queue().run(
            lambda: answering.assistant().ask(
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
    note(body.question, reply)
    return jsonify(dataclasses.asdict(reply))


def note(question: str, reply: Answer) -> None:
    """Count an answer, and tell the log of it."""
    ANSWERS.labels("answered" if reply.answered else "refused").inc()
    LATENCY.observe(reply.took_ms / 1000)
    cited_places().note(reply)
    g.facts = {"answered": reply.answered, "generation": reply.generation}
    if live().settings.log_questions:
        g.facts["question"] = question


def check_limits(question: str, limit: int = 0, turns: int = 0) -> None:
    """Refuse what fits the schema, but not the settings of this server."""
    settings = live().settings
    for field, asked, most in (
        ("question", len(question), settings.max_question),
        ("limit", limit, settings.max_passages),
        ("history", turns, settings.max_history),
    ):
        if asked > most:
            raise QuestionError(field, f"{asked} is more than the {most} that this server takes")


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
        fallback=fallback(),
    )


@api.post("/verify", tags=[QUESTIONS], responses=_VERIFY_RESPONSES)
def verify_citations(body: VerifyRequest) -> Response:
    """Say of each citation whether it is valid, moved, changed or missing in the files now."""
    generation = live().assistant().store.generation
    cited = [Cited(**entry.model_dump()) for entry in body.citations]
    settings = live().settings
    checked = queue().run(lambda: verify(settings, cited, abandoned))
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
    for state, count in zip(("running", "waiting"), queue().state(), strict=True):
        QUEUE.labels(state).set(count)
    FALLBACK.set(live().trouble is not None)
    with contextlib.suppress(QAError):
        created = datetime.fromisoformat(live().assistant().store.manifest.created)
        age = (datetime.now(UTC) - created).total_seconds()
        INDEX_AGE.set(max(0.0, age))  # the clock may have been set back
    return Response(generate_latest(), content_type=CONTENT_TYPE_LATEST)
