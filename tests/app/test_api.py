from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from flask.testing import FlaskClient

from fakes import ARTICLE
from qa.app import create_app
from qa.assistant import Live
from qa.config import Settings

SANCTIONS = "How large did the US Treasury estimate targeted sanctions to be by mid-2024?"
TEXT = ARTICLE.read_bytes().decode()


def ask(client: FlaskClient, **body: Any) -> Any:
    return client.post("/api/v1/answer", json=body)


def schema(client: FlaskClient, path: str, method: str, status: str) -> dict[str, Any]:
    """Return the schema of a reply as the application itself publishes it."""
    spec = client.get("/api/v1/openapi.json").get_json()
    content = spec["paths"][path][method]["responses"][status]["content"]
    (media,) = content.values()
    return {**media["schema"], "components": spec["components"]}


def test_an_answer_is_the_text_at_its_offsets(client: FlaskClient) -> None:
    reply = ask(client, question=SANCTIONS).get_json()
    quote = (
        "The US Treasury estimated over $330 billion in targeted sanctions by mid-2024, "
        "restricting access to SWIFT, freezing assets, and banning key sectors like energy "
        "and finance."
    )
    start = TEXT.index(quote)
    assert reply["answered"] is True
    assert reply["answer"] == [{"text": quote, "plain": quote, "citation": 1}]
    (citation,) = reply["citations"]
    assert {name: citation[name] for name in ("uri", "start", "end", "quote", "line")} == {
        "uri": "russia-us-relations-2025.txt",
        "start": start,
        "end": start + len(quote),
        "quote": quote,
        "line": 8,
    }
    assert citation["section"] == ["Sanctions, Diplomacy, and Strategic Competition"]
    assert citation["title"] == "Russia-United States Relations: Current Dynamics in 2025"
    assert citation["link"] == (
        f"/sources/russia-us-relations-2025.txt?start={start}&end={start + len(quote)}"
    )
    assert reply["question"] == reply["interpreted"] == SANCTIONS


def test_a_question_off_the_topic_is_refused_with_the_nearest_passages(
    client: FlaskClient,
) -> None:
    reply = ask(client, question="Who won the 2018 World Cup?", limit=2).get_json()
    assert (reply["answered"], reply["answer"], reply["citations"]) == (False, [], [])
    assert len(reply["passages"]) == 2
    for passage in reply["passages"]:
        assert TEXT[passage["start"] : passage["end"]] == passage["text"]


def test_highlights_are_the_words_of_the_question(client: FlaskClient) -> None:
    reply = ask(client, question="Treasury sanctions", limit=1).get_json()
    (passage,) = reply["passages"]
    words = {passage["text"][start:end] for start, end in passage["highlights"]}
    assert words == {"Treasury", "sanctions", "Sanctions"}


def test_the_same_question_gives_the_same_bytes(client: FlaskClient) -> None:
    replies = [ask(client, question=SANCTIONS).get_json() for _ in range(2)]
    for reply in replies:
        del reply["took_ms"]
    assert replies[0] == replies[1]


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        pytest.param({"question": ""}, 422, "question", id="empty"),
        pytest.param({"question": "  \n"}, 422, "question", id="blank"),
        pytest.param({"question": "x" * 2001}, 422, "question", id="2001 characters"),
        pytest.param({"question": "\ud800"}, 422, "question", id="half a surrogate pair"),
        pytest.param({}, 422, "question", id="missing"),
        pytest.param({"question": 5}, 422, "question", id="a number"),
        pytest.param({"question": "x", "limit": 0}, 422, "limit", id="limit 0"),
        pytest.param({"question": "x", "limit": 51}, 422, "limit", id="limit 51"),
        pytest.param({"question": "x", "limit": "5"}, 422, "limit", id="limit as text"),
        pytest.param({"question": "x", "colour": 1}, 422, "colour", id="unknown field"),
        pytest.param({"question": "x", "sources": ["no.txt"]}, 422, "sources", id="no source"),
        pytest.param({"question": "x", "sources": []}, 422, "sources", id="no sources"),
        pytest.param({"question": "x", "after": "May 2024"}, 422, "after", id="not a day"),
        pytest.param({"question": "x", "before": "2024-02-30"}, 422, "before", id="no such day"),
        pytest.param(
            {"question": "x", "history": [{"question": "a"}] * 21}, 422, "history", id="21 turns"
        ),
        pytest.param({"question": "x", "history": ["a"]}, 422, "history.0", id="turn is text"),
    ],
)
def test_a_bad_field_is_named(
    client: FlaskClient, body: dict[str, Any], status: int, field: str
) -> None:
    reply = ask(client, **body)
    assert reply.status_code == status
    assert reply.content_type == "application/problem+json"
    problem = reply.get_json()
    assert [entry["field"] for entry in problem["errors"]] == [field]
    assert field in problem["detail"]


