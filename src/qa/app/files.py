"""The files behind the sources: as they are, to keep, and their pages as pictures."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from urllib.parse import quote as percent_encode

from flask import Blueprint, Response, abort, current_app, request

from qa.app.api import live
from qa.errors import SourceError, UnknownSource
from qa.ingest import file_stat
from qa.readers.render import Picture
from qa.readers.worker import Worker
from qa.types import Document

files = Blueprint("files", __name__)

#: Pictures that are kept, some 100 kB each, and how many are drawn at once.
_KEPT = 24
_AT_ONCE = 2
_PATIENCE = 30.0
#: A year: the address of a picture names the content of its file.
_FOREVER = "private, max-age=31536000, immutable"


class PageImages:
    """Draws pages of PDFs in a process of its own, and keeps the last. Safe to share."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, int], Picture] = OrderedDict()
        self._lock = threading.Lock()
        self._slots = threading.BoundedSemaphore(_AT_ONCE)

    def page(self, document: Document, number: int) -> Picture:
        """Return a page of the file that was indexed, counted from 1.

        :raises SourceError: if it cannot be drawn, or the file is not what was indexed.
        """
        key = (document.sha256, number)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        picture = self._draw(document, number)
        with self._lock:
            self._kept[key] = picture
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return picture

    def _draw(self, document: Document, number: int) -> Picture:
        data = content(document.uri)
        if hashlib.sha256(data).hexdigest() != document.sha256:
            raise SourceError(document.uri, "the file has changed since it was indexed")
        if not self._slots.acquire(timeout=_PATIENCE):
            raise SourceError(document.uri, "too many pages are being drawn; come again")
        try:
            with Worker(live().settings) as worker:
                return worker.draw(document.uri, data, number)
        finally:
            self._slots.release()


def page_images() -> PageImages:
    """Return what draws pages for the application."""
    found: PageImages = current_app.extensions["qa-page-images"]
    return found


def content(uri: str) -> bytes:
    """Return the bytes of the file of an indexed source, as it is now.

    :raises SourceError: if it is not there, or leads out of the corpus.
    """
    settings = live().settings
    path = settings.corpus / uri
    try:
        file_stat(uri, path, settings)
        return path.read_bytes()
    except OSError as error:
        raise SourceError(uri, error.strerror or "cannot be read") from error


def indexed(uri: str) -> Document:
    """Return an indexed source; end the request with 404 where there is none."""
    try:
        return live().assistant().store.document(uri)
    except UnknownSource:
        abort(404, f"{uri} is not among the sources.")


@files.get("/files/<path:uri>")
def download(uri: str) -> Response:
    """Hand out the file of a source to keep; never to be shown as a page of ours."""
    document = indexed(uri)
    try:
        data = content(document.uri)
    except SourceError as error:
        abort(404, f"{uri}: {error.reason}.")
    name = percent_encode(uri.rpartition("/")[2], safe="")
    reply = Response(data, content_type="application/octet-stream")
    reply.headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{name}"
    reply.headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
    reply.headers["Cache-Control"] = "no-store"
    return reply


@files.get("/page-images/<path:uri>")
def page_image(uri: str) -> Response:
    """Return a page of a PDF as a PNG; `page` counts from 1, `of` is the file's sha256."""
    document = indexed(uri)
    number = request.args.get("page", 1, type=int)
    try:
        picture = page_images().page(document, number)
    except SourceError as error:
        abort(404, f"{uri}: {error.reason}.")
    reply = Response(picture.png, content_type="image/png")
    if request.args.get("of") == document.sha256:
        reply.headers["Cache-Control"] = _FOREVER
    return reply
