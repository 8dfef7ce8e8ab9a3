"""The application over the article, indexed by the real model."""

from __future__ import annotations

import os
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


@pytest.fixture(scope="session")
def live(article_index: Settings) -> Live:
    return Live(article_index)


@pytest.fixture
def app(live: Live) -> Flask:
    app = create_app(live)
    app.config["TESTING"] = True
    return app


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture(scope="session")
def chromium() -> str:
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if not found:
        if os.environ.get("REQUIRE_BROWSER"):
            pytest.fail("no chromium on this machine, and REQUIRE_BROWSER is set")
        pytest.skip("no chromium on this machine: browser tests are skipped")
    return found


@pytest.fixture
def empty_client(tmp_path: Path, article_index: Settings) -> Iterator[FlaskClient]:
    """The application before anything was indexed."""
    settings = replace(article_index, index=tmp_path / "index")
    yield create_app(Live(settings)).test_client()
