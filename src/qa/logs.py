"""Log lines: as text or as JSON, one entry a line, each with the id of its request."""

from __future__ import annotations

import contextvars
import json
import logging
import re
from datetime import UTC, datetime
from typing import Any

from qa.config import Settings

#: Of the request that is being replied to, empty outside of one.
request_id: contextvars.ContextVar[str] = contextvars.ContextVar("request_id", default="")
#: Control and format characters, with which a text could forge lines or hide in one.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def configure(settings: Settings) -> None:
    """Write log entries to standard error as the settings say."""
    handler = logging.StreamHandler()
    handler.setFormatter(JSONFormatter() if settings.log_format == "json" else TextFormatter())
    logging.basicConfig(handlers=[handler], level=settings.log_level.upper(), force=True)
    for name in ("httpx", "watchfiles", "waitress.queue"):  # they tell what we tell, or less
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.root.level))


def escaped(text: str) -> str:
    """Return a text on one line, its control characters written out."""
    return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


class TextFormatter(logging.Formatter):
    """Level, logger, request and message; the facts of an entry as key=value."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the entry; a traceback follows on lines of its own."""
        identity = request_id.get()
        parts = [record.levelname, f"{record.name}:"]
        parts += [f"[{identity}]"] if identity else []
        parts.append(escaped(record.getMessage()))
        parts += [f"{key}={escaped(json.dumps(value))}" for key, value in _facts(record).items()]
        line = " ".join(parts)
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class JSONFormatter(logging.Formatter):
    """An object with time, level, logger, message, request id, and the facts of the entry."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the entry on one line, whatever it holds."""
        entry: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if identity := request_id.get():
            entry["request_id"] = identity
        entry |= _facts(record)
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, default=str)


def _facts(record: logging.LogRecord) -> dict[str, Any]:
    """Return what was given as `extra={"facts": {...}}`."""
    found: dict[str, Any] = getattr(record, "facts", {})
    return found
