from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from qa.encoder import COMPILED, OpenVINOEncoder
from qa.graph import Graph


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


def test_an_encoder_keeps_its_graph_beside_the_exported_models(model: Path) -> None:
    OpenVINOEncoder(model.parent).encode(["Where does it flow?"])
    assert [path.suffix for path in (model.parents[1] / COMPILED).iterdir()] == [".blob"]
