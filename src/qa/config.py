"""Settings: defaults, then qa.toml, then QA_* environment variables, then arguments."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, NoReturn

from qa.errors import ConfigError

DEFAULT_FILE = Path("qa.toml")
#: Files that stand beside the settings where those name no other place.
_BESIDE_THE_FILE = ("calibration", "feedback")


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be set, with the reason for its default."""

    corpus: Path = Path("corpus")  # the sources
    index: Path = Path("index")  # generations and the exported model; safe to delete
    model: str = "all-MiniLM-L6-v2"  # its weights come with the installed packages
    backend: str = "openvino"  # "torch" for a model that does not export; seconds slower to start
    passage_tokens: int = 256  # word pieces a passage with title and headings: the model's window
    dense_weight: float = 0.5  # of meaning against words in the fused score; see README, "Measured"
    candidates: int = 50  # passages that each channel is asked for
    selector: str = "selector"  # the one that ships; "none"; or a cross-encoder, by name or folder
    threshold: float = -1.0  # least confidence of an answer; -1: the fitted one
    generations: int = 3  # of the index that are kept, to return to: `qa rollback`
    calibration: Path = Path("calibration.json")  # your own fit, used when it is there
    feedback: Path = Path("feedback.jsonl")  # what you said of answers; outlives the index
    max_source_mb: int = 50  # a larger file is skipped with a reason
    reader_seconds: int = 60  # to read one file; one that takes longer is skipped with a reason
    reader_memory_mb: int = 2048  # address space of the process that reads
    reader_characters: int = 20_000_000  # of one file's text, its structure counted
    host: str = "127.0.0.1"  # only this machine
    port: int = 8000
    threads: int = 4  # requests handled at once

    @classmethod
    def load(
        cls,
        environ: Mapping[str, str],
        file: Path | None = None,
        arguments: Mapping[str, Any] | None = None,
    ) -> Settings:
        """Merge the four layers; raise ConfigError for an unknown key or a bad value.

        Paths in a file are relative to that file. `qa.toml` in the current folder is read when it
        is there; a file that is named must exist.
        """
        settings = cls()
        if file is not None and not file.is_file():
            raise ConfigError("--config", str(file), "an existing file")
        chosen = file or (DEFAULT_FILE if DEFAULT_FILE.is_file() else None)
        if chosen:
            beside = {name: chosen.parent / getattr(settings, name) for name in _BESIDE_THE_FILE}
            settings = replace(settings, **beside)
            settings = _merge(settings, _read(chosen), str(chosen), chosen.parent)
        from_environ = {
            key[3:].lower(): value for key, value in environ.items() if key.startswith("QA_")
        }
        settings = _merge(settings, from_environ, "the environment (QA_*)", Path())
        given = {key: value for key, value in (arguments or {}).items() if value is not None}
        return _check(_merge(settings, given, "the arguments", Path()))


def web_folder() -> Path:
    """Return the folder of templates and static files: in the package, or beside it."""
    installed = Path(__file__).with_name("web")
    return installed if installed.is_dir() else Path(__file__).parents[2] / "web"


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), "its content", f"TOML ({error})") from error


def _merge(settings: Settings, layer: Mapping[str, Any], name: str, base: Path) -> Settings:
    types = {field.name: type(getattr(settings, field.name)) for field in fields(settings)}
    changes = {}
    for key, value in layer.items():
        if key not in types:
            raise ConfigError(key, value, f"one of {', '.join(sorted(types))} (read from {name})")
        changes[key] = _convert(key, value, types[key], base)
    return replace(settings, **changes)


def _convert(key: str, value: Any, kind: type, base: Path) -> Any:
    if issubclass(kind, Path):
        if not isinstance(value, str | Path) or not str(value):
            _refuse(key, value, "a path")
        return base / Path(value).expanduser()
    if kind is str:
        if not isinstance(value, str):
            _refuse(key, value, "a text")
        return value
    if isinstance(value, bool):
        _refuse(key, value, "a number")
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        _refuse(key, value, "a number")
    if kind is int:
        if not number.is_integer():
            _refuse(key, value, "a whole number")
        return int(number)
    return number


def _refuse(key: str, value: object, expected: str) -> NoReturn:
    raise ConfigError(key, value, expected)


def _check(settings: Settings) -> Settings:
    ranges: dict[str, tuple[float, float]] = {
        "passage_tokens": (32, 1_000_000),
        "dense_weight": (0, 1),
        "candidates": (1, 1000),
        "threshold": (-1, 1),
        "generations": (1, 1000),
        "max_source_mb": (1, 2000),
        "reader_seconds": (1, 3600),
        "reader_memory_mb": (256, 1_000_000),
        "reader_characters": (1000, 100_000_000),
        "port": (0, 65535),
        "threads": (1, 64),
    }
    for key, (low, high) in ranges.items():
        if not low <= getattr(settings, key) <= high:
            raise ConfigError(key, getattr(settings, key), f"{low:g} to {high:g}")
    if settings.backend not in ("openvino", "torch"):
        raise ConfigError("backend", settings.backend, "'openvino' or 'torch'")
    return settings
