"""Exact phrases: whether a text has one, and the words by which an index finds it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tantivy

#: What keyboards and typesetters write differently: apostrophes, dashes, quotation marks.
_SAME = (
    (re.compile("[‘’ʼ]"), "'"),
    (re.compile("[‐‒–—−]"), "-"),
    (re.compile("[“”„‟]"), '"'),
)


def folded(text: str) -> str:
    """Return the form in which phrases are compared.

    Case, width and the length of white space do not count, nor does the shape of apostrophes,
    dashes and quotation marks.
    """
    form = unicodedata.normalize("NFKC", text).casefold()
    if not form.isascii():
        for found, written in _SAME:
            form = found.sub(written, form)
    return " ".join(form.split())


@cache
def analyzer() -> tantivy.TextAnalyzer:
    """Return what cuts a folded text into words: runs of letters and digits, as they stand."""
    import tantivy

    return tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple()).build()


def words(phrase: str) -> list[str]:
    """Return the words of a phrase; a text that has the phrase has them in a row."""
    found: list[str] = analyzer().analyze(folded(phrase))
    return found


class Phrases:
    """Phrases ready to be looked for in many texts."""

    def __init__(self, phrases: Sequence[str]) -> None:
        self._forms = [folded(phrase) for phrase in phrases]

    def count(self, text: str) -> int:
        """Count the phrases that a text has, each as whole words."""
        if not self._forms:
            return 0
        form = folded(text)
        return sum(_has(form, phrase) for phrase in self._forms)


def _has(form: str, phrase: str) -> bool:
    """Tell whether a folded text has a folded phrase that neither begins nor ends in a word."""
    start = form.find(phrase)
    while start >= 0:
        end = start + len(phrase)
        begins_within = phrase[:1].isalnum() and form[max(0, start - 1) : start].isalnum()
        ends_within = phrase[-1:].isalnum() and form[end : end + 1].isalnum()
        if not begins_within and not ends_within:
            return True
        start = form.find(phrase, start + 1)
    return False
