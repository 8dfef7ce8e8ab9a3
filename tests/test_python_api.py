"""What `from qa import ...` gives, as the README shows it."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import io
import re
import subprocess
import sys
from pathlib import Path

import pytest

import qa
from fakes import FakeEncoder
from qa import Assistant
from qa.config import Settings

README = Path(__file__).parents[1].joinpath("README.md").read_text(encoding="utf-8")


def test_the_example_of_the_readme(
    article_index: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = re.search(r"```python\n(.*?)```\n\n```\n(.*?)```", README, re.DOTALL)
    assert shown
    monkeypatch.chdir(article_index.index.parent)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(shown[1], "README.md", "exec"), {})  # the user's own first lines
    assert printed.getvalue() == shown[2]


def test_the_names_are_imported_when_they_are_used() -> None:
    code = "import sys, qa; print(sorted(name for name in sys.modules if name.startswith('qa')))"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True
    )
    assert found.stdout == "['qa']\n"
    assert sorted(qa.__all__) == qa.__all__
    assert set(qa.__all__) <= set(dir(qa))
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = qa.Nothing


@pytest.mark.parametrize("name", qa.__all__)
def test_every_name_is_described_and_typed(name: str) -> None:
    found = getattr(qa, name)
    assert found.__module__.startswith("qa.")
    assert inspect.getdoc(found)
    if dataclasses.is_dataclass(found):
        assert found.__dataclass_params__.frozen  # type: ignore[attr-defined]
    methods = inspect.getmembers(found, lambda value: inspect.isroutine(value))
    for method, value in methods:
        if not method.startswith("_") and value.__qualname__.startswith(name):
            assert inspect.getdoc(value), method
    assert Path(qa.__file__).with_name("py.typed").is_file()


def test_closing_releases_the_files(indexed: Settings, fake: FakeEncoder) -> None:
    def held() -> list[str]:
        lines = Path("/proc/self/maps").read_text().splitlines()
        paths = [line.split(maxsplit=5)[5] for line in lines if len(line.split()) > 5]
        opened = [str(link.readlink()) for link in Path("/proc/self/fd").iterdir() if link.exists()]
        return [path for path in {*paths, *opened} if path.startswith(str(indexed.index))]

    if not Path("/proc/self/maps").exists():
        pytest.skip("needs /proc")
    with Assistant.open(settings=indexed, encoder=fake) as assistant:
        assert assistant.ask("Gold melts").answered
        assert held()
    assert held() == []
    assistant.close()  # once more does no harm
