"""Feedback on answers through the JSON interface."""

from __future__ import annotations

import dataclasses
import logging
from datetime import UTC, datetime
from typing import Literal

from flask import Response, jsonify
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.types import ResponseDict
from pydantic import Field, RootModel

from qa.app.api import (
    BODY_PROBLEMS,
    GENERATION,
    GUARD_PROBLEMS,
    LONGEST_INTERPRETED,
    QUESTIONS,
    SECURITY,
    QuotedCitation,
    Request,
    live,
    problem_response,
)
from qa.app.evidence import MOST_QUOTES
from qa.app.problems import of_error
from qa.assistant import LONGEST_QUESTION
from qa.errors import FeedbackError
from qa.feedback import LONGEST_NOTE, Feedback, append
from qa.verify import Cited

logger = logging.getLogger(__name__)

feedback = APIBlueprint(
    "feedback", __name__, url_prefix="/api/v1", abp_responses=GUARD_PROBLEMS, abp_security=SECURITY
)


class FeedbackRequest(Request):
    """A verdict on an answer, with the quotes that were shown."""

    question: str = Field(min_length=1, max_length=LONGEST_QUESTION)
    interpreted: str = Field(min_length=1, max_length=LONGEST_INTERPRETED)
    citations: list[QuotedCitation] = Field(
        [], max_length=MOST_QUOTES, description="empty for a refusal"
    )
    generation: str = Field(pattern=GENERATION)
    verdict: Literal["good", "bad"]
    note: str = Field("", max_length=LONGEST_NOTE)


class FeedbackReply(RootModel[Feedback]):
    """The line that was kept."""


_RESPONSES: ResponseDict = {
    "201": FeedbackReply,
    **BODY_PROBLEMS,
    "503": problem_response("The feedback could not be kept; the detail says why."),
}


@feedback.post("/feedback", tags=[QUESTIONS], responses=_RESPONSES)
def keep(body: FeedbackRequest) -> Response | tuple[Response, int]:
    """Keep a verdict on an answer in a file on the machine of the server."""
    entry = Feedback(
        datetime.now(UTC).isoformat(timespec="seconds"),
        body.question,
        body.interpreted,
        bool(body.citations),
        tuple(Cited(**cited.model_dump()) for cited in body.citations),
        body.generation,
        body.verdict,
        body.note,
    )
    try:
        append(live().settings, entry)
    except FeedbackError as error:
        logger.error("%s: %s", error.path, error)
        return of_error(error)
    return jsonify(dataclasses.asdict(entry)), 201
