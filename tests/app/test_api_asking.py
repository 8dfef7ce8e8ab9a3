from __future__ import annotations

from typing import Any

import jsonschema
import pytest
from flask.testing import FlaskClient

SANCTIONS = "How large did the US Treasury estimate targeted sanctions to be by mid-2024?"


def ask(client: FlaskClient, **body: Any) -> Any:
    return client.post("/api/v1/answer", json=body)


def test_filters_are_told_and_fit_the_schema(client: FlaskClient) -> None:
    question = f'{SANCTIONS} "targeted sanctions" -walrus source:russia type:txt'
    reply = ask(client, question=question, sources=["russia-us-relations-2025.txt"]).get_json()
    assert reply["filters"] == {
        "phrases": ["targeted sanctions"],
        "excluded": ["walrus"],
        "sources": ["russia-us-relations-2025.txt", "russia"],
        "types": ["txt"],
        "after": None,
        "before": None,
    }
    assert reply["interpreted"] == f"{SANCTIONS} targeted sanctions"
    assert "$330 billion in targeted sanctions" in reply["answer"][0]["text"]
    assert {passage["date"] for passage in reply["passages"]} == {None}
    spec = client.get("/api/v1/openapi.json").get_json()
    (media,) = spec["paths"]["/api/v1/answer"]["post"]["responses"]["200"]["content"].values()
    jsonschema.validate(reply, {**media["schema"], "components": spec["components"]})
    named = spec["components"]["schemas"]["AnswerRequest"]["properties"]["sort"]
    assert (named["enum"], named["default"]) == (["relevance", "date"], "relevance")


def test_a_filter_that_leaves_nothing_is_named(client: FlaskClient) -> None:
    reply = ask(client, question='What of "purple walrus"?').get_json()
    assert (reply["answered"], reply["passages"]) == (False, [])
    assert reply["notices"] == [
        {
            "kind": "nothing_left",
            "text": "No passage has the phrase “purple walrus”.",
            "uris": [],
        }
    ]


@pytest.mark.parametrize(
    ("body", "field", "reason"),
    [
        ({"question": "gas author:x"}, "question", "there is no field author:"),
        ({"question": "gas source:zzz"}, "question", "no source fits source:zzz"),
        ({"question": "gas type:pdf"}, "question", "the types are: txt"),
        ({"question": "gas after:May"}, "question", "write YYYY-MM-DD, YYYY-MM or YYYY"),
        ({"question": "type:txt"}, "question", "write a question too"),
        ({"question": "gas", "sort": "size"}, "sort", "relevance"),
        ({"question": "gas", "sort": None}, "sort", "relevance"),
    ],
)
def test_what_does_not_fit_is_named(
    client: FlaskClient, body: dict[str, Any], field: str, reason: str
) -> None:
    reply = ask(client, **body)
    assert (reply.status_code, reply.mimetype) == (422, "application/problem+json")
    (error,) = reply.get_json()["errors"]
    assert error["field"] == field
    assert reason in error["reason"]