@pytest.mark.parametrize(
    ("data", "content_type", "status", "kind"),
    [
        pytest.param(b"{}", "text/plain", 415, "unsupported-media-type", id="text/plain"),
        pytest.param(b"{}", None, 415, "unsupported-media-type", id="no content type"),
        pytest.param(b"{", "application/json", 400, "invalid-json", id="broken JSON"),
        pytest.param(b"[1]", "application/json", 400, "invalid-json", id="an array"),
        pytest.param(b'"{}"', "application/json", 400, "invalid-json", id="JSON in a text"),
        pytest.param(b"\xff", "application/json", 400, "invalid-json", id="not UTF-8"),
        pytest.param(b"[" * 99999, "application/json", 400, "invalid-json", id="deep nesting"),
        pytest.param(
            b"x" * 300_000, "application/json", 413, "request-entity-too-large", id="too large"
        ),
    ],
)
def test_a_bad_body_is_refused_before_it_is_read(
    client: FlaskClient, data: bytes, content_type: str | None, status: int, kind: str
) -> None:
    reply = client.post("/api/v1/answer", data=data, content_type=content_type)
    assert reply.status_code == status
    assert reply.content_type == "application/problem+json"
    assert reply.get_json()["type"] == f"urn:qa:problem:{kind}"


def test_only_the_named_source_is_searched(client: FlaskClient) -> None:
    reply = ask(client, question=SANCTIONS, sources=["russia-us-relations-2025.txt"])
    assert reply.get_json()["answered"] is True


def test_a_source_without_a_date_is_outside_every_range(client: FlaskClient) -> None:
    reply = ask(client, question=SANCTIONS, after="2000-01-01").get_json()
    assert (reply["answered"], reply["passages"]) == (False, [])


def test_without_an_index_the_command_is_named(empty_client: FlaskClient) -> None:
    for reply in (ask(empty_client, question="x"), empty_client.get("/readyz")):
        assert reply.status_code == 503
        assert "qa index" in reply.get_json()["detail"]
    assert empty_client.get("/healthz").get_json() == {"status": "ok"}


@pytest.mark.parametrize(
    ("path", "url"),
    [
        ("/api/v1/sources", "/api/v1/sources"),
        ("/api/v1/sources/{uri}", "/api/v1/sources/russia-us-relations-2025.txt"),
        ("/api/v1/status", "/api/v1/status"),
        ("/healthz", "/healthz"),
        ("/readyz", "/readyz"),
    ],
)
def test_a_reply_is_what_the_schema_says(client: FlaskClient, path: str, url: str) -> None:
    reply = client.get(url)
    assert reply.status_code == 200
    jsonschema.validate(reply.get_json(), schema(client, path, "get", "200"))


def test_an_answer_and_a_problem_are_what_the_schema_says(client: FlaskClient) -> None:
    for question in (SANCTIONS, "Who won the 2018 World Cup?"):
        reply = ask(client, question=question).get_json()
        found = schema(client, "/api/v1/answer", "post", "200")
        jsonschema.validate(reply, found)
        names = found["components"]["schemas"]["Answer"]["properties"]
        assert list(reply) == list(names)
    problem = ask(client, question="").get_json()
    jsonschema.validate(problem, schema(client, "/api/v1/answer", "post", "422"))


def test_the_sources_are_listed_and_read(client: FlaskClient) -> None:
    (source,) = client.get("/api/v1/sources").get_json()["sources"]
    assert (source["uri"], source["passages"]) == ("russia-us-relations-2025.txt", 6)
    document = client.get(f"/api/v1/sources/{source['uri']}").get_json()
    assert document["text"] == TEXT
    labels = [mark["label"] for mark in document["marks"] if mark["kind"] == "heading"]
    assert labels[2] == "Historical Context and Modern Tensions"


@pytest.mark.parametrize(
    "uri", ["no.txt", "../pyproject.toml", "%2e%2e/pyproject.toml", "/etc/passwd", "a\x00b"]
)
def test_a_source_is_looked_up_and_never_a_path(client: FlaskClient, uri: str) -> None:
    reply = client.get(f"/api/v1/sources/{uri}")
    assert reply.status_code in (404, 308)
    if reply.status_code == 404:
        assert reply.content_type == "application/problem+json"


