"""Train the selector: a small model that reads a question and a passage, and scores each sentence.

    python -m training.train_selector SQUAD-SENTENCES-TRAIN.tsv SELQA-TRAIN.json OUT

Starts from the weights of all-MiniLM-L6-v2 that ship with the program. Its input is the question
and a passage: title and headings where they are known, then sentences, or one sentence alone. It
has two linear outputs for a word piece. What it says of a sentence is the mean of the first over
its word pieces and the logarithm of the mean exponential of the second, so that one word can be the
answer; one run scores all sentences of a passage, each beside its neighbours.

It learns what similarity leaves open: a sentence's log-odds are what the model says of it, plus its
cosine to the question times a slope, plus a constant; slope and constant are learned too.

The loss is listwise over all sentences that a question is shown, together with a null sentence
whose log-odds are always 0: where the right sentence is among them it has to win, where it was left
out, all others have to lose against the null. So 0 means the same for every question.

SQuAD's sentences come without their paragraphs. A passage is made of the right sentence and
sentences near it in the file, which are of the same article, often of the same paragraph, and of
hard ones: near in meaning or words. SelQA brings whole sections, in order, with their headings.
The contrasts, written for this, teach what near misses are: sentences that share names and kinds
of fact, and questions that are answered by one of them each, so that neither the question nor the
sentence alone tells whether the two belong together.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import torch
from benchmarks import sets
from safetensors.torch import load_file
from sklearn.feature_extraction.text import TfidfVectorizer
from tokenizers import Tokenizer
from torch import nn
from transformers import BertForTokenClassification

from qa.config import Settings
from qa.encoder import model_folder, open_encoder
from qa.types import Encoder
from training.reword import reworded

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
HEADED, OTHER_SECTION, UNMARKED = 0.7, 0.4, 0.4
#: How often each sentence is read alone, and how many wrong ones there are then: hard, and near.
SINGLY, HARD_ALONE, NEAR_ALONE = 0.6, 4, 1
#: How often all sentences of a group of contrasts are shown but the right one.
MISSED = 0.45
#: How often one of another group is shown, too.
ELSEWHERE = 0.3
#: Layers that are kept as they are, from the lowest, as the embeddings always are. The first two
#: trainings kept two.
FROZEN = 0
#: Numbers that the model has for a word piece: of the first two trainings one, of later ones two.
HEADS = 2
#: Stands for the second of them where a word piece is of another sentence.
OTHERS_PEAK = -30.0
#: None: what is trained on is not learned by heart (training/README.md).
DROPOUT = 0.0
#: Slope and constant of similarity to begin with.
SLOPE, CONSTANT = 12.0, -7.0
#: The file that keeps them beside a model.
SIMILARITY = "similarity.json"
#: Word pieces that are run at once.
RUN = 4096

#: A sentence as word pieces, whether it answers, and its cosine to the question.
Shown = tuple[list[int], bool, float]


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
    for pieces, right, cosine in sentences:
        pieces = pieces[:PASSAGE]
        if chosen and size + len(pieces) > PASSAGE:
            break
        chosen.append((pieces, right, cosine))
        size += len(pieces)
    return Shelf(heading or [], chosen)


@dataclass
class Squad:
    """Pairs of a question and a sentence, as examples."""

    #: share of the questions that are shown sentences alone, no passages
    singly: float
    questions: list[list[int]]
    #: place of the right sentence of each question
    right: list[int]
    sentences: list[list[int]]
    #: places of hard sentences of each question, hardest first, shape (questions, HARD)
    hard: Any
    #: cosines, shape (questions, sentences)
    cosines: Any

    def example(self, place: int, chance: random.Random) -> Example:
        """Make an example of a question, another one each time."""
        right = self.right[place]
        hard = [int(found) for found in self.hard[place] if found != right]
        if chance.random() < self.singly:
            return self._singly(place, right, hard, chance)

        def show(found: int) -> Shown:
            return self.sentences[found], found == right, float(self.cosines[place, found])

        chosen = self._around(right, hard, chance)
        left_out = chance.random() < LEFT_OUT
        if left_out:
            chosen = [found for found in chosen if found != right]
        shown = [show(found) for found in chosen]
        shelves = []
        if shown:
            first = shelf(shown)
            if not left_out and not any(answers for _, answers, _ in first.sentences):
                first = shelf([show(right), *shown])
            shelves.append(first)
        shelves.append(shelf([show(found) for found in self._wrong(right, hard, chance)]))
        return Example(self.questions[place], shelves)

    def _singly(self, place: int, right: int, hard: list[int], chance: random.Random) -> Example:
        near = [found for found in range(right - 4, right + 5) if found != right]
        near = [found for found in near if 0 <= found < len(self.sentences)]
        chosen = {*chance.sample(hard, HARD_ALONE), *chance.sample(near, NEAR_ALONE)}
        if chance.random() >= LEFT_OUT:
            chosen.add(right)
        return Example(
            self.questions[place],
            [
                shelf([(self.sentences[found], found == right, float(self.cosines[place, found]))])
                for found in sorted(chosen)
            ],
        )

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

    #: share of the questions that are shown sentences alone, no passages
    singly: float
    questions: list[list[int]]
    headings: list[list[int]]
    sections: list[list[list[int]]]
    rankings: list[sets.Ranking]
    #: of each question, shape (questions, dimension)
    asked: Any
    #: of each section's sentences, shape (sentences, dimension)
    vectors: list[Any]
    #: article to the places of its questions
    articles: dict[str, list[int]] = field(init=False)

    def __post_init__(self) -> None:
        self.articles = {}
        for place, ranking in enumerate(self.rankings):
            self.articles.setdefault(ranking.title, []).append(place)

    def example(self, place: int, chance: random.Random) -> Example:
        """Make an example of a question, another one each time."""
        ranking = self.rankings[place]
        shown = self._shown(place, place)
        begin = chance.randint(0, 2)
        heading = self.headings[place] if chance.random() < HEADED else []
        left_out = chance.random() < LEFT_OUT
        cut = list(_cut(shown, begin))
        right = [part for part in cut if any(answers for _, answers, _ in part)]
        wrong = [part for part in cut if not any(answers for _, answers, _ in part)]
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
            other = self._shown(place, chance.choice(others))
            chosen.append(shelf(other[chance.randrange(len(other)) :]).sentences)
        if chance.random() < self.singly:
            chosen = [
                [found] for found in _few([found for part in chosen for found in part], chance)
            ]
        return Example(self.questions[place], [Shelf(heading, part) for part in chosen])

    def _shown(self, place: int, section: int) -> list[Shown]:
        right = self.rankings[place].right if section == place else frozenset()
        cosines = self.vectors[section] @ self.asked[place]
        return [
            (pieces, number in right, float(cosine))
            for number, (pieces, cosine) in enumerate(
                zip(self.sections[section], cosines, strict=True)
            )
        ]


@dataclass
class Contrasts:
    """Questions that one sentence of a group answers, or two, as examples."""

    #: how many of the questions were there at first
    known: int
    rankings: list[sets.Ranking]
    headings: list[list[int]]
    #: of each question, the sentences of its group
    sentences: list[list[list[int]]]
    #: of each question, those sentences as vectors, shape (sentences, dimension)
    vectors: list[Any]
    encoder: Encoder
    pieces: Callable[[Sequence[str]], list[list[int]]]
    #: of each question, the places of those about the same group
    together: list[range] = field(init=False)

    def __post_init__(self) -> None:
        self.together = []
        for _, group in groupby(self.rankings, lambda ranking: ranking.sentences):
            first = len(self.together)
            size = len(list(group))
            self.together += [range(first, first + size)] * size

    def example(self, place: int, chance: random.Random) -> Example:
        """Make an example of a question, put otherwise at times: each sentence alone."""
        ranking = self.rankings[place]
        other = chance.choice([at for at in self.together[place] if at != place])
        question, joined = reworded(ranking.question, self.rankings[other].question, chance)
        answers = ranking.right | self.rankings[other].right if joined else ranking.right
        asked = self.encoder.encode([question])[0]
        cosines = self.vectors[place] @ asked
        shown = [
            (pieces, number in answers, float(cosine))
            for number, (pieces, cosine) in enumerate(
                zip(self.sentences[place], cosines, strict=True)
            )
        ]
        heading = self.headings[place] if chance.random() < HEADED else []
        right = [found for found in shown if found[1]]
        wrong = sorted((found for found in shown if not found[1]), key=_unlike)
        chosen = [*wrong[:2], *chance.sample(wrong[2:], min(1, len(wrong[2:])))]
        if chance.random() >= MISSED:
            chosen += chance.sample(right, chance.randint(1, len(right)))
        shelves = [Shelf(heading, [found]) for found in chosen]
        if chance.random() < ELSEWHERE:
            shelves.append(self._elsewhere(place, asked, chance))
        return Example(self.pieces([question])[0], shelves)

    def _elsewhere(self, place: int, asked: Any, chance: random.Random) -> Shelf:
        """Return a sentence of another group."""
        other = chance.randrange(len(self.rankings) - len(self.together[place]))
        if other >= self.together[place].start:
            other += len(self.together[place])
        number = chance.randrange(len(self.sentences[other]))
        cosine = float(self.vectors[other][number] @ asked)
        return Shelf(self.headings[other], [(self.sentences[other][number], False, cosine)])


def _unlike(found: Shown) -> float:
    return -found[2]


def _few(shown: Sequence[Shown], chance: random.Random) -> list[Shown]:
    """Return one that answers, if any does, and some that do not, likely ones rather."""
    right = [found for found in shown if found[1]]
    wrong = sorted((found for found in shown if not found[1]), key=lambda found: -found[2])
    hard, easy = wrong[:HARD_ALONE], wrong[HARD_ALONE:]
    return [
        *chance.sample(right, min(1, len(right))),
        *hard,
        *chance.sample(easy, min(NEAR_ALONE, len(easy))),
    ]


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


def hard_sentences(
    questions: Sequence[str], sentences: Sequence[str], encoder: Encoder
) -> tuple[Any, Any]:
    """Return the places of the sentences nearest in meaning and words, and all cosines.

    Shapes (questions, HARD) and (questions, sentences).
    """
    cosines = encoder.encode(questions) @ encoder.encode(sentences).T
    vectorizer = TfidfVectorizer(sublinear_tf=True)
    words = vectorizer.fit_transform(sentences)
    asked = vectorizer.transform(questions)
    found = np.zeros((len(questions), HARD), dtype=int)
    for start in range(0, len(questions), 500):
        rows = slice(start, start + 500)
        scores = cosines[rows] + (asked[rows] @ words.T).toarray()
        found[rows] = np.argsort(-scores, axis=1)[:, :HARD]
    return found, cosines


@dataclass(frozen=True, slots=True)
class Row:
    """An input of the model: a question, a heading and sentences, as word pieces."""

    #: which example of its batch it belongs to
    owner: int
    ids: list[int]
    #: where what follows the question begins
    second: int
    #: where each sentence begins and ends
    spans: list[tuple[int, int]]
    sentences: list[Shown]


def rows_of(examples: Sequence[Example], tokenizer: Tokenizer) -> Iterator[list[Row]]:
    """Yield the rows of some examples, rows of like length together."""
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
            for pieces, *_ in found.sentences:
                spans.append((len(ids), len(ids) + len(pieces)))
                ids += pieces
            rows.append(Row(owner, [*ids, sep], second, spans, found.sentences))
    rows.sort(key=lambda row: len(row.ids))
    while rows:
        length = len(rows[-1].ids)
        together = [row for row in rows[-max(1, RUN // length) :] if 1.5 * len(row.ids) > length]
        rows = rows[: -len(together)]
        yield together


class Judge(nn.Module):
    """The model, with slope and constant of the similarity that it adds to."""

    def __init__(self, folder: Path, bfloat16: bool) -> None:
        """Begin from an encoder, or go on from a folder that `save` wrote."""
        super().__init__()
        self.reader = BertForTokenClassification.from_pretrained(
            folder,
            num_labels=HEADS,
            attn_implementation="sdpa",
            classifier_dropout=0.0,
            hidden_dropout_prob=DROPOUT,
            attention_probs_dropout_prob=0.0,
            ignore_mismatched_sizes=True,
        )
        similarity = {"slope": SLOPE, "constant": CONSTANT}
        head = self.reader.classifier
        if (folder / SIMILARITY).is_file():
            similarity = json.loads((folder / SIMILARITY).read_text(encoding="utf-8"))
            known = load_file(folder / "model.safetensors")
            with torch.no_grad():
                for values, name in ((head.weight, "weight"), (head.bias, "bias")):
                    begun = known[f"classifier.{name}"]
                    values.zero_()
                    values[: len(begun)] = begun
        else:
            nn.init.normal_(head.weight, std=0.02)
            nn.init.zeros_(head.bias)
        for frozen in (self.reader.bert.embeddings, *self.reader.bert.encoder.layer[:FROZEN]):
            frozen.requires_grad_(False)
        self.bfloat16 = bfloat16
        self.slope = nn.Parameter(torch.tensor(similarity["slope"]))
        self.constant = nn.Parameter(torch.tensor(similarity["constant"]))

    def forward(self, rows: Sequence[Row]) -> tuple[Any, Any, Any]:
        """Return log-odds, whether it is right and the example of each sentence of some rows."""
        length = max(len(row.ids) for row in rows)
        ids, mask, segments = (torch.zeros(len(rows), length, dtype=torch.long) for _ in range(3))
        means = torch.zeros(len(rows), max(len(row.spans) for row in rows), length)
        for place, row in enumerate(rows):
            ids[place, : len(row.ids)] = torch.tensor(row.ids)
            mask[place, : len(row.ids)] = 1
            segments[place, row.second : len(row.ids)] = 1
            for number, (start, end) in enumerate(row.spans):
                means[place, number, start:end] = 1 / max(1, end - start)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bfloat16):
            hidden = self.reader.bert(
                input_ids=ids, attention_mask=mask, token_type_ids=segments
            ).last_hidden_state
        found = SCALE * self.reader.classifier(hidden.float())
        places = tuple(
            torch.tensor(
                [(place, at) for place, row in enumerate(rows) for at in range(len(row.spans))]
            ).T
        )
        weights = means[places]
        likely = (weights * found[places[0], :, 0]).sum(-1)
        peaks = found[places[0], :, 1].masked_fill(weights == 0, OTHERS_PEAK)
        said = likely + torch.logsumexp(peaks, -1) - (weights > 0).sum(-1).clamp_min(1).log()
        shown = [(row.owner, *found) for row in rows for found in row.sentences]
        cosines = torch.tensor([cosine for *_, cosine in shown])
        return (
            said + self.slope * cosines + self.constant,
            torch.tensor([right for _, _, right, _ in shown]),
            torch.tensor([owner for owner, *_ in shown]),
        )


def loss(judge: Judge, examples: Sequence[Example], tokenizer: Tokenizer) -> Any:
    """Return the mean of the listwise loss, the null sentence included."""
    parts = [judge(rows) for rows in rows_of(examples, tokenizer)]
    scores, right, owners = (torch.cat(part) for part in zip(*parts, strict=True))
    total = torch.zeros(())
    for owner in range(len(examples)):
        found, answers = scores[owners == owner], right[owners == owner]
        found = torch.cat([found, found.new_zeros(1)])
        answers = torch.cat([answers, ~answers.any()[None]])
        total = total + torch.logsumexp(found, 0) - torch.logsumexp(found[answers], 0)
    return total / len(examples)


def main() -> None:
    """Train, and write a folder that export_selector.py takes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("squad", type=Path, help="question TAB sentence, training part")
    parser.add_argument("selqa", type=Path, help="SelQA, training part")
    parser.add_argument("out", type=Path, help="folder for the model")
    parser.add_argument("--start", type=Path, help="folder of such a model, to train it further")
    parser.add_argument("--epochs", type=float, default=2.0)
    parser.add_argument("--rate", type=float, default=1.2e-4, help="highest learning rate")
    parser.add_argument("--batch", type=int, default=16, help="questions a step")
    parser.add_argument("--repeat", type=int, default=3, help="how often SelQA is seen an epoch")
    parser.add_argument("--questions", type=int, default=0, help="only so many of SQuAD an epoch")
    parser.add_argument("--known", type=float, default=1.0, help="share of train/ seen an epoch")
    parser.add_argument("--singly", type=float, default=SINGLY, help="share of questions read so")
    parser.add_argument("--bfloat16", action="store_true", help="faster, if the processor has it")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    torch.manual_seed(arguments.seed)
    chance = random.Random(arguments.seed)
    folder = model_folder("all-MiniLM-L6-v2")
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    everything = read(arguments, tokenizer)
    judge = Judge(arguments.start or folder, arguments.bfloat16)
    tokenizer.save(str(arguments.out / "tokenizer.json"))
    train(judge, everything, tokenizer, chance, arguments)


def save(judge: Judge, out: Path) -> None:
    """Write the model, and what it was trained to be added to."""
    judge.reader.save_pretrained(out)
    facts = {"slope": judge.slope.item(), "constant": judge.constant.item()}
    (out / SIMILARITY).write_text(json.dumps(facts), encoding="utf-8")


#: Questions at the end of each file that are never trained on, to choose settings with.
HELD_OUT_SHARE, HELD_OUT_SECTIONS = 0.04, 80
#: The contrasts, written for this project; those for measuring lie in another folder beside these.
CONTRASTS = Path(__file__).parent / "contrasts"
#: Those that were there at first, of which a later training sees a share, and those added since.
KNOWN, ADDED = "train", "added"


def read(arguments: argparse.Namespace, tokenizer: Tokenizer) -> tuple[Squad, Sections, Contrasts]:
    """Read all sets, and turn them into word pieces."""

    def pieces(texts: Sequence[str]) -> list[list[int]]:
        encodings = tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return [encoding.ids for encoding in encodings]

    pairs = sets.squad_sentences(arguments.squad)
    questions = [question for question, _ in pairs]
    sentences = list(dict.fromkeys(sentence for _, sentence in pairs))
    places = {sentence: place for place, sentence in enumerate(sentences)}
    kept = int(len(pairs) * (1 - HELD_OUT_SHARE))
    encoder = open_encoder(Settings(index=arguments.out / "index"))
    singly = arguments.singly
    squad = Squad(
        singly,
        pieces(questions[:kept]),
        [places[sentence] for _, sentence in pairs[:kept]],
        pieces(sentences),
        *hard_sentences(questions[:kept], sentences, encoder),
    )
    rankings = sets.selqa(arguments.selqa)[:-HELD_OUT_SECTIONS]
    headings = [" - ".join(filter(None, (item.title, item.section))) for item in rankings]
    sections = Sections(
        singly,
        pieces([item.question for item in rankings]),
        pieces(headings),
        [pieces(item.sentences) for item in rankings],
        rankings,
        encoder.encode([item.question for item in rankings]),
        [
            encoder.encode([f"{heading}\n{sentence}" for sentence in item.sentences])
            for heading, item in zip(headings, rankings, strict=True)
        ],
    )
    return squad, sections, _contrasts(encoder, pieces)


