"""How long tests wait for what takes a moment, however busy the machine is."""

from __future__ import annotations

import time
from collections.abc import Callable

#: Seconds after which what has not happened is taken never to.
PATIENCE = 120


def until(true: Callable[[], object]) -> None:
    """Wait until something is true."""
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.02)
