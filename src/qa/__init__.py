"""Ask your own documents and get quoted, checkable answers."""

from qa.assistant import Assistant
from qa.config import Settings
from qa.errors import QAError
from qa.types import Answer, AnswerSentence, Citation, RankedPassage

__all__ = [
    "Answer",
    "AnswerSentence",
    "Assistant",
    "Citation",
    "QAError",
    "RankedPassage",
    "Settings",
]
