"""Filters as chips, and notices, in headless Chromium."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright
from test_browser import ARGUMENTS, ask, fits, keep

import qa.assistant
from app.desk import listening
from fakes import CORPUS, FakeEncoder, fill
from qa.app import create_app
from qa.assistant import Live
from qa.config import Settings
from qa.ingest import build
from qa.scorer import NONE

pytestmark = pytest.mark.browser

MINES = {
    "a.md": (
        "2025-02-01",
        ["Gold mine near Bern.", "Mine gold near Bern.", "Bern near gold mine."],
    ),
    "dir/b.md": ("2025-03-01", ["Near Bern gold mine.", "Bern gold near mine."]),
}


@pytest.fixture(scope="module")
def asking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server over a small corpus that answers whatever its confidence."""
    root = tmp_path_factory.mktemp("asking")
    settings = Settings(corpus=root / "corpus", index=root / "index", selector=NONE)
    fill(settings.corpus, CORPUS)
    for uri, (day, told) in MINES.items():
        fill(settings.corpus, {uri: f"---\ntitle: Mines\ndate: {day}\n---\n{' '.join(told)}\n"})
    build(settings, FakeEncoder())
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(qa.assistant, "open_encoder", lambda settings: FakeEncoder())
        with listening(create_app(Live(replace(settings, threshold=0.0)))) as address:
            yield address


@pytest.fixture(params=[(1100, "light"), (320, "dark")], ids=["desktop", "phone"])
def page(
    request: pytest.FixtureRequest, chromium: str, tmp_path: Path, asking: str
) -> Iterator[Page]:
    """The chat page, at two sizes; nothing may be on the console."""
    width, scheme = request.param
    trouble: list[str] = []
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            tmp_path / "profile",
            executable_path=chromium,
            args=ARGUMENTS,
            viewport={"width": width, "height": 700},
            color_scheme=scheme,
        )
        page = context.pages[0]
        page.on("console", lambda message: trouble.append(message.text))
        page.on("pageerror", lambda error: trouble.append(str(error)))
        page.goto(asking)
        yield page
        context.close()
    assert [line for line in trouble if "422" not in line] == []


def test_filters_are_chips_that_can_be_removed(page: Page) -> None:
    ask(page, 'Where is "the Danube", (“Black  Forest”)? -Rhine source:"rivers of" after:2024')
    last = page.locator("#thread > li").last
    chips = last.get_by_role("list", name="Filters").get_by_role("button")
    names = [
        "phrase: the Danube",
        "phrase: Black Forest",
        "without: Rhine",
        "source: rivers of",
        "after: 2024-01-01",
    ]
    expect(chips).to_have_text([f"{name}×" for name in names])
    expect(last.locator(".quote")).to_have_text(["The Danube rises in the Black Forest.1"])
    assert fits(page)
    keep(page, "chips")

    chips.nth(0).focus()
    page.keyboard.press("Enter")
    expect(page.locator("#thread > li")).to_have_count(2)
    expect(last.locator(".asked")).to_have_text(
        'Where is the Danube, ("Black Forest")? -"Rhine" source:"rivers of" after:2024-01-01'
    )
    expect(chips).to_have_text([f"{name}×" for name in names[1:]])
    for left in (3, 2, 1, 0):
        last.get_by_role("button", name="Ask again without").first.click()
        expect(chips).to_have_count(left)
    expect(last.locator(".asked")).to_have_text("Where is the Danube, (Black Forest)?")
    expect(last.locator(".quote").first).to_be_visible()  # only what is answered is kept
    page.reload()
    expect(page.locator("#thread > li")).to_have_count(6)
    page.get_by_role("button", name="Ask again without phrase: the Danube").click()
    expect(page.locator("#thread > li")).to_have_count(7)
    assert fits(page)


def test_a_filter_that_leaves_nothing_says_so(page: Page) -> None:
    ask(page, 'What of gold? "red line"')
    reply = page.locator(".refusal")
    expect(reply).to_contain_text("Nothing was left to search.")
    expect(reply.get_by_role("note")).to_have_text("No passage has the phrase “red line”.")
    expect(reply).not_to_contain_text("The sources do not answer this.")
    expect(page.locator("#announcement")).to_have_text("No passage has the phrase “red line”.")
    assert fits(page)
    keep(page, "nothing")
    page.get_by_role("button", name="Ask again without phrase: red line").click()
    expect(page.locator("#thread > li").last.locator(".quote").first).to_be_visible()


def test_newer_sources_are_named_and_open(page: Page) -> None:
    ask(page, "Gold mine near Bern?")
    note = page.get_by_role("note")
    text = (
        "The answer is from sources of 2025-02-01; newer sources also match: dir/b.md (2025-03-01)."
    )
    expect(note).to_have_text(text)
    expect(page.locator("#announcement")).to_contain_text(text)
    assert fits(page)
    keep(page, "newer")
    note.get_by_role("link", name="dir/b.md").click()
    expect(page.locator("#pane-title")).to_have_text("Mines")


def test_syntax_that_does_not_fit_is_explained(page: Page) -> None:
    ask(page, "gold author:smith")
    expect(page.get_by_role("alert")).to_contain_text("there is no field author:")
    expect(page.get_by_label("Your question")).to_have_value("gold author:smith")
