"""Signing in, and an index that stands in for another, as a person meets them in Chromium."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from app.desk import violations
from app.test_browser import ARGUMENTS, fits
from app.test_drain import server
from fakes import CORPUS, FakeEncoder, fill
from qa.config import Settings
from qa.ingest import build
from qa.stores.generation import pointer

pytestmark = pytest.mark.browser
TOKEN = "correct-horse-battery-staple"
START = CORPUS["rivers.md"].index("Danube** rises")


@pytest.fixture(params=[(1100, "light"), (320, "dark")], ids=lambda value: f"{value[0]} {value[1]}")
def page(
    request: pytest.FixtureRequest,
    chromium: str,
    indexed: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Page]:
    """The page of a server with a token, whose newest generation is damaged."""
    width, scheme = request.param
    fill(indexed.corpus, {"lead.txt": "Lead melts at 327 degrees."})
    build(indexed, FakeEncoder())
    (indexed.index / "generations" / pointer(indexed.index) / "dense.faiss").unlink()
    monkeypatch.setenv("QA_TOKEN", TOKEN)
    (tmp_path / "go").touch()
    trouble: list[str] = []
    with server(indexed, tmp_path) as (_, port), sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            tmp_path / "profile",
            executable_path=chromium,
            args=ARGUMENTS,
            viewport={"width": width, "height": 640},
            color_scheme=scheme,
        )
        page = context.pages[0]
        page.on("console", lambda message: trouble.append(message.text))
        page.on("pageerror", lambda error: trouble.append(str(error)))
        page.goto(f"http://127.0.0.1:{port}/sources/rivers.md?start={START}&end={START + 6}")
        yield page
        context.close()
    # a wrong token is one of the tests; and there is one token, but no user to name beside it
    known = ("responded with a status of 401", "Password forms should have")
    assert [line for line in trouble if not any(part in line for part in known)] == []


def shoot(page: Page, name: str) -> None:
    if folder := os.environ.get("SHOTS"):
        page.screenshot(path=f"{folder}/{name}{page.evaluate('innerWidth')}.png")


def test_signing_in_asking_and_signing_out(page: Page, axe: str) -> None:
    box = page.get_by_label("The token of this server")
    expect(box).to_be_focused()
    assert fits(page)
    shoot(page, "sign-in")
    page.keyboard.type("not the token")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text("That is not the token.")
    assert violations(page, axe) == []
    shoot(page, "wrong")
    box.fill(TOKEN)
    page.keyboard.press("Enter")
    expect(page.locator("mark")).to_have_text("Danube")  # where the link led

    page.get_by_role("link", name="Back to the questions").click()
    expect(page.get_by_role("heading", name="An earlier index answers")).to_be_visible()
    expect(page.get_by_text(re.compile("rebuild it: qa index --full"))).to_be_visible()
    assert fits(page)
    assert violations(page, axe) == []
    shoot(page, "fallback")
    page.get_by_label("Your question").fill("Where does the Danube rise?")
    page.keyboard.press("Enter")
    expect(page.locator("#thread .reply:not(.waiting)")).to_contain_text("Danube")

    page.get_by_role("button", name="Sign out").click()
    expect(box).to_be_visible()
    page.goto(page.url.partition("/sign-in")[0])
    expect(box).to_be_visible()


def test_a_session_that_ended_says_what_to_do(page: Page) -> None:
    page.get_by_label("The token of this server").fill(TOKEN)
    page.keyboard.press("Enter")
    expect(page.locator("mark")).to_be_visible()
    page.goto(page.url.partition("/sources")[0])
    page.context.clear_cookies()
    page.get_by_label("Your question").fill("Where does the Danube rise?")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("sign in at /sign-in")


def test_a_page_of_another_site_gets_nothing(page: Page, tmp_path: Path) -> None:
    """What a hostile page would do, done by one: the browser itself is the judge."""
    page.get_by_label("The token of this server").fill(TOKEN)
    page.keyboard.press("Enter")
    expect(page.locator("mark")).to_be_visible()
    here = page.url.partition("/sources")[0]
    other = tmp_path / "other.html"
    other.write_text("<!doctype html><title>other</title><link rel=icon href='data:,'>")
    visited = page.context.new_page()
    visited.goto(other.as_uri())
    code = """async ([url, options]) => {
        try { return (await fetch(url, options)).status } catch { return "blocked" }
    }"""
    body = '{"question": "Where does the Danube rise?"}'
    for method, path, content_type in (
        ("GET", "/api/v1/sources", None),
        ("POST", "/api/v1/answer", "application/json"),
        ("POST", "/api/v1/answer", "text/plain"),
        ("POST", "/api/v1/index", "text/plain"),
    ):
        options: dict[str, object] = {"method": method, "credentials": "include"}
        if content_type:
            options |= {"headers": {"Content-Type": content_type}, "body": body}
        assert visited.evaluate(code, [here + path, options]) == "blocked"
    visited.close()
    assert page.evaluate("fetch('/api/v1/index/jobs').then(r => r.json())") == {"jobs": []}
