from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from patience import PATIENCE
from qa.encoder import COMPILED, OpenVINOEncoder
from qa.graph import Graph

#: Runs a graph for the first time in four threads, which all come while the first gets ready.
AT_ONCE = r"""
import sys, threading, time
from pathlib import Path
import numpy as np
from numpy.lib import NumpyVersion
from qa.graph import Graph
begin = NumpyVersion.__init__
def slow(self, version):
    time.sleep(0.2)
    begin(self, version)
NumpyVersion.__init__ = slow
together = threading.Barrier(4)
def run():
    graph = Graph(Path(sys.argv[1]), Path(sys.argv[2]))
    together.wait()
    shape = graph.run(np.ones((1, 4), np.int64), np.ones((1, 4), np.int64)).shape
    sys.stdout.write(f"{shape}\n")
for thread in [threading.Thread(target=run) for _ in range(4)]:
    thread.start()
"""


@pytest.fixture
def model(exported: Path, tmp_path: Path) -> Path:
    """A copy of an exported model, not compiled yet."""
    (folder,) = (path for path in (exported / "models").iterdir() if path.name != COMPILED)
    return Path(shutil.copytree(folder, tmp_path / "models" / "mine")) / "model.xml"


def vectors(graph: Graph) -> object:
    ids = np.array([[101, 2051, 2003, 102]])
    return graph.run(ids, np.ones_like(ids)).tolist()


def test_a_graph_is_compiled_once(model: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    compiled = Graph(model, kept)
    (blob,) = kept.iterdir()
    written = blob.stat().st_mtime_ns
    taken = Graph(model, kept)
    assert [path.stat().st_mtime_ns for path in kept.iterdir()] == [written]
    assert vectors(taken) == vectors(compiled)


@pytest.mark.parametrize("content", [b"", b"no graph at all"], ids=["empty", "nonsense"])
def test_what_was_kept_and_is_broken_is_compiled_anew(
    model: Path, tmp_path: Path, content: bytes
) -> None:
    kept = tmp_path / "kept"
    before = vectors(Graph(model, kept))
    (blob,) = kept.iterdir()
    blob.chmod(0o600)
    blob.write_bytes(content)
    assert vectors(Graph(model, kept)) == before


def test_a_graph_runs_where_nothing_can_be_kept(model: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert vectors(Graph(model, tmp_path / "file" / "below")) == vectors(
        Graph(model, tmp_path / "kept")
    )


def test_threads_that_run_their_first_graph_at_once_do_not_wait_for_ever(
    model: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", AT_ONCE, str(model), str(tmp_path / "kept")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True)
    assert done.stdout == "(1, 384)\n" * 4


def test_an_encoder_keeps_its_graph_beside_the_exported_models(model: Path) -> None:
    OpenVINOEncoder(model.parent).encode(["Where does it flow?"])
    assert [path.suffix for path in (model.parents[1] / COMPILED).iterdir()] == [".blob"]
