from __future__ import annotations

import csv
import io

import build
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes import FakeEncoder
from qa.readers import read
from qa.readers.table import _records
from qa.splitter import split


@pytest.mark.parametrize("uri", ["a.csv", "a.tsv"])
def test_a_row_is_seen_with_the_names_of_its_columns(uri: str) -> None:
    between = "\t" if uri.endswith("tsv") else ","
    source = between.join(["City", "Population"]) + "\r\n" + between.join(["Vienna", "2"]) + "\r\n"
    document = read(uri, source.encode())
    assert document.text == source
    assert build.structure(uri, source.encode()) == [
        ("row", f"City{between}Population"),
        ("block", f"Vienna{between}2"),
        ("row", f"Vienna{between}2"),
    ]
    assert build.seen(uri, source.encode()) == [
        (f"Vienna{between}2", "City: Vienna; Population: 2")
    ]


@pytest.mark.parametrize(
    ("row", "plain"),
    [
        ("Vienna,2", "City: Vienna; Population: 2"),
        ('"Vienna","2,005"', "City: Vienna; Population: 2,005"),
        ('"Vienna, ""Wien""",2', 'City: Vienna, "Wien"; Population: 2'),
        ('"Vienna\nWien",2', "City: Vienna Wien; Population: 2"),
        (",2", "Population: 2"),
        ("Vienna,", "City: Vienna"),
        ("Vienna,2,more", "City: Vienna; Population: 2; more"),
        (' "Vienna" , 2 ', "City: Vienna; Population: 2"),
        ('Vi"enna,2', 'City: Vi"enna; Population: 2'),
        ('"Vienna,2', 'City: "Vienna; Population: 2'),
    ],
    ids=[
        "bare",
        "quoted",
        "quotes in quotes",
        "line end in quotes",
        "first empty",
        "last empty",
        "too many",
        "blanks",
        "quote inside",
        "quote left open",
    ],
)
def test_rows(row: str, plain: str) -> None:
    data = f"City,Population\n{row}\n".encode()
    assert build.seen("a.csv", data) == [(row.strip(), plain)]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_told(delimiter: str) -> None:
    rows = [["City", "Note, with a comma"], ["Vienna", "so; it | is"], ["Cologne", "that"]]
    buffer = io.StringIO()
    csv.writer(buffer, delimiter=delimiter).writerows(rows)
    found = build.seen("a.csv", buffer.getvalue().encode())
    assert found[1][1] == "City: Cologne; Note, with a comma: that"


def test_a_first_row_with_numbers_names_nothing() -> None:
    assert build.seen("a.csv", b"Vienna,2\nCologne,1\n") == [
        ("Vienna,2", "Vienna; 2"),
        ("Cologne,1", "Cologne; 1"),
    ]


@given(st.lists(st.lists(st.text(st.sampled_from('ab ,;"\n\ré😀')), min_size=2), min_size=1))
def test_cells_are_those_of_the_csv_module(rows: list[list[str]]) -> None:
    buffer = io.StringIO()
    csv.writer(buffer, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(rows)
    found = [[cell.value for cell in cells] for cells in _records(buffer.getvalue(), ",")]
    assert found == rows


@given(st.text(st.sampled_from('ab ,;"\n\ré😀1.\t')))
def test_offsets_hold(text: str) -> None:
    document = read("a.csv", text.encode())
    assert document.text == text
    for passage in split(document, 50, FakeEncoder().count):
        assert text[passage.start : passage.end] == passage.text
    for mark in document.marks:
        assert 0 <= mark.start <= mark.end <= len(text)
