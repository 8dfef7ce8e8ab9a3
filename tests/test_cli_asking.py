from __future__ import annotations

import json
from typing import Any

import pytest

from fakes import FakeEncoder, fill
from qa import cli
from qa.config import Settings
from qa.ingest import build
from qa.scorer import NONE

NEWER = "The answer is from sources of 2025-02-01; newer sources also match: b.md (2025-03-01)."


@pytest.fixture
def asked(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Any:
    """Ask on the command line; return the exit code, and what was printed with single blanks."""
    told = {
        "a.md": ("2025-02-01", "Gold mine near Bern. Mine gold near Bern. Bern near gold mine."),
        "b.md": ("2025-03-01", "Near Bern gold mine. Bern gold near mine. Mine near gold Bern."),
    }
    for uri, (day, text) in told.items():
        fill(settings.corpus, {uri: f"---\ntitle: Mines\ndate: {day}\n---\n{text}\n"})
    build(settings, FakeEncoder())
    monkeypatch.setattr("qa.assistant.open_encoder", lambda settings: FakeEncoder())
    monkeypatch.setenv("QA_THRESHOLD", "0")

    monkeypatch.setenv("QA_SELECTOR", NONE)  # the encoder is the fake one

    def ask(*arguments: str) -> tuple[int, str, str]:
        code = cli.main(["ask", *arguments, "--index", str(settings.index)])
        printed = capsys.readouterr()
        return code, " ".join(printed.out.split()), printed.err

    return ask


def test_newer_sources_are_printed(asked: Any) -> None:
    code, out, _ = asked("Gold mine near Bern?")
    assert code == 0
    assert out.endswith(NEWER)


def test_a_filter_that_leaves_nothing_is_printed_instead_of_a_refusal(asked: Any) -> None:
    assert asked('Gold "silver mine"?') == (1, "No passage has the phrase “silver mine”.", "")


def test_syntax_that_does_not_fit_is_wrong_usage(asked: Any) -> None:
    code, out, err = asked("Gold type:pdf")
    assert (code, out) == (2, "")
    assert err == "qa: question: no source fits type:pdf; the types are: md\n"


@pytest.mark.parametrize(
    ("question", "count"), [("x", "2 sources"), ("x after:2025-03", "1 source")]
)
def test_a_refusal_counts_the_sources_searched(
    asked: Any, monkeypatch: pytest.MonkeyPatch, question: str, count: str
) -> None:
    monkeypatch.setenv("QA_THRESHOLD", "1")
    code, out, _ = asked(question)
    assert code == 1
    assert out.startswith(f"The {count} searched ")


def test_passages_are_sorted(asked: Any) -> None:
    for order, dates in [("relevance", ["02", "03"]), ("date", ["03", "02"])]:
        _, out, _ = asked("Gold mine near Bern?", "--sort", order, "--json")
        assert [found["date"][5:7] for found in json.loads(out)["passages"]] == dates
