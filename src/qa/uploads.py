"""Files that are added to the corpus from outside, in a folder of their own."""

from __future__ import annotations

import os
import re
import tempfile
import unicodedata
from pathlib import Path, PurePosixPath

from qa.config import Settings
from qa.errors import AlreadyUploaded, SourceError, UploadRefused
from qa.readers import READERS
from qa.readers.signature import looks_like
from qa.readers.worker import Worker

#: Where they lie in the corpus.
FOLDER = "uploads"
_LONGEST_STEM = 60
#: Names that some systems keep for devices.
_RESERVED = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)$")
#: What a file must look like, by suffix; all others must look like text.
_ARCHIVES = (".docx", ".odt", ".epub", ".pptx", ".xlsx")
_LOOKS = {
    ".pdf": "a PDF",
    ".rtf": "RTF",
    **dict.fromkeys(_ARCHIVES, "a ZIP archive, such as DOCX, XLSX, PPTX, ODT or EPUB"),
}
_TEXTS = ("text", "HTML", "XML")


def keep(settings: Settings, name: str, data: bytes) -> str:
    """Add a file to the corpus, under a name made of its own, and return its uri.

    Nothing is overwritten. The file is whole when it appears, and one that cannot be read does not.

    :raises UploadRefused: with the reason.
    :raises AlreadyUploaded: if a file with the same content was added before.
    """
    suffix = PurePosixPath(name).suffix.lower()
    _check(settings, name, suffix, data)
    folder = settings.corpus / FOLDER
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not folder.resolve().is_relative_to(settings.corpus.resolve()):
            raise UploadRefused(name, f"{FOLDER}/ leads out of the corpus")
        _look_around(settings, folder, name, data)
        return f"{FOLDER}/{_write(folder, safe_stem(name), suffix, data).name}"
    except OSError as error:
        raise UploadRefused(name, f"cannot be written ({error.strerror})") from error


def delete(settings: Settings, name: str) -> bool:
    """Delete a file that was added; return whether it was there."""
    folder = settings.corpus / FOLDER
    path = folder / name
    if PurePosixPath(name).name != name or name.startswith(".") or "\\" in name or "\0" in name:
        return False
    if not path.is_file() or path.resolve().parent != (settings.corpus.resolve() / FOLDER):
        return False
    path.unlink()
    return True


def safe_stem(name: str) -> str:
    """Make a name of a name: small ASCII letters, digits and hyphens, 60 at most."""
    stem = PurePosixPath(name.replace("\\", "/")).stem
    plain = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode().lower()
    safe = re.sub(r"[^a-z0-9]+", "-", plain)[:_LONGEST_STEM].strip("-")
    return f"file-{safe}".strip("-") if not safe or _RESERVED.match(safe) else safe


def _check(settings: Settings, name: str, suffix: str, data: bytes) -> None:
    """Refuse what the program would not read: by suffix, by its first bytes, by reading it."""
    if suffix not in READERS:
        raise UploadRefused(name, f"no reader for {suffix or 'a file without a suffix'}")
    if not data.strip():
        raise UploadRefused(name, "empty")
    if len(data) > settings.upload_mb * 1024 * 1024:
        raise UploadRefused(name, f"larger than upload_mb = {settings.upload_mb}")
    found = looks_like(data)
    if found != _LOOKS.get(suffix, found if found in _TEXTS else ""):
        raise UploadRefused(name, f"not what its name says: it looks like {found}")
    try:
        with Worker(settings) as worker:
            if not worker.read(f"{safe_stem(name)}{suffix}", data).text.strip():
                raise UploadRefused(name, "no text in it")
    except SourceError as error:
        raise UploadRefused(name, error.reason) from error


def _look_around(settings: Settings, folder: Path, name: str, data: bytes) -> None:
    """Refuse what is there already, or is one too many."""
    count = 0
    for path in sorted(folder.iterdir()):
        count += 1
        if path.is_file() and path.stat().st_size == len(data) and path.read_bytes() == data:
            raise AlreadyUploaded(name, f"the same file is there: {FOLDER}/{path.name}")
    if count >= settings.upload_files:
        raise UploadRefused(name, f"there are upload_files = {settings.upload_files} already")


def _write(folder: Path, stem: str, suffix: str, data: bytes) -> Path:
    """Write a file under the first name that is free."""
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".", delete=False) as file:
        temporary = Path(file.name)
        try:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            path = _reserve(folder, stem, suffix)
            temporary.chmod(0o644)
            temporary.replace(path)
            return path
        finally:
            temporary.unlink(missing_ok=True)


def _reserve(folder: Path, stem: str, suffix: str) -> Path:
    """Make an empty file of the first name that is free, so that no other upload takes it."""
    number = 1
    while True:
        path = folder / (f"{stem}{suffix}" if number == 1 else f"{stem}-{number}{suffix}")
        try:
            path.open("xb").close()
            return path
        except FileExistsError:
            number += 1
