"""The pages: the chat, an answer, the sources, one of them with a quote marked, the status."""

from __future__ import annotations

import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Response, abort, current_app, redirect, render_template, request

from qa.answer import link
from qa.app.access import signed_in
from qa.app.api import check_limits, fallback, live, note
from qa.app.blocks import blocks, outline
from qa.app.cited import cited_places
from qa.app.files import indexed
from qa.app.problems import advice
from qa.app.queue import queue
from qa.app.security import comes_from_elsewhere
from qa.app.sheet import number_of, sheet
from qa.app.source_list import listed
from qa.app.words import confidence_in_words, size_in_words
from qa.assistant import LONGEST_QUESTION
from qa.errors import QAError, QuestionError
from qa.examples import Examples
from qa.shape import shape
from qa.text import percent
from qa.types import Citation, Document, Span
from qa.verify import Cited, locate

pages = Blueprint("pages", __name__)
pages.add_app_template_filter(size_in_words, "size")
pages.add_app_template_filter(confidence_in_words, "confidence")
pages.add_app_template_filter(percent)

#: Spans besides the cited one that a link may mark.
_MOST_NEAR = 50
_NEAR = re.compile(r"(\d{1,12})-(\d{1,12})", re.ASCII)
#: A longer quote makes an address that some programs cut off; its place alone is named then.
_LONGEST_QUOTE = 1500


@pages.context_processor
def everywhere() -> dict[str, Any]:
    """Return what every page says."""
    return {
        "signed_in": signed_in(),
        "longest": min(LONGEST_QUESTION, live().settings.max_question),
        "most_turns": live().settings.max_history,
    }


@pages.get("/")
def chat() -> str:
    """Show the chat."""
    generation, questions = "", tuple[str, ...]()
    facts: dict[str, Any] = {"sources": 0, "passages": 0, "skipped": 0, "built": ""}
    try:
        store = live().assistant().store
        generation, trouble = store.generation, ""
        questions = examples().of(generation)
        facts = {
            **store.manifest.counts,
            "skipped": len(store.manifest.skipped),
            "built": store.manifest.created,
        }
    except QAError as error:
        trouble = advice(error)
    return render_template(
        "chat.html",
        **facts,
        generation=generation,
        examples=questions,
        trouble=trouble,
        fallback=fallback(),
        elsewhere=comes_from_elsewhere(),
    )


def examples() -> Examples:
    """Return the example questions of the application."""
    found: Examples = current_app.extensions["qa-examples"]
    return found


@pages.get("/ask")
def ask() -> tuple[str, int]:
    """Answer on a page that needs no script; a page of another site only fills in the question."""
    question = request.args.get("q", "").strip()
    earlier = _last([turn for turn in request.args.getlist("earlier") if turn.strip()])
    reply, trouble = None, ""
    if question and not comes_from_elsewhere():
        answering = live().assistant()
        try:
            check_limits(question)
            reply = queue().run(lambda: answering.ask(question, history=earlier))
            note(question, reply)
        except QuestionError as error:
            trouble = str(error)
    page = render_template(
        "answer.html",
        question=question,
        earlier=_last([*earlier, question]) if reply else earlier,
        reply=reply,
        trouble=trouble,
    )
    return page, HTTPStatus.UNPROCESSABLE_ENTITY if trouble else HTTPStatus.OK


def _last(turns: Sequence[str]) -> Sequence[str]:
    """Return as many turns of a thread as this server takes with a question."""
    most = live().settings.max_history
    return turns[-most:] if most else []


@pages.app_template_filter()
def kept_link(citation: Citation) -> str:
    """Return the address of a citation, by which its quote is found again in a changed source."""
    if len(citation.quote) > _LONGEST_QUOTE:
        return citation.link
    return f"{citation.link}&{urlencode({'quote': citation.quote, 'sha256': citation.sha256})}"


@pages.get("/sources")
def sources() -> str:
    """List the sources, and the files that could not be read."""
    store = live().assistant().store
    return render_template(
        "sources.html",
        sources=list(listed(store, live().settings)),
        skipped=store.manifest.skipped,
        generation=store.generation,
        uploads=live().settings.uploads,
        upload_mb=live().settings.upload_mb,
    )


@pages.get("/status")
def status() -> str:
    """Show the shape of the index."""
    store = live().assistant().store
    return render_template(
        "status.html",
        manifest=store.manifest,
        generation=store.generation,
        shape=shape(store),
        cited=cited_places().of(store.generation),
    )


@pages.get("/sources/<path:uri>")
def source(uri: str) -> str | Response:
    """Show a source; `start` and `end` mark a span of it, in code points.

    With the `quote` that stands there, it is found again where it moved, by the `sha256` of the
    file also under another name; `near` (repeated, "start-end") marks more, faintly.
    """
    quote, span = request.args.get("quote", ""), None
    place, state = _located(uri, quote)
    if place and place[0] != uri:
        again = {"quote": quote, "sha256": request.args.get("sha256", "")}
        return redirect(f"{link(*place)}&{urlencode(again)}", 302)  # type: ignore[return-value]
    if state == "missing":
        abort(404, f"{uri} is not among the sources any more. It said: “{quote}”")
    document = indexed(uri)
    if place:
        span = place[1:]
    elif not quote:
        span = _span(document)
    near = _near(len(document.text)) if state != "moved" else []  # offsets of an older text
    page = number_of(document, span, request.args.get("page", type=int))
    drawn = request.args.get("view") != "text" and page is not None
    shown = sheet(document, page, span, near) if drawn and page else None
    return render_template(
        "source.html",
        document=document,
        blocks=list(blocks(document, span, near, shown.within if shown else None)),
        outline=outline(document),
        span=span,
        quote=document.text[slice(*span)] if span else quote,
        state=state,
        sheet=shown,
        has_pages=page is not None,
        flows=document.uri.lower().endswith((".md", ".markdown")),  # line ends mean nothing
    )


def _located(uri: str, quote: str) -> tuple[tuple[str, int, int] | None, str]:
    """Return where the quote of a link stands now, if anywhere, and what became of it."""
    if not quote:
        return None, ""
    start, end = (request.args.get(name, 0, type=int) for name in ("start", "end"))
    sha256 = request.args.get("sha256") or None
    checked = locate(
        live().assistant().store, Cited(uri, max(0, start), max(0, end), quote, sha256)
    )
    if checked.state == "valid":
        return (uri, checked.start, checked.end), "valid"
    if checked.moved_to:
        now = checked.moved_to
        return (now.uri, now.start, now.end), "moved"
    return None, checked.state


def _span(document: Document) -> Span | None:
    values = [request.args.get(name) for name in ("start", "end")]
    if values == [None, None]:
        return None
    try:
        start, end = (int(value or "") for value in values)
    except ValueError:
        abort(422, "start and end are whole numbers: 0-based offsets in code points.")
    if not 0 <= start < end <= len(document.text):
        abort(422, f"start and end are at most {len(document.text)}, start before end.")
    return start, end


def _near(length: int) -> Sequence[Span]:
    """Return the spans to mark faintly; what is none is left out."""
    given = (_NEAR.fullmatch(value) for value in request.args.getlist("near")[:_MOST_NEAR])
    spans = [(int(found[1]), int(found[2])) for found in given if found]
    return [(start, end) for start, end in spans if start < end <= length]
