from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import qa.assistant
import qa.evaluate
from fakes import CORPUS, FakeEncoder, fill
from qa.config import Settings
from qa.errors import QuestionFileError
from qa.evaluate import (
    GOLD,
    TOPIC,
    Outcome,
    Question,
    auroc,
    calibration_measures,
    discounted_gain,
    evaluate,
    false_answers,
    fit_calibration,
    hit_rate,
    judge,
    measures,
    read_questions,
    reciprocal_rank,
    reliability,
    sample,
    without,
)
from qa.ingest import build
from qa.types import Answer, Citation, Filters, Location, RankedPassage

# measures, by hand


@pytest.mark.parametrize(
    ("ranks", "depth", "hits", "reciprocal", "gain"),
    [
        ([1], 10, 1.0, 1.0, 1.0),
        ([2], 10, 1.0, 1 / 2, 1 / math.log2(3)),
        ([3], 10, 1.0, 1 / 3, 1 / 2),
        ([0], 10, 0.0, 0.0, 0.0),
        ([10], 10, 1.0, 1 / 10, 1 / math.log2(11)),
        ([11], 10, 0.0, 0.0, 0.0),
        ([1, 3, 0, 7], 5, 2 / 4, (1 + 1 / 3) / 4, (1 + 1 / 2) / 4),
        ([1, 2, 4], 1, 1 / 3, 1 / 3, 1 / 3),
    ],
)
def test_ranks(
    ranks: Sequence[int], depth: int, hits: float, reciprocal: float, gain: float
) -> None:
    assert hit_rate(ranks, depth) == pytest.approx(hits)
    assert reciprocal_rank(ranks, depth) == pytest.approx(reciprocal)
    assert discounted_gain(ranks, depth) == pytest.approx(gain)


@pytest.mark.parametrize(
    ("positive", "negative", "area"),
    [
        ([0.9, 0.8], [0.1, 0.2], 1.0),
        ([0.1, 0.2], [0.9, 0.8], 0.0),
        ([0.5], [0.5], 0.5),
        ([0.5, 0.5, 0.5], [0.5, 0.5], 0.5),
        # of 3 x 2 pairs: .9 beats both, .5 beats .1 and ties .5, .2 beats .1: 4.5 of 6
        ([0.9, 0.5, 0.2], [0.5, 0.1], 4.5 / 6),
        # .7 ties twice, .3 beats nothing: 1 of 6
        ([0.7, 0.3], [0.7, 0.7, 0.9], 1 / 6),
    ],
    ids=["apart", "reversed", "one tie", "all tie", "some ties", "ties above"],
)
def test_auroc(positive: Sequence[float], negative: Sequence[float], area: float) -> None:
    assert auroc(positive, negative) == pytest.approx(area)


@pytest.mark.parametrize(
    ("positive", "negative", "answered", "share"),
    [
        ([0.9, 0.8, 0.7, 0.6], [0.65, 0.5], 1.0, 1 / 2),
        ([0.9, 0.8, 0.7, 0.6], [0.65, 0.5], 0.75, 0.0),
        ([0.9, 0.8, 0.7, 0.6], [0.7, 0.6], 0.7, 1 / 2),
        ([0.9, 0.8, 0.7, 0.6], [0.95, 0.1, 0.1, 0.1], 0.25, 1 / 4),
        ([0.5] * 20, [0.5, 0.4], 0.95, 1 / 2),
    ],
)
def test_false_answers(
    positive: Sequence[float], negative: Sequence[float], answered: float, share: float
) -> None:
    assert false_answers(positive, negative, answered) == pytest.approx(share)


def test_a_measure_of_nothing_is_no_number() -> None:
    values = [hit_rate([], 1), reciprocal_rank([], 1), discounted_gain([], 1)]
    values += [auroc([], [1]), auroc([1], []), false_answers([], [1], 0.9)]
    assert all(map(math.isnan, values))


# files of questions


def write(folder: Path, name: str, content: str) -> Path:
    path = folder / name
    path.write_text(content, encoding="utf-8")
    return path


