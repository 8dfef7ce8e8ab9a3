from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qa.text import (
    Markup,
    Pages,
    Plain,
    document_sentences,
    fold_initials,
    line_ends,
    matches,
    percent,
    same_sentence,
    sentences,
    strip,
    terms,
    topic_terms,
)
from qa.types import Mark, MarkKind

#: Text with everything that moves offsets.
TEXTS = st.text(
    st.sampled_from("ab .!?\n\r\té\u0301😀ש中。\ufeff\u00ad\u200dﬁ\0\u2028\u00a0U.S1,\"'“”*-")
)


# words


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("U.S.", "US  "),
        ("the U.S. and the E.U. agree", "the US   and the EU   agree"),
        ("J.R.R. Tolkien", "JRR    Tolkien"),
        ("3.14 or 10.5.2", "3.14 or 10.5.2"),
        ("The end. A", "The end. A"),
    ],
)
def test_fold_initials(text: str, folded: str) -> None:
    assert fold_initials(text) == folded


@given(TEXTS)
def test_folding_keeps_the_length(text: str) -> None:
    assert len(fold_initials(text)) == len(text)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Sanctions, sanctioned!", [("sanction", "Sanctions"), ("sanction", "sanctioned")]),
        ("the U.S. Treasury", [("the", "the"), ("us", "U.S."), ("treasuri", "Treasury")]),
        ("😀 naïve", [("naiv", "naïve")]),
        ("$330 billion", [("330", "330"), ("billion", "billion")]),
        ("…!?", []),
    ],
)
def test_terms_are_stems_with_their_place(text: str, found: list[tuple[str, str]]) -> None:
    assert [(term.text, text[term.start : term.end]) for term in terms(text)] == found


@pytest.mark.parametrize(
    ("question", "wanted"),
    [
        ("How large did the US Treasury estimate sanctions?", "larg us treasuri estim sanction"),
        ("Who was he?", "who was he"),
        ("What is the price of the prices?", "price"),
        ("Zebra apple", "zebra appl"),
        ("?!", ""),
        ("Where is Newcastle Under Lyme?", "newcastl under lyme"),
        ("who is Will Smith, and is IT hard?", "will smith it hard"),
        ("Did The Times say what I said?", "time say said"),
        ("It fell. Who did it? When: In May", "fell may"),
        ("gold AND (copper OR zinc)", "gold copper zinc"),
        ("When Did Finland Join NATO?", "finland join nato"),
    ],
    ids=[
        "no function words",
        "only function words",
        "once each",
        "in order",
        "no word",
        "a preposition in a name",
        "a verb as a name, a pronoun as letters",
        "an article, and I",
        "where sentences begin",
        "operators",
        "all with capitals",
    ],
)
def test_topic_terms(question: str, wanted: str) -> None:
    assert topic_terms(question) == wanted.split()


def test_matches_are_the_words_with_a_wanted_stem() -> None:
    text = "😀 The U.S. imposed sanctions; us, sanctioning."
    found = matches(text, topic_terms("US sanctions"))
    assert [text[start:end] for start, end in found] == ["U.S.", "sanctions", "us", "sanctioning"]


# markup


def marks(*spans: tuple[int, int, str], kind: MarkKind = "syntax") -> list[Mark]:
    return [Mark(start, end, kind, label) for start, end, label in spans]


@pytest.mark.parametrize(
    ("text", "edits", "span", "plain", "offsets"),
    [
        ("a *b* c", [(2, 3, ""), (4, 5, "")], (0, 7), "a b c", [0, 1, 3, 5, 6]),
        ("a &amp; b", [(2, 7, "&")], (0, 9), "a & b", [0, 1, 2, 7, 8]),
        ("  a \r\n\t b  ", [], (0, 11), "a b", [2, 3, 8]),
        ("a[^1] b", [(1, 5, "")], (0, 7), "a b", [0, 5, 6]),
        ("[ab](u) c", [(0, 1, ""), (3, 7, "")], (2, 9), "b c", [2, 7, 8]),
        ("![ab](u)", [(0, 8, "ab")], (3, 8), "", []),
        ("a **b**", [(2, 4, ""), (2, 3, ""), (5, 7, "")], (0, 7), "a b", [0, 1, 4]),
        ("a b", [], (1, 2), "", []),
    ],
    ids=[
        "removed",
        "replaced",
        "white space folded",
        "nothing doubled",
        "a span that begins inside",
        "a span inside a mark",
        "a mark inside a mark",
        "blank",
    ],
)
def test_plain(
    text: str,
    edits: list[tuple[int, int, str]],
    span: tuple[int, int],
    plain: str,
    offsets: list[int],
) -> None:
    found = Markup(text, marks(*edits)).plain(*span)
    assert (found.text, list(found.offsets)) == (plain, offsets)


def test_only_syntax_and_hidden_text_are_removed() -> None:
    text = "a b c d"
    found = Markup(
        text,
        [
            *marks((0, 1, ""), kind="hidden"),
            *marks((2, 3, ""), kind="block"),
            *marks((4, 5, "x"), kind="footnote"),
            *marks((6, 7, ""), kind="syntax"),
        ],
    )
    assert found.plain(0, len(text)).text == "b c"


@pytest.mark.parametrize(
    ("text", "edits", "span", "wide"),
    [
        ("*Yes.* *No.*", [(0, 1, ""), (5, 6, ""), (7, 8, ""), (11, 12, "")], (1, 5), "*Yes.*"),
        ("Yes.[^1][^2] No.", [(4, 8, ""), (8, 12, "")], (0, 4), "Yes.[^1][^2]"),
        ("Yes. **No.**", [(5, 7, ""), (10, 12, "")], (7, 10), "**No.**"),
        ("Yes.&lt;b", [(4, 8, "<")], (0, 4), "Yes."),
        ("a&lt;Yes.", [(1, 5, "<")], (5, 9), "Yes."),
    ],
    ids=["around", "footnotes after", "opening before", "shown after", "shown before"],
)
def test_widen(
    text: str, edits: list[tuple[int, int, str]], span: tuple[int, int], wide: str
) -> None:
    start, end = Markup(text, marks(*edits)).widen(*span, 0, len(text))
    assert text[start:end] == wide


