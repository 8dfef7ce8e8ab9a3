from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import qa.readers
from fakes import CORPUS, FakeEncoder, fill
from qa.config import Settings
from qa.errors import CitationFileError, SourceError
from qa.ingest import build
from qa.readers.worker import Worker
from qa.stores.local import LocalStore
from qa.types import Location
from qa.verify import (
    CheckedCitation,
    Cited,
    _nearest,
    locate,
    read_citations,
    verify,
    verify_sources,
)

METALS = "Copper melts at 1,085 degrees. Gold melts at 1,064 degrees.\n"
GOLD = "Gold melts at 1,064 degrees."
START, END = 31, 59


def sha256(text: str | bytes) -> str:
    return hashlib.sha256(text.encode() if isinstance(text, str) else text).hexdigest()


def gold(uri: str = "metals.txt", **changes: Any) -> Cited:
    return replace(Cited(uri, START, END, GOLD, sha256(METALS)), **changes)


def check(settings: Settings, cited: Cited) -> tuple[str, Location | None]:
    (found,) = verify(settings, [cited])
    assert (found.uri, found.start, found.end) == (cited.uri, cited.start, cited.end)
    return found.state, found.moved_to


@pytest.mark.parametrize(
    ("now", "state", "start"),
    [
        pytest.param(METALS, "valid", None, id="same"),
        pytest.param(METALS + "Tin melts at 232.\n", "valid", None, id="text after it"),
        pytest.param(f"Note. {METALS}", "moved", 37, id="text before it"),
        pytest.param(f"{GOLD} {GOLD}", "moved", 29, id="the nearer of two"),
        pytest.param(f"{GOLD}  x  {GOLD} {' ' * 26} {GOLD}", "moved", 33, id="nearer, after"),
        pytest.param(f"{' ' * 10}{GOLD}{' ' * 14}{GOLD}", "moved", 10, id="the earlier of equals"),
        pytest.param(METALS.replace("1,064", "1,063"), "changed", None, id="another figure"),
        pytest.param("Tin.", "changed", None, id="shorter than the offsets"),
        pytest.param("", "changed", None, id="empty"),
        pytest.param(b"\xff\xfe\x00", "changed", None, id="no longer readable"),
        pytest.param(None, "missing", None, id="deleted"),
    ],
)
def test_states(settings: Settings, now: str | bytes | None, state: str, start: int | None) -> None:
    if now is not None:
        fill(settings.corpus, {"metals.txt": now})
    moved_to = None if start is None else Location("metals.txt", start, start + len(GOLD))
    assert check(settings, gold()) == (state, moved_to)


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r"], ids=["CRLF", "LF", "CR"])
def test_line_ends_count_as_they_are(settings: Settings, end: str) -> None:
    text = f"Résumé 🜚{end}{end}Gold melts{end}at 1,064 degrees.{end}"
    fill(settings.corpus, {"a.txt": b"\xef\xbb\xbf" + text.encode()})
    quote = f"Gold melts{end}at 1,064 degrees."
    start = 8 + 2 * len(end)
    assert check(settings, Cited("a.txt", start, start + len(quote), quote))[0] == "valid"


def test_a_renamed_file_is_found_by_its_hash(settings: Settings) -> None:
    fill(settings.corpus, {"old/metals.txt": METALS, "other.txt": f"Also: {GOLD}"})
    (settings.corpus / "old" / "metals.txt").rename(settings.corpus / "new.md")
    moved_to = Location("new.md", START, END)
    assert check(settings, gold("old/metals.txt")) == ("moved", moved_to)
    assert check(settings, gold("old/metals.txt", sha256=sha256(METALS).upper()))[0] == "moved"
    assert check(settings, gold("old/metals.txt", sha256=None)) == ("missing", None)
    assert check(settings, gold("old/metals.txt", quote="Tin.")) == ("missing", None)


@pytest.mark.parametrize("uri", ["../secret.txt", "./metals.txt", "a/../metals.txt", "", "a\0b"])
def test_a_uri_is_never_a_path(settings: Settings, uri: str) -> None:
    fill(settings.corpus.parent, {"secret.txt": METALS})
    assert check(settings, gold(uri, sha256=None)) == ("missing", None)
    absolute = str(settings.corpus.parent / "secret.txt")
    assert check(settings, gold(absolute)) == ("missing", None)


def test_what_the_index_leaves_out_is_missing(settings: Settings) -> None:
    """Links out of the corpus, ignored and hidden files, files that are too large."""
    fill(settings.corpus.parent, {"secret.txt": METALS})
    names = ["ignored.txt", ".hidden.txt", "large.txt"]
    fill(settings.corpus, {name: METALS for name in names})
    fill(settings.corpus, {".qaignore": "ignored.txt", "large.txt": METALS * 20_000})
    (settings.corpus / "link.txt").symlink_to(settings.corpus.parent / "secret.txt")
    (settings.corpus / "loop.txt").symlink_to("loop.txt")
    small = replace(settings, max_source_mb=1)
    for name in [*names, "link.txt", "loop.txt"]:
        assert check(small, gold(name)) == ("missing", None), name


