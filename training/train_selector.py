"""Train the selector: a small model that reads a question and a passage, and scores each sentence.

    python -m training.train_selector SQUAD-SENTENCES-TRAIN.tsv SELQA-TRAIN.json OUT

Starts from the weights of all-MiniLM-L6-v2 that ship with the program. Its input is the question
and a passage: title and headings where they are known, then sentences. A sentence's log-odds are
the mean of one linear output over its word pieces, so one run scores all sentences of a passage,
each beside its neighbours.

The loss is listwise over all sentences that a question is shown, together with a null sentence
whose log-odds are always 0: where the right sentence is among them it has to win, where it was left
out, all others have to lose against the null. So 0 means the same for every question.

SQuAD's sentences come without their paragraphs. A passage is made of the right sentence and
sentences near it in the file, which are of the same article, often of the same paragraph, and of
hard ones: near in meaning or words. SelQA brings whole sections, in order, with their headings.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from benchmarks import sets
from sklearn.feature_extraction.text import TfidfVectorizer
from tokenizers import Tokenizer
from torch import nn
from transformers import BertForTokenClassification

from qa.config import Settings
from qa.encoder import model_folder, open_encoder

CLS, SEP = "[CLS]", "[SEP]"
#: What a linear output is multiplied with, so that log-odds of some size are quickly learned.
SCALE = 4.0
#: Word pieces of a passage, of a question, and of title and headings.
PASSAGE, QUESTION, HEADING = 200, 48, 32
#: Sentences on either side, in the file, that are taken for neighbours.
NEAR = 8
#: Hard sentences known of each question.
HARD = 16
#: How often the right sentence is left out; stands alone; has a hard one beside it.
LEFT_OUT, ALONE, BESIDE = 0.22, 0.2, 0.5
#: How often a passage without the right sentence is made of hard ones, not of their neighbours.
MIXED = 0.6
#: How often headings are shown, another section is shown, and the question mark is dropped.
HEADED, OTHER_SECTION, UNMARKED = 0.6, 0.4, 0.4

#: A sentence as word pieces, and whether it answers.
Shown = tuple[list[int], bool]


@dataclass(frozen=True, slots=True)
class Shelf:
    """A passage as it is shown: word pieces of its heading, and its sentences."""

    heading: list[int]
    sentences: list[Shown]


@dataclass(frozen=True, slots=True)
class Example:
    """A question with the passages that it is shown."""

    question: list[int]
    shelves: list[Shelf]


def shelf(sentences: Sequence[Shown], heading: list[int] | None = None) -> Shelf:
    """Return as many of the sentences as fit a passage."""
    chosen: list[Shown] = []
    size = 0
    for pieces, right in sentences:
        pieces = pieces[:PASSAGE]
        if chosen and size + len(pieces) > PASSAGE:
            break
        chosen.append((pieces, right))
        size += len(pieces)
    return Shelf(heading or [], chosen)


@dataclass
class Squad:
    """Pairs of a question and a sentence, as examples."""

    questions: list[list[int]]
    #: place of the right sentence of each question
    right: list[int]
    sentences: list[list[int]]
    #: places of hard sentences of each question, hardest first, shape (questions, HARD)
    hard: Any

    def example(self, place: int, chance: random.Random, negatives: int) -> Example:
        """Make an example of a question, another one each time."""
        right = self.right[place]
        hard = [int(found) for found in self.hard[place] if found != right]
        chosen = self._around(right, hard, chance)
        left_out = chance.random() < LEFT_OUT
        if left_out:
            chosen = [found for found in chosen if found != right]
        shown = [(self.sentences[found], found == right) for found in chosen]
        shelves = []
        if shown:
            first = shelf(shown)
            if not left_out and not any(answers for _, answers in first.sentences):
                first = shelf([(self.sentences[right], True), *shown])
            shelves.append(first)
        for _ in range(negatives):
            wrong = self._wrong(right, hard, chance)
            shelves.append(shelf([(self.sentences[found], False) for found in wrong]))
        return Example(self.questions[place], shelves)

    def _around(self, right: int, hard: list[int], chance: random.Random) -> list[int]:
        low, high = max(0, right - NEAR), min(len(self.sentences), right + NEAR + 1)
        pool = [found for found in range(low, high) if found != right]
        count = 0 if chance.random() < ALONE else chance.randint(2, 5)
        chosen = sorted([*chance.sample(pool, min(count, len(pool))), right])
        if count and chance.random() < BESIDE:
            other = chance.choice(hard[:8])
            places = [place for place, found in enumerate(chosen) if found != right]
            chosen[chance.choice(places)] = other
        return chosen

    def _wrong(self, right: int, hard: list[int], chance: random.Random) -> list[int]:
        if chance.random() < MIXED:
            return chance.sample(hard[:12], chance.randint(1, 4))
        middle = hard[chance.randrange(min(5, len(hard)))]
        around = range(middle - 1, middle + 3)
        return [found for found in around if 0 <= found < len(self.sentences) and found != right]


@dataclass
class Sections:
    """Questions about sections that are known whole, as examples."""

    questions: list[list[int]]
    headings: list[list[int]]
    sections: list[list[list[int]]]
    rankings: list[sets.Ranking]
    #: article to the places of its questions
    articles: dict[str, list[int]] = field(init=False)

    def __post_init__(self) -> None:
        self.articles = {}
        for place, ranking in enumerate(self.rankings):
            self.articles.setdefault(ranking.title, []).append(place)

    def example(self, place: int, chance: random.Random) -> Example:
        """Make an example of a question, another one each time."""
        ranking = self.rankings[place]
        shown = [
            (pieces, number in ranking.right) for number, pieces in enumerate(self.sections[place])
        ]
        begin = chance.randint(0, 2)
        heading = self.headings[place] if chance.random() < HEADED else []
        left_out = chance.random() < LEFT_OUT
        cut = list(_cut(shown, begin))
        right = [part for part in cut if any(answers for _, answers in part)]
        wrong = [part for part in cut if not any(answers for _, answers in part)]
        if left_out:
            right = [[found for found in part if not found[1]] for part in right]
            right = [part for part in right if part]
        chance.shuffle(wrong)
        chosen = [*right[:2], *wrong[:1]]
        others = [
            other
            for other in self.articles[ranking.title]
            if self.rankings[other].section != ranking.section
        ]
        if others and chance.random() < OTHER_SECTION:
            other = self.sections[chance.choice(others)]
            start = chance.randrange(len(other))
            chosen.append(shelf([(pieces, False) for pieces in other[start:]]).sentences)
        return Example(self.questions[place], [Shelf(heading, part) for part in chosen])


def _cut(shown: Sequence[Shown], begin: int) -> Iterator[list[Shown]]:
    """Cut a section into passages, the first of which has `begin` sentences."""
    place = 0
    if begin:
        yield shelf(shown[:begin]).sentences
        place = begin
    while place < len(shown):
        part = shelf(shown[place:]).sentences
        yield part
        place += len(part)


def hard_sentences(questions: Sequence[str], sentences: Sequence[str], index: Path) -> Any:
    """Return the places of the sentences nearest in meaning and words, shape (questions, HARD)."""
    encoder = open_encoder(Settings(index=index))
    meaning, asked = encoder.encode(sentences), encoder.encode(questions)
    vectorizer = TfidfVectorizer(sublinear_tf=True)
    words = vectorizer.fit_transform(sentences)
    asked_words = vectorizer.transform(questions)
    found = np.zeros((len(questions), HARD), dtype=int)
    for start in range(0, len(questions), 500):
        rows = slice(start, start + 500)
        scores = asked[rows] @ meaning.T + (asked_words[rows] @ words.T).toarray()
        found[rows] = np.argsort(-scores, axis=1)[:, :HARD]
    return found


def batch(examples: Sequence[Example], tokenizer: Tokenizer) -> tuple[Any, ...]:
    """Return the inputs of the model, and where each sentence stands in them.

    Word pieces, mask and segments have shape (rows, word pieces); `means` has shape (rows,
    sentences, word pieces) and turns outputs into means; `right` is 1, 0, or -1 where a row has no
    such sentence, shape (rows, sentences); `owners` names the example of each row.
    """
    cls, sep = tokenizer.token_to_id(CLS), tokenizer.token_to_id(SEP)
    rows = []
    for owner, example in enumerate(examples):
        for found in example.shelves:
            if not found.sentences:
                continue
            ids = [cls, *example.question[:QUESTION], sep]
            second = len(ids)
            ids += found.heading[:HEADING]
            spans = []
            for pieces, _ in found.sentences:
                spans.append((len(ids), len(ids) + len(pieces)))
                ids += pieces
            rows.append((owner, [*ids, sep], second, spans, found.sentences))
    length = max(len(row[1]) for row in rows)
    most = max(len(row[3]) for row in rows)
    ids, mask, segments = (torch.zeros(len(rows), length, dtype=torch.long) for _ in range(3))
    means = torch.zeros(len(rows), most, length)
    right = torch.full((len(rows), most), -1)
    for place, (_, pieces, second, spans, sentences) in enumerate(rows):
        ids[place, : len(pieces)] = torch.tensor(pieces)
        mask[place, : len(pieces)] = 1
        segments[place, second : len(pieces)] = 1
        for number, ((start, end), (_, answers)) in enumerate(zip(spans, sentences, strict=True)):
            means[place, number, start:end] = 1 / max(1, end - start)
            right[place, number] = int(answers)
    return ids, mask, segments, means, right, torch.tensor([row[0] for row in rows])


def loss(model: Any, inputs: tuple[Any, ...], count: int) -> Any:
    """Return the mean of the listwise loss, the null sentence included."""
    ids, mask, segments, means, right, owners = inputs
    with torch.autocast("cpu", torch.bfloat16):
        hidden = model.bert(
            input_ids=ids, attention_mask=mask, token_type_ids=segments
        ).last_hidden_state
    scores = SCALE * model.classifier(torch.bmm(means, hidden.float())).squeeze(-1)
    known = right >= 0
    owners = owners[:, None].expand_as(right)[known]
    scores, right = scores[known], right[known]
    total = torch.zeros(())
    for owner in range(count):
        found, answers = scores[owners == owner], right[owners == owner]
        found = torch.cat([found, found.new_zeros(1)])
        null = torch.tensor([0 if answers.any() else 1])
        answers = torch.cat([answers, null])
        total = total + torch.logsumexp(found, 0) - torch.logsumexp(found[answers == 1], 0)
    return total / count


def main() -> None:
    """Train, and write a folder that export_selector.py takes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("squad", type=Path, help="question TAB sentence, training part")
    parser.add_argument("selqa", type=Path, help="SelQA, training part")
    parser.add_argument("out", type=Path, help="folder for the model")
    parser.add_argument("--epochs", type=float, default=1.7)
    parser.add_argument("--rate", type=float, default=1.2e-4, help="highest learning rate")
    parser.add_argument("--batch", type=int, default=16, help="questions a step")
    parser.add_argument("--negatives", type=int, default=1, help="passages without the sentence")
    parser.add_argument("--repeat", type=int, default=3, help="how often SelQA is seen an epoch")
    parser.add_argument("--questions", type=int, default=0, help="only so many, to try something")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    torch.manual_seed(arguments.seed)
    chance = random.Random(arguments.seed)
    folder = model_folder("all-MiniLM-L6-v2")
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    squad, sections = read(arguments, tokenizer)
    model = BertForTokenClassification.from_pretrained(
        folder,
        num_labels=1,
        attn_implementation="sdpa",
        classifier_dropout=0.0,
        hidden_dropout_prob=0.05,
        attention_probs_dropout_prob=0.0,
    )
    nn.init.normal_(model.classifier.weight, std=0.02)
    nn.init.zeros_(model.classifier.bias)
    model.bert.embeddings.requires_grad_(False)
    train(model, squad, sections, tokenizer, chance, arguments)
    model.save_pretrained(arguments.out)
    tokenizer.save(str(arguments.out / "tokenizer.json"))


