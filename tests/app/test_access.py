"""The token: where it comes from, and who gets in with it."""

from __future__ import annotations

import stat
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from qa import cli
from qa.app.access import COOKIE, SESSION, is_loopback, make_token, read_token
from qa.config import Settings
from qa.errors import ConfigError

Serve = Callable[..., FlaskClient]
TOKEN = "correct-horse-battery-staple"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
HTML = {"Accept": "text/html,application/xhtml+xml"}
PROTECTED = ["/", "/sources/notes.txt", "/api/v1/status", "/api/v1/openapi.json", "/metrics", "/no"]


def sign_in(client: FlaskClient, token: str = TOKEN, **fields: str) -> Any:
    return client.post("/sign-in", data={"token": token, **fields})


@pytest.mark.parametrize(
    ("host", "found"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("", False),
        ("192.168.1.5", False),
        ("localhost.example.org", False),
        ("::ffff:10.0.0.1", False),
    ],
)
def test_what_only_this_machine_reaches(host: str, found: bool) -> None:
    assert is_loopback(host) is found


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", ""])
def test_another_address_is_refused_without_a_token(
    host: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["serve", "--host", host]) == cli.USAGE
    said = capsys.readouterr().err
    assert repr(host) in said and "make one: qa token" in said


def test_a_token_is_made_and_printed_once(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["token"]) == 0
    (token,) = capsys.readouterr().out.split()
    path = Path("qa.token")
    assert len(token) == 43
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_token(Settings(), {}) == token
    assert cli.main(["token"]) == cli.USAGE
    assert "delete it to make another" in capsys.readouterr().err
    assert path.read_text().strip() == token


def test_where_a_token_comes_from(settings: Settings, tmp_path: Path) -> None:
    assert read_token(settings, {}) == ""
    named = replace(settings, token_file=tmp_path / "other")
    token = make_token(named.token_file)
    assert read_token(named, {}) == token
    assert read_token(named, {"QA_TOKEN": TOKEN}) == TOKEN


def test_a_token_file_that_was_named_must_be_there(settings: Settings, tmp_path: Path) -> None:
    """A slip in its name would else leave the server open."""
    named = replace(settings, token_file=tmp_path / "tokn")
    with pytest.raises(ConfigError, match="make it: qa token"):
        read_token(named, {})
    assert read_token(named, {"QA_TOKEN": TOKEN}) == TOKEN
    for unusable in (tmp_path, tmp_path / "binary"):
        (tmp_path / "binary").write_bytes(b"\xff" * 20)
        with pytest.raises(ConfigError, match="a text file"):
            read_token(replace(settings, token_file=unusable), {})


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o640, 0o604])
def test_a_token_that_others_can_read_is_said_so(
    settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture, mode: int
) -> None:
    named = replace(settings, token_file=tmp_path / "token")
    named.token_file.write_text(TOKEN)
    named.token_file.chmod(mode)
    assert read_token(named, {}) == TOKEN
    said = "".join(record.getMessage() for record in caplog.records)
    assert ("chmod 600" in said) is (mode in (0o640, 0o604))
    assert TOKEN not in said


def test_a_link_is_not_followed_when_a_token_is_made(tmp_path: Path) -> None:
    """Somebody else may have put it there."""
    (tmp_path / "qa.token").symlink_to(tmp_path / "theirs")
    with pytest.raises(ConfigError, match="not there yet"):
        make_token(tmp_path / "qa.token")
    assert not (tmp_path / "theirs").exists()


@pytest.mark.parametrize("token", ["a" * 15 + "=", "Az09._~+/-Az09._~+/-==", "0" * 16])
def test_whatever_token_is_taken_can_be_sent(serve: Serve, token: str) -> None:
    assert read_token(Settings(), {"QA_TOKEN": token}) == token
    client = serve(token)
    sent = {"Authorization": f"Bearer {token}"}
    assert client.get("/api/v1/status", headers=sent).status_code == 200
    assert sign_in(client, token).status_code == 303


@pytest.mark.parametrize(
    "token",
    [
        "short",
        "x" * 15,
        "with a blank in it",
        "ünïcödé-ünïcödé-ünï",
        "an=equals-sign-within-it",
        'quotes-"in"-the-token',
        "a-comma,in-the-middle",
    ],
)
def test_a_weak_token_is_refused_and_not_shown(settings: Settings, token: str) -> None:
    settings.token_file.write_text(token, encoding="utf-8")
    for environ in ({"QA_TOKEN": token}, {}):
        with pytest.raises(ConfigError, match="at least 16") as caught:
            read_token(settings, environ)
        assert token not in str(caught.value)


def test_the_token_is_no_setting() -> None:
    """Settings are shown in errors and handed to every build."""
    assert Settings.load({"QA_TOKEN": TOKEN}) == Settings()


