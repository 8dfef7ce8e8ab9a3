"""The pages as a person meets them, in headless Chromium."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect, sync_playwright

from app.test_serve import started
from fakes import ARTICLE
from patience import PATIENCE
from qa.config import Settings
from qa.encoder import open_encoder
from qa.ingest import build

pytestmark = pytest.mark.browser

SANCTIONS = "How large did the US Treasury estimate targeted sanctions to be by mid-2024?"
WORLD_CUP = "Who won the 2018 World Cup?"
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
#: Milliseconds that a build in a process of its own may take on a busy machine.
SLOWEST = 60_000
expect.set_options(timeout=20_000)
SIZES = {"desktop": (1100, 800), "phone": (320, 640)}


@pytest.fixture(scope="module")
def served(article_index: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server over the article and a source that tries to be markup."""
    root = tmp_path_factory.mktemp("served")
    shutil.copytree(article_index.index / "models", root / "index" / "models")
    (root / "corpus").mkdir()
    shutil.copy(ARTICLE, root / "corpus")
    (root / "corpus" / "attack.md").write_text(
        "---\ntitle: <img src=x onerror=document.title='owned'>\n---\n"
        "The walrus said <script>document.title='owned'</script> in Tromsø on 5 May 1999.[^1]\n\n"
        "[^1]: [a link](javascript:document.title='owned')\n",
        encoding="utf-8",
    )
    settings = Settings(corpus=root / "corpus", index=root / "index")
    build(settings, open_encoder(settings))
    with started("-m", "qa", "serve", "--port", "0", "--index", str(settings.index)) as found:
        server, port = found
        yield f"http://127.0.0.1:{port}"
        server.terminate()
        assert server.wait(PATIENCE) == 0


@pytest.fixture(params=["desktop", "phone"])
def page(
    request: pytest.FixtureRequest, chromium: str, tmp_path: Path, served: str
) -> Iterator[Page]:
    """The chat page, at two sizes; no request may leave the server, nothing be on the console."""
    width, height = SIZES[request.param]
    trouble: list[str] = []
    with sync_playwright() as playwright:
        context: BrowserContext = playwright.chromium.launch_persistent_context(
            tmp_path / "profile",
            executable_path=chromium,
            args=ARGUMENTS,
            viewport={"width": width, "height": height},
            color_scheme="dark" if request.param == "phone" else "light",
        )
        page = context.pages[0]
        page.on("console", lambda message: trouble.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: trouble.append(f"error: {error}"))
        page.on(
            "request",
            lambda request: None if request.url.startswith(served) else trouble.append(request.url),
        )
        page.goto(served)
        yield page
        context.close()
    wanted = "Failed to load resource: the server responded with a status of 503"
    assert [line for line in trouble if wanted not in line] == []


def ask(page: Page, question: str) -> None:
    page.get_by_label("Your question").fill(question)
    page.keyboard.press("Enter")
    reply = page.locator("#thread > li").last.locator(".reply:not(.waiting)")
    expect(reply).to_be_visible(timeout=SLOWEST)  # the first one opens the selector


def fits(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))


def test_an_answer_opens_its_source_at_the_sentence(page: Page) -> None:
    ask(page, SANCTIONS)
    expect(page.locator(".quote")).to_contain_text("$330 billion")
    assert fits(page)
    page.get_by_role("link", name=re.compile(r"^Source 1: Russia-United States")).click()
    mark = page.locator("#pane mark")
    expect(mark).to_have_text(
        "The US Treasury estimated over $330 billion in targeted sanctions by mid-2024, "
        "restricting access to SWIFT, freezing assets, and banning key sectors like energy and "
        "finance."
    )
    expect(mark).to_be_in_viewport()
    assert fits(page)
    page.get_by_role("button", name="Close").click()
    expect(page.locator(".quote")).to_contain_text("$330 billion")
    page.goto(page.locator(".number").evaluate("link => link.href"))
    expect(page.locator("mark")).to_be_in_viewport()
    page.get_by_role("link", name="Back to the questions").click()
    expect(page.locator(".quote")).to_contain_text("$330 billion")


