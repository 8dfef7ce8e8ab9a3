from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any, NoReturn

import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

import qa.ingest
from fakes import ARTICLE, CORPUS, FakeEncoder, fill, written
from qa.assistant import Assistant
from qa.config import Settings
from qa.encoder import OpenVINOEncoder
from qa.errors import SourceError
from qa.ingest import build, encoded_text
from qa.stores import generation
from qa.stores.local import LocalStore
from qa.text import Markup
from qa.types import Document, Mark, Passage

COUNTS = {"added": 0, "changed": 0, "renamed": 0, "removed": 0, "duplicate": 0, "unchanged": 0}


def reasons(settings: Settings, encoder: FakeEncoder) -> dict[str, str]:
    return {entry.uri: entry.reason for entry in build(settings, encoder).skipped}


# the report


def test_a_first_build(settings: Settings, fake: FakeEncoder) -> None:
    fill(settings.corpus, CORPUS)
    report = build(settings, fake)
    assert report.changed
    assert report.generation == (settings.index / "CURRENT").read_text().strip()
    assert report.sources == {**COUNTS, "added": 3}
    # Front matter, title, two sections, the footnote; front matter and text; the notes.
    assert report.passages == {"total": 7, "reused": 0, "embedded": 4}
    assert report.skipped == ()
    assert list(report.seconds) == ["read", "split", "embed", "publish", "total"]


def test_nothing_is_written_when_nothing_changed(indexed: Settings, fake: FakeEncoder) -> None:
    before = written(indexed.index)
    fake.encoded.clear()
    report = build(indexed, fake)
    assert (report.changed, report.sources) == (False, {**COUNTS, "unchanged": 3})
    assert report.generation == (indexed.index / "CURRENT").read_text().strip()
    assert report.passages["embedded"] == 0
    assert fake.encoded == []
    assert written(indexed.index) == before


def test_a_full_build_is_made_anyway(indexed: Settings, fake: FakeEncoder) -> None:
    report = build(indexed, fake, full=True)
    assert (report.changed, report.sources) == (True, {**COUNTS, "unchanged": 3})


def test_changes_are_told_apart(indexed: Settings, fake: FakeEncoder) -> None:
    fill(indexed.corpus, {"notes.txt": "Changed.", "new.txt": "New.", "twin.txt": "New."})
    (indexed.corpus / "rivers.md").unlink()
    report = build(indexed, fake)
    assert report.sources == {
        "added": 2,
        "changed": 1,
        "renamed": 0,
        "removed": 1,
        "duplicate": 1,
        "unchanged": 1,
    }
    store = LocalStore.open(indexed.index)
    assert [source.uri for source in store.sources()] == [
        "cities/vienna.md",
        "new.txt",
        "notes.txt",
        "twin.txt",
    ]


@pytest.mark.parametrize("changed", ["model", "passage_tokens"])
def test_another_model_or_splitter_makes_a_new_index(
    indexed: Settings, fake: FakeEncoder, changed: str
) -> None:
    if changed == "model":
        assert build(indexed, FakeEncoder("fake-2")).changed
        assert not build(indexed, FakeEncoder("fake-2")).changed
    else:
        assert build(replace(indexed, passage_tokens=32), fake).changed


def test_progress_is_told_to_the_end(settings: Settings, fake: FakeEncoder) -> None:
    fill(settings.corpus, CORPUS)
    told: dict[str, list[tuple[int, int]]] = {}
    build(
        settings,
        fake,
        progress=lambda phase, done, total: told.setdefault(phase, []).append((done, total)),
    )
    assert told == {
        "read": [(1, 3), (2, 3), (3, 3)],
        "split": [(1, 3), (2, 3), (3, 3)],
        "embed": [(4, 4)],
    }


def test_the_model_reads_title_headings_and_text_without_markup(
    settings: Settings, fake: FakeEncoder
) -> None:
    fill(
        settings.corpus,
        {"a.md": "---\ntitle: Title\n---\n# Head *one*\n\nSome **text**.[^1]\n\n[^1]: No"},
    )
    build(settings, fake)
    assert fake.encoded == ["Title - Head one\nSome text."]


