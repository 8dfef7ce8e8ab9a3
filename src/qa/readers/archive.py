"""ZIP archives that hold a document, opened only when they are no bomb and their XML is plain."""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from typing import TYPE_CHECKING

from qa.errors import UnreadableSource
from qa.readers.draft import day, needs
from qa.readers.signature import looks_like

if TYPE_CHECKING:
    from lxml.etree import _Element

#: What an archive may hold. Documents compress to a tenth; bombs to a thousandth and less.
_MEMBERS = 10_000
_EXPANDED = 512 * 1024 * 1024
_RATIO = 200
_SMALL = 1024 * 1024
_CHUNK = 1024 * 1024
_PROPERTIES = "docProps/core.xml"
_TERMS = "{http://purl.org/dc/terms/}"
#: Of the templates in python-docx and python-pptx.
_TEMPLATES = ("2013-12-23", "2013-01-27")
_DOCTYPE = re.compile(rb"<!\s*(?:DOCTYPE|ENTITY)", re.IGNORECASE)
_MARKUP = (".xml", ".rels", ".opf", ".ncx")


class Archive:
    """The members of a ZIP archive, each read within the limits."""

    def __init__(self, uri: str, data: bytes, kind: str) -> None:
        """Open an archive and check what it says of its size, and its XML for entities.

        :param kind: the format it should be, for messages.
        :raises UnreadableSource: with the reason.
        """
        self.uri = uri
        self._kind = kind
        if data.startswith(b"\xd0\xcf\x11\xe0"):
            raise UnreadableSource(uri, f"an encrypted {kind}, or one of before 2007")
        if not data.startswith(b"PK"):
            raise UnreadableSource(uri, f"not {kind}: it looks like {looks_like(data)}")
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(data))
            members = self._zip.infolist()
        except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
            raise UnreadableSource(uri, f"{kind} that is damaged or cut off ({error})") from error
        self._expanded = 0
        _check(uri, members)
        self.names = [member.filename for member in members]
        for name in self.names:
            if name.lower().endswith(_MARKUP):
                self._refuse_entities(name)

    def read(self, name: str) -> bytes:
        """Return a member, however large it says that it is only up to the limit.

        :raises UnreadableSource: if it is missing, damaged, encrypted or too large.
        """
        parts = []
        try:
            with self._zip.open(name) as stream:
                while part := stream.read(_CHUNK):
                    self._expanded += len(part)
                    if self._expanded > 2 * _EXPANDED:  # what is checked is read twice
                        raise UnreadableSource(self.uri, _bomb())
                    parts.append(part)
        except KeyError as error:
            raise UnreadableSource(self.uri, f"not {self._kind}: it has no {name}") from error
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError) as error:
            reason = f"{self._kind} that is damaged or cut off ({error})"
            raise UnreadableSource(self.uri, reason) from error
        except RuntimeError as error:
            raise UnreadableSource(self.uri, "encrypted; save it without a password") from error
        return b"".join(parts)

    def xml(self, name: str) -> _Element:
        """Parse a member without entities, network and unbounded depth."""
        return parse_xml(self.uri, self.read(name), name)

    def changed(self) -> str | None:
        """Return the day on which an Office file says that it was last changed.

        That of a template, which a program left as it was, says nothing.
        """
        if _PROPERTIES not in self.names:
            return None
        properties = self.xml(_PROPERTIES)
        found = (day(properties.findtext(f"{_TERMS}{name}")) for name in ("modified", "created"))
        date = next(filter(None, found), None)
        return None if date in _TEMPLATES else date

    def _refuse_entities(self, name: str) -> None:
        data = self.read(name)
        if data.startswith((b"\xff\xfe", b"\xfe\xff")):
            data = data.decode("utf-16", "replace").encode()
        found = _DOCTYPE.search(data)
        # The table of contents of an EPUB may have one that defines nothing.
        if found and (self._kind != "EPUB" or b"<!ENTITY" in data or b"<!entity" in data):
            raise UnreadableSource(self.uri, f"{name} has a document type, as XML attacks have")


def parse_xml(uri: str, data: bytes, name: str) -> _Element:
    """Parse XML without entities, network and unbounded depth.

    :raises UnreadableSource: if it is not well-formed.
    """
    etree = needs(uri, "lxml.etree", "lxml")
    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False)
    try:
        root: _Element = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        raise UnreadableSource(uri, f"{name} is not well-formed XML ({error.msg})") from error
    return root


def _check(uri: str, members: list[zipfile.ZipInfo]) -> None:
    expanded = sum(member.file_size for member in members)
    packed = sum(member.compress_size for member in members)
    if len(members) > _MEMBERS:
        raise UnreadableSource(uri, f"an archive of {len(members):,} members, at most {_MEMBERS:,}")
    if expanded > _EXPANDED or (expanded > _SMALL and expanded > _RATIO * max(packed, 1)):
        raise UnreadableSource(uri, _bomb(expanded))
    if any(member.flag_bits & 1 for member in members):
        raise UnreadableSource(uri, "encrypted; save it without a password")


def _bomb(expanded: int | None = None) -> str:
    size = f"{expanded / 1024**2:,.0f} MB" if expanded else "far more than it says"
    return f"an archive that expands to {size}, out of proportion"
