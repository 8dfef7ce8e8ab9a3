from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import pytest

from qa.stores.lexical import FOLDER, LexicalIndex, write
from qa.types import Allowed, Passage


def passage(
    plain: str, uri: str = "a.txt", title: str = "", section: Sequence[str] = ()
) -> Passage:
    return Passage(uri, title, 0, len(plain), plain, plain, tuple(section), 1, None, ())


def opened(folder: Path, *passages: Passage) -> LexicalIndex:
    write(folder, passages)
    return LexicalIndex(folder)


def rows(index: LexicalIndex, question: str, uris: Sequence[str] | None = None) -> list[int]:
    allowed = None if uris is None else Allowed(tuple(uris))
    return [scored.row for scored in index.search(question, 10, allowed)]


@pytest.mark.parametrize(
    ("question", "found"),
    [
        ("gold", [1]),
        ("melting metals", [0, 1, 2]),
        ("What about the U.S.?", [3]),
        ("US", [3]),
        ("zurich", [4]),
        ("ZÜRICH", [4]),
        ("Copper, copper: copper!", [0]),
        ('text:"gold" AND (copper OR [a TO z]) ^2 ~ \\ * ?', [0, 1]),
        ("platinum", []),
        ("", []),
        ("?!", []),
        ("secret", []),
    ],
)
def test_passages_are_found_by_their_words(tmp_path: Path, question: str, found: list[int]) -> None:
    index = opened(
        tmp_path,
        passage("Copper is a metal that melts."),
        passage("Gold is a metal that melts, too."),
        passage("Of all the metals that melt, lead is a metal as heavy and soft as any other."),
        passage("The U.S. has a treasury."),
        passage("Zürich is a city."),
        Passage("b.txt", "Secret", 0, 6, "secret", "", ("Secret",), 1, None, ()),
    )
    assert rows(index, question) == found


def test_a_rare_word_counts_more_and_a_short_passage_too(tmp_path: Path) -> None:
    index = opened(
        tmp_path,
        passage("river river valley"),
        passage("river"),
        passage("danube"),
        passage("river and some other words in a passage that is long"),
    )
    assert rows(index, "danube river") == [2, 0, 1, 3]


def test_title_and_headings_are_searched_and_count_less(tmp_path: Path) -> None:
    index = opened(
        tmp_path,
        passage("It is long.", title="Danube"),
        passage("It is long.", section=["Rivers", "Danube"]),
        passage("Danube is long."),
        passage("It is short."),
    )
    assert rows(index, "Danube")[0] == 2
    assert sorted(rows(index, "Danube")) == [0, 1, 2]


@pytest.mark.parametrize(
    ("uris", "found"),
    [(None, [0, 1, 2]), (["a.txt"], [0]), (["b c.md", "a.txt"], [0, 1]), (["x"], []), ([], [])],
)
def test_only_the_sources_asked_for(
    tmp_path: Path, uris: Sequence[str] | None, found: list[int]
) -> None:
    index = opened(
        tmp_path, *(passage("Gold melts.", uri) for uri in ("a.txt", "b c.md", "Ü/a.txt"))
    )
    assert rows(index, "gold", uris) == found


def test_a_filter_does_not_change_scores(tmp_path: Path) -> None:
    index = opened(tmp_path, passage("Gold melts.", "a"), passage("Gold and lead melt.", "b"))
    assert index.search("gold lead", 10, Allowed(("a", "b"))) == index.search("gold lead", 10, None)


def test_ties_stand_in_order_and_the_limit_is_kept(tmp_path: Path) -> None:
    index = opened(tmp_path, *[passage("Gold melts.")] * 5)
    assert [scored.row for scored in index.search("gold", 3, None)] == [0, 1, 2]


def test_rarities(tmp_path: Path) -> None:
    index = opened(
        tmp_path, passage("gold lead"), passage("gold"), passage("gold tin", title="zinc")
    )
    # ln(1 + (N - n + 0.5) / (n + 0.5)) for N = 3 passages, n of them with the word in their text
    expected = [math.log(1 + (3 - n + 0.5) / (n + 0.5)) for n in (3, 1, 0, 0)]
    assert index.rarities(["gold", "lead", "zinc", "platinum"]) == pytest.approx(expected)
    assert index.rarities([]) == []


def test_nothing_is_found_in_nothing(tmp_path: Path) -> None:
    index = opened(tmp_path)
    assert (index.rows, rows(index, "gold")) == (0, [])


def test_no_lock_is_left_behind(tmp_path: Path) -> None:
    write(tmp_path, [passage("Gold melts.")])
    assert not list(tmp_path.rglob("*.lock"))


def test_an_index_is_opened_where_nothing_can_be_written(tmp_path: Path) -> None:
    """A read-only index once could not be asked: tantivy makes a lock beside its files."""
    write(tmp_path, [passage("Vienna lies on the Danube.")])
    (tmp_path / FOLDER / ".tantivy-meta.lock").mkdir()  # so that it cannot be made
    assert rows(LexicalIndex(tmp_path), "Danube") == [0]
