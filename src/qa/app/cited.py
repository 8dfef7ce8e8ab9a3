"""What answers have quoted since the server started: places alone, and in memory alone."""

from __future__ import annotations

import threading
from collections import defaultdict

from flask import current_app

from qa.types import Answer, Span

#: Places that are remembered of a source.
_REMEMBERED = 1000


class CitedPlaces:
    """The places in the sources of one generation that were quoted. Safe to share."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._generation = ""
        self._places: defaultdict[str, set[Span]] = defaultdict(set)

    def note(self, answer: Answer) -> None:
        """Remember what an answer quotes."""
        with self._lock:
            if answer.generation != self._generation:
                self._generation = answer.generation
                self._places.clear()
            for citation in answer.citations:
                places = self._places[citation.uri]
                if len(places) < _REMEMBERED:
                    places.add((citation.start, citation.end))

    def of(self, generation: str) -> dict[str, list[Span]]:
        """Return uri to the places that were quoted of it, in order."""
        with self._lock:
            if generation != self._generation:
                return {}
            return {uri: sorted(places) for uri, places in self._places.items()}


def cited_places() -> CitedPlaces:
    """Return what the application remembers."""
    found: CitedPlaces = current_app.extensions["qa-cited"]
    return found
