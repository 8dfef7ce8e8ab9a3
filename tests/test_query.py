from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qa.errors import QuestionError
from qa.query import Query, parse


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ('What of "the red line"?', Query("What of the red line?", ("the red line",))),
        ("What of “the red line”?", Query("What of the red line?", ("the red line",))),
        ("Was „rote Linie“ said?", Query("Was rote Linie said?", ("rote Linie",))),
        ('"red line"', Query("red line", ("red line",))),
        ('He said "no." Why?', Query("He said no. Why?", ("no",))),
        ('of "two  words" ("one")', Query("of two  words (one)", ("two words", "one"))),
        ('"a" and "a"', Query("a and a", ("a",))),
        ("price of gas -oil", Query("price of gas", (), ("oil",))),
        ("price of gas -oil -coal?", Query("price of gas?", (), ("oil", "coal"))),
        ("gas -state-owned now", Query("gas now", (), ("state-owned",))),
        ('gas -"crude oil" price', Query("gas price", (), ("crude oil",))),
        ("gas -“crude oil”", Query("gas", (), ("crude oil",))),
        ("gas source:brics", Query("gas", sources=("brics",))),
        ("SOURCE:brics gas", Query("gas", sources=("brics",))),
        ('source:"frozen assets" gas?', Query("gas?", sources=("frozen assets",))),
        ("gas source:a source:b.md?", Query("gas?", sources=("a", "b.md"))),
        ("gas source:briefs/a.md", Query("gas", sources=("briefs/a.md",))),
        ("gas type:pdf type:.MD", Query("gas", types=("pdf", "md"))),
        ("gas after:2025-03-09", Query("gas", after="2025-03-09")),
        ("gas after:2025-03", Query("gas", after="2025-03-01")),
        ("gas after:2025", Query("gas", after="2025-01-01")),
        ("gas before:2025-03-09", Query("gas", before="2025-03-09")),
        ("gas before:2024-02", Query("gas", before="2024-02-29")),
        ("gas before:2025?", Query("gas?", before="2025-12-31")),
        ("gas after:2024 after:2025-02", Query("gas", after="2025-02-01")),
        ("gas before:2024 before:2025-02", Query("gas", before="2024-12-31")),
        (
            'What is "x y" -oil source:a type:md after:2024 before:2025 now?',
            Query(
                "What is x y now?",
                ("x y",),
                ("oil",),
                ("a",),
                ("md",),
                "2024-01-01",
                "2025-12-31",
            ),
        ),
    ],
)
def test_syntax_is_taken_out(text: str, query: Query) -> None:
    assert parse(text) == query


@pytest.mark.parametrize(
    "text",
    [
        "What is the price cap?",
        "Russia-US relations, 10-20, state-owned",
        "gas - oil",
        "at -40 degrees",
        "the -v option",
        "-What is it?",
        "list:\n-one thing\n  -another thing",
        "the US -and its allies- did",
        "an -lrb- aside -rrb- here",
        "what does --watch do",
        'an "unbalanced mark',
        '5" and 6" pipes',
        'a "quoted"suffix',
        '"" and "?"',
        '"over\ntwo lines"',
        "rock’n’roll and 'single quotes'",
        "Note: gas",
        "Note:gas",
        "re: gas",
        "re:Invent",
        "Q:What is gas?",
        "at 10:30",
        "see http://a.example/x?y=z",
        "see https://a.example",
        "mail mailto:a@b.example",
        "localhost:8080",
        "doi:10.1000/182",
        "std::vector and C:\\x",
        "smile :-) or so:(",
        "what is the source: gas or oil?",
        "the source:, the type:?",
        "und:\nsource:",
    ],
)
def test_text_is_left_alone(text: str) -> None:
    assert parse(text) == Query(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            "gas author:x",
            "there is no field author:, only source:, type:, after:, before:; "
            "as text, write a blank after the colon",
        ),
        ("gas after:May", "after:May is no day; write YYYY-MM-DD, YYYY-MM or YYYY"),
        ("gas after:2025-02-30", "after:2025-02-30 is no day; write YYYY-MM-DD, YYYY-MM or YYYY"),
        ("gas before:2025-13", "before:2025-13 is no day; write YYYY-MM-DD, YYYY-MM or YYYY"),
        ("gas before:0000", "before:0000 is no day; write YYYY-MM-DD, YYYY-MM or YYYY"),
        ("source:x", "only says what to search; write a question too"),
        ("source:x ?", "only says what to search; write a question too"),
        ('gas source:"two words', "the quotation mark after source: is not closed"),
        ('gas source:""', "source: has nothing between its quotation marks"),
        ("gas -source:x", "-source: cannot be used; name with source: what to search instead"),
    ],
)
def test_syntax_that_does_not_fit(text: str, reason: str) -> None:
    with pytest.raises(QuestionError) as caught:
        parse(text)
    assert (caught.value.field, caught.value.reason) == ("question", reason)


pieces = st.sampled_from([" ", "\n", "\0", "\u0308", '"a b"']) | st.sampled_from(
    """
    " “ ” - : source: type: after: before:2025 x word author: 2025-02 . é a:b "quoted" -oil ( , 𝔘
    """.split()
)


@given(st.lists(pieces, max_size=20).map("".join) | st.text(max_size=40))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    with contextlib.suppress(QuestionError):
        query = parse(text)
        assert query.text == query.text.strip()
        for phrase in query.phrases:
            assert phrase in " ".join(query.text.split())
        if query == Query(query.text):
            assert query.text == text.strip()


@given(st.text(st.characters(exclude_characters='"“”„‟-:'), max_size=60))
def test_text_without_syntax_is_unchanged(text: str) -> None:
    assert parse(text) == Query(text.strip())
