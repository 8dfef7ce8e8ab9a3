"""Load on a server that is rebuilt all the while: what fails, what it takes, what it holds.

make soak writes benchmarks/reliability.json, and docs/reliability.md from it; a shorter run that
writes nothing: python -m benchmarks.soak --seconds 20
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
CORPUS = ROOT / "corpus"
QUESTIONS = ROOT / "tests" / "questions" / "corpus.jsonl"
FIGURES = ROOT / "benchmarks" / "reliability.json"
PAGE = ROOT / "docs" / "reliability.md"
#: Seconds after which memory counts: by then caches are full.
WARM = 60
#: Statuses that are no failure: answered, or asked to come again.
EXPECTED = (200, 202, 429)
#: What is promised of a run of 300 s with 8 clients.
MOST_P99_MS = 1000
MOST_GROWTH = 0.05
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Record:
    """What clients and the watcher saw. Appending is safe between threads."""

    statuses: list[int] = field(default_factory=list)
    #: of every answer: elapsed seconds when it came, and seconds that it took
    answered: list[tuple[float, float]] = field(default_factory=list)
    #: elapsed seconds, MB of the server alone, files that it has open
    memory: list[tuple[float, float, int]] = field(default_factory=list)
    #: state of every build, and seconds that it took
    builds: list[tuple[str, float]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    #: on the clock, when the load began
    began: float = field(default_factory=time.monotonic)
    #: seconds of processor time: of the server, of its builds, of our clients, of everything
    cpu: dict[str, float] = field(default_factory=dict)


def main() -> int:
    """Load a server of its own and print what was seen; 1 if a promise was not kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--publish", action="store_true", help="write the figures and their page")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="qa-soak-") as folder:
        record = soak(Path(folder), arguments.seconds, arguments.clients)
    found = figures(record, arguments.seconds, arguments.clients)
    for failure, count in Counter(record.failures).most_common(10):
        print(f"{count} x {failure}", file=sys.stderr)
    if arguments.publish:
        FIGURES.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        PAGE.write_text(page(found), encoding="utf-8")
    print(page(found))
    return 0 if all(found["kept"].values()) else 1


def soak(folder: Path, seconds: float, clients: int) -> Record:
    """Build an index of the shipped corpus, serve it, and load the server for so long."""
    shutil.copytree(CORPUS, folder / "corpus")
    qa = [sys.executable, "-m", "qa"]
    # no limit of a client's requests: all of ours come from one address
    environ = {**os.environ, "QA_RATE_PER_MINUTE": "0"}
    subprocess.run([*qa, "index"], cwd=folder, env=environ, check=True, stdout=subprocess.DEVNULL)
    record = Record()
    with subprocess.Popen(
        [*qa, "serve", "--port", "0"],
        cwd=folder,
        env=environ,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    ) as server:
        assert server.stdout
        line = server.stdout.readline()
        found = re.search(r":(\d+) ", line)
        assert found, line
        load(int(found[1]), server.pid, folder / "corpus", record, seconds, clients)
        server.terminate()
        if server.wait(30):
            record.failures.append(f"the server ended with {server.returncode}")
    return record


def load(port: int, pid: int, corpus: Path, record: Record, seconds: float, clients: int) -> None:
    """Ask without pause and rebuild without pause, until the time is over."""
    stopping = threading.Event()
    questions = [json.loads(line)["question"] for line in QUESTIONS.read_text("utf-8").splitlines()]
    threads = [
        threading.Thread(target=ask, args=(port, questions[number:], record, stopping))
        for number in range(clients)
    ]
    threads.append(threading.Thread(target=rebuild, args=(port, corpus, record, stopping)))
    before = processor(pid)
    record.began = time.monotonic()
    for thread in threads:
        thread.start()
    while (elapsed := time.monotonic() - record.began) < seconds:
        open_files = len(list(Path(f"/proc/{pid}/fd").iterdir()))
        record.memory.append((elapsed, resident(pid), open_files))
        stopping.wait(1)
    stopping.set()
    for thread in threads:
        thread.join()
    record.cpu = {name: value - before[name] for name, value in processor(pid).items()}


def resident(pid: int) -> float:
    """Return the memory of a process in MB, what it maps from files left out."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    found = re.search(r"RssAnon:\s+(\d+) kB", status)
    assert found
    return int(found[1]) / 1024


def processor(pid: int) -> dict[str, float]:
    """Return seconds of processor time so far: of the server, its ended builds, us, everything."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    machine = Path("/proc/stat").read_text(encoding="utf-8").split("\n")[0].split()[1:]
    ours = os.times()
    idle = int(machine[3]) + int(machine[4])
    return {
        "server": (int(fields[11]) + int(fields[12])) / _TICKS,
        "builds": (int(fields[13]) + int(fields[14])) / _TICKS,
        "clients": ours.user + ours.system,
        "everything": (sum(map(int, machine[:8])) - idle) / _TICKS,
    }


