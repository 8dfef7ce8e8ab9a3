"""The pictures of the README, made anew where SCREENSHOTS names a folder (make screenshots)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from app.desk import ask, opened
from app.test_browser import SANCTIONS, WORLD_CUP
from app.test_drain import started
from qa.config import Settings
from qa.encoder import open_encoder
from qa.ingest import build

ROOT = Path(__file__).parents[2]
FOLDER = os.environ.get("SCREENSHOTS")
#: Pictures that are kept; others only cost room.
KEPT = [
    *("first", "source", "sources", "refusal", "status"),
    *("first-phone", "source-phone", "sources-phone"),
]
EXCHANGE = "How many of the people freed in the August 2024 exchange went to which side?"

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not FOLDER, reason="pictures are made by make screenshots"),
]


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server over the sources that come with the program."""
    root = tmp_path_factory.mktemp("shipped")
    settings = replace(Settings(), corpus=ROOT / "corpus", index=root / "index")
    build(settings, open_encoder(settings))
    where = ["--corpus", str(settings.corpus), "--index", str(settings.index)]
    with started("-m", "qa", "serve", "--port", "0", *where) as (_, port):
        yield f"http://127.0.0.1:{port}"


def shoot(page: Page, name: str) -> None:
    page.mouse.move(2, 2)
    page.wait_for_timeout(200)
    if name in KEPT:
        page.screenshot(path=ROOT / str(FOLDER) / f"{name}.png")


@pytest.mark.parametrize(("size", "suffix"), [("desktop", ""), ("phone", "-phone")])
def test_the_main_states(browser: Browser, shipped: str, size: str, suffix: str) -> None:
    viewport = (
        {"width": 1280, "height": 800} if size == "desktop" else {"width": 390, "height": 760}
    )
    with opened(browser, shipped, size, viewport=viewport) as page:
        while not page.locator(".examples").count():
            page.wait_for_timeout(1000)
            page.reload()
        shoot(page, f"first{suffix}")
        entry = ask(page, EXCHANGE)
        entry.locator(".number").nth(1).click()
        expect(page.locator("#pane mark:not(.near)")).to_be_visible()
        shoot(page, f"source{suffix}")
        page.keyboard.press("Escape")
        page.get_by_role("link", name="Sources").click()
        expect(page.locator("#source-list")).to_be_visible()
        shoot(page, f"sources{suffix}")
        page.keyboard.press("Escape")
        ask(page, SANCTIONS)
        ask(page, WORLD_CUP)
        shoot(page, f"refusal{suffix}")
        page.goto(f"{shipped}/status")
        shoot(page, f"status{suffix}")
