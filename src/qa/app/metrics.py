"""What is counted and timed, for Prometheus."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

REQUESTS = Counter("qa_requests_total", "Requests replied to", ["endpoint", "method", "status"])
REQUEST_SECONDS = Histogram(
    "qa_request_seconds",
    "Time to reply to a request",
    ["endpoint"],
    buckets=(0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30),
)
REFUSALS = Counter(
    "qa_refused_requests_total",
    "Requests refused: by host, site, token, rate, queue or time",
    ["reason"],
)
ANSWERS = Counter("qa_answers_total", "Questions replied to", ["outcome"])
LATENCY = Histogram(
    "qa_answer_seconds",
    "Time to reply to a question",
    buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
)
QUEUE = Gauge("qa_queue", "Questions that are answered now, or wait for it", ["state"])
INDEX_AGE = Gauge("qa_index_age_seconds", "Time since the generation that answers was built")
FALLBACK = Gauge("qa_index_fallback", "1 while an earlier generation stands in for a damaged one")
REBUILDS = Counter("qa_rebuilds_total", "Jobs that ended", ["state"])
