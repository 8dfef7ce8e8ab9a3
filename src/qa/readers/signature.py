"""What a file is, told from its first bytes, for files whose name says something else."""

from __future__ import annotations

_SIGNATURES = {
    b"%PDF-": "a PDF",
    b"\x89PNG\r\n": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"GIF8": "a GIF image",
    b"II*\0": "a TIFF image",
    b"MM\0*": "a TIFF image",
    b"PK\x03\x04": "a ZIP archive, such as DOCX, XLSX, PPTX, ODT or EPUB",
    b"PK\x05\x06": "an empty ZIP archive",
    b"\xd0\xcf\x11\xe0": "an Office file of before 2007, or an encrypted one",
    b"{\\rtf": "RTF",
    b"\x1f\x8b": "a gzip archive",
    b"7z\xbc\xaf": "a 7z archive",
    b"Rar!": "a RAR archive",
    b"BZh": "a bzip2 archive",
    b"\xfd7zXZ": "an xz archive",
    b"\x28\xb5\x2f\xfd": "a Zstandard archive",
    b"\x7fELF": "a program",
    b"MZ": "a program",
    b"SQLite format 3": "an SQLite database",
    b"OggS": "sound or video",
    b"ID3": "sound or video",
    b"RIFF": "sound, video or a picture",
}


def looks_like(data: bytes) -> str:
    """Name what bytes seem to be."""
    if not data.strip():
        return "an empty file"
    for start, name in _SIGNATURES.items():
        if data.startswith(start):
            return name
    head = data[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if head.startswith((b"<!doctype html", b"<html")):
        return "HTML"
    if head.startswith(b"<?xml"):
        return "XML"
    try:
        data[:1024].decode("utf-8")
    except UnicodeDecodeError as error:
        return "text" if error.start > 1000 and b"\0" not in head else "something else"
    return "something else" if b"\0" in head else "text"