def test_the_same_corpus_gives_the_same_answers(tmp_path: Path, fake: FakeEncoder) -> None:
    answers = []
    for name in ("one", "two"):
        settings = Settings(corpus=tmp_path / name, index=tmp_path / f"{name}-index", threshold=0)
        fill(settings.corpus, dict(sorted(CORPUS.items(), reverse=name == "two")))
        build(settings, fake, now=datetime(2025, 1, 1, tzinfo=UTC))
        assistant = Assistant.open(settings=settings, encoder=fake)
        reply = assistant.ask("Where does the Danube rise?", limit=50)
        answers.append(replace(reply, generation="", took_ms=0))
    assert answers[0] == answers[1]


# what is read, and what is not


def test_no_corpus(settings: Settings, fake: FakeEncoder) -> None:
    settings.corpus.rmdir()
    with pytest.raises(SourceError, match="no such folder; name it with --corpus"):
        build(settings, fake)
    assert not settings.index.exists()


def test_an_empty_corpus_is_indexed_and_answers_nothing(
    settings: Settings, fake: FakeEncoder
) -> None:
    report = build(settings, fake)
    assert (report.sources, report.passages["total"]) == (COUNTS, 0)
    reply = Assistant.open(settings=settings, encoder=fake).ask("Is it?")
    assert (reply.answered, reply.passages) == (False, ())


def test_files_that_cannot_be_read_are_skipped_with_a_reason(
    settings: Settings, fake: FakeEncoder, tmp_path: Path
) -> None:
    fill(
        settings.corpus,
        {
            "good.txt": "Gold melts.",
            "sub/latin.txt": "Zürich".encode("latin-1"),
            "binary.txt": b"\0" * 100,
            "empty.txt": "",
            "blank.md": " \n\t\n",
            "program.exe": "text",
            "date.md": "---\ndate: soon\n---\nText.",
            "large.txt": b"x" * (1024 * 1024 + 1),
            ".hidden.txt": "not seen",
            ".hidden/a.txt": "not seen",
        },
    )
    os.mkfifo(settings.corpus / "pipe.txt")
    (tmp_path / "secret.txt").write_text("secret")
    (settings.corpus / "out.txt").symlink_to(tmp_path / "secret.txt")
    (settings.corpus / "gone.txt").symlink_to("nowhere.txt")
    (settings.corpus / "folder").symlink_to("sub")
    (settings.corpus / "out").symlink_to(tmp_path)
    (settings.corpus / "loop.txt").symlink_to("loop.txt")
    found = reasons(replace(settings, max_source_mb=1), fake)
    assert found.pop("loop.txt") in ("a link that leads to itself", "not a regular file")
    assert found == {
        "sub/latin.txt": "not UTF-8: invalid start byte at byte 1; save it as UTF-8",
        "binary.txt": "mostly NUL: binary, or UTF-16 without a byte order mark; save it as UTF-8",
        "empty.txt": "empty",
        "blank.md": "empty",
        "program.exe": "no reader for .exe",
        "date.md": "its date is 'soon'; write YYYY-MM-DD",
        "large.txt": "1 MB, more than max_source_mb = 1",
        "pipe.txt": "not a regular file",
        "out.txt": "a link that leads out of the corpus",
        "gone.txt": "not a regular file",
        "folder": "a link to a folder",
        "out": "a link that leads out of the corpus",
    }
    store = LocalStore.open(settings.index)
    assert [source.uri for source in store.sources()] == ["good.txt"]
    assert [entry.uri for entry in store.manifest.skipped] == sorted([*found, "loop.txt"])
    assert not build(replace(settings, max_source_mb=1), fake).changed


def test_the_index_may_lie_in_the_corpus(settings: Settings, fake: FakeEncoder) -> None:
    inside = replace(settings, index=settings.corpus / "index")
    fill(settings.corpus, {"a.txt": "Gold melts."})
    assert build(inside, fake).sources == {**COUNTS, "added": 1}
    report = build(inside, fake)
    assert (report.changed, report.skipped) == (False, ())


