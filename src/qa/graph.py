"""Model graphs in OpenVINO's format, run on this machine's processor."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any


def openvino() -> Any:
    """Import OpenVINO without its telemetry, which opens a connection as soon as it is imported."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    return openvino


class Graph:
    """A compiled graph. Safe to share between threads: each call borrows an inference request.

    Requests are kept here and not by the threads: one that is destroyed by a thread that ends while
    the interpreter does would abort the process.
    """

    def __init__(self, path: Path) -> None:
        core = openvino().Core()
        self._model = core.compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        self._idle: list[Any] = []

    def run(self, *inputs: Any) -> Any:
        """Return the first output for the inputs, in the order in which the graph names them."""
        try:
            request = self._idle.pop()  # atomic, as is append
        except IndexError:
            request = self._model.create_infer_request()
        try:
            return request.infer(list(inputs))[0].copy()
        finally:
            self._idle.append(request)
