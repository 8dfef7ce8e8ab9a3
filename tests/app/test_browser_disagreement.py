"""What the page shows where sources differ, and where they say the same, in headless Chromium."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from app.test_serve import started
from fakes import fill
from patience import PATIENCE
from qa.config import Settings
from qa.encoder import open_encoder
from qa.ingest import build

pytestmark = pytest.mark.browser

LENGTH = "What is the length of the Elbe bridge?"
OPENING = "Who opened the Elbe bridge?"
FILES = {
    "old.md": "---\ntitle: The old guide\ndate: 2019-05-01\n---\n"
    "The Elbe bridge has a length of **2,850 metres**.[^1]\n\n"
    "The queen opened the Elbe bridge.\n\n[^1]: Atlas, 2018.\n",
    "new survey.md": "---\ntitle: The new survey\ndate: 2024-03-02\n---\n"
    "The Elbe bridge has a length of 2,888 metres.\n\nThe queen *opened* the Elbe bridge.\n",
}


@pytest.fixture(scope="module")
def address(exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server over two sources that differ on a length."""
    root = tmp_path_factory.mktemp("differing")
    settings = Settings(corpus=root / "corpus", index=root / "index")
    fill(settings.corpus, FILES)
    shutil.copytree(exported, settings.index)
    build(settings, open_encoder(settings))
    with started("-m", "qa", "serve", "--port", "0", "--index", str(settings.index)) as found:
        server, port = found
        yield f"http://127.0.0.1:{port}"
        server.terminate()
        assert server.wait(PATIENCE) == 0


@pytest.fixture(params=[(1100, 800, "light"), (320, 640, "dark")], ids=["desktop", "phone"])
def page(request: pytest.FixtureRequest, address: str) -> Iterator[Page]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if not chromium:
        pytest.skip("no chromium on this machine: browser tests are skipped")
    width, height, scheme = request.param
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(
            viewport={"width": width, "height": height}, color_scheme=scheme, base_url=address
        )
        page.set_default_timeout(60_000)
        yield page
        browser.close()


def asked(page: Page, question: str) -> None:
    page.goto("/")
    page.get_by_label("Your question").fill(question)
    page.get_by_label("Your question").press("Enter")
    expect(page.locator(".reply .quote").first).to_be_visible(timeout=60_000)


def test_both_quotes_stand_side_by_side_or_below_each_other(page: Page) -> None:
    asked(page, LENGTH)
    block = page.get_by_role("region", name="Sources differ")
    expect(block.get_by_role("heading")).to_have_text("Sources differ")
    sides = block.get_by_role("listitem")
    expect(sides).to_have_count(2)
    expect(sides.nth(0)).to_contain_text("2024-03-02")
    expect(sides.nth(1)).to_contain_text("2019-05-01")
    assert block.locator("mark").all_inner_texts() == ["2,888 metres", "2,850 metres"]
    boxes = [sides.nth(place).bounding_box() for place in range(2)]
    assert boxes[0] and boxes[1]
    beside = boxes[0]["y"] == boxes[1]["y"]
    assert beside is (page.evaluate("innerWidth") > 1000)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    block.get_by_role("link", name="The new survey").click()
    expect(page.locator("#pane mark").first).to_contain_text("2,888 metres")


def test_a_copy_is_named_with_a_link(page: Page) -> None:
    asked(page, OPENING)
    entry = page.get_by_role("list", name="Sources").get_by_text("Also in: ").first
    expect(entry).to_be_visible()
    expect(page.get_by_role("region", name="Sources differ")).to_have_count(0)
    entry.get_by_role("link").click()
    expect(page.locator("#pane mark").first).to_contain_text("The queen")