def test_an_unknown_address_and_method_are_problems_too(client: FlaskClient) -> None:
    for missing in (client.get("/api/v1/nothing"), client.post("/api/v1/nothing")):
        assert (missing.status_code, missing.content_type) == (404, "application/problem+json")
    wrong = client.get("/api/v1/answer")
    assert wrong.status_code == 405
    assert set(wrong.headers["Allow"].split(", ")) == {"POST", "OPTIONS"}


def test_the_description_says_where_the_token_is_taken(client: FlaskClient) -> None:
    paths = client.get("/api/v1/openapi.json").get_json()["paths"]
    operations = [
        (path, method, operation.get("security"))
        for path, methods in paths.items()
        if path.startswith("/api/")
        for method, operation in methods.items()
    ]
    assert len(operations) > 10
    assert [found for found in operations if found[2] != [{}, {"token": []}]] == []


def test_answers_and_refusals_are_counted(client: FlaskClient) -> None:
    def count(outcome: str) -> float:
        text = client.get("/metrics").get_data(as_text=True)
        line = f'qa_answers_total{{outcome="{outcome}"}} '
        values = [row for row in text.splitlines() if row.startswith(line)]
        return float(values[0].removeprefix(line)) if values else 0.0

    before = count("answered"), count("refused")
    ask(client, question=SANCTIONS)
    ask(client, question="Who won the 2018 World Cup?")
    assert (count("answered"), count("refused")) == (before[0] + 1, before[1] + 1)


def test_an_error_of_ours_tells_no_path(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("/home/somebody/secret")

    monkeypatch.setattr("qa.assistant.retrieve", fail)
    client.application.testing = False
    reply = ask(client, question="x")
    assert reply.status_code == 500
    assert "secret" not in reply.get_data(as_text=True)
    assert reply.content_type == "application/problem+json"


# verify


def verified(client: FlaskClient, *citations: Any) -> Any:
    return client.post("/api/v1/verify", json={"citations": list(citations)})


def test_citations_are_verified(client: FlaskClient) -> None:
    (citation,) = ask(client, question=SANCTIONS).get_json()["citations"]
    cited = {name: citation[name] for name in ("uri", "start", "end", "quote", "sha256")}
    shifted = {**cited, "start": cited["start"] - 3, "end": cited["end"] - 3}
    altered = {**cited, "quote": cited["quote"].replace("330", "331")}
    outside = {**cited, "uri": "../pyproject.toml", "sha256": None}
    reply = verified(client, cited, shifted, altered, outside)
    assert reply.status_code == 200
    assert reply.get_json() == {
        "citations": [
            {**where(cited), "state": "valid", "moved_to": None},
            {**where(shifted), "state": "moved", "moved_to": where(cited)},
            {**where(altered), "state": "changed", "moved_to": None},
            {**where(outside), "state": "missing", "moved_to": None},
        ],
        "generation": client.get("/api/v1/status").get_json()["generation"],
    }
    jsonschema.validate(reply.get_json(), schema(client, "/api/v1/verify", "post", "200"))


def where(cited: dict[str, Any]) -> dict[str, Any]:
    return {name: cited[name] for name in ("uri", "start", "end")}


CITED = {"uri": "a.txt", "start": 0, "end": 1, "quote": "x"}


@pytest.mark.parametrize(
    ("citations", "field"),
    [
        ([], "citations"),
        ([CITED] * 101, "citations"),
        ([{**CITED, "start": -1}], "citations.0.start"),
        ([CITED, {**CITED, "end": "1"}], "citations.1.end"),
        ([{**CITED, "quote": ""}], "citations.0.quote"),
        ([{**CITED, "number": 1}], "citations.0.number"),
    ],
    ids=["none", "101", "negative", "text", "empty quote", "unknown field"],
)
def test_a_bad_citation_is_named(client: FlaskClient, citations: list[Any], field: str) -> None:
    reply = verified(client, *citations)
    assert reply.status_code == 422
    assert [entry["field"] for entry in reply.get_json()["errors"]] == [field]


def test_what_is_needed_to_verify_is_named(
    empty_client: FlaskClient, article_index: Settings, tmp_path: Path
) -> None:
    assert verified(empty_client, CITED).get_json()["type"] == "urn:qa:problem:no-index"
    gone = create_app(Live(replace(article_index, corpus=tmp_path / "gone"))).test_client()
    reply = verified(gone, CITED)
    assert (reply.status_code, reply.get_json()["type"]) == (
        503,
        "urn:qa:problem:unreadable-corpus",
    )
    assert str(tmp_path) not in reply.get_data(as_text=True)
