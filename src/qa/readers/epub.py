"""EPUB: the chapters of a book in reading order."""

from __future__ import annotations

import posixpath
import re
from urllib.parse import unquote

from qa.errors import UnreadableSource
from qa.readers.archive import Archive
from qa.readers.draft import Draft, day
from qa.readers.html import decode_html, drop_unread, parse, walk
from qa.types import Document

_CONTAINER = "META-INF/container.xml"
_OPF = "{http://www.idpf.org/2007/opf}"
_DC = "{http://purl.org/dc/elements/1.1/}"
_CHAPTERS = ("application/xhtml+xml", "text/html")
#: Elements that XHTML may close at once and an HTML parser would leave open.
_CLOSED = re.compile(r"<(title|script|style|iframe|textarea|div|span|p|a|i|b|em)\b([^<>]*)/>")


def read(uri: str, data: bytes) -> Document:
    """Read a book; title and date are those of its package.

    :raises UnreadableSource: if it is no EPUB, or protected.
    """
    archive = Archive(uri, data, "EPUB")
    if "META-INF/encryption.xml" in archive.names and "META-INF/rights.xml" in archive.names:
        raise UnreadableSource(uri, "protected against copying")
    place = archive.xml(_CONTAINER).find(".//{*}rootfile")
    package_name = place.get("full-path", "") if place is not None else ""
    package = archive.xml(package_name)
    items = {
        item.get("id", ""): item
        for item in package.iter(f"{_OPF}item")
        if item.get("media-type") in _CHAPTERS and "nav" not in item.get("properties", "").split()
    }
    draft = Draft()
    for reference in package.iter(f"{_OPF}itemref"):
        item = items.get(reference.get("idref", ""))
        if item is not None:
            href = unquote(item.get("href", "").partition("#")[0])
            name = posixpath.normpath(posixpath.join(posixpath.dirname(package_name), href))
            _chapter(uri, archive.read(name), draft)
    title = package.findtext(f".//{_DC}title", "")
    return draft.document(uri, data, title, day(package.findtext(f".//{_DC}date")))


def _chapter(uri: str, data: bytes, draft: Draft) -> None:
    tree = parse(uri, _CLOSED.sub(r"<\1\2></\1>", decode_html(uri, data)))
    drop_unread(tree)
    walk(uri, tree.body, draft)
