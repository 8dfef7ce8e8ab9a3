"""Markdown: CommonMark with tables, footnotes and YAML front matter, offsets those of the file.

markdown-it-py finds the structure. It keeps lines for blocks and nothing for what is inside them,
so a tracer of its inline parser notes where each piece of markup starts and ends.
"""

from __future__ import annotations

import datetime
import hashlib
import html
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
from mdit_py_plugins.footnote.index import footnote_ref

from qa.errors import UnreadableSource
from qa.readers.decode import decode
from qa.readers.plain import file_title
from qa.text import Markup
from qa.types import Document, Mark, Span

_NEWLINE = re.compile(r"\r\n?|\n")
_FRONT = re.compile(
    r"---[ \t]*(?:\r\n?|\n)(.*?)(?<=[\r\n])(?:---|\.\.\.)[ \t]*(?:\r\n?|\n|\Z)", re.DOTALL
)
_TAG = re.compile(r"<[/!?]?[A-Za-z][^<>]*>")
_ENTITY = re.compile(r"&(?:#\d+|#[xX][0-9a-fA-F]+|\w+);")
#: Content of HTML that a browser does not show.
_UNSEEN = re.compile(
    r"<!--.*?(?:-->|\Z)|<(script|style)\b.*?(?:</\1\s*>|\Z)", re.DOTALL | re.IGNORECASE
)
#: A footnote mark. Its label is bounded, as that of a link is in CommonMark, to stay linear.
_CALL = re.compile(r"\[\^[^\] \n]{1,999}\]")
#: The optional end of a heading that is opened by the same character.
_CLOSING = re.compile(r"(?<![ \t])[ \t]++#++$")


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

    def __init__(self) -> None:
        super().__init__()
        #: content as people see it, of the last `parse`: the label of an image, or a footnote
        self.seen = ""

    def parse(self, src: str, md: MarkdownIt, env: Any, tokens: list[Token]) -> list[Token]:
        self.seen = _seen(src, self.trace(src, md, env, tokens))
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


def _seen(source: str, edits: list[_Edit]) -> str:
    """Return inline source as people see it."""
    marks = (Mark(edit.start, edit.end, "syntax", edit.shown) for edit in edits)
    return Markup(source, marks).plain(0, len(source)).text


def _footnote_call(state: StateInline, silent: bool) -> bool:
    return bool(_CALL.match(state.src, state.pos)) and footnote_ref(state, silent)


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
    if not state.src[start:end].strip("`"):  # a run that nothing closes
        return []
    width = len(token.markup)
    width += (end - start - 2 * width - len(token.content)) // 2  # one blank at each end
    return [_Edit(start, start + width), _Edit(end - width, end)]


def _link(state: _State, start: int, end: int, token: Token) -> list[_Edit]:
    return [_Edit(start, state.label[0]), _Edit(state.label[1], end)]


def _html(state: _State, start: int, end: int, token: Token) -> list[_Edit]:
    return [_Edit(start, end, " " if token.content.lower().startswith("<br") else "")]


def _inner(state: _State) -> str:
    assert isinstance(state.md.inline, _Tracer)
    return state.md.inline.seen


#: Inline rule to the edits of the source that it consumed.
_EDITS: dict[str, Callable[[_State, int, int, Token], list[_Edit]]] = {
    "autolink": lambda state, start, end, token: [_Edit(start, start + 1), _Edit(end - 1, end)],
    "backticks": _backticks,
    "entity": _special,
    "escape": _special,
    "footnote_inline": lambda state, start, end, token: [_Edit(start, end, note=_inner(state))],
    "footnote_ref": lambda state, start, end, token: [
        _Edit(start, end, footnote=token.meta["label"])
    ],
    "html_inline": _html,
    "image": lambda state, start, end, token: [_Edit(start, end, _inner(state))],
    "link": _link,
}


