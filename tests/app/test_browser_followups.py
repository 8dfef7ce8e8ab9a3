"""Follow-up questions on the chat page, in headless Chromium."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

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

pytestmark = pytest.mark.browser

DANUBE = "Where does the Danube rise?"
TYPED = "Ask as typed: and the Rhine?"


@pytest.fixture(scope="module")
def rivers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server over the small corpus that answers whatever its confidence."""
    root = tmp_path_factory.mktemp("rivers")
    settings = Settings(corpus=root / "corpus", index=root / "index")
    fill(settings.corpus, CORPUS)
    build(settings, FakeEncoder())
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(qa.assistant, "open_encoder", lambda settings: FakeEncoder())
        with listening(create_app(Live(replace(settings, threshold=0.0)))) as address:
            yield address


@pytest.fixture
def sent() -> list[dict[str, Any]]:
    """The bodies of the questions that the page sent."""
    return []


@pytest.fixture(params=[(1100, "light"), (320, "dark")], ids=["desktop", "phone"])
def page(
    request: pytest.FixtureRequest,
    chromium: str,
    tmp_path: Path,
    rivers: str,
    sent: list[dict[str, Any]],
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
        page.on(
            "request",
            lambda request: (
                sent.append(json.loads(request.post_data or ""))
                if request.url.endswith("/api/v1/answer")
                else None
            ),
        )
        page.goto(rivers)
        yield page
        context.close()
    assert [line for line in trouble if "503" not in line] == []


def earlier(body: dict[str, Any]) -> list[str]:
    return [turn["question"] for turn in body["history"]]


def test_a_follow_up_says_what_was_searched(page: Page, sent: list[dict[str, Any]]) -> None:
    ask(page, DANUBE)
    expect(page.locator(".searched")).to_have_count(0)
    ask(page, "and the Rhine?")
    last = page.locator("#thread > li").last
    expect(last.locator(".searched")).to_contain_text("Searched for: Where does the Rhine rise?")
    assert [earlier(body) for body in sent] == [[], [DANUBE]]
    assert fits(page)
    keep(page, "followup")

    typed = last.get_by_role("button", name=TYPED)
    typed.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#thread > li")).to_have_count(3)
    last = page.locator("#thread > li").last
    expect(last.locator(".reply:not(.waiting)")).to_be_visible()
    expect(last.locator(".searched")).to_have_count(0)
    assert sent[-1] == {"question": "and the Rhine?", "history": []}

    ask(page, "how long is it?")  # of what was asked as typed, not of the Danube
    assert earlier(sent[-1]) == ["and the Rhine?"]


def test_a_thread_goes_on_after_a_reload_and_ends_with_a_new_one(
    page: Page, sent: list[dict[str, Any]]
) -> None:
    ask(page, DANUBE)
    ask(page, "and the Rhine?")
    page.reload()
    expect(page.get_by_role("button", name=TYPED)).to_be_visible()
    ask(page, "why?")
    assert earlier(sent[-1]) == [DANUBE, "and the Rhine?"]
    page.get_by_role("button", name="New thread").click()
    ask(page, "why?")
    assert earlier(sent[-1]) == []
    expect(page.locator(".searched")).to_have_count(0)


def test_a_question_that_failed_is_not_part_of_the_thread(
    page: Page, sent: list[dict[str, Any]]
) -> None:
    ask(page, DANUBE)
    page.route("**/api/v1/answer", lambda route: route.fulfill(json={"detail": "no"}, status=503))
    ask(page, "When did Vienna fail?")
    page.unroute("**/api/v1/answer")
    ask(page, "and the Rhine?")
    assert earlier(sent[-1]) == [DANUBE]


def test_the_last_twenty_questions_are_sent(page: Page, sent: list[dict[str, Any]]) -> None:
    questions = [f"Where does river {number} rise?" for number in range(22)]
    reply = {"question": "", "interpreted": "", "answered": False, "confidence": 0.0}
    reply |= {"answer": [], "citations": [], "passages": [], "disagreements": [], "notices": []}
    page.route("**/api/v1/answer", lambda route: route.fulfill(json=reply))
    for question in questions:
        ask(page, question)
    assert earlier(sent[-1]) == questions[1:21]
