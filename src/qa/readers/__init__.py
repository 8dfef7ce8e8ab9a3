"""Files to documents, one reader for each family of formats."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePosixPath

from qa.errors import UnsupportedFormat
from qa.readers import docx, epub, html, markdown, odt, pdf, plain, pptx, rtf, source, table, xlsx
from qa.types import Document

Reader = Callable[[str, bytes], Document]

READERS: dict[str, Reader] = {
    ".md": markdown.read,
    ".markdown": markdown.read,
    ".txt": plain.read,
    ".pdf": pdf.read,
    ".html": html.read,
    ".htm": html.read,
    ".xhtml": html.read,
    ".docx": docx.read,
    ".odt": odt.read,
    ".rtf": rtf.read,
    ".epub": epub.read,
    ".pptx": pptx.read,
    ".xlsx": xlsx.read,
    ".csv": table.read,
    ".tsv": table.read,
    ".json": source.read_lines,
    ".jsonl": source.read_lines,
    ".ndjson": source.read_lines,
    **dict.fromkeys(source.SUFFIXES, source.read),
}


def read(uri: str, data: bytes) -> Document:
    """Turn the bytes of a file into a document with the reader for its suffix.

    :raises UnsupportedFormat: if no reader takes the suffix.
    :raises UnreadableSource: if the reader cannot make sense of the bytes.
    """
    suffix = PurePosixPath(uri).suffix.lower()
    reader = READERS.get(suffix)
    if reader is None:
        raise UnsupportedFormat(uri, f"no reader for {suffix or 'a file without a suffix'}")
    return reader(uri, data)


def scanned(document: Document) -> list[str]:
    """Return the labels of the pages that are pictures, of which no text could be read."""
    return [mark.label for mark in document.marks if mark.kind == "page" and mark.start == mark.end]
