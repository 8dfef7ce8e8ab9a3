from __future__ import annotations

import html
import io
import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from fakes import FakeEncoder, fill
from qa.assistant import Assistant
from qa.cli import main
from qa.config import Settings
from qa.errors import SourceError, UnknownSource
from qa.evidence import (
    FORMATS,
    Asked,
    Pack,
    asked,
    collect,
    escape_markdown,
    file_name,
    to_html,
    to_json,
    to_markdown,
)
from qa.ingest import build
from qa.types import Location
from qa.verify import Cited, read_citations, verify

NOON = datetime(2026, 11, 22, 13, 0, 1, 999, tzinfo=timezone(timedelta(hours=1)))
VIENNA = "Vienna stands on the Danube."
NASTY = (
    "<script>alert(1)</script> </blockquote> [link](javascript:x) ![i](x) **bold** _x_ `code` "
    "&amp; &#60; \\* ~~gone~~ | table | $x^2$ :smile: www.example.org https://example.org <!-- -->"
    " {{ 7 * 7 }} {% raw %} [^1] é e\u0301 🜚 \u202eright\u202c שלום"
)


@pytest.fixture
def assistant(indexed: Settings, fake: FakeEncoder) -> Assistant:
    return Assistant.open(settings=indexed, encoder=fake)


def cited(assistant: Assistant, uri: str, quote: str) -> Cited:
    document = assistant.store.document(uri)
    start = document.text.index(quote)
    return Cited(uri, start, start + len(quote), quote, document.sha256)


def answered(assistant: Assistant, **changes: Any) -> Asked:
    generation = assistant.store.generation
    quotes = (cited(assistant, "cities/vienna.md", VIENNA),)
    question = "Where does Vienna stand?"
    return replace(Asked(question, question, 0.9, generation, quotes), **changes)


def refused(assistant: Assistant, **changes: Any) -> Asked:
    question = "Who won?"
    found = Asked(question, question, 0.02, assistant.store.generation)
    return replace(found, related=(Location("notes.txt", 0, 30),), **changes)


def pack_of(assistant: Assistant, settings: Settings, quote: str) -> Pack:
    """A pack of one quote, which need not be in any source."""
    reply = answered(assistant, citations=(Cited("gone.txt", 0, len(quote), quote),))
    return collect(assistant, settings, [reply], NOON)


# what is in a pack


def test_a_quote_is_checked_and_described(assistant: Assistant, indexed: Settings) -> None:
    danube = cited(assistant, "rivers.md", "The **Danube** rises in the Black Forest.[^1]")
    reply = answered(assistant, citations=(danube,))
    pack = collect(assistant, indexed, [reply], NOON)
    assert (pack.format, pack.created) == ("qa-evidence-1", "2026-11-22T12:00:01+00:00")
    assert pack.generation == assistant.store.generation
    (found,) = pack.answers
    assert (found.question, found.confidence, found.answered) == (reply.question, 0.9, True)
    assert found.searched.count == 3
    (quote,) = found.citations
    assert quote.quote == danube.quote
    assert (quote.state, quote.moved_to, quote.sha256) == ("valid", None, danube.sha256)
    assert (quote.title, quote.date, quote.section) == (
        "Rivers of Europe",
        "2024-05-01",
        ("The Danube",),
    )
    assert (quote.line, quote.page) == (9, None)
    assert quote.references == ('Atlas Press, "Rivers", 2019.',)


def test_a_pack_of_an_answer_has_its_facts(assistant: Assistant, indexed: Settings) -> None:
    """What is looked up again is what the answer said."""
    replies = [assistant.ask(question) for question in ("Danube rises Black Forest", "Gold melts")]
    pack = collect(assistant, indexed, [asked(reply) for reply in replies], NOON)
    for reply, found in zip(replies, pack.answers, strict=True):
        assert reply.answered and found.answered
        assert len(reply.citations) == len(found.citations)
        for citation, quote in zip(reply.citations, found.citations, strict=True):
            for (
                name
            ) in "uri start end quote title date sha256 section page line references".split():
                assert getattr(citation, name) == getattr(quote, name), name


