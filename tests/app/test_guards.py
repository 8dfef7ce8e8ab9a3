"""Every address of the application, also those to come, stands behind every guard."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from app.test_serve import started
from patience import PATIENCE
from qa.config import Settings

Serve = Callable[..., FlaskClient]
TOKEN = "correct-horse-battery-staple"
OPEN = {"/static/chat.js", "/healthz", "/readyz", "/sign-in"}
UNLIMITED = {"/static/chat.js", "/healthz", "/readyz", "/metrics"}
VALUES = {"filename": "chat.js", "uri": "notes.txt", "id": "0" * 16, "name": "notes.txt"}


def addresses(client: FlaskClient) -> list[tuple[str, str]]:
    """Return every method with every path that the application knows."""
    map_ = client.application.url_map.bind("localhost")
    found = []
    for rule in client.application.url_map.iter_rules():
        values = {name: VALUES[name] for name in rule.arguments}
        path = map_.build(rule.endpoint, values)
        found += [(method, path) for method in sorted((rule.methods or set()) - {"OPTIONS"})]
    return found


def send(client: FlaskClient, method: str, path: str, **headers: str) -> Any:
    body = {"data": "{}", "content_type": "application/json"} if method == "POST" else {}
    return client.open(path, method=method, headers=headers, buffered=True, **body)


def test_there_are_addresses(serve: Serve) -> None:
    found = addresses(serve())
    for method, path in (
        ("GET", "/"),
        ("GET", "/sources/notes.txt"),
        ("POST", "/sign-in"),
        ("DELETE", f"/api/v1/index/jobs/{'0' * 16}"),
        *(("POST", f"/api/v1/{name}") for name in ("answer", "verify", "evidence", "feedback")),
    ):
        assert (method, path) in found


def test_the_token_is_asked_for_everywhere(serve: Serve) -> None:
    client = serve(TOKEN)
    for method, path in addresses(client):
        wanted = 401 if path not in OPEN or (method, path) == ("POST", "/sign-in") else 200
        assert send(client, method, path).status_code == wanted, (method, path)


def test_another_name_is_answered_nowhere(serve: Serve) -> None:
    for client in (serve(), serve(TOKEN)):
        for method, path in addresses(client):
            assert send(client, method, path, Host="evil.example").status_code == 421, path


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}],
    ids=["other origin", "null origin", "cross-site"],
)
def test_another_site_is_answered_nowhere(serve: Serve, headers: dict[str, str]) -> None:
    for client in (serve(), serve(TOKEN)):
        for method, path in addresses(client):
            assert send(client, method, path, **headers).status_code == 403, (method, path)
    assert not Path("feedback.jsonl").exists()


def test_requests_are_counted_everywhere(serve: Serve) -> None:
    for method, path in addresses(serve()):
        client = serve(rate_per_minute=1)
        client.get("/api/v1/index/jobs")
        reply = send(client, method, path)
        assert (reply.status_code == 429) is (path not in UNLIMITED), (method, path)
        assert ("Retry-After" in reply.headers) is (path not in UNLIMITED)


def test_what_is_kept_from_caches(serve: Serve) -> None:
    client = serve()
    for method, path in addresses(client):
        said = send(client, method, path).headers["Cache-Control"]
        if path.startswith(("/files/", "/page-images/")):
            assert said in ("no-store", "private, no-cache"), path  # a file, or a refusal
        elif path.startswith("/api/"):
            assert said == "no-store", path
        else:
            assert said == ("no-cache" if "/static/" in path else "private, no-cache"), path


def test_a_page_says_when_to_come_again(serve: Serve) -> None:
    client = serve(rate_per_minute=1)
    html = {"Accept": "text/html"}
    assert client.get("/", headers=html).status_code == 200
    reply = client.get("/", headers=html)
    assert (reply.status_code, reply.mimetype) == (429, "text/html")
    assert 1 <= int(reply.headers["Retry-After"]) <= 60
    assert "rate_per_minute" in reply.text


@pytest.mark.parametrize("name", ["verify", "evidence"])
def test_other_work_waits_in_the_queue_too(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    asked: list[str] = []

    def run(self: object, work: Callable[[], Any]) -> Any:
        asked.append(name)
        return work()

    monkeypatch.setattr("qa.app.queue.Queue.run", run)
    client = serve()
    cited = [{"uri": "notes.txt", "start": 0, "end": 6, "quote": "Copper"}]
    answer = {"question": "q", "interpreted": "q", "confidence": 1, "generation": "a"}
    bodies = {
        "verify": {"citations": cited},
        "evidence": {"format": "json", "answers": [{**answer, "citations": cited}]},
    }
    assert client.post(f"/api/v1/{name}", json=bodies[name]).status_code == 200
    assert asked == [name]


# names and addresses


@pytest.mark.parametrize(
    ("bound", "host", "status"),
    [
        ("fe80::A", "[fe80::a]:8000", 200),
        ("2001:db8:0:0::1", "[2001:db8::1]:8000", 200),
        ("2001:db8::1", "2001:db8::1:8000", 421),
        ("Laptop.lan", "laptop.lan:8000", 200),
        ("192.0.2.1", "192.0.2.1:8000", 200),
        ("192.0.2.1", "192.0.2.2:8000", 421),
        ("", ":8000", 421),
        ("::", "[::]:8000", 421),
    ],
)
def test_the_address_that_was_bound_is_a_name(
    serve: Serve, bound: str, host: str, status: int
) -> None:
    client = serve(TOKEN, host=bound)
    environ = {"SERVER_PORT": "8000"}
    reply = client.get("/healthz", headers={"Host": host}, environ_overrides=environ)
    assert reply.status_code == status


@pytest.mark.parametrize(
    "path",
    [
        "/sources/../../etc/passwd",
        "/sources/%2e%2e/%2e%2e/etc/passwd",
        "/sources/..%2f..%2fetc%2fpasswd",
        "/sources/%252e%252e%252fetc%252fpasswd",
        "/sources/%2fetc%2fpasswd",
        "/sources/./notes.txt",
        "/sources/cities/../notes.txt",
        "/sources/notes.txt%00",
        "/sources/notes.txt%00.html",
        "/sources/NOTES.TXT",
        "/sources/notes.txt/",
        "/sources/%c0%ae%c0%ae/notes.txt",
        "/sources/%ff",
        "/sources/%ed%a0%80",
        "/sources/file:%2f%2f%2fetc%2fpasswd",
        "/sources/C:%5cnotes.txt",
        "/static/..%2f..%2ftemplates/chat.html",
        "/static/%2e%2e/templates/chat.html",
        "/static/%2fetc%2fpasswd",
    ],
)
def test_an_address_is_no_path(serve: Serve, path: str) -> None:
    client = serve()
    for prefix in ("", "/api/v1") if path.startswith("/sources") else ("",):
        reply = client.get(prefix + path, buffered=True, follow_redirects=True)
        assert reply.status_code == 404, prefix + path
        assert "root:" not in reply.text and "Copper" not in reply.text


def test_a_uri_may_be_encoded_in_any_way(serve: Serve) -> None:
    client = serve()
    for path in ("cities/vienna.md", "cities%2fvienna.md", "%63ities/vienna%2Emd"):
        assert client.get(f"/api/v1/sources/{path}").get_json()["title"] == "Vienna"


HALF = "\ud800"


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("answer", {"question": "Why?", "sources": [HALF]}, "sources.0"),
        ("verify", {"citations": [{"sha256": HALF}]}, "citations.0.sha256"),
        ("feedback", {"citations": [{"sha256": HALF}]}, "citations.0.sha256"),
        ("feedback", {"note": HALF}, "note"),
        ("evidence", {"answers": [{"citations": [{"sha256": HALF}]}]}, "citations.0.sha256"),
        ("evidence", {"answers": [{"sources": [HALF]}]}, "answers.0.sources.0"),
        ("evidence", {"answers": [{"related": [{"uri": HALF}]}]}, "related.0.uri"),
    ],
)
def test_half_a_character_is_refused_by_name(
    serve: Serve, path: str, body: dict[str, Any], field: str
) -> None:
    """It can be neither kept nor sent; it once made a reply of 500."""
    reply = serve().post(f"/api/v1/{path}", json=body)
    assert reply.status_code == 422
    reasons = {entry["field"]: entry["reason"] for entry in reply.get_json()["errors"]}
    (found,) = (reason for name, reason in reasons.items() if name.endswith(field))
    assert "unicode" in found


def texts(schema: Any) -> Iterator[dict[str, Any]]:
    """Yield the schema of every text."""
    if isinstance(schema, dict):
        if schema.get("type") == "string":
            yield schema
        for value in schema.values():
            yield from texts(value)
    if isinstance(schema, list):
        for value in schema:
            yield from texts(value)


def test_every_text_of_a_request_has_a_limit(serve: Serve) -> None:
    """Without one pydantic does not look at its characters."""
    schema = serve().get("/api/v1/openapi.json").get_json()
    requests = {
        name: model
        for name, model in schema["components"]["schemas"].items()
        if model.get("additionalProperties") is False
    }
    assert {"AnswerRequest", "EvidenceRequest", "FeedbackRequest", "QuotedCitation"} <= set(
        requests
    )
    for name, model in requests.items():
        for text in texts(model):
            assert {"maxLength", "minLength", "pattern", "enum", "const"} & set(text), (name, text)


# what comes over the wire

FINE = "GET /healthz HTTP/1.1\r\nHost: localhost:{port}\r\n"
ANSWER = "POST /api/v1/answer HTTP/1.1\r\nHost: localhost:{port}\r\n"
NEXT = "GET /metrics HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n"
RAW = {
    "as it should be": (FINE + "\r\n", [200]),
    "no host": ("GET /healthz HTTP/1.1\r\n\r\n", [421]),
    "HTTP/1.0 without a host": ("GET /healthz HTTP/1.0\r\n\r\n", [421]),
    "two hosts": (FINE + "Host: evil.example\r\n\r\n", [421]),
    "the same host twice": (FINE + "Host: localhost:{port}\r\n\r\n", [421]),
    "our host in the address, theirs in the header": (
        "GET http://localhost:{port}/healthz HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        [421],
    ),
    "a host for a proxy that there is not": (
        "GET /healthz HTTP/1.1\r\nHost: evil.example\r\nX-Forwarded-Host: localhost:{port}\r\n"
        "Forwarded: host=localhost:{port}\r\n\r\n",
        [421],
    ),
    "a header with an underscore": (
        FINE + "Origin: https://evil.example\r\nSec_Fetch_Site: same-origin\r\n\r\n",
        [403],
    ),
    "two origins": (
        FINE + "Origin: http://localhost:{port}\r\nOrigin: https://evil.example\r\n\r\n",
        [403],
    ),
    "two sites": (
        FINE + "Sec-Fetch-Site: same-origin\r\nSec-Fetch-Site: cross-site\r\n\r\n",
        [403],
    ),
    "two lengths": (ANSWER + "Content-Length: 0\r\nContent-Length: 40\r\n\r\n" + NEXT, [400]),
    "a length with a sign": (ANSWER + "Content-Length: +0\r\n\r\n" + NEXT, [400]),
    "a length in words": (ANSWER + "Content-Length: none\r\n\r\n" + NEXT, [400]),
    "an unknown encoding": (ANSWER + "Transfer-Encoding: xchunked\r\n\r\n" + NEXT, [501]),
    "a chunk of no size": (ANSWER + "Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n" + NEXT, [400]),
    "a blank before the colon": (FINE + "Host : evil.example\r\n\r\n", [400]),
    "a header that goes on": (FINE + "X-A: b\r\n Host: evil.example\r\n\r\n", [200, 400]),
    "a bare line feed": (FINE + "X-A: b\nHost: evil.example\r\n\r\n", [400]),
    "a NUL": (FINE + "X-A: b\0c\r\n\r\n", [200, 400]),
    "two slashes": (
        "GET //evil.example/x HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n",
        [308, 404],
    ),
}


def test_what_is_no_sound_request(indexed: Settings) -> None:
    """Each is refused, or read as one request; what follows in its body is never a second one."""
    command = ["-m", "qa", "serve", "--port", "0", "--index", str(indexed.index / "none")]
    with started(*command) as (_, port):
        for name, (text, statuses) in RAW.items():
            replies = exchange(port, text.replace("{port}", str(port)))
            heads = [part for part in replies.split("HTTP/1.") if part[1:2] == " "]
            assert len(heads) == 1, (name, replies)
            assert int(heads[0][2:5]) in statuses, (name, replies)
            location = replies.partition("\r\nLocation: ")[2].partition("\r\n")[0]
            assert location.startswith((f"http://localhost:{port}/", "/")) or not location, name


def exchange(port: int, text: str) -> str:
    """Send bytes, and return all that comes back until the other side has no more to say."""
    with closing(socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)) as connection:
        connection.sendall(text.encode("latin-1"))
        connection.shutdown(socket.SHUT_WR)
        received = b""
        while piece := connection.recv(65536):
            received += piece
    return received.decode("latin-1")
