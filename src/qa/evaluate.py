"""Measure retrieval, answers and refusals on a file of questions."""

from __future__ import annotations

import dataclasses
import json
import math
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qa.assistant import Assistant
from qa.calibration import LEAST_QUESTIONS, Calibration, fit
from qa.config import LOCAL, Settings
from qa.conversation import interpret
from qa.encoder import open_encoder
from qa.errors import QuestionFileError
from qa.ingest import Progress, build
from qa.selector import FEATURES
from qa.types import Allowed, Answer, Citation, Span


@dataclass(frozen=True, slots=True)
class Question:
    """A question with what is known of its right answer."""

    text: str
    #: texts that a right sentence contains; empty where the sources do not answer
    answers: tuple[str, ...]
    #: source with the answer, where known
    uri: str | None = None
    #: other sources that answer as well
    also_in: tuple[str, ...] = ()
    #: spans of the answers in the source, where known
    spans: tuple[Span, ...] = ()
    #: sources that are about the same topic, where known
    topic: tuple[str, ...] = ()
    group: str = ""
    #: what else a whole answer has, each from a source of its own
    parts: tuple[Question, ...] = ()

    @property
    def uris(self) -> tuple[str, ...]:
        """Return the sources that answer; none where that is not known."""
        return (self.uri, *self.also_in) if self.uri else ()


@dataclass(frozen=True, slots=True)
class Turn:
    """A question of a conversation."""

    text: str
    #: a follow-up as it would be asked on its own, with its answers; None where it is none
    standalone: Question | None = None