def test_a_refusal_says_what_was_searched(assistant: Assistant, indexed: Settings) -> None:
    reply = refused(assistant, after="2024-01-01")
    (found,) = collect(assistant, indexed, [reply], NOON).answers
    assert (found.answered, found.citations) == (False, ())
    assert (found.searched.count, found.searched.after) == (1, "2024-01-01")
    (near,) = found.related
    assert (near.quote, near.state) == ("Copper melts at 1,085 degrees.", "valid")
    only = replace(reply, after=None, sources=("notes.txt",))
    (found,) = collect(assistant, indexed, [only], NOON).answers
    assert (found.searched.count, found.searched.sources) == (1, ("notes.txt",))
    with pytest.raises(UnknownSource):
        collect(assistant, indexed, [replace(reply, sources=("gone.txt",))], NOON)


def test_the_passages_of_a_refusal_are_the_nearest(assistant: Assistant, indexed: Settings) -> None:
    reply = replace(assistant.ask("Danube", limit=4), answered=False, citations=())
    given = asked(reply, ["rivers.md"], "2024-01-01", None)
    assert (given.sources, given.after, given.before) == (("rivers.md",), "2024-01-01", None)
    (found,) = collect(assistant, indexed, [given], NOON).answers
    assert [near.quote for near in found.related] == [near.text for near in reply.passages[:3]]


def test_what_another_generation_said_is_not_made_up(
    assistant: Assistant, indexed: Settings
) -> None:
    """Places mean something else there, and so does the number of sources."""
    (found,) = collect(
        assistant, indexed, [refused(assistant, generation="20200101T000000-0")], NOON
    ).answers
    assert (found.searched.count, found.related) == (None, ())
    reply = answered(assistant, generation="20200101T000000-0", sources=("gone.txt",))
    (found,) = collect(assistant, indexed, [reply], NOON).answers
    assert found.citations[0].state == "valid"


@pytest.mark.parametrize(
    ("now", "state", "moved"),
    [
        (f"Note.\n{VIENNA}\n", "moved", Location("cities/vienna.md", 6, 6 + len(VIENNA))),
        ("Vienna lies on the Danube.\n", "changed", None),
        (None, "missing", None),
    ],
    ids=["moved", "changed", "missing"],
)
def test_the_state_is_that_of_the_file_now(
    assistant: Assistant, indexed: Settings, now: str | None, state: str, moved: Location | None
) -> None:
    reply = answered(assistant)
    path = indexed.corpus / "cities" / "vienna.md"
    path.unlink()
    if now:
        path.write_text(now, encoding="utf-8")
    pack = collect(assistant, indexed, [reply], NOON)
    (quote,) = pack.answers[0].citations
    assert (quote.state, quote.moved_to, quote.title) == (state, moved, "Vienna")
    for write, _, _ in FORMATS.values():
        assert state in write(pack)


def test_a_quote_that_was_made_up_is_not_described(assistant: Assistant, indexed: Settings) -> None:
    false = Cited("cities/vienna.md", 50, 60, "Vienna has no river.", "0" * 64)
    gone = Cited("gone.txt", 0, 4, "Gone")
    reply = answered(assistant, citations=(false, gone))
    first, second = collect(assistant, indexed, [reply], NOON).answers[0].citations
    assert (first.state, first.section, first.line, first.references) == ("changed", (), None, ())
    assert (second.state, second.title, second.sha256) == ("missing", None, None)


def test_without_a_corpus_there_is_no_pack(assistant: Assistant, indexed: Settings) -> None:
    lost = replace(indexed, corpus=indexed.corpus / "gone")
    with pytest.raises(SourceError, match="no such folder"):
        collect(assistant, lost, [answered(assistant)], NOON)


# JSON


def test_a_pack_is_verified_like_an_answer(assistant: Assistant, indexed: Settings) -> None:
    first, second = answered(assistant), cited(assistant, "notes.txt", "Gold melts at 1,064")
    replies = [first, refused(assistant), answered(assistant, citations=(second,))]
    text = to_json(collect(assistant, indexed, replies, NOON))
    found = read_citations("pack.json", text)
    assert found == [*first.citations, second]
    assert [entry.state for entry in verify(indexed, found)] == ["valid", "valid"]
    one = to_json(collect(assistant, indexed, [first], NOON))
    assert read_citations("pack.json", one) == list(first.citations)


@given(st.text(min_size=1))
def test_json_keeps_every_quote(quote: str) -> None:
    entry = {"uri": "a.txt", "start": 0, "end": 1, "quote": quote}
    (found,) = read_citations("a.json", json.dumps({"answers": [{"citations": [entry]}]}))
    assert found.quote == quote


# Markdown and HTML