def test_lines_of_json(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "q.jsonl",
        '{"question": "Who?", "answers": ["Me", "I"], "uri": "a.md", "group": "g"}\n'
        "\n"
        '{"question": "When \u2028?", "answers": []}\r\n'
        '{"question": "Where?", "answers": ["x"], "uri": ["a", "b", "c"],'
        ' "also": [{"answers": ["y"], "uri": "d"}]}',
    )
    assert read_questions(path) == (
        [
            Question("Who?", ("Me", "I"), "a.md", group="g"),
            Question("When \u2028?", ()),
            Question(
                "Where?",
                ("x",),
                "a",
                ("b", "c"),
                parts=(Question("Where?", ("y",), "d"),),
            ),
        ],
        {},
    )


@pytest.mark.parametrize(
    "line",
    [
        "not JSON",
        "[]",
        "null",
        '"text"',
        "{}",
        '{"question": "Who?"}',
        '{"answers": []}',
        '{"question": 1, "answers": []}',
        '{"question": "Who?", "answers": "Me"}',
        '{"question": "Who?", "answers": [1]}',
        '{"question": "Who?", "answers": null}',
        '{"question": "Who?", "answers": [], "uri": 1}',
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str) -> None:
    """Answers that were one text were taken for a list of its letters."""
    good = '{"question": "Who?", "answers": []}'
    path = write(tmp_path, "q.jsonl", f"{good}\n\n{line}\n{good}\n")
    with pytest.raises(QuestionFileError, match=r"line 3: expected \{") as caught:
        read_questions(path)
    assert caught.value.path == path


def squad(*articles: Sequence[tuple[str, Sequence[tuple[str, Sequence[str]]]]]) -> dict[str, Any]:
    """Return SQuAD-format data: articles of contexts with questions and answers."""
    return {
        "data": [
            {
                "paragraphs": [
                    {
                        "context": context,
                        "qas": [
                            {
                                "question": question,
                                "answers": [
                                    {"text": text, "answer_start": context.index(text)}
                                    for text in answers
                                ],
                            }
                            for question, answers in questions
                        ],
                    }
                    for context, questions in article
                ]
            }
            for article in articles
        ]
    }


METALS = [
    ("Gold melts at 1,064 degrees. It is yellow.", [("When does gold melt?", ["1,064 degrees"])]),
    ("Lead melts at 327 degrees. It is grey.", [("When does lead melt?", ["327 degrees"])]),
]
RIVERS = [("The Danube rises in the Black Forest.", [("Where does it rise?", ["Black Forest"])])]


def test_squad(tmp_path: Path) -> None:
    path = write(tmp_path, "q.json", json.dumps(squad(METALS, RIVERS)))
    questions, corpus = read_questions(path)
    topic = ("000/00000.txt", "000/00001.txt")
    assert questions == [
        Question(
            "When does gold melt?", ("1,064 degrees",), topic[0], spans=((14, 27),), topic=topic
        ),
        Question(
            "When does lead melt?", ("327 degrees",), topic[1], spans=((14, 25),), topic=topic
        ),
        Question(
            "Where does it rise?",
            ("Black Forest",),
            "001/00002.txt",
            spans=((24, 36),),
            topic=("001/00002.txt",),
        ),
    ]
    assert corpus == {
        "000/00000.txt": METALS[0][0],
        "000/00001.txt": METALS[1][0],
        "001/00002.txt": RIVERS[0][0],
    }


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"data": [{}]}', '{"data": [{"paragraphs": [{"context": "x"}]}]}']
)
def test_json_that_is_no_squad(tmp_path: Path, content: str) -> None:
    with pytest.raises(QuestionFileError, match="not SQuAD-format JSON"):
        read_questions(write(tmp_path, "q.json", content))


@pytest.mark.parametrize("name", ["gone.json", "folder.json", "binary.jsonl"])
def test_a_file_that_cannot_be_read(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "binary.jsonl").write_bytes(b"\xff")
    with pytest.raises(QuestionFileError, match="cannot be read") as caught:
        read_questions(tmp_path / name)
    assert caught.value.path == tmp_path / name


