"""The command line."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import io
import json
import logging
import os
import shutil
import signal
import sys
import tempfile
import textwrap
import threading
import time
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn, get_args

from qa import logs
from qa.config import Settings
from qa.errors import (
    CitationFileError,
    ConfigError,
    FeedbackError,
    IndexBusy,
    IndexDamaged,
    IndexIncompatible,
    IndexMissing,
    QAError,
    QuestionError,
    UnknownGeneration,
    UnknownSource,
)
from qa.text import percent
from qa.types import Answer, Citation, Disagreement, Encoder, Order, RankedPassage, Span

if TYPE_CHECKING:
    from qa.app.jobs import Jobs
    from qa.assistant import Assistant, Live
    from qa.examples import Examples
    from qa.feedback import Feedback
    from qa.ingest import Embed, Report
    from qa.stores.index import Generation

logger = logging.getLogger(__name__)

#: Seconds after which a server looks for a new generation that nobody has asked yet.
_LOOK_AGAIN = 2.0
#: Seconds for which what is prepared ahead waits, again and again, for the questions of people.
_GIVE_WAY = 0.05
#: Seconds that a server gives what it does beside answering to end.
_LAST_SECONDS = 3.0
#: Characters of the longest bar of `qa status`, and sources that it names.
_WIDEST, _LARGEST = 30, 5
DONE, NO, USAGE, NO_INDEX, FAILED = 0, 1, 2, 3, 4

#: Class of error to exit code; the nearest class in the order of resolution decides.
EXIT_CODES: dict[type[QAError], int] = {
    ConfigError: USAGE,
    QuestionError: USAGE,
    CitationFileError: USAGE,
    UnknownSource: USAGE,
    UnknownGeneration: USAGE,
    IndexMissing: NO_INDEX,
    IndexDamaged: NO_INDEX,
    IndexIncompatible: NO_INDEX,
    QAError: FAILED,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command, and return its exit code."""
    arguments = _parser().parse_args(argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s", level=logging.WARNING)
    try:
        settings = Settings.load(os.environ, arguments.config, _given(arguments))
        logs.configure(settings)
        command: Callable[[argparse.Namespace, Settings], int] = arguments.command
        return command(arguments, settings)
    except QAError as error:
        print(f"qa: {error}", file=sys.stderr)
        return next(EXIT_CODES[kind] for kind in type(error).__mro__ if kind in EXIT_CODES)
    except BrokenPipeError:  # the reader of our output went away, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except KeyboardInterrupt:
        print("qa: stopped", file=sys.stderr)
        return FAILED
    except OSError as error:
        print(f"qa: {error.filename or 'output'}: {error.strerror or error}", file=sys.stderr)
        return FAILED
    except Exception as error:  # exit code 1 would mean that the sources do not answer
        logger.exception("this is a fault of the program")
        print(f"qa: {type(error).__name__}: {error}", file=sys.stderr)
        return FAILED


class _Version(argparse.Action):
    """Looks the version up when it is asked for: that takes longer than all other options."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        from importlib import metadata

        print(f"qa {metadata.version('qa')}")
        parser.exit()


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--corpus", type=Path, metavar="DIR", help="the sources (corpus)")
    common.add_argument("--index", type=Path, metavar="DIR", help="the index (index)")
    common.add_argument("--config", type=Path, metavar="FILE", help="settings (qa.toml)")
    parser = argparse.ArgumentParser(
        prog="qa", description="Ask your own documents and get quoted, checkable answers."
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="say which version this is")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, run: Callable[[argparse.Namespace, Settings], int]) -> Any:
        text = (run.__doc__ or "").strip().splitlines()[0]
        command = commands.add_parser(name, parents=[common], help=text, description=text)
        command.set_defaults(command=run)
        return command

    index = add("index", _index)
    index.add_argument("--full", action="store_true", help="build even if nothing changed")
    index.add_argument("--json", action="store_true", help="print the report as JSON")
    index.add_argument("--watch", action="store_true", help="and again whenever a source changes")
    index.add_argument("--events", action="store_true", help="print progress as lines of JSON")
    index.add_argument(
        "--workers",
        metavar="N",
        help="embed in so many processes, or on a cluster: auto, ray://HOST:PORT",
    )
    ask = add("ask", _ask)
    ask.add_argument("question", help="the question, in quotation marks")
    ask.add_argument("--limit", type=int, default=5, metavar="N", help="passages to show, 1 to 50")
    ask.add_argument("--source", action="append", metavar="URI", help="only this; repeatable")
    ask.add_argument("--after", metavar="DAY", help="only sources dated this day or later")
    ask.add_argument("--before", metavar="DAY", help="only sources dated this day or earlier")
    ask.add_argument(
        "--sort", choices=get_args(Order), default="relevance", help="order of the passages"
    )
    form = ask.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print the reply of the JSON interface")
    form.add_argument(
        "--format",
        choices=("text", "json", "markdown", "html"),
        default="text",
        help="text, or an evidence pack, in which every quote was checked",
    )
    ask.add_argument("--output", type=Path, metavar="FILE", help="write to this file, in UTF-8")
    add("chat", _chat)
    serve = add("serve", _serve)
    serve.add_argument("--host", help="address to listen on (127.0.0.1)")
    serve.add_argument("--port", type=int, help="port to listen on, 0 for a free one (8000)")
    serve.add_argument("--watch", action="store_true", help="rebuild when a source changes")
    for name, run in (("status", _status), ("sources", _sources)):
        add(name, run).add_argument("--json", action="store_true", help="print JSON")
    verify = add("verify", _verify)
    verify.add_argument(
        "file",
        nargs="?",
        metavar="ANSWER.json",
        help="what qa ask --json printed, or an evidence pack; - for stdin",
    )
    verify.add_argument("--json", action="store_true", help="print JSON")
    evaluate = add("eval", _eval)
    evaluate.add_argument(
        "file", type=Path, help="SQuAD-format .json, or .jsonl of questions or conversations"
    )
    evaluate.add_argument(
        "--fit", action="store_true", help="fit the confidence on these questions, and keep the fit"
    )
    evaluate.add_argument("--json", action="store_true", help="print JSON")
    feedback = add("feedback", _feedback)
    feedback.add_argument("file", nargs="?", type=Path, help="where it is kept (feedback.jsonl)")
    feedback.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="write the good answers as questions for qa eval",
    )
    back = add("rollback", _rollback)
    back.add_argument("generation", nargs="?", metavar="ID", help="the one before, if not given")
    add("token", _token)
    add("doctor", _doctor)
    return parser


def _given(arguments: argparse.Namespace) -> dict[str, Any]:
    names = [field.name for field in dataclasses.fields(Settings)]
    return {name: getattr(arguments, name) for name in names if hasattr(arguments, name)}


def _print_json(value: Any) -> None:
    print(json.dumps(value, ensure_ascii=False, indent=2))


class _Bar:
    """Shows progress on a terminal, one bar a phase; silent elsewhere."""

    def __init__(self) -> None:
        self._phase = ""
        self._bar: Any = None

    def __call__(self, phase: str, done: int, total: int) -> None:
        from tqdm import tqdm

        if phase != self._phase:
            self.close()
            self._phase = phase
            self._bar = tqdm(total=total, desc=phase, disable=None, leave=False)
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.close()


class _Events:
    """Prints progress as lines of JSON, ten a second at most, and the end of every phase."""

    def __init__(self) -> None:
        self._phase = ""
        self._printed = 0.0

    def __call__(self, phase: str, done: int, total: int) -> None:
        now = time.monotonic()
        if phase != self._phase or done == total or now - self._printed >= 0.1:
            self._phase, self._printed = phase, now
            self.tell({"phase": phase, "done": done, "total": total})

    def tell(self, event: dict[str, Any]) -> None:
        """Print one line."""
        print(json.dumps(event), flush=True)

    def close(self) -> None:
        """End the progress of one build."""
        self._phase = ""


def _index(arguments: argparse.Namespace, settings: Settings) -> int:
    """Build the index, or bring it up to date."""
    from qa.encoder import open_encoder

    if arguments.watch or arguments.events:
        signal.signal(signal.SIGTERM, _interrupt)  # so that what was begun is swept away
    if arguments.watch:
        signal.signal(signal.SIGINT, _interrupt)  # a shell lets its background ignore it
    events = _Events() if arguments.events else None
    try:
        build = partial(_build, arguments, settings, open_encoder(settings), events)
        if arguments.watch:
            return _build_on_change(settings, build, events)
        build()
    except Exception as error:
        _tell_error(error, events)
        raise
    return DONE


def _build(
    arguments: argparse.Namespace, settings: Settings, encoder: Encoder, events: _Events | None
) -> None:
    from qa import bulk
    from qa.ingest import build

    progress = events or _Bar()
    embed = _workers(arguments.workers, settings, encoder) if arguments.workers else None
    try:
        report = build(settings, encoder, full=arguments.full, progress=progress, embed=embed)
    finally:
        progress.close()
    if embed:
        bulk.sweep(settings)
    if events:
        events.tell({"report": dataclasses.asdict(report)})
    elif arguments.json:
        _print_json(dataclasses.asdict(report))
    else:
        _print_report(report)
    sys.stdout.flush()
    arguments.full = False  # a watcher goes on with what changes


def _workers(workers: str, settings: Settings, encoder: Encoder) -> Embed:
    from qa import bulk

    return partial(bulk.embed, settings=settings, encoder=encoder, workers=bulk.check(workers))


def _print_report(report: Report) -> None:
    if report.changed:
        changes = ", ".join(f"{count} {name}" for name, count in report.sources.items() if count)
        if report.reason:
            print(f"Everything was built anew: {report.reason}.")
        print(f"Built generation {report.generation} in {report.seconds['total']:.1f} s.")
        print(f"Sources: {changes or 'none'}.")
        print("Passages: {total}, {reused} reused, {embedded} embedded.".format(**report.passages))
    else:
        print(f"Nothing changed; generation {report.generation} stays.")
    for entry in report.skipped:
        print(f"Skipped {entry.uri}: {entry.reason}")


def _build_on_change(settings: Settings, build: Callable[[], None], events: _Events | None) -> int:
    from qa.watch import RETRY, watch

    def rebuild() -> bool:
        try:
            build()
        except BrokenPipeError:
            raise
        except IndexBusy as error:
            _tell_error(error, events)
            _say(f"{error}; trying again after the next change, or in {RETRY:.0f} s")
            return False
        except Exception as error:  # whatever it is, the next change may mend it
            _tell_error(error, events)
            _say(str(error))
            if not isinstance(error, QAError | OSError):
                logger.exception("this is a fault of the program")
        return True

    with contextlib.suppress(KeyboardInterrupt):
        watch(settings, rebuild, _say, threading.Event())
    return DONE


def _tell_error(error: Exception, events: _Events | None) -> None:
    if events and not isinstance(error, BrokenPipeError):
        events.tell({"error": str(error), "kind": type(error).__name__})


def _say(message: str) -> None:
    print(f"qa: {message}", file=sys.stderr, flush=True)


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _ask(arguments: argparse.Namespace, settings: Settings) -> int:
    """Answer a question with sentences quoted from the sources."""
    from qa.assistant import Assistant

    assistant = Assistant.open(settings=settings)
    reply = assistant.ask(
        arguments.question,
        limit=arguments.limit,
        sources=arguments.source,
        after=arguments.after,
        before=arguments.before,
        sort=arguments.sort,
    )
    with _output(arguments.output):
        if arguments.json:
            _print_json(dataclasses.asdict(reply))
        elif arguments.format != "text":
            print(_pack(arguments, settings, assistant, reply), end="")
        else:
            options = (arguments.source, arguments.after, arguments.before)
            _print_reply(reply, assistant.searched(arguments.question, *options))
    return DONE if reply.answered else NO


_CHAT_HELP = """\
A question may follow up on those before: "and in 2025?", "who mediated that?".
/new      forget the questions before
/sources  list the sources
/help     show this
exit      end, as Ctrl-D does"""


def _chat(arguments: argparse.Namespace, settings: Settings) -> int:
    """Answer one question after another; a question may follow up on those before."""
    from qa.assistant import MOST_TURNS, Live

    with contextlib.suppress(ImportError):
        import readline  # noqa: F401  input() then edits the line and recalls earlier ones
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")  # what is piped in may be no text
    live = Live(settings)
    live.assistant()
    history: list[str] = []
    print('Ask; /help says what else there is, "exit" ends.')
    with contextlib.suppress(EOFError, KeyboardInterrupt):
        while (line := input("\n> ").strip()) != "exit":
            try:
                if line == "/new":
                    history.clear()
                    print("The questions before are forgotten.")
                elif line == "/sources":
                    _print_sources(live.assistant().store)
                elif line.startswith("/"):
                    print(_CHAT_HELP)
                elif line:
                    _print_turn(live.assistant(), line, history[-MOST_TURNS:])
                    history.append(line)
            except QAError as error:
                _say(str(error))
    print()
    return DONE


def _print_turn(assistant: Assistant, question: str, history: Sequence[str]) -> None:
    reply = assistant.ask(question, history=history)
    if reply.interpreted != question:
        print(_wrap(f"Searched for: {reply.interpreted}"))
    _print_reply(reply, assistant.searched(question))


def _print_reply(reply: Answer, sources: int) -> None:
    if reply.answered:
        _print_answer(reply)
    elif reply.passages or not reply.notices:
        _print_refusal(reply, sources)
    for notice in reply.notices:
        print(_wrap(notice.text))


def _pack(
    arguments: argparse.Namespace, settings: Settings, assistant: Assistant, reply: Answer
) -> str:
    from qa.evidence import FORMATS, asked, collect

    given = asked(reply, arguments.source, arguments.after, arguments.before)
    write, _, _ = FORMATS[arguments.format]
    return write(collect(assistant, settings, [given], datetime.now(UTC)))


@contextlib.contextmanager
def _output(file: Path | None) -> Iterator[None]:
    """Write what is printed to a file, where one is named, once it is whole."""
    if file is None:
        yield
        return
    from qa.stores.generation import write_file

    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        yield
    write_file(file, printed.getvalue().encode())


def _safe(text: str) -> str:
    """Return a text without the control characters that a terminal would obey."""
    return "".join(" " if unicodedata.category(found) == "Cc" else found for found in text)


def _wrap(text: str, indent: str = "") -> str:
    width = min(100, shutil.get_terminal_size().columns)
    return textwrap.fill(
        _safe(text),
        width,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,  # an address stays whole
        break_on_hyphens=False,
    )


def _print_answer(reply: Answer) -> None:
    for sentence in reply.answer:
        print(_wrap(f"“{sentence.plain}” [{sentence.citation}]"))
    print()
    for citation in reply.citations:
        print(_wrap(f"[{citation.number}] {_heading(citation)}"))
        place = f"{_safe(citation.uri)}:{citation.line}"
        print(f"    {place}, characters {citation.start}-{citation.end}")
        for reference in citation.references:
            print(_wrap(f"cites: {reference}", "    "))
        for other in citation.also:
            print(f"    Also in: {_safe(other.uri)}, characters {other.start}-{other.end}")
    for found in reply.disagreements:
        _print_disagreement(found)
    print(f"\nConfidence {percent(reply.confidence)}.")


def _print_disagreement(found: Disagreement) -> None:
    print("\nSources differ:")
    for citation, spans in zip(found.citations, found.spans, strict=True):
        print(_wrap(f"[{citation.number}] {_heading(citation)}", "  "))
        print(f"      {_safe(citation.uri)}:{citation.line}")
        print(_wrap(f"“{_emphasised(citation.quote, spans)}”", "      "))


def _emphasised(quote: str, spans: Sequence[Span]) -> str:
    """Return a quote with >signs< around its spans, for want of colours."""
    for start, end in sorted(spans, reverse=True):
        quote = f"{quote[:start]}>{quote[start:end]}<{quote[end:]}"
    return quote


def _heading(found: Citation | RankedPassage) -> str:
    dated = f" ({found.date})" if found.date else ""
    return " > ".join((found.title + dated, *found.section))


def _print_refusal(reply: Answer, sources: int) -> None:
    name = "source" if sources == 1 else "sources"
    verb = "does" if sources == 1 else "do"
    print(f"The {sources} {name} searched {verb} not answer this ", end="")
    print(f"(confidence {percent(reply.confidence)}).")
    if reply.passages:
        print("Related, not an answer:")
    for passage in reply.passages[:3]:
        print(f"\n  {_safe(passage.uri)}:{passage.line}  {_safe(_heading(passage))}")
        print(_wrap(textwrap.shorten(passage.text, 300, placeholder=" …"), "    "))


def _token(arguments: argparse.Namespace, settings: Settings) -> int:
    """Make the token that `qa serve` then asks for, keep it in a file, and print it once."""
    from qa.app.access import make_token

    print(make_token(settings.token_file))
    _say(f"kept in {settings.token_file}, which only you can read; delete it to be asked no more")
    return DONE


def _serve(arguments: argparse.Namespace, settings: Settings) -> int:
    """Serve the chat page and the JSON interface."""
    from qa.app import create_app
    from qa.app.access import is_loopback, read_token
    from qa.app.jobs import Jobs
    from qa.app.server import Server
    from qa.assistant import Live

    token = read_token(settings, os.environ)
    if not token and not is_loopback(settings.host):
        expected = "an address of this machine alone, unless there is a token; make one: qa token"
        raise ConfigError("host", settings.host, expected)
    jobs = Jobs(settings)
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # to wait a moment is no trouble
    live = Live(settings)
    try:
        live.assistant().encoder.encode(["warm"])  # so that the first question is not the slowest
    except QAError as error:
        print(f"qa: {error}; serving without it until it is there", file=sys.stderr)
    try:
        app = create_app(live, jobs, token)
        server = Server(app, jobs, settings)
    except (OSError, ValueError) as error:
        where, why = f"{settings.host}:{settings.port}", getattr(error, "strerror", None) or error
        print(f"qa: cannot listen on {where}: {why}; try --host or --port", file=sys.stderr)
        return FAILED

    print(f"Serving on http://{settings.host}:{server.port} (Ctrl-C stops)", flush=True)
    stopping = threading.Event()
    busy, examples = app.extensions["qa-queue"].busy, app.extensions["qa-examples"]
    beside = [threading.Thread(target=_prepare, args=(live, examples, busy, stopping))]
    if arguments.watch:
        beside.append(threading.Thread(target=_rebuild_on_change, args=(settings, jobs, stopping)))
    for thread in beside:
        thread.start()
    complete = False
    try:
        complete = server.run()
    finally:
        stopping.set()
        jobs.close()
        for thread in beside:
            thread.join(_LAST_SECONDS)
        # a thread in the model cannot be stopped, and Python would wait for it
        if not complete or busy() or any(thread.is_alive() for thread in beside):
            logging.shutdown()
            os._exit(DONE)
    return DONE


def _rebuild_on_change(settings: Settings, jobs: Jobs, stopping: threading.Event) -> None:
    from qa.watch import watch

    try:
        watch(settings, jobs.rebuild, _say, stopping)
    except (OSError, RuntimeError) as error:  # the system watches no more files
        _say(f"the corpus is no longer watched: {error}")


def _prepare(
    live: Live, examples: Examples, busy: Callable[[], bool], stopping: threading.Event
) -> None:
    """Get every generation that becomes live ready before it is asked, while nobody asks."""
    prepared = ""

    def go_on() -> bool:
        while live.assistant() is assistant and not stopping.is_set():
            if not busy():
                return True
            stopping.wait(_GIVE_WAY)
        return False

    while True:
        with contextlib.suppress(QAError):  # without an index there is nothing to prepare
            assistant = live.assistant()
            if assistant.store.generation != prepared:
                prepared = assistant.store.generation
                examples.find(assistant, go_on)
                assistant.prepare(go_on)
        if stopping.wait(_LOOK_AGAIN):
            return


def _status(arguments: argparse.Namespace, settings: Settings) -> int:
    """Describe the live index."""
    from qa.stores.index import open_index

    index = open_index(settings)
    store = index.open()
    manifest = store.manifest
    facts = {**index.facts(), "vectors": store.dense_kind}
    if arguments.json:
        _print_json({"generation": store.generation, **facts, **dataclasses.asdict(manifest)})
        return DONE
    print(f"Generation  {store.generation}")
    print(f"Built       {manifest.created}")
    others = [name for name in index.generations() if name != store.generation]
    print(f"Kept        {', '.join(others) or 'no other'}")
    print(f"Model       {manifest.model}, {manifest.dimension} dimensions")
    print(f"Sources     {manifest.counts['sources']}")
    print(f"Passages    {manifest.counts['passages']}")
    for name, value in facts.items():
        print(f"{name.capitalize():<11} {value}")
    print(f"Skipped     {len(manifest.skipped)}")
    for entry in manifest.skipped:
        print(f"  {entry.uri}: {entry.reason}")
    _print_shape(store)
    return DONE


def _print_shape(store: Generation) -> None:
    """Print bars: how many sources there are of each time, and the largest of them."""
    from qa.shape import shape

    found = shape(store)
    if found.periods:
        print("\nSources by date")
        _print_bars(found.periods)
    largest = [(entry.source.uri, entry.source.characters) for entry in found.largest[:_LARGEST]]
    if largest:
        print("\nLargest, in characters")
        _print_bars(largest)


def _print_bars(rows: Sequence[tuple[str, int]]) -> None:
    most = max(count for _, count in rows)
    width = max(len(_safe(name)) for name, _ in rows)
    for name, count in rows:
        bar = "#" * max(bool(count), round(_WIDEST * count / most))
        print(f"  {_safe(name):<{width}}  {bar} {count}")


def _rollback(arguments: argparse.Namespace, settings: Settings) -> int:
    """Return to the generation before the live one, or to one that is named."""
    from qa.stores.index import open_index

    name = open_index(settings).rollback(arguments.generation)
    print(f"Generation {name} is live. The next `qa index` brings it up to date again.")
    return DONE


def _sources(arguments: argparse.Namespace, settings: Settings) -> int:
    """List the sources in the index."""
    from qa.stores.index import open_index

    store = open_index(settings).open()
    if arguments.json:
        _print_json([dataclasses.asdict(source) for source in store.sources()])
        return DONE
    _print_sources(store)
    return DONE


def _print_sources(store: Generation) -> None:
    for source in store.sources():
        dated = source.date or "undated"
        print(f"{source.uri}  {dated}  {source.passages} passages  {source.title}")
    for entry in store.manifest.skipped:
        print(f"{entry.uri}  skipped: {entry.reason}")


def _verify(arguments: argparse.Namespace, settings: Settings) -> int:
    """Check citations, or all sources of the index, against the files as they are now."""
    from qa.verify import read_citations, verify

    if arguments.file is None:
        return _verify_sources(arguments, settings)
    cited = read_citations(arguments.file, _read_text(arguments.file))
    checked = verify(settings, cited)
    if arguments.json:
        _print_json({"citations": [dataclasses.asdict(entry) for entry in checked]})
    else:
        for entry in checked:
            line = f"{entry.state:<9} {_safe(entry.uri)}, characters {entry.start}-{entry.end}"
            if entry.moved_to:
                now = entry.moved_to
                line += f", now {_safe(now.uri)}, characters {now.start}-{now.end}"
            print(line)
        print(_counted("citation", [entry.state for entry in checked]))
    return DONE if all(entry.state == "valid" for entry in checked) else NO


def _verify_sources(arguments: argparse.Namespace, settings: Settings) -> int:
    from qa.stores.index import open_index
    from qa.verify import verify_sources

    store = open_index(settings).open()
    checked = list(verify_sources(settings, list(store.sources()), store.manifest.skipped))
    if arguments.json:
        sources = [dataclasses.asdict(entry) for entry in checked]
        _print_json({"generation": store.generation, "sources": sources})
    else:
        for entry in checked:
            if entry.state != "unchanged":
                print(f"{entry.state:<9} {_safe(entry.uri)}")
        print(_counted("source", [entry.state for entry in checked]))
    return DONE if all(entry.state == "unchanged" for entry in checked) else NO


def _read_text(name: str) -> str:
    try:
        return sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8"
        raise CitationFileError(name, reason) from error


def _counted(noun: str, states: Sequence[str]) -> str:
    counts = ", ".join(f"{count} {state}" for state, count in Counter(states).items())
    return f"{len(states)} {noun}{'' if len(states) == 1 else 's'}{': ' if counts else ''}{counts}."


def _eval(arguments: argparse.Namespace, settings: Settings) -> int:
    """Measure retrieval, answers and refusals on a file of questions."""
    bar = _Bar()
    try:
        with tempfile.TemporaryDirectory(prefix="qa-eval-") as folder:
            measured = _fit if arguments.fit else _measured
            result = measured(arguments.file, settings, Path(folder), bar)
    finally:
        bar.close()
    if arguments.json:
        _print_json(result)
        return DONE
    _print_measures(str(arguments.file), result)
    for name, values in result.get("groups", {}).items():
        _print_measures(f"group {name}", values)
    for row in result.get("reliability", []):
        print("  confidence from {from:.1f}: {questions:>5} questions, ".format(**row), end="")
        print("{predicted:.2f} predicted, {observed:.2f} observed".format(**row))
    if arguments.fit:
        print(f"Wrote {settings.calibration}; it is used from now on.")
    return DONE


def _measured(file: Path, settings: Settings, folder: Path, bar: _Bar) -> dict[str, Any]:
    from qa.evaluate import evaluate

    return evaluate(file, settings, folder, bar)


def _fit(file: Path, settings: Settings, folder: Path, bar: _Bar) -> dict[str, Any]:
    from qa import calibration
    from qa.evaluate import fit_calibration

    # a fit that cannot be used must not keep a new one from being made
    unfitted = dataclasses.replace(settings, calibration=folder / settings.calibration.name)
    kind, fitted, result = fit_calibration(file, unfitted, folder, bar)
    calibration.write(settings.calibration, kind, fitted, result["answerable"])
    return {"threshold": fitted.threshold, **result}


def _print_measures(title: str, result: dict[str, Any]) -> None:
    print(title)
    for name, value in result.items():
        if name not in ("groups", "reliability") and value is not None:
            shown = f"{value:.4g}" if isinstance(value, float) else str(value)
            print(f"  {name:<38}{shown:>10}")


def _feedback(arguments: argparse.Namespace, settings: Settings) -> int:
    """Count the feedback on answers, show what was bad, make questions of what was good."""
    from qa.feedback import latest, questions, read

    path: Path = arguments.file or settings.feedback
    entries, broken = read(path)
    for line in broken:
        _say(f"{path}, line {line.number} was skipped: {line.reason}")
    kept = latest(entries)
    bad = [entry for entry in kept if entry.verdict == "bad"]
    print(_counted("answer", [entry.verdict for entry in kept]))
    if bad:
        print("To look at:")
    for entry in bad:
        _print_feedback(entry)
    if arguments.output:
        _write_questions(arguments.output, path, questions(kept))
    return DONE


def _print_feedback(entry: Feedback) -> None:
    print(f"\n{_wrap(entry.interpreted)}")
    for cited in entry.citations:
        print(_wrap(f"answered: “{cited.quote}”", "    "))
        print(f"    {_safe(cited.uri)}, characters {cited.start}-{cited.end}")
    if not entry.citations:
        print("    not answered")
    if entry.note:
        print(_wrap(f"note: {entry.note}", "    "))


def _write_questions(file: Path, feedback: Path, found: Sequence[dict[str, Any]]) -> None:
    from qa.stores.generation import write_file

    if file.resolve() == feedback.resolve():
        raise FeedbackError(file, "would be overwritten; name another file with --output")
    lines = [json.dumps(question, ensure_ascii=False) + "\n" for question in found]
    write_file(file, "".join(lines).encode())
    noun = "question" if len(found) == 1 else "questions"
    print(f"\nWrote {len(found)} {noun} to {file}; measure: qa eval {file}")


def _doctor(arguments: argparse.Namespace, settings: Settings) -> int:
    """Check that everything the program needs is there and sound."""
    from qa.doctor import checks

    sound = True
    for check in checks(settings):
        sound = sound and check.sound
        print(f"{'ok ' if check.sound else 'BAD'}  {check.name}: {check.finding}")
    return DONE if sound else NO
