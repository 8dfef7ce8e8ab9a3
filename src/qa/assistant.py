"""The facade: open an index, ask it questions."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Self, get_args

from qa.answer import choose, cite, newest_first, prefer, rank
from qa.calibration import open_calibration
from qa.config import Settings
from qa.conversation import interpret
from qa.disagreement import disagreements
from qa.encoder import open_encoder
from qa.errors import IndexDamaged, IndexIncompatible, QAError, QuestionError
from qa.narrow import narrow
from qa.notices import newer_sources, nothing_left
from qa.query import parse
from qa.retrieve import retrieve
from qa.scorer import open_scorer
from qa.selector import MOST, Selection, Selector
from qa.stores.generation import is_generation
from qa.stores.index import Generation, Index, open_index
from qa.text import content_terms
from qa.types import Allowed, Answer, Encoder, Hit, Order, Passage, SentenceScorer

logger = logging.getLogger(__name__)

#: Characters of a question, passages of a reply, earlier turns.
LONGEST_QUESTION = 2000
MOST_PASSAGES = 50
MOST_TURNS = 20
#: Passages near each sentence of an answer that are looked into for copies of it, and for what
#: differs from it.
NEAREST = 8
#: Seconds after which an index that could not be used is looked at again, if it is the same.
RETRY = 5.0


class Assistant:
    """Answers questions from one generation of an index. Safe to share between threads."""

    def __init__(
        self, store: Generation, encoder: Encoder, scorer: SentenceScorer, settings: Settings
    ) -> None:
        self.store = store
        self.encoder = encoder
        self.scorer = scorer
        self._settings = settings
        self._selector = Selector(scorer)
        self._calibration = open_calibration(scorer.kind, settings.calibration)
        fitted = self._calibration.threshold
        self.threshold = settings.threshold if settings.threshold >= 0 else fitted

    @classmethod
    def open(
        cls,
        index: str | Path | None = None,
        settings: Settings | None = None,
        encoder: Encoder | None = None,
        scorer: SentenceScorer | None = None,
        generation: str | None = None,
        opened: Index | None = None,
    ) -> Assistant:
        """Open the live generation of an index with the model that built it.

        :param index: its folder; where not given, that of the settings.
        :param settings: where not given, the defaults; neither `qa.toml` nor the environment is
            read (`Settings.load` does).
        :param encoder: where given, used if it is that model, instead of being opened again.
        :param scorer: where given, used instead of being opened again.
        :param generation: id; where given, opened in place of the live one.
        :param opened: the index of the settings, where it is open already.

        :raises IndexMissing: if there is none.
        :raises IndexDamaged: if its files are not what was written.
        :raises IndexIncompatible: if it was built with another model.
        """
        settings = settings or Settings()
        if index is not None:
            settings = dataclasses.replace(settings, index=Path(index))
        store = (opened or open_index(settings)).open(generation)
        if encoder is None or encoder.name != store.manifest.model:
            encoder = open_encoder(settings)
        if store.manifest.model != encoder.name:
            raise IndexIncompatible("model", encoder.name, store.manifest.model)
        return cls(store, encoder, scorer or open_scorer(settings, encoder), settings)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the files of the index; nothing can be asked afterwards."""
        self.store.close()

    def ask(
        self,
        question: str,
        *,
        limit: int = 5,
        sources: Sequence[str] | None = None,
        after: str | None = None,
        before: str | None = None,
        sort: Order = "relevance",
        history: Sequence[str] = (),
    ) -> Answer:
        """Answer a question with quoted sentences, or refuse and name the nearest passages.

        The question may have the syntax of `qa.query`; the options hold beside it.

        :param limit: passages to return, 1 to 50.
        :param sources: uris; where given, the only sources searched.
        :param after: ISO 8601 day; only sources dated that day or later.
        :param before: ISO 8601 day; only sources dated that day or earlier.
        :param sort: the order of the passages: best first, or newest first.
        :param history: earlier questions as they were asked, oldest first, at most 20; by them a
            follow-up question is made to stand alone. The reply's `interpreted` is what was
            searched.
        :raises QuestionError: if the question is blank or too long, its syntax does not fit, or an
            option is out of range.
        :raises UnknownSource: if one of the sources is not in the index.
        """
        began = time.perf_counter()
        _check(question, limit, sort, history)
        query = parse(question)
        searched = interpret(query.text, [_words(earlier) for earlier in history])
        narrowed = narrow(query, self.store, sources, after, before)
        hits, selection = self.search(searched, narrowed.allowed, limit)
        confidence = 0.0  # of "what is the?" without a word that says what it is about
        if query.phrases or content_terms(searched):
            confidence = self._calibration.confidence(selection.features)
        answered = bool(selection.candidates) and confidence >= self.threshold
        groups = choose(prefer(selection.candidates, query.phrases)) if answered else []
        nearest = cache(lambda text: self.nearest(text, narrowed.allowed))
        sentences, citations = cite(self.store, groups, nearest)
        differing = disagreements(
            self.store,
            searched,
            groups,
            selection.candidates,
            citations,
            [hit.passage for hit in hits[:MOST]],
            nearest,
        )
        uris = {hit.passage.uri for hit in hits}
        dates = {source.uri: source.date for source in self.store.sources(sorted(uris))}
        passages = rank(hits, selection.candidates, searched, limit, dates)
        notices = (
            newer_sources(citations, selection.candidates, dates)
            if hits
            else nothing_left(self.store, self.encoder, searched, narrowed)
        )
        return Answer(
            question=question,
            interpreted=searched.strip(),
            answered=answered,
            confidence=round(confidence, 4),
            answer=sentences,
            citations=citations,
            passages=newest_first(passages) if sort == "date" else passages,
            disagreements=differing,
            filters=narrowed.filters,
            notices=notices,
            generation=self.store.generation,
            took_ms=round((time.perf_counter() - began) * 1000, 2),
        )

    def search(
        self, question: str, allowed: Allowed | None = None, limit: int = 0
    ) -> tuple[list[Hit], Selection]:
        """Return the best passages allowed, and the sentences of the first, scored.

        :param limit: passages to return at least, where there are so many.
        """
        limit = max(limit, MOST)
        vector = self.encoder.encode([question])[0]
        hits = retrieve(
            self.store,
            question,
            vector,
            dense_weight=self._settings.dense_weight,
            candidates=max(self._settings.candidates, limit),
            limit=limit,
            allowed=allowed,
        )
        return hits, self._selector.select(self.store, question, vector, hits)

    def searched(
        self,
        question: str,
        sources: Sequence[str] | None = None,
        after: str | None = None,
        before: str | None = None,
    ) -> int:
        """Count the sources that a question with these options is asked of; raise as `ask` does."""
        narrowed = narrow(parse(question), self.store, sources, after, before)
        uris = narrowed.allowed.uris if narrowed.allowed else None
        return self.store.manifest.counts["sources"] if uris is None else len(uris)

    def nearest(self, text: str, allowed: Allowed | None = None) -> list[Passage]:
        """Return the passages allowed whose words come nearest to a text's, best first."""
        rows = [found.row for found in self.store.lexical(text, NEAREST, allowed)]
        return self.store.passages(rows)

    def prepare(self, go_on: Callable[[], bool]) -> None:
        """Encode sentences before they are asked about, until memory is full.

        :param go_on: asked before each passage; may wait, and ends it by False.
        """
        for row in range(self.store.manifest.counts["passages"]):
            if not go_on() or not self.scorer.learn(self.store.passages([row])):
                return


