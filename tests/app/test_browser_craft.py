"""Accessibility, weight, hostile sources, and what works without a mouse, a script or a screen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from app.desk import LAKE, LAKE_QUESTION, PDF_QUESTION, Desk, ask, opened, serving, violations
from app.test_browser import fits

pytestmark = pytest.mark.browser
#: Bytes over the wire of the first visit.
BUDGET = 60_000
LAST = "The heron lake holds one old boat."


def first_visit(page: Page) -> None:
    expect(page.locator(".examples")).to_be_visible()


def an_answer(page: Page) -> None:
    entry = ask(page, LAKE_QUESTION)
    for summary in entry.locator("summary").all():
        summary.click()
    entry.get_by_role("button", name="Good answer").click()
    expect(entry.get_by_label("Note (optional)")).to_be_visible()


def a_failure(page: Page) -> None:
    ask(page, "gold author:smith")
    expect(page.get_by_role("alert")).to_be_visible()


def a_citation(page: Page) -> None:
    ask(page, LAKE_QUESTION).locator(".number").first.click()
    expect(page.locator("#pane mark").first).to_be_visible()
    page.get_by_text("Outline").click()


def a_preview(page: Page) -> None:
    ask(page, LAKE_QUESTION).locator(".number").first.hover()
    expect(page.get_by_role("tooltip")).to_be_visible()


def a_printed_page(page: Page) -> None:
    ask(page, PDF_QUESTION).locator(".number").first.click()
    expect(page.locator("#pane rect.cited")).to_be_visible()


def a_table(page: Page) -> None:
    page.goto(f"{page.url}sources/cities.csv?start=22&end=43")


def the_sources(page: Page) -> None:
    page.get_by_role("link", name="Sources").click()
    expect(page.locator("#source-list")).to_be_visible()


def the_history(page: Page) -> None:
    ask(page, LAKE_QUESTION)
    page.get_by_role("button", name="History").click()
    page.get_by_role("button", name=f"Rename {LAKE_QUESTION}").click()
    expect(page.get_by_label("New name")).to_be_visible()


def the_status(page: Page) -> None:
    page.goto(f"{page.url}status")


def without_script(page: Page) -> None:
    page.goto(f"{page.url}ask?q=What+boats+does+the+heron+lake+hold")


def no_such_page(page: Page) -> None:
    page.goto(f"{page.url}sources/none.txt")


STATES = [
    first_visit,
    an_answer,
    a_failure,
    a_citation,
    a_preview,
    a_printed_page,
    a_table,
    the_sources,
    the_history,
    the_status,
    without_script,
    no_such_page,
]


@pytest.mark.parametrize("size", ["desktop", "phone"], ids=["light", "dark"])
@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_axe_finds_nothing(
    browser: Browser,
    desk: Desk,
    axe: str,
    state: Callable[[Page], None],
    size: str,
) -> None:
    with opened(browser, desk.address, size, ignore="status of 4") as page:
        state(page)
        found = violations(page, axe)
        if state is a_preview:  # it covers a part of what is below it, until Escape
            found = [entry for entry in found if not entry.startswith("target-size")]
        assert found == []


def test_the_first_visit_is_light(browser: Browser, desk: Desk) -> None:
    context = browser.new_context()
    page = context.new_page()
    sizes: dict[str, float] = {}
    session = context.new_cdp_session(page)
    session.send("Network.enable")
    session.on(
        "Network.loadingFinished",
        lambda event: sizes.update({event["requestId"]: event["encodedDataLength"]}),
    )
    page.goto(desk.address, wait_until="networkidle")
    expect(page.locator(".examples")).to_be_visible()
    context.close()
    assert len(sizes) > 10  # the page, the style, the scripts
    assert sum(sizes.values()) <= BUDGET


@pytest.mark.parametrize("size", ["desktop", "phone"])
@pytest.mark.parametrize(
    ("question", "shown"),
    [
        ("What did the badger say loudly?", "<script>document.title='owned'</script>"),
        ("What did the walrus say loudly?", "The walrus said"),
        ("What did the wombat write in a book?", "\u0301"),
        ("What did the lemur write backwards?", "gnihtemos"),
        ("Which ocelot has a source with a long title?", "The ocelot has"),
    ],
    ids=[
        "tags",
        "Markdown",
        "10,000 combining marks",
        "turned around",
        "a title of 5,000 characters",
    ],
)
def test_hostile_sources_are_text(
    browser: Browser, desk: Desk, size: str, question: str, shown: str
) -> None:
    with opened(browser, desk.address, size) as page:
        entry = ask(page, question)
        assert fits(page)
        assert entry.locator("script, img, .quote a[href^='javascript']").count() == 0
        number = entry.locator(".number").first
        number.hover()
        expect(page.get_by_role("tooltip")).to_be_visible()
        assert fits(page)
        number.click()
        expect(page.locator("#pane mark").first).to_be_visible()
        assert page.locator("#pane-body script, #pane-body img").count() == 0
        assert page.locator("#pane-body article a").count() == 0
        assert fits(page)
        header = page.locator("#pane > header").bounding_box()
        assert header and header["height"] < 120  # a long title takes no room from the text
        page.keyboard.press("Escape")
        the_sources(page)
        assert fits(page)
        assert "owned" not in page.title()
        assert shown in entry.locator(".answer").inner_text()


def test_a_text_that_runs_the_other_way_turns_nothing_else(browser: Browser, desk: Desk) -> None:
    """An override inside a quote must not reach the number behind it."""
    with opened(browser, desk.address) as page:
        quote = ask(page, "What did the lemur write backwards?").locator(".quote").first
        number = quote.locator(".number")
        text, place = quote.bounding_box(), number.bounding_box()
        assert text and place
        assert place["x"] > text["x"] + 100  # behind the words, not before them


def test_everything_is_reached_by_keyboard(browser: Browser, desk: Desk) -> None:
    with opened(browser, desk.address) as page:
        page.keyboard.type(LAKE_QUESTION)
        page.keyboard.press("Enter")
        number = page.locator(".quote .number").first
        expect(number).to_be_visible()
        for _ in range(30):
            if number.evaluate("element => element === document.activeElement"):
                break
            page.keyboard.press("Shift+Tab")
        expect(number).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.locator("#pane mark:not(.near)")).to_be_focused()
        page.keyboard.press("ArrowLeft")  # around to the last
        expect(page.locator("#pane mark:not(.near)")).to_have_text(LAST)
        page.keyboard.press("/")
        expect(page.get_by_label("Your question")).to_be_focused()
        page.keyboard.press("Escape")
        expect(page.locator("#pane")).to_be_hidden()
        expect(number).to_be_focused()


def test_it_is_usable_at_twice_the_size(browser: Browser, desk: Desk) -> None:
    viewport = {"width": 640, "height": 400}
    with opened(browser, desk.address, viewport=viewport, device_scale_factor=2) as page:
        ask(page, LAKE_QUESTION).locator(".number").first.click()
        expect(page.locator("#pane mark:not(.near)")).to_be_in_viewport()
        assert fits(page)


def test_printing_leaves_the_questions_and_answers(browser: Browser, desk: Desk) -> None:
    with opened(browser, desk.address) as page:
        entry = ask(page, LAKE_QUESTION)
        entry.locator(".number").first.click()
        page.emulate_media(media="print")
        expect(entry.locator(".asked")).to_be_visible()
        expect(entry.locator(".quote").first).to_be_visible()
        expect(entry.locator(".citations")).to_be_visible()
        for gone in ("#composer", "#pane", ".tools", ".top nav"):
            expect(page.locator(gone).first).to_be_hidden()


def test_asking_and_reading_need_no_script(browser: Browser, desk: Desk) -> None:
    with opened(browser, desk.address, java_script_enabled=False) as page:
        page.get_by_label("Your question").fill("Where does the Danube rise?")
        page.get_by_role("button", name="Ask").click()
        expect(page.locator(".quote").first).to_contain_text("The Danube rises")
        page.get_by_label("Your question").fill("and the Rhine?")
        page.get_by_role("button", name="Ask").click()
        expect(page.get_by_text("Searched for: Where does the Rhine rise?")).to_be_visible()
        page.locator(".number").first.click()
        expect(page.locator("mark").first).to_contain_text("Rhine")
        expect(page.locator("mark").first).to_be_in_viewport()
        page.get_by_role("link", name="Back to the questions").click()
        page.get_by_role("link", name="Sources").click()
        page.get_by_role("link", name="A report on quarries").click()
        page.get_by_role("link", name="Later").click()
        expect(page.get_by_role("img", name="Page 2 as it is printed")).to_be_visible()


def test_a_link_of_another_site_asks_nothing(browser: Browser, desk: Desk, tmp_path: Path) -> None:
    other = tmp_path / "other.html"
    other.write_text(f"<a href='{desk.address}/ask?q=Where+does+the+Danube+rise'>go</a>")
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(other.as_uri())
    page.get_by_text("go").click()
    expect(page.get_by_label("Your question")).to_have_value("Where does the Danube rise")
    expect(page.locator(".quote")).to_have_count(0)
    context.close()


def test_where_nothing_can_be_stored_asking_works(browser: Browser, tmp_path: Path) -> None:
    with serving(tmp_path, {"lake.md": LAKE}) as desk:
        context = browser.new_context()
        context.add_init_script("Object.defineProperty(window, 'indexedDB', {value: undefined})")
        page = context.new_page()
        page.goto(desk.address)
        ask(page, LAKE_QUESTION)
        page.get_by_role("button", name="New thread").click()
        page.get_by_role("button", name="History").click()
        expect(page.locator(".threads .title")).to_have_text([LAKE_QUESTION])
        context.close()
