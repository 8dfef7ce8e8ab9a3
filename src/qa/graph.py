"""Model graphs in OpenVINO's format, run on this machine's processor."""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

_one_at_a_time = threading.Lock()


def openvino() -> Any:
    """Import OpenVINO without its telemetry, which opens a connection as soon as it is imported.

    The first array that it makes of a tensor is made here, by one thread: where two threads made
    the first one, each would wait for ever, one for the interpreter, one for the other to be ready.
    """
    with _one_at_a_time:
        sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
        import openvino

        _ = openvino.Tensor(np.zeros(1)).data
    return openvino


class Graph:
    """A compiled graph. Safe to share between threads: each call borrows an inference request.

    Requests are kept here and not by the threads: one that is destroyed by a thread that ends while
    the interpreter does would abort the process.
    """

    def __init__(self, path: Path, cache: Path, *, side_by_side: bool = False) -> None:
        """Compile a graph, or take what was compiled before from a folder, which saves time.

        :param cache: OpenVINO names what it keeps there by graph, version and processor, and
            compiles anew what it cannot use. Where nothing can be written, nothing is kept.
        :param side_by_side: whether the cores are to work on several inputs at a time, each on its
            own, for `run_all`; not all of them on one.
        """
        self._model = _compiled(path, cache, "THROUGHPUT" if side_by_side else "LATENCY")
        self._requests: list[Any] = []
        self._idle: list[Any] = []

    def run(self, *inputs: Any) -> Any:
        """Return the first output for the inputs, in the order in which the graph names them."""
        return self.run_all([inputs])[0]

    def run_all(self, batches: Sequence[Sequence[Any]]) -> list[Any]:
        """Return the first output for each of some inputs, as `run` does, but run together."""
        requests = [self._request() for _ in batches]
        for request, inputs in zip(requests, batches, strict=True):
            request.start_async(list(inputs))
        outputs = []
        for request in requests:
            request.wait()
            outputs.append(request.get_output_tensor(0).data.copy())
            self._idle.append(request)
        return outputs

    def _request(self) -> Any:
        try:
            return self._idle.pop()  # atomic, as is append
        except IndexError:
            request = self._model.create_infer_request()
            self._requests.append(request)  # kept also where a run fails
            return request


def _compiled(path: Path, cache: Path, hint: str) -> Any:
    settings = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": hint}
    core = openvino().Core()
    try:
        return core.compile_model(str(path), "CPU", {**settings, "CACHE_DIR": str(cache)})
    except RuntimeError:  # the folder cannot be made; or the graph is damaged, and fails again
        return core.compile_model(str(path), "CPU", settings)
