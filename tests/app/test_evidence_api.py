from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from flask import Flask
from flask.testing import FlaskClient

from fakes import FakeEncoder
from qa.app import create_app
from qa.assistant import Assistant, Live
from qa.config import Settings
from qa.verify import read_citations

GOLD = "Gold melts at 1,064 degrees."


@pytest.fixture
def app(indexed: Settings, tmp_path: Path) -> Flask:
    """The application over the small corpus, without the real model."""
    live = Live(replace(indexed, feedback=tmp_path / "feedback.jsonl"))
    live._assistant = Assistant.open(settings=live.settings, encoder=FakeEncoder())
    app = create_app(live)
    app.config["TESTING"] = True
    return app


@pytest.fixture
def generation(client: FlaskClient) -> str:
    return str(client.get("/api/v1/status").get_json()["generation"])


@pytest.fixture
def given(generation: str) -> dict[str, Any]:
    """A reply as the page sends it."""
    quote = {"uri": "notes.txt", "start": 31, "end": 59, "quote": GOLD, "sha256": None}
    return {
        "question": "At what temperature does gold melt?",
        "interpreted": "At what temperature does gold melt?",
        "confidence": 0.9,
        "generation": generation,
        "citations": [quote],
        "related": [],
    }


def export(client: FlaskClient, *answers: Any, format: str = "json", **more: Any) -> Any:
    body = {"answers": list(answers), "format": format, **more}
    return client.post("/api/v1/evidence", json=body)


def test_what_the_server_replied_is_exported(client: FlaskClient) -> None:
    question = "At what temperature does gold melt?"
    reply = client.post("/api/v1/answer", json={"question": question}).get_json()
    citations = reply["citations"]
    assert citations[0]["quote"].startswith("Gold melts")
    entry = {name: reply[name] for name in ("question", "interpreted", "confidence", "generation")}
    entry["citations"] = [
        {name: citation[name] for name in ("uri", "start", "end", "quote", "sha256")}
        for citation in citations
    ]
    (found,) = export(client, entry).get_json()["answers"]
    assert found["answered"] is True
    for quote, citation in zip(found["citations"], citations, strict=True):
        assert quote["state"] == "valid"
        kept = {name: citation[name] for name in citation if name not in ("number", "link", "also")}
        assert quote.items() >= kept.items()


@pytest.mark.parametrize(
    ("form", "media", "suffix"),
    [
        ("markdown", "text/markdown; charset=utf-8", "md"),
        ("json", "application/json", "json"),
        ("html", "text/html; charset=utf-8", "html"),
    ],
)
def test_a_pack_is_a_file(
    client: FlaskClient, given: dict[str, Any], form: str, media: str, suffix: str
) -> None:
    reply = export(client, given, format=form)
    assert (reply.status_code, reply.content_type) == (200, media)
    name = reply.headers["Content-Disposition"]
    assert name.startswith("attachment; filename=qa-at-what-temperature-does-gold-melt-20")
    assert name.endswith(f".{suffix}")
    assert reply.headers["X-Content-Type-Options"] == "nosniff"
    text = reply.get_data(as_text=True)
    assert "Gold melts at 1,064 degrees." in text
    assert "valid" in text


def test_what_the_client_says_is_not_believed(
    client: FlaskClient, given: dict[str, Any], app: Flask
) -> None:
    corpus = app.extensions["qa"].settings.corpus
    false = {**given["citations"][0], "quote": "Gold melts at 99 degrees."}
    outside = {**given["citations"][0], "uri": "../feedback.jsonl"}
    given["citations"] += [false, outside]
    found = export(client, given).get_json()["answers"][0]["citations"]
    assert [quote["state"] for quote in found] == ["valid", "changed", "missing"]
    shutil.move(corpus / "notes.txt", corpus / "renamed.txt")
    found = export(client, given).get_json()["answers"][0]["citations"]
    assert [quote["state"] for quote in found] == ["missing", "missing", "missing"]


def test_a_refusal_is_exported_with_what_is_near(
    client: FlaskClient, given: dict[str, Any]
) -> None:
    place = {"uri": "notes.txt", "start": 0, "end": 30}
    refusal = {**given, "citations": [], "related": [place], "sources": ["notes.txt"]}
    body = export(client, given, refusal)
    assert "qa-thread-20" in body.headers["Content-Disposition"]
    first, second = body.get_json()["answers"]
    assert (first["searched"]["count"], second["searched"]["count"]) == (3, 1)
    assert (second["answered"], second["related"][0]["quote"]) == (
        False,
        "Copper melts at 1,085 degrees.",
    )
    text = json.dumps(body.get_json())
    assert [cited.quote for cited in read_citations("pack", text)] == [GOLD]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"title": "Mine"}, "answers.0.title"),
        ({"question": ""}, "answers.0.question"),
        ({"question": "\ud800"}, "answers.0.question"),
        ({"confidence": 2}, "answers.0.confidence"),
        ({"generation": "../x"}, "answers.0.generation"),
        ({"sources": ["gone.txt"]}, "sources"),
        ({"after": "May"}, "answers.0.after"),
        ({"citations": [{"uri": "a"}]}, "answers.0.citations.0.start"),
        ({"citations": [{"uri": "a", "state": "valid"}]}, "answers.0.citations.0.state"),
    ],
)
def test_a_bad_field_is_named(
    client: FlaskClient, given: dict[str, Any], changes: dict[str, Any], field: str
) -> None:
    reply = export(client, {**given, **changes})
    assert reply.status_code == 422
    assert field in [entry["field"] for entry in reply.get_json()["errors"]]


