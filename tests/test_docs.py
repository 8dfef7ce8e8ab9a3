"""The README says what the program does."""

from __future__ import annotations

import argparse
import dataclasses
import json
import re
from pathlib import Path

import pytest

from qa import cli
from qa.config import Settings

ROOT = Path(__file__).parents[1]
README = ROOT.joinpath("README.md").read_text(encoding="utf-8")


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
    row = next(
        (
            line
            for line in README.splitlines()
            if line.startswith("|") and f"`{field.name}`" in line
        ),
        "",
    )
    assert row, f"{field.name} is not in the README's table"
    if field.name not in ("threshold", "port"):
        assert str(field.default) in row


def test_the_reply_that_is_shown_is_valid_json() -> None:
    (shown,) = re.findall(r'"limit": 1\}\'\n(.*?)\n```', README, re.DOTALL)
    reply = json.loads(shown)
    (citation,) = (found for found in reply["citations"] if found["number"] == 1)
    assert citation["quote"] in (ROOT / "corpus" / citation["uri"]).read_text(encoding="utf-8")


def test_nothing_is_left_to_fill_in() -> None:
    assert "@@" not in README