# judging a reply


def passage(uri: str, start: int, text: str) -> RankedPassage:
    return RankedPassage(
        uri,
        title="",
        start=start,
        end=start + len(text),
        text=text,
        section=(),
        page=None,
        line=1,
        date=None,
        score=1.0,
        ranks={"dense": 1, "lexical": 1},
        evidence=None,
        coverage=None,
        highlights=(),
    )


def citation(uri: str, start: int, quote: str, *also: Location) -> Citation:
    end = start + len(quote)
    return Citation(1, uri, "", None, "", start, end, quote, (), None, 1, (), "", also)


def reply(passages: Sequence[RankedPassage], citations: Sequence[Citation] = ()) -> Answer:
    return Answer(
        question="?",
        interpreted="?",
        answered=bool(citations),
        confidence=0.5,
        answer=(),
        citations=tuple(citations),
        passages=tuple(passages),
        disagreements=(),
        filters=Filters(),
        notices=(),
        generation="g",
        took_ms=3.0,
    )


@pytest.mark.parametrize(
    ("question", "rank"),
    [
        (Question("?", ("melts",)), 2),
        (Question("?", ("MELTS",)), 2),
        (Question("?", ("melts",), "b"), 3),
        (Question("?", ("melts",), "x", ("b",)), 3),
        (Question("?", ("melts",), "c"), 0),
        (Question("?", ("boils",)), 0),
        (Question("?", ()), 0),
        (Question("?", ("no matter",), "a", spans=((14, 20),)), 2),
        (Question("?", ("no matter",), "a", spans=((19, 23),)), 2),
        (Question("?", ("no matter",), "a", spans=((19, 25),)), 0),
        (Question("?", ("no matter",), "b", spans=((14, 20),)), 3),
        (Question("?", ("boils",), parts=(Question("?", ("Lead",)),)), 1),
    ],
    ids=[
        "any source",
        "case",
        "right source",
        "another right source",
        "wrong source",
        "not there",
        "no answer",
        "span",
        "half of a span",
        "less than half",
        "span of another source",
        "part",
    ],
)
def test_the_rank_is_that_of_the_first_right_passage(question: Question, rank: int) -> None:
    passages = [
        passage("a", 0, "Lead is."),
        passage("a", 10, "Gold melts."),
        passage("b", 10, "Gold melts."),
    ]
    assert judge(question, reply(passages)).rank == rank


@pytest.mark.parametrize(
    ("question", "hit", "whole"),
    [
        (Question("?", ("melts",)), True, True),
        (Question("?", ("melts",), "c"), True, True),
        (Question("?", ("melts",), "d"), False, False),
        (Question("?", ("boils",)), False, False),
        (Question("?", ("x",), "a", spans=((15, 20),)), True, True),
        (Question("?", ("x",), "a", spans=((15, 22),)), False, False),
        (Question("?", ("melts",), parts=(Question("?", ("boils",)),)), True, False),
        (Question("?", ("melts",), parts=(Question("?", ("Gold",)),)), True, True),
    ],
    ids=[
        "any source",
        "the same sentence elsewhere",
        "wrong source",
        "not there",
        "span",
        "not the whole span",
        "one part",
        "every part",
    ],
)
def test_a_sentence_hits_when_it_holds_an_answer(
    question: Question, hit: bool, whole: bool
) -> None:
    found = judge(question, reply([], [citation("a", 10, "Gold melts.", Location("c", 0, 9))]))
    assert (found.sentence > 0, found.whole) == (hit, whole)
    assert (found.answered, found.confidence, found.took_ms) == (True, 0.5, 3.0)


def test_the_place_of_the_first_right_sentence_counts() -> None:
    lead, gold = citation("a", 0, "Lead boils."), citation("a", 12, "Gold melts.")
    quoted = [replace(lead, number=1), replace(gold, number=2)]
    found = judge(Question("?", ("melts",), parts=(Question("?", ("zinc",)),)), reply([], quoted))
    assert (found.sentence, found.whole) == (2, False)


