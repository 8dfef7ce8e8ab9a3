from __future__ import annotations

import pytest

from fakes import FakeEncoder
from qa.answer import references
from qa.errors import UnreadableSource
from qa.readers import read
from qa.splitter import split
from qa.types import Document


def document(source: str) -> Document:
    return read("notes.md", source.encode())


def quoted(source: str) -> list[tuple[str, str]]:
    """Return quote and plain text of every sentence."""
    found = document(source)
    passages = split(found, 200, FakeEncoder().count)
    return [
        (found.text[sentence.start : sentence.end], sentence.plain)
        for passage in passages
        for sentence in passage.sentences
    ]


def cited(source: str) -> list[tuple[str, ...]]:
    """Return the references of every sentence."""
    found = document(source)
    passages = split(found, 200, FakeEncoder().count)
    return [
        references(found, sentence.start, sentence.end)
        for passage in passages
        for sentence in passage.sentences
    ]


def headings(source: str) -> list[tuple[int, str]]:
    return [(mark.level, mark.label) for mark in document(source).marks if mark.kind == "heading"]


@pytest.mark.parametrize(
    ("source", "quote", "plain"),
    [
        ("It *is* **so**.", "It *is* **so**.", "It is so."),
        ("***All*** _of_ __it__.", "***All*** _of_ __it__.", "All of it."),
        ("un*frigging*believable", "un*frigging*believable", "unfriggingbelievable"),
        ("snake_case_word and 2*3*4", "snake_case_word and 2*3*4", "snake_case_word and 234"),
        ("5 * 3 is * 15", "5 * 3 is * 15", "5 * 3 is * 15"),
        ("~~Old~~ new.", "~~Old~~ new.", "Old new."),
        ("Call `f(*x*)` now.", "Call `f(*x*)` now.", "Call f(*x*) now."),
        ("(`` `a` ``)", "(`` `a` ``)", "(`a`)"),
        ("One `a` and ``b.", "One `a` and ``b.", "One a and ``b."),
        ("See [the *text*](http://x.y).", "See [the *text*](http://x.y).", "See the text."),
        ('See [it](<u v> "A *title*").', 'See [it](<u v> "A *title*").', "See it."),
        ("See [it][r].\n\n[r]: http://x.y", "See [it][r].", "See it."),
        ("See [r].\n\n[r]: http://x.y", "See [r].", "See r."),
        ("See [no link].", "See [no link].", "See [no link]."),
        ("[[a](b)](c) d", "[[a](b)](c) d", "[a](c) d"),
        ("At <https://x.y/z>.", "At <https://x.y/z>.", "At https://x.y/z."),
        ("Seen: ![a *big* `map`](m.png).", "Seen: ![a *big* `map`](m.png).", "Seen: a big map."),
        ("[![map](m.png)](u) here", "[![map](m.png)](u) here", "map here"),
        ("Fish &amp; chips &copy; &#65;.", "Fish &amp; chips &copy; &#65;.", "Fish & chips © A."),
        ("AT&T &unknown; x", "AT&T &unknown; x", "AT&T &unknown; x"),
        (r"Not \*this\* one.", r"Not \*this\* one.", "Not *this* one."),
        (r"C:\dir stays.", r"C:\dir stays.", r"C:\dir stays."),
        ("H<sub>2</sub>O <b>is</b> it.", "H<sub>2</sub>O <b>is</b> it.", "H2O is it."),
        ("One<BR>two.", "One<BR>two.", "One two."),
        ("It <!-- not *this* --> is.", "It <!-- not *this* --> is.", "It is."),
        ("3 < 4 and 5 > 4.", "3 < 4 and 5 > 4.", "3 < 4 and 5 > 4."),
        ("One\\\ntwo.", "One\\\ntwo.", "One two."),
        ("One  \ntwo.", "One  \ntwo.", "One two."),
        ("One\r\ntwo\rthree.", "One\r\ntwo\rthree.", "One two three."),
        ("\tcode *x*\n", "code *x*", "code *x*"),
        ("cafe\u0301 *😀 שלום* end", "cafe\u0301 *😀 שלום* end", "cafe\u0301 😀 שלום end"),
        ("a\0b *c*", "a\0b *c*", "a\0b c"),
        ("\x0c\nAfter a *page* break", "After a *page* break", "After a page break"),
        ("A fact.[^1]\n\n[^1]: Note.", "A fact.[^1]", "A fact."),
        ("A fact.^[Note *one*.]", "A fact.^[Note *one*.]", "A fact."),
        ("A [^none] fact.", "A [^none] fact.", "A [^none] fact."),
    ],
    ids=lambda value: value[:24] if isinstance(value, str) else "",
)
def test_inline_markup(source: str, quote: str, plain: str) -> None:
    assert quoted(source) == [(quote, plain)]


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("# One *is* ##\n\nText.", [("Text.", "Text.")]),
        ("One\n===\n\nTwo.\n\n---\n\nThree.", [("Two.", "Two."), ("Three.", "Three.")]),
        ("- One.\n- *Two.*\n\n  Three.", [("One.",) * 2, ("*Two.*", "Two."), ("Three.",) * 2]),
        ("1. 1\n2) 2 people\n", [("1", "1"), ("2 people", "2 people")]),
        ("- - a\n  * - b *c*\n", [("a", "a"), ("b *c*", "b c")]),
        ("- [ ] open task\n", [("[ ] open task", "[ ] open task")]),
        ("> One\n> is. Two\nis.", [("One\n> is.", "One is."), ("Two\nis.", "Two is.")]),
        ("- > One *is\n  > so*.\n", [("One *is\n  > so*.", "One is so.")]),
        ("1. > - One.\n   >   Two.\n", [("One.", "One."), ("Two.", "Two.")]),
        ("```py\nx = *y*\n```\n", [("x = *y*", "x = *y*")]),
        ("> ```\n> a\n> b\n> ```\n", [("a\n> b", "a b")]),
        ("- ~~~\n  a ~~~ b\n\n  c\n  ~~~\n- d", [("a ~~~ b\n\n  c", "a ~~~ b c"), ("d", "d")]),
        ("```\nnever closed", [("never closed", "never closed")]),
        ("    one\n\n    two\n\nThree.", [("one\n\n    two", "one two"), ("Three.", "Three.")]),
        ("<div>\n<p>One &amp; *two*.</p>\n</div>", [("One &amp; *two*.", "One & *two*.")]),
        ("<!-- a > b -->\n\nOne.", [("One.", "One.")]),
        ("<!-- a\n\nb. c. --> One.", [("One.", "One.")]),
        ("<div>\n<!-- a > b -->\nOne.\n</div>", [("One.", "One.")]),
        ("<div>\n3 < 4 and\n5 > 4\n</div>", [("3 < 4 and\n5 > 4", "3 < 4 and 5 > 4")]),
        ("<script>\nalert(1)\n</script>\n<style>\np {}\n</style>\n", []),
        ("[r]: http://x.y 'A title'\n\n[r]", [("[r]", "r")]),
        ("![](m.png)", []),
        ("***\n\n!!!\n\n😀", []),
        ("#\n\nOne.", [("One.", "One.")]),
        ("", []),
    ],
    ids=[
        "heading",
        "setext heading and rule",
        "list",
        "a number in a numbered list",
        "nested lists",
        "task",
        "quotation with a lazy line",
        "quotation in a list",
        "list in a quotation in a list",
        "fence",
        "fence in a quotation",
        "fence in a list",
        "open fence",
        "indented code",
        "HTML",
        "comment",
        "text behind a comment",
        "comment in HTML",
        "less and more in HTML",
        "script and style",
        "link definition",
        "image that says nothing",
        "no word",
        "empty heading",
        "empty",
    ],
)
def test_blocks(source: str, found: list[tuple[str, str]]) -> None:
    assert quoted(source) == found


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
def test_line_ends(end: str) -> None:
    lines = ["---", "title: Ends", "---", "# One", "", "- *Two*", "  is.[^1]", "", "[^1]: Three."]
    source = end.join(lines)
    assert document(source).title == "Ends"
    assert headings(source) == [(1, "One")]
    assert quoted(source) == [(f"*Two*{end}  is.[^1]", "Two is.")]
    assert cited(source) == [("Three.",)]


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        (["| a | b |", "| c | *d* |"], [("a | b", "a | b"), ("c | *d*", "c | d")]),
        (["a | b", "c | d"], [("a | b", "a | b"), ("c | d", "c | d")]),
        ([r"| a \| `b\|c` | d |"], [(r"a \| `b\|c` | d", "a | b|c | d")]),
        (["| | b |", "| a | |"], [("b", "b"), ("a", "a")]),
        (["| a | a |", "| aa | a |"], [("a | a", "a | a"), ("aa | a", "aa | a")]),
        (["| One. Two. | b |"], [("One.", "One."), ("Two.", "Two."), ("b", "b")]),
        (["| a | b | dropped |"], [("a | b", "a | b")]),
        (["| a |"], [("a", "a")]),
    ],
    ids=[
        "pipes around",
        "no pipes around",
        "escaped pipes",
        "empty cells",
        "equal cells",
        "sentences",
        "a cell too many",
        "a cell too few",
    ],
)
@pytest.mark.parametrize("before", ["", "> ", "  "], ids=["table", "quotation", "indented"])
def test_a_table_row_is_a_block(rows: list[str], found: list[tuple[str, str]], before: str) -> None:
    lines = ["| head | line |", "|---|:-:|", *rows]
    source = "".join(f"{before}{line}\n" for line in lines)
    assert quoted(source) == found
    marked = [mark for mark in document(source).marks if mark.kind == "row"]
    assert len(marked) == len(rows) + 1


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("# A\n## B *c* ##\n#### D\n", [(1, "A"), (2, "B c"), (4, "D")]),
        ("A\n===\nB\nc\n---\n", [(1, "A"), (2, "B c")]),
        ("> A\n> b\n> ===\n", [(1, "A b")]),
        ("- # A [b](u)\n", [(1, "A b")]),
        ("# # #\n", [(1, "#")]),
        ("# C#\n", [(1, "C#")]),
        ("#hashtag\n", []),
        ("    # code\n", []),
        ("# ![A *b*](m.png)\n", [(1, "A b")]),
        ("# A[^1]\n\n[^1]: # No\n", [(1, "A")]),
    ],
    ids=[
        "levels",
        "setext",
        "setext in a quotation",
        "in a list",
        "only hashes",
        "hash at the end",
        "hashtag",
        "code",
        "image",
        "footnotes",
    ],
)
def test_headings(source: str, found: list[tuple[int, str]]) -> None:
    assert headings(source) == found


