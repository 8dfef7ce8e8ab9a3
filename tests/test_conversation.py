from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qa.conversation import interpret

NATO = "When did Finland join NATO?"
COPPER = "At what temperature does copper melt?"
SWAP = "Who was exchanged for Viktor Bout in December 2022?"


@pytest.mark.parametrize(
    ("history", "question", "interpreted"),
    [
        # a fragment takes the place of what it is parallel to
        pytest.param([NATO], "and Sweden?", "When did Sweden join NATO?", id="name"),
        pytest.param([NATO], "Sweden?", "When did Sweden join NATO?", id="name alone"),
        pytest.param([NATO], "what about Sweden", "When did Sweden join NATO?", id="what about"),
        pytest.param([NATO], "How about Sweden?", "When did Sweden join NATO?", id="how about"),
        pytest.param([NATO], "AND SWEDEN?", "When did SWEDEN join NATO?", id="shouted"),
        pytest.param(
            ["When did the US leave Iraq?"],
            "and Britain?",
            "When did Britain leave Iraq?",
            id="the subject, article and all",
        ),
        pytest.param(
            ["What did Gallup find about Republicans?"],
            "and Democrats?",
            "What did Gallup find about Democrats?",
            id="the name of its number",
        ),
        pytest.param(
            ["How did the Assembly vote on ES-11/1?"],
            "and ES-11/4?",
            "How did the Assembly vote on ES-11/4?",
            id="the name with digits",
        ),
        pytest.param(
            ["How much gas came from Russia?"],
            "and from Norway?",
            "How much gas came from Norway?",
            id="the same preposition",
        ),
        pytest.param(
            ["What did Russia's parliament decide?"],
            "and Ukraine's?",
            "What did Ukraine's parliament decide?",
            id="possessive",
        ),
        pytest.param(
            ["What were the first American sanctions on Libya?"],
            "and European ones?",
            "What were the first European sanctions on Libya?",
            id="adjective",
        ),
        pytest.param([COPPER], "and gold?", "At what temperature does gold melt?", id="noun"),
        pytest.param(
            ["How many men were hurt?"], "women?", "How many women were hurt?", id="counted"
        ),
        pytest.param(
            ["What is the cap on diesel?"],
            "and on crude?",
            "What is the cap on crude?",
            id="the end",
        ),
        pytest.param(
            ["When did the first round begin?"],
            "and the second?",
            "When did the second round begin?",
            id="ordinal",
        ),
        pytest.param(
            ["When was the Minsk agreement signed?"],
            "and the Budapest agreement?",
            "When was the Budapest agreement signed?",
            id="name and its noun",
        ),
        pytest.param(
            ["What was the G7 price cap in December?"],
            "and the EU cap?",
            "What was the EU cap in December?",
            id="name and the last of its nouns",
        ),
        pytest.param(
            ["How large is Russia's army?"],
            "and Ukraine's army?",
            "How large is Ukraine's army?",
            id="possessive and its noun",
        ),
        pytest.param(
            ["Why did trade between Russia and India grow?"],
            "and between China and Iran?",
            "Why did trade between China and Iran grow?",
            id="two names",
        ),
        pytest.param(
            ["How much oil does India buy?"],
            "what about gas?",
            "How much gas does India buy?",
            id="counted before a verb",
        ),
        pytest.param(
            ["How many soldiers died?"], "civilians?", "How many civilians died?", id="who died"
        ),
        pytest.param([NATO], "yes, but why?", "Why did Finland join NATO?", id="yes"),
        # what only is polite asks nothing, and changes nothing
        pytest.param(
            [NATO, "ok, thanks!"], "and Sweden?", "When did Sweden join NATO?", id="thanks"
        ),
        pytest.param([NATO], "Thank you very much.", "Thank you very much.", id="thank you"),
        pytest.param([NATO], "no", "no", id="no"),
        pytest.param(["? (NATO)"], "how?", "how (NATO)?", id="no words before"),
        # a date takes the place of a date, or is added
        pytest.param(
            ["How much did it earn in 2023?"], "2024?", "How much did it earn in 2024?", id="year"
        ),
        pytest.param(
            ["What was the cap in December 2022?"],
            "and in 2026?",
            "What was the cap in 2026?",
            id="year for month",
        ),
        pytest.param([COPPER], "in 2025", COPPER[:-1] + " in 2025?", id="no date before"),
        pytest.param(
            ["Who led Norway in 2021?"], "and now?", "Who led Norway now?", id="now for year"
        ),
        pytest.param(
            ["How many died in Sudan in 2023?"],
            "and Mali in 2024?",
            "How many died in Mali in 2024?",
            id="name and year",
        ),
        # a question word takes the place of a question word
        pytest.param(["Where did they meet Xi?"], "when?", "When did they meet Xi?", id="when"),
        pytest.param(["Has the review ended?"], "Why?", "Why has the review ended?", id="why"),
        pytest.param([NATO], "why?", "Why did Finland join NATO?", id="why for when"),
        pytest.param(
            ["Who shot down MH17?"], "why?", "why (shot down MH17)?", id="nothing to replace"
        ),
        pytest.param(
            ["How big was trade with India in 2024?"],
            "why?",
            "why (trade with India in 2024)?",
            id="how big",
        ),
        # what points outside is carried by the topic
        pytest.param(
            [SWAP],
            "Who mediated that?",
            "Who mediated that (exchanged for Viktor Bout in December 2022)?",
            id="that",
        ),
        pytest.param(
            [SWAP],
            "how long was her sentence",
            "how long was her sentence (exchanged for Viktor Bout in December 2022)?",
            id="her",
        ),
        pytest.param(
            [NATO],
            "What was agreed there?",
            "What was agreed there (Finland join NATO)?",
            id="there",
        ),
        pytest.param(
            ["What is the Quad?"],
            "what does Russia say about it",
            "what does Russia say about it (Quad)?",
            id="an object is not its own subject",
        ),
        pytest.param(
            ["What is the Quad?"], "Does it name China?", "Does it name China (Quad)?", id="it"
        ),
        pytest.param(
            ["What is the Quad?"],
            "What did France propose instead?",
            "What did France propose instead (Quad)?",
            id="instead",
        ),
        pytest.param(
            ["What is the Quad?"], "how did China react?", "how did China react (Quad)?", id="react"
        ),
        pytest.param(
            ["What is the Quad?"],
            "Were there more meetings?",
            "Were there more meetings (Quad)?",
            id="comparative",
        ),
        pytest.param(["What is the Quad?"], "Who pays?", "Who pays (Quad)?", id="names nothing"),
        pytest.param(
            ["What is the Quad?"],
            "what are the costs?",
            "what are the costs (Quad)?",
            id="the costs",
        ),
        # the thread goes on
        pytest.param(
            [NATO, "and Sweden?"], "Why?", "Why did Sweden join NATO?", id="third after second"
        ),
        pytest.param(
            ["What is the Quad?", "Does it name China?"],
            "and Japan?",
            "Does it name Japan (Quad)?",
            id="a fragment in a carried question",
        ),
        pytest.param(
            ["Where does the Danube rise?", "how long is it?"],
            "and the Rhine?",
            "how long is it (the Rhine rise)?",
            id="a fragment in the topic",
        ),
        pytest.param(
            [NATO, "What is the Quad?"], "Who pays?", "Who pays (Quad)?", id="the last topic"
        ),
        pytest.param(
            ["and Sweden?"], "When did it join?", "When did it join (Sweden)?", id="begun by one"
        ),
    ],
)
def test_a_follow_up_is_made_to_stand_alone(
    history: list[str], question: str, interpreted: str
) -> None:
    assert interpret(question, history) == interpreted


