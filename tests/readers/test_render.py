from __future__ import annotations

import io
import zlib
from typing import Any

import pytest

from qa.config import Settings
from qa.errors import UnreadableSource
from qa.readers import read
from qa.readers.render import Picture, box, draw
from qa.readers.worker import Worker
from readers.build import lines, pdf

LINE = "A line of words."


def drawn(canvas: Any) -> None:
    lines(canvas, [LINE], x=100, y=400, size=20)


def turned(data: bytes, angle: int, crop: tuple[int, int, int, int] | None = None) -> bytes:
    """Return a PDF whose first page is rotated, and cropped."""
    import pypdfium2

    file = pypdfium2.PdfDocument(data)
    page = file[0]
    page.set_rotation(angle)
    if crop:
        page.set_cropbox(*crop)
    buffer = io.BytesIO()
    file.save(buffer)
    file.close()
    return buffer.getvalue()


def dark(picture: Picture) -> tuple[int, int, int, int]:
    """Return the box around everything that is not white: left, top, right, bottom."""
    data = picture.png
    at, packed = 8, b""
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        if data[at + 4 : at + 8] == b"IDAT":
            packed += data[at + 8 : at + 8 + size]
        at += size + 12
    raw, stride = zlib.decompress(packed), 1 + 3 * picture.width
    rows = [raw[line * stride + 1 : (line + 1) * stride] for line in range(picture.height)]
    inked = [number for number, row in enumerate(rows) if min(row) < 128]
    columns = [
        column
        for column in range(picture.width)
        if min(row[3 * column] for row in rows[inked[0] : inked[-1] + 1]) < 128
    ]
    return columns[0], inked[0], columns[-1], inked[-1]


@pytest.mark.parametrize("angle", [0, 90, 180, 270])
@pytest.mark.parametrize("crop", [None, (60, 200, 380, 560)], ids=["whole", "cropped"])
def test_the_box_of_a_line_is_around_its_ink(
    angle: int, crop: tuple[int, int, int, int] | None
) -> None:
    data = turned(pdf(drawn), angle, crop)
    (line,) = (mark for mark in read("a.pdf", data).marks if mark.kind == "line")
    x0, y0, x1, y1 = (float(side) for side in line.label.split())
    picture = draw("a.pdf", data, 1)
    x, y, width, height = box(picture, (x0, y0, x1, y1))
    left, top, right, bottom = dark(picture)
    assert x - 4 <= left and y - 4 <= top and right <= x + width + 4 and bottom <= y + height + 4
    across, down = (height, width) if angle % 180 else (width, height)
    assert (right - left if not angle % 180 else bottom - top) > 0.9 * across
    assert down < 0.3 * across  # it is a line, whichever way it runs


def test_a_page_is_drawn_in_the_process_that_reads() -> None:
    data = pdf(drawn)
    with Worker(Settings()) as worker:
        picture = worker.draw("a.pdf", data, 1)
        assert picture == draw("a.pdf", data, 1)
        with pytest.raises(UnreadableSource, match="has no page 2"):
            worker.draw("a.pdf", data, 2)
        with pytest.raises(UnreadableSource, match="cannot be opened"):
            worker.draw("a.pdf", b"%PDF-1.7", 1)
        assert worker.read("a.pdf", data).text == LINE


def test_a_very_tall_page_is_drawn_no_larger_than_is_sensible() -> None:
    picture = draw("a.pdf", pdf(drawn, size=(400, 14_000)), 1)
    assert (picture.width, picture.height) == (115, 4000)
