"""Evidence packs through the JSON interface."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.types import ResponseDict
from pydantic import Field

from qa.app.api import (
    BODY_PROBLEMS,
    DAY,
    GENERATION,
    GUARD_PROBLEMS,
    LONGEST_INTERPRETED,
    QUESTIONS,
    SECURITY,
    QuotedCitation,
    Request,
    Uri,
    live,
    problem_response,
)
from qa.app.problems import of_error
from qa.app.queue import abandoned, queue
from qa.assistant import LONGEST_QUESTION, MOST_PASSAGES
from qa.errors import QuestionError, UnknownSource
from qa.evidence import FORMATS, Asked, collect, file_name
from qa.types import Location
from qa.verify import Cited

#: Answers of a thread, and quotes of an answer.
MOST_ANSWERS = 200
MOST_QUOTES = 20

evidence = APIBlueprint(
    "evidence", __name__, url_prefix="/api/v1", abp_responses=GUARD_PROBLEMS, abp_security=SECURITY
)


class Place(Request):
    """A span of a source in the generation that replied."""

    uri: Uri
    start: int = Field(ge=0, description="0-based, in code points of the source's text")
    end: int = Field(ge=0, description="exclusive")


class GivenAnswer(Request):
    """A reply as it was given; titles, dates and states are not taken from it."""

    question: str = Field(min_length=1, max_length=LONGEST_QUESTION)
    interpreted: str = Field(min_length=1, max_length=LONGEST_INTERPRETED)
    confidence: float = Field(ge=0, le=1)
    generation: str = Field(pattern=GENERATION)
    citations: list[QuotedCitation] = Field(
        [], max_length=MOST_QUOTES, description="empty for a refusal"
    )
    related: list[Place] = Field(
        [], max_length=MOST_PASSAGES, description="passages shown beside a refusal"
    )
    sources: list[Uri] | None = Field(None, min_length=1, description="asked of these only")
    after: str | None = Field(None, pattern=DAY, description="asked of that day or later")
    before: str | None = Field(None, pattern=DAY, description="asked of that day or earlier")


class EvidenceRequest(Request):
    """Answers to export, one or a thread."""

    answers: list[GivenAnswer] = Field(min_length=1, max_length=MOST_ANSWERS)
    format: Literal["markdown", "json", "html"]


def _content() -> dict[str, Any]:
    return {
        media.partition(";")[0]: {"schema": {"type": "object" if name == "json" else "string"}}
        for name, (_, _, media) in FORMATS.items()
    }


_RESPONSES: ResponseDict = {
    "200": {
        "description": "The pack, as a file: every quote with the state that verification gave it "
        "(valid, moved, changed or missing), and with what the live index knows of it.",
        "content": _content(),
    },
    **BODY_PROBLEMS,
    "503": problem_response("No usable index, no corpus, or it took too long."),
}


@evidence.post("/evidence", tags=[QUESTIONS], responses=_RESPONSES)
def export(body: EvidenceRequest) -> Response:
    """Export answers as a file, every quote checked against the files as they are now."""
    replies = [_asked(entry) for entry in body.answers]
    answering = live()
    try:
        pack = queue().run(
            lambda: collect(
                answering.assistant(), answering.settings, replies, datetime.now(UTC), abandoned
            )
        )
    except UnknownSource as error:
        return of_error(QuestionError("sources", str(error)))
    write, suffix, media = FORMATS[body.format]
    reply = Response(write(pack), content_type=media)
    reply.headers.set("Content-Disposition", "attachment", filename=file_name(pack, suffix))
    return reply


def _asked(entry: GivenAnswer) -> Asked:
    return Asked(
        entry.question,
        entry.interpreted,
        entry.confidence,
        entry.generation,
        tuple(Cited(**cited.model_dump()) for cited in entry.citations),
        tuple(Location(**place.model_dump()) for place in entry.related),
        None if entry.sources is None else tuple(entry.sources),
        entry.after,
        entry.before,
    )
