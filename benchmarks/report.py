"""Write what was measured: JSON that is kept, tables between two marks of a page, charts."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def record(path: Path, figures: Mapping[str, Any]) -> None:
    """Write figures as JSON; numbers to four digits that count."""
    text = json.dumps(rounded(figures), indent=1, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")


def rounded(value: Any) -> Any:
    """Return figures with their numbers to four digits that count."""
    if isinstance(value, Mapping):
        return {key: rounded(entry) for key, entry in value.items()}
    return float(f"{value:.4g}") if isinstance(value, float) else value


def replace_table(page: Path, name: str, lines: Sequence[Sequence[Any]]) -> None:
    """Replace the table that stands between the marks of this name; the first line is its head."""
    replace_between(page, name, "\n".join(_rows(lines)))


def replace_between(page: Path, name: str, text: str) -> None:
    """Replace what stands between the marks of this name."""
    begin, end = f"<!-- {name}: written by make -->", f"<!-- end of {name} -->"
    before = page.read_text(encoding="utf-8")
    after, count = re.subn(
        f"{re.escape(begin)}.*?{re.escape(end)}",
        lambda _: f"{begin}\n{text}\n{end}",
        before,
        flags=re.DOTALL,
    )
    if count != 1:
        raise SystemExit(f"{page} has the marks of {name!r} {count} times, not once")
    page.write_text(after, encoding="utf-8")


def _rows(lines: Sequence[Sequence[Any]]) -> list[str]:
    head, *body = lines
    rows = [head, ["---"] * len(head), *body]
    return [f"| {' | '.join(shown(cell) for cell in row)} |" for row in rows]


def shown(value: Any) -> str:
    """Write a figure as people read it: three digits that count."""
    if not isinstance(value, float):
        return str(value)
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) >= 1 else f"{value:.3f}"


def chart(path: Path, found: Mapping[str, Mapping[str, Any]]) -> None:
    """Draw how cost grows with the number of passages, both axes logarithmic."""
    pyplot = _pyplot()
    sizes = [int(size) for size in found]
    panels = {
        "time of a question, ms": ["encode p50 ms", "retrieval p50 ms", "retrieval p95 ms"],
        "seconds": ["build s", "open s", "cold `qa ask` s"],
        "MB": ["disk MB", "answering MB", "build peak MB"],
    }
    figure, axes = pyplot.subplots(1, len(panels), figsize=(12, 3.8), layout="constrained")
    for axis, (label, names) in zip(axes, panels.items(), strict=True):
        for name in names:
            axis.loglog(sizes, [found[str(size)][name] for size in sizes], marker="o", label=name)
        axis.set(xlabel="passages", ylabel=label)
        axis.grid(alpha=0.3)
        axis.legend(fontsize=8)
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def _pyplot() -> Any:
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "qa"  # the same figures, the same bytes
    from matplotlib import pyplot

    return pyplot


def bars(path: Path, found: Mapping[str, Mapping[str, Any]]) -> None:
    """Draw systems side by side, a panel for each figure."""
    pyplot = _pyplot()
    names = [name.replace("*", "") for name in found]
    panels = {
        "query p50, ms": "query p50 ms",
        "cold first answer, s": "cold first answer s",
        "memory while answering, MB": "answering MB",
        "hit@1": "hit@1",
    }
    figure, axes = pyplot.subplots(1, len(panels), figsize=(13, 3.8), sharey=True)
    for axis, (label, key) in zip(axes, panels.items(), strict=True):
        values = [cell.get(key, 0.0) for cell in found.values()]
        colors = ["#2f6f4f" if name.startswith("qa") else "#9aa5b1" for name in names]
        axis.bar_label(
            axis.barh(names, values, color=colors),
            [shown(float(value)) if value else "" for value in values],
            padding=2,
            fontsize=8,
        )
        axis.set(xlabel=label)
        axis.margins(x=0.25)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].invert_yaxis()
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
