"""What the local store does beyond the contract of stores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest

from fakes import FakeEncoder, fill
from qa.config import Settings
from qa.ingest import build
from qa.stores.local import LocalStore
from qa.stores.records import Records
from qa.types import Allowed


def test_a_passage_is_looked_into_once_for_a_filter(
    settings: Settings, fake: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often it is asked for, in whatever channel, and however few passages fit."""
    files = {f"{number}.txt": f"Gold, lead and tin: {number}." for number in range(500)}
    fill(settings.corpus, {**files, "last.txt": "Gold lead and tin."})
    build(settings, fake)
    looked: Counter[int] = Counter()
    plain = Records.plain

    def count(self: Records, rows: Sequence[int]) -> list[str]:
        looked.update(rows)
        return plain(self, rows)

    monkeypatch.setattr(Records, "plain", count)
    store = LocalStore.open(settings.index)
    (vector,) = fake.encode(["gold lead"])
    for allowed in (
        Allowed(None, (), ("gold, lead",)),
        Allowed(None, ("gold lead",), ()),
    ):
        looked.clear()
        for _ in range(3):
            for found in (store.dense(vector, 5, allowed), store.lexical("gold lead", 5, allowed)):
                (passage,) = store.passages([scored.row for scored in found])
                assert passage.uri == "last.txt"
        assert set(looked.values()) == {1}
        assert len(looked) == 501


def test_filters_are_forgotten(settings: Settings, fake: FakeEncoder) -> None:
    fill(settings.corpus, {"a.txt": "Gold, lead.", "b.txt": "Tin."})
    build(settings, fake)
    store = LocalStore.open(settings.index)
    (vector,) = fake.encode(["gold"])
    for number in range(100):
        store.dense(vector, 5, Allowed(None, (), (f"{number}, gold",)))
    assert len(store._exact._known) == 16
    assert all(known.dtype == np.int8 and len(known) == 2 for known in store._exact._known.values())
