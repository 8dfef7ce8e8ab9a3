from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import pytest

from qa.disagreement import Finding, Statement, find
from qa.types import Document, Passage, Sentence, Store


class Shelf:
    """A store of sources of one sentence each, in which all words are as rare."""

    def __init__(self, texts: dict[str, str]) -> None:
        self.texts = texts

    def rarities(self, terms: Sequence[str]) -> list[float]:
        return [1.0] * len(terms)

    def document(self, uri: str) -> Document:
        return Document(uri, uri, None, "", self.texts[uri], ())


def passage(uri: str, text: str, title: str = "", section: tuple[str, ...] = ()) -> Passage:
    """A passage of which every line is a sentence."""
    starts = [0, *(place + 1 for place, found in enumerate(text) if found == "\n")]
    sentences = tuple(
        Sentence(start, start + len(line), line)
        for start, line in zip(starts, text.split("\n"), strict=True)
    )
    return Passage(uri, title or uri, 0, len(text), text, text, section, 1, None, sentences)


def findings(question: str, quoted: str, *others: Passage) -> list[Finding]:
    """Look for what differs from an answer that quotes one sentence."""
    source = passage("quoted", quoted, "The quoted source")
    answer = [Statement(source, source.sentences[0])]
    return found_in([source, *others], question, answer, answer)


def found_in(
    passages: Sequence[Passage],
    question: str,
    answer: Sequence[Statement],
    foremost: Sequence[Statement],
) -> list[Finding]:
    store = cast(Store, Shelf({found.uri: found.text for found in passages}))
    return find(store, question, answer, foremost, passages, lambda text: [])


def marked(found: Finding) -> list[list[str]]:
    return [
        [entry.sentence.plain[start:end] for start, end in spans]
        for entry, spans in zip(found.statements, found.spans, strict=True)
    ]


VALUES = [
    (
        "How long is the Danube?",
        "The Danube is 2,850 kilometres long.",
        "The Danube is 2,888 km long.",
        "quantity",
        ["2,850 kilometres", "2,888 km"],
    ),
    (
        "How many people work at Acme?",
        "Acme employed 412 people in 2024.",
        "In 2024, Acme employed 380 people.",
        "quantity",
        ["412", "380"],
    ),
    (
        "What was the budget of the project?",
        "The budget of the bridge project was $3.2 million.",
        "The bridge project had a budget of $4.1 million.",
        "quantity",
        ["$3.2 million", "$4.1 million"],
    ),
    (
        "What share of members voted for the merger?",
        "The merger was approved by 62% of members.",
        "The merger was approved by 58 percent of the members.",
        "quantity",
        ["62%", "58 percent"],
    ),
    (
        "When did the bridge open?",
        "The Oresund bridge opened on 1 July 2000.",
        "The Oresund bridge opened on 2 July 2000 with a ceremony.",
        "date",
        ["1 July 2000", "2 July 2000"],
    ),
    (
        "When was the company founded?",
        "The company Acme was founded in 1987.",
        "Acme is a company that was founded in March 1991.",
        "date",
        ["1987", "March 1991"],
    ),
    (
        "How many abstained in the vote on ES-11/4?",
        "In the vote on the annexations of 12 October 2022, 35 states abstained.",
        "33 states abstained in the vote on the annexations of 12 October 2022.",
        "quantity",
        ["35", "33"],
    ),
    (
        "How high is the notice period?",
        "The notice period for employees is three months.",
        "The notice period for employees is six months.",
        "quantity",
        ["three months", "six months"],
    ),
]


@pytest.mark.parametrize(("question", "one", "other", "kind", "spans"), VALUES)
def test_values_that_cannot_both_be_right(
    question: str, one: str, other: str, kind: str, spans: list[str]
) -> None:
    (found,) = findings(question, one, passage("other", other))
    assert found.kind == kind
    assert marked(found) == [[span] for span in spans]


@pytest.mark.parametrize(
    ("question", "one", "other"),
    [
        # one rounds the other, or is more precise
        ("How long is it?", "The Danube is 2,850 km long.", "The Danube is about 2,857 km long."),
        (
            "When did it open?",
            "The bridge opened in July 2000.",
            "The bridge opened on 1 July 2000.",
        ),
        ("How much was it?", "The fine was over $330 million.", "The fine was $334 million."),
        # other times: a change
        (
            "How many people work at Acme?",
            "Acme employed 412 people in 2024.",
            "Acme employed 380 people in 2025.",
        ),
        (
            "How many work at Acme?",
            "Acme employed 412 people in 2024.",
            "Acme employed 380 people.",
        ),
        # other things
        (
            "At what temperature does gold melt?",
            "Gold melts at 1,064 degrees.",
            "Copper melts at 1,085 degrees.",
        ),
        (
            "How many live in Vienna?",
            "Vienna has 2.0 million inhabitants.",
            "Graz has 0.3 million inhabitants.",
        ),
        (
            "How long is it?",
            "The Danube is 2,850 km long.",
            "The Danube carries 35 million tonnes.",
        ),
        # other kinds of quantity
        ("How much is the cap?", "The cap is 60 dollars.", "The cap is 60.5 percent."),
        (
            "How big is the loan?",
            "The loan is 50 billion dollars.",
            "The loan is 45 billion euros.",
        ),
        # several values, of which none is surely meant
        (
            "How many voted for it?",
            "The bill passed with 79 votes to 18 votes.",
            "The bill passed with 77 votes to 21 votes.",
        ),
        # nobody asked for a value
        ("What is the Danube?", "The Danube is 2,850 km long.", "The Danube is 2,888 km long."),
    ],
)
def test_values_that_do_not_disagree(question: str, one: str, other: str) -> None:
    assert findings(question, one, passage("other", other)) == []


