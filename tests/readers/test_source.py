from __future__ import annotations

import build
import pytest

from qa.readers import read

CODE = 'def f():\n    """Do it."""\n    return 1\n\n\nclass A:\n    pass\n'


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
def test_code_is_cut_at_blank_lines(end: str) -> None:
    source = CODE.replace("\n", end)
    assert read("src/a.py", source.encode()).text == source
    assert read("src/a.py", source.encode()).title == "a.py"
    assert build.structure("a.py", source.encode()) == [
        ("block", end.join(["def f():", '    """Do it."""', "    return 1"])),
        ("block", end.join(["class A:", "    pass"])),
    ]


@pytest.mark.parametrize("uri", ["a.json", "a.jsonl"])
def test_a_line_of_json_is_a_block(uri: str) -> None:
    source = '{"a": 1,\n "b": "x"}\n\n'
    assert build.structure(uri, source.encode()) == [("block", '{"a": 1,'), ("block", '"b": "x"}')]