@pytest.mark.parametrize(
    ("source", "references"),
    [
        ("One.[^a] Two.\n\n[^a]: Note *a*, <http://x.y>.", [("Note a, http://x.y.",), ()]),
        ("One.[^a][^b]\n\n[^b]: B.\n[^a]: A.", [("A.", "B.")]),
        ("One[^a] is[^a].\n\n[^a]: A.", [("A.",)]),
        ("One.[^a] Two.[^a]\n\n[^a]: A.", [("A.",), ("A.",)]),
        ("One.^[Note *a*, [b](u).] Two.", [("Note a, b.",), ()]),
        ("One.[^a]\n\n[^a]: A.\n\n    More\n    of it.", [("A. More of it.",)]),
        ("> One.[^a]\n\n[^a]: A.", [("A.",)]),
        ("- One.[^a]\n\n[^a]: A.", [("A.",)]),
        ("| a |\n|---|\n| One.[^a] |\n\n[^a]: A.", [("A.",)]),
        ("# Head\n\nOne.[^1]\n\n## Notes\n\n[^1]: A.\n[^2]: Unused.", [("A.",)]),
        ("One [^a] is.", [()]),
        ("One [^a is.\n\n[^a]: A.", [()]),
    ],
    ids=[
        "definition",
        "two",
        "the same twice",
        "the same for two sentences",
        "inline",
        "two paragraphs",
        "in a quotation",
        "in a list",
        "in a table",
        "under a heading",
        "undefined",
        "unclosed",
    ],
)
def test_footnotes_become_references(source: str, references: list[tuple[str, ...]]) -> None:
    assert cited(source) == references


