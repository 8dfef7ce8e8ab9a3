"""Embedding by several workers gives what one gives, and loses nothing when a worker is lost."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from fakes import FakeEncoder, fill
from qa import bulk
from qa.config import Settings
from qa.errors import WorkersError
from qa.ingest import build
from qa.stores.local import LocalStore
from qa.types import Vectors

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")  # of Ray, while it shuts down


def opened(settings: Settings) -> FakeEncoder:
    return FakeEncoder()


class Dying(FakeEncoder):
    """Ends its process once, in the middle of a shard."""

    def __init__(self, mark: Path) -> None:
        super().__init__()
        self._mark = mark

    def encode(self, texts: Sequence[str]) -> Vectors:
        if not self._mark.exists():
            self._mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().encode(texts)


def dying(settings: Settings) -> FakeEncoder:
    return Dying(settings.index / "died")


def always_dying(settings: Settings) -> FakeEncoder:
    return Dying(settings.index / "no folder" / "died")


def other(settings: Settings) -> FakeEncoder:
    return FakeEncoder(name="other")


def slow(settings: Settings) -> FakeEncoder:
    """Open an encoder that tells which process encodes, and takes its time."""

    class Slow(FakeEncoder):
        def encode(self, texts: Sequence[str]) -> Vectors:
            time.sleep(0.1)
            return super().encode(texts)

    return Slow()


def corpus(folder: Path, sources: int) -> None:
    fill(folder, {f"{n:04}.txt": f"Source {n} names town {n * 7}.\n" for n in range(sources)})


def test_several_workers_build_the_same_index(
    settings: Settings, fake: FakeEncoder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(bulk, "SHARD", 64)
    corpus(settings.corpus, 200)
    told: list[tuple[str, int, int]] = []
    embed = partial(bulk.embed, settings=settings, encoder=fake, workers="2", opener=dying)
    settings.index.mkdir()
    report = build(settings, fake, embed=embed, progress=lambda *step: told.append(step))
    assert (settings.index / "died").exists()
    assert report.passages == {"total": 200, "reused": 0, "embedded": 200}
    assert [done for phase, done, _ in told if phase == "embed"][-1] == 200
    assert fake.encoded == []
    alone = replace(settings, index=tmp_path / "alone")
    build(alone, fake)
    one, many = LocalStore.open(alone.index), LocalStore.open(settings.index)
    assert one.vectors(range(200)).tobytes() == many.vectors(range(200)).tobytes()
    assert one.passages(range(200)) == many.passages(range(200))


def test_what_is_there_is_not_embedded_again(
    settings: Settings, fake: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "SHARD", 2)
    texts = ["a b", "c d", "e f", "g h", "i"]
    embed = partial(bulk.embed, settings=settings, encoder=fake, workers="1")
    first = embed(texts[:4], lambda *_: None, opener=opened)
    told: list[int] = []
    again = embed(texts, lambda _, done, __: told.append(done), opener=opened)
    assert told == [5]
    assert np.array_equal(first, again[:4])
    assert np.array_equal(embed(texts, lambda *_: None, opener=always_dying), again)
    folder = settings.index / bulk.FOLDER
    assert len(list(folder.iterdir())) == 3
    bulk.sweep(settings)
    assert not folder.exists()


def test_a_shard_that_ends_every_worker_is_an_error(settings: Settings, fake: FakeEncoder) -> None:
    with pytest.raises(WorkersError, match="3 processes ended one after the other"):
        bulk.embed(
            ["a"], lambda *_: None, settings=settings, encoder=fake, workers="2", opener=gone
        )


def gone(settings: Settings) -> FakeEncoder:
    class Gone(FakeEncoder):
        def encode(self, texts: Sequence[str]) -> Vectors:
            os._exit(1)

    return Gone()


def test_a_worker_with_another_model_is_refused(settings: Settings, fake: FakeEncoder) -> None:
    with pytest.raises(WorkersError, match="has the model other, not fake-1"):
        bulk.embed(
            ["a"], lambda *_: None, settings=settings, encoder=fake, workers="1", opener=other
        )


@pytest.mark.parametrize("workers", ["0", "-1", "x", "", "1.5", "tcp://h:1", "²"])
def test_workers_that_are_none(workers: str) -> None:
    with pytest.raises(WorkersError, match="a number of processes, auto, or ray://"):
        bulk.check(workers)


def test_a_node_that_is_removed_costs_its_shards_only(
    settings: Settings, fake: FakeEncoder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Two nodes on this machine, one of them removed in the middle."""
    ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'qa[ray]'")
    from ray.cluster_utils import Cluster

    monkeypatch.setattr(bulk, "SHARD", 16)
    monkeypatch.setattr(bulk, "BATCH", 16)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parent), *_path()]))
    corpus(settings.corpus, 400)
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        second = cluster.add_node(num_cpus=1)
        cluster.wait_for_nodes()
        removed: list[int] = []

        def progress(phase: str, done: int, total: int) -> None:
            if phase == "embed" and done >= total // 4 and not removed:
                removed.append(done)
                cluster.remove_node(second)

        embed = partial(
            bulk.embed, settings=settings, encoder=fake, workers=cluster.address, opener=slow
        )
        report = build(settings, fake, embed=embed, progress=progress)
    finally:
        ray.shutdown()
        cluster.shutdown()
    assert removed
    assert report.passages == {"total": 400, "reused": 0, "embedded": 400}
    assert fake.encoded == []
    alone = replace(settings, index=tmp_path / "alone")
    build(alone, fake)
    one, many = LocalStore.open(alone.index), LocalStore.open(settings.index)
    assert one.vectors(range(400)).tobytes() == many.vectors(range(400)).tobytes()
    assert len(list((settings.index / bulk.FOLDER).iterdir())) == 25


def _path() -> list[str]:
    return [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
