"""Requests a client may send: a bucket of tokens each, filled at a steady pace."""

from __future__ import annotations

import ipaddress
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from flask import Flask, request
from werkzeug.exceptions import TooManyRequests

from qa.app.metrics import REFUSALS

#: Clients that are remembered; when there are more, those with a full bucket are forgotten.
_REMEMBERED = 10_000
#: What costs next to nothing, and must work when a client has used up its requests.
_FREE = {"static", "operation.healthz", "operation.readyz", "operation.metrics"}


@dataclass(slots=True)
class _Bucket:
    tokens: float
    filled: float


class RateLimiter:
    """Lets every client send so many requests a minute, all at once or evenly."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._capacity = float(per_minute)
        self._clock = clock
        self._buckets: dict[str, _Bucket] = {}
        self._lock = threading.Lock()

    def take(self, client: str) -> float:
        """Take a token from the bucket of a client.

        :returns: 0, or the seconds until there is one.
        """
        with self._lock:
            now = self._clock()
            if len(self._buckets) >= _REMEMBERED:
                self._forget(now)
            bucket = self._buckets.setdefault(client, _Bucket(self._capacity, now))
            bucket.tokens, bucket.filled = self._tokens(bucket, now), now
            if bucket.tokens < 1:
                return (1 - bucket.tokens) * 60 / self._capacity
            bucket.tokens -= 1
            return 0.0

    def _tokens(self, bucket: _Bucket, now: float) -> float:
        gained = (now - bucket.filled) * self._capacity / 60
        return min(self._capacity, bucket.tokens + gained)

    def _forget(self, now: float) -> None:
        kept = {
            client: bucket
            for client, bucket in self._buckets.items()
            if self._tokens(bucket, now) < self._capacity
        }
        self._buckets = kept if len(kept) < _REMEMBERED else {}


def client_of(address: str | None) -> str:
    """Return what tells clients apart: an address, of IPv6 the network of 64 bits."""
    try:
        parsed = ipaddress.ip_address(address or "")
    except ValueError:
        return address or ""
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped:  # what a socket for both calls a client of IPv4
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((int(parsed), 64), strict=False))
    return str(parsed)


def install(app: Flask, per_minute: int) -> None:
    """Refuse requests beyond the limit; 0 is none."""
    if not per_minute:
        return
    limiter = RateLimiter(per_minute)

    @app.before_request
    def check() -> None:
        if request.endpoint in _FREE:
            return
        wait = limiter.take(client_of(request.remote_addr))
        if wait:
            REFUSALS.labels("rate").inc()
            raise TooManyRequests(
                f"More than {per_minute} requests a minute; the setting `rate_per_minute` "
                "changes that.",
                retry_after=math.ceil(wait),
            )
