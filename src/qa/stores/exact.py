"""Passages that have phrases to the letter, out of those that an index finds by their words."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from qa.phrases import Phrases
from qa.types import Allowed, Scored

#: How many times more is searched when too little of it has the phrases to the letter.
_WIDER = 8
#: Filters of which is remembered which passages fit, a byte for each passage.
_REMEMBERED = 16
#: What is known of a passage; 0 where nobody has looked.
_FITS, _DOES_NOT = 1, 2


class Exact:
    """Looks into passages, and into none twice for the same filter. Safe to share."""

    def __init__(self, count: int, plain: Callable[[Sequence[int]], list[str]]) -> None:
        """Take what there is to look into.

        :param count: the passages of the generation.
        :param plain: returns what people see of some rows.
        """
        self._count = count
        self._plain = plain
        self._lock = threading.Lock()
        self._known: OrderedDict[Allowed, NDArray[np.int8]] = OrderedDict()

    def best(
        self, search: Callable[[int], list[Scored]], limit: int, allowed: Allowed | None
    ) -> list[Scored]:
        """Return the best that have the phrases to the letter, searching on until there are enough.

        :param search: returns so many of what is allowed, best first; it has the words of the
            phrases in a row, so few are thrown away.
        """
        if allowed is None or not (allowed.phrases or allowed.excluded):
            return search(limit)
        fitting = self._known_of(allowed)
        most = limit
        while True:
            found = search(most)
            self._look(allowed, fitting, [scored.row for scored in found])
            kept = [scored for scored in found if fitting[scored.row] == _FITS]
            if len(kept) >= limit or len(found) < most:
                return kept[:limit]
            most *= _WIDER

    def _known_of(self, allowed: Allowed) -> NDArray[np.int8]:
        """Return what is known of each passage: the same filter is asked for again and again."""
        with self._lock:
            known = self._known.pop(allowed, None)
            if known is None:
                known = np.zeros(self._count, np.int8)
            self._known[allowed] = known
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return known

    def _look(self, allowed: Allowed, fitting: NDArray[np.int8], rows: Sequence[int]) -> None:
        """Look whether passages have the phrases to the letter, those not looked into before."""
        wanted, unwanted = Phrases(allowed.phrases), Phrases(allowed.excluded)
        new = [row for row in rows if not fitting[row]]
        for row, plain in zip(new, self._plain(new), strict=True):
            fits = (
                plain and wanted.count(plain) == len(allowed.phrases) and not unwanted.count(plain)
            )
            fitting[row] = _FITS if fits else _DOES_NOT
