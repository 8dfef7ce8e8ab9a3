"""What can go wrong, as facts.

QAError
├─ ConfigError          a setting: key, value, expected
├─ SourceError          a file of the corpus: uri, reason
│  ├─ UnsupportedFormat
│  ├─ UnreadableSource
│  └─ UnknownSource     asked for, not in the index
├─ QuestionError        a question or one of its options: field, reason
├─ QuestionFileError    a file of questions: path, reason
├─ CalibrationError     a file with a fit of the confidence: path, reason
├─ CitationFileError    a file of citations: name, reason
├─ FeedbackError        the file of feedback: path, reason
├─ ModelMissing         name, reason
├─ IndexMissing         path
├─ IndexDamaged         path, reason
├─ IndexIncompatible    field, expected, found
├─ IndexBusy            path, pid, since
├─ UnknownGeneration    name, known
├─ StoreError           a server that keeps the index: place, reason
│  ├─ StoreUnavailable  cannot be reached, or went away
│  ├─ StoreBusy         every connection is in use
│  └─ StoreUnfit        lacks an extension or a right
├─ WorkersError         processes or nodes that embed: reason
└─ CitationMismatch     a quote that is not the text at its offsets: a bug, never sent

Errors know facts; the command line and the web application each own one table from class to
exit code or status.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


class QAError(Exception):
    """Everything this package raises on purpose."""


class ConfigError(QAError):
    """A setting that cannot be used."""

    def __init__(self, key: str, value: object, expected: str) -> None:
        #: name of the setting, as written by the user
        self.key = key
        self.value = value
        self.expected = expected
        super().__init__(f"setting {key!r} is {value!r}; expected {expected}")


class SourceError(QAError):
    """A source that cannot be used."""

    def __init__(self, uri: str, reason: str) -> None:
        #: path below the corpus, forward slashes
        self.uri = uri
        self.reason = reason
        super().__init__(f"{uri}: {reason}")


class UnsupportedFormat(SourceError):
    """A file whose format has no reader."""


class UnreadableSource(SourceError):
    """A file whose content cannot be decoded or parsed."""


class UnknownSource(SourceError):
    """A source that was asked for and is not in the index."""


class UploadRefused(QAError):
    """A file was not taken into the corpus."""

    def __init__(self, name: str, reason: str) -> None:
        self.name = name
        self.reason = reason
        super().__init__(f"{name} was not taken: {reason}")


class AlreadyUploaded(UploadRefused):
    """A file with the same content is there."""


class QuestionError(QAError):
    """A question, or an option of it, that cannot be used."""

    def __init__(self, field: str, reason: str) -> None:
        #: name of the offending field in the request
        self.field = field
        self.reason = reason
        super().__init__(f"{field}: {reason}")


class QuestionFileError(QAError):
    """A file of questions that cannot be used."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path = path
        self.reason = reason
        super().__init__(f"{path}: {reason}")


class CalibrationError(QAError):
    """A fit of the confidence that cannot be used, or cannot be made."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path = path
        self.reason = reason
        super().__init__(f"{path}: {reason}; fit it again (qa eval FILE --fit) or delete it")


class CitationFileError(QAError):
    """A file of citations that cannot be used."""

    def __init__(self, name: str, reason: str) -> None:
        #: of the file, "-" for the standard input
        self.name = name
        self.reason = reason
        super().__init__(f"{name}: {reason}")


class FeedbackError(QAError):
    """A file of feedback that cannot be read or written."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path = path
        self.reason = reason
        super().__init__(f"The feedback file {path.name} {reason}.")


class ModelMissing(QAError):
    """A model that is not on this machine."""

    def __init__(self, name: str, reason: str) -> None:
        self.name = name
        self.reason = reason
        super().__init__(f"model {name!r} cannot be used: {reason}")


class IndexMissing(QAError):
    """No index where one was expected."""

    def __init__(self, path: Path | str) -> None:
        #: of its folder, or the address of the server without a password
        self.path = path
        super().__init__(f"no index at {str(path)!r}; build it: qa index")


class IndexDamaged(QAError):
    """An index whose files are not what its manifest says."""

    def __init__(self, path: Path | str, reason: str) -> None:
        self.path = path
        self.reason = reason
        super().__init__(
            f"the index {str(path)!r} is damaged: {reason}; rebuild it: qa index --full"
        )


class IndexIncompatible(QAError):
    """An index made by other settings or another version."""

    def __init__(self, field: str, expected: object, found: object) -> None:
        self.field = field
        self.expected = expected
        self.found = found
        super().__init__(
            f"the index was built with {field} {found!r}, now it is {expected!r}; "
            "rebuild it: qa index"
        )


class IndexBusy(QAError):
    """Another process is building the index."""

    def __init__(self, path: Path | str, pid: int, since: str) -> None:
        self.path = path
        self.pid = pid
        #: ISO 8601 time at which it began
        self.since = since
        super().__init__(
            f"process {pid} is building the index {str(path)!r} since {since}; wait for it to end"
        )


class UnknownGeneration(QAError):
    """A generation to return to that is not there."""

    def __init__(self, name: str, known: Sequence[str]) -> None:
        self.name = name
        #: ids, oldest first
        self.known = known
        what = f"no generation {name!r}" if name else "no generation before the live one"
        super().__init__(f"{what}; there are: {', '.join(known) or 'none'}")


class StoreError(QAError):
    """A server that keeps the index and does not do its part."""

    def __init__(self, place: str, reason: str) -> None:
        #: its address, without a password
        self.place = place
        self.reason = reason
        super().__init__(f"the store {place}: {reason}")


class StoreUnavailable(StoreError):
    """A server that cannot be reached, or went away; it may come back."""


class StoreBusy(StoreError):
    """A server to which every connection is in use."""

    def __init__(self, place: str, connections: int, seconds: float) -> None:
        self.connections = connections
        super().__init__(
            place,
            f"all {connections} connections were in use for {seconds:g} s; ask again, or raise "
            "store_connections",
        )


class StoreUnfit(StoreError):
    """A server that lacks something which an administrator can add."""


class WorkersError(QAError):
    """Processes or nodes that cannot embed."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"--workers: {reason}")


class CitationMismatch(QAError):
    """A quote that differs from the text at its offsets."""

    def __init__(self, uri: str, start: int, end: int) -> None:
        self.uri = uri
        self.start = start
        self.end = end
        super().__init__(f"the text of {uri} at {start}..{end} is not the quote")