def _parser() -> tuple[MarkdownIt, _Tracer]:
    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    tracer = _Tracer()
    tracer.ruler.enableOnly([rule for rule in tracer.ruler.get_all_rules() if rule != "linkify"])
    tracer.ruler2.disable("fragments_join")  # it would merge the delimiters that are looked at
    parser.inline = tracer
    parser.use(footnote_plugin, move_to_end=False)
    tracer.ruler.at("footnote_ref", _footnote_call)
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
    #: footnote label to the texts of its definition
    definitions: dict[str, list[str]] = field(default_factory=dict)
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
    found.marks += list(_uncovered(text, found.visible, hidden))
    for start, end, label in found.calls:
        found.marks.append(Mark(start, end, "footnote", " ".join(found.definitions.get(label, ()))))
    for source in _listed(front.get("sources")):
        found.marks.append(Mark(0, body, "source", _scalar(uri, "sources", source)))
    marks = tuple(sorted(found.marks, key=lambda mark: (mark.start, -mark.end, mark.kind)))
    first = (mark.label for mark in marks if mark.kind == "heading" and mark.level == 1)
    named = _scalar(uri, "title", front.get("title"))
    title = named or next(first, "") or file_title(uri)
    digest = hashlib.sha256(data).hexdigest()
    return Document(uri, title, _day(uri, front.get("date")), digest, text, marks)


#: What PyYAML raises: its own for bad syntax, others for values that do not suit their tag.
_YAML_ERRORS = (
    yaml.YAMLError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    RecursionError,
)