@pytest.mark.parametrize(
    "hidden",
    [
        "[^1]: A note.\n",
        "[^1]: A note.\n\n    - with a list\n\n    | a |\n    |---|\n    | b |\n",
        "[^1]:\n    ```\n    code\n    ```\n",
        "<!-- A comment. -->\n",
        "<!--\nA comment.\n\nOf two paragraphs.\n-->\n",
    ],
    ids=["footnote", "footnote of blocks", "footnote of code", "comment", "long comment"],
)
def test_hidden_text_is_never_quoted(hidden: str) -> None:
    source = f"Shown text.\n\n{hidden}\nMore text.\n"
    assert [plain for _, plain in quoted(source)] == ["Shown text.", "More text."]
    passages = split(document(source), 200, FakeEncoder().count)
    assert [passage.plain for passage in passages] == ["Shown text.", "", "More text."]


# front matter


@pytest.mark.parametrize(
    ("front", "title", "date"),
    [
        ("title: A title\ndate: 2025-03-01\n", "A title", "2025-03-01"),
        ("title: 'It: is'\ndate: '2025-03-01'\n", "It: is", "2025-03-01"),
        ("title: >\n  Two\n  lines\ndate: 2025-03-01 10:00:00\n", "Two lines", "2025-03-01"),
        ("date: 2025-03-01T23:30:00-05:00\n", "Head", "2025-03-01"),
        ("title: 1984\n", "1984", None),
        ("title:\ndate:\n", "Head", None),
        ("title: ''\ndate: ''\n", "Head", None),
        ("other: [1, {a: b}]\n", "Head", None),
        ("", "Head", None),
    ],
    ids=["plain", "quoted", "folded", "time zone", "number", "null", "empty", "other", "nothing"],
)
@pytest.mark.parametrize("fence", ["---", "...", "--- "], ids=["dashes", "dots", "blank"])
def test_front_matter(front: str, title: str, date: str | None, fence: str) -> None:
    found = document(f"---\n{front}{fence}\n# Head\n\nText here.\n")
    assert (found.title, found.date) == (title, date)
    assert quoted(found.text)[-1] == ("Text here.", "Text here.")