@pytest.mark.parametrize(
    "question",
    [
        "When did Sweden join the EU?",
        "Is it true that Spain pays less?",
        "Is it possible for men of military age to leave the country?",
        "Was it the GRU that cut off the power in 2015?",
        "When was it that Russia left the Council of Europe?",
        "It seems that the fleet grew; does the GAO agree?",
        "What is it that the Hague summit wants?",
        "When Sweden joined, was it against Turkey's will?",
        "When it joined, was Sweden in the EU?",
        "Why does Russia call its war a special operation?",
        "How much of its GDP does Poland spend?",
        "Is Levada independent or is it run by the state?",
        "What about Sweden, when did it join?",
        "Did James Baker say that NATO would not grow, and when did he say it?",
        "What did the Treasury tell banks to do with the assets they hold?",
        "Which firms that break the ban on gas are fined, and how high are their fines?",
        "What do Trump and Putin want?",
        "Are there any US troops in Ukraine?",
        "How much more than the US had Europe given?",
        "Which countries abstained and which voted against ES-11/1?",
        "And what is the 50 percent rule?",
        "What is the shadow fleet?",
        "What are secondary sanctions?",
        "What did Putin's decree 961 say?",
        "Don Bacon",
        "Which of these is true: " + "the Rhine is long, " * 9 + "or they are all wrong?",
        "Turkey and Hungary",
        "Sberbank SWIFT removal date",
        "How do I renew my passport?",
        "At what temperature does gold melt?",
        "  Where is the Rhine?  ",
        "???",
    ],
)
def test_a_question_of_its_own_is_left_alone(question: str) -> None:
    assert interpret(question, [SWAP]) == question
    assert interpret(question, [SWAP, "Who mediated that?"]) == question


def test_a_thread_that_names_nothing_needs_no_names() -> None:
    """In a manual, few questions have a name, and few follow up."""
    assert interpret("How does the pump start?", ["How is the tank filled?"]) == (
        "How does the pump start?"
    )


def test_a_question_that_has_the_topic_is_not_given_it_again() -> None:
    assert interpret("Does the Quad have its charter there?", ["What is the Quad?"]) == (
        "Does the Quad have its charter there?"
    )


def test_an_interpretation_is_no_longer_than_a_question_may_be() -> None:
    history = ["When did " + "Finland" * 200 + " join NATO?"]
    assert len(interpret("and " + "Sweden" * 100 + " in 2025?", history)) <= 2000
    question = "Who said that? " + "x" * 1900
    assert interpret(question, history) == question


PIECES = st.sampled_from(
    [
        *"and what about how it its that Sweden in 2025 ? , . when why If who did does is".split(),
        *"ES-11/4 Russia's second ones than more there instead say 's now first 5 May".split(),
        *["İ", "ß", "漢", "\u0301", "\n", "(", ")", ""],
    ]
)
TEXTS = st.one_of(st.text(max_size=50), st.lists(PIECES, max_size=8).map(" ".join))


@given(TEXTS)
def test_without_a_history_nothing_changes(question: str) -> None:
    assert interpret(question, []) == question


@given(TEXTS, st.lists(TEXTS, max_size=4))
def test_every_text_has_an_interpretation(question: str, history: list[str]) -> None:
    interpreted = interpret(question, history)
    assert interpreted == interpret(question, history)
    assert len(interpreted) <= 2000
