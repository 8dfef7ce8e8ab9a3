"""Files to documents, one reader for each family of formats."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePosixPath

from qa.errors import UnsupportedFormat
from qa.readers import markdown, plain
from qa.types import Document

Reader = Callable[[str, bytes], Document]

READERS: dict[str, Reader] = {
    ".md": markdown.read,
    ".markdown": markdown.read,
    ".txt": plain.read,
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
