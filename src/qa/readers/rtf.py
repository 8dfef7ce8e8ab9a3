"""RTF: its text, line by line."""

from __future__ import annotations

from qa.errors import UnreadableSource
from qa.readers.draft import Draft, needs
from qa.readers.signature import looks_like
from qa.types import Document


def read(uri: str, data: bytes) -> Document:
    """Read a rich text file; formatting, and with it headings, is left out.

    :raises UnreadableSource: if it is no RTF.
    """
    if not data.startswith(b"{\\rtf"):
        raise UnreadableSource(uri, f"not RTF: it looks like {looks_like(data)}")
    striprtf = needs(uri, "striprtf.striprtf", "striprtf")
    draft = Draft()
    text = striprtf.rtf_to_text(data.decode("latin-1"), errors="replace")
    for line in text.replace("\xa0", " ").splitlines():
        draft.add(line, "block")
    return draft.document(uri, data)
