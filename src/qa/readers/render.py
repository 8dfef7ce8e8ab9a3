"""Pages of a PDF as pictures."""

from __future__ import annotations

import ctypes
import struct
import zlib
from dataclasses import dataclass
from typing import Any

from qa.errors import UnreadableSource
from qa.types import Span

#: Pixels across, sharp on a screen where a page is as wide as a hand.
_WIDTH = 1100
#: Pixels of the longer side of a page that is very tall.
_LONGEST = 4000
_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True, slots=True)
class Picture:
    """A page as a PNG, with the way from points on the page to its pixels."""

    png: bytes
    #: pixels
    width: int
    height: int
    #: a, b, c, d, e, f: x, y of the page is at a x + c y + e, b x + d y + f of the picture
    matrix: tuple[float, ...]


def box(picture: Picture, sides: tuple[float, float, float, float]) -> tuple[float, ...]:
    """Return x, y, width and height in the picture of a box on the page (x0, y0, x1, y1)."""
    a, b, c, d, e, f = picture.matrix
    x0, y0, x1, y1 = sides
    xs = [a * x + c * y + e for x in (x0, x1) for y in (y0, y1)]
    ys = [b * x + d * y + f for x in (x0, x1) for y in (y0, y1)]
    return min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)


def draw(uri: str, data: bytes, number: int) -> Picture:
    """Draw a page, counted from 1.

    :raises UnreadableSource: if there is no such page, or it is damaged.
    """
    from qa.readers.draft import needs

    pdfium = needs(uri, "pypdfium2", "pypdfium2")
    try:
        file = pdfium.PdfDocument(data)
    except pdfium.PdfiumError as error:
        raise UnreadableSource(uri, f"PDF that cannot be opened ({error})") from error
    try:
        if not 1 <= number <= len(file):
            raise UnreadableSource(uri, f"has no page {number}")
        return _draw(pdfium, file[number - 1])
    except pdfium.PdfiumError as error:
        raise UnreadableSource(uri, f"page {number} is damaged ({error})") from error
    finally:
        file.close()


def _draw(pdfium: Any, page: Any) -> Picture:
    across, down = page.get_size()
    scale = min(_WIDTH / across, _LONGEST / down)
    bitmap = page.render(scale=scale, rev_byteorder=True, prefer_bgrx=False)
    width, height = bitmap.width, bitmap.height
    pixels = _pixels(bytes(bitmap.buffer), (width, height), bitmap.stride, bitmap.n_channels)
    picture = Picture(_png(pixels, width, height), width, height, _matrix(pdfium.raw, page, bitmap))
    bitmap.close()
    page.close()
    return picture


def _matrix(raw: Any, page: Any, bitmap: Any) -> tuple[float, ...]:
    """Return how points become pixels, whatever the crop and the rotation of the page."""
    far = 1000.0
    (e, f), (x1, y1), (x2, y2) = (
        _to_pixel(raw, page, bitmap, x, y) for x, y in ((0.0, 0.0), (far, 0.0), (0.0, far))
    )
    a, b, c, d = (x1 - e) / far, (y1 - f) / far, (x2 - e) / far, (y2 - f) / far
    return a, b, c, d, e, f


def _to_pixel(raw: Any, page: Any, bitmap: Any, x: float, y: float) -> tuple[float, float]:
    # the device is a hundred times finer than the picture, since it counts in whole numbers
    fine = 100
    left, top = ctypes.c_int(), ctypes.c_int()
    size = bitmap.width * fine, bitmap.height * fine
    raw.FPDF_PageToDevice(page, 0, 0, *size, 0, x, y, left, top)
    return left.value / fine, top.value / fine


def _pixels(buffer: bytes, size: Span, stride: int, channels: int) -> list[bytes]:
    """Return the rows of a picture, three bytes a pixel."""
    width, height = size
    rows = [buffer[line * stride : line * stride + width * channels] for line in range(height)]
    if channels == 3:
        return rows
    if channels == 1:
        return [bytes(value for value in row for _ in range(3)) for row in rows]
    kept = []
    for row in rows:
        part = bytearray(width * 3)
        for channel in range(3):
            part[channel::3] = row[channel::channels]
        kept.append(bytes(part))
    return kept


def _png(rows: list[bytes], width: int, height: int) -> bytes:
    """Write a PNG (https://www.w3.org/TR/png-3/), eight bits a channel, no filter."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row for row in rows), 6)
    chunks = ((b"IHDR", header), (b"IDAT", data), (b"IEND", b""))
    return _PNG + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )
