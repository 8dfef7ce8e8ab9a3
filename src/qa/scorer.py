"""What says which sentences of a passage answer: likeness, or a model that reads both."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qa.config import Settings
from qa.encoder import COMPILED, model_folder, quiet
from qa.errors import ModelMissing
from qa.graph import Graph
from qa.splitter import context
from qa.types import Encoder, Passage, Scores, SentenceScorer, Vectors

#: The setting for no model but the encoder.
NONE = "none"
#: The name of the selector that comes with the program, and the kind of its scores.
SHIPPED = "selector"
_FILES = ("model.json", "model.xml", "model.bin", "tokenizer.json")
#: Word pieces of a question that are read.
_QUESTION = 64
#: Sentences that are read: the right one, where found, is among so many by similarity (XQuAD: .98).
_READ = 10
#: Sentences that are read at a time, before it is seen whether the rest can still win.
_TURN = 2
#: Reading adds more than this to the log-odds of fewer than 4 sentences in 100: one that is so far
#: behind the best one is not read.
_LARGEST = 8.0
#: Word pieces that a row's length is rounded up to a multiple of: few different lengths keep the
#: runtime from preparing many.
_STEP = 16
#: Cosine to log-odds, for ranking alone: similarity knows no point at which it means "no answer".
_STEEPNESS = 10.0


def open_scorer(settings: Settings, encoder: Encoder) -> SentenceScorer:
    """Open the scorer that the settings name.

    :raises ModelMissing: if it is not on this machine and cannot be fetched.
    """
    if settings.selector == NONE:
        return SimilarityScorer(encoder)
    folder = model_folder(settings.selector)
    if (folder / "model.xml").is_file():
        cache = settings.index / "models" / COMPILED
        return ReadingScorer(settings.selector, folder, SimilarityScorer(encoder), cache)
    return PairScorer(settings.selector, folder)


class ReadingScorer:
    """A selector that training/ makes: adds to similarity what it reads in question and sentence.

    The graph turns word pieces into numbers, and those of a sentence say whether it answers, see
    `_said`. The likeliest sentences are read, each alone below its headings, until the rest cannot
    win; the others are taken to be as wrong as the worst of those.
    """

    def __init__(self, name: str, folder: Path, similarity: SimilarityScorer, cache: Path) -> None:
        from tokenizers import Tokenizer

        missing = [file for file in _FILES if not (folder / file).is_file()]
        if missing:
            raise ModelMissing(name, f"{folder} has no {missing[0]}")
        facts = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        # compiled beside whatever else a start has to do
        background = ThreadPoolExecutor(1)
        self._graph = background.submit(Graph, folder / "model.xml", cache, side_by_side=True)
        background.shutdown(wait=False)
        self.kind = SHIPPED
        self._similarity = similarity
        self._window: int = facts["max_tokens"]
        self._slope: float = facts["slope"]
        self._constant: float = facts["constant"]
        self._open: int = facts["open"]
        self._close: int = facts["close"]
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()

    def score(
        self,
        question: str,
        vector: Vectors,
        passages: Sequence[Passage],
        besides: Sequence[Scores] | None = None,
    ) -> list[Scores]:
        """Return the log-odds of each sentence of each passage; above 0, it rather answers."""
        known = [
            self._slope * cosines + self._constant
            for cosines in self._similarity.cosines(vector, passages)
        ]
        likely = known if besides is None else [a + b for a, b in zip(known, besides, strict=True)]
        read = self._read_likeliest(question, passages, likely)
        added = [np.full_like(found, min(read.values(), default=0.0)) for found in known]
        for (place, number), value in read.items():
            added[place][number] = value
        return [found + more for found, more in zip(known, added, strict=True)]

    def learn(self, passages: Sequence[Passage]) -> bool:
        """Encode the sentences of some passages ahead; return whether there is memory for more."""
        return self._similarity.learn(passages)

    def _read_likeliest(
        self, question: str, passages: Sequence[Passage], likely: Sequence[Scores]
    ) -> dict[tuple[int, int], float]:
        """Read sentences, likeliest first, until the rest cannot win.

        Returns what the graph says, by place of the passage and number of the sentence in it.
        """
        waiting = _best(likely)
        read: dict[tuple[int, int], float] = {}
        best = -np.inf
        while waiting and best < likely[waiting[0][0]][waiting[0][1]] + _LARGEST:
            chosen, waiting = waiting[:_TURN], waiting[_TURN:]
            values = self._read(question, [(passages[place], number) for place, number in chosen])
            read |= dict(zip(chosen, values, strict=True))
            best = max(likely[place][number] + value for (place, number), value in read.items())
        return read

    def _read(self, question: str, sentences: Sequence[tuple[Passage, int]]) -> list[float]:
        """Return what the graph says of sentences, each a passage and the number in it."""
        rows = list(self._rows(question, sentences))
        outputs = self._graph.result().run_all([row.inputs() for row in rows])
        return [
            _said(pieces[0, row.start : len(row.ids) - 1])
            for row, pieces in zip(rows, outputs, strict=True)
        ]

    def _rows(self, question: str, sentences: Sequence[tuple[Passage, int]]) -> Iterator[_Row]:
        begin = [self._open, *self._pieces([question])[0][:_QUESTION], self._close]
        headings = {
            passage.id: self._pieces(
                [context(passage.title, passage.section, self._window // 4, self._count)]
            )[0]
            for passage, _ in sentences
        }
        texts = self._pieces([passage.sentences[number].plain for passage, number in sentences])
        for (passage, _), text in zip(sentences, texts, strict=True):
            before = [*begin, *headings[passage.id]]
            text = (text or [self._close])[: self._window - len(before) - 1]
            yield _Row([*before, *text, self._close], len(begin), len(before))

    def _pieces(self, texts: Sequence[str]) -> list[list[int]]:
        encodings = self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return [encoding.ids for encoding in encodings]

    def _count(self, texts: Sequence[str]) -> list[int]:
        return [len(pieces) for pieces in self._pieces(texts)]


def _said(pieces: Scores) -> float:
    """Return what the graph says of a sentence.

    :param pieces: shape (word pieces, 2): the first numbers count by their mean, the second by the
        logarithm of their mean exponential, which the highest rules: one word may be the answer.
    """
    likely, answers = pieces.T
    return float(likely.mean() + np.log(np.exp(answers).mean()))


@dataclass(frozen=True, slots=True)
class _Row:
    """A question with one sentence, as word pieces."""

    ids: list[int]
    #: where the second segment begins, and where the sentence does
    second: int
    start: int

    def inputs(self) -> list[NDArray[np.int64]]:
        """Return what the graph reads, each of shape (1, word pieces): ids, mask, segments."""
        filled = np.zeros((3, 1, -(-len(self.ids) // _STEP) * _STEP), np.int64)
        filled[0, 0, : len(self.ids)] = self.ids
        filled[1, 0, : len(self.ids)] = 1
        filled[2, 0, self.second : len(self.ids)] = 1
        return list(filled)


def _best(scores: Sequence[Scores]) -> list[tuple[int, int]]:
    """Return passage and number of the sentences that are read, likeliest first."""
    found = [
        (-float(value), place, number)
        for place, values in enumerate(scores)
        for number, value in enumerate(values)
    ]
    return [(place, number) for _, place, number in sorted(found)[:_READ]]


class PairScorer:
    """Any cross-encoder of sentence-transformers: reads one sentence at a time, with its headings.

    Its scores are taken as log-odds. Needs torch, and seconds to start.
    """

    def __init__(self, name: str, folder: Path) -> None:
        if not _is_cross_encoder(folder):  # its head would be made up of random numbers
            raise ModelMissing(name, f"{folder} holds no cross-encoder with one output")
        from sentence_transformers import CrossEncoder
        from torch.nn import Identity

        try:
            with quiet():
                self._model = CrossEncoder(
                    str(folder), device="cpu", local_files_only=True, activation_fn=Identity()
                )
        except (OSError, ValueError, KeyError) as error:
            raise ModelMissing(name, f"{folder} holds no cross-encoder ({error})") from error
        self.kind = "cross-encoder"
        self._lock = threading.Lock()

    def score(
        self,
        question: str,
        vector: Vectors,
        passages: Sequence[Passage],
        besides: Sequence[Scores] | None = None,
    ) -> list[Scores]:
        """Return what the model says of each sentence of each passage."""
        pairs = [
            (question, " - ".join((passage.title, *passage.section)) + "\n" + sentence.plain)
            for passage in passages
            for sentence in passage.sentences
        ]
        if not pairs:
            return [np.empty(0, np.float32) for _ in passages]
        with self._lock:
            scores = self._model.predict(pairs, show_progress_bar=False)
        return _parts(np.asarray(scores, np.float32), passages)

    def learn(self, passages: Sequence[Passage]) -> bool:
        """Say that there is nothing to prepare."""
        return False


def _is_cross_encoder(folder: Path) -> bool:
    try:
        facts = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        classifies = str(facts["architectures"][0]).endswith("ForSequenceClassification")
        return classifies and len(facts.get("id2label", "01")) == 1
    except (OSError, ValueError, KeyError, IndexError, TypeError, AttributeError):
        return False


def _parts(values: Any, passages: Sequence[Passage]) -> list[Any]:
    """Cut what was computed for all sentences into one part for each passage."""
    ends = np.cumsum([len(passage.sentences) for passage in passages])
    return np.split(values, ends[:-1]) if len(ends) else []


#: Title, section and sentences of a passage: the same again after a rebuild that did not change it.
_Key = tuple[str, tuple[str, ...], tuple[str, ...]]
#: Sentences whose vectors are kept in memory, 1.5 kB each.
_KEPT_SENTENCES = 20_000


def _key(passage: Passage) -> _Key:
    # the same words may be cut into other sentences elsewhere
    return passage.title, passage.section, tuple(found.plain for found in passage.sentences)


class SimilarityScorer:
    """No model of its own: the cosine of a sentence, read with its headings, to the question.

    Keeps the vectors of the sentences that it saw, since the same passages come again.
    """

    def __init__(self, encoder: Encoder) -> None:
        self.kind = NONE
        self._encoder = encoder
        self._known: OrderedDict[_Key, Vectors] = OrderedDict()
        self._kept = 0
        self._lock = threading.Lock()

    def score(
        self,
        question: str,
        vector: Vectors,
        passages: Sequence[Passage],
        besides: Sequence[Scores] | None = None,
    ) -> list[Scores]:
        """Return ten times the cosine of each sentence of each passage."""
        return [_STEEPNESS * cosines for cosines in self.cosines(vector, passages)]

    def cosines(self, vector: Vectors, passages: Sequence[Passage]) -> list[Scores]:
        """Return the cosine of each sentence of each passage to an encoded question."""
        return [known @ vector for known in self._vectors(passages)]

    def learn(self, passages: Sequence[Passage]) -> bool:
        """Encode the sentences of some passages ahead; return whether there is memory for more."""
        self._vectors(passages)
        return self._kept < _KEPT_SENTENCES

    def _vectors(self, passages: Sequence[Passage]) -> list[Vectors]:
        """Return the vectors of each passage's sentences, encoding those not known yet."""
        keys = [_key(passage) for passage in passages]
        with self._lock:
            known = {key: self._known[key] for key in keys if key in self._known}
        missing = [passage for passage, key in zip(passages, keys, strict=True) if key not in known]
        if missing:
            texts = [text for passage in missing for text in self._read(passage)]
            encoded = _parts(self._encoder.encode(texts), missing)
            new = [key for key in keys if key not in known]
            known |= dict(zip(new, encoded, strict=True))
        self._keep(known)
        return [known[key] for key in keys]

    def _read(self, passage: Passage) -> list[str]:
        """Return what the model reads for each sentence, which alone may not name its topic."""
        window, count = self._encoder.max_tokens - 2, self._encoder.count
        before = context(passage.title, passage.section, window, count)
        return [before + sentence.plain for sentence in passage.sentences]

    def _keep(self, used: dict[_Key, Vectors]) -> None:
        """Keep what was used; forget what was not for longest when there is too much."""
        with self._lock:
            for key, vectors in used.items():
                if key not in self._known:
                    self._kept += len(vectors)
                self._known[key] = vectors
                self._known.move_to_end(key)
            while self._kept > _KEPT_SENTENCES:
                _, dropped = self._known.popitem(last=False)
                self._kept -= len(dropped)
