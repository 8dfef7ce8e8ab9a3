"""Questions with filters, asked of the small corpus; notices; the order of passages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from fakes import FakeEncoder, fill
from qa.assistant import Assistant
from qa.config import Settings
from qa.errors import QuestionError
from qa.ingest import build
from qa.scorer import SimilarityScorer
from qa.stores.local import LocalStore
from qa.types import Filters, Notice


def opened(settings: Settings, fake: FakeEncoder) -> Assistant:
    """Open an assistant that answers whatever its confidence."""
    settings = replace(settings, threshold=0.0)
    store = LocalStore.open(settings.index)
    return Assistant(store, fake, SimilarityScorer(fake), settings)


@pytest.fixture
def assistant(indexed: Settings, fake: FakeEncoder) -> Iterator[Assistant]:
    found = opened(indexed, fake)
    yield found
    found.store.close()


@pytest.mark.parametrize(
    ("question", "options", "uris", "filters"),
    [
        ('"the Danube"', {}, {"cities/vienna.md", "rivers.md"}, Filters(("the Danube",))),
        (
            'city "the Danube" -rises',
            {},
            {"cities/vienna.md"},
            Filters(("the Danube",), ("rises",)),
        ),
        ("Danube -Danube", {}, {"rivers.md", "notes.txt"}, Filters((), ("Danube",))),
        ("Danube source:vienna", {}, {"cities/vienna.md"}, Filters(sources=("vienna",))),
        ("Danube source:EUROPE", {}, {"rivers.md"}, Filters(sources=("EUROPE",))),
        (
            'Danube source:"rivers of" source:notes',
            {},
            {"rivers.md", "notes.txt"},
            Filters(sources=("rivers of", "notes")),
        ),
        ("Danube type:txt", {}, {"notes.txt"}, Filters(types=("txt",))),
        ("Danube type:md source:s", {}, {"cities/vienna.md", "rivers.md"}, None),
        ("Danube after:2024", {}, {"rivers.md"}, Filters(after="2024-01-01")),
        ("Danube before:2023", {}, {"cities/vienna.md"}, Filters(before="2023-12-31")),
        (
            "Danube after:2023",
            {"after": "2023-06-01", "sources": ["rivers.md", "cities/vienna.md"]},
            {"rivers.md"},
            Filters(sources=("rivers.md", "cities/vienna.md"), after="2023-06-01"),
        ),
        (
            "Danube source:r",
            {"sources": ["rivers.md", "notes.txt"]},
            {"rivers.md"},
            Filters(sources=("rivers.md", "notes.txt", "r")),
        ),
        ("Danube", {}, {"cities/vienna.md", "notes.txt", "rivers.md"}, Filters()),
    ],
)
def test_only_what_was_asked_for_is_searched(
    assistant: Assistant,
    question: str,
    options: dict[str, Any],
    uris: set[str],
    filters: Filters | None,
) -> None:
    reply = assistant.ask(question, limit=50, **options)
    assert {passage.uri for passage in reply.passages} == uris
    assert {citation.uri for citation in reply.citations} <= uris
    assert reply.filters == (filters or reply.filters)
    assert reply.notices == ()


def test_a_whole_uri_is_no_part_of_others(settings: Settings, fake: FakeEncoder) -> None:
    fill(
        settings.corpus, {"a.txt": "Gold melts.", "data.txt": "Gold glows.", "data/a.txt": "Gold."}
    )
    build(settings, fake)
    reply = opened(settings, fake).ask("gold source:A.txt")
    assert {passage.uri for passage in reply.passages} == {"a.txt"}


def test_the_question_is_searched_without_its_syntax(assistant: Assistant) -> None:
    reply = assistant.ask("Where does the Danube rise? source:rivers -Rhine")
    assert reply.interpreted == "Where does the Danube rise?"
    assert reply.question == "Where does the Danube rise? source:rivers -Rhine"
    plain = assistant.ask("Where does the Danube rise?", sources=["rivers.md"])
    assert reply.answer[0] == plain.answer[0]


def test_the_sentence_with_the_phrase_answers(assistant: Assistant) -> None:
    question = "What city has two million inhabitants, {}?"
    plain = [sentence.plain for sentence in assistant.ask(question.format("on the Danube")).answer]
    assert "The city has two million inhabitants." in plain
    reply = assistant.ask(question.format('"on the Danube"'))
    assert [sentence.plain for sentence in reply.answer] == ["Vienna stands on the Danube."]


@pytest.mark.parametrize(
    ("question", "options", "text"),
    [
        ('gold "red line"', {}, "No passage has the phrase “red line”."),
        ('"Danube" "red line"', {}, "No passage has the phrase “red line”."),
        ('"Rhine" and "gold"', {}, "No passage has “Rhine” and “gold” together."),
        ('"Rhine" -rhine', {}, "Every passage that fits has “rhine”, which you left out."),
        (
            "melting -melts -Danube -Rhine",
            {},
            "Every passage that fits has “melts” or “Danube” or “Rhine”, which you left out.",
        ),
        (
            '"gold" source:rivers',
            {},
            "No passage of the sources that fit has the phrase “gold”.",
        ),
        ("gold source:rivers type:txt", {}, "No source fits source:rivers and type:txt."),
        ("gold after:2025", {}, "No source is dated 2025-01-01 or later."),
        ("gold", {"before": "2022-12-31"}, "No source is dated 2022-12-31 or earlier."),
        ("gold after:2025 before:2024", {}, "No source is dated from 2025-01-01 to 2024-12-31."),
        (
            "gold source:notes after:2000",
            {},
            "No source that fits source:notes is dated 2000-01-01 or later.",
        ),
    ],
)
def test_a_filter_that_leaves_nothing_is_named(
    assistant: Assistant, question: str, options: dict[str, Any], text: str
) -> None:
    reply = assistant.ask(question, **options)
    assert (reply.answered, reply.answer, reply.passages) == (False, (), ())
    assert reply.notices == (Notice("nothing_left", text),)


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        (
            "gold source:viena",
            "no source fits source:viena; near it are cities/vienna.md; `qa sources` lists all 3",
        ),
        (
            "gold source:zzzzzz",
            "no source fits source:zzzzzz; there are, for example, cities/vienna.md, notes.txt, "
            "rivers.md; `qa sources` lists all 3",
        ),
        ("gold type:pdf", "no source fits type:pdf; the types are: md, txt"),
    ],
)
def test_a_name_that_fits_nothing_is_an_error(
    assistant: Assistant, question: str, reason: str
) -> None:
    with pytest.raises(QuestionError) as caught:
        assistant.ask(question)
    assert (caught.value.field, caught.value.reason) == ("question", reason)


def test_names_in_the_question_and_beside_it_must_both_fit(assistant: Assistant) -> None:
    both = ["notes.txt", "rivers.md"]
    reply = assistant.ask("gold source:notes", sources=both)
    assert {passage.uri for passage in reply.passages} == {"notes.txt"}
    with pytest.raises(
        QuestionError, match="none of the sources chosen beside it fits source:vienna"
    ):
        assistant.ask("gold source:vienna", sources=both)


def test_passages_by_date(assistant: Assistant) -> None:
    by_score = assistant.ask("Vienna gold Danube", limit=50).passages
    by_date = assistant.ask("Vienna gold Danube", limit=50, sort="date").passages
    assert [passage.date for passage in by_date] == ["2024-05-01"] * 2 + ["2023-01-15", None]
    assert [passage.date for passage in by_score] != [passage.date for passage in by_date]
    places = [[(passage.uri, passage.start) for passage in found] for found in (by_date, by_score)]
    assert sorted(places[0]) == sorted(places[1])
    rivers = [passage for passage in by_score if passage.uri == "rivers.md"]
    assert list(by_date[:2]) == rivers


def mine(day: str, *sentences: str) -> str:
    """A source whose sentences all match a question about a gold mine near Bern equally well."""
    dated = f"date: {day}\n" if day else ""
    return f"---\ntitle: Mines\n{dated}---\n{' '.join(sentences)}\n"


OLDER = ["Gold mine near Bern.", "Mine gold near Bern.", "Bern near gold mine."]
OTHER = ["Near Bern gold mine.", "Bern gold near mine.", "Mine near gold Bern."]


@pytest.mark.parametrize(
    ("days", "newer"),
    [
        (["2025-02-01", "2025-03-01"], ["b.md"]),
        (["2025-02-01", "2025-01-31"], []),
        (["2025-02-01", "2025-02-01"], []),
        (["2025-02-01", ""], []),
        (["", "2025-03-01"], []),
    ],
    ids=["newer", "older", "same day", "undated", "undated answer"],
)
def test_newer_sources_that_match_as_well_are_named(
    settings: Settings, fake: FakeEncoder, days: list[str], newer: list[str]
) -> None:
    fill(settings.corpus, {"a.md": mine(days[0], *OLDER), "b.md": mine(days[1], *OTHER)})
    fill(settings.corpus, {"c.md": mine("2025-05-01", "Nothing to see here.")})
    build(settings, fake)
    reply = opened(settings, fake).ask("Gold mine near Bern?")
    assert {citation.uri for citation in reply.citations} == {"a.md"}
    text = "The answer is from sources of 2025-02-01; newer sources also match: b.md (2025-03-01)."
    assert reply.notices == ((Notice("newer_sources", text, tuple(newer)),) if newer else ())


def test_newer_than_the_dated_sources_of_an_answer(settings: Settings, fake: FakeEncoder) -> None:
    fill(settings.corpus, {"a.md": mine("2025-02-01", *OLDER[:2]), "b.md": mine("", OLDER[2])})
    fill(settings.corpus, {"c.md": mine("2025-03-01", OTHER[0])})
    build(settings, fake)
    reply = opened(settings, fake).ask("Gold mine near Bern?")
    assert {citation.uri for citation in reply.citations} == {"a.md", "b.md"}
    (notice,) = reply.notices
    assert notice.text.startswith("The dated sources of the answer are of 2025-02-01; newer")


def test_a_newer_source_that_is_quoted_needs_no_notice(
    settings: Settings, fake: FakeEncoder
) -> None:
    files = {"a.md": mine("2025-02-01", OLDER[0]), "b.md": mine("2025-03-01", OTHER[0])}
    fill(settings.corpus, files)
    build(settings, fake)
    reply = opened(settings, fake).ask("Gold mine near Bern?")
    assert {citation.uri for citation in reply.citations} == {"a.md", "b.md"}
    assert reply.notices == ()
