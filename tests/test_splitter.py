from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

import pytest

from fakes import FakeEncoder
from qa.readers import read
from qa.splitter import context, split
from qa.types import Document, Mark, Passage

WINDOW = 40
count = FakeEncoder().count


def passages(source: str, window: int = WINDOW, uri: str = "1.md") -> list[Passage]:
    return split(read(uri, source.encode()), window, count)


def words(number: int, name: str = "word") -> str:
    """Return a sentence of so many word pieces, its stop included."""
    return " ".join([name.capitalize()] + [name] * (number - 2)) + "."


# borders


@pytest.mark.parametrize(
    ("source", "texts"),
    [
        ("One.\n\nTwo.\n", ["One.\n\nTwo."]),
        (f"{words(30)}\n\n{words(20)}\n", [words(30), words(20)]),
        (
            f"{words(10)}\n\n{words(20)} {words(15)}\n",
            [words(10), f"{words(20)} {words(15)}"],
        ),
        (
            f"{words(10)}\n\n{words(30)} {words(30, 'more')}\n",
            [f"{words(10)}\n\n{words(30)}", words(30, "more")],
        ),
        ("# A\n\nOne.\n\n# B\n\nTwo.\n", ["# A\n\nOne.", "# B\n\nTwo."]),
        ("# A\n\n## B\n\nOne.\n", ["# A\n\n## B\n\nOne."]),
        ("One.\n\n# A\n", ["One.\n\n# A"]),
        ("One.\n\nA\n===\n", ["One.\n\nA\n==="]),
        ("One.\n\n# A\n\n## B\n\n---\n", ["One.\n\n# A\n\n## B\n\n---"]),
        ("# A\n\n# B\n", ["# A\n\n# B"]),
        (
            "One.\n\n# A\n\n[^1]: Note.\n\n[^2]: Note.\n",
            ["One.\n\n# A", "[^1]: Note.\n\n[^2]: Note."],
        ),
        ("<!-- Note. -->\n\nOne.\n", ["<!-- Note. -->", "One."]),
        ("- One.\n- !!!\n- Two.\n", ["- One.\n- !!!\n- Two."]),
        ("---\n", ["---"]),
        ("[r]: http://x.y\n", ["[r]: http://x.y"]),
        ("", []),
        (" \n\n", []),
    ],
    ids=[
        "paragraphs together",
        "paragraphs apart",
        "a paragraph that fits is not begun",
        "one that does not fit is cut at a sentence",
        "sections",
        "headings in a row",
        "heading at the end",
        "underlined heading at the end",
        "headings and a rule at the end",
        "only headings",
        "hidden text apart",
        "comment apart",
        "what has no word",
        "only a rule",
        "only a definition",
        "empty",
        "blank",
    ],
)
def test_borders(source: str, texts: list[str]) -> None:
    assert [passage.text for passage in passages(source)] == texts


@pytest.mark.parametrize("text", ["word " * 500, "x" * 4000, "中文字符" * 500, "a, b; c. " * 300])
@pytest.mark.parametrize("suffix", [".txt", ".md"])
def test_a_sentence_that_does_not_fit_is_cut(text: str, suffix: str) -> None:
    found = passages(text, uri=f"1{suffix}")
    assert "".join(passage.text for passage in found).replace(" ", "") == text.replace(" ", "")
    for passage in found:
        assert count([passage.plain])[0] <= WINDOW
        assert len(passage.plain) <= WINDOW * 8
        assert [sentence.plain for sentence in passage.sentences] != []


def test_a_cut_keeps_words_whole() -> None:
    found = passages("alpha beta " * 200)
    assert {word for passage in found for word in passage.text.split()} == {"alpha", "beta"}


def test_long_runs_without_blanks_do_not_share_a_passage_beyond_its_length() -> None:
    """The tokenizer takes such a run as one piece; hundreds of them once made one passage."""
    lines = "".join("x" * 150 + str(number) + "\n" for number in range(100))
    assert max(len(passage.text) for passage in passages(lines, uri="1.txt")) <= WINDOW * 8 + 100