#: Questions at the end of each file that are never trained on, to choose settings with.
HELD_OUT_SHARE, HELD_OUT_SECTIONS = 0.04, 80


def read(arguments: argparse.Namespace, tokenizer: Tokenizer) -> tuple[Squad, Sections]:
    """Read both sets, and turn them into word pieces."""

    def pieces(texts: Sequence[str]) -> list[list[int]]:
        encodings = tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return [encoding.ids for encoding in encodings]

    pairs = sets.squad_sentences(arguments.squad)
    questions = [question for question, _ in pairs]
    sentences = list(dict.fromkeys(sentence for _, sentence in pairs))
    places = {sentence: place for place, sentence in enumerate(sentences)}
    kept = int(len(pairs) * (1 - HELD_OUT_SHARE))
    squad = Squad(
        pieces(questions[:kept]),
        [places[sentence] for _, sentence in pairs[:kept]],
        pieces(sentences),
        hard_sentences(questions[:kept], sentences, arguments.out / "index"),
    )
    rankings = sets.selqa(arguments.selqa)[:-HELD_OUT_SECTIONS]
    headings = [" - ".join(filter(None, (item.title, item.section))) for item in rankings]
    sections = Sections(
        pieces([item.question for item in rankings]),
        pieces(headings),
        [pieces(item.sentences) for item in rankings],
        rankings,
    )
    return squad, sections


