from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import replace

import pytest

from qa import logs
from qa.config import Settings


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def test_text_cannot_forge_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(Settings())
    facts = {"path": "/a\nERROR b", "n": 1}
    logging.getLogger("x").warning("one\r\ntwo\x1b[31m\u2028\u202e", extra={"facts": facts})
    logging.getLogger("x").info("not shown")
    assert capsys.readouterr().err == (
        'WARNING x: one\\u000d\\u000atwo\\u001b[31m\\u2028\\u202e path="/a\\nERROR b" n=1\n'
    )


def test_json_is_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(replace(Settings(), log_format="json", log_level="info"))
    token = logs.request_id.set("abc")
    try:
        try:
            raise ValueError("in\nside")
        except ValueError:
            logging.getLogger("x").exception("a\nb", extra={"facts": {"path": object}})
    finally:
        logs.request_id.reset(token)
    (line,) = capsys.readouterr().err.splitlines()
    entry = json.loads(line)
    assert (entry["message"], entry["level"], entry["request_id"]) == ("a\nb", "error", "abc")
    assert "ValueError: in" in entry["exception"]
    assert entry["path"] == "<class 'object'>"
    assert entry["time"].endswith("+00:00")
