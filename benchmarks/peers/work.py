"""The work: documents, questions, and where in a document the answer to each stands."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TOWNS = "Aldmere Borsk Calveth Dorrin Elsmoor Farrow Gildan Hesk Ivarne Jorvale Kestle Lunden"
TRADES = "glass salt wool copper barley paper honey timber slate linen cider amber"
NAMES = "Adler Brandt Corin Dahl Ekman Falk Grey Holm Irving Jansen Keller Lind"
#: What is said of each town, and the question to which it is the answer.
FACTS = (
    ("The town of {town} was founded in {year} by settlers from the coast.", "year",
     "When was {town} founded?"),
    ("For centuries its people lived on {trade}, which was sold as far as the capital.", "trade",
     "What did the people of {town} trade in?"),
    ("The bridge of {town}, {metres} metres long, was built by the engineer {name}.", "metres",
     "How long is the bridge at {town}?"),
    ("Its architect, {builder}, also drew the plans of the town hall.", "builder",
     "Who designed the town hall of {town}?"),
    ("In the flood of {flood} the town of {town} lost {houses} houses by the river.", "houses",
     "How many houses did {town} lose in the flood?"),
    ("Today {people} people live there, most of them on the northern bank.", "people",
     "What is the population of {town}?"),
)  # fmt: skip
FILLER = (
    "The road follows the valley and crosses it twice before it reaches the hills.",
    "In spring the market moves to the square, and traders come from the villages around.",
    "The school was rebuilt after the war and has taught boys and girls together since.",
    "Much of what is known of the early years comes from letters kept in the parish church.",
    "Winters are long there, and the pass is closed for weeks when the snow is deep.",
    "A small museum shows tools and maps, and opens on three afternoons a week.",
)


@dataclass(frozen=True, slots=True)
class Question:
    """A question, the document that answers it, and the span there, `[start, end)`."""

    text: str
    uri: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Work:
    """Documents by uri, and questions on them."""

    documents: Mapping[str, str]
    questions: Sequence[Question]


def generated(towns: int = 120) -> Work:
    """Make descriptions of towns that are not on any map, and questions on their facts."""
    draw = random.Random(0)
    documents, questions = {}, []
    for number in range(towns):
        first, second = divmod(number, 12)
        bridged = "Upon Under By Over".split()[first % 4]
        river = f" {bridged} {NAMES.split()[first // 4 % 12]}" if first else ""
        town = TOWNS.split()[second] + river
        facts = {
            "town": town,
            "year": str(draw.randrange(1050, 1850)),
            "trade": draw.choice(TRADES.split()),
            "metres": str(draw.randrange(40, 900)),
            "name": draw.choice(NAMES.split()),
            "builder": f"{draw.choice('ABCDEFGH')}. {draw.choice(NAMES.split())}",
            "flood": str(draw.randrange(1860, 1990)),
            "houses": str(draw.randrange(12, 400)),
            "people": f"{draw.randrange(900, 90_000):,}",
        }
        uri = f"{number:03}.txt"
        text = ""
        for place, (said, key, asked) in enumerate(FACTS):
            sentence = said.format(**facts)
            start = len(text) + sentence.index(facts[key])
            questions.append(Question(asked.format(**facts), uri, start, start + len(facts[key])))
            told = " ".join((sentence, *draw.sample(FILLER, 2 + place % 2)))
            text += told + (" " if place % 2 == 0 else "\n\n")
        documents[uri] = text.rstrip() + "\n"
    draw.shuffle(questions)
    return Work(documents, questions[:300])


def given(questions: Path, folder: Path | None) -> Work:
    """Read a SQuAD-format file; its contexts are the documents where no folder is given."""
    data = json.loads(questions.read_text(encoding="utf-8"))["data"]
    paragraphs = [paragraph for article in data for paragraph in article["paragraphs"]]
    if folder is None:
        contexts = dict.fromkeys(paragraph["context"] for paragraph in paragraphs)
        documents = {f"{number:05}.txt": context for number, context in enumerate(contexts)}
    else:
        documents = _texts(folder)
    return Work(
        documents, [found for entry in paragraphs for found in _questions(entry, documents)]
    )


def _texts(folder: Path) -> dict[str, str]:
    """Read the text files of a folder; every system gets the same text."""
    files = sorted(path for path in folder.rglob("*") if path.suffix in (".txt", ".md"))
    if not files:
        raise SystemExit(f"{folder} holds no .txt and no .md file")
    return {path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8") for path in files}


def _questions(paragraph: Any, documents: Mapping[str, str]) -> list[Question]:
    """Find the context of questions in the documents; those without an answer are left out."""
    context = paragraph["context"]
    for uri, text in documents.items():
        place = text.find(context)
        if place >= 0:
            return [
                Question(
                    entry["question"],
                    uri,
                    place + entry["answers"][0]["answer_start"],
                    place + entry["answers"][0]["answer_start"] + len(entry["answers"][0]["text"]),
                )
                for entry in paragraph["qas"]
                if entry["answers"]
            ]
    raise SystemExit(f"no document has the context {context[:60]!r}...")


def is_right(question: Question, documents: Mapping[str, str], uri: str, passage: str) -> bool:
    """Tell whether a passage is of the right document and covers half of the answer, or more.

    Systems change white space, so it does not count.
    """
    if uri != question.uri:
        return False
    text = documents[uri]
    first = len(_compact(text[: question.start]))
    last = first + len(_compact(text[question.start : question.end]))
    whole, part = _compact(text), _compact(passage)
    place = whole.find(part)
    while part and place >= 0:
        covered = min(last, place + len(part)) - max(first, place)
        if 2 * covered >= last - first:
            return True
        place = whole.find(part, place + 1)
    return False


def _compact(text: str) -> str:
    return "".join(text.split())
