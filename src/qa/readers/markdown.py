"""Markdown: CommonMark with tables, footnotes and YAML front matter, offsets those of the file.

markdown-it-py finds the structure. It keeps lines for blocks and nothing for what is inside them,
so a tracer of its inline parser notes where each piece of markup starts and ends.
"""

from __future__ import annotations

import datetime
import hashlib
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml
from markdown_it import MarkdownIt
from markdown_it.parser_inline import ParserInline
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token
from mdit_py_plugins.footnote import footnote_plugin

from qa.errors import UnreadableSource
from qa.readers.decode import decode
from qa.readers.plain import file_title
from qa.text import Markup
from qa.types import Document, Mark, Span

_NEWLINE = re.compile(r"\r\n?|\n")
_FRONT = re.compile(
    r"---[ \t]*(?:\r\n?|\n)(.*?)(?:^(?:---|\.\.\.)[ \t]*(?:\r\n?|\n|\Z))", re.DOTALL | re.MULTILINE
)
_TAG = re.compile(r"<[^<>]*>")


@dataclass(frozen=True, slots=True)
class _Edit:
    """Markup at a span of inline content, with the characters that people see in its place."""

    start: int
    end: int
    shown: str = ""
    #: label of the footnote that is called here
    footnote: str = ""
    #: text of a footnote that is written here
    note: str = ""


class _State(StateInline):
    """The state of the inline parser, with the edits seen so far."""

    def __init__(self, src: str, md: MarkdownIt, env: Any, tokens: list[Token]) -> None:
        super().__init__(src, md, env, tokens)
        self.edits: list[_Edit] = []
        self.delimiters_seen: list[tuple[Token, int, int]] = []
        self.depth = 0
        self.label: Span = (0, 0)


class _Tracer(ParserInline):
    """The inline parser of markdown-it, noting the span of each rule that applied."""

    def parse(self, src: str, md: MarkdownIt, env: Any, tokens: list[Token]) -> list[Token]:
        self.trace(src, md, env, tokens)
        return tokens

    def trace(self, src: str, md: MarkdownIt, env: Any, tokens: list[Token]) -> list[_Edit]:
        """Return the edits that turn inline source into what people see."""
        state = _State(src, md, env, tokens)
        self.tokenize(state)
        for rule in self.ruler2.getRules(""):
            rule(state)
        for token, start, end in state.delimiters_seen:
            if token.type != "text" or not token.content:
                state.edits.append(_Edit(start, end))
        return state.edits

    def tokenize(self, state: StateInline) -> None:
        assert isinstance(state, _State)
        inner = (state.pos, state.posMax)
        state.depth += 1
        rules = list(zip(self.ruler.get_active_rules(), self.ruler.getRules(""), strict=True))
        nesting = state.md.options["maxNesting"]
        while state.pos < state.posMax:
            start = state.pos
            for name, rule in rules if state.level < nesting else ():
                if rule(state, False):
                    _note(state, name, start)
                    break
            else:
                state.pending += state.src[state.pos]
                state.pos += 1
        if state.pending:
            state.pushPending()
        state.depth -= 1
        if state.depth:  # the label of a link, which its rule reads by calling this method
            state.label = inner


def _note(state: _State, name: str, start: int) -> None:
    """Add the edits of one rule that consumed the source from `start` to the state's position."""
    if name in ("emphasis", "strikethrough"):
        place = state.pos
        for delimiter in reversed(state.tokens):
            if place <= start:
                break
            place -= len(delimiter.content)
            state.delimiters_seen.append((delimiter, place, place + len(delimiter.content)))
    elif name in _EDITS:
        token = state.tokens[-1] if state.tokens else Token("", "", 0)
        state.edits += _EDITS[name](state, start, state.pos, token)


def _special(state: _State, start: int, end: int, token: Token) -> list[_Edit]:
    shown = token.content if token.type == "text_special" else " "
    return [_Edit(start, end, shown)] if shown != state.src[start:end] else []


def _backticks(state: _State, start: int, end: int, token: Token) -> list[_Edit]:
    if token.type != "code_inline":
        return []
    width = len(token.markup)
    return [_Edit(start, start + width), _Edit(end - width, end)]


def _link(state: _State, start: int, end: int, token: Token) -> list[_Edit]:
    return [_Edit(start, state.label[0]), _Edit(state.label[1], end)]


def _html(state: _State, start: int, end: int, token: Token) -> list[_Edit]:
    return [_Edit(start, end, " " if token.content.startswith("<br") else "")]


#: Inline rule to the edits of the source that it consumed.
_EDITS: dict[str, Callable[[_State, int, int, Token], list[_Edit]]] = {
    "autolink": lambda state, start, end, token: [_Edit(start, start + 1), _Edit(end - 1, end)],
    "backticks": _backticks,
    "entity": _special,
    "escape": _special,
    "footnote_inline": lambda state, start, end, token: [
        _Edit(start, end, note=state.src[start + 2 : end - 1])
    ],
    "footnote_ref": lambda state, start, end, token: [
        _Edit(start, end, footnote=token.meta["label"])
    ],
    "html_inline": _html,
    "image": lambda state, start, end, token: [_Edit(start, end, token.content)],
    "link": _link,
}


