"""HTML: the main content with its headings, lists and tables; scripts and navigation left out.

A page that says which part is its content (main, article) is taken at its word; of others,
trafilatura tells the content from what surrounds it.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from qa.errors import UnreadableSource
from qa.readers.decode import decode
from qa.readers.draft import Draft, day, is_header, needs
from qa.readers.signature import looks_like
from qa.types import Document

if TYPE_CHECKING:
    from selectolax.lexbor import LexborHTMLParser, LexborNode

#: Content that is not read: programs, controls, and what leads elsewhere.
_UNREAD = (
    "script, style, noscript, template, iframe, object, svg, canvas, button, select, textarea, "
    "dialog, nav, footer, aside, [hidden], [aria-hidden=true], [role=navigation], [role=banner], "
    "[role=contentinfo], [role=search], [role=complementary]"
)
#: Characters of content from which on trafilatura is sure.
_CONTENT = 500
_BLANKS = re.compile(r"[ \t\r\n\f]+")
_TRAILING = re.compile(r"(?<! ) +\r?\n")
#: A page beyond these is not given to trafilatura, which takes seconds for each.
_LARGE = 5_000_000
_ELEMENTS = 100_000
_CHARSET = re.compile(rb"<meta[^>]{0,200}charset\s*=\s*[\"']?\s*([\w.:-]+)", re.IGNORECASE)
_CONTROLS = bytes([*range(9), *range(14, 27), *range(28, 32)])
_DATES = (
    'meta[property="article:published_time"]',
    'meta[name="date"]',
    'meta[name="dc.date"]',
    'meta[name="DC.date"]',
    'meta[name="dcterms.created"]',
    'meta[itemprop="datePublished"]',
    "time[datetime]",
)
_PUBLISHED = re.compile(r'"datePublished"\s*:\s*"([^"]{8,40})"')
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
#: Elements at whose border a paragraph ends.
_BLOCKS = frozenset(
    "address article blockquote body center dd details div dl dt fieldset figcaption figure footer "
    "form header hgroup hr html legend li main menu nav ol p pre section summary table tbody "
    "tfoot thead tr td th ul caption".split()
)
_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*)")
#: Elements that have no end tag, or may be left without one.
_UNNESTED = frozenset(
    "p li td th tr dt dd tbody thead tfoot option area base br col embed hr img input link meta "
    "source track wbr colgroup param html body head path rect circle".split()
)
_OPEN = 10_000
#: Depth at which a page is hostile: no page that a person wrote nests so deep.
_DEPTH = 2000


def read(uri: str, data: bytes) -> Document:
    """Read a web page; the title is that of its content, the date the one it says it has.

    :raises UnreadableSource: if it cannot be decoded or nests too deeply.
    """
    text = decode_html(uri, data)
    tree = parse(uri, text)
    title, date = _title(tree), _date(tree, text)
    draft = Draft()
    walk(uri, _content(uri, tree, text), draft)
    return draft.document(uri, data, title, date)


def decode_html(uri: str, data: bytes) -> str:
    """Return the text of a page: by its byte order mark, what it says, UTF-8, else Windows-1252."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF8)):
        return decode(uri, data)
    looks = looks_like(data)
    if looks not in ("HTML", "XML", "text", "something else", "an empty file"):
        raise UnreadableSource(uri, f"not HTML: it looks like {looks}")
    if len(data.translate(None, _CONTROLS)) * 100 < len(data) * 99:
        raise UnreadableSource(uri, "not HTML: binary")
    named = _CHARSET.search(data, 0, 4096)
    for encoding in (named[1].decode("ascii", "replace") if named else "utf-8", "utf-8"):
        try:
            name = codecs.lookup(encoding).name
            # The HTML standard reads Latin-1 as its superset.
            return data.decode("cp1252" if name in ("iso8859-1", "ascii") else name)
        except (LookupError, UnicodeDecodeError, ValueError):
            continue
    return data.decode("cp1252", "replace")


def parse(uri: str, text: str) -> LexborHTMLParser:
    """Parse a page as browsers do.

    :raises UnreadableSource: if it nests so deeply that this takes quadratic time.
    """
    lexbor = needs(uri, "selectolax.lexbor", "selectolax")
    depth = 0
    for found in _TAG.finditer(text):
        if found[2].lower() not in _UNNESTED:
            depth = max(0, depth - 1) if found[1] else depth + 1
            if depth > _OPEN:
                raise UnreadableSource(uri, f"more than {_OPEN:,} elements left open")
    tree: LexborHTMLParser = lexbor.LexborHTMLParser(text)
    return tree


def _title(tree: Any) -> str:
    named = tree.css_first('meta[property="og:title"]')
    if named and named.attributes.get("content"):
        return str(named.attributes["content"])
    headings = tree.css("h1")
    if len(headings) == 1 and headings[0].text().strip():
        return str(headings[0].text())
    title = tree.css_first("title")
    return str(title.text()) if title else ""


def _date(tree: Any, text: str) -> str | None:
    for selector in _DATES:
        node = tree.css_first(selector)
        if node is not None:
            found = day(node.attributes.get("content") or node.attributes.get("datetime"))
            if found:
                return found
    published = _PUBLISHED.search(text)
    return day(published[1]) if published else None