@pytest.mark.parametrize("path", PROTECTED)
def test_without_the_token_nothing_is_told(serve: Serve, path: str) -> None:
    client = serve(TOKEN)
    for headers in (
        {},
        {"Authorization": "Bearer "},
        {"Authorization": f"Bearer {TOKEN}x"},
        {"Authorization": f"Bearer {TOKEN[:-1]}"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": TOKEN},
        {"Authorization": "Bearer \xe9\xff"},
        {"Cookie": f"{COOKIE}={TOKEN}"},
        {"Cookie": f"{COOKIE}=InBhZ2Ui.aaaaaa.AAAAAAAAAAAAAAAAAAAAAAAAAAA"},
    ):
        reply = client.get(path, headers=headers)
        assert reply.status_code == 401
        assert reply.headers["WWW-Authenticate"].lower().startswith("bearer")
        assert reply.get_json()["type"] == "urn:qa:problem:unauthorized"
        assert "Vienna" not in reply.text
    assert client.get(path, headers=BEARER).status_code == (404 if path == "/no" else 200)


def test_what_says_nothing_needs_no_token(serve: Serve) -> None:
    client = serve(TOKEN)
    for path in ("/healthz", "/readyz", "/sign-in", "/static/style.css"):
        assert client.get(path, buffered=True).status_code == 200


def test_without_a_token_everything_is_open(serve: Serve) -> None:
    client = serve()
    assert client.get("/").status_code == 200
    assert client.get("/api/v1/status").status_code == 200
    assert sign_in(client, "").status_code == 401  # there is nothing to sign in with


def test_a_browser_signs_in_once(serve: Serve) -> None:
    client = serve(TOKEN)
    page = "/sources/notes.txt?start=0&end=6"
    sent = client.get(page, headers=HTML)
    assert (sent.status_code, sent.headers["Location"]) == (
        303,
        "/sign-in?next=/sources/notes.txt?start%3D0%26end%3D6",
    )
    form = client.get(sent.headers["Location"])
    assert 'value="/sources/notes.txt?start=0&amp;end=6"' in form.text
    reply = sign_in(client, next=page)
    assert (reply.status_code, reply.headers["Location"]) == (303, page)
    cookie = reply.headers["Set-Cookie"]
    for attribute in ("HttpOnly", "SameSite=Strict", "Path=/", f"Max-Age={SESSION}"):
        assert attribute in cookie
    assert "Secure" not in cookie and TOKEN not in cookie
    assert ">Copper</mark>" in client.get(page, headers=HTML).text
    assert client.post("/api/v1/answer", json={"question": "Gold?"}).status_code == 200
    assert "Sign out" in client.get("/", headers=HTML).text
    client.post("/sign-out")
    assert client.get("/", headers=HTML).status_code == 303
    assert client.get("/api/v1/status").status_code == 401


def test_a_wrong_token_is_said_so(serve: Serve) -> None:
    client = serve(TOKEN)
    for wrong in ("", "x" * 30, "\ud800", TOKEN.upper()):
        reply = sign_in(client, wrong.encode("utf-8", "surrogatepass").decode("latin-1"))
        assert reply.status_code == 401
        assert "That is not the token." in reply.text
        assert "Set-Cookie" not in reply.headers


def test_nobody_signs_in_where_there_is_no_token(serve: Serve) -> None:
    reply = serve("").get("/sign-in", query_string={"next": "/status"})
    assert (reply.status_code, reply.headers["Location"]) == (303, "/status")


def test_over_tls_the_cookie_stays_there(serve: Serve) -> None:
    client = serve(TOKEN)
    reply = client.post("/sign-in", data={"token": TOKEN}, headers={"Origin": "https://localhost"})
    assert "Secure" in reply.headers["Set-Cookie"]


@pytest.mark.parametrize(
    ("wanted", "location"),
    [
        ("/?q=Why", "/?q=Why"),
        ("https://evil.example/", "/"),
        ("//evil.example/", "/"),
        ("///evil.example/", "/"),
        ("////evil.example/", "/"),
        ("/\\evil.example/", "/"),
        ("\\\\evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("/\t/evil.example", "/"),
        ("/a\r\nSet-Cookie: x=1", "/"),
        ("http://[", "/"),
        ("", "/"),
    ],
)
def test_signing_in_leads_nowhere_else(serve: Serve, wanted: str, location: str) -> None:
    client = serve(TOKEN)
    assert sign_in(client, next=wanted).headers["Location"] == location
    assert f'href="{location}"' in client.get("/sign-in", query_string={"next": wanted}).text


def test_another_site_cannot_sign_in(serve: Serve) -> None:
    client = serve(TOKEN)
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        reply = client.post("/sign-in", data={"token": TOKEN}, headers=headers)
        assert reply.status_code == 403
        assert "Set-Cookie" not in reply.headers


def test_a_new_token_ends_every_session(serve: Serve) -> None:
    client = serve(TOKEN)
    sign_in(client)
    cookie = client.get_cookie(COOKIE)
    assert cookie
    other = serve("another-token-altogether")
    other.set_cookie(COOKIE, cookie.value)
    assert other.get("/api/v1/status").status_code == 401


@pytest.mark.parametrize("away", [SESSION + 60, -60], ids=["a week later", "clock set back"])
def test_a_session_ends(serve: Serve, monkeypatch: pytest.MonkeyPatch, away: int) -> None:
    client = serve(TOKEN)
    sign_in(client)
    assert client.get("/api/v1/status").status_code == 200
    now = time.time()
    monkeypatch.setattr("itsdangerous.timed.time.time", lambda: now + away)
    client.set_cookie(COOKIE, client.get_cookie(COOKIE).value)  # type: ignore[union-attr]
    assert client.get("/", headers=HTML).status_code == 303
    assert client.get("/api/v1/status").status_code == 401
