"""What stands in for the model, and for a corpus."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from qa.types import Vectors

_PIECE = re.compile(r"\w+|[^\w\s]")

ARTICLE = Path(__file__).parents[1] / "corpus" / "russia-us-relations-2025.txt"

#: Three sources: one with headings and footnotes, one dated, one plain.
CORPUS = {
    "rivers.md": """\
---
title: Rivers of Europe
date: 2024-05-01
---
# Rivers of Europe

## The Danube

The **Danube** rises in the Black Forest.[^1] It is 2,850 kilometres long.

## The Rhine

The Rhine flows into the North Sea. Its source is in the Swiss Alps.

[^1]: Atlas Press, "Rivers", 2019.
""",
    "cities/vienna.md": """\
---
title: Vienna
date: 2023-01-15
---
Vienna stands on the Danube. The city has two million inhabitants.
""",
    "notes.txt": "Copper melts at 1,085 degrees. Gold melts at 1,064 degrees.\n",
}

#: Runs a command that encodes nothing until the file `go` appears in a folder, its first argument.
SLOW_BUILD = """
import os, pathlib, sys, time
from qa.encoder import OpenVINOEncoder
encode = OpenVINOEncoder.encode
def slow(self, texts):
    pathlib.Path(sys.argv[1], f"begun-{os.getpid()}").touch()
    pathlib.Path(sys.argv[1], "begun").touch()
    while not pathlib.Path(sys.argv[1], "go").exists():
        time.sleep(0.01)
    return encode(self, texts)
OpenVINOEncoder.encode = slow
from qa.cli import main
sys.exit(main(sys.argv[2:]))
"""


class FakeEncoder:
    """Words hashed into a bag: texts that share words are near, the same text is the same."""

    def __init__(self, name: str = "fake-1", dimension: int = 256, max_tokens: int = 256) -> None:
        self.name = name
        self.dimension = dimension
        self.max_tokens = max_tokens
        #: texts that were encoded, in order
        self.encoded: list[str] = []

    def encode(self, texts: Sequence[str]) -> Vectors:
        self.encoded += texts
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for vector, text in zip(vectors, texts, strict=True):
            vector[0] = 0.01  # a text without words has a direction, too
            for word in re.findall(r"\w+", text.lower()):
                vector[zlib.crc32(word.encode()) % self.dimension] += 1
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def count(self, texts: Sequence[str]) -> list[int]:
        return [len(_PIECE.findall(text)) for text in texts]


def fill(folder: Path, files: Mapping[str, str | bytes]) -> None:
    """Write files below a folder."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)


def written(folder: Path) -> list[Path]:
    """List what is below a folder, without the locks that tantivy leaves where it reads."""
    return sorted(path for path in folder.rglob("*") if not path.name.startswith(".tantivy-"))
