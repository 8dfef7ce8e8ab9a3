"""Ask your own documents and get quoted, checkable answers.

from qa import Assistant

with Assistant.open("index") as assistant:
    reply = assistant.ask("What is the 50 percent rule?")
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qa.assistant import Assistant
    from qa.config import Settings
    from qa.errors import QAError
    from qa.types import Answer, AnswerSentence, Citation, Location, RankedPassage

__all__ = [
    "Answer",
    "AnswerSentence",
    "Assistant",
    "Citation",
    "Location",
    "QAError",
    "RankedPassage",
    "Settings",
]

_HOMES = {"Assistant": "qa.assistant", "QAError": "qa.errors", "Settings": "qa.config"}


def __getattr__(name: str) -> Any:
    """Import what is asked for, so that the process that reads files starts without numpy."""
    if name not in __all__:
        raise AttributeError(f"module 'qa' has no attribute {name!r}")
    return getattr(import_module(_HOMES.get(name, "qa.types")), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
