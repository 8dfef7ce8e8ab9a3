"""Requests made up from our own openapi.json: no fault, and no reply that is not in the schema.

SCHEMA_EXAMPLES sets how many for each operation and each of two ways: requests that fit the schema
and requests that do not.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import hypothesis
import pytest

from fakes import FakeEncoder
from qa.app import create_app
from qa.app.jobs import Jobs
from qa.assistant import Live
from qa.config import Settings

schemathesis = pytest.importorskip("schemathesis")

EXAMPLES = int(os.environ.get("SCHEMA_EXAMPLES", "10"))
schemathesis.checks.load_all_checks()
CHECKS = schemathesis.checks.CHECKS.get_by_names(
    [
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_headers_conformance",
        "response_schema_conformance",
    ]
)
OPERATIONS = [
    "DELETE /api/v1/index/jobs/{id}",
    "DELETE /api/v1/uploads/{name}",
    "GET /api/v1/index/jobs",
    "GET /api/v1/index/jobs/{id}",
    "GET /api/v1/sources",
    "GET /api/v1/sources/{uri}",
    "GET /api/v1/status",
    "GET /healthz",
    "GET /metrics",
    "GET /readyz",
    "POST /api/v1/answer",
    "POST /api/v1/evidence",
    "POST /api/v1/feedback",
    "POST /api/v1/index",
    "POST /api/v1/verify",
    "PUT /api/v1/uploads/{name}",
]


@pytest.fixture(scope="module")
def operations(
    small: Settings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Any]]:
    """The operations of an application over the small corpus, whose builds fail at once."""
    root = tmp_path_factory.mktemp("schema")
    shutil.copytree(small.index, root / "index")
    shutil.copytree(small.corpus, root / "corpus")
    settings = replace(
        small,
        index=root / "index",
        corpus=root / "corpus",
        feedback=root / "feedback.jsonl",
        rate_per_minute=0,
    )
    encoder = FakeEncoder()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("qa.assistant.open_encoder", lambda found: encoder)
        app = create_app(Live(settings), Jobs(settings, ["no-such-command"]))
        schema = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", app)
        found = [entry.ok() for entry in schema.get_all_operations()]
        yield {operation.label: operation for operation in found}


@pytest.mark.parametrize(
    ("label", "fits"),
    # only a body has a way not to fit
    [
        *((label, True) for label in OPERATIONS),
        *((label, False) for label in OPERATIONS if label.startswith("POST")),
    ],
)
def test_every_reply_is_what_the_schema_says(
    operations: dict[str, Any], label: str, fits: bool
) -> None:
    modes = schemathesis.GenerationMode
    strategy = operations[label].as_strategy(
        generation_mode=modes.POSITIVE if fits else modes.NEGATIVE
    )

    @hypothesis.settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(case=strategy, known=hypothesis.strategies.booleans())
    def check(case: Any, known: bool) -> None:
        if known and case.path_parameters:  # what exists no generator would guess
            case.path_parameters = dict.fromkeys(case.path_parameters, "notes.txt")
        reply = case.call()
        assert reply.status_code < 500
        case.validate_response(reply, checks=CHECKS)

    check()


def test_every_operation_is_asked(operations: dict[str, Any]) -> None:
    assert sorted(operations) == OPERATIONS