def drop_unread(tree: LexborHTMLParser) -> None:
    """Take out what is not read."""
    nodes = tree.css(_UNREAD)
    unread = {node.mem_id for node in nodes}
    # What lies in one that is taken out goes with it, and is not to be touched again.
    for node in [node for node in nodes if not _lies_in(node, unread)]:
        node.decompose()


def _lies_in(node: LexborNode, elements: set[int]) -> bool:
    parent = node.parent
    while parent is not None and parent.mem_id not in elements:
        parent = parent.parent
    return parent is not None


def _content(uri: str, tree: Any, text: str) -> LexborNode | None:
    """Return the element that holds the main content."""
    drop_unread(tree)
    named: list[LexborNode] = tree.css("main, [role=main]") or tree.css("article")
    if len(named) == 1 and named[0].text().strip():
        return named[0]
    body: LexborNode | None = tree.body
    if body is None or len(body.text()) < _CONTENT:
        return body
    if len(text) > _LARGE or len(tree.css("*")) > _ELEMENTS:
        return body
    extracted = _extract(uri, tree.html or "")
    return extracted if extracted is not None and _sound(extracted, body) else body


def _sound(extracted: LexborNode, body: LexborNode) -> bool:
    """Tell whether what was taken for the content is: of a short page, it may be too little."""
    length = len(extracted.text())
    paragraphs = len(extracted.css("p, li")) * 2 >= len(body.css("p"))
    return paragraphs and (length > _CONTENT or length * 2 > len(body.text()))


def _extract(uri: str, html: str) -> LexborNode | None:
    trafilatura = needs(uri, "trafilatura", "trafilatura")
    found = trafilatura.extract(
        html, output_format="html", include_comments=False, favor_recall=True, deduplicate=False
    )
    return parse(uri, found).body if found else None


def walk(uri: str, root: LexborNode | None, draft: Draft) -> None:
    """Add what an element shows to a draft, in its order.

    :raises UnreadableSource: if it nests too deeply.
    """
    words: list[str] = []
    headers: dict[int, list[str]] = {}
    for node, opens, pre in _events(uri, root):
        tag = node.tag or ""
        if tag == "-text":
            words.append(_inline(node.text_content or "", words, pre))
        elif tag == "br":
            words.append("\n")
        elif tag in _HEADINGS or tag in _BLOCKS:
            _flush(words, draft)
            if opens and tag in _HEADINGS:
                draft.heading(_seen(node), _HEADINGS[tag])
            elif opens and _is_row(node):
                _row(node, draft, headers)
    _flush(words, draft)


def _events(uri: str, root: LexborNode | None) -> Iterator[tuple[LexborNode, bool, bool]]:
    """Yield every node as it opens and closes; headings and rows as one, without their content."""
    stack = [(root, True, False)] if root is not None else []
    depth = 0
    while stack:
        node, opens, pre = stack.pop()
        yield node, opens, pre
        if not opens:
            depth -= 1
            continue
        if node.tag in _HEADINGS or node.tag in ("-text", "br") or _is_row(node):
            continue
        depth += 1
        if depth > _DEPTH:
            raise UnreadableSource(uri, f"elements nested more than {_DEPTH:,} deep")
        stack.append((node, False, pre))
        within = pre or node.tag == "pre"
        stack += [(child, True, within) for child in reversed(list(_children(node)))]


def _children(node: LexborNode) -> Iterator[LexborNode]:
    child = node.child
    while child is not None:
        yield child
        child = child.next


def _inline(text: str, words: list[str], pre: bool) -> str:
    """Fold the white space of a text that follows others, save where the page keeps it."""
    if pre:
        return text
    folded = _BLANKS.sub(" ", text)
    before = next((word for word in reversed(words) if word), "\n")
    return folded.lstrip(" ") if before[-1] in " \n" else folded


def _flush(words: list[str], draft: Draft) -> None:
    draft.add(_TRAILING.sub("\n", "".join(words)), "block")
    words.clear()


def _seen(node: LexborNode) -> str:
    """Return the text of an element, a blank where an element in it ends a line."""
    return node.text(separator=" " if node.css_first("br, p, div, li") else "")


def _is_row(node: LexborNode) -> bool:
    """Tell whether an element is a row of data; a table may serve as a layout, too."""
    return node.tag == "tr" and node.css_first(_LAYOUT) is None


_LAYOUT = "table, h1, h2, h3, h4, ul, ol, p + p"


def _row(row: LexborNode, draft: Draft, headers: dict[int, list[str]]) -> None:
    """Add a table row; a first one whose cells are all headings names the columns of the rest."""
    cells = [cell for cell in _children(row) if cell.tag in ("td", "th")]
    seen = [" ".join(_seen(cell).split()) for cell in cells]
    table = row.parent
    while table is not None and table.tag != "table":
        table = table.parent
    key = table.mem_id if table is not None else 0
    if key in headers:
        draft.row(seen, headers[key])
        return
    named = all(cell.tag == "th" for cell in cells) and is_header(seen)
    headers[key] = seen if named else []
    if named:
        draft.header(seen)
    else:
        draft.row(seen)