class Live:
    """The assistant of the live generation, opened anew when another one was published.

    Where the live generation cannot be used, the last good one before it answers, and `trouble`
    says why.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        #: what is wrong with the live generation; None while it is the one that answers
        self.trouble: QAError | None = None
        self._index = open_index(settings)
        self._lock = threading.Lock()
        self._assistant: Assistant | None = None
        self._pointed = ""  # what the pointer said when the assistant was opened
        self._failed = -math.inf  # when nothing could be opened, on the monotonic clock

    def assistant(self) -> Assistant:
        """Return the assistant that answers now; raise as `Assistant.open` does.

        A caller keeps what it got for as long as it needs it: a generation never changes.
        """
        found = self._assistant
        pointed = self._index.pointer()
        if found is None:
            with self._lock:
                return self._assistant or self._first(pointed)
        if pointed != self._pointed and self._lock.acquire(blocking=False):
            try:  # the others go on with the old one
                self._renew(found, pointed)
            finally:
                self._lock.release()
        return self._assistant or found

    def distrust(self) -> None:
        """Check the files again with the next question: one turned out to be damaged."""
        with self._lock:
            self._assistant = None

    def _first(self, pointed: str) -> Assistant:
        recent = time.monotonic() - self._failed < RETRY
        if recent and self.trouble and pointed == self._pointed:
            raise self.trouble.with_traceback(None)  # every file would be read again
        self._pointed = pointed
        try:
            self._assistant = Assistant.open(settings=self.settings, opened=self._index)
            self.trouble = None
        except QAError as error:
            self.trouble = error
            self._assistant = self._earlier(pointed)
            if not self._assistant:
                self._failed = time.monotonic()
                raise
            logger.error("%s answers instead: %s", self._assistant.store.generation, error)
        return self._assistant

    def _renew(self, found: Assistant, pointed: str) -> None:
        try:
            self._assistant = Assistant.open(
                settings=self.settings,
                encoder=found.encoder,
                scorer=found.scorer,
                opened=self._index,
            )
            self.trouble = None
        except QAError as error:
            self.trouble = error
            logger.error("%s stays: %s", found.store.generation, error)
        except Exception:  # no fault of the index, like too many open files: tried again
            logger.exception("%s stays for now", found.store.generation)
            return
        self._pointed = pointed

    def _earlier(self, pointed: str) -> Assistant | None:
        """Open the last good generation before the live one, or the last if none is live."""
        for name in reversed(self._index.generations()):
            if name < pointed or not is_generation(pointed):
                with contextlib.suppress(IndexDamaged, IndexIncompatible):
                    return Assistant.open(
                        settings=self.settings, generation=name, opened=self._index
                    )
        return None


def _check(question: str, limit: int, sort: str, history: Sequence[str]) -> None:
    _check_text("question", question)
    if not 1 <= limit <= MOST_PASSAGES:
        raise QuestionError("limit", f"is {limit}; 1 to {MOST_PASSAGES}")
    if sort not in get_args(Order):
        raise QuestionError("sort", f"is {sort!r}; {' or '.join(get_args(Order))}")
    if len(history) > MOST_TURNS:
        raise QuestionError("history", f"has {len(history)} turns; send the last {MOST_TURNS}")
    for place, earlier in enumerate(history):
        _check_text(f"history.{place}.question", earlier)


def _check_text(field: str, text: str) -> None:
    if not text.strip():
        raise QuestionError(field, "is empty; write a question")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise QuestionError(field, "has half of a surrogate pair, which is no character")
    if len(text) > LONGEST_QUESTION:
        raise QuestionError(field, f"has {len(text)} characters; at most {LONGEST_QUESTION}")


def _words(earlier: str) -> str:
    """Return an earlier question without its syntax; as typed where that does not fit."""
    try:
        return parse(earlier).text
    except QuestionError:
        return earlier
