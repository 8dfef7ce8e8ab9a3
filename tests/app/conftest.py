"""The application over the article, indexed by the real model."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from playwright.sync_api import Browser, sync_playwright

from app.desk import Desk, serving, sources
from fakes import FakeEncoder
from qa.app import create_app
from qa.assistant import Live
from qa.config import Settings

AXE = Path(__file__).parents[2] / ".venv/axe/node_modules/axe-core/axe.min.js"


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


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    """Headless Chromium, for tests that open a context of their own each."""
    from app.test_browser import ARGUMENTS

    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield found
        found.close()


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A server over sources of many kinds; a test that changes them takes one of its own."""
    with serving(tmp_path_factory.mktemp("desk"), sources()) as found:
        yield found


@pytest.fixture
def empty_client(tmp_path: Path, article_index: Settings) -> Iterator[FlaskClient]:
    """The application before anything was indexed."""
    settings = replace(article_index, index=tmp_path / "index")
    yield create_app(Live(settings)).test_client()


@pytest.fixture
def serve(
    indexed: Settings, fake: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., FlaskClient]:
    """Make the application over the small corpus with a fake model; settings as keywords."""
    monkeypatch.setattr("qa.assistant.open_encoder", lambda settings: fake)

    def make(token: str = "", **changes: object) -> FlaskClient:
        return create_app(Live(replace(indexed, **changes)), token=token).test_client()

    return make


@pytest.fixture(scope="session")
def axe() -> str:
    """The accessibility checks, as the script that they are."""
    if not AXE.is_file():
        if os.environ.get("REQUIRE_BROWSER"):
            pytest.fail(f"no {AXE}, and REQUIRE_BROWSER is set; make test installs it with npm")
        pytest.skip("axe-core is not installed: accessibility checks are skipped")
    return AXE.read_text(encoding="utf-8")
