from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from qa.config import Settings
from qa.errors import ConfigError


def test_defaults() -> None:
    assert Settings.load({}) == Settings()


def test_later_layers_win(tmp_path: Path) -> None:
    file = tmp_path / "my.toml"
    file.write_text('port = 1\nhost = "file"\nmodel = "file"\n')
    environ = {"QA_PORT": "2", "QA_HOST": "environment", "HOME": "/nowhere"}
    found = Settings.load(environ, file, {"port": 3, "threads": None})
    assert (found.model, found.host, found.port) == ("file", "environment", 3)
    assert found.threads == Settings().threads


def test_paths_in_a_file_are_relative_to_it(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "qa.toml").write_text('corpus = "texts"\nindex = "/var/index"\n')
    found = Settings.load({}, folder / "qa.toml", {"index": Path("here")})
    assert (found.corpus, found.index) == (folder / "texts", Path("here"))
    assert Settings.load({}, folder / "qa.toml").index == Path("/var/index")


def test_qa_toml_in_the_current_folder_is_read(tmp_path: Path) -> None:
    (tmp_path / "qa.toml").write_text("port = 9\n")  # tests run in a folder of their own
    assert Settings.load({}).port == 9


def test_home_is_expanded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert Settings.load({"QA_CORPUS": "~/texts"}).corpus == Path("/home/me/texts")


@pytest.mark.parametrize(
    ("key", "value", "converted"),
    [
        ("port", "8080", 8080),
        ("port", 0, 0),
        ("dense_weight", "0.25", 0.25),
        ("dense_weight", 1, 1.0),
        ("threshold", "-1", -1.0),
        ("passage_tokens", 32, 32),
        ("backend", "torch", "torch"),
    ],
)
def test_values_are_converted(key: str, value: object, converted: object) -> None:
    found = getattr(Settings.load({}, None, {key: value}), key)
    assert found == converted
    assert type(found) is type(converted)


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("port", "abc", "a number"),
        ("port", True, "a number"),
        ("port", [], "a number"),
        ("port", 10**400, "a number"),
        ("port", 80.5, "a whole number"),
        ("port", "inf", "a whole number"),
        ("port", 65536, "0 to 65535"),
        ("port", -1, "0 to 65535"),
        ("passage_tokens", 31, "32 to 1e+06"),
        ("dense_weight", 1.01, "0 to 1"),
        ("dense_weight", "nan", "0 to 1"),
        ("threshold", -1.1, "-1 to 1"),
        ("candidates", 0, "1 to 1000"),
        ("max_source_mb", 0, "1 to 2000"),
        ("threads", 65, "1 to 64"),
        ("backend", "onnx", "'openvino' or 'torch'"),
        ("host", 1, "a text"),
        ("corpus", 1, "a path"),
        ("corpus", "", "a path"),
    ],
)
def test_bad_values_are_refused_by_name(key: str, value: object, expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Settings.load({}, None, {key: value})
    assert (caught.value.key, caught.value.expected) == (key, expected)


@pytest.mark.parametrize("layer", ["file", "environ", "arguments"])
def test_an_unknown_key_is_named_with_where_it_was_read(layer: str, tmp_path: Path) -> None:
    file = tmp_path / "my.toml"
    file.write_text("colour = 1\n" if layer == "file" else "")
    environ = {"QA_COLOUR": "1"} if layer == "environ" else {}
    arguments: dict[str, Any] = {"colour": 1} if layer == "arguments" else {}
    name = {"file": str(file), "environ": "the environment", "arguments": "the arguments"}[layer]
    with pytest.raises(ConfigError) as caught:
        Settings.load(environ, file, arguments)
    assert caught.value.key == "colour"
    assert name in caught.value.expected
    assert "passage_tokens" in caught.value.expected


def test_a_named_file_must_exist(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="existing file"):
        Settings.load({}, tmp_path / "none.toml")


@pytest.mark.parametrize("content", [b"port =", b"\xff"], ids=["not TOML", "not UTF-8"])
def test_a_file_that_is_not_toml_is_named(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "my.toml"
    file.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        Settings.load({}, file)
    assert caught.value.key == str(file)


@pytest.mark.parametrize("proxy", ["127.0.0.1", "::1", "2001:db8::1"])
def test_a_proxy_is_an_address(proxy: str) -> None:
    assert Settings.load({"QA_PROXY": proxy}).proxy == proxy


@pytest.mark.parametrize("proxy", ["*", "localhost", "127.0.0.0/8", "2001:DB8::1", "0::1", "[::1]"])
def test_no_proxy_is_believed_that_cannot_be_told_apart(proxy: str) -> None:
    """`*` would believe everybody, and another spelling nobody."""
    with pytest.raises(ConfigError, match="the IP address from which the proxy connects"):
        Settings.load({"QA_PROXY": proxy})