def test_widening_stays_in_its_bounds() -> None:
    text = "*a* *b*"
    markup = Markup(text, marks((0, 1, ""), (2, 3, ""), (4, 5, ""), (6, 7, "")))
    assert markup.widen(1, 2, 1, 2) == (1, 2)


# sentences


@pytest.mark.parametrize(
    "found",
    [
        ["Mr. Smith went to Washington.", "He left."],
        ["It cost $3.5 million.", "Nobody paid."],
        ["The U.S. Treasury estimated it.", "The E.U. agreed."],
        ["“Is it over?” she asked.", "It was not."],
        ["On Feb. 5, Gen. Smith met Sen. Jones.", "See p. 5, e.g. the table.", "It ends there."],
        ["No stop at the end"],
    ],
    ids=["title", "decimal", "initials", "quotes", "abbreviations", "no stop"],
)
def test_sentences(found: list[str]) -> None:
    text = " ".join(found)
    assert [text[start:end] for start, end in sentences(text)] == found


@given(TEXTS)
def test_sentences_cover_the_text_in_order(text: str) -> None:
    reach = 0
    for start, end in sentences(text):
        assert reach <= start < end
        assert not text[reach:start].strip()
        assert text[start:end] == text[start:end].strip()
        reach = end
    assert not text[reach:].strip()


@pytest.mark.parametrize("blank", [" ", "\n", ""])
def test_a_text_without_end_is_segmented_in_pieces(blank: str) -> None:
    text = ("word" + blank) * 30_000
    found = sentences(text)
    assert "".join(text[start:end] for start, end in found).replace(blank, "") == "word" * 30_000
    assert max(end - start for start, end in found) <= 20_000


@pytest.mark.parametrize(
    ("text", "edits", "quotes"),
    [
        ("One *is.* Two.", [(4, 5, ""), (8, 9, "")], ["One *is.*", "Two."]),
        ("One is.[^1] Two is.", [(7, 11, "")], ["One is.[^1]", "Two is."]),
        ("Yes. !!! No.", [], ["Yes.", "No."]),
        ("See ![One. Two](u) now.", [(4, 18, "One. Two")], ["See ![One. Two](u) now."]),
        ("文。**次。**", [(2, 4, ""), (6, 8, "")], ["文。**", "次。**"]),
    ],
    ids=["markup", "footnote", "without words", "two in one piece of markup", "no blank between"],
)
def test_document_sentences(
    text: str, edits: list[tuple[int, int, str]], quotes: list[str]
) -> None:
    markup = Markup(text, marks(*edits))
    found = document_sentences(markup, (0, len(text)))
    assert [text[sentence.start : sentence.end] for sentence in found] == quotes
    for sentence in found:
        assert sentence.plain == markup.plain(sentence.start, sentence.end).text


# small things


@pytest.mark.parametrize(
    ("text", "span", "stripped"),
    [(" a ", (0, 3), (1, 2)), ("\u2028a\x1c", (0, 3), (1, 2)), ("   ", (0, 3), (3, 3))],
)
def test_strip(text: str, span: tuple[int, int], stripped: tuple[int, int]) -> None:
    assert strip(text, *span) == stripped


@pytest.mark.parametrize(
    ("text", "count"), [("a\nb\n", 2), ("a\r\nb\r\n", 2), ("a\rb\r", 2), ("a\r\r\nb", 2), ("a", 0)]
)
def test_line_ends(text: str, count: int) -> None:
    assert line_ends(text, 0, len(text)) == count


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("The  End.\n", "the end.", True),
        ("ﬁne", "fine", True),
        ("cafe\u0301", "café", True),
        ("He said “it’s”.", 'He said "it\'s".', True),
        ("It is.", "It is", False),
    ],
)
def test_same_sentence(one: str, other: str, same: bool) -> None:
    assert (same_sentence(one) == same_sentence(other)) is same


# confidence


@pytest.mark.parametrize(
    ("confidence", "shown"),
    [(0.0, "0%"), (0.244, "24%"), (0.986, "99%"), (0.998, "99%"), (1.0, "99%")],
)
def test_no_confidence_is_shown_as_certain(confidence: float, shown: str) -> None:
    assert percent(confidence) == shown


# what is shown in the place of nothing


def test_a_mark_of_no_length_shows_its_label() -> None:
    """The name of a column, before a cell in which no character is free to carry it."""
    text = "a,b"
    markup = Markup(text, [Mark(0, 0, "syntax", "X: "), Mark(1, 2, "syntax", "; Y: ")])
    assert markup.plain(0, 3) == Plain("X: a; Y: b", [0, 0, 0, 0, 1, 1, 1, 1, 1, 2])
    assert markup.plain(1, 3).text == "; Y: b"
    (found,) = document_sentences(markup, (0, 3))
    assert (found.start, found.end, found.plain) == (0, 3, "X: a; Y: b")


def test_pages() -> None:
    marks = [Mark(0, 0, "page", "i", 1), Mark(2, 5, "page", "1", 2), Mark(7, 9, "page", "2", 3)]
    pages = Pages(marks)
    assert [pages.at(offset) for offset in (0, 2, 5, 6, 7, 9)] == [2, 2, 2, 2, 3, 3]
    assert Pages([]).at(3) is None
