"""Time answers against the bare encoder call, in one run: `make bench`.

Every figure is the median over the same questions, taken in turn, so that a machine that slows
down slows all of them. The ratios are what to compare; milliseconds belong to the machine.

    python -m benchmarks.speed [--corpus DIR] [--dry]

Writes benchmarks/speed.json and the README's table.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.machine import described
from benchmarks.peers.work import generated
from benchmarks.report import record, replace_table, shown
from qa.assistant import Assistant
from qa.config import Settings
from qa.encoder import open_encoder
from qa.ingest import build, encoded_text
from qa.readers import read
from qa.retrieve import retrieve
from qa.splitter import split

ROOT = Path(__file__).parents[1]
ROUNDS = 15
COLD_STARTS = 5
CLIENTS = (1, 4, 16)
CLIENT_ROUNDS, REQUESTS = 3, 96
TOWNS, INDEX_ROUNDS = 400, 3
SOURCES = 2000
REBUILDS = 5
QUESTIONS = [
    "How large did the US Treasury estimate targeted sanctions to be by mid-2024?",
    "Which countries help with backchannel talks?",
    "How did Europe reduce its dependence on Russian energy?",
    "What happened in 2014?",
    "Where is Russia expanding its military cooperation?",
    "Who won the 2018 World Cup?",
    "How do Russian state media shape what people think of the West?",
    "What would lasting détente require?",
    "How has Russia adapted to sanctions?",
    "How many Ukrainians are displaced?",
]


def main() -> None:
    """Build an index of a corpus, time every step, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", type=Path, default=Path("corpus"))
    parser.add_argument("--dry", action="store_true", help="print, write nothing")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(corpus=arguments.corpus, index=Path(folder, "index"))
        report = build(settings, open_encoder(settings))
        figures = {
            **described(),
            "passages": report.passages["total"],
            **warm(settings),
            **clients(settings),
            **cold(settings),
            **indexing(Path(folder, "towns")),
            **rebuild(Path(folder, "many")),
        }
    for name, value in figures.items():
        print(f"{name:<60}{shown(value)}")
    if not arguments.dry:
        record(ROOT / "benchmarks" / "speed.json", figures)
        lines = [["figure", ""], *([name, shown(value)] for name, value in figures.items())]
        replace_table(ROOT / "README.md", "speed", lines)


def warm(settings: Settings) -> dict[str, float]:
    """Time encoder, retrieval, answer and HTTP reply for the same questions in turn."""
    assistant = Assistant.open(settings=settings)
    encoder, store = assistant.encoder, assistant.store

    def search(question: str) -> None:
        vector = encoder.encode([question])[0]
        retrieve(
            store,
            question,
            vector,
            dense_weight=settings.dense_weight,
            candidates=settings.candidates,
            limit=5,
        )

    def ask_first(question: str) -> None:
        Assistant.open(settings=settings, encoder=encoder).ask(question)  # knows no sentence yet

    server, connection = serve(settings)

    steps: dict[str, Callable[[str], Any]] = {
        "bare encoder call": lambda question: encoder.encode([question]),
        "retrieval": search,
        "answer": assistant.ask,
        "open, and answer without a sentence seen before": ask_first,
        "POST /api/v1/answer": lambda question: post(connection, question),
    }
    taken: dict[str, list[float]] = {name: [] for name in steps}
    for turn in range(ROUNDS + 1):
        for question in QUESTIONS:
            encoder.encode([question])  # so that the first step is no colder than the others
            for name, step in steps.items():
                began = time.perf_counter()
                step(question)
                if turn:  # the first round warms every step up
                    taken[name].append((time.perf_counter() - began) * 1000)
    connection.close()
    server.terminate()
    server.wait()
    middle = {name: statistics.median(values) for name, values in taken.items()}
    base = middle["bare encoder call"]
    return {
        **{f"{name}, p50 ms": value for name, value in middle.items()},
        **{f"{name} / bare encoder call": value / base for name, value in middle.items()},
    }


def serve(settings: Settings) -> tuple[subprocess.Popen[str], http.client.HTTPConnection]:
    """Start `qa serve` and connect to it."""
    command = [sys.executable, "-m", "qa", "serve", "--port", "0", "--index", str(settings.index)]
    environ = {**os.environ, "QA_RATE_PER_MINUTE": "0"}
    server = subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8", env=environ)
    assert server.stdout
    line = server.stdout.readline()
    found = re.search(r":(\d+)", line.partition("//")[2])
    assert found, line
    return server, http.client.HTTPConnection("127.0.0.1", int(found[1]))


def clients(settings: Settings) -> dict[str, float]:
    """Let 1, 4 and 16 clients ask at once, in turns; each waits for its reply before it goes on."""
    server, connection = serve(settings)
    port = connection.port
    runs: dict[int, list[tuple[float, float, float]]] = {count: [] for count in CLIENTS}
    ask_together(port, max(CLIENTS), len(QUESTIONS) * 4)
    for _ in range(CLIENT_ROUNDS):
        for count, taken in runs.items():
            taken.append(ask_together(port, count, REQUESTS))
    server.terminate()
    server.wait()
    found = {}
    for count, taken in runs.items():
        rate, middle, worst = (statistics.median(values) for values in zip(*taken, strict=True))
        name = f"{count} client{'s' if count > 1 else ''}"
        found |= {
            f"{name}, answers/s": rate,
            f"{name}, p50 ms": middle,
            f"{name}, p95 ms": worst,
        }
    one, four = "1 client", "4 clients"
    return {
        **found,
        "4 clients / 1 client, answers/s": found[f"{four}, answers/s"] / found[f"{one}, answers/s"],
        "4 clients / 1 client, p95": found[f"{four}, p95 ms"] / found[f"{one}, p95 ms"],
    }


