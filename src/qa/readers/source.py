"""Source code and data as text: what no blank line parts is one block, a line of JSON too."""

from __future__ import annotations

import hashlib
import re

from qa.readers.decode import decode
from qa.text import line_ends, strip
from qa.types import Document, Mark, Span

#: Of the languages and settings files that are read as source code.
SUFFIXES = tuple(
    ".bash .c .cc .cfg .clj .cpp .cs .css .erl .ex .f90 .go .h .hpp .hs .ini .java .jl .js .jsx "
    ".kt .lua .m .ml .php .pl .proto .ps1 .py .r .rb .rs .rst .scala .sh .sql .swift .tex .toml "
    ".ts .tsx .vb .xml .yaml .yml .zig".split()
)
_LINE = re.compile(r"[^\r\n]+")


def read(uri: str, data: bytes) -> Document:
    """Read source code; the title is the file's name."""
    return _read(uri, data, 1)


def read_lines(uri: str, data: bytes) -> Document:
    """Read JSON, or lines of JSON: each line is a block."""
    return _read(uri, data, 0)


def _read(uri: str, data: bytes, joined: int) -> Document:
    """Read text in which lines that at most so many line ends part are one block."""
    text = decode(uri, data)
    spans: list[Span] = []
    for found in _LINE.finditer(text):
        start, end = strip(text, *found.span())
        if start == end:
            continue
        if spans and line_ends(text, spans[-1][1], start) <= joined:
            spans[-1] = spans[-1][0], end
        else:
            spans.append((start, end))
    marks = tuple(Mark(*span, "block") for span in spans)
    digest = hashlib.sha256(data).hexdigest()
    return Document(uri, uri.rpartition("/")[2], None, digest, text, marks)
