from __future__ import annotations

import pytest

from fakes import CORPUS
from qa.config import Settings
from qa.shape import periods, shape
from qa.stores.local import LocalStore


def test_the_shape_of_a_small_index(indexed: Settings) -> None:
    found = shape(LocalStore.open(indexed.index))
    assert [entry.source.uri for entry in found.largest] == [
        "rivers.md",
        "cities/vienna.md",
        "notes.txt",
    ]
    rivers = found.largest[0]
    assert [section.label for section in rivers.sections] == ["", "The Danube", "The Rhine"]
    assert rivers.sections[0].start == 0
    assert rivers.sections[-1].end == len(CORPUS["rivers.md"].rstrip())
    assert sum(section.passages for section in rivers.sections) == rivers.source.passages
    assert (found.periods[0], found.periods[-1]) == (("2023-01", 1), ("2024-05", 1))
    assert len(found.periods) == 17
    assert found.undated == 1


@pytest.mark.parametrize(
    ("dates", "expected"),
    [
        pytest.param([], (), id="none"),
        pytest.param(["2024-05-01", "2024-05-31"], (("2024-05", 2),), id="a month"),
        pytest.param(
            ["2024-01-01", "2023-11-30"],
            (("2023-11", 1), ("2023-12", 0), ("2024-01", 1)),
            id="a month without a source",
        ),
        pytest.param(
            ["2022-01-01", "2024-06-01", "2024-07-01"],
            (("2022", 1), ("2023", 0), ("2024", 2)),
            id="more than two years",
        ),
    ],
)
def test_days_are_counted_by_month_or_year(
    dates: list[str], expected: tuple[tuple[str, int], ...]
) -> None:
    assert periods(dates) == expected
