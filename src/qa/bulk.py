"""Embed many texts by several workers: in shards, a file each, so that none is embedded twice.

A shard's file is named after the model and its texts, is written under another name and renamed,
and is left out when it is there already: a build that was stopped goes on where it was, whatever
did the work. A worker that is lost costs the shard that it was about to end.
"""

from __future__ import annotations

import hashlib
import io
import queue
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from qa.config import Settings
from qa.encoder import open_encoder
from qa.errors import WorkersError
from qa.stores.generation import write_file
from qa.types import Encoder, Vectors

FOLDER = "shards"
#: Texts of a shard, and of a call of the model; the second is that of a build without workers, so
#: that the vectors are the same.
SHARD, BATCH = 512, 64
#: Times that a shard may cost its worker.
TRIES = 3
Opener: TypeAlias = Callable[[Settings], Encoder]
Progress: TypeAlias = Callable[[str, int, int], None]

_opened: Encoder  # of a worker process


@dataclass(frozen=True, slots=True)
class _Shard:
    path: Path
    texts: Sequence[str]


def embed(
    texts: Sequence[str],
    progress: Progress,
    *,
    settings: Settings,
    encoder: Encoder,
    workers: str,
    opener: Opener = open_encoder,
) -> Vectors:
    """Return one unit vector per text, shape (len(texts), dimension), float32.

    :param workers: a number of processes; or "auto" or "ray://host:port", a cluster of Ray on
        whose nodes this package is installed.
    :param opener: opens the model in a worker.
    :raises WorkersError: if the workers cannot be had, or a shard ends one after the other.
    """
    shards = list(_shards(texts, settings.index / FOLDER, encoder))
    todo = [shard for shard in shards if not shard.path.is_file()]
    done = sum(len(shard.texts) for shard in shards) - sum(len(shard.texts) for shard in todo)
    lock = threading.Lock()

    def keep(shard: _Shard, vectors: Vectors) -> None:
        nonlocal done
        _write(shard.path, vectors)
        with lock:
            done += len(shard.texts)
            progress("embed", done, len(texts))

    if todo:
        (settings.index / FOLDER).mkdir(parents=True, exist_ok=True)
        run = _processes if workers.isdecimal() else _ray
        run(workers, todo, keep, settings, encoder.name, opener)
    found = [np.load(shard.path, allow_pickle=False) for shard in shards]
    empty = np.zeros((0, encoder.dimension), dtype=np.float32)
    return np.concatenate([empty, *found])


def sweep(settings: Settings) -> None:
    """Remove the files of shards, once an index holds what is in them."""
    shutil.rmtree(settings.index / FOLDER, ignore_errors=True)


def check(workers: str) -> str:
    """Return what was asked for if it names workers; raise WorkersError otherwise."""
    number = workers.isascii() and workers.isdecimal() and 1 <= int(workers) <= 1024
    if number or workers == "auto" or workers.startswith("ray://"):
        return workers
    raise WorkersError(f"is {workers!r}; a number of processes, auto, or ray://HOST:PORT")


def _shards(texts: Sequence[str], folder: Path, encoder: Encoder) -> Iterator[_Shard]:
    for start in range(0, len(texts), SHARD):
        some = texts[start : start + SHARD]
        digest = hashlib.sha256(f"{encoder.name}\n{encoder.dimension}".encode())
        for text in some:
            digest.update(hashlib.sha256(text.encode()).digest())
        yield _Shard(folder / f"{digest.hexdigest()[:32]}.npy", some)


def _write(path: Path, vectors: Vectors) -> None:
    data = io.BytesIO()
    np.save(data, vectors, allow_pickle=False)
    write_file(path, data.getvalue())


def _encode(encoder: Encoder, texts: Sequence[str]) -> Vectors:
    starts = range(0, len(texts), BATCH)
    return np.concatenate([encoder.encode(texts[start : start + BATCH]) for start in starts])


def _refuse(expected: str, found: str) -> None:
    if found != expected:
        raise WorkersError(f"a worker has the model {found}, not {expected}; install the same")