def test_what_is_asked_for_is_named(client: FlaskClient, given: dict[str, Any]) -> None:
    assert export(client).get_json()["errors"][0]["field"] == "answers"
    assert export(client, given, format="pdf").get_json()["errors"][0]["field"] == "format"
    assert export(client, *[given] * 201).get_json()["errors"][0]["field"] == "answers"


# feedback


def say(client: FlaskClient, given: dict[str, Any], headers: Any = None, **more: Any) -> Any:
    names = ("question", "interpreted", "generation", "citations")
    body = {**{name: given[name] for name in names}, "verdict": "good", **more}
    return client.post("/api/v1/feedback", json=body, headers=headers)


def lines(app: Flask) -> list[Any]:
    path: Path = app.extensions["qa"].settings.feedback
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_feedback_is_kept(client: FlaskClient, app: Flask, given: dict[str, Any]) -> None:
    reply = say(client, given, note="Exactly.")
    assert reply.status_code == 201
    assert say(client, {**given, "citations": []}, verdict="bad").status_code == 201
    first, second = lines(app)
    assert first == reply.get_json()
    assert (
        first.items()
        >= {
            "question": given["question"],
            "answered": True,
            "citations": given["citations"],
            "generation": given["generation"],
            "verdict": "good",
            "note": "Exactly.",
        }.items()
    )
    assert (second["answered"], second["verdict"], second["note"]) == (False, "bad", "")


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"verdict": "meh"}, "verdict"),
        ({"note": "x" * 2001}, "note"),
        ({"note": None}, "note"),
        ({"stars": 5}, "stars"),
        ({"generation": ""}, "generation"),
        ({"citations": [{"uri": "a"}] * 21}, "citations"),
    ],
)
def test_bad_feedback_is_named_and_not_kept(
    client: FlaskClient, app: Flask, given: dict[str, Any], more: dict[str, Any], field: str
) -> None:
    reply = say(client, given, **more)
    assert reply.status_code == 422
    assert field in [entry["field"] for entry in reply.get_json()["errors"]]
    assert not app.extensions["qa"].settings.feedback.exists()


def test_feedback_is_limited_in_size(client: FlaskClient, given: dict[str, Any]) -> None:
    given["citations"][0]["quote"] = "x" * 300_000
    assert say(client, given).status_code == 413


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 201),
        ({"Origin": "http://localhost"}, 201),
        ({"Origin": "https://evil.example"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
    ],
)
def test_a_foreign_page_says_nothing(
    client: FlaskClient, app: Flask, given: dict[str, Any], headers: Any, status: int
) -> None:
    assert say(client, given, headers).status_code == status
    assert app.extensions["qa"].settings.feedback.exists() is (status == 201)


@pytest.mark.parametrize(
    ("place", "detail"),
    [
        ("file/feedback.jsonl", "The feedback file feedback.jsonl cannot be written: "),
        ("corpus/feedback.jsonl", "The feedback file feedback.jsonl lies inside the corpus, "),
    ],
)
def test_feedback_that_cannot_be_kept_is_a_problem(
    app: Flask, given: dict[str, Any], tmp_path: Path, place: str, detail: str
) -> None:
    (tmp_path / "file").touch()
    live = app.extensions["qa"]
    live.settings = replace(live.settings, feedback=tmp_path / place)
    reply = say(app.test_client(), given)
    assert (reply.status_code, reply.content_type) == (503, "application/problem+json")
    problem = reply.get_json()
    assert problem["type"] == "urn:qa:problem:feedback-not-kept"
    assert problem["detail"].startswith(detail)
    assert str(tmp_path) not in problem["detail"]


def test_the_replies_are_what_the_schema_says(client: FlaskClient, given: dict[str, Any]) -> None:
    spec = client.get("/api/v1/openapi.json").get_json()
    published = spec["paths"]["/api/v1/feedback"]["post"]["responses"]
    for reply in (say(client, given), say(client, given, {"Origin": "null"})):
        (media,) = published[str(reply.status_code)]["content"].values()
        schema = {**media["schema"], "components": spec["components"]}
        jsonschema.validate(reply.get_json(), schema)
    content = spec["paths"]["/api/v1/evidence"]["post"]["responses"]["200"]["content"]
    assert set(content) == {"text/markdown", "application/json", "text/html"}
