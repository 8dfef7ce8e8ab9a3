"""Measure qa beside its peers: `make bench-peers`.

    python -m benchmarks.peers [--questions FILE] [--documents DIR] [--only NAME ...]

Every peer is installed in an environment of its own, from the list in requirements/, and gets the
same weights of all-MiniLM-L6-v2; afterwards nothing needs the network, and connections are refused.
FILE is in SQuAD's format; its contexts are the documents, unless a folder of .txt and .md files
that has them is given. Without FILE the work is generated. Systems take turns, as often as --rounds
says, and the middle is reported. Writes benchmarks/peers.json, the README's table and its chart.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path
from typing import Any

from benchmarks.machine import described, size_mb
from benchmarks.peers.work import Work, generated, given, is_right
from benchmarks.peers.worker import DEPTH, EXPORTED
from benchmarks.report import bars, record, replace_table
from qa.config import Settings
from qa.encoder import open_encoder

ROOT = Path(__file__).parents[2]
#: Name to the list of what is installed for it; "" for this environment.
SYSTEMS = {
    "floor": "",
    "qa": "",
    "qa_answers": "",
    "floor_torch": "",
    "txtai": "txtai",
    "llamaindex": "llamaindex",
    "haystack": "haystack",
    "langchain": "langchain",
    "langchain_hybrid": "langchain",
    "chroma": "chroma",
}
#: What the README shows of a system: how it is called there.
TITLES = {
    "floor": "*bare encoder call, OpenVINO*",
    "qa": "**qa**, passages",
    "qa_answers": "**qa**, whole answers",
    "floor_torch": "*bare encoder call, torch*",
    "txtai": "txtai, hybrid",
    "llamaindex": "LlamaIndex, hybrid",
    "haystack": "Haystack, hybrid",
    "langchain": "LangChain + FAISS, dense",
    "langchain_hybrid": "LangChain + FAISS, hybrid",
    "chroma": "Chroma, dense",
}
Figures = dict[str, Any]


def main() -> None:
    """Install, measure in turns, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--questions", type=Path, help="SQuAD-format file")
    parser.add_argument("--documents", type=Path, help="folder that has its contexts")
    parser.add_argument("--only", nargs="*", choices=SYSTEMS, default=list(SYSTEMS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--environments", type=Path, default=ROOT / ".peers")
    parser.add_argument("--dry", action="store_true", help="print, write nothing")
    arguments = parser.parse_args()
    work = given(arguments.questions, arguments.documents) if arguments.questions else generated()
    pythons = {}
    for name in arguments.only:
        try:
            pythons[name] = environment(SYSTEMS[name], arguments.environments)
        except subprocess.CalledProcessError:
            print(f"{name} is left out: it could not be installed, see above", flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        found = measure(work, pythons, Path(temporary), arguments.rounds)
    for figures in found.values():
        print(json.dumps(figures, indent=1))
    if not arguments.dry:
        write(found, work, str(arguments.questions.name) if arguments.questions else "generated")


def environment(name: str, folder: Path) -> Path:
    """Return the Python that has a system, which is installed where it was not yet."""
    if not name:
        return Path(sys.executable)
    wanted = (Path(__file__).parent / "requirements" / f"{name}.txt").read_bytes()
    home, stamp = folder / name, hashlib.sha256(wanted).hexdigest()
    python = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not (home / stamp).is_file():
        print(f"installing {name} into {home}", flush=True)
        shutil.rmtree(home, ignore_errors=True)
        venv.create(home, with_pip=True)
        command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        listed = Path(__file__).parent / "requirements" / f"{name}.txt"
        subprocess.run([*command, "-r", str(listed)], check=True)
        (home / stamp).touch()
    return python


def measure(work: Work, pythons: dict[str, Path], folder: Path, rounds: int) -> dict[str, Figures]:
    """Let every system do the work, in turns."""
    open_encoder(Settings(index=folder / EXPORTED))  # exported once, as the first build does it
    file = folder / "work.json"
    questions = [question.text for question in work.questions]
    file.write_text(json.dumps({"documents": work.documents, "questions": questions}))
    taken: dict[str, list[Figures]] = {name: [] for name in pythons}
    for turn in range(rounds):
        for name, python in pythons.items():
            print(f"round {turn + 1} of {rounds}: {name}", flush=True)
            taken[name].append(once(name, python, file, folder / name, work))
    return {name: {"system": name, **middle(figures)} for name, figures in taken.items()}


def once(name: str, python: Path, file: Path, folder: Path, work: Work) -> Figures:
    """Index, start cold, and answer every question."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    before = size_mb(folder)
    indexed = step(python, name, "index", file, folder)
    shutil.rmtree(folder / "corpus", ignore_errors=True)
    models = folder / "index" / "models"
    disk = size_mb(folder) - before - (size_mb(models) if models.is_dir() else 0.0)
    step(python, name, "first", file, folder)  # so that its files are in the system's memory
    began = time.perf_counter()
    step(python, name, "first", file, folder)
    cold = time.perf_counter() - began
    asked = step(python, name, "ask", file, folder)
    characters = sum(len(text) for text in work.documents.values())
    return {
        "passages": indexed["passages"],
        "index passages/s": indexed["passages"] / indexed["index s"],
        "index thousand characters/s": characters / 1000 / indexed["index s"],
        "query p50 ms": statistics.median(asked["ms"]),
        "query p95 ms": statistics.quantiles(asked["ms"], n=20)[-1],
        "cold first answer s": cold,
        "indexing MB": indexed["indexing MB"],
        "answering MB": asked["answering MB"],
        "disk MB": disk,
        **hits(work, asked["found"]),
    }


def step(python: Path, name: str, what: str, file: Path, folder: Path) -> Figures:
    """Run one step in a process of its own."""
    command = [str(python), "-m", "benchmarks.peers.worker", name, what, str(file), str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8")
    if done.returncode:
        raise SystemExit(f"{name}, {what}: exit {done.returncode}\n{done.stderr[-3000:]}")
    figures: Figures = json.loads(done.stdout)
    return figures


def hits(work: Work, found: list[list[list[str]]]) -> Figures:
    """Return the share of questions whose answer is in the first passage, and in the first five."""
    if not any(found):
        return {}
    places = [
        next(
            (
                place
                for place, (uri, passage) in enumerate(passages[:DEPTH], 1)
                if is_right(question, work.documents, uri, passage)
            ),
            0,
        )
        for question, passages in zip(work.questions, found, strict=True)
    ]
    lengths = [len(passage) for passages in found for _, passage in passages]
    return {
        "hit@1": sum(place == 1 for place in places) / len(places),
        "hit@5": sum(place > 0 for place in places) / len(places),
        "mean passage, characters": statistics.mean(lengths),
    }


def middle(turns: list[Figures]) -> Figures:
    """Return the median of every figure."""
    return {key: statistics.median(turn[key] for turn in turns) for key in turns[0]}


def write(found: dict[str, Figures], work: Work, name: str) -> None:
    """Write the figures, the README's table and the chart."""
    settings = {
        system: importlib.import_module(f"benchmarks.peers.with_{system}").SETTINGS
        for system in found
    }
    facts = {"work": name, "documents": len(work.documents), "questions": len(work.questions)}
    record(
        ROOT / "benchmarks" / "peers.json",
        {"machine": described(), **facts, "settings": settings, "systems": found},
    )
    floor = found.get("floor", {}).get("query p50 ms", float("nan"))
    head = [
        "",
        "hit@1",
        "hit@5",
        "query p50 / p95, ms",
        "p50 / bare call",
        "cold first answer, s",
        "passages/s",
        "thousand characters/s",
        "MB indexing / answering",
        "MB on disk",
    ]
    lines: list[list[Any]] = [head]
    for system, figures in found.items():
        cell = {key: value for key, value in figures.items() if key != "system"}
        lines.append(
            [
                TITLES[system],
                f"{cell['hit@1']:.3f}" if "hit@1" in cell else "",
                f"{cell['hit@5']:.3f}" if "hit@5" in cell else "",
                f"{cell['query p50 ms']:.1f} / {cell['query p95 ms']:.1f}",
                f"{cell['query p50 ms'] / floor:.1f}",
                f"{cell['cold first answer s']:.1f}",
                f"{cell['index passages/s']:.0f}",
                f"{cell['index thousand characters/s']:.0f}",
                f"{cell['indexing MB']:.0f} / {cell['answering MB']:.0f}",
                f"{cell['disk MB']:.1f}" if "hit@1" in cell else "",
            ]
        )
    replace_table(ROOT / "README.md", "peers", lines)
    bars(ROOT / "docs" / "peers.svg", {TITLES[name]: cell for name, cell in found.items()})


if __name__ == "__main__":
    main()