def test_a_refusal_shows_what_is_near_as_related(page: Page) -> None:
    ask(page, WORLD_CUP)
    reply = page.locator(".refusal")
    expect(reply).to_contain_text("The sources do not answer this.")
    expect(reply).to_contain_text("Related, not an answer")
    expect(reply.locator(".passages > li")).to_have_count(3)
    expect(page.locator(".quote")).to_have_count(0)
    expect(page.locator("#announcement")).to_have_text("The sources do not answer this.")
    assert fits(page)


def test_everything_works_by_keyboard(page: Page) -> None:
    expect(page.get_by_label("Your question")).to_be_focused()
    page.keyboard.type(SANCTIONS)
    page.keyboard.press("Enter")
    number = page.locator(".quote .number")
    expect(number).to_be_visible()
    expect(page.get_by_label("Your question")).to_be_focused()
    for _ in range(15):
        if number.evaluate("element => element === document.activeElement"):
            break
        page.keyboard.press("Shift+Tab")
    expect(number).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#pane mark")).to_contain_text("$330 billion")


def test_a_thread_is_kept_until_it_is_cleared(page: Page) -> None:
    ask(page, SANCTIONS)
    ask(page, WORLD_CUP)
    page.reload()
    expect(page.locator("#thread > li")).to_have_count(2)
    page.get_by_role("button", name="New thread").click()
    expect(page.locator("#thread > li")).to_have_count(0)
    page.reload()
    expect(page.locator("#welcome")).to_be_visible()


def test_source_text_never_becomes_markup(page: Page) -> None:
    ask(page, "When did the walrus say that in Tromsø?")
    expect(page.locator(".quote")).to_contain_text("The walrus said")
    page.get_by_text("Why", exact=True).click()
    assert fits(page)
    page.locator(".quote .number").click()
    expect(page.locator("#pane-title")).to_have_text("<img src=x onerror=document.title='owned'>")
    assert page.title() != "owned"
    assert page.locator("article script, article img, article a").count() == 0


def test_a_failed_request_says_what_to_do(page: Page) -> None:
    detail = "There is no index yet; build it: qa index"
    page.route("**/api/v1/answer", lambda route: route.fulfill(json={"detail": detail}, status=503))
    ask(page, SANCTIONS)
    expect(page.get_by_role("alert")).to_contain_text(detail)


@pytest.fixture
def own(article_index: Settings, tmp_path: Path) -> Iterator[tuple[str, Path, Path]]:
    """A server of its own without an index: its address, its corpus, and a folder to pause in.

    Builds pause before they encode while a file named `wait` is in that folder.
    """
    shutil.copytree(article_index.index / "models", tmp_path / "index" / "models")
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    shutil.copy(ARTICLE, corpus)
    (corpus / "broken.txt").write_bytes(b"\xff")
    code = f"""
import sys
import qa.app.jobs
command = ({sys.executable!r}, "-c", {PAUSING!r}, {str(tmp_path)!r})
qa.app.jobs.Jobs.__init__.__defaults__ = (command,)
from qa.cli import main
sys.exit(main(sys.argv[1:]))
"""
    where = ["--index", str(tmp_path / "index"), "--corpus", str(corpus)]
    with started("-c", code, "serve", "--port", "0", *where) as (server, port):
        yield f"http://127.0.0.1:{port}", corpus, tmp_path
        server.terminate()
        assert server.wait(PATIENCE) == 0


PAUSING = """
import pathlib, sys, time
import qa.ingest
from qa.encoder import OpenVINOEncoder
qa.ingest._ENCODED_AT_ONCE = 2
qa.ingest._ENCODERS = 1
encode = OpenVINOEncoder.encode
encoded = 0
def pausing(self, texts):
    global encoded
    encoded += len(texts)
    time.sleep(0.3)
    while encoded > 4 and pathlib.Path(sys.argv[1], "wait").exists():
        time.sleep(0.01)
    return encode(self, texts)
OpenVINOEncoder.encode = pausing
from qa.cli import main
sys.exit(main(sys.argv[2:]))
"""


