"""Bytes to text: UTF-8 with or without a byte order mark, UTF-16 with one."""

from __future__ import annotations

import codecs

from qa.errors import UnreadableSource
from qa.readers.signature import looks_like


def decode(uri: str, data: bytes) -> str:
    """Return the text of a file without its byte order mark; line ends stay as they are.

    :raises UnreadableSource: for any other encoding, naming the first bad byte.
    """
    utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = data.decode("utf-16") if utf16 else data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        looks = looks_like(data)
        if looks not in ("text", "something else"):
            raise UnreadableSource(uri, f"it looks like {looks}, not text") from error
        name = "UTF-16" if utf16 else "UTF-8"
        raise UnreadableSource(
            uri, f"not {name}: {error.reason} at byte {error.start}; save it as UTF-8"
        ) from error
    if text.count("\0") * 4 > len(text):
        raise UnreadableSource(
            uri, "mostly NUL: binary, or UTF-16 without a byte order mark; save it as UTF-8"
        )
    return text
