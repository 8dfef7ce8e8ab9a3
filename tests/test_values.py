from __future__ import annotations

from datetime import date
from math import inf

import pytest

from qa.values import Value, comparable, compatible, values


def only(text: str) -> Value:
    (value,) = values(text)
    return value


def day(text: str) -> int:
    return date.fromisoformat(text).toordinal()


@pytest.mark.parametrize(
    ("text", "found", "low", "high"),
    [
        ("on 6 March 2014 it", "6 March 2014", "2014-03-06", "2014-03-06"),
        ("on 15-16 June 2024", "15-16 June 2024", "2024-06-15", "2024-06-16"),
        ("on March 6th, 2014.", "March 6th, 2014", "2014-03-06", "2014-03-06"),
        ("on 2024-05-01", "2024-05-01", "2024-05-01", "2024-05-01"),
        ("in February 2024.", "February 2024", "2024-02-01", "2024-02-29"),
        ("by mid-2024,", "2024", "2024-01-01", "2024-12-31"),
        ("from 2022 to 2024", "2022 to 2024", "2022-01-01", "2024-12-31"),
    ],
)
def test_a_date_is_the_days_that_it_can_mean(text: str, found: str, low: str, high: str) -> None:
    value = only(text)
    assert (value.kind, text[value.start : value.end]) == ("date", found)
    assert (value.low, value.high) == (day(low), day(high))


@pytest.mark.parametrize(
    ("text", "units", "inside", "outside"),
    [
        ("61 billion dollars", {"$"}, [60.6e9, 61.4e9], [60.4e9, 61.6e9]),
        ("$60.84 billion", {"$"}, [60.84e9], [60.8e9, 60.9e9]),
        ("over $330 billion", {"$"}, [330e9, 500e9, inf], [320e9]),
        ("up to 300 staff", {"staff"}, [1, 300], [350]),
        ("about 100 ships", {"ship"}, [55, 150], [160]),
        ("60 US diplomats", {"diplomat"}, [60], [59, 61]),
        ("two million inhabitants", {"inhabit"}, [2e6], [1.9e6]),
        ("2,850 kilometres", {"m"}, [2_850_000], [2_860_000]),
        ("between 20 and 30 people", {"peopl"}, [20, 25, 30], [19, 31]),
        ("4-5 percent", {"%"}, [4, 4.5, 5], [3, 6]),
        ("6.9%", {"%"}, [6.9], [6.8, 7.0]),
        ("$330B of fines", {"$"}, [330e9], [320e9]),
        ("US$1.2m in fines", {"$"}, [1.2e6], [1.3e6]),
        ("€12.5 mln", {"€"}, [12.5e6], [12.6e6]),
        ("C$70 a head", {"C$"}, [70], [71]),
        ("5 m long", {"m"}, [5], [5e6]),
        ("1 250 000 people", {"peopl"}, [1.25e6], [1.26e6]),
    ],
)
def test_a_quantity_is_everything_that_it_can_mean(
    text: str, units: set[str], inside: list[float], outside: list[float]
) -> None:
    value = only(text)
    assert (value.kind, value.units) == ("quantity", units)
    assert all(value.low <= number <= value.high for number in inside)
    assert not any(value.low <= number <= value.high for number in outside)


@pytest.mark.parametrize(
    "text",
    ["", "nothing", "on 5 March", "31 June 2024", "Unit 74455.", "one of them", "1080p", "$5x"],
)
def test_what_has_no_value(text: str) -> None:
    assert values(text) == []


@pytest.mark.parametrize(
    ("one", "other", "same_unit", "both_right"),
    [
        ("2,850 km", "2,850,000 metres", True, True),
        ("2,850 km", "1,771 miles", True, True),
        ("2,850 km", "2,860 km", True, False),
        ("$61 billion", "60.84 billion dollars", True, True),
        ("$61 billion", "61 billion euros", False, True),
        ("35 abstentions", "33 votes", False, False),
        ("18 months", "two years", True, False),
        ("5 miles", "8 km", True, True),
        ("$1.2m", "$1.2 million", True, True),
        ("US$50", "C$70", False, False),
        ("March 2014", "6 March 2014", True, True),
        ("2014", "2015", True, False),
        ("6 March 2014", "10 March 2014", True, False),
    ],
)
def test_values_are_compared(one: str, other: str, same_unit: bool, both_right: bool) -> None:
    assert comparable(only(one), only(other)) is same_unit
    if same_unit:
        assert compatible(only(one), only(other)) is both_right