def test_what_has_no_word_counts_towards_the_window() -> None:
    """Lines of signs were not counted, and lost when nothing else was there."""
    source = "One.\n" + "*****\n" * 100 + "Two.\n"
    found = passages(source, uri="1.txt")
    assert "".join(passage.text for passage in found).count("*") == 500
    assert max(count([passage.plain])[0] for passage in found) <= WINDOW
    assert "".join(passage.text for passage in passages("😀" * 100, uri="1.txt")) == "😀" * 100


def test_the_header_of_a_table_counts_towards_the_window() -> None:
    header = "| " + " | ".join(["name"] * 8) + " |"
    row = "| " + " | ".join(["value"] * 8) + " |"
    found = passages("\n".join([header, "|---" * 8 + "|", *[row] * 10]))
    assert max(count([passage.plain])[0] for passage in found) <= WINDOW


def test_headings_are_the_text_of_a_document_without_any() -> None:
    """All of them made one passage, however many there were."""
    source = "".join(f"# Heading {number}\n\n" for number in range(100))
    found = passages(source)
    assert max(count([passage.plain])[0] for passage in found) <= WINDOW
    assert " ".join(passage.plain for passage in found) == " ".join(
        f"Heading {number}" for number in range(100)
    )
    assert [passage.sentences for passage in found] == [()] * len(found)


# what a passage carries


def test_headings_are_the_section_and_not_the_plain_text() -> None:
    found = passages("# A *b*\n\nOne.\n\n## C\n\nTwo.\n\n# D\n\nThree.\n", uri="notes.md")
    assert [(passage.title, passage.section, passage.plain) for passage in found] == [
        ("A b", (), "One."),
        ("A b", ("C",), "Two."),
        ("A b", ("D",), "Three."),
    ]


def test_the_section_is_that_of_the_text() -> None:
    """A heading at the end gave its name to the passage above it."""
    (found,) = passages("---\ntitle: T\n---\n## A\n\nOne.\n\n## B\n")[1:]
    assert found.section == ("A",)


def test_a_heading_over_hidden_text_is_not_to_be_found() -> None:
    """It was a passage of its own, found by the words of the heading alone."""
    found = passages("One.\n\n# Notes\n\n<!-- c -->\n\n# More\n\nTwo.\n")
    assert [passage.plain for passage in found] == ["One.", "", "Two."]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
def test_line_and_offsets(end: str) -> None:
    source = end.join(["# A", "", "One.", "", "# B", "", "", "Two.", ""])
    found = passages(source)
    assert [passage.line for passage in found] == [1, 5]
    assert [source[passage.start : passage.end] for passage in found] == [
        passage.text for passage in found
    ]
    middle = source.index("# B")
    assert [passage.id for passage in found] == [
        f"1.md:0-{source.index('One.') + 4}",
        f"1.md:{middle}-{source.index('Two.') + 4}",
    ]


def test_sentences_of_a_passage() -> None:
    (found,) = passages("# A\n\nOne *is*. Two is.[^1]\n\n- Three\n\n[^1]: Note.\n")[:1]
    assert [
        (found.text[sentence.start - found.start : sentence.end - found.start], sentence.plain)
        for sentence in found.sentences
    ] == [("One *is*.", "One is."), ("Two is.[^1]", "Two is."), ("Three", "Three")]


def test_a_long_address_does_not_cut_the_sentence_that_carries_it() -> None:
    """The length of what nobody sees was counted, which cut links in two."""
    source = f"See [this *page*](http://x.y/{'z' * 5000}) now. And that.\n"
    (found,) = passages(source)
    assert [sentence.plain for sentence in found.sentences] == ["See this page now.", "And that."]


def test_a_document_without_marks_is_text() -> None:
    document = Document("a.txt", "A", None, "0", " One. Two. ")
    (found,) = split(document, WINDOW, count)
    assert (found.start, found.end, found.plain) == (1, 10, "One. Two.")


# what the model reads before it


