from __future__ import annotations

import codecs

import pytest

from qa.errors import UnreadableSource
from qa.readers.decode import decode

TEXT = "Zürich 😀\r\nשלום\rcafe\u0301\n"


@pytest.mark.parametrize(
    "data",
    [
        TEXT.encode(),
        codecs.BOM_UTF8 + TEXT.encode(),
        TEXT.encode("utf-16"),
        codecs.BOM_UTF16_LE + TEXT.encode("utf-16-le"),
        codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"),
    ],
    ids=["UTF-8", "UTF-8 with a mark", "UTF-16", "little-endian", "big-endian"],
)
def test_text_is_decoded_character_for_character(data: bytes) -> None:
    assert decode("a.txt", data) == TEXT


def test_only_the_first_mark_is_taken_away() -> None:
    assert decode("a.txt", codecs.BOM_UTF8 * 2 + b"a") == "\ufeffa"


def test_nothing_is_an_empty_text() -> None:
    assert decode("a.txt", b"") == ""


def test_some_nul_is_text() -> None:
    assert decode("a.txt", b"a\0bcdef") == "a\0bcdef"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"ab\xff", "not UTF-8: invalid start byte at byte 2; save it as UTF-8"),
        ("né".encode("latin-1"), "not UTF-8: unexpected end of data at byte 1; save it as UTF-8"),
        (b"\xed\xa0\x80", "not UTF-8: invalid continuation byte at byte 0; save it as UTF-8"),
        (
            codecs.BOM_UTF16_LE + b"a\0b",
            "not UTF-16: truncated data at byte 4; save it as UTF-8",
        ),
        (
            "text".encode("utf-16-le"),
            "mostly NUL: binary, or UTF-16 without a byte order mark; save it as UTF-8",
        ),
        (
            "text".encode("utf-32"),
            "mostly NUL: binary, or UTF-16 without a byte order mark; save it as UTF-8",
        ),
    ],
    ids=["binary", "Latin-1", "surrogate", "half a character", "UTF-16 unmarked", "UTF-32"],
)
def test_other_bytes_are_refused_with_their_place(data: bytes, reason: str) -> None:
    with pytest.raises(UnreadableSource) as caught:
        decode("old/a.txt", data)
    assert (caught.value.uri, caught.value.reason) == ("old/a.txt", reason)


def test_the_place_of_a_bad_byte_counts_the_mark() -> None:
    """The codec that strips the mark counted from behind it."""
    with pytest.raises(UnreadableSource, match="at byte 5"):
        decode("a.txt", codecs.BOM_UTF8 + b"ab\xff")
