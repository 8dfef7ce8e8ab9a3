"""The article, indexed by the real model, and the application over it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from qa.app import create_app
from qa.assistant import Live
from qa.config import Settings
from qa.encoder import open_encoder
from qa.ingest import build

ARTICLE = Path(__file__).parents[2] / "corpus" / "russia-us-relations-2025.txt"


@pytest.fixture(scope="session")
def article(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings of a corpus that is the article, with its index."""
    root = tmp_path_factory.mktemp("article")
    settings = Settings(corpus=root / "corpus", index=root / "index")
    settings.corpus.mkdir()
    shutil.copy(ARTICLE, settings.corpus)
    build(settings, open_encoder(settings))
    return settings


@pytest.fixture(scope="session")
def live(article: Settings) -> Live:
    return Live(article)


@pytest.fixture
def app(live: Live) -> Flask:
    app = create_app(live)
    app.config["TESTING"] = True
    return app


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def empty_client(tmp_path: Path, article: Settings) -> Iterator[FlaskClient]:
    """The application before anything was indexed."""
    settings = replace(article, index=tmp_path / "index")
    yield create_app(Live(settings)).test_client()