def send(port: int, method: str, path: str, body: object = None) -> tuple[int, bytes]:
    """Return the status and the body of a reply on a connection of its own."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        headers = {"Content-Type": "application/json"} if body is not None else {}
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        reply = connection.getresponse()
        return reply.status, reply.read()


def ask(port: int, questions: list[str], record: Record, stopping: threading.Event) -> None:
    """Ask one question after the other."""
    number = 0
    while not stopping.is_set():
        began = time.monotonic()
        try:
            status, body = send(
                port, "POST", "/api/v1/answer", {"question": questions[number % len(questions)]}
            )
        except (OSError, http.client.HTTPException) as error:
            record.failures.append(f"connection: {type(error).__name__}: {error}")
            continue
        record.statuses.append(status)
        if status == 200:
            ended = time.monotonic()
            record.answered.append((ended - record.began, ended - began))
            number += 1
        elif status not in EXPECTED:
            record.failures.append(f"{status}: {body[:200]!r}")


def rebuild(port: int, corpus: Path, record: Record, stopping: threading.Event) -> None:
    """Change a source and build, again and again."""
    round_ = 0
    while not stopping.is_set():
        round_ += 1
        (corpus / "soak.txt").write_text(f"Round {round_} melts gold at {round_} degrees.\n")
        status, body = send(port, "POST", "/api/v1/index", {})
        if status != 202:
            record.failures.append(f"build: {status}: {body[:200]!r}")
            continue
        job = json.loads(body)
        while job["state"] == "running":
            time.sleep(0.1)
            job = json.loads(send(port, "GET", f"/api/v1/index/jobs/{job['id']}")[1])
        record.builds.append((job["state"], job["took_s"]))
        if job["state"] != "done":
            record.failures.append(f"build: {job['error']}")


def figures(record: Record, seconds: float, clients: int) -> dict[str, Any]:
    """Return what was seen, and which promises were kept."""
    taken = [took for _, took in record.answered]
    statuses = {str(status): count for status, count in sorted(Counter(record.statuses).items())}
    latency = _latency(taken)
    warm = _latency([took for at, took in record.answered if at >= _warm(seconds)])
    memory = _memory(record, seconds)
    states = Counter(state for state, _ in record.builds)
    known = sum(value for name, value in record.cpu.items() if name != "everything")
    cores = os.cpu_count() or 1
    return {
        "day": datetime.now(UTC).date().isoformat(),
        "version": metadata.version("qa"),
        "machine": f"{platform.machine()}, {cores} cores, Python {platform.python_version()}",
        "seconds": seconds,
        "clients": clients,
        "statuses": statuses,
        "failures": dict(Counter(record.failures).most_common(10)),
        "answers_per_second": round(len(taken) / seconds, 1),
        "latency_ms": latency,
        "latency_warm_ms": warm,
        "builds": dict(states),
        "build_median_s": round(statistics.median([s for _, s in record.builds] or [0]), 1),
        "memory_mb": memory,
        "open_files": [record.memory[0][2], record.memory[-1][2]],
        "cpu_s": {name: round(value, 1) for name, value in record.cpu.items()},
        "others_share": round((record.cpu["everything"] - known) / (seconds * cores), 2),
        "kept": {
            "no error other than 429": bool(taken) and not record.failures,
            f"p99 under {MOST_P99_MS} ms": bool(taken) and latency["p99"] < MOST_P99_MS,
            "memory flat after the first minute": memory["growth"] <= MOST_GROWTH,
        },
    }


def _warm(seconds: float) -> float:
    """Return the elapsed seconds after which a run of so many is warm."""
    return min(WARM, seconds / 2)


def _latency(taken: Sequence[float]) -> dict[str, int]:
    """Return percentiles of seconds, in milliseconds."""
    ordered = sorted(taken)
    shares = (("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("slowest", 1.0))
    return {
        name: round(ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000)
        for name, share in shares
        if ordered
    }


def _memory(record: Record, seconds: float) -> dict[str, float]:
    """Compare the first third of the time after the warm-up with the last, in MB."""
    warm = [used for at, used, _ in record.memory if at >= _warm(seconds)]
    third = max(1, len(warm) // 3)
    first, last = statistics.mean(warm[:third]), statistics.mean(warm[-third:])
    return {
        "start": round(record.memory[0][1]),
        "first_third": round(first),
        "last_third": round(last),
        "most": round(max(used for _, used, _ in record.memory)),
        "growth": round(last / first - 1, 3),
    }


def page(found: dict[str, Any]) -> str:
    """Return the page that says what was measured, in Markdown."""
    memory, latency = found["memory_mb"], found["latency_ms"]
    failures = sum(found["failures"].values())
    rows: Sequence[tuple[str, object]] = [
        ("machine", found["machine"]),
        ("taken by other programs meanwhile", f"{found['others_share']:.0%} of the processor"),
        ("duration, clients", f"{found['seconds']:g} s, {found['clients']}"),
        ("replies by status", _listed(found["statuses"])),
        ("failures", failures or "none"),
        ("answers a second", found["answers_per_second"]),
        ("latency, ms", _listed(latency)),
        ("latency after the warm-up, ms", _listed(found["latency_warm_ms"])),
        ("builds meanwhile", f"{_listed(found['builds'])}; median {found['build_median_s']} s"),
        (
            "memory of the server, MB",
            f"{memory['start']} at the start, {memory['first_third']} and {memory['last_third']} "
            f"in the first and last third after the warm-up, {memory['most']} at most",
        ),
        ("open files, start and end", ", ".join(map(str, found["open_files"]))),
        ("processor time, s", _listed(found["cpu_s"])),
        *((name, "kept" if kept else "**not kept**") for name, kept in found["kept"].items()),
    ]
    table = "\n".join(f"| {name} | {value} |" for name, value in rows)
    return f"""\
# Reliability under load

Written by `make soak` from benchmarks/reliability.json. Run on {found["day"]} with
qa {found["version"]}.

Clients ask the questions of tests/questions/corpus.jsonl one after the other without a pause, each
with a connection of its own, while a source is changed and the index rebuilt in a loop. Clients,
server and builds share one machine. A reply of 429 asks a client to come again, and is no failure.
Memory counts without what is mapped from files, after the first minute, or after half of a
shorter run; it is flat where the last third takes at most {MOST_GROWTH:.0%} more than the first.

| | |
|---|---|
{table}
"""


def _listed(values: dict[str, Any]) -> str:
    return ", ".join(f"{name}: {value}" for name, value in values.items()) or "none"


if __name__ == "__main__":
    sys.exit(main())
