"""Reading beside the thread, history, sources and uploads, as a person meets them in Chromium."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Route, expect

from app.desk import (
    LAKE,
    LAKE_QUESTION,
    PDF_QUESTION,
    Desk,
    ask,
    opened,
    serving,
    violations,
)
from app.test_browser import fits
from fakes import CORPUS, FakeEncoder, fill
from qa.ingest import build

pytestmark = pytest.mark.browser
BOTH = pytest.mark.parametrize("size", ["desktop", "phone"])
TEN = "The heron lake holds ten wooden boats."
IRON = "The heron lake holds two iron boats."
OLD = "The heron lake holds one old boat."
DANUBE = "Where does the Danube rise?"


@BOTH
def test_the_first_visit_offers_questions_that_are_answered(
    browser: Browser, desk: Desk, size: str
) -> None:
    with opened(browser, desk.address, size) as page:
        expect(page.get_by_role("heading", name="What do your documents say?")).to_be_visible()
        expect(page.get_by_text("11 sources, ")).to_be_visible()
        examples = page.locator(".examples a")
        assert 1 <= examples.count() <= 4
        question = examples.first.inner_text()
        examples.first.click()
        expect(page.locator(".asked")).to_have_text(question)
        expect(page.locator(".quote").first).to_be_visible()


@BOTH
def test_citations_are_read_beside_the_thread(browser: Browser, desk: Desk, size: str) -> None:
    with opened(browser, desk.address, size) as page:
        entry = ask(page, LAKE_QUESTION)
        quotes = entry.locator(".quote")
        expect(quotes).to_have_text([f"{TEN}1", f"{IRON}2", f"{OLD}3"])
        first = entry.locator(".number").first
        first.click()
        cited, near = page.locator("#pane mark:not(.near)"), page.locator("#pane mark.near")
        expect(cited).to_have_text(TEN)
        expect(cited).to_be_in_viewport()
        expect(cited).to_be_focused()
        expect(near).to_have_text([IRON, OLD])
        expect(page.locator("#pane-title")).to_have_text("The heron lake")
        assert page.locator("#main").evaluate("element => element.inert") == (size == "phone")
        assert fits(page)

        page.get_by_role("button", name="Next citation").click()
        expect(cited).to_have_text(IRON)
        expect(page.locator("#pane-tools")).to_contain_text("2 of 3")
        expect(entry.locator(".number[aria-current]")).to_have_text("2")
        page.keyboard.press("ArrowRight")
        expect(cited).to_have_text(OLD)
        page.keyboard.press("ArrowLeft")
        expect(cited).to_have_text(IRON)
        page.get_by_text("Outline").click()
        page.get_by_role("link", name="Rules of the shore").click()
        expect(page.locator("#pane h3", has_text="Rules of the shore")).to_be_focused()

        page.keyboard.press("Escape")
        expect(page.locator("#pane")).to_be_hidden()
        expect(first).to_be_focused()
        assert not page.locator("#main").evaluate("element => element.inert")
        first.click()
        expect(cited).to_have_text(TEN)
        page.go_back()  # as a person with a phone does
        expect(page.locator("#pane")).to_be_hidden()
        expect(quotes.first).to_be_visible()


def test_a_number_shows_its_quote_in_context(browser: Browser, desk: Desk) -> None:
    with opened(browser, desk.address) as page:
        entry = ask(page, LAKE_QUESTION)
        card = page.get_by_role("tooltip")
        numbers = entry.locator(".number")
        numbers.nth(1).hover()
        expect(card.locator("mark")).to_have_text(IRON)
        expect(card).to_contain_text("Herons nest here.")  # what stands behind it
        expect(card).to_contain_text("The heron lake · Boats")
        card.hover()
        expect(card).to_be_visible()
        page.keyboard.press("Escape")
        expect(card).to_be_hidden()

        page.keyboard.press("Shift+Tab")  # the keyboard now, not the pointer
        numbers.first.focus()
        expect(card.locator("mark")).to_have_text(TEN)
        expect(numbers.first).to_have_attribute("aria-describedby", "preview")
        page.keyboard.press("ArrowRight")
        expect(numbers.nth(1)).to_be_focused()
        expect(card.locator("mark")).to_have_text(IRON)


def test_an_answer_tells_how_sure_it_is_and_why(browser: Browser, desk: Desk) -> None:
    with opened(browser, desk.address) as page:
        entry = ask(page, LAKE_QUESTION)
        words = entry.locator(".confidence summary")
        expect(words).to_have_text(re.compile(r"^(Very confident|Confident|Fairly|Not confident)"))
        share = entry.get_by_text(re.compile(r"The chance that the sources answer this is \d+%"))
        expect(share).to_be_hidden()
        words.click()
        expect(share).to_be_visible()
        entry.get_by_text("Why", exact=True).click()
        facts = entry.locator(".why").first
        expect(facts).to_contain_text("heron, lake, boats, holds, herons")
        expect(facts).to_contain_text(re.compile(r"\d by meaning, \d by words"))
        expect(facts).to_contain_text(re.compile(r"-?\d+\.\d, with \d+% of the question"))


@BOTH
def test_a_pdf_opens_at_the_box_of_its_quote(browser: Browser, desk: Desk, size: str) -> None:
    with opened(browser, desk.address, size) as page:
        entry = ask(page, PDF_QUESTION)
        expect(entry.locator(".quote").first).to_contain_text("opened in spring of 1874")
        with page.expect_response(re.compile("/page-images/")) as drawn:
            entry.locator(".number").first.click()
        assert drawn.value.headers["content-type"] == "image/png"
        box = page.locator("#pane rect.cited")
        expect(box).to_have_count(1)
        expect(box).to_be_in_viewport()
        paper = page.get_by_role("img", name="Page 2 as it is printed, with the quoted text marked")
        inside, whole = box.bounding_box(), paper.bounding_box()
        assert inside and whole
        # drawn with its baseline 472 points above the foot of a page of 600
        middle = (inside["y"] + inside["height"] / 2 - whole["y"]) / whole["height"]
        assert abs(middle - (600 - 475) / 600) < 0.01
        assert abs((inside["x"] - whole["x"]) / whole["width"] - 50 / 400) < 0.02
        page.get_by_role("link", name="Earlier").click()
        expect(page.locator("#pane .turn")).to_contain_text("Page 1 (1 of 2)")
        expect(page.locator("#pane rect")).to_have_count(0)
        page.get_by_role("link", name="As text").click()
        expect(page.locator("#pane mark")).to_contain_text("opened in spring of 1874")
        expect(page.locator("#pane .page-border")).to_have_text(["Page 1", "Page 2"])


def test_a_table_is_a_table(browser: Browser, desk: Desk) -> None:
    with opened(browser, f"{desk.address}/sources/cities.csv?start=22&end=43") as page:
        expect(page.get_by_role("columnheader")).to_have_text(["City", "Population", "River"])
        expect(page.get_by_role("row").nth(1).get_by_role("cell")).to_have_text(
            ["Vienna", "2005760", "Danube"]
        )
        expect(page.locator("mark")).to_have_text(["Vienna", "2005760", "Danube"])


def test_a_copied_link_finds_its_quote_again(browser: Browser, tmp_path: Path) -> None:
    with serving(tmp_path, {"lake.md": LAKE}) as desk:
        with opened(
            browser, desk.address, permissions=["clipboard-read", "clipboard-write"]
        ) as page:
            ask(page, LAKE_QUESTION).locator(".number").nth(2).click()
            page.get_by_role("button", name="Copy link").click()
            expect(page.get_by_role("button", name="Link copied")).to_be_visible()
            address = page.evaluate("navigator.clipboard.readText()")

        moved = LAKE.replace("## Rules", "A new paragraph.\n\n## Rules")
        fill(desk.settings.corpus, {"lake.md": moved})
        build(desk.settings, FakeEncoder())
        with opened(browser, address) as page:
            expect(page.get_by_role("note")).to_contain_text("has moved since")
            expect(page.locator("mark")).to_have_text(OLD)

        (desk.settings.corpus / "lake.md").rename(desk.settings.corpus / "water.md")
        build(desk.settings, FakeEncoder())
        digest = re.sub("sha256=[0-9a-f]+", f"sha256={sha256(desk, 'water.md')}", address)
        with opened(browser, digest) as page:
            expect(page).to_have_url(re.compile("/sources/water.md"))
            expect(page.locator("mark")).to_have_text(OLD)

        fill(desk.settings.corpus, {"lake.md": LAKE.replace(OLD, "It holds none.")})
        build(desk.settings, FakeEncoder())
        with opened(browser, re.sub("&sha256=.*", "", address)) as page:
            expect(page.get_by_role("note")).to_contain_text("does not say this any more")
            expect(page.get_by_role("note").locator("blockquote")).to_have_text(OLD)
            expect(page.locator("mark")).to_have_count(0)


def sha256(desk: Desk, uri: str) -> str:
    return str(desk.app.test_client().get(f"/api/v1/sources/{uri}").get_json()["sha256"])


@BOTH
def test_threads_are_kept_found_renamed_and_deleted(
    browser: Browser, desk: Desk, size: str
) -> None:
    with opened(browser, desk.address, size) as page:
        ask(page, LAKE_QUESTION)
        ask(page, DANUBE)
        page.get_by_role("button", name="New thread").click()
        ask(page, PDF_QUESTION)
        page.reload()
        expect(page.locator(".asked")).to_have_text([PDF_QUESTION])
        page.get_by_role("button", name="History").click()
        titles = page.locator(".threads .title")
        expect(titles).to_have_text([PDF_QUESTION, LAKE_QUESTION])
        expect(titles.first).to_have_attribute("aria-current", "true")
        assert fits(page)

        page.get_by_label("Find in all threads").fill("black forest")  # words of an answer
        expect(titles).to_have_text([LAKE_QUESTION])
        page.get_by_role("button", name=f"Rename {LAKE_QUESTION}").click()
        expect(page.get_by_label("New name")).to_be_focused()
        page.keyboard.type("Water")
        page.keyboard.press("Enter")
        expect(titles).to_have_text(["Water"])
        page.locator(".threads summary").click()
        with page.expect_download() as download:
            page.locator(".threads").get_by_role("button", name="JSON").click()
        pack = json.loads(Path(download.value.path()).read_text(encoding="utf-8"))
        assert [answer["question"] for answer in pack["answers"]] == [LAKE_QUESTION, DANUBE]

        titles.first.click()
        expect(page.locator("#pane")).to_be_hidden()
        expect(page.locator(".asked")).to_have_text([LAKE_QUESTION, DANUBE])
        page.get_by_role("button", name="History").click()
        page.get_by_role("button", name="Delete Water").click()
        expect(titles).to_have_count(2)
        page.get_by_role("button", name="Delete for good? Water").click()
        expect(titles).to_have_text([PDF_QUESTION])
        expect(titles.first).to_be_focused()
        page.keyboard.press("Escape")
        expect(page.locator(".asked")).to_have_count(0)


def test_a_thread_keeps_its_new_name_and_its_tab(browser: Browser, desk: Desk) -> None:
    with opened(browser, desk.address) as page:
        ask(page, LAKE_QUESTION)
        page.get_by_role("button", name="New thread").click()
        ask(page, DANUBE)
        for question, name in ((DANUBE, "Rivers"), (LAKE_QUESTION, "Water")):
            page.get_by_role("button", name="History").click()
            page.get_by_role("button", name=f"Rename {question}").click()
            page.get_by_label("New name").fill(name)
            page.keyboard.press("Enter")
            expect(page.get_by_role("button", name=name, exact=True)).to_be_focused()
            page.keyboard.press("Escape")
        ask(page, PDF_QUESTION)
        page.reload()
        expect(page.locator(".asked")).to_have_text([DANUBE, PDF_QUESTION])
        page.get_by_role("button", name="History").click()
        expect(page.locator(".threads .title")).to_have_text(["Rivers", "Water"])


def test_a_thread_in_two_tabs_has_the_questions_of_both(browser: Browser, desk: Desk) -> None:
    with opened(browser, desk.address) as page:
        ask(page, LAKE_QUESTION)
        with page.expect_popup() as popup:  # gets a copy of what the tab remembers
            page.evaluate("() => { open('/'); }")
        other = popup.value
        expect(other.locator(".asked")).to_have_text([LAKE_QUESTION])
        ask(page, DANUBE)
        ask(other, PDF_QUESTION)
        other.reload()
        expect(other.locator(".asked")).to_have_text([LAKE_QUESTION, DANUBE, PDF_QUESTION])


def test_a_thread_is_kept_in_the_order_of_its_questions(browser: Browser, desk: Desk) -> None:
    with opened(browser, desk.address) as page:
        held: list[Route] = []
        page.route("**/api/v1/answer", lambda route: held.append(route), times=1)
        page.get_by_label("Your question").fill(LAKE_QUESTION)
        page.keyboard.press("Enter")
        expect(page.locator(".waiting")).to_have_count(1)
        page.get_by_label("Your question").fill(DANUBE)
        page.keyboard.press("Enter")
        expect(page.locator("#thread > li").nth(1).locator(".quote").first).to_be_visible()
        held[0].continue_()
        expect(page.locator("#thread > li").nth(0).locator(".quote").first).to_be_visible()
        page.reload()
        expect(page.locator(".asked")).to_have_text([LAKE_QUESTION, DANUBE])


def test_a_citation_leads_to_its_quote_in_a_newer_index(browser: Browser, tmp_path: Path) -> None:
    with (
        serving(tmp_path, {"lake.md": LAKE}) as desk,
        opened(browser, desk.address, ignore="status of 404") as page,
    ):
        item = ask(page, LAKE_QUESTION)
        quoted = item.locator(".quote").first
        text = (quoted.text_content() or "").strip().removesuffix("1").strip()
        fill(desk.settings.corpus, {"lake.md": LAKE.replace("## Boats", "New.\n\n## Boats")})
        build(desk.settings, FakeEncoder())
        quoted.locator(".number").click()
        expect(page.locator("#pane mark")).to_have_text([text])
        expect(page.locator("#pane").get_by_role("note")).to_contain_text("has moved since")
        page.keyboard.press("Escape")
        (desk.settings.corpus / "lake.md").unlink()
        fill(desk.settings.corpus, {"other.md": "# Other\n\nNothing of it."})
        build(desk.settings, FakeEncoder())
        quoted.locator(".number").click()
        expect(page.locator("#pane .failed")).to_contain_text("lake.md is not among the sources")


def test_the_pane_after_forward_and_beside_history(browser: Browser, desk: Desk) -> None:
    with opened(browser, desk.address) as page:
        item = ask(page, LAKE_QUESTION)
        item.locator(".number").first.click()
        expect(page.locator("#pane mark").first).to_be_visible()
        page.get_by_role("button", name="History").click()
        page.locator(".threads .title").focus()
        page.keyboard.press("ArrowRight")
        expect(page.locator("#pane-title")).to_have_text("History")
        page.go_back()
        expect(page.locator("#pane")).to_be_hidden()
        page.go_forward()
        item.locator(".number").first.click()
        expect(page.locator("#pane mark").first).to_be_visible()
        page.get_by_role("button", name="Close").click()
        expect(page.locator("#pane")).to_be_hidden()


def test_what_the_keyboard_reaches_is_not_under_the_head(browser: Browser, desk: Desk) -> None:
    with opened(browser, desk.address) as page:
        for question in (LAKE_QUESTION, DANUBE, PDF_QUESTION, LAKE_QUESTION):
            ask(page, question)
        for _ in range(40):
            page.keyboard.press("Shift+Tab")
            hidden = page.evaluate(
                """() => {
                  const focused = document.activeElement;
                  const head = document.getElementById("top");
                  const { bottom } = focused.getBoundingClientRect();
                  return !head.contains(focused) && bottom <= head.getBoundingClientRect().bottom
                    && focused !== document.body ? focused.outerHTML : "";
                }"""
            )
            assert hidden == ""


@BOTH
def test_an_answer_whose_source_changed_is_stale(
    browser: Browser, tmp_path: Path, axe: str, size: str
) -> None:
    with (
        serving(tmp_path, {**CORPUS, "lake.md": LAKE}) as desk,
        opened(browser, desk.address, size) as page,
    ):
        ask(page, LAKE_QUESTION)
        ask(page, "What flows into the North Sea?")
        fill(desk.settings.corpus, {"lake.md": LAKE.replace(TEN, "Ten boats are gone.")})
        page.reload()
        note = page.locator(".stale")
        expect(note).to_have_count(1)
        expect(note).to_contain_text(
            "1 quote of this answer does not stand in the sources any more."
        )
        expect(note).to_contain_text("2 quotes moved")
        expect(page.locator(".quote.lost")).to_have_text([f"{TEN}1"])
        assert violations(page, axe) == []
        fill(desk.settings.corpus, {"lake.md": LAKE})  # it is there again
        page.evaluate("() => { document.dispatchEvent(new CustomEvent('qa-check')); }")
        expect(page.locator(".quote.lost")).to_have_count(0)
        fill(desk.settings.corpus, {"lake.md": LAKE.replace(TEN, "Ten boats are gone.")})
        page.reload()
        build(desk.settings, FakeEncoder())
        note.get_by_role("button", name="Ask again").click()
        last = page.locator("#thread > li").nth(2)
        expect(last.locator(".quote").first).to_be_visible()
        expect(last.locator(".answer")).not_to_contain_text(TEN)


@BOTH
def test_sources_are_found_and_chosen(browser: Browser, desk: Desk, size: str) -> None:
    sent: list[object] = []
    with opened(browser, desk.address, size) as page:
        page.on(
            "request",
            lambda request: (
                sent.append(json.loads(request.post_data or "").get("sources"))
                if request.url.endswith("/answer")
                else None
            ),
        )
        page.get_by_role("link", name="Sources").click()
        rows = page.locator("#source-list > li:visible")
        expect(rows).to_have_count(11)
        expect(page.locator('[data-uri="cities.csv"]')).to_contain_text(
            re.compile(r"CSV · undated · \d passages? · 66 bytes")
        )
        assert fits(page)
        page.get_by_label("Type", exact=True).select_option("pdf")
        expect(rows).to_have_count(1)
        page.get_by_label("Type", exact=True).select_option("")
        page.get_by_label("Find a source").fill("danube vienna")
        expect(rows).to_have_count(0)
        expect(page.get_by_text("No source fits.")).to_be_visible()
        page.get_by_label("Find a source").fill("")
        page.get_by_label("Ask all shown").uncheck()
        expect(page.get_by_text("None ticked: all are asked.")).to_be_visible()
        page.get_by_label("Ask Rivers of Europe").check()
        expect(page.locator("#chosen")).to_have_text("1 of 11 are asked.")
        page.keyboard.press("Escape")
        expect(page.get_by_text("Asking 1 source only.")).to_be_visible()
        entry = ask(page, LAKE_QUESTION)
        expect(entry.locator(".citations")).to_contain_text("Rivers of Europe")
        page.locator("#narrowed").get_by_role("button", name="Ask all").click()
        ask(page, LAKE_QUESTION)
        assert sent == [["rivers.md"], None]


def test_an_answer_remembers_what_it_was_asked_of(browser: Browser, desk: Desk) -> None:
    with opened(browser, desk.address) as page:
        page.get_by_role("link", name="Sources").click()
        page.get_by_label("Ask all shown").uncheck()
        page.get_by_label("Ask Rivers of Europe").check()
        page.keyboard.press("Escape")
        entry = ask(page, DANUBE)
        entry.get_by_text("Export this answer").click()
        with page.expect_download() as download:
            entry.get_by_role("button", name="JSON").click()
        pack = json.loads(Path(download.value.path()).read_text(encoding="utf-8"))
        assert pack["answers"][0]["searched"]["sources"] == ["rivers.md"]
        entry.get_by_role("button", name="Ask again without source: rivers.md").click()
        expect(page.locator("#narrowed")).to_be_hidden()
        again = page.locator("#thread > li").nth(1)
        expect(again.locator(".quote").first).to_be_visible()
        expect(again.locator(".chips")).to_have_count(0)


@BOTH
def test_files_are_added_asked_and_deleted(
    browser: Browser, tmp_path: Path, axe: str, size: str
) -> None:
    wolf = tmp_path / "Wolf & Co.txt"
    wolf.write_text("The grey wolf lives in the northern forest.", encoding="utf-8")
    broken = tmp_path / "broken.pdf"
    broken.write_bytes(b"%PDF-1.4 nothing")
    disguised = tmp_path / "picture.pdf"
    disguised.write_bytes(b"\x89PNG\r\n\x1a\n")
    with (
        serving(tmp_path, {"lake.md": LAKE}) as desk,
        # what is refused is also told on the console, by the browser
        opened(browser, desk.address, size, ignore="status of 4") as page,
    ):
        page.get_by_role("link", name="Sources").click()
        expect(page.locator("#drop")).to_be_visible()
        page.locator("#files").set_input_files([wolf, broken, disguised, wolf])
        results = page.locator("#uploaded li")
        expect(results.nth(0)).to_contain_text("Kept as uploads/wolf-co.txt.")
        expect(results.nth(1)).to_contain_text("broken.pdf was not taken: PDF that is damaged")
        expect(results.nth(2)).to_contain_text("it looks like a PNG image")
        expect(results.nth(3)).to_contain_text("the same file is there: uploads/wolf-co.txt")
        expect(page.locator("#job-result")).to_contain_text("rebuild the index")
        assert fits(page)
        assert violations(page, axe) == []

        page.get_by_role("button", name="Rebuild the index").click()
        listed = page.locator('[data-uri="uploads/wolf-co.txt"]')
        expect(listed).to_be_visible(timeout=60_000)
        expect(page.locator("#job-result")).to_contain_text("Sources: 1 added, 1 unchanged.")
        expect(page.locator("#count")).to_have_text("2")
        expect(page.get_by_role("button", name="Rebuild the index")).to_be_focused()
        page.keyboard.press("Escape")
        entry = ask(page, "Where does the grey wolf live?")
        expect(entry.locator(".quote").first).to_contain_text("The grey wolf lives")

        page.get_by_role("link", name="Sources").click()
        delete = page.get_by_role("button", name="Delete wolf co")
        delete.click()
        assert (desk.settings.corpus / "uploads" / "wolf-co.txt").is_file()
        delete.click()
        expect(listed).to_contain_text("Deleted")
        assert not (desk.settings.corpus / "uploads" / "wolf-co.txt").exists()


def test_a_file_is_dropped(browser: Browser, tmp_path: Path) -> None:
    with serving(tmp_path, {"lake.md": LAKE}) as desk, opened(browser, desk.address) as page:
        page.get_by_role("link", name="Sources").click()
        expect(page.locator("#drop")).to_be_visible()
        dropped = page.evaluate_handle(
            """() => {
                const carried = new DataTransfer();
                carried.items.add(new File(["A heron was seen today."], "seen.txt"));
                return carried;
            }"""
        )
        page.locator("#drop").dispatch_event("drop", {"dataTransfer": dropped})
        expect(page.locator("#uploaded li")).to_contain_text("Kept as uploads/seen.txt.")


def test_without_the_setting_nothing_is_taken(browser: Browser, tmp_path: Path) -> None:
    with (
        serving(tmp_path, {"lake.md": LAKE}, uploads=False) as desk,
        opened(browser, desk.address) as page,
    ):
        page.get_by_role("link", name="Sources").click()
        expect(page.locator("#source-list > li")).to_have_count(1)
        expect(page.locator("#drop")).to_have_count(0)


def test_a_newer_index_interrupts_nothing(browser: Browser, tmp_path: Path) -> None:
    with serving(tmp_path, {"lake.md": LAKE}) as desk, opened(browser, desk.address) as page:
        ask(page, LAKE_QUESTION).locator(".number").first.click()
        cited = page.locator("#pane mark:not(.near)")
        expect(cited).to_have_text(TEN)
        before = page.locator("#pane").evaluate("element => element.scrollTop")
        fill(desk.settings.corpus, {"more.txt": "A second lake."})
        build(desk.settings, FakeEncoder())
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        note = page.locator("#newer")
        expect(note).to_contain_text("The index is newer than this page.")
        expect(cited).to_have_text(TEN)
        assert page.locator("#pane").evaluate("element => element.scrollTop") == before
        note.get_by_role("button").click()
        expect(note).to_be_hidden()
        expect(page.locator("#count")).to_have_text("2")
        expect(cited).to_have_text(TEN)


def test_the_page_says_what_has_been_quoted(browser: Browser, tmp_path: Path) -> None:
    with serving(tmp_path, {"lake.md": LAKE}) as desk, opened(browser, desk.address) as page:
        ask(page, LAKE_QUESTION)
        page.get_by_role("link", name="Sources").click()
        page.get_by_role("link", name="The shape of the index").click()
        expect(page.locator(".strips li")).to_contain_text("quoted at 3 places")
        expect(page.locator(".strips rect.quoted")).to_have_count(3)
        expect(page.get_by_role("img", name="Sources by date: 2025-03: 1")).to_be_visible()