def rendered(markdown: str) -> str:
    """Return the text that Markdown of one paragraph shows, as CommonMark and GitHub see it."""
    parser = MarkdownIt("gfm-like", {"linkify": False})
    opened, inline, closed = parser.parse(markdown)
    assert (opened.type, closed.type) == ("paragraph_open", "paragraph_close")
    assert inline.children is not None
    assert {child.type for child in inline.children} <= {"text"}
    return "".join(child.content for child in inline.children)


#: What neither Markdown nor a browser shows: control characters, of which a source has none.
PRINTABLE = st.characters(exclude_categories=("Cs", "Cc")) | st.sampled_from("\t\n\r \\`*_[]<>&#-.")


@given(st.text(PRINTABLE, min_size=1))
def test_markdown_shows_the_text_and_nothing_else(text: str) -> None:
    assert rendered(escape_markdown(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        NASTY,
        "# heading",
        "- item",
        "+ item",
        "12. item",
        "12) item",
        "> quote",
        "    code",
        "\ttab",
        "```\nfence\n```",
        "a  \nb\\\nc",
        "text\n===\ntext\n---",
        "| a | b |\n|---|---|\n| 1 | 2 |",
        "trailing  ",
        "one\r\ntwo\rthree\u2028four\xa0",
        "<b>&copy;&#x41;</b>",
        "[a]: http://example.org",
    ],
)
def test_markdown_of_nasty_texts(text: str) -> None:
    assert rendered(escape_markdown(text)) == text
    assert "\n" not in escape_markdown(text)


class Page(HTMLParser):
    """What a browser would make of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.quotes: list[str] = []
        self._inside = False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        assert not [name for name, _ in attrs if name.startswith("on") or name in ("src", "href")]
        if tag == "blockquote":
            self.quotes.append("")
            self._inside = True

    def handle_endtag(self, tag: str) -> None:
        self._inside = self._inside and tag != "blockquote"

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.quotes[-1] += data


TAGS = set(
    "html head meta title style body h1 h2 h3 p article section blockquote dl div dt dd ul li "
    "strong".split()
)


@pytest.mark.parametrize("quote", [NASTY, "  one\r\n two\r\tthree \n", "a</style><style>*{}"])
def test_html_shows_the_quote_and_runs_nothing(
    assistant: Assistant, indexed: Settings, quote: str
) -> None:
    page = to_html(pack_of(assistant, indexed, quote))
    found = Page(page)
    assert found.quotes == [quote]
    assert set(found.tags) <= TAGS
    assert "default-src 'none'; style-src 'unsafe-inline'" in html.unescape(page)
    inside = page.split("<blockquote")[1].split("</blockquote>")[0]
    assert "\r" not in inside  # a browser would make a line feed of it


def test_everything_else_is_escaped_too(settings: Settings, fake: FakeEncoder) -> None:
    """Titles, headings, footnotes and names of files come from the sources."""
    evil = "<img src=x onerror=alert(1)>"
    fill(
        settings.corpus,
        {
            "<b>&.md": f"---\ntitle: '{evil}'\n---\n# {evil}\n\n## {evil} two\n\n"
            f"The walrus swims.[^1]\n\n[^1]: {evil}\n"
        },
    )
    build(settings, fake)
    assistant = Assistant.open(settings=settings, encoder=fake)
    reply = Asked(
        f"{evil} **?**",
        f"{evil} stand-alone?",
        0.9,
        assistant.store.generation,
        (cited(assistant, "<b>&.md", "The walrus swims.[^1]"),),
        sources=("<b>&.md",),
    )
    pack = collect(assistant, settings, [reply], NOON)
    assert set(Page(to_html(pack)).tags) <= TAGS
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(to_markdown(pack))
    kinds = {child.type for token in tokens for child in token.children or ()}
    assert kinds <= {"text", "softbreak"}
    shown = "".join(child.content for token in tokens for child in token.children or ())
    for write in (shown, html.unescape(to_html(pack))):
        assert write.count(evil) >= 3


def test_the_formats_say_the_same(assistant: Assistant, indexed: Settings) -> None:
    pack = collect(assistant, indexed, [answered(assistant), refused(assistant)], NOON)
    shown = [html.unescape(re.sub("<[^>]*>", "", to_html(pack)))]
    shown.append(html.unescape(re.sub(r"\\(.)", r"\1", to_markdown(pack))))
    for text in shown:
        for wanted in (
            "Where does Vienna stand?",
            VIENNA,
            "Vienna (2023-01-15)",
            "cities/vienna.md, line 5, characters 39-67",
            assistant.store.document("cities/vienna.md").sha256,
            assistant.store.generation,
            "2026-11-22 12:00:01 UTC",
            "valid: the quote stands there in the file",
            "Who won?",
            "The sources do not answer this.",
            "Searched: 3 sources, in the index",
            "Related, not an answer: 1",
            "Copper melts at 1,085 degrees.",
            "Confidence that the sources answer: 2%",
        ):
            assert wanted in text, wanted


@pytest.mark.parametrize(
    ("questions", "name"),
    [
        (["What is the SDN list?"], "qa-what-is-the-sdn-list-2026-11-22.md"),
        (["../../Été <b>?\r\n"], "qa-ete-b-2026-11-22.md"),
        (["那是什么？"], "qa-answer-2026-11-22.md"),
        (["word " * 20], f"qa-{'-'.join(['word'] * 10)}-2026-11-22.md"),
        (["x" * 99], f"qa-{'x' * 50}-2026-11-22.md"),
        (["a", "b"], "qa-thread-2026-11-22.md"),
    ],
)
def test_the_file_is_named_for_the_question(
    assistant: Assistant, indexed: Settings, questions: list[str], name: str
) -> None:
    replies = [answered(assistant, question=question, citations=()) for question in questions]
    assert (
        file_name(collect(assistant, indexed, replies, datetime(2026, 11, 22, tzinfo=UTC)), "md")
        == name
    )


# the command line


@pytest.fixture
def asking(indexed: Settings, fake: FakeEncoder, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A command that asks the small corpus, without the real model."""
    monkeypatch.setattr("qa.assistant.open_encoder", lambda _: fake)
    return ["ask", "--corpus", str(indexed.corpus), "--index", str(indexed.index)]


