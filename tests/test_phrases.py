from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qa.phrases import Phrases, folded, words

TEXT = "The U.S. Treasury’s estimate – “over $330 billion” – covers state-owned banks in Zürich."


@pytest.mark.parametrize(
    ("phrase", "found"),
    [
        ("the u.s. treasury", True),
        ("Treasury's estimate - \"over", True),
        ("TREASURY’S", True),
        ("Treasury", True),
        ("reasury", False),
        ("estimat", False),
        ("$330 billion", True),
        ("330", True),
        ("30 billion", False),
        ("state-owned", True),
        ("state owned", False),
        ("owned", True),
        ("ZÜRICH", True),
        ("Zu\u0308rich", True),
        ("zurich", False),
        ("state-owned \t banks\nin", True),
        ("banks in zürich.", True),
        ("banks covers", False),
    ],
)
def test_a_phrase_is_whole_words_in_their_order(phrase: str, found: bool) -> None:
    assert Phrases([phrase]).count(TEXT) == found


@pytest.mark.parametrize(
    ("phrases", "count"), [([], 0), (["a"], 0), (["Zürich"], 1), (["Zürich", "banks", "gold"], 2)]
)
def test_phrases_are_counted(phrases: list[str], count: int) -> None:
    assert Phrases(phrases).count(TEXT) == count


def test_words_are_what_an_index_keeps() -> None:
    assert words("U.S. Treasury’s “$330”, state-owned") == [
        *("u", "s", "treasury", "s", "330", "state", "owned")
    ]


def in_a_row(part: list[str], whole: list[str]) -> bool:
    return any(whole[at : at + len(part)] == part for at in range(len(whole) - len(part) + 1))


latin = st.text(st.sampled_from("aAéßſİ1-_.’'\" \n\u00a0½Ⅳ東"), max_size=12)


@given(latin, latin, latin)
def test_a_text_with_a_phrase_has_its_words_in_a_row(before: str, phrase: str, after: str) -> None:
    text = before + phrase + after
    if words(phrase) and Phrases([phrase]).count(text):
        assert in_a_row(words(phrase), words(text))


@given(st.text(max_size=30))
def test_a_text_has_itself(text: str) -> None:
    assert Phrases([text]).count(text) == 1
    assert folded(text) == " ".join(folded(text).split())