def train(
    model: Any,
    squad: Squad,
    sections: Sections,
    tokenizer: Tokenizer,
    chance: random.Random,
    arguments: argparse.Namespace,
) -> None:
    """Run the steps; questions of like length share one, so that little is spent on padding."""
    places = list(range(len(squad.questions)))
    if arguments.questions:
        places = chance.sample(places, arguments.questions)
    around = list(range(len(sections.questions)))
    everything = [(squad, place) for place in places]
    everything += [(sections, place) for place in around] * arguments.repeat
    steps = int(len(everything) * arguments.epochs / arguments.batch)
    mark = tokenizer.token_to_id("?")
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=arguments.rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda step: min(1, (step + 1) / (0.06 * steps)) * max(0.02, 1 - step / steps),
    )
    model.train()
    began, losses = time.time(), []
    for examples in batches(everything, mark, chance, arguments):
        value = loss(model, batch(examples, tokenizer), len(examples))
        value.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        losses.append(value.item())
        if len(losses) % 50 == 0:
            mean = sum(losses[-50:]) / 50
            print(f"step {len(losses)} of {steps}, loss {mean:.3f}, {time.time() - began:.0f} s")
        if len(losses) == steps:
            return


def batches(
    everything: Sequence[tuple[Any, int]],
    mark: int,
    chance: random.Random,
    arguments: argparse.Namespace,
) -> Iterator[list[Example]]:
    """Yield examples in random order, epoch after epoch without end."""
    size = arguments.batch
    while True:
        order = list(everything)
        chance.shuffle(order)
        for start in range(0, len(order), size * 16):
            examples = []
            for origin, place in order[start : start + size * 16]:
                more = (arguments.negatives,) if isinstance(origin, Squad) else ()
                example = origin.example(place, chance, *more)
                if example.question[-1:] == [mark] and chance.random() < UNMARKED:
                    example = Example(example.question[:-1], example.shelves)
                if any(found.sentences for found in example.shelves):
                    examples.append(example)
            examples.sort(key=length)
            groups = [examples[at : at + size] for at in range(0, len(examples), size)]
            chance.shuffle(groups)
            yield from groups


def length(example: Example) -> int:
    """Return how many word pieces the longest row of an example has, about."""
    longest = max(sum(len(pieces) for pieces, _ in found.sentences) for found in example.shelves)
    return len(example.question) + longest


if __name__ == "__main__":
    main()