def test_sources_of_the_front_matter_are_marked() -> None:
    found = document("---\nsources:\n- One, 2019\n- http://x.y\n---\nText.\n")
    assert [mark.label for mark in found.marks if mark.kind == "source"] == [
        "One, 2019",
        "http://x.y",
    ]
    found = document("---\nsources: One\n---\nText.\n")
    assert [mark.label for mark in found.marks if mark.kind == "source"] == ["One"]


def test_front_matter_is_hidden_and_offsets_are_those_of_the_file() -> None:
    source = "---\ntitle: A\n---\n\nText *here*.\n"
    found = document(source)
    assert found.text == source
    assert [(mark.start, mark.end) for mark in found.marks if mark.kind == "hidden"] == [(0, 16)]


@pytest.mark.parametrize(
    ("front", "reason"),
    [
        ("title: a: b\n", "its front matter is not YAML, line 2; quote the value"),
        ("a: 1\ntitle: *emphatic*\n", "its front matter is not YAML, line 3; quote the value"),
        ("a: &x [1]\nb: *x\n", "its front matter is not YAML, line 3; quote the value"),
        ("date: 2025-02-30\n", "its front matter is not YAML; quote the value"),
        ("date: !!timestamp x\n", "its front matter is not YAML; quote the value"),
        ("a: " + "[" * 2000 + "\n", "its front matter is not YAML; quote the value"),
        ("date: March 2025\n", "its date is 'March 2025'; write YYYY-MM-DD"),
        ("date: 2025\n", "its date is '2025'; write YYYY-MM-DD"),
        ("title: [a]\n", "its front matter has a structure in title; quote the value"),
        ("sources:\n- A: b\n", "its front matter has a structure in sources; quote the value"),
    ],
    ids=[
        "colon",
        "alias",
        "anchor and alias",
        "no such day",
        "bad tag",
        "too deep",
        "month",
        "year",
        "title is a list",
        "source is a mapping",
    ],
)
def test_broken_front_matter_is_refused_with_the_reason(front: str, reason: str) -> None:
    with pytest.raises(UnreadableSource) as caught:
        document(f"---\n{front}---\nText.\n")
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("source", "title"),
    [
        ("---\nJust text.\n---\n\nMore.\n", "notes"),
        ("---\n- a list\n---\n# Head\n", "Head"),
        ("---\nnever: closed\n\n# Head\n", "Head"),
        ("\n---\ntitle: Late\n---\n", "notes"),
        (" ---\ntitle: Indented\n---\n", "notes"),
        ("----\ntitle: Four\n----\n", "notes"),
    ],
    ids=["text", "list", "unclosed", "not first", "indented", "four dashes"],
)
def test_what_only_looks_like_front_matter_is_text(source: str, title: str) -> None:
    found = document(source)
    assert found.title == title
    assert not [mark for mark in found.marks if mark.kind == "hidden"]


def test_title() -> None:
    assert document("## Small\n\n# Big\n\n# Bigger\n").title == "Big"
    assert document("---\ntitle: Named\n---\n# Big\n").title == "Named"
    assert document("## Small\n").title == "notes"


# shapes that cost more than they should


@pytest.mark.parametrize(
    ("piece", "before"),
    [
        ("[", ""),
        ("]", ""),
        ("![", ""),
        ("^[", ""),
        ("[^a", "[^1]: note\n\n"),
        ("[a](", ""),
        ("`", ""),
        ("`a", ""),
        ("*", ""),
        ("*a_ ", ""),
        ("<", ""),
        ("x<?", ""),
        ("x<!--", ""),
        ("&", ""),
        ("> ", ""),
        ("- ", ""),
        ("# x\n", ""),
        ("|a", "|a\n|-\n"),
    ],
    ids=repr,
)
def test_repetition_is_read_in_linear_time(piece: str, before: str) -> None:
    """`[^a` and `# x` took minutes: each was looked for to the end of the text, again and again."""
    source = before + piece * (50_000 // len(piece))
    assert document(source).text == source
