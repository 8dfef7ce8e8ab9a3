"""Numbers as the pages say them."""

from __future__ import annotations

_CONFIDENCE = (
    (0.95, "Very confident"),
    (0.8, "Confident"),
    (0.5, "Fairly confident"),
    (0.0, "Not confident"),
)


def confidence_in_words(confidence: float) -> str:
    """Say how sure an answer is."""
    return next(words for least, words in _CONFIDENCE if confidence >= least)


def size_in_words(size: int | None) -> str:
    """Say how large a file is."""
    if size is None:
        return ""
    if size < 1000:
        return f"{size} bytes"
    return f"{size / 1000:.0f} kB" if size < 1_000_000 else f"{size / 1_000_000:.1f} MB"
