"""Export and feedback as a person meets them, in headless Chromium, without a mouse."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright
from test_browser import ARGUMENTS, SANCTIONS, WORLD_CUP, ask, fits, keep

from app.test_serve import started
from patience import PATIENCE
from qa.config import Settings
from qa.verify import read_citations

pytestmark = pytest.mark.browser
QUOTE = "The US Treasury estimated over $330 billion in targeted sanctions by mid-2024"


@pytest.fixture
def served(
    article_index: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """The address of a server over the article that keeps feedback in a folder of this test."""
    shutil.copytree(article_index.corpus, tmp_path / "corpus")
    command = ["-m", "qa", "serve", "--port", "0", "--index", str(article_index.index)]
    monkeypatch.chdir(tmp_path)
    with started(*command) as (server, port):
        yield f"http://127.0.0.1:{port}"
        server.terminate()
        assert server.wait(PATIENCE) == 0


@pytest.fixture(params=[(1100, "light"), (320, "dark")], ids=["desktop", "phone"])
def page(
    request: pytest.FixtureRequest, chromium: str, tmp_path: Path, served: str
) -> Iterator[Page]:
    width, scheme = request.param
    trouble: list[str] = []
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            tmp_path / "profile",
            executable_path=chromium,
            args=ARGUMENTS,
            viewport={"width": width, "height": 900},
            color_scheme=scheme,
        )
        page = context.pages[0]
        page.on("console", lambda message: trouble.append(message.text))
        page.on("pageerror", lambda error: trouble.append(str(error)))
        page.goto(served)
        yield page
        context.close()
    wanted = "Failed to load resource: the server responded with a status of 503"
    assert [line for line in trouble if wanted not in line] == []


def saved(page: Page, format: str, tmp_path: Path) -> Path:
    """Press a button of the open export control with the keyboard, and return the file."""
    button = page.locator("details[open]").get_by_role("button", name=format)
    button.focus()
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    path = tmp_path / download.value.suggested_filename
    download.value.save_as(path)
    return path


def opened(page: Page, label: str) -> None:
    summary = page.locator("summary", has_text=label).first
    summary.focus()
    page.keyboard.press("Enter")
    expect(summary.locator("..")).to_have_attribute("open", "")


def test_an_answer_and_the_thread_are_exported(page: Page, tmp_path: Path) -> None:
    expect(page.get_by_text("Export the thread")).to_be_hidden()
    ask(page, SANCTIONS)
    ask(page, WORLD_CUP)
    opened(page, "Export this answer")
    file = saved(page, "JSON", tmp_path)
    assert re.fullmatch(
        r"qa-how-large-did-the-us-treasury-[a-z-]+-\d{4}-\d\d-\d\d\.json", file.name
    )
    expect(page.locator(".export [role=status]").first).to_have_text(f"Saved as {file.name}.")
    (cited,) = read_citations(file.name, file.read_text(encoding="utf-8"))
    assert cited.quote.startswith(QUOTE)
    assert fits(page)
    page.locator(".reply").first.scroll_into_view_if_needed()
    keep(page, "export")

    page.reload()
    opened(page, "Export the thread")
    file = saved(page, "HTML", tmp_path)
    assert re.fullmatch(r"qa-thread-\d{4}-\d\d-\d\d\.html", file.name)
    assert fits(page)
    trouble: list[str] = []
    page.on("request", lambda request: trouble.append(request.url))
    page.goto(file.as_uri())
    assert trouble == [file.as_uri()]
    expect(page.get_by_role("heading", level=2)).to_have_text([SANCTIONS, WORLD_CUP])
    expect(page.locator("blockquote").first).to_contain_text(QUOTE)
    expect(page.get_by_text("The sources do not answer this.")).to_be_visible()
    expect(page.locator(".state").first).to_have_text("valid: the quote stands there in the file")
    assert page.locator("script").count() == 0
    assert fits(page)
    keep(page, "evidence")


def test_markdown_is_exported(page: Page, tmp_path: Path) -> None:
    ask(page, SANCTIONS)
    expect(page.get_by_text("Export the thread")).to_be_hidden()  # it is this answer
    opened(page, "Export this answer")
    file = saved(page, "Markdown", tmp_path)
    assert file.suffix == ".md"
    assert "> The US Treasury estimated over \\$330 billion" in file.read_text(encoding="utf-8")


def test_an_export_that_fails_says_why(page: Page) -> None:
    ask(page, SANCTIONS)
    page.route(
        "**/api/v1/evidence",
        lambda route: route.fulfill(json={"detail": "The corpus cannot be read."}, status=503),
    )
    opened(page, "Export this answer")
    page.get_by_role("button", name="JSON").first.click()
    message = page.locator(".export [role=status]").first
    expect(message).to_have_text("Not exported. The corpus cannot be read.")


def test_feedback_is_kept(page: Page, tmp_path: Path) -> None:
    ask(page, SANCTIONS)
    good = page.get_by_role("button", name="Good answer")
    bad = page.get_by_role("button", name="Bad answer")
    status = page.locator(".feedback [role=status]")
    good.focus()
    page.keyboard.press("Space")
    expect(status).to_have_text("Kept on this machine.")
    expect(good).to_have_attribute("aria-pressed", "true")
    expect(good).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(page.get_by_label("Note (optional)")).to_be_focused()
    page.keyboard.type('and/or <b>"more"</b>')  # a slash does not jump to the question
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(status).to_have_text("Kept on this machine, with the note.")
    assert fits(page)
    status.scroll_into_view_if_needed()
    keep(page, "feedback")
    bad.click()
    expect(bad).to_have_attribute("aria-pressed", "true")
    expect(good).to_have_attribute("aria-pressed", "false")
    lines = (tmp_path / "feedback.jsonl").read_text(encoding="utf-8").splitlines()
    kept = [json.loads(line) for line in lines]
    note = 'and/or <b>"more"</b>'
    assert [(line["verdict"], line["note"]) for line in kept] == [
        ("good", ""),
        ("good", note),
        ("bad", note),
    ]
    assert kept[0]["question"] == SANCTIONS
    assert kept[0]["citations"][0]["quote"].startswith(QUOTE)


def test_feedback_that_is_not_kept_says_why(page: Page, tmp_path: Path) -> None:
    (tmp_path / "feedback.jsonl").mkdir()
    ask(page, WORLD_CUP)
    bad = page.get_by_role("button", name="Bad answer")
    status = page.locator(".feedback [role=status]")
    bad.click()
    expect(status).to_have_text(
        "Not kept. The feedback file feedback.jsonl cannot be written: Is a directory."
    )
    expect(bad).to_have_attribute("aria-pressed", "false")
    keep(page, "notkept")
    (tmp_path / "feedback.jsonl").rmdir()
    page.get_by_label("Note (optional)").fill("it is in the news")
    page.get_by_role("button", name="Keep the note").click()
    expect(status).to_have_text("Kept on this machine, with the note.")
    expect(bad).to_have_attribute("aria-pressed", "true")
    (line,) = (tmp_path / "feedback.jsonl").read_text(encoding="utf-8").splitlines()
    assert (json.loads(line)["verdict"], json.loads(line)["answered"]) == ("bad", False)