def ask_together(port: int, count: int, requests: int) -> tuple[float, float, float]:
    """Return answers a second, and the median and 95th percentile of their time in ms."""

    def client(number: int) -> list[float]:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        taken = []
        for turn in range(requests // count):
            question = QUESTIONS[(number + turn) % len(QUESTIONS)]
            began = time.perf_counter()
            post(connection, question)
            taken.append((time.perf_counter() - began) * 1000)
        connection.close()
        return taken

    began = time.perf_counter()
    with ThreadPoolExecutor(count) as threads:
        taken = [value for values in threads.map(client, range(count)) for value in values]
    seconds = time.perf_counter() - began
    return len(taken) / seconds, statistics.median(taken), statistics.quantiles(taken, n=20)[-1]


def post(connection: http.client.HTTPConnection, question: str) -> None:
    """Ask a question over HTTP."""
    body = json.dumps({"question": question})
    connection.request("POST", "/api/v1/answer", body, {"Content-Type": "application/json"})
    reply = connection.getresponse()
    reply.read()
    assert reply.status == 200, reply.status


def indexing(folder: Path) -> dict[str, float]:
    """Compare building an index with encoding the same passages and nothing else, in turns."""
    settings = Settings(corpus=folder / "corpus", index=folder / "index")
    settings.corpus.mkdir(parents=True)
    encoder = open_encoder(settings)
    window = encoder.max_tokens - 2
    texts = []
    for uri, text in generated(TOWNS).documents.items():
        (settings.corpus / uri).write_text(text, encoding="utf-8")
        for passage in split(read(uri, text.encode()), window, encoder.count):
            texts.append(encoded_text(passage, window, encoder))
    bare, built = [], []
    encoder.encode(texts[:64])
    for _ in range(INDEX_ROUNDS):
        began = time.perf_counter()
        encoder.encode(texts)
        bare.append(time.perf_counter() - began)
        began = time.perf_counter()
        report = build(settings, encoder, full=True)
        built.append(time.perf_counter() - began)
        assert report.passages["embedded"] == len(set(texts)), report.passages
    return {
        "indexing, passages/s": len(texts) / statistics.median(built),
        "bare encoder, passages/s": len(texts) / statistics.median(bare),
        "indexing / bare encoder": statistics.median(bare) / statistics.median(built),
    }


def cold(settings: Settings) -> dict[str, float]:
    """Time `qa ask` as a whole process."""
    command = [sys.executable, "-m", "qa", "ask", QUESTIONS[0], "--index", str(settings.index)]
    taken = []
    for _ in range(COLD_STARTS):
        began = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        taken.append(time.perf_counter() - began)
    return {"cold `qa ask`, median s": statistics.median(taken)}


def rebuild(folder: Path) -> dict[str, float]:
    """Time `qa index` as a whole process on 2,000 sources, one paragraph changed, or nothing."""
    settings = Settings(corpus=folder / "corpus", index=folder / "index")
    settings.corpus.mkdir(parents=True)
    for number in range(SOURCES):
        write_source(settings.corpus, number, "as it was")
    command = [sys.executable, "-m", "qa", "index", "--json"]
    command += ["--corpus", str(settings.corpus), "--index", str(settings.index)]
    first, _ = timed_index(command)
    taken: dict[str, list[float]] = {"one paragraph changed": [], "nothing changed": []}
    time.sleep(2.1)  # a file that was just written to is not trusted to stay as it is
    for turn in range(REBUILDS):
        timed_index(command)
        write_source(settings.corpus, turn, "changed")
        seconds, embedded = timed_index(command)
        assert embedded == 1, embedded
        taken["one paragraph changed"].append(seconds)
        taken["nothing changed"].append(timed_index(command)[0])
    return {
        f"index {SOURCES} sources, s": first,
        **{
            f"`qa index`, {name}, median s": statistics.median(values)
            for name, values in taken.items()
        },
    }


def write_source(corpus: Path, number: int, state: str) -> None:
    """Write a source of three sections, the last of which says its state."""
    rivers = "The river rises in the hills and takes in many streams before it meets the sea. "
    sections = (rivers * 3, rivers * 4, f"Gauge {number} stands {state}. {rivers}")
    text = "".join(
        f"## Reach {number}.{place}\n\n{section}\n\n" for place, section in enumerate(sections)
    )
    (corpus / f"{number}.md").write_text(f"# River {number}\n\n{text}", encoding="utf-8")


def timed_index(command: list[str]) -> tuple[float, int]:
    """Run `qa index`; return its seconds, and how many passages it embedded."""
    began = time.perf_counter()
    found = subprocess.run(command, check=True, stdout=subprocess.PIPE, encoding="utf-8")
    return time.perf_counter() - began, json.loads(found.stdout)["passages"]["embedded"]


if __name__ == "__main__":
    main()