@pytest.fixture(
    params=[(1100, "light"), (1100, "dark"), (320, "light"), (320, "dark")],
    ids=lambda value: f"{value[0]} {value[1]}",
)
def owned(
    request: pytest.FixtureRequest, chromium: str, own: tuple[str, Path, Path]
) -> Iterator[Page]:
    """The page of the server without an index; nothing may be on the console."""
    width, scheme = request.param
    trouble: list[str] = []
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            own[2] / "profile",
            executable_path=chromium,
            args=ARGUMENTS,
            viewport={"width": width, "height": 640},
            color_scheme=scheme,
        )
        page = context.pages[0]
        page.on("console", lambda message: trouble.append(message.text))
        page.on("pageerror", lambda error: trouble.append(str(error)))
        page.goto(own[0])
        yield page
        context.close()
    assert trouble == []


def keep(page: Page, name: str) -> None:
    """Keep a screenshot of any size where one is asked for (SHOTS names the folder)."""
    if folder := os.environ.get("SHOTS"):
        scheme = (
            "dark" if page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches") else ""
        )
        page.screenshot(path=f"{folder}/{name}{page.evaluate('innerWidth')}{scheme}.png")


def test_the_index_is_rebuilt(owned: Page, own: tuple[str, Path, Path]) -> None:
    page, (_, corpus, folder) = owned, own
    expect(page.get_by_text("No question can be answered now")).to_be_visible()
    expect(page.get_by_label("Your question")).to_be_disabled()
    rebuild = page.get_by_role("button", name="Rebuild the index")
    progress = page.get_by_role("progressbar")
    result = page.locator("#job-result")

    (folder / "wait").touch()
    rebuild.focus()
    page.keyboard.press("Enter")
    expect(progress).to_have_attribute("value", "4", timeout=SLOWEST)
    expect(page.get_by_role("status").first).to_have_text("Embedding new passages")
    expect(page.locator("#job-pace")).to_have_text(
        re.compile(r"^4 of \d, about \d+ seconds? left$")
    )
    expect(rebuild).to_be_disabled()
    assert fits(page)
    keep(page, "running")

    page.reload()  # the job goes on, and is found again
    expect(progress).to_have_attribute("value", "4")  # said by the first event of the stream
    page.get_by_role("button", name="Cancel").focus()
    page.keyboard.press("Enter")
    expect(result).to_have_text("Cancelled; the index is what it was.", timeout=SLOWEST)
    expect(rebuild).to_be_focused()
    expect(progress).to_be_hidden()

    (folder / "wait").unlink()
    rebuild.click()
    expect(result).to_contain_text("The index is up to date; it took ", timeout=SLOWEST)
    expect(result).to_contain_text("Sources: 1 added.")
    expect(result).to_contain_text(re.compile(r"Passages: 6, 0 reused, \d embedded\."))
    expect(result).to_contain_text("1 file skipped:")
    expect(result.locator("li")).to_have_text(
        "broken.txt: not UTF-8: invalid start byte at byte 0; save it as UTF-8"
    )
    shown = page.locator("#shown")  # the server opens the model for the first time
    expect(shown).to_contain_text("1 source, 6 passages", timeout=SLOWEST)
    expect(shown).to_contain_text("1 not readable")
    expect(page.locator("#count")).to_have_text("1")
    expect(page.get_by_text("No question can be answered now")).to_be_hidden()
    assert fits(page)
    keep(page, "report")
    ask(page, SANCTIONS)
    expect(page.locator(".quote")).to_contain_text("$330 billion")

    shutil.rmtree(corpus)
    rebuild.click()
    expect(result).to_have_text(
        "The index was not rebuilt. corpus: no such folder; name it with --corpus",
        timeout=SLOWEST,
    )
    expect(page.locator(".quote")).to_contain_text("$330 billion")
    assert fits(page)
    page.evaluate("scrollTo(0, 0)")
    keep(page, "error")