def test_every_file_is_read_once_and_the_order_kept(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(settings.corpus, {"a.txt": METALS, "b.txt": METALS})
    opened: list[str] = []

    def read(worker: Worker, uri: str, data: bytes) -> Any:
        opened.append(uri)
        return qa.readers.read(uri, data)

    monkeypatch.setattr(Worker, "read", read)
    found = verify(settings, [gold("b.txt"), gold("a.txt", quote="Tin."), gold("b.txt", start=0)])
    assert opened == ["b.txt", "a.txt"]
    assert found == [
        CheckedCitation("b.txt", START, END, "valid"),
        CheckedCitation("a.txt", START, END, "changed"),
        CheckedCitation("b.txt", 0, END, "moved", Location("b.txt", START, END)),
    ]


def test_without_a_corpus_nothing_is_said(settings: Settings) -> None:
    settings.corpus.rmdir()
    with pytest.raises(SourceError, match="no such folder"):
        verify(settings, [gold()])


@given(st.text("ab", max_size=30), st.text("ab", min_size=1, max_size=3), st.integers(0, 40))
def test_the_nearest_place_is_found(text: str, quote: str, start: int) -> None:
    places = [place for place in range(len(text)) if text.startswith(quote, place)]
    expected = min(places, key=lambda place: (abs(place - start), place), default=None)
    assert _nearest(text, quote, start) == expected


# the sources of an index


def test_sources_are_compared_with_the_index(settings: Settings, fake: FakeEncoder) -> None:
    fill(settings.corpus, {"a.txt": "A.", "b.txt": "B.", "c.txt": "C.", "bad.txt": b"\xff"})
    build(settings, fake)
    fill(settings.corpus, {"b.txt": "Changed.", "d.txt": "D."})
    (settings.corpus / "c.txt").unlink()
    store = LocalStore.open(settings.index)
    found = verify_sources(settings, list(store.sources()), store.manifest.skipped)
    assert [(entry.uri, entry.state) for entry in found] == [
        ("a.txt", "unchanged"),
        ("b.txt", "changed"),
        ("c.txt", "missing"),
        ("d.txt", "new"),
    ]


# files of citations

ENTRY = {"uri": "a.txt", "start": 0, "end": 5, "quote": "Gold."}


@pytest.mark.parametrize(
    "data",
    [[ENTRY], {"question": "x", "citations": [{**ENTRY, "number": 1, "sha256": None}]}],
    ids=["a list", "an answer"],
)
def test_citations_are_read(data: Any) -> None:
    assert read_citations("a.json", json.dumps(data)) == [Cited("a.txt", 0, 5, "Gold.")]


def test_both_sides_of_a_disagreement_are_read_once() -> None:
    """What the answer quotes comes first; of the disagreements only what is not among it."""
    other, third = ({**ENTRY, "uri": uri, "number": 2} for uri in ("b.txt", "c.txt"))
    differing = [{"kind": "claim", "citations": pair} for pair in ([ENTRY, other], [other, third])]
    data = {"citations": [ENTRY], "disagreements": differing}
    found = read_citations("a.json", json.dumps(data))
    assert [cited.uri for cited in found] == ["a.txt", "b.txt", "c.txt"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            json.dumps({"citations": [], "disagreements": 3}),
            "disagreements: expected a list",
        ),
        (
            json.dumps({"citations": [], "disagreements": [{"kind": "claim"}]}),
            "disagreements[0].citations: expected a list",
        ),
        (
            json.dumps({"citations": [], "disagreements": [{"citations": [ENTRY, 3]}]}),
            "disagreements[0].citations[1]: expected an object",
        ),
        ("", "not JSON (Expecting value: line 1 column 1 (char 0))"),
        ("{", "not JSON (Expecting property name enclosed in double quotes"),
        ("[" * 99_999, "not JSON ("),
        ("3", "expected what qa ask --json prints, an evidence pack, or a list of citations"),
        (
            '{"answer": []}',
            "expected what qa ask --json prints, an evidence pack, or a list of citations",
        ),
        ("[3]", "citations[0]: expected an object"),
        (json.dumps([ENTRY, {**ENTRY, "uri": 3}]), "citations[1].uri: expected a text"),
        (json.dumps([{**ENTRY, "quote": ""}]), "citations[0].quote: expected a text"),
        (
            json.dumps([{**ENTRY, "start": -1}]),
            "citations[0].start: expected a whole number, 0 or more",
        ),
        (
            json.dumps([{**ENTRY, "end": True}]),
            "citations[0].end: expected a whole number, 0 or more",
        ),
        (json.dumps([{**ENTRY, "sha256": 1}]), "citations[0].sha256: expected a text"),
    ],
)
def test_a_damaged_file_is_named(text: str, reason: str) -> None:
    with pytest.raises(CitationFileError) as caught:
        read_citations("a.json", text)
    assert str(caught.value).startswith(f"a.json: {reason}")


def test_the_path_of_nothing_is_resolved(settings: Settings, tmp_path: Path) -> None:
    """The corpus itself may be a link, and hold links to its own files."""
    fill(tmp_path / "real", {"metals.txt": METALS})
    link = tmp_path / "linked"
    link.symlink_to(tmp_path / "real")
    (link / "alias.txt").symlink_to("metals.txt")
    linked = replace(settings, corpus=link)
    assert check(linked, gold())[0] == "valid"
    assert check(linked, gold("alias.txt"))[0] == "valid"


def test_a_quote_is_found_in_the_index(indexed: Settings, fake: FakeEncoder) -> None:
    store = LocalStore.open(indexed.index)
    text, digest = CORPUS["notes.txt"], store.document("notes.txt").sha256
    quote = "Gold melts at 1,064 degrees."
    start = text.index(quote)
    here = Location("notes.txt", start, start + len(quote))

    def state(uri: str, at: int, said: str, sha256: str | None = None) -> object:
        found = locate(store, Cited(uri, at, at + len(said), said, sha256))
        return found.state, found.moved_to

    assert state("notes.txt", start, quote) == ("valid", None)
    assert state("notes.txt", 0, quote) == ("moved", here)
    assert state("notes.txt", 0, "Gold is soft.") == ("changed", None)
    assert state("old.txt", start, quote) == ("missing", None)
    assert state("old.txt", start, quote, digest) == ("moved", here)