def _parser() -> tuple[MarkdownIt, _Tracer]:
    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    tracer = _Tracer()
    tracer.ruler.enableOnly([rule for rule in tracer.ruler.get_all_rules() if rule != "linkify"])
    tracer.ruler2.disable("fragments_join")  # it would merge the delimiters that are looked at
    parser.inline = tracer
    parser.use(footnote_plugin, move_to_end=False)
    parser.core.ruler.enableOnly(["normalize", "block"])
    return parser, tracer


@dataclass(slots=True)
class _Found:
    """What was found in one file: visible spans, and marks."""

    text: str
    #: start of each line of the body, and the end of the text
    lines: list[int]
    visible: list[Span] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    #: footnote label to the spans of its definition
    definitions: dict[str, list[Span]] = field(default_factory=dict)
    calls: list[tuple[int, int, str]] = field(default_factory=list)
    #: how far each line was read, for the cells of a table
    cursors: dict[int, int] = field(default_factory=dict)
    #: lines that hold a table row
    rows: list[int] = field(default_factory=list)

    def line(self, number: int) -> Span:
        """Return the span of a line without its line end."""
        start, end = self.lines[number], self.lines[number + 1]
        return start, start + len(self.text[start:end].rstrip("\r\n"))


def read(uri: str, data: bytes) -> Document:
    """Read a Markdown file; its front matter may name title, date and sources.

    Footnote definitions, HTML comments and front matter are marked hidden. The title is that of
    the front matter, else the first heading of level 1, else the file's name.
    """
    text = decode(uri, data)
    front, body = _front_matter(uri, text)
    newlines = [match.end() for match in _NEWLINE.finditer(text, body)]
    found = _Found(text, [body, *(place for place in newlines if place < len(text)), len(text)])
    parser, tracer = _parser()
    env: dict[str, Any] = {}
    tokens = parser.parse(text[body:], env)
    _collect(tokens, found, parser, tracer, env)
    if body:
        found.marks.append(Mark(0, len(text[:body].rstrip()), "hidden"))
    hidden = [mark for mark in found.marks if mark.kind == "hidden"]
    syntax = list(_uncovered(text, found.visible, hidden))
    found.marks += syntax
    _resolve_footnotes(found)
    for source in _listed(front.get("sources")):
        found.marks.append(Mark(0, body, "source", source))
    marks = tuple(sorted(found.marks, key=lambda mark: (mark.start, -mark.end, mark.kind)))
    first = (mark.label for mark in marks if mark.kind == "heading" and mark.level == 1)
    title = str(front.get("title") or "").strip() or next(first, "") or file_title(uri)
    digest = hashlib.sha256(data).hexdigest()
    return Document(uri, title, _day(uri, front.get("date")), digest, text, marks)


def _front_matter(uri: str, text: str) -> tuple[dict[str, Any], int]:
    """Return the front matter and where the body starts; `---` before anything else is a rule."""
    match = _FRONT.match(text)
    if not match:
        return {}, 0
    try:
        front = yaml.safe_load(match[1])
    except (yaml.YAMLError, ValueError) as error:
        where = getattr(error, "problem_mark", None)
        line = f", line {where.line + 2}" if where else ""
        reason = f"its front matter is not YAML{line}; quote the value"
        raise UnreadableSource(uri, reason) from error
    return (front, match.end()) if isinstance(front, dict) else ({}, 0)


def _day(uri: str, value: object) -> str | None:
    if value is None or value == "":
        return None
    if isinstance(value, datetime.datetime):
        value = value.date()
    try:
        return datetime.date.fromisoformat(str(value)).isoformat()
    except ValueError as error:
        raise UnreadableSource(uri, f"its date is {str(value)!r}; write YYYY-MM-DD") from error


def _listed(value: object) -> list[str]:
    values = value if isinstance(value, list) else [value] if value else []
    return [str(item) for item in values]


def _collect(
    tokens: list[Token], found: _Found, parser: MarkdownIt, tracer: _Tracer, env: dict[str, Any]
) -> None:
    opened: list[Token] = []
    definition: list[Span] | None = None
    for token in tokens:
        if token.type == "footnote_reference_open":
            definition = _open_definition(token, found)
        elif token.type == "footnote_reference_close":
            definition = None
        elif token.type == "inline":
            span = _place(token, tracer.trace(token.content, parser, env, []), found)
            if span and definition is not None:
                definition.append(span)
            elif span:
                _mark_block(opened, span, found)
        elif token.type in ("fence", "code_block", "html_block"):
            _verbatim(token, found)
        if token.nesting == 1:
            opened.append(token)
        elif token.nesting == -1:
            opened.pop()


def _open_definition(token: Token, found: _Found) -> list[Span]:
    assert token.map
    start, end = found.lines[token.map[0]], found.lines[token.map[1]]
    found.marks.append(Mark(start, start + len(found.text[start:end].rstrip()), "hidden"))
    return found.definitions.setdefault(token.meta["label"], [])


