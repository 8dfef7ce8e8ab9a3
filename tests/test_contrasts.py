"""The contrasts that the selector is trained and measured on keep their rules."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from benchmarks import sets

FOLDER = Path(__file__).parents[1] / "training" / "contrasts"
FILES = sorted(FOLDER.glob("*/*.txt"))
#: What the shipped sources are about; questions on them are what the selector is tested with.
TESTED = re.compile(r"\b(russian?s?|ukrain\w+|soviets?|ussr|moscow|kremlin|kyiv|crimea)\b", re.I)


def groups(path: Path) -> dict[tuple[str, str, tuple[str, ...]], list[sets.Ranking]]:
    found: dict[tuple[str, str, tuple[str, ...]], list[sets.Ranking]] = {}
    for ranking in sets.contrasts(path):
        found.setdefault((ranking.title, ranking.section, ranking.sentences), []).append(ranking)
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_sentence_of_a_group_answers_a_question(path: Path) -> None:
    for (title, _, sentences), rankings in groups(path).items():
        assert 4 <= len(sentences) <= 8, title
        assert len(set(sentences)) == len(sentences), title
        assert len({ranking.question for ranking in rankings}) == len(rankings), title
        answered = frozenset().union(*(ranking.right for ranking in rankings))
        assert answered <= set(range(len(sentences))), title
        alone = [ranking for ranking in rankings if len(ranking.right) == 1]
        if len(alone) == len(rankings):
            assert answered == set(range(len(sentences))), title


def test_none_is_about_what_the_selector_is_tested_with() -> None:
    assert [path.name for path in FILES if TESTED.search(path.read_text("utf-8"))] == []


def test_groups_that_measure_are_not_trained_on() -> None:
    def named(part: str) -> set[tuple[str, ...]]:
        files = (FOLDER / part).glob("*.txt")
        return {key[:2] for path in files for key in groups(path)}

    assert named("test")
    assert not named("test") & (named("train") | named("added"))


def test_what_is_no_group_is_named(tmp_path: Path) -> None:
    file = tmp_path / "x.txt"
    file.write_text("# Port > Trade\n1. It is large.\n1? Is it?\n\n# Port\n2. No heading.\n")
    with pytest.raises(ValueError, match=r"x\.txt: not a group .*'# Port'"):
        sets.contrasts(file)


def test_a_question_may_have_two_answers(tmp_path: Path) -> None:
    file = tmp_path / "x.txt"
    file.write_text("# Port > Trade\n1. A.\n2. B.\n1,2? Which letters?\n2? And?\n")
    assert [(found.question, set(found.right)) for found in sets.contrasts(file)] == [
        ("Which letters?", {0, 1}),
        ("And?", {1}),
    ]


def test_two_groups_of_six_bring_as_many_near_misses() -> None:
    sizes = Counter(len(key[2]) for path in (FOLDER / "test").glob("*.txt") for key in groups(path))
    assert sizes == {6: 160}
