"""The README and its pages in docs/ say what the program does."""

from __future__ import annotations

import argparse
import dataclasses
import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from qa import cli
from qa.app import create_app
from qa.assistant import Live
from qa.config import Settings

ROOT = Path(__file__).parents[1]
README = ROOT.joinpath("README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", ROOT / "SECURITY.md", *sorted(ROOT.glob("docs/*.md"))]


def commands() -> dict[str, argparse.ArgumentParser]:
    (choices,) = (
        action.choices
        for action in cli._parser()._actions
        if isinstance(action, argparse._SubParsersAction)
    )
    return dict(choices)


@pytest.mark.parametrize("name", commands())
def test_every_command_is_described(name: str) -> None:
    row = re.search(rf"^\| `qa {name}\b(.*)$", README, re.MULTILINE)
    assert row, f"qa {name} is not in the README's table"
    shared = {"--help", "--corpus", "--index", "--config"}
    for action in commands()[name]._actions:
        for option in set(action.option_strings) - shared - {"-h"}:
            assert option in row[0], f"qa {name} {option} is not in the README's table"


@pytest.mark.parametrize("field", dataclasses.fields(Settings), ids=lambda field: field.name)
def test_every_setting_is_described(field: dataclasses.Field[object]) -> None:
    lines = ROOT.joinpath("docs", "settings.md").read_text(encoding="utf-8").splitlines()
    row = next((line for line in lines if line.startswith("|") and f"`{field.name}`" in line), "")
    assert row, f"{field.name} is not in the table of docs/settings.md"
    if field.name not in ("threshold", "port"):
        assert str(field.default).lower() in row.lower()


@pytest.fixture
def shown_reply() -> dict[str, Any]:
    page = ROOT.joinpath("docs", "api.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r'"limit": 1\}\'\n(.*?)\n```', page, re.DOTALL)
    reply: dict[str, Any] = json.loads(shown)
    return reply


def test_the_reply_that_is_shown_is_given(shown_reply: dict[str, Any], shipped: Settings) -> None:
    """In what it quotes, where, and how far it is sure; its scores vary with the processor."""
    asked = {"question": shown_reply["question"], "limit": 1}
    given = create_app(Live(shipped)).test_client().post("/api/v1/answer", json=asked).get_json()
    assert given["confidence"] == pytest.approx(shown_reply["confidence"], abs=0.05)
    for reply in (given, shown_reply):
        for name in ("confidence", "generation", "took_ms"):
            del reply[name]
        for passage in reply["passages"]:
            for name in ("score", "evidence"):
                passage[name] = pytest.approx(passage[name], abs=0.5)
    assert given == shown_reply


def test_the_first_lines_of_that_reply_are_those_of_the_readme(
    shown_reply: dict[str, Any],
) -> None:
    (asked, answered, confidence, citation) = re.findall(
        r"-d '(.*?)' \| jq.*\n(.*)\n(.*)\n(\[(?:\n .*)+)\.\.\.\n", README
    )[0]
    assert json.loads(asked) == {"question": shown_reply["question"], "limit": 1}
    assert json.loads(answered) is shown_reply["answered"]
    assert json.loads(confidence) == shown_reply["confidence"]
    first = json.loads(citation.rstrip().rstrip(",") + "}]")[0]
    assert first == {name: shown_reply["citations"][0][name] for name in first}


def test_the_confidence_was_as_reliable_as_the_readme_shows() -> None:
    calibration = json.loads(ROOT.joinpath("src/qa/calibration.json").read_text(encoding="utf-8"))
    rows = calibration["selector"]["held_out"]["XQuAD"]["reliability"]
    for name in ("predicted", "observed"):
        shown = " | ".join(f"{100 * row[name]:.0f}" for row in rows)
        assert f"| {name}, % | {shown} |" in README


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_shows_of_an_answer_is_printed(
    page: Path,
    shipped: Settings,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Every command of a block that asks, in order; the confidence varies with the processor."""
    monkeypatch.chdir(tmp_path)
    options = ["--corpus", str(shipped.corpus), "--index", str(shipped.index)]
    percent = re.compile(r"^Confidence \d+%", re.MULTILINE)
    for block in re.findall(r"^```\n(\$ qa ask .*?)^```", page.read_text("utf-8"), re.M | re.S):
        for command, expected in re.findall(r"^\$ qa (.*)\n((?:[^$].*\n|\n)*)", block, re.M):
            words, _, file = command.partition(" > ")
            assert cli.main([*shlex.split(words), *options]) == cli.DONE
            printed = capsys.readouterr().out
            if file:
                Path(file).write_text(printed, encoding="utf-8")
            elif expected:
                assert percent.sub("", printed) == percent.sub("", expected)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        name, _, anchor = target.partition("#")
        if name.startswith(("http:", "https:")):
            continue
        found = page.parent / name if name else page
        assert found.exists(), f"{page.name} links to {target}"
        if anchor:
            heads = re.findall(r"^#+ (.*)$", found.read_text(encoding="utf-8"), re.MULTILINE)
            anchors = {re.sub(r"[^\w -]", "", head).lower().replace(" ", "-") for head in heads}
            assert anchor in anchors, f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_nothing_is_left_to_fill_in(page: Path) -> None:
    assert "@@" not in page.read_text(encoding="utf-8")
