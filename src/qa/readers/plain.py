"""Plain text: paragraphs and headings told from the shape of the lines."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from qa.readers.decode import decode
from qa.text import strip
from qa.types import Document, Mark

_LINE = re.compile(r"[^\r\n]+")
#: A heading is at most this long, and the paragraph under it at least.
_HEADING_LENGTH = 100
_SENTENCE_END = tuple(".!?:;,…\"'”’)]")


@dataclass(frozen=True, slots=True)
class _Block:
    start: int
    end: int
    lines: int


def read(uri: str, data: bytes) -> Document:
    """Read a text file.

    Lines are paragraphs of their own unless the file is wrapped at a fixed width, where blank
    lines part them. A short line that ends without a stop, above a longer paragraph, is a heading.
    The title is the first line if that is one.
    """
    text = decode(uri, data)
    blocks = _blocks(text)
    marks = []
    title = ""
    for block, following in pairwise([*blocks, _Block(0, 0, 0)]):
        content = text[block.start : block.end]
        if not _is_heading(content, block, text[following.start : following.end]):
            marks.append(Mark(block.start, block.end, "block"))
            continue
        if block is blocks[0]:
            title = content
        level = 1 if content == title else 2
        marks.append(Mark(block.start, block.end, "heading", content, level))
    digest = hashlib.sha256(data).hexdigest()
    return Document(uri, title or file_title(uri), None, digest, text, tuple(marks))


def file_title(uri: str) -> str:
    """Make a title of a file's name, for a source that has none of its own."""
    stem = uri.rpartition("/")[2]
    stem = stem.rpartition(".")[0] or stem
    return re.sub(r"[-_\s]+", " ", stem).strip() or uri


def _blocks(text: str) -> list[_Block]:
    lines = [
        strip(text, found.start(), found.end())
        for found in _LINE.finditer(text)
        if found[0].strip()
    ]
    if not _wrapped(text, lines):
        return [_Block(start, end, 1) for start, end in lines]
    blocks: list[_Block] = []
    for start, end in lines:
        if blocks and not _blank_line(text[blocks[-1].end : start]):
            blocks[-1] = _Block(blocks[-1].start, end, blocks[-1].lines + 1)
        else:
            blocks.append(_Block(start, end, 1))
    return blocks


def _blank_line(gap: str) -> bool:
    return gap.replace("\r\n", "\n").replace("\r", "\n").count("\n") > 1


def _wrapped(text: str, lines: list[tuple[int, int]]) -> bool:
    """Tell whether the lines were broken at a fixed width: none long, those inside a group full."""
    if max((end - start for start, end in lines), default=0) > 120:
        return False
    inside = [
        end - start
        for (start, end), (following, _) in pairwise(lines)
        if not _blank_line(text[end:following])
    ]
    return bool(inside) and median(inside) >= 45


def _is_heading(content: str, block: _Block, following: str) -> bool:
    return (
        block.lines == 1
        and len(content) <= _HEADING_LENGTH
        and not content.endswith(_SENTENCE_END)
        and any(character.isalpha() for character in content)
        and (content[0].isupper() or content[0].isdigit())
        and (len(following) > _HEADING_LENGTH or following == content)
    )