def _processes(
    workers: str,
    todo: Sequence[_Shard],
    keep: Callable[[_Shard, Vectors], None],
    settings: Settings,
    model: str,
    opener: Opener,
) -> None:
    """Let processes of this machine work, each with its own model."""
    waiting: queue.SimpleQueue[tuple[_Shard, int]] = queue.SimpleQueue()
    for shard in todo:
        waiting.put((shard, 1))
    troubles: list[BaseException] = []

    def employ() -> None:
        try:
            while not troubles:
                with _one(settings, opener) as worker:
                    if _feed(worker, waiting, keep, model):
                        return
        except BaseException as error:
            troubles.append(error)

    threads = [threading.Thread(target=employ) for _ in range(min(int(workers), len(todo)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if troubles:
        raise troubles[0]


def _one(settings: Settings, opener: Opener) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(
        1, mp_context=get_context("spawn"), initializer=_open, initargs=(settings, opener)
    )


def _feed(
    worker: ProcessPoolExecutor,
    waiting: queue.SimpleQueue[tuple[_Shard, int]],
    keep: Callable[[_Shard, Vectors], None],
    model: str,
) -> bool:
    """Give shards to a process until there are no more; return False once it is lost."""
    while True:
        try:
            shard, tries = waiting.get_nowait()
        except queue.Empty:
            return True
        try:
            name, vectors = worker.submit(_work, shard.texts).result()
        except BrokenProcessPool as error:
            if tries == TRIES:
                raise WorkersError(
                    f"{TRIES} processes ended one after the other over the same {len(shard.texts)} "
                    "texts; is there memory enough for so many?"
                ) from error
            waiting.put((shard, tries + 1))
            return False
        _refuse(model, name)
        keep(shard, vectors)


def _open(settings: Settings, opener: Opener) -> None:
    global _opened
    _opened = opener(settings)


def _work(texts: Sequence[str]) -> tuple[str, Vectors]:
    return _opened.name, _encode(_opened, texts)


class _Actor:
    """A worker on a node of a cluster."""

    def __init__(self, settings: Settings, opener: Opener) -> None:
        self._encoder = opener(settings)

    def work(self, texts: Sequence[str]) -> tuple[str, Vectors]:
        return self._encoder.name, _encode(self._encoder, texts)


def _ray(
    workers: str,
    todo: Sequence[_Shard],
    keep: Callable[[_Shard, Vectors], None],
    settings: Settings,
    model: str,
    opener: Opener,
) -> None:
    """Let actors work, one a core of the cluster."""
    try:
        import ray
    except ImportError as error:
        raise WorkersError("Ray is not installed: pip install 'qa[ray]'") from error
    ours = not ray.is_initialized()
    try:
        if ours:
            ray.init(address=workers, log_to_driver=False, logging_level="error")
        kind = ray.remote(num_cpus=1)(_Actor)
        cores = max(1, int(ray.cluster_resources().get("CPU", 1)))
        _employ(lambda: kind.remote(settings, opener), min(cores, len(todo)), todo, keep, model)
    except (ConnectionError, ray.exceptions.RayError) as error:
        raise WorkersError(f"the cluster at {workers} failed: {error}") from error
    finally:
        if ours and ray.is_initialized():
            ray.shutdown()


def _employ(
    hire: Callable[[], Any],
    count: int,
    todo: Sequence[_Shard],
    keep: Callable[[_Shard, Vectors], None],
    model: str,
) -> None:
    """Give shards to actors; the others take over from one that is lost.

    A lost one is not replaced while there are others: its node may be gone, and a new one would
    wait for the node for ever.
    """
    import ray

    free = [hire() for _ in range(count)]
    waiting = list(reversed(todo))
    running: dict[Any, tuple[_Shard, Any]] = {}
    lost = 0
    while waiting or running:
        while waiting and free:
            shard, actor = waiting.pop(), free.pop()
            running[actor.work.remote(list(shard.texts))] = (shard, actor)
        (ended, *_), _ = ray.wait(list(running), num_returns=1)
        shard, actor = running.pop(ended)
        try:
            name, vectors = ray.get(ended)
        except ray.exceptions.RayActorError:
            lost += 1
            if lost >= TRIES * count:
                raise
            waiting.append(shard)
            if not (running or free):
                free.append(hire())
            continue
        _refuse(model, name)
        keep(shard, vectors)
        free.append(actor)
