"""What pages of other sites can and cannot do, and what every reply carries."""

from __future__ import annotations

import http.client
import sys
from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Any

import pytest
from flask.testing import FlaskClient

from app.test_serve import started
from patience import PATIENCE
from qa.config import Settings

Serve = Callable[..., FlaskClient]
OWN = {"Host": "127.0.0.1:8000"}
SERVER = {"SERVER_PORT": "8000"}
QUESTION = {"question": "Where does the Danube rise?"}


def send(client: FlaskClient, method: str, path: str, **options: Any) -> Any:
    headers = {**OWN, **options.pop("headers", {})}
    return client.open(
        path, method=method, headers=headers, environ_overrides=SERVER, buffered=True, **options
    )


FROM = {
    "curl": ({}, True),
    "own page": ({"Origin": "http://127.0.0.1:8000"}, True),
    "own page, newer browser": (
        {"Origin": "http://127.0.0.1:8000", "Sec-Fetch-Site": "same-origin"},
        True,
    ),
    "own page behind a proxy with TLS": ({"Origin": "https://127.0.0.1:8000"}, True),
    "typed by the user": ({"Sec-Fetch-Site": "none"}, True),
    "other origin": ({"Origin": "https://evil.example"}, False),
    "other port": ({"Origin": "http://127.0.0.1:8001"}, False),
    "other name of this machine": ({"Origin": "http://localhost:8000"}, False),
    "own name as a prefix": ({"Origin": "http://127.0.0.1:8000.evil.example"}, False),
    "own name as a user": ({"Origin": "http://127.0.0.1:8000@evil.example"}, False),
    "null origin": ({"Origin": "null"}, False),
    "no address at all": ({"Origin": "http://["}, False),
    "empty origin": ({"Origin": ""}, False),
    "cross-site": ({"Sec-Fetch-Site": "cross-site"}, False),
    "same-site": ({"Sec-Fetch-Site": "same-site"}, False),
    "cross-site that claims our origin": (
        {"Origin": "http://127.0.0.1:8000", "Sec-Fetch-Site": "cross-site"},
        False,
    ),
}


@pytest.mark.parametrize(("headers", "allowed"), FROM.values(), ids=FROM)
def test_where_a_request_comes_from(
    serve: Serve, headers: Mapping[str, str], allowed: bool
) -> None:
    """Reading an answer, reading a source and starting a build, asked from everywhere."""
    client = serve()
    for method, path, options in (
        ("POST", "/api/v1/answer", {"json": QUESTION}),
        ("GET", "/api/v1/sources/notes.txt", {}),
        ("GET", "/api/v1/sources", {}),
        ("GET", "/metrics", {}),
        ("POST", "/api/v1/verify", {"json": {"citations": [CITED]}}),
    ):
        reply = send(client, method, path, headers=headers, **options)
        assert reply.status_code == (200 if allowed else 403), path
        if not allowed:
            assert "Danube" not in reply.text
            assert "copper" not in reply.text.lower()
    deleted = send(client, "DELETE", "/api/v1/index/jobs/none", headers=headers)
    assert deleted.status_code == (404 if allowed else 403)


CITED = {"uri": "notes.txt", "start": 0, "end": 6, "quote": "Copper"}


@pytest.mark.parametrize(
    "path", ["/api/v1/answer", "/api/v1/index", "/api/v1/verify"], ids=["ask", "build", "verify"]
)
@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        ('{"question": "Why?"}', "text/plain"),
        ('{"question": "Why?"}', "text/plain; application/json"),
        ("question=Why", "application/x-www-form-urlencoded"),
        ("--x\r\n\r\nWhy\r\n--x--", "multipart/form-data; boundary=x"),
        ('{"question": "Why?"}', None),
    ],
    ids=["text", "text that names JSON", "form", "multipart", "none"],
)
@pytest.mark.parametrize("origin", [None, "http://127.0.0.1:8000"], ids=["no origin", "own"])
def test_a_body_that_needs_no_preflight_is_refused(
    serve: Serve, path: str, body: str, content_type: str | None, origin: str | None
) -> None:
    """What a form or a simple request can send is no JSON, whoever sends it."""
    client = serve()
    headers = {"Origin": origin} if origin else {}
    reply = send(client, "POST", path, data=body, content_type=content_type, headers=headers)
    assert reply.status_code == 415
    assert send(client, "GET", "/api/v1/index/jobs").get_json() == {"jobs": []}