@pytest.mark.parametrize(
    ("title", "section", "read_before"),
    [
        ("Rivers", ("Europe", "Rhine"), "Rivers - Europe - Rhine\n"),
        ("00123", (), ""),
        ("00123", ("Rhine",), "Rhine\n"),
        ("Rivers", ("1.2", "Rhine"), "Rivers - Rhine\n"),
        ("word " * 100, (), "word" + " word" * 19 + "\n"),
        ("x" * 1000, (), "x" * 160 + "\n"),
    ],
    ids=["all", "number", "headings only", "number of a section", "too long", "one long word"],
)
def test_context(title: str, section: Sequence[str], read_before: str) -> None:
    assert context(title.strip(), section, WINDOW, count) == read_before


@pytest.mark.parametrize("headings", [1, 5, 50])
def test_title_and_headings_leave_room_for_the_text(headings: int) -> None:
    """Only 64 word pieces of them were counted, however many there were."""
    levels = [f"{'#' * min(level, 6)} {words(30, 'title')}" for level in range(1, headings + 1)]
    found = passages("\n\n".join([*levels, words(100), words(35)]))
    for passage in found:
        read_before = context(passage.title, passage.section, WINDOW, count)
        assert count([read_before + passage.plain])[0] <= WINDOW


# work


def test_counting_stays_linear() -> None:
    """Count the work: every character is counted a bounded number of times."""
    counted = 0

    def counting(texts: Sequence[str]) -> list[int]:
        nonlocal counted
        counted += sum(map(len, texts))
        return count(texts)

    for text in ("word " * 10_000, "x" * 50_000, "One two three. " * 3_000, "a\n\n" * 20_000):
        counted = 0
        found = split(read("1.md", text.encode()), 254, counting)
        assert sum(len(passage.text.replace(" ", "")) for passage in found) >= len(text) // 5
        assert counted <= 40 * len(text)


@pytest.mark.parametrize("block", ["# x\n", "[^{}]: note\n\n", "a\n\n", "*a* b. "])
def test_many_small_units_are_split_in_linear_time(block: str) -> None:
    """Ten thousand headings, or notes, took minutes: each was compared with all others."""
    source = "".join(block.format(number) for number in range(10_000))
    found = passages(source, 254)
    assert found[0].start == 0
    assert found[-1].end == len(source.rstrip())


@pytest.mark.parametrize("text", ["word " * 200_000, "a, b; c " * 100_000, "x" * 1_000_000])
def test_a_long_line_is_counted_about_once(text: str) -> None:
    """Five MB without a sentence end took a minute: every cut was tried on all that was left."""
    counted = 0

    def counting(texts: Sequence[str]) -> list[int]:
        nonlocal counted
        counted += sum(map(len, texts))
        return count(texts)

    found = split(read("1.txt", text.encode()), 254, counting)
    assert "".join("".join(passage.text.split()) for passage in found) == "".join(text.split())
    assert counted < 2.5 * len(text)


# pages


def paged(text: str) -> Document:
    """Return a document of lines that are paragraphs; "/" ends a page."""
    ends = [place for place, character in enumerate(text, 1) if character == "/"]
    borders = pairwise([0, *ends, len(text)])
    marks = [Mark(*span, "page", "", number) for number, span in enumerate(borders, 1)]
    marks += [Mark(*found.span(), "block") for found in re.finditer("[^\n]+", text)]
    marks.sort(key=lambda mark: (mark.start, -mark.end, mark.kind))
    return Document("a.pdf", "A", None, "0", text, tuple(marks))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("One.\nTwo./\nThree./\nFour.", [(1, "One. Two./"), (2, "Three./"), (3, "Four.")]),
        ("One.\nTwo / is long. So.\nThree.", [(1, "One. Two / is long. So."), (2, "Three.")]),
        ("One./\n/\nThree.", [(1, "One./"), (2, "/"), (3, "Three.")]),
    ],
    ids=["apart", "a paragraph over the border", "a page without words"],
)
def test_a_passage_keeps_to_its_page(text: str, found: list[tuple[int, str]]) -> None:
    passages = split(paged(text), WINDOW, count)
    assert [(passage.page, passage.plain) for passage in passages] == found


def test_a_document_without_pages_has_none() -> None:
    assert {passage.page for passage in passages("One.\n\nTwo.")} == {None}
