"""The facade: open an index, ask it questions."""

from __future__ import annotations

import dataclasses
import logging
import threading
import time
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Self

from qa.answer import choose, cite, rank
from qa.calibration import open_calibration
from qa.config import Settings
from qa.encoder import open_encoder
from qa.errors import IndexIncompatible, QAError, QuestionError, UnknownSource
from qa.retrieve import retrieve
from qa.scorer import SimilarityScorer, open_scorer
from qa.selector import DEPTH, Selection, Selector
from qa.stores.generation import pointer
from qa.stores.local import LocalStore
from qa.types import Answer, Encoder, Hit, SentenceScorer

logger = logging.getLogger(__name__)

#: Characters of a question, passages of a reply, earlier turns.
LONGEST_QUESTION = 2000
MOST_PASSAGES = 50
MOST_TURNS = 20


class Assistant:
    """Answers questions from one generation of an index. Safe to share between threads."""

    def __init__(
        self, store: LocalStore, encoder: Encoder, scorer: SentenceScorer, settings: Settings
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
    ) -> Assistant:
        """Open the live generation of an index with the model that built it.

        :param index: its folder; where not given, that of the settings.
        :param settings: where not given, the defaults; neither `qa.toml` nor the environment is
            read (`Settings.load` does).
        :param encoder: where given, used if it is that model, instead of being opened again.
        :param scorer: where given, used instead of being opened again.

        :raises IndexMissing: if there is none.
        :raises IndexDamaged: if its files are not what was written.
        :raises IndexIncompatible: if it was built with another model.
        """
        settings = settings or Settings()
        if index is not None:
            settings = dataclasses.replace(settings, index=Path(index))
        store = LocalStore.open(settings.index)
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
    ) -> Answer:
        """Answer a question with quoted sentences, or refuse and name the nearest passages.

        :param limit: passages to return, 1 to 50.
        :param sources: uris; where given, the only sources searched.
        :param after: ISO 8601 day; only sources dated that day or later.
        :param before: ISO 8601 day; only sources dated that day or earlier.
        :raises QuestionError: if the question is blank or too long, or an option out of range.
        :raises UnknownSource: if one of the sources is not in the index.
        """
        began = time.perf_counter()
        _check(question, limit)
        uris = self.searched(sources, after, before)
        hits, selection = self.search(question, max(limit, DEPTH), uris)
        confidence = self._calibration.confidence(selection.features)
        answered = bool(selection.candidates) and confidence >= self.threshold
        groups = choose(selection.candidates) if answered else []
        sentences, citations = cite(self.store, groups)
        return Answer(
            question=question,
            interpreted=question.strip(),
            answered=answered,
            confidence=round(confidence, 4),
            answer=sentences,
            citations=citations,
            passages=rank(hits, selection.candidates, question, limit),
            disagreements=(),
            generation=self.store.generation,
            took_ms=round((time.perf_counter() - began) * 1000, 2),
        )

    def search(
        self, question: str, limit: int, uris: Sequence[str] | None = None
    ) -> tuple[list[Hit], Selection]:
        """Return the best passages of these sources, and the sentences of the first, scored."""
        vector = self.encoder.encode([question])[0]
        hits = retrieve(
            self.store,
            question,
            vector,
            dense_weight=self._settings.dense_weight,
            candidates=max(self._settings.candidates, limit),
            limit=limit,
            uris=uris,
        )
        return hits, self._selector.select(self.store, question, vector, hits)

    def prepare(self, stopping: threading.Event) -> None:
        """Encode sentences before they are asked about, until told to stop or memory is full."""
        if isinstance(self.scorer, SimilarityScorer):
            for row in range(self.store.manifest.counts["passages"]):
                if stopping.is_set() or not self.scorer.learn(self.store.passages([row])):
                    return

    def searched(
        self,
        sources: Sequence[str] | None = None,
        after: str | None = None,
        before: str | None = None,
    ) -> list[str] | None:
        """Return the uris that a question with these options is asked of, None for all."""
        first, last = _day("after", after), _day("before", before)
        if sources is None and not first and not last:
            return None
        if sources is not None and not sources:
            raise QuestionError("sources", "is empty; leave it out to search all sources")
        dates = {source.uri: source.date for source in self.store.sources()}
        for uri in sources or ():
            if uri not in dates:
                raise UnknownSource(uri, "not in the index; `qa sources` lists what is")
        return sorted(
            uri
            for uri in set(sources or dates)
            if (not first or (dates[uri] or "") >= first)
            and (not last or (dates[uri] or "9999") <= last)
        )


class Live:
    """The assistant of the live generation, opened anew when another one was published."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._lock = threading.Lock()
        self._assistant: Assistant | None = None
        self._refused = ""  # what the pointer said when the new generation could not be opened

    def assistant(self) -> Assistant:
        """Return the assistant of the live generation; raise as `Assistant.open` does.

        A caller keeps what it got for as long as it needs it: a generation never changes. When a
        new one cannot be opened, the old one goes on answering and the log says why.
        """
        found = self._assistant
        if found is None:
            with self._lock:
                self._assistant = self._assistant or Assistant.open(settings=self.settings)
                return self._assistant
        pointed = pointer(self.settings.index)
        if pointed in (found.store.generation, self._refused):
            return found
        if self._lock.acquire(blocking=False):  # the others go on with the old one
            try:
                self._assistant = Assistant.open(
                    settings=self.settings, encoder=found.encoder, scorer=found.scorer
                )
            except QAError as error:
                self._refused = pointed
                logger.error("%s stays: %s", found.store.generation, error)
            finally:
                self._lock.release()
        return self._assistant or found


def _check(question: str, limit: int) -> None:
    if not question.strip():
        raise QuestionError("question", "is empty; write a question")
    if any("\ud800" <= character <= "\udfff" for character in question):
        raise QuestionError("question", "has half of a surrogate pair, which is no character")
    if len(question) > LONGEST_QUESTION:
        raise QuestionError(
            "question", f"has {len(question)} characters; at most {LONGEST_QUESTION}"
        )
    if not 1 <= limit <= MOST_PASSAGES:
        raise QuestionError("limit", f"is {limit}; 1 to {MOST_PASSAGES}")


def _day(field: str, value: str | None) -> str | None:
    if value is None:
        return None
    try:
        return date.fromisoformat(value).isoformat()
    except ValueError as error:
        raise QuestionError(field, f"is {value!r}; a day is written YYYY-MM-DD") from error