@pytest.mark.parametrize("method", ["PUT", "PATCH", "TRACE", "DELETE"])
def test_other_methods_do_nothing(serve: Serve, method: str) -> None:
    assert send(serve(), method, "/api/v1/answer", json=QUESTION).status_code == 405


HOSTS = {
    "127.0.0.1:8000": 200,
    "localhost:8000": 200,
    "LOCALHOST:8000": 200,
    "[::1]:8000": 200,
    "qa.example.org": 200,
    "docs.lan:8443": 200,
    "127.0.0.1": 421,
    "127.0.0.1:8001": 421,
    "localhost:80000": 421,
    "localhost.:8000": 421,
    "evil.example": 421,
    "evil.example:8000": 421,
    "127.0.0.1:8000.evil.example": 421,
    "localhost:8000@evil.example": 421,
    "127.0.0.1:8000, evil.example": 421,
    "docs.lan": 421,
    "sub.qa.example.org": 421,
    "0.0.0.0:8000": 421,
    "": 421,
}


@pytest.mark.parametrize(("host", "status"), HOSTS.items(), ids=[host or "none" for host in HOSTS])
def test_the_server_answers_to_its_names_alone(serve: Serve, host: str, status: int) -> None:
    """A page whose own name was made to lead here (DNS rebinding) is same-origin with itself."""
    client = serve(hosts="qa.example.org docs.lan:8443", host="0.0.0.0", token="t" * 16)
    for path in ("/healthz", "/static/chat.js", "/sign-in"):
        reply = send(client, "GET", path, headers={"Host": host})
        assert reply.status_code == status, path
    rebound = {"Host": host, "Origin": f"http://{host}", "Authorization": "Bearer " + "t" * 16}
    reply = send(client, "POST", "/api/v1/answer", json=QUESTION, headers=rebound)
    assert reply.status_code == status
    assert ("Danube" in reply.text) is (status == 200)


def test_without_a_port_in_the_name_it_is_the_one_of_the_scheme(serve: Serve) -> None:
    client = serve()
    for host, port, status in (("localhost", "80", 200), ("localhost", "8000", 421)):
        reply = client.get(
            "/healthz", headers={"Host": host}, environ_overrides={"SERVER_PORT": port}
        )
        assert reply.status_code == status


NAVIGATION = {
    "Sec-Fetch-Site": "cross-site",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Dest": "document",
}


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/sources/notes.txt?start=0&end=6", NAVIGATION, 200),
        ("/", NAVIGATION, 200),
        ("/api/v1/sources", NAVIGATION, 403),
        ("/metrics", NAVIGATION, 403),
        ("/", {**NAVIGATION, "Sec-Fetch-Dest": "iframe"}, 403),
        ("/", {**NAVIGATION, "Origin": "null"}, 403),
        ("/static/icon.svg", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, 403),
        ("/static/icon.svg", {"Sec-Fetch-Site": "same-origin"}, 200),
    ],
    ids=["source", "chat", "JSON", "metrics", "frame", "form", "picture", "own picture"],
)
def test_a_link_of_another_site_opens_a_page_and_no_more(
    serve: Serve, path: str, headers: dict[str, str], status: int
) -> None:
    assert send(serve(), "GET", path, headers=headers).status_code == status


def test_a_link_of_another_site_asks_nothing(serve: Serve) -> None:
    """The page asks what stands in `?q=`, but not where another site put it there."""
    client = serve()
    assert "data-hold" in send(client, "GET", "/?q=Why", headers=NAVIGATION).text
    own = {**NAVIGATION, "Sec-Fetch-Site": "none"}
    assert "data-hold" not in send(client, "GET", "/?q=Why", headers=own).text


# pages of other sites that were allowed

TRUSTED = "https://docs.example.org"