def _contrasts(encoder: Encoder, pieces: Callable[[Sequence[str]], list[list[int]]]) -> Contrasts:
    parts = [
        [item for path in sorted((CONTRASTS / part).glob("*.txt")) for item in sets.contrasts(path)]
        for part in (KNOWN, ADDED)
    ]
    rankings = [ranking for part in parts for ranking in part]
    headings = [f"{item.title} - {item.section}" for item in rankings]
    shown = [
        [f"{heading}\n{sentence}" for sentence in item.sentences]
        for heading, item in zip(headings, rankings, strict=True)
    ]
    texts = list(dict.fromkeys(text for group in shown for text in group))
    vectors = dict(zip(texts, encoder.encode(texts), strict=True))
    return Contrasts(
        len(parts[0]),
        rankings,
        pieces(headings),
        [pieces(item.sentences) for item in rankings],
        [np.stack([vectors[text] for text in group]) for group in shown],
        encoder,
        pieces,
    )


def train(
    judge: Judge,
    read: tuple[Squad, Sections, Contrasts],
    tokenizer: Tokenizer,
    chance: random.Random,
    arguments: argparse.Namespace,
) -> None:
    """Run the steps; questions of like length share one, so that little is spent on padding."""
    squad, sections, contrasts = read
    places = list(range(len(squad.questions)))
    if arguments.questions:
        places = chance.sample(places, arguments.questions)
    everything: list[tuple[Any, int]] = [(squad, place) for place in places]
    everything += [(sections, at) for at in range(len(sections.questions))] * arguments.repeat
    # a group of six has near misses, and is seen three times as often as one of four
    seen = [
        (contrasts, at)
        for at, group in enumerate(contrasts.sentences)
        for _ in range(3 if len(group) > 4 else 1)
    ]
    known = [(origin, at) for origin, at in seen if at < contrasts.known]
    everything += chance.sample(known, int(arguments.known * len(known)))
    everything += seen[len(known) :]
    steps = int(len(everything) * arguments.epochs / arguments.batch)
    mark = tokenizer.token_to_id("?")
    trained = [parameter for parameter in judge.parameters() if parameter.requires_grad]
    scalars = [judge.slope, judge.constant]
    optimizer = torch.optim.AdamW(
        [
            {"params": [parameter for parameter in trained if parameter.ndim]},
            {"params": scalars, "lr": 100 * arguments.rate, "weight_decay": 0.0},
        ],
        lr=arguments.rate,
        weight_decay=0.01,
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda step: min(1, (step + 1) / (0.06 * steps)) * max(0.02, 1 - step / steps),
    )
    judge.train()
    began, losses = time.time(), []
    for examples in batches(everything, mark, chance, arguments):
        value = loss(judge, examples, tokenizer)
        value.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        losses.append(value.item())
        if len(losses) % 50 == 0:
            mean = sum(losses[-50:]) / 50
            print(
                f"step {len(losses)} of {steps}, loss {mean:.3f}, {time.time() - began:.0f} s, "
                f"slope {judge.slope.item():.2f}, constant {judge.constant.item():.2f}",
                flush=True,
            )
        if len(losses) % 300 == 0 or len(losses) == steps:
            save(judge, arguments.out)
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
                example = origin.example(place, chance)
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
    longest = max(sum(len(pieces) for pieces, *_ in found.sentences) for found in example.shelves)
    return len(example.question) + longest


if __name__ == "__main__":
    main()
