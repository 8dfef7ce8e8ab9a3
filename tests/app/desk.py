"""A server over sources of many kinds, with a fake model, and the page in headless Chromium."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from playwright.sync_api import Browser, Page, expect
from werkzeug.serving import WSGIRequestHandler, make_server

import qa.assistant
import qa.examples
from app.test_browser import fits
from fakes import CORPUS, FakeEncoder, fill
from qa.app import create_app
from qa.app.jobs import Jobs
from qa.assistant import Live
from qa.config import Settings
from qa.ingest import build
from qa.scorer import NONE
from readers.build import pdf_pages

#: Three sentences that answer the same question, among other text.
LAKE = """\
---
title: The heron lake
date: 2025-03-01
---
# The heron lake

## Boats

The heron lake holds ten wooden boats. The heron lake holds two iron boats. Herons nest here.

## Rules of the shore

Nobody swims before noon. The heron lake holds one old boat.

## Tables of the harbour

| Boat | Length |
|---|---|
| Alder | 4 m |
| Birch | 6 m |
"""
LAKE_QUESTION = "What boats does the heron lake hold?"
#: One for each of the lines on the second page; the third stands at 472 points of 600.
PDF = pdf_pages(
    ["The first page is about mills.", "Mills grind grain into flour."],
    ["Quarries give stone.", "", "The granite quarry opened in spring of 1874.", "It closed."],
    title="A report on quarries",
)
PDF_QUESTION = "When did the granite quarry open?"
ATTACKS = {
    "attack.md": "---\ntitle: <img src=x onerror=document.title='owned'>\n---\n"
    "The walrus said <script>document.title='owned'</script> loudly. "
    "[A walrus link](javascript:document.title='owned') says onerror=alert(1).\n",
    "tags.txt": "The badger said <script>document.title='owned'</script> and "
    "<img src=x onerror=document.title='owned'> loudly.\n",
    "marks.txt": "The wombat wrote e" + "\u0301" * 10_000 + " in a book.\n",
    "turned.txt": "The lemur wrote \u202egnihtemos\u202c backwards \u2066and\u2069 on.\n",
    "long.md": f"---\ntitle: {'Endless' * 715}\n---\nThe ocelot has a source with a long title.\n",
}
#: Runs a command with the fake model.
FAKED = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
import qa.encoder
from fakes import FakeEncoder
qa.encoder.open_encoder = lambda settings: FakeEncoder()
from qa.cli import main
sys.exit(main(sys.argv[1:]))
"""
SIZES = {"desktop": (1280, 860, "light"), "phone": (320, 640, "dark")}


@dataclass(frozen=True)
class Desk:
    """A server, and what it serves."""

    address: str
    settings: Settings
    app: Flask


class _Quiet(WSGIRequestHandler):
    def log_request(self, *arguments: object) -> None:
        """Say nothing: pytest closes its streams before the last request has been logged."""


@contextmanager
def listening(app: Flask) -> Iterator[str]:
    """Serve an app in this process; yield its address."""
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def serving(root: Path, files: dict[str, Any], **changes: Any) -> Iterator[Desk]:
    """Serve some files, whatever the confidence of an answer; uploads are on."""
    given = {"threshold": 0.0, "selector": NONE, "uploads": True, **changes}
    settings = Settings(corpus=root / "corpus", index=root / "index", **given)
    fill(settings.corpus, files)
    build(settings, FakeEncoder())
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(qa.assistant, "open_encoder", lambda settings: FakeEncoder())
        patched.setattr(qa.examples, "_CONFIDENCE", 0.0)  # the fake model is sure of nothing
        jobs = Jobs(settings, [sys.executable, "-c", FAKED])
        live = Live(settings)
        app = create_app(live, jobs)
        app.extensions["qa-examples"].find(live.assistant(), lambda: True)
        with listening(app) as address:
            try:
                yield Desk(address, settings, app)
            finally:
                jobs.close()


def sources() -> dict[str, Any]:
    """Return the files of a usual corpus."""
    table = "City,Population,River\nVienna,2005760,Danube\nCologne,1087353,Rhine\n"
    return {**CORPUS, "lake.md": LAKE, "quarries.pdf": PDF, "cities.csv": table, **ATTACKS}


@contextmanager
def opened(
    browser: Browser, address: str, size: str = "desktop", ignore: str = "", **options: Any
) -> Iterator[Page]:
    """Open a page; nothing may be on the console, no request may leave the server.

    :param ignore: a part of what the console may say.
    """
    width, height, scheme = SIZES[size]
    own = "/".join(address.split("/")[:3])
    trouble: list[str] = []
    options = {
        "viewport": {"width": width, "height": height},
        "color_scheme": scheme,
        "reduced_motion": "reduce",
        **options,
    }
    context = browser.new_context(**options)
    page = context.new_page()
    page.on("console", lambda message: trouble.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: trouble.append(f"error: {error}"))
    page.on(
        "request",
        lambda request: (
            None if request.url.startswith((own, "blob:", "data:")) else trouble.append(request.url)
        ),
    )
    try:
        page.goto(address)
        yield page
        assert fits(page)
    finally:
        context.close()
    assert [line for line in trouble if not ignore or ignore not in line] == []


def ask(page: Page, question: str) -> Any:
    """Ask with the keyboard, and return the entry of the thread."""
    count = page.locator("#thread > li").count()
    page.get_by_label("Your question").fill(question)
    page.keyboard.press("Enter")
    entry = page.locator("#thread > li").nth(count)
    expect(entry.locator(".reply:not(.waiting)")).to_be_visible()
    return entry


def violations(page: Page, axe: str) -> list[str]:
    """Return what axe-core finds wrong with a page, WCAG 2.2 AA and its best practices."""
    page.evaluate(axe)
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
    found = page.evaluate(
        "tags => axe.run(document, {runOnly: {type: 'tag', values: tags}})", tags
    )["violations"]
    return [
        f"{entry['id']}: {node['html'][:160]} {node['failureSummary']}"
        for entry in found
        for node in entry["nodes"]
    ]