def test_measures() -> None:
    yes, no = Question("?", ("x",), group="b"), Question("?", (), group="a")
    several = replace(yes, parts=(yes,))
    outcomes = [
        Outcome(yes, 1, 1, True, True, 0.9, 1.0),
        Outcome(several, 2, 3, False, True, 0.8, 2.0),
        Outcome(yes, 0, 0, False, False, 0.3, 3.0),
        Outcome(no, 0, 0, False, True, 0.5, 4.0),
    ]
    found = measures(outcomes, {"gone": [Outcome(no, 0, 0, False, False, 0.35, 9.0)]})
    groups = found.pop("groups")
    assert found == {
        "questions": 4,
        "answerable": 3,
        "unanswerable": 1,
        "passage hit@1": 0.3333,
        "passage hit@5": 0.6667,
        "passage hit@10": 0.6667,
        "passage MRR@10": 0.5,
        "passage nDCG@10": round((1 + 1 / math.log2(3)) / 3, 4),
        "first answer sentence right": 0.3333,
        "answer-sentence hit": 0.6667,
        "every part, where there are several": 0.0,
        "answered, of the answerable": 0.6667,
        "answered, of the unanswerable": 1.0,
        # .9 and .8 beat .5, .3 does not
        "refusal AUROC": 0.6667,
        # all three are answered at .3, which .5 reaches
        "false answers at 95% answered": 1.0,
        "ms per question, median": 2.5,
        "gone: refusal AUROC": 0.6667,
        "gone: false answers at 95% answered": 1.0,
        "gone: false answers at 90% answered": 1.0,
        "gone: answered": 0.0,
    }
    assert [(name, values["questions"]) for name, values in groups.items()] == [("a", 1), ("b", 3)]
    assert groups["a"]["passage hit@1"] is None
    assert groups["b"]["refusal AUROC"] is None


# running


@pytest.fixture
def faked(monkeypatch: pytest.MonkeyPatch, fake: FakeEncoder) -> FakeEncoder:
    monkeypatch.setattr(qa.evaluate, "open_encoder", lambda settings: fake)
    monkeypatch.setattr(qa.assistant, "open_encoder", lambda settings: fake)
    return fake


def test_a_file_that_brings_its_corpus(
    settings: Settings, tmp_path: Path, faked: FakeEncoder
) -> None:
    path = write(tmp_path, "q.json", json.dumps(squad(METALS, RIVERS)))
    folder = tmp_path / "evaluation"
    told: list[tuple[str, int, int]] = []
    found = evaluate(
        path,
        replace(settings, threshold=0.0),
        folder,
        lambda phase, done, total: told.append((phase, done, total)),
    )
    assert (found["questions"], found["answerable"], found["unanswerable"]) == (3, 3, 0)
    assert found["topic removed: answered"] == found["gold source removed: answered"] == 1.0
    assert found["passage hit@1"] == found["passage MRR@10"] == found["passage nDCG@10"] == 1.0
    assert found["answer-sentence hit"] == 1.0
    assert told[-1] == ("ask", 3, 3)
    assert not settings.index.exists()
    assert sorted(path.name for path in folder.iterdir()) == ["corpus", "index"]


def test_lines_are_asked_of_the_index(
    settings: Settings, tmp_path: Path, faked: FakeEncoder
) -> None:
    fill(settings.corpus, CORPUS)
    build(settings, faked)
    path = write(
        tmp_path,
        "q.jsonl",
        '{"question": "Where does the Danube rise?", "answers": ["black forest"]}\n'
        '{"question": "Where is the Rhine?", "answers": ["Black Forest"], "uri": "notes.txt"}\n'
        '{"question": "Who painted it?", "answers": []}\n',
    )
    found = evaluate(path, replace(settings, threshold=0.0), tmp_path)
    assert (found["questions"], found["answerable"], found["unanswerable"]) == (3, 2, 1)
    assert (found["passage hit@1"], found["answer-sentence hit"]) == (0.5, 0.5)
    assert found["answered, of the unanswerable"] == 1.0


