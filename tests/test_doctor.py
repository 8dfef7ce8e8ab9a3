from __future__ import annotations

from dataclasses import replace
from importlib import metadata
from pathlib import Path

import pytest

from qa.config import Settings
from qa.doctor import WEB_FILES, Check, checks, packages
from qa.stores import generation


def by_name(settings: Settings) -> dict[str, Check]:
    return {check.name: check for check in checks(settings)}


def test_everything_is_sound(article_index: Settings) -> None:
    found = by_name(article_index)
    names = [name for name, _ in packages()]
    assert {"faiss-cpu", "flask", "openvino", "tantivy", "torch", "waitress"} <= {*names}
    files = [*(f"web/{name}" for name in WEB_FILES), "calibration.json"]
    optional = ["fit (optional)", "token (optional)"]
    rest = ["model", "selector", "corpus", "index"]
    assert list(found) == ["python", *names, *files, *optional, *rest]
    assert [check.name for check in found.values() if not check.sound] == []
    assert found["openvino"].finding == metadata.version("openvino")
    assert found["model"].finding == "all-MiniLM-L6-v2, exported"
    assert found["selector"].finding.startswith("selector, threshold 0.")
    assert found["index"].finding.endswith("1 sources, 6 passages, every checksum right")


def test_before_the_first_index(settings: Settings) -> None:
    found = by_name(settings)
    assert (found["model"].sound, found["corpus"].sound, found["index"].sound) == (
        True,
        True,
        False,
    )
    assert "not exported yet; `qa index` does it" in found["model"].finding
    assert "build it: qa index" in found["index"].finding


def test_damage_is_named(indexed: Settings) -> None:
    (generation.current(indexed.index) / "dense.faiss").write_bytes(b"")
    found = by_name(indexed)["index"]
    assert not found.sound
    assert "dense.faiss is not what was written" in found.finding


def test_what_is_missing_is_named(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    needed = ["no-such-package>=1", 'no-such-reader>=2; extra == "documents"']
    monkeypatch.setattr("qa.doctor.metadata.requires", lambda name: needed)
    monkeypatch.setattr("qa.doctor.web_folder", lambda: tmp_path)
    found = by_name(replace(settings, corpus=tmp_path / "gone", model="no-such/model"))
    assert [check.name for check in found.values() if not check.sound] == [
        "no-such-package",
        *(f"web/{name}" for name in WEB_FILES),
        "model",
        "corpus",
        "index",
    ]
    assert found["no-such-package"].finding == "not installed: pip install no-such-package"
    assert found["no-such-reader"].finding == (
        "not installed; its formats need pip install '.[documents]'"
    )
    assert "'no-such/model' cannot be used" in found["model"].finding
    assert found["corpus"].finding == f"{tmp_path / 'gone'} is no folder; name it with --corpus"


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        ({"selector": "none"}, "none: sentences are chosen by similarity alone"),
        ({"selector": "no-such/model"}, "model 'no-such/model' cannot be used"),
    ],
)
def test_the_selector(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, change: dict[str, str], finding: str
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    found = by_name(replace(settings, **change))["selector"]
    assert found.sound is (change["selector"] == "none")
    assert found.finding.startswith(finding)