@dataclass(frozen=True, slots=True)
class Conversation:
    """The questions of one thread, in order."""

    turns: tuple[Turn, ...]
    #: the part of the set that it belongs to
    split: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was observed for one question."""

    question: Question
    #: 1-based rank of the first right passage, 0 if none among those returned
    rank: int
    #: 1-based place of the first right sentence of the answer, 0 if there is none
    sentence: int
    #: a right sentence for every part of the question
    whole: bool
    answered: bool
    confidence: float
    took_ms: float
    #: the reply says that sources differ
    differing: bool = False


#: The group of the questions on which sources differ.
DIFFER = "differ"
#: How a question that the sources answer is made one that they do not: the whole topic is left out,
#: or only the sources that answer.
TOPIC, GOLD = "topic removed", "gold source removed"


# measures: pure functions, tested against tables computed by hand


def hit_rate(ranks: Sequence[int], depth: int) -> float:
    """Return the share of questions whose first right passage stands at most this deep."""
    return _mean([0 < rank <= depth for rank in ranks])


def reciprocal_rank(ranks: Sequence[int], depth: int) -> float:
    """Return the mean of 1/rank of the first right passage, 0 where it stands deeper."""
    return _mean([1 / rank if 0 < rank <= depth else 0.0 for rank in ranks])


def discounted_gain(ranks: Sequence[int], depth: int) -> float:
    """Return nDCG for one right passage a question: 1/log2(1+rank), 0 where it stands deeper.

    Järvelin and Kekäläinen, "Cumulated Gain-Based Evaluation of IR Techniques", 2002.
    """
    return _mean([1 / math.log2(1 + rank) if 0 < rank <= depth else 0.0 for rank in ranks])


def auroc(positive: Sequence[float], negative: Sequence[float]) -> float:
    """Return the chance that a positive scores above a negative, ties counting half.

    Mann and Whitney, 1947; by ranks, so that it takes n log n.
    """
    if not positive or not negative:
        return math.nan
    scores = sorted([(score, 1) for score in positive] + [(score, 0) for score in negative])
    total = 0.0
    place = 0
    while place < len(scores):
        end = place
        while end < len(scores) and scores[end][0] == scores[place][0]:
            end += 1
        rank = (place + 1 + end) / 2
        total += rank * sum(label for _, label in scores[place:end])
        place = end
    count = len(positive)
    return (total - count * (count + 1) / 2) / (count * len(negative))


def false_answers(positive: Sequence[float], negative: Sequence[float], answered: float) -> float:
    """Return the share of negatives at or above the score that this share of positives reaches."""
    if not positive or not negative:
        return math.nan
    keep = math.ceil(answered * len(positive))
    threshold = sorted(positive, reverse=True)[max(0, keep - 1)]
    return _mean([score >= threshold for score in negative])


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else math.nan


# question files


def read_questions(path: Path) -> tuple[list[Question], dict[str, str]]:
    """Read a file of questions; return them with the corpus that the file brings, if any.

    SQuAD-format JSON brings its contexts as sources. JSON lines of {"question", "answers", "uri"}
    are asked of the index: no answers means that the sources do not answer.

    :raises QuestionFileError: naming the line.
    """
    text = _read(path)
    if path.suffix == ".jsonl":
        return [_line(path, number, line) for number, line in _lines(text)], {}
    try:
        return _squad(json.loads(text))
    except (ValueError, KeyError, TypeError) as error:
        raise QuestionFileError(path, f"not SQuAD-format JSON ({error!r})") from error


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise QuestionFileError(path, f"cannot be read ({error})") from error


def _lines(text: str) -> Iterator[tuple[int, str]]:
    return ((number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip())


def _line(path: Path, number: int, line: str) -> Question:
    try:
        return _entry(json.loads(line))
    except (ValueError, KeyError, TypeError) as error:
        expected = '{"question": "...", "answers": ["..."], "uri": "..."}'
        raise QuestionFileError(path, f"line {number}: expected {expected} ({error!r})") from error


def _entry(entry: dict[str, Any], question: str | None = None) -> Question:
    text, answers = question or entry["question"], entry["answers"]
    if not isinstance(text, str) or not isinstance(answers, list):
        raise TypeError("question is a text, answers a list of texts")
    uri = entry.get("uri")
    uris = uri if isinstance(uri, list) else [uri] if uri else []
    if not all(isinstance(found, str) for found in (*answers, *uris)):
        raise TypeError("answers and uris are texts")
    return Question(
        text,
        tuple(answers),
        uris[0] if uris else None,
        tuple(uris[1:]),
        group=entry.get("group", ""),
        parts=tuple(_entry(part, text) for part in entry.get("also", [])),
    )


def read_conversations(path: Path) -> list[Conversation]:
    """Read JSON lines of {"split", "turns": [{"question", "follow_up", ...}, ...]}.

    A turn that follows up has "standalone", "answers" and "uri", too.

    :raises QuestionFileError: naming the line.
    """
    return [_conversation(path, number, line) for number, line in _lines(_read(path))]


def _conversation(path: Path, number: int, line: str) -> Conversation:
    try:
        entry = json.loads(line)
        return Conversation(tuple(_turn(turn) for turn in entry["turns"]), entry.get("split", ""))
    except (ValueError, KeyError, TypeError) as error:
        expected = '{"turns": [{"question": "...", "follow_up": false}, ...]}'
        raise QuestionFileError(path, f"line {number}: expected {expected} ({error!r})") from error


def _turn(entry: dict[str, Any]) -> Turn:
    text = entry["question"]
    if not isinstance(text, str):
        raise TypeError("question is a text")
    return Turn(text, _entry(entry, entry["standalone"]) if entry["follow_up"] else None)


def _holds_conversations(path: Path) -> bool:
    if path.suffix != ".jsonl":
        return False
    _, first = next(_lines(_read(path)), (0, ""))
    try:
        return "turns" in json.loads(first)
    except (ValueError, TypeError):
        return False


def _squad(data: Any) -> tuple[list[Question], dict[str, str]]:
    questions: list[Question] = []
    corpus: dict[str, str] = {}
    for number, article in enumerate(data["data"]):
        start = len(corpus)
        topic = tuple(
            f"{number:03}/{start + place:05}.txt" for place in range(len(article["paragraphs"]))
        )
        for uri, paragraph in zip(topic, article["paragraphs"], strict=True):
            corpus[uri] = paragraph["context"]
            for entry in paragraph["qas"]:
                spans = tuple(
                    (answer["answer_start"], answer["answer_start"] + len(answer["text"]))
                    for answer in entry["answers"]
                )
                texts = tuple(answer["text"] for answer in entry["answers"])
                questions.append(Question(entry["question"], texts, uri, spans=spans, topic=topic))
    return questions, corpus


# running


def evaluate(
    path: Path, settings: Settings, folder: Path, progress: Progress = lambda *_: None
) -> dict[str, Any]:
    """Ask every question of a file and return the measures.

    A file that brings a corpus gets an index of its own in `folder`. Every question whose sources
    are known is asked again without them, and without its whole topic, so that it has no answer.
    A file of conversations is measured as `evaluate_conversations` says.
    """
    if _holds_conversations(path):
        assistant = Assistant.open(settings=settings)
        return evaluate_conversations(read_conversations(path), assistant, progress)
    questions, assistant = _open(path, settings, folder, progress)
    outcomes: list[Outcome] = []
    removed: dict[str, list[Outcome]] = {TOPIC: [], GOLD: []}
    for number, question in enumerate(questions, 1):
        outcomes.append(judge(question, assistant.ask(question.text, limit=10)))
        for kind, uris in without(question, assistant):
            reply = assistant.ask(question.text, limit=1, sources=uris)
            unanswerable = dataclasses.replace(question, answers=(), spans=(), parts=())
            removed[kind].append(judge(unanswerable, reply))
        progress("ask", number, len(questions))
    return measures(outcomes, removed)


def evaluate_conversations(
    conversations: Sequence[Conversation],
    assistant: Assistant,
    progress: Progress = lambda *_: None,
) -> dict[str, Any]:
    """Ask follow-ups within their thread, as they stand alone, and by their bare words.

    Also returned: the share of the other questions of a thread that were changed.
    """
    splits = sorted({conversation.split for conversation in conversations})
    done = 0
    groups = {}
    for split in splits:
        part = [found for found in conversations if found.split == split]
        followed: list[tuple[Outcome, Outcome, Outcome]] = []
        changed: list[bool] = []
        for conversation in part:
            for place in range(1, len(conversation.turns)):
                turn = conversation.turns[place]
                history = [earlier.text for earlier in conversation.turns[:place]]
                if turn.standalone:
                    followed.append(_follow_up(turn.text, turn.standalone, history, assistant))
                else:
                    changed.append(interpret(turn.text, history) != turn.text)
            done += 1
            progress("ask", done, len(conversations))
        groups[split] = _conversation_measures(len(part), followed, changed)
    return groups.pop("") if splits == [""] else {"groups": groups}


def _follow_up(
    text: str, gold: Question, history: Sequence[str], assistant: Assistant
) -> tuple[Outcome, Outcome, Outcome]:
    return (
        judge(gold, assistant.ask(text, limit=10, history=history)),
        judge(gold, assistant.ask(gold.text, limit=10)),
        judge(gold, assistant.ask(text, limit=10)),
    )


def _conversation_measures(
    conversations: int, followed: Sequence[Sequence[Outcome]], changed: Sequence[bool]
) -> dict[str, Any]:
    result: dict[str, Any] = {
        "conversations": conversations,
        "follow-ups": len(followed),
        "other later questions": len(changed),
    }
    ways = {
        way: [outcomes[place] for outcomes in followed]
        for place, way in enumerate(("in its thread", "standing alone", "bare words"))
    }
    hits = {way: _mean([item.sentence > 0 for item in found]) for way, found in ways.items()}
    for way, found in ways.items():
        result[f"passage hit@5, {way}"] = hit_rate([item.rank for item in found], 5)
        result[f"answer-sentence hit, {way}"] = hits[way]
    if hits["standing alone"] > 0:
        result["hit in thread / hit alone"] = hits["in its thread"] / hits["standing alone"]
    result["others changed"] = _mean(changed)
    return {
        name: value if isinstance(value, int) else None if math.isnan(value) else round(value, 4)
        for name, value in result.items()
    }


def _open(
    path: Path, settings: Settings, folder: Path, progress: Progress
) -> tuple[list[Question], Assistant]:
    questions, corpus = read_questions(path)
    if not questions:
        raise QuestionFileError(path, "holds no question")
    if not corpus:
        return questions, Assistant.open(settings=settings)
    settings = dataclasses.replace(
        settings, corpus=folder / "corpus", index=folder / "index", store=LOCAL
    )
    for uri, text in corpus.items():
        target = settings.corpus / uri
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text.encode())
    encoder = open_encoder(settings)
    build(settings, encoder, progress=progress)
    return questions, Assistant.open(settings=settings, encoder=encoder)


def without(question: Question, assistant: Assistant) -> Iterator[tuple[str, list[str]]]:
    """Yield the sources that are left when what answers a question is taken away, in both ways."""
    uris = {source.uri for source in assistant.store.sources()}
    answering = {found for part in (question, *question.parts) for found in part.uris}
    if answering & uris:
        for kind, taken in ((TOPIC, {*question.topic}), (GOLD, answering)):
            left = sorted(uris - taken)
            if taken and left:
                yield kind, left


def fit_calibration(
    path: Path, settings: Settings, folder: Path, progress: Progress = lambda *_: None
) -> tuple[str, Calibration, dict[str, Any]]:
    """Fit the confidence on a file of questions; return the scorer's kind, the fit, its measures.

    Each question is asked as it is, and without what answers it. The measures are those of
    questions that were held out.

    :raises CalibrationError: if there are too few questions with an answer, or without.
    """
    questions, assistant = _open(path, settings, folder, progress)
    samples: list[Sample] = []
    for number, question in enumerate(questions, 1):
        samples += sample(question, assistant)
        progress("ask", number, len(questions))
    counts = [sum(item.answerable is wanted for item in samples) for wanted in (True, False)]
    if min(counts) < LEAST_QUESTIONS:
        reason = (
            f"has {counts[0]} questions that the sources answer and {counts[1]} that they do not; "
            f"at least {LEAST_QUESTIONS} of each are needed"
        )
        raise QuestionFileError(path, reason)
    fitted, held_out = fit_samples(samples)
    return assistant.scorer.kind, fitted, calibration_measures(samples, held_out)


@dataclass(frozen=True, slots=True)
class Sample:
    """A question asked in one way, as the fit of the confidence sees it."""

    #: questions of one group are held out together
    group: str
    #: TOPIC, GOLD, or empty when nothing was removed
    kind: str
    answerable: bool
    features: tuple[float, ...]


def sample(question: Question, assistant: Assistant) -> Iterator[Sample]:
    """Yield the features of a question as it is, and without what answers it."""
    group = question.topic[0] if question.topic else question.text
    ways: list[tuple[str, list[str] | None]] = [("", None), *without(question, assistant)]
    for kind, uris in ways:
        allowed = None if uris is None else Allowed(uris=tuple(uris))
        _, selection = assistant.search(question.text, allowed)
        yield Sample(group, kind, bool(question.answers) and not kind, selection.features)


def fit_samples(
    samples: Sequence[Sample], names: Sequence[str] = FEATURES
) -> tuple[Calibration, list[float]]:
    """Fit on samples, those with an answer counting as much as all others together.

    Also returns the confidence of each sample when its group was held out.
    """
    answerable = np.array([item.answerable for item in samples])
    fitted, held_out = fit(
        np.array([item.features for item in samples]),
        answerable,
        _weights(samples),
        [item.group for item in samples],
        names,
    )
    return fitted, held_out.tolist()


def _weights(samples: Sequence[Sample]) -> NDArray[np.float64]:
    answerable = np.array([item.answerable for item in samples])
    share = float(answerable.mean())
    return np.asarray(np.where(answerable, 0.5 / share, 0.5 / (1 - share)), np.float64)


def calibration_measures(samples: Sequence[Sample], confidences: Sequence[float]) -> dict[str, Any]:
    """Return how well confidences tell the kinds of samples apart, and a reliability table."""
    rows = list(zip(samples, confidences, strict=True))
    yes = [value for item, value in rows if item.answerable]
    kinds = sorted({item.kind for item in samples if not item.answerable})
    result: dict[str, Any] = {"answerable": len(yes)}
    for kind in kinds:
        no = [value for item, value in rows if item.kind == kind and not item.answerable]
        result |= _separation(kind or "unanswerable", yes, no)
    result["reliability"] = reliability(
        confidences, [item.answerable for item in samples], _weights(samples).tolist()
    )
    return result


def _separation(kind: str, yes: Sequence[float], no: Sequence[float]) -> dict[str, float]:
    values = {
        f"{kind}: refusal AUROC": auroc(yes, no),
        f"{kind}: false answers at 95% answered": false_answers(yes, no, 0.95),
        f"{kind}: false answers at 90% answered": false_answers(yes, no, 0.90),
    }
    return {name: round(value, 4) for name, value in values.items() if not math.isnan(value)}


def reliability(
    confidences: Sequence[float], answerable: Sequence[bool], weights: Sequence[float]
) -> list[dict[str, float]]:
    """Return, for each tenth of the confidence, the mean predicted and the share observed."""
    table = []
    for tenth in range(10):
        inside = [
            row
            for row in zip(confidences, answerable, weights, strict=True)
            if min(9, int(row[0] * 10)) == tenth
        ]
        total = sum(weight for _, _, weight in inside)
        if inside:
            table.append(
                {
                    "from": tenth / 10,
                    "questions": len(inside),
                    "predicted": round(sum(value * w for value, _, w in inside) / total, 3),
                    "observed": round(sum(w for _, yes, w in inside if yes) / total, 3),
                }
            )
    return table


def judge(question: Question, reply: Answer) -> Outcome:
    """Compare a reply with what is known.

    A passage is right when it is from a right source and holds at least half of a gold span, or,
    where no span is known, a gold answer. A sentence is right when a gold answer lies inside it.
    Any part of a question with several parts counts; `whole` tells whether all were found.
    """
    parts = (question, *question.parts)
    ranks = (
        number
        for number, passage in enumerate(reply.passages, 1)
        for part in parts
        if _right(part, (passage.uri,), (passage.start, passage.end), passage.text, half=True)
    )
    places = [
        next((made.number for made in reply.citations if _cited(part, made)), 0) for part in parts
    ]
    return Outcome(
        question,
        next(ranks, 0),
        min(filter(None, places), default=0),
        all(places),
        reply.answered,
        reply.confidence,
        reply.took_ms,
        bool(reply.disagreements),
    )


def _cited(part: Question, citation: Citation) -> bool:
    uris = (citation.uri, *(place.uri for place in citation.also))
    return _right(part, uris, (citation.start, citation.end), citation.quote, half=False)


def _right(question: Question, uris: Sequence[str], span: Span, text: str, *, half: bool) -> bool:
    if question.uris and not set(question.uris).intersection(uris):
        return False
    start, end = span
    if question.spans:
        return any(
            min(end, last) - max(start, first) >= (last - first) * (0.5 if half else 1)
            for first, last in question.spans
        )
    return any(answer.casefold() in text.casefold() for answer in question.answers)


def measures(
    outcomes: Sequence[Outcome], removed: Mapping[str, Sequence[Outcome]] | None = None
) -> dict[str, Any]:
    """Summarise outcomes; `removed` are the same questions without the sources that answer."""
    groups = sorted({outcome.question.group for outcome in outcomes} - {""})
    result = _summary(outcomes)
    yes = [item.confidence for item in outcomes if item.question.answers]
    for kind, found in (removed or {}).items():
        result |= _separation(kind, yes, [item.confidence for item in found])
        if found:
            result[f"{kind}: answered"] = round(_mean([item.answered for item in found]), 4)
    if DIFFER in groups:
        result |= notices(outcomes)
    if groups:
        result["groups"] = {
            name: _summary([item for item in outcomes if item.question.group == name])
            for name in groups
        }
    return result


def notices(outcomes: Sequence[Outcome]) -> dict[str, int]:
    """Count the answers that say that sources differ, where they do and where they do not."""
    answered = [item for item in outcomes if item.answered]
    differ = [item.differing for item in answered if item.question.group == DIFFER]
    others = [item.differing for item in answered if item.question.group != DIFFER]
    return {
        "sources differ: answered": len(differ),
        "sources differ: noticed": sum(differ),
        "other questions: answered": len(others),
        "other questions: noticed": sum(others),
    }


def _summary(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    answerable = [item for item in outcomes if item.question.answers]
    unanswerable = [item for item in outcomes if not item.question.answers]
    ranks = [item.rank for item in answerable]
    yes = [item.confidence for item in answerable]
    no = [item.confidence for item in unanswerable]
    values: dict[str, Callable[[], float]] = {
        "passage hit@1": lambda: hit_rate(ranks, 1),
        "passage hit@5": lambda: hit_rate(ranks, 5),
        "passage hit@10": lambda: hit_rate(ranks, 10),
        "passage MRR@10": lambda: reciprocal_rank(ranks, 10),
        "passage nDCG@10": lambda: discounted_gain(ranks, 10),
        "first answer sentence right": lambda: hit_rate([item.sentence for item in answerable], 1),
        "answer-sentence hit": lambda: _mean([item.sentence > 0 for item in answerable]),
        "every part, where there are several": lambda: _mean(
            [item.whole for item in answerable if item.question.parts]
        ),
        "answered, of the answerable": lambda: _mean([item.answered for item in answerable]),
        "answered, of the unanswerable": lambda: _mean([item.answered for item in unanswerable]),
        "refusal AUROC": lambda: auroc(yes, no),
        "false answers at 95% answered": lambda: false_answers(yes, no, 0.95),
        "ms per question, median": lambda: statistics.median(item.took_ms for item in outcomes),
    }
    result: dict[str, Any] = {
        "questions": len(outcomes),
        "answerable": len(answerable),
        "unanswerable": len(unanswerable),
    }
    for name, compute in values.items():
        value = compute()
        result[name] = None if math.isnan(value) else round(value, 4)
    return result