def test_no_question(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(QuestionFileError, match="holds no question"):
        evaluate(write(tmp_path, "q.jsonl", "\n"), settings, tmp_path)


# fitting


def test_reliability() -> None:
    table = reliability(
        [0.05, 0.05, 0.95, 1.0, 0.31], [False, True, True, True, False], [1, 3, 1, 1, 2]
    )
    assert table == [
        {"from": 0.0, "questions": 2, "predicted": 0.05, "observed": 0.75},
        {"from": 0.3, "questions": 1, "predicted": 0.31, "observed": 0.0},
        {"from": 0.9, "questions": 2, "predicted": 0.975, "observed": 1.0},
    ]


def test_what_answers_is_taken_away_in_two_ways(
    settings: Settings, tmp_path: Path, faked: FakeEncoder
) -> None:
    fill(settings.corpus, {"a/1.txt": "Gold.", "a/2.txt": "Lead.", "b.txt": "Tin."})
    build(settings, faked)
    assistant = qa.assistant.Assistant.open(settings=settings)
    asked = Question("Gold?", ("Gold",), "a/1.txt", topic=("a/1.txt", "a/2.txt"))
    assert dict(without(asked, assistant)) == {
        TOPIC: ["b.txt"],
        GOLD: ["a/2.txt", "b.txt"],
    }
    assert dict(without(replace(asked, topic=()), assistant)) == {GOLD: ["a/2.txt", "b.txt"]}
    both = replace(asked, topic=(), parts=(Question("Gold?", ("Lead",), "a/2.txt"),))
    assert dict(without(both, assistant)) == {GOLD: ["b.txt"]}
    assert dict(without(Question("Gold?", ("Gold",)), assistant)) == {}
    assert dict(without(Question("Gold?", ("Gold",), "gone.txt"), assistant)) == {}
    kinds = [(item.kind, item.answerable) for item in sample(asked, assistant)]
    assert kinds == [("", True), (TOPIC, False), (GOLD, False)]


def test_a_fit_on_ones_own_questions(
    settings: Settings, tmp_path: Path, faked: FakeEncoder
) -> None:
    metals = [f"metal{number}" for number in range(40)]
    fill(settings.corpus, {f"{name}.txt": f"The {name} melts at 9 degrees." for name in metals})
    build(settings, faked)
    lines = [
        {"question": f"When does {name} melt?", "answers": ["9 degrees"], "uri": f"{name}.txt"}
        for name in metals
    ]
    path = write(tmp_path, "q.jsonl", "\n".join(map(json.dumps, lines)))
    kind, fitted, measured = fit_calibration(path, settings, tmp_path)
    assert kind == "none"
    assert 0 < fitted.threshold < 1
    assert measured["answerable"] == 40
    assert measured[f"{GOLD}: refusal AUROC"] > 0.99
    assert [row["questions"] for row in measured["reliability"]][-1] >= 30


def test_too_few_questions_for_a_fit(
    settings: Settings, tmp_path: Path, faked: FakeEncoder
) -> None:
    fill(settings.corpus, CORPUS)
    build(settings, faked)
    path = write(tmp_path, "q.jsonl", '{"question": "Who?", "answers": []}')
    with pytest.raises(QuestionFileError, match="0 questions that the sources answer and 1 that"):
        fit_calibration(path, settings, tmp_path)


def test_calibration_measures_tell_the_kinds_apart() -> None:
    def item(kind: str, answerable: bool) -> qa.evaluate.Sample:
        return qa.evaluate.Sample("g", kind, answerable, ())

    samples = [item("", True), item("", True), item("", False), item(GOLD, False)]
    found = calibration_measures(samples, [0.9, 0.6, 0.1, 0.7])
    assert found["answerable"] == 2
    assert found["unanswerable: refusal AUROC"] == 1.0
    assert found[f"{GOLD}: refusal AUROC"] == 0.5
    assert found[f"{GOLD}: false answers at 90% answered"] == 1.0
