"""Questions put otherwise for the training of the selector."""

from __future__ import annotations

import random

from training.reword import join, key_words, misspell, reworded

ASKED = "Which shipping company was Halden's biggest customer in 2021?"
OTHER = "How many boxes went through Halden?"


def test_two_questions_are_asked_as_one() -> None:
    joined = {join(ASKED, OTHER, random.Random(seed)) for seed in range(40)}
    assert f"{ASKED[:-1]}, and {OTHER}" in joined
    assert f"{OTHER} {ASKED}" in joined
    assert all(ASKED[:-1] in text and OTHER[:-1] in text for text in joined)


def test_key_words_lose_what_carries_no_topic() -> None:
    found = {key_words(ASKED, random.Random(seed)) for seed in range(20)}
    topic = "shipping company halden's biggest customer 2021"
    assert found == {topic, f"{topic} which"}


def test_a_question_of_two_words_is_left_whole() -> None:
    assert key_words("Who was Maersk?", random.Random(1)) == "Who was Maersk?"


def test_one_letter_of_a_name_is_wrong() -> None:
    found = {misspell(ASKED, random.Random(seed)) for seed in range(60)}
    assert {ASKED.replace("Halden", wrong) for wrong in ("Haden", "Halldne", "Hladen")} & found
    for text in found:
        before, after = ASKED.split("Halden")
        assert text.startswith(before)
        assert text.endswith(after)
        assert abs(len(text) - len(ASKED)) <= 1


def test_a_question_of_short_words_has_no_letter_wrong() -> None:
    assert misspell("Who was it?", random.Random(1)) == "Who was it?"


def test_most_questions_stay_as_they_are_and_some_are_joined() -> None:
    chance = random.Random(5)
    found = [reworded(ASKED, OTHER, chance) for _ in range(1000)]
    assert 600 < sum(text == ASKED for text, _ in found) < 800
    assert 80 < sum(joined for _, joined in found) < 160
