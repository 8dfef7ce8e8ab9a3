"""What we take apart ourselves: questions, addresses, offsets, front matter; any text at all.

FUZZ_EXAMPLES sets how many inputs each is given: 500 unless told, 100,000 by `make fuzz`.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import time
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from hypothesis import example, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from werkzeug.exceptions import HTTPException

from qa.app.access import _local
from qa.app.jobs import without_paths
from qa.app.pages import _span, blocks
from qa.app.rate import client_of
from qa.config import Settings
from qa.conversation import interpret
from qa.disagreement import content_words
from qa.errors import CitationFileError, ConfigError, QuestionError, SourceError
from qa.evidence import escape_markdown
from qa.logs import escaped
from qa.phrases import Phrases, folded, words
from qa.query import FIELDS, parse
from qa.readers import read
from qa.text import fold_initials, sentences, terms
from qa.types import Document
from qa.values import values
from qa.verify import read_citations

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "500"))
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
APP = Flask(__name__)
DOCUMENT = Document("a.txt", "A", None, "0" * 64, "x" * 100, ())
NUMBERS = st.one_of(
    st.none(),
    TEXT,
    st.integers().map(str),
    st.sampled_from(["", "-0", "+5", "1_0", " 7 ", "٣", "1e2", "0x1", "9" * 5000, "²", "NaN"]),
)


@examples(max_examples=EXAMPLES)
@given(NUMBERS, NUMBERS)
@example("0", "100")
@example("9" * 5000, "9" * 5000)
def test_offsets_in_an_address(start: str | None, end: str | None) -> None:
    given_ = {key: value for key, value in (("start", start), ("end", end)) if value is not None}
    with APP.test_request_context("/", query_string=given_):
        try:
            span = _span(DOCUMENT)
        except HTTPException as error:
            assert error.code == 422
        else:
            assert span is None if not given_ else span and 0 <= span[0] < span[1] <= 100


@examples(max_examples=EXAMPLES)
@given(TEXT)
@example("/ok?q=1#x")
@example("//evil.example")
def test_where_a_sign_in_leads(path: str) -> None:
    found = _local(path)
    assert found.startswith("/") and not found.startswith(("//", "/\\"))
    assert found in (path, "/")


@examples(max_examples=EXAMPLES)
@given(TEXT)
def test_a_log_line_is_one_line(text: str) -> None:
    assert len(escaped(text).splitlines()) <= 1
    client_of(text)
    without_paths(text, Settings())


SYNTAX = st.sampled_from(
    """" “ ” „ - -a -- ( ) , . : ; \n \t \x1c a 1 é 🜚 \u0308 source: type: after: before: SOURCE:a
    -source: author: after:2025 before:2024-02-30 after:0 before:9999-12 "a b" -"a b" https:// to
    """.split(" ")
)


@examples(max_examples=EXAMPLES)
@given(st.lists(SYNTAX | TEXT, max_size=12).map("".join))
@example('"' + "a" * 2000)
@example("after:" + "9" * 1990)
def test_the_syntax_of_a_question(text: str) -> None:
    try:
        query = parse(text)
    except QuestionError as error:
        assert error.field == "question" and error.reason
        return
    assert query.text == query.text.strip()
    assert all(value for name in FIELDS.values() for value in getattr(query, name) or ())
    for day in (query.after, query.before):
        assert day is None or len(day) == 10
    found = Phrases(query.phrases)
    assert found.count(" ".join(query.phrases)) <= len(query.phrases)


@examples(max_examples=EXAMPLES)
@given(st.lists(TEXT, max_size=3), TEXT)
def test_a_thread_of_questions(history: list[str], question: str) -> None:
    assert isinstance(interpret(question, history), str)


FIGURES = st.sampled_from(
    """0 1 9 00 , . - – to and between over about $ % km million May 2024 1,000 ٣ ² ½ 31 June st
    inf nan 1e400 -0""".split()
) | st.just("0" * 400)


@examples(max_examples=EXAMPLES)
@given(st.lists(st.one_of(FIGURES, st.just(" "), TEXT), max_size=12).map("".join))
@example("It weighs 1" + "0" * 400 + " kg.")
@example("It weighs " + "9" * 5000 + " million kg.")
def test_figures_in_a_text(text: str) -> None:
    for value in values(text):
        assert 0 <= value.start < value.end <= len(text)
        assert not math.isnan(value.low) and not math.isnan(value.high)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                "answers citations disagreements uri start end quote sha256 kind".split()
            ),
            inner,
            max_size=6,
        )
    ),
    max_leaves=12,
)


@examples(max_examples=EXAMPLES)
@given(JSON | TEXT)
def test_a_file_of_citations(data: Any) -> None:
    text = data if isinstance(data, str) else json.dumps(data)
    try:
        found = read_citations("a.json", text)
    except CitationFileError as error:
        assert error.reason
        return
    assert all(cited.uri and cited.quote and cited.start >= 0 for cited in found)


FRONT_MATTER = st.one_of(
    TEXT,
    st.sampled_from(
        [
            "title: T", "title: [", "title: {a: &x [*x]}", "date: 2024-02-30", "date: 9999999999",
            "date: 2024-01-01T25:61:00", "? - a", "!!python/object:os.system x", "a: " + "[" * 500,
            "title: \"\\ud800\"", "<<: *x", "title:\n  - 1", "- 1", "date: .nan", "---",
        ]
    ),
)  # fmt: skip


@examples(max_examples=EXAMPLES)
@given(st.lists(FRONT_MATTER, max_size=4), TEXT)
def test_front_matter(lines: list[str], body: str) -> None:
    text = "---\n" + "\n".join(lines) + "\n---\n" + body
    try:
        document = read("a.md", text.encode())
    except SourceError:
        return
    assert document.text == text
    assert document.date is None or len(document.date) == 10
    for block in blocks(document, None):
        assert all(piece.text for piece in block.pieces)


@examples(max_examples=EXAMPLES)
@given(TEXT, TEXT)
def test_settings_of_names(hosts: str, origins: str) -> None:
    try:
        found = Settings.load({}, None, {"hosts": hosts, "origins": origins})
    except ConfigError:
        return
    assert "*" not in found.hosts + found.origins


# time: twice as much text takes about twice as long

ATTACKS = {
    "brackets": "[" * 100_000,
    "closing brackets": "]" * 100_000,
    "pairs": "[](" * 33_000,
    "footnotes": "[^" * 50_000,
    "digits": "1" * 100_000,
    "digits and dots": "1." * 50_000,
    "digits and brackets": "[1" * 50_000,
    "parentheses": "(" * 100_000,
    "stars": "*" * 100_000,
    "stars with blanks": "* " * 50_000,
    "backticks": "` `` " * 20_000,
    "slashes": "/a" * 50_000,
    "quotes": "'/" * 50_000,
    "initials": "A. " * 33_000,
    "angle brackets": "<" * 100_000,
    "blanks": " " * 100_000,
    "a heading of blanks": "# a" + " \t" * 50_000 + "x",
    "front matter without an end": "---\n" + "a: b\n" * 20_000,
    "a table row": "|" * 100_000,
    "tags": "<a" * 50_000,
    "entities": "&a" * 50_000,
    "a mark left open": '"' + "a" * 100_000,
    "marks left open": '"a\n' * 33_000,
    "excluded words": "x -ab" * 20_000,
    "hyphens": "-" * 100_000,
    "fields": "x source:a " * 9_000,
    "colons": "a:" * 50_000,
    "dates": "1 May 2024 " * 9_000,
    "amounts": "$1,000 million " * 6_600,
    "names": "The Elbe of Ada " * 6_200,
}
PARSERS: dict[str, Callable[[str], object]] = {
    "parse": parse,
    "interpret": lambda text: interpret("and in 2025?", [text]),
    "values": values,
    "folded": folded,
    "words": words,
    "phrases": lambda text: Phrases([f"{text[:2000]}x"]).count(text),
    "content_words": content_words,
    "escape_markdown": escape_markdown,
    "terms": terms,
    "fold_initials": fold_initials,
    "sentences": lambda text: list(sentences(text)),
    "without_paths": lambda text: without_paths(text, Settings()),
    "escaped": escaped,
    "_local": _local,
    "plain text": lambda text: read("a.txt", text.encode()),
    "Markdown": lambda text: read("a.md", text.encode()),
}
#: Characters that a parser is given, where it is never given as many as the others.
LENGTH = {"interpret": 8_000, "values": 24_000}
#: How much more four times as much text may take: linear is 4, quadratic 16.
MOST = 11
#: Seconds below which a clock says more of the machine than of the program.
LEAST = 0.01


@pytest.mark.parametrize("parser", PARSERS)
def test_no_text_takes_long(parser: str) -> None:
    """Four times as much text takes about four times as long, whatever text and machine."""
    length = LENGTH.get(parser, 200_000)
    for name, attack in ATTACKS.items():
        text = (attack * 2)[:length]
        if spent(PARSERS[parser], text) < LEAST:
            continue
        ratio = math.inf
        for _ in range(3):  # something else may take the machine meanwhile
            if ratio >= MOST:
                part = spent(PARSERS[parser], text[: length // 4])
                ratio = spent(PARSERS[parser], text) / part
        assert ratio < MOST, name


def spent(parse: Callable[[str], object], text: str) -> float:
    """Return seconds of processor time."""
    began = time.thread_time()
    with contextlib.suppress(SourceError, QuestionError):
        parse(text)
    return max(1e-6, time.thread_time() - began)