def test_a_source_does_not_disagree_with_itself() -> None:
    same = passage("quoted", "The Danube is 2,888 km long.")
    assert findings("How long is the Danube?", "The Danube is 2,850 km long.", same) == []


# claims

DISPUTES = [
    (
        'The report "The quoted source" calls the bridge safe, while inspectors closed two lanes.',
        ["inspectors closed two lanes"],
    ),
    (
        'While the report "The quoted source" calls the bridge safe, inspectors closed two lanes.',
        ["inspectors closed two lanes"],
    ),
    (
        'The safe bridge of the report "The quoted source" is disputed by inspectors.',
        ["disputed by inspectors"],
    ),
    (
        "No public evidence that the bridge is safe was found.",
        ["No public evidence that the bridge is safe was found"],
    ),
    (
        "That the bridge is safe could not be confirmed.",
        ["That the bridge is safe could not be confirmed"],
    ),
]


@pytest.mark.parametrize(("dispute", "spans"), DISPUTES)
def test_a_source_that_disputes_another(dispute: str, spans: list[str]) -> None:
    quoted = "The old bridge is safe for all traffic."
    (found,) = findings("Is the bridge safe?", quoted, passage("other", dispute))
    assert found.kind == "claim"
    assert [entry.passage.uri for entry in found.statements] == ["other", "quoted"]
    assert marked(found) == [spans, ["bridge is safe"]]


@pytest.mark.parametrize(
    "other",
    [
        # it agrees
        'The report "The quoted source" calls the bridge safe, and inspectors confirmed the claim.',
        # it only reports
        'The report "The quoted source" says that the bridge is safe.',
        # it speaks of a source that is not the one quoted
        'The report "Another source" calls the bridge safe, while inspectors closed two lanes.',
        # it disputes something else
        'The report "The quoted source" gives the toll as low, while drivers paid more.',
        "No public source for the cost of the ferry was found.",
    ],
)
def test_what_is_no_dispute(other: str) -> None:
    quoted = "The old bridge is safe for all traffic."
    assert findings("Is the bridge safe?", quoted, passage("other", other)) == []


def test_a_dispute_of_something_that_was_not_asked_is_left_out() -> None:
    quoted = "The old bridge is safe for all traffic, and the toll is two euros."
    dispute = 'The report "The quoted source" says the toll is two euros, but drivers paid three.'
    assert findings("Is the bridge safe?", quoted, passage("other", dispute)) == []
    assert len(findings("What is the toll?", quoted, passage("other", dispute))) == 1


def test_a_single_word_of_the_question_does_not_make_a_claim_what_was_asked() -> None:
    quoted = "The old bridge is safe for all traffic."
    dispute = 'The report "The quoted source" says the bridge carries traffic, but lorries turn.'
    assert findings("Is the bridge safe?", quoted, passage("other", dispute)) == []
    for question in ("Is the bridge for traffic?", "What of the bridge?"):  # all of the question
        assert len(findings(question, quoted, passage("other", dispute))) == 1


def test_a_section_on_what_differs_answers_the_report_of_a_claim() -> None:
    quoted = "The old bridge is safe for all traffic."
    report = 'The report "The quoted source" calls the bridge safe.'
    against = "Inspectors closed two lanes of the bridge in May."
    text = f"{report}\n{against}"
    listed = passage("other", text, section=("Where sources differ",))
    plain = passage("other", text, section=("The bridge",))
    question = "Is the bridge safe?"
    assert findings(question, quoted, plain) == []
    assert findings(question, quoted, listed) == []  # what is held against it did not come near
    held = Statement(listed, listed.sentences[1])
    claimed = passage("quoted", quoted, "The quoted source")
    for answer in ([held], [Statement(claimed, claimed.sentences[0])]):  # quoted, or nearly so
        (found,) = found_in([listed, claimed], question, answer, [held])
        assert marked(found) == [[against[:-1]], ["bridge is safe"]]


def test_one_source_denies_what_another_says() -> None:
    (found,) = findings(
        "Is the bridge open to trucks?",
        "The Elbe bridge is open to trucks.",
        passage("other", "The Elbe bridge is not open to trucks."),
    )
    assert found.kind == "claim"
    assert marked(found) == [[], ["not"]]


@pytest.mark.parametrize(
    "other",
    [
        "The Elbe bridge is not only open to trucks.",
        "The Elbe bridge is no longer open to trucks.",
        "The Elbe bridge is not open to bicycles and pedestrians.",
        "The Elbe bridge is open to trucks.",
    ],
)
def test_what_is_no_denial(other: str) -> None:
    found = findings(
        "Is the bridge open to trucks?",
        "The Elbe bridge is open to trucks.",
        passage("other", other),
    )
    assert found == []
