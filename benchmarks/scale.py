"""Measure how cost grows with the corpus, up to a million passages: `make bench-scale`.

    python -m benchmarks.scale [SIZE ...] [--folder DIR] [--keep]

Passages are made up (benchmarks/synthetic.py), so no time goes into embedding them. Every size is
built and asked by a process of its own; its memory is what the system counted for that process.
A million passages take some 10 GB of disk while they are built, and 5 GB of memory.
Writes benchmarks/scale.json, the table in docs/performance.md and its chart.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import synthetic
from benchmarks.machine import described, peak_mb, resident_mb, size_mb
from benchmarks.report import chart, record, replace_table
from qa.assistant import Assistant
from qa.config import Settings
from qa.encoder import open_encoder
from qa.retrieve import retrieve
from qa.stores.dense import FILE
from qa.stores.generation import current

ROOT = Path(__file__).parents[1]
SIZES = (1000, 10_000, 100_000, 1_000_000)
QUESTIONS = 300
ANSWERS = 30
COLD_STARTS = 5
NEAREST = 10
Figures = dict[str, Any]


def main() -> None:
    """Measure every size, print and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sizes", type=int, nargs="*", default=SIZES, help="numbers of passages")
    parser.add_argument("--folder", type=Path, help="where to build, by default a temporary folder")
    parser.add_argument("--keep", action="store_true", help="leave what was built, use what is")
    parser.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.step:
        (size,) = arguments.sizes
        json.dump(STEPS[arguments.step](arguments.folder, size), sys.stdout)
        return
    with tempfile.TemporaryDirectory(dir=arguments.folder) as temporary:
        found = {}
        for size in arguments.sizes:
            folder = Path(arguments.folder if arguments.keep else temporary, str(size))
            found[str(size)] = measure(folder, size, built=arguments.keep and folder.is_dir())
            print(json.dumps({size: found[str(size)]}, indent=1), flush=True)
            write(found)
            if not arguments.keep:
                remove(folder)


def measure(folder: Path, size: int, *, built: bool) -> Figures:
    """Build an index of a size, and ask it, each in a process of its own."""
    before = json.loads((folder / "build.json").read_text()) if built else {}
    return {
        **(before or run("build", folder, size)),
        **cold(folder, size),
        **run("ask", folder, size),
    }


def run(step: str, folder: Path, size: int) -> Figures:
    """Run a step in a process of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "benchmarks.scale", str(size), "--step", step]
    done = subprocess.run(
        [*command, "--folder", str(folder)], check=True, stdout=subprocess.PIPE, encoding="utf-8"
    )
    found: Figures = json.loads(done.stdout)
    return found


def build(folder: Path, size: int) -> Figures:
    """Make the corpus and index it."""
    settings = Settings(index=folder / "index")
    encoder = open_encoder(settings)
    drawn = synthetic.sample(encoder)
    corpus = synthetic.Corpus(size)
    vectors = synthetic.write_vectors(folder / "vectors", size, drawn)
    began = time.perf_counter()
    synthetic.publish(settings, corpus, vectors, encoder)
    seconds = time.perf_counter() - began
    asked = synthetic.questions(QUESTIONS, corpus, drawn)
    (folder / "vectors").unlink()
    np.save(folder / "questions.npy", np.stack([question.vector for question in asked]))
    texts = [question.text for question in asked]
    (folder / "questions.json").write_text(json.dumps(texts), encoding="utf-8")
    live = current(settings.index)
    figures = {
        "build s": seconds,
        "build peak MB": peak_mb(),
        "disk MB": size_mb(live),
        "disk, lexical MB": size_mb(live / "lexical"),
        "disk, vectors MB": sum(size_mb(path) for path in live.glob("dense*")),
        "disk, texts MB": sum(size_mb(path) for path in live.glob("*.sqlite")),
    }
    (folder / "build.json").write_text(json.dumps(figures), encoding="utf-8")
    return figures


def cold(folder: Path, size: int) -> Figures:
    """Time `qa ask` as a whole process."""
    (question, *_) = json.loads((folder / "questions.json").read_text(encoding="utf-8"))
    command = [sys.executable, "-m", "qa", "ask", question, "--index", str(folder / "index")]
    taken = []
    for _ in range(COLD_STARTS):
        began = time.perf_counter()
        done = subprocess.run(command, stdout=subprocess.DEVNULL)
        taken.append(time.perf_counter() - began)
        assert done.returncode in (0, 1), done.returncode  # 1: the made-up words answer nothing
    return {"cold `qa ask` s": float(np.median(taken))}


def ask(folder: Path, size: int) -> Figures:
    """Open the index; time searches and answers, and compare the dense channel with a scan."""
    settings = Settings(index=folder / "index")
    began = time.perf_counter()
    assistant = Assistant.open(settings=settings)
    opened = time.perf_counter() - began
    texts = json.loads((folder / "questions.json").read_text(encoding="utf-8"))
    vectors = np.load(folder / "questions.npy")
    store, encoder, weight = assistant.store, assistant.encoder, settings.dense_weight
    steps: dict[str, Callable[[int], Any]] = {
        "encode": lambda place: encoder.encode([texts[place]]),
        "dense": lambda place: store.dense(vectors[place], settings.candidates, None),
        "lexical": lambda place: store.lexical(texts[place], settings.candidates, None),
        "both, fused": lambda place: retrieve(
            store,
            texts[place],
            vectors[place],
            dense_weight=weight,
            candidates=settings.candidates,
            limit=5,
        ),
    }
    taken: dict[str, list[float]] = {name: [] for name in steps}
    found = []
    for place in range(len(texts)):
        for name, step in steps.items():
            began = time.perf_counter()
            result = step(place)
            taken[name].append((time.perf_counter() - began) * 1000)
            if name == "dense":
                found.append([scored.row for scored in result[:NEAREST]])
    taken["answer"] = []
    for text in texts[: ANSWERS + 1]:
        began = time.perf_counter()
        assistant.ask(text)
        taken["answer"].append((time.perf_counter() - began) * 1000)
    taken["retrieval"] = [
        sum(pair) for pair in zip(taken["encode"], taken["both, fused"], strict=True)
    ]
    resident = resident_mb()
    return {
        "search": store.dense_kind,
        "open s": opened,
        **{
            f"{name} p{share} ms": float(np.percentile(values[1:], share))
            for name, values in taken.items()
            for share in (50, 95)
        },
        "answering MB": resident,
        "recall@10": recall(current(settings.index) / FILE, vectors, found),
    }


def recall(path: Path, vectors: Any, found: list[list[int]]) -> float:
    """Return the share of the nearest by a scan that were found."""
    import faiss

    exact = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
    _, right = exact.search(vectors, NEAREST)
    hits = sum(len(np.intersect1d(*pair)) for pair in zip(right, found, strict=True))
    return hits / right.size


def write(found: dict[str, Figures]) -> None:
    """Write the figures, the table and the chart."""
    record(ROOT / "benchmarks" / "scale.json", {"machine": described(), "passages": found})
    rows = list(dict.fromkeys(name for figures in found.values() for name in figures))
    lines = [["passages", *(f"{int(size):,}" for size in found)]]
    lines += [[name, *(figures.get(name, "") for figures in found.values())] for name in rows]
    replace_table(ROOT / "docs" / "performance.md", "scale", lines)
    chart(ROOT / "docs" / "scale.svg", found)


def remove(folder: Path) -> None:
    """Remove what was built."""
    import shutil

    shutil.rmtree(folder)


STEPS: dict[str, Callable[[Path, int], Figures]] = {"build": build, "ask": ask}

if __name__ == "__main__":
    main()