class _Loader(yaml.SafeLoader):
    """YAML without aliases, by which a few lines could stand for more than fits in memory."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(problem="an alias", problem_mark=mark)
        return super().compose_node(parent, index)


def _front_matter(uri: str, text: str) -> tuple[dict[str, Any], int]:
    """Return the front matter and where the body starts; `---` before anything else is a rule."""
    match = _FRONT.match(text)
    if not match:
        return {}, 0
    try:
        front = yaml.load(match[1], _Loader)
    except _YAML_ERRORS as error:
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


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else [value] if value else []


def _scalar(uri: str, key: str, value: object) -> str:
    if isinstance(value, list | dict | set):
        raise UnreadableSource(uri, f"its front matter has a structure in {key}; quote the value")
    return " ".join(str(value).split()) if value is not None else ""


def _collect(
    tokens: list[Token], found: _Found, parser: MarkdownIt, tracer: _Tracer, env: dict[str, Any]
) -> None:
    opened: list[Token] = []
    definition: list[str] | None = None
    for token in tokens:
        if token.type == "footnote_reference_open":
            definition = _open_definition(token, found)
        elif token.type == "footnote_reference_close":
            definition = None
        elif token.type == "inline":
            edits = tracer.trace(token.content, parser, env, [])
            seen = _seen(token.content, edits)
            span = _place(token, opened[-1], edits, found)
            if definition is not None:
                definition.append(seen)
            elif span and seen:
                _mark_block(opened, span, seen, found)
        elif token.type in ("fence", "code_block", "html_block"):
            _verbatim(token, found)
        if token.nesting == 1:
            opened.append(token)
        elif token.nesting == -1:
            opened.pop()


def _open_definition(token: Token, found: _Found) -> list[str]:
    assert token.map
    start, end = found.lines[token.map[0]], found.lines[token.map[1]]
    found.marks.append(Mark(start, start + len(found.text[start:end].rstrip()), "hidden"))
    return found.definitions.setdefault(token.meta["label"], [])


def _mark_block(opened: list[Token], span: Span, seen: str, found: _Found) -> None:
    opening = opened[-1]
    if opening.type == "heading_open":
        assert opening.map
        start, _ = found.line(opening.map[0])
        indent = len(found.text[start : span[0]]) - len(found.text[start : span[0]].lstrip())
        found.marks.append(Mark(start + indent, span[1], "heading", seen, int(opening.tag[1])))
    elif opening.type in _CELLS:
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


def _place(token: Token, opening: Token, edits: list[_Edit], found: _Found) -> Span | None:
    """Find inline content in the file, piece by piece, and put its edits there."""
    assert token.map
    columns: list[int] = []
    places: list[Span] = []
    column = 0
    pieces = _cell if opening.type in _CELLS else _tail
    lines = token.content.split("\n")
    first = token.map[0]
    while first < token.map[1] - len(lines) and not _tail(lines[0].strip(), first, opening, found):
        first += 1  # the parser strips lines of form feeds
    for number, content in enumerate(lines, first):
        lead = column + len(content) - len(content.lstrip())
        for start, end in pieces(content.strip(), number, opening, found):
            columns.append(lead)
            places.append((start, end))
            lead += end - start
        column += len(content) + 1
    if not places:
        return None
    found.visible += places
    for edit in edits:
        start, end = (_to_file(offset, columns, places) for offset in (edit.start, edit.end))
        found.marks.append(Mark(start, end, "syntax", edit.shown))
        if edit.footnote:
            found.calls.append((start, end, edit.footnote))
        elif edit.note:
            found.marks.append(Mark(start, end, "footnote", edit.note))
    return places[0][0], places[-1][1]


_CELLS = ("td_open", "th_open")


def _tail(wanted: str, number: int, opening: Token, found: _Found) -> list[Span]:
    """Place a line of content at the end of its line in the file; what precedes it is markup."""
    start, end = found.line(number)
    line = found.text[start:end].rstrip()
    if opening.type == "heading_open" and opening.markup.startswith("#"):
        bare = _CLOSING.sub("", line)
        line = bare if wanted and _shown_nul(bare).endswith(wanted) else line
    at = len(line) - len(wanted)
    if at < 0 or _shown_nul(line[at:]) != wanted:
        return []
    return [(start + at, start + len(line))]


def _cell(wanted: str, number: int, opening: Token, found: _Found) -> list[Span]:
    """Place a table cell behind the one before it; a pipe in it is written with a backslash."""
    start, end = found.line(number)
    line = _shown_nul(found.text[start:end])
    pieces = re.split(r"(?=\|)", wanted)
    cursor = found.cursors.get(number, 0)
    spans = []
    for piece in pieces:
        at = line.find(piece, cursor)
        if at < 0:
            return []
        cursor = at + len(piece)
        spans.append((start + at, start + cursor))
    found.cursors[number] = cursor
    return spans if wanted else []


def _shown_nul(text: str) -> str:
    """Write NUL as CommonMark shows it."""
    return text.replace("\0", "\ufffd")


def _to_file(offset: int, columns: list[int], places: list[Span]) -> int:
    index = max(0, bisect_right(columns, offset) - 1)
    start, end = places[index]
    return min(end, start + offset - columns[index])


def _verbatim(token: Token, found: _Found) -> None:
    """Mark a block whose content is no inline Markdown: code, or HTML."""
    assert token.map
    first = token.map[0] + (token.type == "fence")
    places = [
        span
        for number, line in enumerate(token.content.split("\n"), first)
        if line.strip()
        for span in _tail(line.strip(), number, token, found)
    ]
    if not places:
        return
    found.visible += places
    start, end = places[0][0], places[-1][1]
    if token.type == "html_block":
        _mark_html(start, end, found)
    else:
        found.marks.append(Mark(start, end, "block"))


def _mark_html(start: int, end: int, found: _Found) -> None:
    """Mark what HTML shows as a block, its tags as syntax, what it does not show as hidden."""
    marks = [Mark(*match.span(), "hidden") for match in _UNSEEN.finditer(found.text, start, end)]
    reach = start
    for low, high in [*((mark.start, mark.end) for mark in marks), (end, end)]:
        for tag in _TAG.finditer(found.text, reach, low):
            marks.append(Mark(*tag.span(), "syntax"))
        for entity in _ENTITY.finditer(found.text, reach, low):
            marks.append(Mark(*entity.span(), "syntax", html.unescape(entity[0])))
        reach = high
    seen = Markup(found.text, marks).plain(start, end)
    found.marks += marks
    if seen.text:
        found.marks.append(Mark(seen.offsets[0], seen.offsets[-1] + 1, "block"))


def _uncovered(text: str, visible: list[Span], hidden: list[Mark]) -> Iterator[Mark]:
    """Yield what stands between the visible spans as syntax: list marks, rules, underlines."""
    covered = sorted([*visible, *((mark.start, mark.end) for mark in hidden)])
    reach = 0
    for start, end in [*covered, (len(text), len(text))]:
        gap = text[reach:start]
        if gap.strip():
            lead = len(gap) - len(gap.lstrip())
            # What parts two cells stays visible.
            pipe = not gap.strip("| \t") and reach > 0 and start < len(text)
            yield Mark(reach + lead, reach + len(gap.rstrip()), "syntax", " | " if pipe else "")
        reach = max(reach, end)
