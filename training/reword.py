"""Put a question otherwise, as people type: two at once, chatty, as key words, misspelled."""

from __future__ import annotations

import random
import re

from qa.text import FUNCTION_WORDS

#: How often a question is joined to another, has something said before it, is cut down to its
#: key words, and has a letter wrong; the last on top of the others.
JOINED, CHATTY, KEY_WORDS, MISSPELLED = 0.12, 0.08, 0.06, 0.1
_ASKING = frozenset("what when where which who whom whose why how".split())
_LINKS = (", and ", " and ", ", and also ", "; ", "? ")
_BEFORE = (
    "hi, ",
    "so ",
    "ok, ",
    "just wondering, ",
    "quick question: ",
    "can you tell me: ",
    "please tell me, ",
    "I was wondering, ",
    "does anyone know: ",
    "I read about this somewhere: ",
)
#: A word with a letter wrong has at least so many.
_LONG = 6


def reworded(question: str, other: str, chance: random.Random) -> tuple[str, bool]:
    """Return a question as it is or put otherwise, and whether the other was joined to it."""
    drawn = chance.random()
    joined = drawn < JOINED
    if joined:
        question = join(question, other, chance)
    elif drawn < JOINED + CHATTY:
        question = chance.choice(_BEFORE) + question
    elif drawn < JOINED + CHATTY + KEY_WORDS:
        question = key_words(question, chance)
    if chance.random() < MISSPELLED:
        question = misspell(question, chance)
    return question, joined


def join(question: str, other: str, chance: random.Random) -> str:
    """Ask two questions as one."""
    first, second = chance.sample((question, other), 2)
    return first.rstrip("? ") + chance.choice(_LINKS) + second


def key_words(question: str, chance: random.Random) -> str:
    """Leave out words that carry no topic; the question word comes last, or nowhere."""
    words = re.findall(r"[\w'-]+", question.lower())
    kept = [word for word in words if word not in FUNCTION_WORDS]
    asking = [word for word in words if word in _ASKING]
    if len(kept) < 3:
        return question
    return " ".join([*kept, *(asking[:1] if chance.random() < 0.7 else [])])


def misspell(question: str, chance: random.Random) -> str:
    """Get a letter of a long word wrong, a name rather: left out, doubled, or two exchanged."""
    found = [word for word in re.finditer(r"[^\W\d_]+", question) if len(word[0]) >= _LONG]
    found = [word for word in found if word.start() and word[0][0].isupper()] or found
    if not found:
        return question
    word = chance.choice(found)
    at = chance.randrange(word.start() + 1, word.end() - 1)
    kind = chance.randrange(3)
    if kind == 0:
        return question[:at] + question[at + 1 :]
    if kind == 1:
        return question[:at] + question[at] + question[at:]
    return question[:at] + question[at + 1] + question[at] + question[at + 2 :]