def _mark_block(opened: list[Token], span: Span, found: _Found) -> None:
    opening = opened[-1]
    assert opening.map or opening.type in ("td_open", "th_open")
    if opening.type == "heading_open" and opening.map:
        start, _ = found.line(opening.map[0])
        indent = len(found.text[start : span[0]]) - len(found.text[start : span[0]].lstrip())
        label = Markup(found.text, found.marks).plain(*span).text
        found.marks.append(Mark(start + indent, span[1], "heading", label, int(opening.tag[1])))
    elif opening.type in ("td_open", "th_open"):
        _mark_row(opened, span, found)
    else:
        found.marks.append(Mark(*span, "block"))


def _mark_row(opened: list[Token], span: Span, found: _Found) -> None:
    """Mark a table row at its first cell; its header is no block, since alone it says nothing."""
    number = bisect_right(found.lines, span[0]) - 1
    row = found.line(number)
    if found.rows and found.rows[-1] == number:
        return
    found.rows.append(number)
    found.marks.append(Mark(*row, "row"))
    if opened[-1].type == "td_open":
        found.marks.append(Mark(*row, "block"))


def _place(token: Token, edits: list[_Edit], found: _Found) -> Span | None:
    """Find the lines of inline content in the file, and put its edits there."""
    assert token.map
    columns, places, column = [], [], 0
    for number, content in enumerate(token.content.split("\n"), token.map[0]):
        start, end = found.line(number)
        wanted = content.strip()
        line = found.text[start:end].replace("\0", "\ufffd")
        at = _find(line, wanted, found.cursors.get(number, 0), token)
        if at < 0:
            return None
        found.cursors[number] = at + len(wanted)
        columns.append(column + len(content) - len(content.lstrip()))
        places.append((start + at, start + at + len(wanted)))
        column += len(content) + 1
    found.visible += places
    for edit in edits:
        first, last = (_to_file(offset, columns, places) for offset in (edit.start, edit.end))
        found.marks.append(Mark(first, last, "syntax", edit.shown))
        if edit.footnote:
            found.calls.append((first, last, edit.footnote))
        elif edit.note:
            found.marks.append(Mark(first, last, "footnote", edit.note))
    return places[0][0], places[-1][1]


def _find(line: str, wanted: str, cursor: int, token: Token) -> int:
    """Return where content stands in its line: at the end, or in a heading or cell further left."""
    stripped = line.rstrip()
    if token.level < 3 and stripped.endswith(wanted) and len(stripped) - len(wanted) >= cursor:
        tail = len(stripped) - len(wanted)
        if "|" not in stripped[cursor:tail]:
            return tail
    return line.find(wanted, cursor)


def _to_file(offset: int, columns: list[int], places: list[Span]) -> int:
    index = max(0, bisect_right(columns, offset) - 1)
    start, end = places[index]
    return min(end, start + offset - columns[index])


def _verbatim(token: Token, found: _Found) -> None:
    """Mark a block whose content is no inline Markdown: code, or HTML."""
    assert token.map
    first, last = token.map
    if token.type == "fence":
        closed = last - first > 1 and found.text[slice(*found.line(last - 1))].strip().startswith(
            token.markup
        )
        first, last = first + 1, last - closed
    if first >= last:
        return
    start, end = found.lines[first], found.lines[last]
    content = found.text[start:end]
    end = start + len(content.rstrip())
    start += len(content) - len(content.lstrip())
    if token.type == "html_block" and content.lstrip().startswith("<!--"):
        found.marks.append(Mark(start, end, "hidden"))
        return
    if start < end:
        found.visible.append((start, end))
        found.marks.append(Mark(start, end, "block"))
    if token.type == "html_block":
        for tag in _TAG.finditer(found.text, start, end):
            found.marks.append(Mark(tag.start(), tag.end(), "syntax"))


def _uncovered(text: str, visible: list[Span], hidden: list[Mark]) -> Iterator[Mark]:
    """Yield what stands between the visible spans as syntax: list marks, rules, underlines."""
    covered = sorted([*visible, *((mark.start, mark.end) for mark in hidden)])
    reach = 0
    for start, end in [*covered, (len(text), len(text))]:
        gap = text[reach:start]
        if gap.strip():
            lead = len(gap) - len(gap.lstrip())
            shown = "|" if gap.strip() == "|" else ""  # what parts two cells stays visible
            yield Mark(reach + lead, reach + len(gap.rstrip()), "syntax", shown)
        reach = max(reach, end)


def _resolve_footnotes(found: _Found) -> None:
    """Give every footnote mark the text of its definition."""
    syntax = Markup(found.text, [mark for mark in found.marks if mark.kind == "syntax"])
    texts = {
        label: " ".join(syntax.plain(*span).text for span in spans)
        for label, spans in found.definitions.items()
    }
    for start, end, label in found.calls:
        found.marks.append(Mark(start, end, "footnote", texts.get(label, "")))
