"""The earlier turns of a conversation in the JSON interface."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

RIVAL = "Where do backchannel talks between the US and Russia take place?"


def ask(client: FlaskClient, **body: Any) -> Any:
    return client.post("/api/v1/answer", json=body)


def test_a_follow_up_is_searched_as_it_would_stand_alone(client: FlaskClient) -> None:
    reply = ask(client, question="why?", history=[{"question": RIVAL}]).get_json()
    alone = ask(
        client, question="Why do backchannel talks between the US and Russia take place?"
    ).get_json()
    assert reply["question"] == "why?"
    assert reply["interpreted"] == alone["question"]
    assert {**reply, "question": "", "took_ms": 0} == {**alone, "question": "", "took_ms": 0}


def test_an_empty_history_searches_the_words_as_typed(client: FlaskClient) -> None:
    reply = ask(client, question="why?", history=[]).get_json()
    assert reply["interpreted"] == "why?"


def test_a_long_history_is_taken(client: FlaskClient) -> None:
    turns = [{"question": "ß" * 2000}] * 19 + [{"question": RIVAL}]
    reply = ask(client, question="why?", history=turns).get_json()
    assert reply["interpreted"].startswith("Why do backchannel talks")


@pytest.mark.parametrize(
    ("history", "field"),
    [
        pytest.param([{"question": "a"}] * 21, "history", id="21 turns"),
        pytest.param("Why?", "history", id="a text"),
        pytest.param({"question": "a"}, "history", id="an object"),
        pytest.param(["a"], "history.0", id="turn is text"),
        pytest.param([{"question": "a"}, {}], "history.1.question", id="no question"),
        pytest.param([{"question": ""}], "history.0.question", id="empty"),
        pytest.param([{"question": " "}], "history.0.question", id="blank"),
        pytest.param([{"question": "x" * 2001}], "history.0.question", id="too long"),
        pytest.param([{"question": "\ud800"}], "history.0.question", id="half a surrogate pair"),
        pytest.param([{"question": 5}], "history.0.question", id="a number"),
        pytest.param([{"question": "a", "answer": "b"}], "history.0.answer", id="unknown field"),
    ],
)
def test_a_bad_history_is_named(client: FlaskClient, history: Any, field: str) -> None:
    reply = ask(client, question="Why?", history=history)
    assert reply.status_code == 422
    assert reply.content_type == "application/problem+json"
    assert [entry["field"] for entry in reply.get_json()["errors"]] == [field]
