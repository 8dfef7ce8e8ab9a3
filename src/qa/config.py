"""Settings: defaults, then qa.toml, then QA_* environment variables, then arguments."""

from __future__ import annotations

import ipaddress
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, NoReturn

from qa.errors import ConfigError

DEFAULT_FILE = Path("qa.toml")
#: The store that is the folder of the setting `index`.
LOCAL = "local"
_ADDRESSES = ("postgresql://", "postgres://")
#: Files that stand beside the settings where those name no other place.
_BESIDE_THE_FILE = ("calibration", "feedback", "token_file")
#: Environment variable with a secret, which is no setting: settings are shown and handed on.
TOKEN = "QA_TOKEN"
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9]([a-z0-9.-]*[a-z0-9])?)(:\d{1,5})?")


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be set, with the reason for its default."""

    corpus: Path = Path("corpus")  # the sources
    index: Path = Path("index")  # generations and the exported model; safe to delete
    #: "local": in `index`; or "postgresql://user@host/database", see docs/scale-out.md
    store: str = field(default=LOCAL, repr=False)  # an address may hold a password
    store_connections: int = 8  # to that server at most, from this process
    store_seconds: int = 5  # that a question waits for one of them
    store_shards: int = 0  # over which Citus spreads the passages; 0: a server without Citus
    model: str = "all-MiniLM-L6-v2"  # its weights come with the installed packages
    backend: str = "openvino"  # "torch" for a model that does not export; seconds slower to start
    passage_tokens: int = 256  # word pieces a passage with title and headings: the model's window
    dense_weight: float = 0.5  # of meaning against words in the fused score; see docs/quality.md
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
    threads: int = 4  # questions answered at once
    queue: int = 16  # questions that wait for one of these; more are told to come again
    request_seconds: int = 30  # for one question, waiting included
    drain_seconds: int = 10  # for requests in flight when the server is told to stop
    rate_per_minute: int = 600  # requests of one client; 0: no limit
    max_body_kb: int = 256  # of a request: a question with all its options fits many times over
    max_question: int = 2000  # characters
    max_passages: int = 50  # that a request may ask for: `limit`
    max_history: int = 20  # earlier turns in a request
    uploads: bool = False  # whether the page may add files to the corpus, and delete those
    upload_mb: int = 20  # of one file
    upload_files: int = 1000  # that may lie in the corpus by upload
    hosts: str = ""  # names by which the server is reached besides loopback, blanks between them
    origins: str = ""  # of pages on other sites whose scripts may use the JSON interface
    proxy: str = ""  # address of a reverse proxy whose X-Forwarded-For and -Proto are believed
    token_file: Path = Path("qa.token")  # holds the token, where QA_TOKEN does not
    log_level: str = "warning"  # "info": a line for every request
    log_format: str = "text"  # or "json": an object on every line
    log_questions: bool = False  # what people ask is theirs

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
            key[3:].lower(): value
            for key, value in environ.items()
            if key.startswith("QA_") and key != TOKEN
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
    types = {entry.name: type(getattr(settings, entry.name)) for entry in fields(settings)}
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
    if kind is bool:
        return _convert_bool(key, value)
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


def _convert_bool(key: str, value: Any) -> bool:
    written = str(value).lower()
    if written not in ("true", "false", "1", "0"):
        _refuse(key, value, "true or false")
    return written in ("true", "1")


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
        "store_connections": (1, 1000),
        "store_seconds": (1, 60),
        "store_shards": (0, 10_000),
        "threads": (1, 64),
        "queue": (0, 1000),
        "request_seconds": (1, 3600),
        "drain_seconds": (0, 3600),
        "rate_per_minute": (0, 1_000_000),
        "max_body_kb": (4, 100_000),
        "max_question": (1, 2000),
        "max_passages": (5, 50),
        "max_history": (0, 20),
        "upload_mb": (1, 2000),
        "upload_files": (1, 1_000_000),
    }
    for key, (low, high) in ranges.items():
        if not low <= getattr(settings, key) <= high:
            raise ConfigError(key, getattr(settings, key), f"{low:g} to {high:g}")
    choices = {
        "backend": ("openvino", "torch"),
        "log_level": ("debug", "info", "warning", "error"),
        "log_format": ("text", "json"),
    }
    for key, allowed in choices.items():
        if getattr(settings, key) not in allowed:
            named = ", ".join(repr(value) for value in allowed[:-1])
            raise ConfigError(key, getattr(settings, key), f"{named} or {allowed[-1]!r}")
    if settings.store != LOCAL and not settings.store.startswith(_ADDRESSES):
        shown = "(not shown, it may hold a password)"
        raise ConfigError("store", shown, f"{LOCAL!r} or an address that begins postgresql://")
    _check_addresses(settings)
    return settings


def _check_addresses(settings: Settings) -> None:
    if settings.proxy and not _is_address(settings.proxy):
        expected = "the IP address from which the proxy connects, in its short form"
        raise ConfigError("proxy", settings.proxy, expected)
    for name in settings.hosts.split():
        if not _HOST.fullmatch(name):
            raise ConfigError("hosts", name, "names in lower case, with a port or without")
    for origin in settings.origins.split():
        scheme, _, name = origin.partition("://")
        if scheme not in ("http", "https") or not _HOST.fullmatch(name):
            raise ConfigError("origins", origin, "origins such as https://docs.example.org")


def _is_address(text: str) -> bool:
    """Say whether a text is an address as sockets write it, which is how it is compared."""
    try:
        return str(ipaddress.ip_address(text)) == text
    except ValueError:
        return False