def test_a_pack_is_written_and_verified(
    asking: list[str], indexed: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "pack.json"
    check = ["verify", *asking[1:], str(file)]
    assert main([*asking, "Gold melts", "--format", "json", "--output", str(file)]) == 0
    assert capsys.readouterr().out == ""
    assert main(check) == 0
    assert capsys.readouterr().out == (
        "valid     notes.txt, characters 31-59\n1 citation: 1 valid.\n"
    )
    notes = indexed.corpus / "notes.txt"
    notes.write_text(notes.read_text().replace("1,064", "1,063"))
    assert main(check) == 1
    assert capsys.readouterr().out == (
        "changed   notes.txt, characters 31-59\n1 citation: 1 changed.\n"
    )


def test_the_formats_of_the_command_line(
    asking: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs = {}
    for name in ("json", "markdown", "html", "text"):
        assert main([*asking, "Gold melts", "--format", name]) == 0
        outputs[name] = capsys.readouterr().out
    assert json.loads(outputs["json"])["format"] == "qa-evidence-1"
    assert outputs["markdown"].startswith("# Evidence\n")
    assert outputs["html"].startswith("<!doctype html>\n")
    assert outputs["text"].startswith("“Gold melts at 1,064 degrees.” [1]")
    monkeypatch.setattr("sys.stdin", io.StringIO(outputs["json"]))
    assert main(["verify", *asking[1:], "-"]) == 0
    with pytest.raises(SystemExit, match="2"):
        main([*asking, "Gold melts", "--format", "html", "--json"])


def test_any_output_can_be_kept(asking: list[str], tmp_path: Path) -> None:
    file = tmp_path / "reply.json"
    assert main([*asking, "Gold melts", "--json", "--output", str(file)]) == 0
    assert json.loads(file.read_text(encoding="utf-8"))["answered"] is True
    assert main([*asking, "Gold melts", "--output", str(tmp_path / "no" / "reply.txt")]) == 4


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ({"answers": [3]}, "answers[0]: expected what qa ask --json prints, an evidence pack,"),
        ({"answers": [{"citations": []}, {}]}, "answers[1]: expected what"),
        (
            {"answers": [{"citations": [{"uri": 3}]}]},
            "answers[0].citations[0].uri: expected a text",
        ),
    ],
)
def test_a_damaged_pack_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], data: Any, reason: str
) -> None:
    file = tmp_path / "pack.json"
    file.write_text(json.dumps(data))
    assert main(["verify", str(file)]) == 2
    assert capsys.readouterr().err.startswith(f"qa: {file}: {reason}")