def test_a_folder_that_cannot_be_read_stops_the_build(
    indexed: Settings, fake: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its files seemed to be removed."""
    scandir = os.scandir

    def refuse(path: str) -> Any:
        if str(path).endswith("cities"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(SourceError, match=r"cities: cannot be read \(Permission denied\)"):
        build(indexed, fake)


def test_a_link_inside_the_corpus_is_followed(settings: Settings, fake: FakeEncoder) -> None:
    fill(settings.corpus, {"a.txt": "Gold melts."})
    (settings.corpus / "b.txt").symlink_to("a.txt")
    assert build(settings, fake).sources == {**COUNTS, "added": 2, "duplicate": 1}


def test_a_name_that_is_not_utf8_is_skipped_once(settings: Settings, fake: FakeEncoder) -> None:
    """Every build after the first took it for a new one, and built anew."""
    Path(os.fsdecode(os.fsencode(settings.corpus) + b"/b\xff.txt")).write_text("Gold melts.")
    report = build(settings, fake)
    assert [(entry.uri, entry.reason) for entry in report.skipped] == [
        ("b\\udcff.txt", "its name is not UTF-8; rename it")
    ]
    assert not build(settings, fake).changed


def test_a_file_that_became_readable_is_taken_in(settings: Settings, fake: FakeEncoder) -> None:
    fill(settings.corpus, {"a.txt": b"\xff"})
    assert list(reasons(settings, fake)) == ["a.txt"]
    fill(settings.corpus, {"a.txt": "Gold melts.", "b.txt": "Lead melts."})
    report = build(settings, fake)
    assert (report.sources["added"], report.skipped) == (2, ())
    (settings.corpus / "a.txt").unlink()
    assert build(settings, fake).sources["removed"] == 1


def test_an_empty_folder_is_taken_for_one_that_is_not_mounted(
    settings: Settings, fake: FakeEncoder
) -> None:
    fill(settings.corpus, {"a.txt": "Gold melts."})
    build(settings, fake)
    (settings.corpus / "a.txt").unlink()
    with pytest.raises(SourceError, match="the index has 1 sources; where that is meant: qa index"):
        build(settings, fake)
    assert build(settings, fake, full=True).sources["removed"] == 1


@pytest.mark.parametrize(
    ("patterns", "sources"),
    [
        ("", ["a.md", "a.txt", "drafts/b.txt", "drafts/c.md", "sub/drafts/d.txt"]),
        ("*.md\n", ["a.txt", "drafts/b.txt", "sub/drafts/d.txt"]),
        ("/drafts/\n", ["a.md", "a.txt", "sub/drafts/d.txt"]),
        ("# all drafts\n\ndrafts\n", ["a.md", "a.txt"]),
        ("*.txt\n!a.txt\n", ["a.md", "a.txt", "drafts/c.md"]),
        ("\ufeff*.txt\r\n*.md\r\n", []),
    ],
    ids=["none", "suffix", "folder", "folder anywhere", "exception", "byte order mark, CRLF"],
)
def test_ignored_files(
    settings: Settings, fake: FakeEncoder, patterns: str, sources: list[str]
) -> None:
    names = ["a.txt", "a.md", "drafts/b.txt", "drafts/c.md", "sub/drafts/d.txt"]
    fill(settings.corpus, {**dict.fromkeys(names, "Gold melts."), ".qaignore": patterns})
    assert build(settings, fake).skipped == ()
    assert [source.uri for source in LocalStore.open(settings.index).sources()] == sources


@pytest.mark.parametrize("patterns", [b"\xff", b"!"], ids=["not UTF-8", "not a pattern"])
def test_broken_patterns_stop_the_build(
    indexed: Settings, fake: FakeEncoder, patterns: bytes
) -> None:
    fill(indexed.corpus, {".qaignore": patterns})
    with pytest.raises(SourceError, match="not a list of patterns") as caught:
        build(indexed, fake)
    assert caught.value.uri == ".qaignore"


def test_uris_are_paths_below_the_corpus(settings: Settings, fake: FakeEncoder) -> None:
    fill(settings.corpus, {"ü b/c\nd.txt": "Gold.", "a.TXT": "Gold.", "a/b/c.MD": "Gold."})
    build(settings, fake)
    assert [source.uri for source in LocalStore.open(settings.index).sources()] == [
        "a.TXT",
        "a/b/c.MD",
        "ü b/c\nd.txt",
    ]


def test_indexing_and_asking_open_no_socket(
    exported: Path, encoder: OpenVINOEncoder, settings: Settings, no_network: None
) -> None:
    fill(settings.corpus, {"article.txt": ARTICLE.read_bytes()})
    build(settings, encoder)
    (settings.index / "models").symlink_to(exported / "models")
    reply = Assistant.open(settings=settings).ask("How large are the targeted sanctions?")
    assert "$330 billion" in reply.citations[0].quote


# any document at all


def encoded(text: str, form: str) -> bytes:
    forms = {"utf-8": text.encode(), "mark": b"\xef\xbb\xbf" + text.encode()}
    return forms.get(form) or text.encode("utf-16")


WORDS = st.sampled_from(
    "Kyiv sanctions treasury 330 3.14 U.S. Dr. cafe\u0301 naïve 中文。字符 😀 👩‍👩‍👧 שלום العربية "
    "ﬁne soft\u00adhyphen \ufeff no\u00a0break a\0b ... !!! “quoted” (round) e.g. x".split(" ")
)
BLANKS = st.sampled_from([" ", "  ", "\n", "\n\n", "\r\n", "\r", "\t", "\u2028", "\x0c", "", ". "])
PROSE = st.lists(st.tuples(WORDS, BLANKS), max_size=30).map(
    lambda pairs: "".join(word + blank for word, blank in pairs)
)
LONG = st.sampled_from(
    [
        "word " * 1000,
        "x" * 6000,
        "中文" * 1000,
        "e" + "\u0301" * 1000,
        "No stop and no end " * 200,
        "One. " * 500,
        "line\n" * 500,
        "*" * 1000,
        "[" * 1000,
        "> " * 500 + "deep",
        "# H\n" * 500,
    ]
)
FRAGMENTS = st.sampled_from(
    [
        "*em* ", "**strong**", "_under_", "~~struck~~", "`code`", "`` ` ``", "`open ", "*open ",
        "[link](http://x.y 'T')", "[ref][r]", "[r]: http://x.y\n", "![alt](i.png)", "<http://a.b>",
        "[^1]", "^[inline *note*]", "\n\n[^1]: A note.\n", "\n\n[^1]: Long.\n\n    More.\n",
        "&amp;", "&lt;b&gt;", "&#0;", "\\*", "\\\n", "<b>bold</b>", "<br>", "<!-- note -->",
        "\n\n<div>\n<p>html</p>\n</div>\n\n", "\n<!--\nopen", "\n# Heading\n", "\n## Small ##\n",
        "\nSetext\n===\n", "\n---\n", "\n- item\n", "\n  - nested\n", "\n1. one\n", "\n> quoted\n",
        "\n> - in a quote\n>\n>   more\n", "\n- > quote in a list\n", "\n```\nfence\n```\n",
        "\n> ```\n> fence\n> ```\n", "\n    indented\n",
        "\n| a | b |\n|---|---|\n| c \\| d | e |\n",
        "|", "---\ntitle: T\n---\n", "---\ntitle: [\n---\n", "---\ndate: 2025-01-01\n---\n",
    ]
)  # fmt: skip
DOCUMENTS = st.builds(
    lambda parts, form, suffix: (encoded("".join(parts), form), suffix),
    st.lists(st.one_of(PROSE, FRAGMENTS, PROSE, FRAGMENTS, LONG), max_size=12),
    st.sampled_from(["utf-8", "utf-8", "mark", "utf-16"]),
    st.sampled_from([".txt", ".md"]),
)


@hypothesis_settings(max_examples=200, suppress_health_check=list(HealthCheck))
@given(DOCUMENTS, st.sampled_from([32, 64, 256]))
@example((b"", ".txt"), 256)
@example((b" \r\n\t", ".md"), 256)
@example((b"\xef\xbb\xbf", ".md"), 256)
@example((b"\0" * 50, ".txt"), 256)
@example((b"\xff\xfe", ".txt"), 256)
@example((b"a\0b \0 c" * 20, ".md"), 256)
@example((b"\r" * 50 + b"One.\rTwo.", ".txt"), 256)
def test_any_document_keeps_every_promise_or_is_refused_with_a_reason(
    document: tuple[bytes, str], passage_tokens: int
) -> None:
    data, suffix = document
    encoder = FakeEncoder(dimension=8)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        settings = Settings(
            corpus=Path(folder, "corpus"),
            index=Path(folder, "index"),
            passage_tokens=passage_tokens,
        )
        fill(settings.corpus, {f"a{suffix}": data})
        report = build(settings, encoder)
        store = LocalStore.open(settings.index)
        if report.skipped:
            assert [entry.uri for entry in report.skipped] == [f"a{suffix}"]
            assert report.skipped[0].reason
            assert list(store.sources()) == []
            return
        (source,) = store.sources()
        passages = store.passages(range(source.passages))
        check(store.document(source.uri), passages, encoder, passage_tokens - 2)
        (vector,) = encoder.encode(["any"])
        rows = {scored.row for scored in store.dense(vector, 10**6, None)}
        assert rows == set(range(report.passages["total"])) == set(range(len(passages)))
        store.close()


def check(
    document: Document, passages: Sequence[Passage], encoder: FakeEncoder, window: int
) -> None:
    text = document.text
    markup = Markup(text, document.marks)
    headings = [mark for mark in document.marks if mark.kind == "heading"]
    hidden = [Mark(mark.start, mark.end, "hidden") for mark in headings]
    headless = Markup(text, [*document.marks, *hidden])
    has_text = bool(headless.plain(0, len(text)).text)
    reach = 0
    for passage in passages:
        assert 0 <= passage.start < passage.end <= len(text)
        assert text[passage.start : passage.end] == passage.text
        assert reach <= passage.start, "passages overlap"
        assert not text[reach : passage.start].strip(), "text in no passage"
        reach = passage.end
        assert passage.line == 1 + len(re.findall(r"\r\n|\r|\n", text[: passage.start]))
        if passage.plain:
            (tokens,) = encoder.count([encoded_text(passage, window, encoder)])
            assert tokens <= window
        if has_text:
            shown = headless.plain(passage.start, passage.end).text
            assert passage.plain == shown, "a heading alone is to be found"
        last = passage.start
        for sentence in passage.sentences:
            assert last <= sentence.start < sentence.end <= passage.end
            quote = text[sentence.start : sentence.end]
            assert quote == quote.strip()
            assert sentence.plain == markup.plain(sentence.start, sentence.end).text != ""
            last = sentence.end
    assert not text[reach:].strip(), "text in no passage"


#: Markup to what people see of it.
SEEN = {
    "*em*": "em",
    "**strong**": "strong",
    "***both***": "both",
    "~~struck~~": "struck",
    "`code`": "code",
    "[link](http://x.y)": "link",
    "[link *em*](<u> 'Title')": "link em",
    "[ref][r]": "ref",
    "![image **alt**](i.png)": "image alt",
    "<b>bold</b>": "bold",
    "<!-- hidden -->": "",
    "note[^1]": "note",
    "inline^[a *b* c]": "inline",
    "&amp;": "&",
    "\\*": "*",
    "plain": "plain",
    "snake_case": "snake_case",
    "中文": "中文",
    "😀e\u0301": "😀e\u0301",
    "שלום": "שלום",
}
#: A block, with what opens its first line and its other lines.
BLOCKS = st.sampled_from(
    [("", ""), ("- ", "  "), ("1. ", "   "), ("> ", "> "), ("> - ", ">   "), ("- > ", "  > ")]
)


@hypothesis_settings(max_examples=100)
@given(
    st.lists(
        st.tuples(BLOCKS, st.lists(st.sampled_from(sorted(SEEN)), min_size=1, max_size=9)),
        min_size=1,
        max_size=5,
    ),
    st.integers(1, 4),
    st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_people_see_no_markup(
    blocks: list[tuple[tuple[str, str], list[str]]], width: int, end: str
) -> None:
    source, seen = [], []
    for (first, other), pieces in blocks:
        lines = [" ".join(pieces[at : at + width]) for at in range(0, len(pieces), width)]
        # A word in front keeps a comment from opening a block of its own.
        source += [f"{first}Here.", *(f"{other}and {line}" for line in lines), "", "<!-- -->", ""]
        seen.append("Here.")
        for at in range(0, len(pieces), width):
            seen += ["and", *" ".join(SEEN[piece] for piece in pieces[at : at + width]).split()]
    source += ["[^1]: A note.", "", "[r]: http://x.y"]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        settings = Settings(corpus=Path(folder, "corpus"), index=Path(folder, "index"))
        fill(settings.corpus, {"a.md": end.join(source)})
        build(settings, FakeEncoder(dimension=8))
        store = LocalStore.open(settings.index)
        passages = store.passages(range(next(store.sources()).passages))
        store.close()
    assert " ".join(passage.plain for passage in passages).split() == seen
    quoted = " ".join(sentence.plain for passage in passages for sentence in passage.sentences)
    worded = [word for word in seen if re.search(r"\w", word)]
    assert [word for word in quoted.split() if re.search(r"\w", word)] == worded


# what is taken over from the generation before


def number(fake: FakeEncoder) -> int:
    """Count the texts encoded since last asked."""
    found = len(fake.encoded)
    fake.encoded.clear()
    return found


def paragraphs(*changed: int) -> str:
    """Return a source of 40 sections, some of them different."""
    return "".join(
        f"# Section {place}\n\nParagraph {place}{' changed' * (place in changed)} is here.\n\n"
        for place in range(40)
    )


def test_one_changed_paragraph_costs_one_embedding(settings: Settings, fake: FakeEncoder) -> None:
    fill(settings.corpus, {"a.md": paragraphs(), "b.md": paragraphs(7, 8)})
    assert build(settings, fake).passages == {"total": 80, "reused": 38, "embedded": 42}
    assert number(fake) == 42
    fill(settings.corpus, {"a.md": paragraphs(20)})
    report = build(settings, fake)
    assert number(fake) == 1
    assert fake.encoded == []
    assert report.passages == {"total": 80, "reused": 79, "embedded": 1}
    assert report.sources == {**COUNTS, "changed": 1, "unchanged": 1}
    assert report.reason == ""


def test_one_changed_paragraph_among_two_thousand_sources(
    settings: Settings, fake: FakeEncoder
) -> None:
    fill(
        settings.corpus,
        {
            f"{place % 40}/{place}.md": f"# One\n\nThis is {place}.\n\n# Two\n\nIt was {place}.\n"
            for place in range(2000)
        },
    )
    build(settings, fake)
    assert number(fake) == 4000
    fill(settings.corpus, {"7/7.md": "# One\n\nThis is 7.\n\n# Two\n\nIt will be 7.\n"})
    report = build(settings, fake)
    assert fake.encoded == ["One - Two\nIt will be 7."]
    assert report.sources == {**COUNTS, "changed": 1, "unchanged": 1999}


def test_a_renamed_source_is_not_embedded_again(settings: Settings, fake: FakeEncoder) -> None:
    fill(settings.corpus, {"a.md": paragraphs(), "b.txt": "Gold melts."})
    build(settings, fake)
    number(fake)
    (settings.corpus / "a.md").rename(settings.corpus / "c.md")
    report = build(settings, fake)
    assert report.sources == {**COUNTS, "renamed": 1, "unchanged": 1}
    assert number(fake) == 0
    store = LocalStore.open(settings.index)
    assert [source.uri for source in store.sources()] == ["b.txt", "c.md"]


def test_twins_are_counted_and_both_kept(settings: Settings, fake: FakeEncoder) -> None:
    fill(settings.corpus, {"a.md": paragraphs(), "b.md": paragraphs()})
    report = build(settings, fake)
    assert report.sources == {**COUNTS, "added": 2, "duplicate": 1}
    assert report.passages == {"total": 80, "reused": 40, "embedded": 40}
    (settings.corpus / "b.md").unlink()
    assert build(settings, fake).sources == {**COUNTS, "removed": 1, "unchanged": 1}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"model": "fake-2"}, "the model is now fake-2, the index was built with fake-1"),
        ({"passage_tokens": 64}, "texts are split differently: passage_tokens is now 64, was 256"),
    ],
    ids=["model", "splitter"],
)
def test_other_settings_build_everything_anew_and_say_why(
    indexed: Settings, change: dict[str, Any], reason: str
) -> None:
    encoder = FakeEncoder(change.pop("model", "fake-1"))
    report = build(replace(indexed, **change), encoder)
    assert report.reason == reason
    assert report.passages["reused"] == 0
    assert len(encoder.encoded) == report.passages["embedded"] > 0


def test_a_damaged_index_is_built_anew_and_it_is_said_why(
    indexed: Settings, fake: FakeEncoder
) -> None:
    (generation.current(indexed.index) / "passages.sqlite").write_bytes(b"")
    report = build(indexed, fake)
    assert report.reason.startswith("the index before cannot be used: ")
    assert report.passages["reused"] == 0
    assert build(indexed, fake).changed is False


def test_what_another_builder_published_meanwhile_is_built_upon(
    settings: Settings, fake: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(settings.corpus, CORPUS)

    @contextmanager
    def late(index: Path) -> Iterator[None]:
        monkeypatch.undo()
        build(settings, fake)
        with generation.lock(index):
            yield

    monkeypatch.setattr("qa.stores.generation.lock", late)
    report = build(settings, fake)
    assert report.changed is False
    assert report.sources["unchanged"] == 3


def test_a_full_build_takes_nothing_over(indexed: Settings, fake: FakeEncoder) -> None:
    assert build(indexed, fake, full=True).passages["reused"] == 0
    assert number(fake) == 4


def contents(settings: Settings) -> dict[str, Any]:
    """Return all that a generation says, ids and times aside."""
    store = LocalStore.open(settings.index)
    folder = generation.current(settings.index)
    rows = range(store.count())
    files = ("documents.sqlite", "passages.sqlite", "dense.faiss")
    manifest = store.manifest
    return {
        "files": {name: (folder / name).read_bytes() for name in files},
        "words": [
            [(hit.row, hit.score) for hit in store.lexical(passage.plain[:200], 5, None)]
            for passage in store.passages(rows)
        ],
        "manifest": (manifest.sources, manifest.skipped, manifest.counts, manifest.splitter),
    }


def test_a_chain_of_builds_ends_like_one(settings: Settings, fake: FakeEncoder) -> None:
    """Byte for byte, for what has no ids of its own; the lexical index by what it answers."""
    random = Random(5)
    texts = {f"{place}.md": paragraphs(*random.sample(range(40), 5)) for place in range(6)}
    for _ in range(12):
        uri = random.choice(sorted(texts))
        match random.choice(["change", "remove", "rename", "bad"]):
            case "change":
                fill(settings.corpus, {uri: paragraphs(random.randrange(40))})
            case "bad":
                fill(settings.corpus, {uri: b"\xff"})
            case "remove":
                (settings.corpus / uri).unlink(missing_ok=True)
            case "rename" if (settings.corpus / uri).exists():
                (settings.corpus / uri).rename(settings.corpus / f"to-{uri}")
        fill(settings.corpus, {"always.txt": "Gold melts."})
        build(settings, fake)
    chained = contents(settings)
    build(settings, fake, full=True)
    assert contents(settings) == chained


def test_a_change_that_keeps_size_and_time_is_seen(settings: Settings, fake: FakeEncoder) -> None:
    fill(settings.corpus, {"a.txt": "Gold melts."})
    times = (settings.corpus / "a.txt").stat()
    build(settings, fake)
    fill(settings.corpus, {"a.txt": "Lead melts."})
    os.utime(settings.corpus / "a.txt", ns=(times.st_atime_ns, times.st_mtime_ns))
    assert build(settings, fake).sources["changed"] == 1


def test_an_untouched_file_is_not_read(
    settings: Settings, fake: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(settings.corpus, {"a.txt": "Gold melts.", "b.bin": "?"})
    monkeypatch.setattr(qa.ingest, "_UNSURE_NS", 0)
    build(settings, fake)

    def refuse(uri: str, path: Path) -> NoReturn:
        raise AssertionError(uri)

    monkeypatch.setattr(qa.ingest, "_read_file", refuse)
    assert not build(settings, fake).changed


def test_a_file_that_changes_while_it_is_read_is_read_again_next_time(
    settings: Settings, fake: FakeEncoder
) -> None:
    fill(settings.corpus, {"a.txt": "Gold melts."})

    def change(phase: str, done: int, total: int) -> None:
        if phase == "read":
            fill(settings.corpus, {"a.txt": "Lead melts."})

    build(settings, fake, progress=change)
    assert LocalStore.open(settings.index).document("a.txt").text == "Lead melts."
    report = build(settings, fake)
    assert not report.changed