def test_no_origin_is_allowed_by_default(serve: Serve) -> None:
    for headers in ({}, {"Origin": "http://127.0.0.1:8000"}, {"Origin": TRUSTED}):
        for method in ("GET", "OPTIONS", "POST"):
            reply = send(serve(), method, "/api/v1/status", headers=headers)
            assert [
                name for name, _ in reply.headers.items() if name.startswith("Access-Control")
            ] == []


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        (TRUSTED, True),
        ("https://docs.example.org:8443", False),
        ("http://docs.example.org", False),
        ("https://evil-docs.example.org", False),
        ("https://docs.example.org.evil.example", False),
        ("null", False),
    ],
)
def test_only_exact_origins_are_allowed(serve: Serve, origin: str, allowed: bool) -> None:
    client = serve(origins=f"{TRUSTED} http://localhost:3000")
    headers = {"Origin": origin, "Sec-Fetch-Site": "cross-site"}
    asked = {**headers, "Access-Control-Request-Method": "POST"}
    for reply in (
        send(client, "POST", "/api/v1/answer", json=QUESTION, headers=headers),
        send(client, "OPTIONS", "/api/v1/answer", headers=asked),
    ):
        assert reply.status_code == (200 if allowed else 403)
        assert reply.headers.get("Access-Control-Allow-Origin") == (origin if allowed else None)
        assert "Access-Control-Allow-Credentials" not in reply.headers
        assert reply.headers["Vary"] == "Origin"
    assert ("Access-Control-Allow-Headers" in reply.headers) is allowed
    page = send(client, "GET", "/static/chat.js", headers={"Origin": origin})
    assert "Access-Control-Allow-Origin" not in page.headers


# what every reply carries


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 200),
        ("GET", "/sources/notes.txt", 200),
        ("GET", "/sources/none.txt", 404),
        ("GET", "/static/chat.js", 200),
        ("GET", "/api/v1/status", 200),
        ("GET", "/api/v1/nothing", 404),
        ("POST", "/api/v1/answer", 415),
        ("GET", "/metrics", 200),
    ],
)
def test_every_reply_carries_the_headers(serve: Serve, method: str, path: str, status: int) -> None:
    reply = send(serve(), method, path)
    assert reply.status_code == status
    policy = dict(
        part.strip().split(" ", 1) for part in reply.headers["Content-Security-Policy"].split(";")
    )
    assert policy == {
        "default-src": "'self'",
        "img-src": "'self' data:",
        "base-uri": "'none'",
        "form-action": "'self'",
        "frame-ancestors": "'none'",
        "object-src": "'none'",
    }
    assert reply.headers["X-Content-Type-Options"] == "nosniff"
    assert reply.headers["Referrer-Policy"] == "same-origin"
    assert reply.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "Server" not in reply.headers
    assert "unsafe" not in reply.headers["Content-Security-Policy"]


def test_the_server_does_not_say_what_it_is(indexed: Settings) -> None:
    """Over the wire, where the server itself replies to what is no HTTP."""
    command = ["-m", "qa", "serve", "--port", "0", "--index", str(indexed.index / "none")]
    with started(*command) as (_, port):
        for request in (
            "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            "nonsense\r\n\r\n",
            "GET /%zz HTTP/9\r\n\r\n",
        ):
            with closing(
                http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
            ) as connection:
                connection.connect()
                connection.sock.sendall(request.encode())
                connection.sock.settimeout(10)
                reply = connection.sock.recv(65536).decode().lower()
            for banner in (
                "waitress",
                "werkzeug",
                "python",
                "traceback",
                str(sys.version_info[0]) + "." + str(sys.version_info[1]),
            ):
                assert banner not in reply


@pytest.mark.parametrize("name", ["retrieve", "rank", "cite"])
def test_no_reply_tells_a_path_or_a_trace(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left", "/home/somebody/secret")

    client = serve()
    monkeypatch.setattr(f"qa.assistant.{name}", fail)
    for accepted in ("application/json", "text/html"):
        reply = send(client, "POST", "/api/v1/answer", json=QUESTION, headers={"Accept": accepted})
        assert reply.status_code == 500
        assert reply.content_type == "application/problem+json"
        for hidden in ("somebody", "Traceback", "OSError", ".py"):
            assert hidden not in reply.text
