"""The figures of `make soak`, and the page that is written from them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def _from_the_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))


def record(seconds: list[tuple[float, float]], statuses: list[int], memory: list[float]) -> object:
    from benchmarks.soak import Record

    return Record(
        statuses=statuses,
        answered=seconds,
        memory=[(float(at), used, 20) for at, used in enumerate(memory)],
        builds=[("done", 2.0), ("done", 4.0)],
        cpu={"server": 100.0, "builds": 20.0, "clients": 10.0, "everything": 150.0},
    )


def test_figures_and_promises() -> None:
    """Of 1,000 answers, 990 took half a second and 10 more; memory grew by a tenth at the end."""
    from benchmarks.soak import figures

    seen = record(
        [(90.0, 0.5)] * 990 + [(90.0, 0.9)] * 9 + [(1.0, 3.0)],
        [200] * 1000 + [429],
        [100.0] * 200 + [110.0] * 100,
    )
    found = figures(seen, 300, 8)  # type: ignore[arg-type]
    assert found["statuses"] == {"200": 1000, "429": 1}
    assert found["latency_ms"] == {"p50": 500, "p95": 500, "p99": 900, "slowest": 3000}
    assert found["latency_warm_ms"] == {"p50": 500, "p95": 500, "p99": 500, "slowest": 900}
    assert found["answers_per_second"] == 3.3
    assert (found["builds"], found["build_median_s"]) == ({"done": 2}, 3.0)
    # seconds 60 to 139, and 220 to 299
    assert found["memory_mb"] == {
        "start": 100,
        "first_third": 100,
        "last_third": 110,
        "most": 110,
        "growth": 0.1,
    }
    assert found["kept"] == {
        "no error other than 429": True,
        "p99 under 1000 ms": True,
        "memory flat after the first minute": False,
    }


def test_a_run_without_answers_keeps_nothing() -> None:
    from benchmarks.soak import figures, page

    seen = record([], [503], [100.0] * 10)
    seen.failures.append("503: no")  # type: ignore[attr-defined]
    found = figures(seen, 10, 8)  # type: ignore[arg-type]
    assert list(found["kept"].values()) == [False, False, True]
    assert "| p99 under 1000 ms | **not kept** |" in page(found)
    assert "| failures | 1 |" in page(found)


def test_the_page_says_what_was_measured() -> None:
    from benchmarks.soak import FIGURES, PAGE, page

    if not FIGURES.is_file():
        pytest.skip("nobody has run `make soak` to its end yet")
    assert PAGE.read_text(encoding="utf-8") == page(json.loads(FIGURES.read_text("utf-8")))
