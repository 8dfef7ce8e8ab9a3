"""The files behind the sources: downloads, pages as pictures, uploads."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from fakes import FakeEncoder, fill
from qa.app import create_app
from qa.assistant import Live
from qa.config import Settings
from qa.errors import AlreadyUploaded, UploadRefused
from qa.ingest import build
from qa.uploads import delete, keep, safe_stem
from readers.build import docx, pdf_pages, png

Serve = Callable[..., FlaskClient]
OURS = {"X-QA-Upload": "1"}


@pytest.fixture
def client(settings: Settings, fake: FakeEncoder, monkeypatch: pytest.MonkeyPatch) -> FlaskClient:
    """The application over a page of HTML and a PDF; uploads are on."""
    fill(
        settings.corpus,
        {
            "page.html": "<h1>Title</h1><p>Some words.</p><script>alert(1)</script>",
            "picture.svg.txt": "<svg onload='alert(1)'></svg> is text.",
            "two.pdf": pdf_pages(["The first page."], ["The second page."]),
        },
    )
    build(settings, fake)
    monkeypatch.setattr("qa.assistant.open_encoder", lambda settings: fake)
    live = Live(replace(settings, uploads=True, upload_mb=1, upload_files=2))
    return create_app(live).test_client()


@pytest.mark.parametrize("uri", ["page.html", "picture.svg.txt", "two.pdf"])
def test_a_file_is_handed_out_and_never_shown(
    client: FlaskClient, settings: Settings, uri: str
) -> None:
    reply = client.get(f"/files/{uri}")
    assert reply.data == (settings.corpus / uri).read_bytes()
    assert reply.mimetype == "application/octet-stream"
    assert reply.headers["Content-Disposition"] == f"attachment; filename*=UTF-8''{uri}"
    assert reply.headers["X-Content-Type-Options"] == "nosniff"
    assert reply.headers["Content-Security-Policy"] == "sandbox; default-src 'none'"


@pytest.mark.parametrize(
    "path", ["/files/none.txt", "/files/../index/CURRENT", "/files/%2e%2e/index/CURRENT"]
)
def test_only_sources_are_handed_out(client: FlaskClient, path: str) -> None:
    assert client.get(path).status_code == 404


def test_a_link_that_leads_away_is_not_followed(
    client: FlaskClient, settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("secret")
    (settings.corpus / "page.html").unlink()
    (settings.corpus / "page.html").symlink_to(tmp_path / "secret")
    reply = client.get("/files/page.html")
    assert reply.status_code == 404
    assert "leads out of the corpus" in reply.get_json()["detail"]


def test_a_page_is_a_picture(client: FlaskClient) -> None:
    sha256 = client.get("/api/v1/sources/two.pdf").get_json()["sha256"]
    reply = client.get(f"/page-images/two.pdf?page=2&of={sha256}")
    assert reply.mimetype == "image/png"
    assert "immutable" in reply.headers["Cache-Control"]
    width, height = (int.from_bytes(reply.data[at : at + 4], "big") for at in (16, 20))
    assert (width, height) == (1100, 1650)  # of 400 by 600 points
    data = reply.data[reply.data.index(b"IDAT") + 4 :]
    assert len(zlib.decompressobj().decompress(data)) == height * (1 + 3 * width)
    assert "immutable" not in client.get("/page-images/two.pdf?page=2").headers.get(
        "Cache-Control", ""
    )


def test_a_page_that_cannot_be_drawn_says_why(client: FlaskClient, settings: Settings) -> None:
    reply = client.get("/page-images/two.pdf?page=3")
    assert (reply.status_code, reply.get_json()["detail"]) == (404, "two.pdf: has no page 3.")
    assert client.get("/page-images/page.html").status_code == 404
    fill(settings.corpus, {"two.pdf": pdf_pages(["Another page."])})
    reply = client.get("/page-images/two.pdf?page=1&of=other")
    assert "has changed since it was indexed" in reply.get_json()["detail"]
    page = client.get("/sources/two.pdf").get_data(as_text=True)
    assert "cannot be drawn: the file has changed" in page
    assert "The first page." in page  # as it was indexed


def test_an_upload_is_kept_under_a_name_of_its_own(client: FlaskClient, settings: Settings) -> None:
    reply = client.put("/api/v1/uploads/R%C3%A9sum%C3%A9%20(1).TXT", data=b"Words.", headers=OURS)
    assert (reply.status_code, reply.get_json()) == (
        201,
        {"uri": "uploads/resume-1.txt", "bytes": 6},
    )
    assert (settings.corpus / "uploads" / "resume-1.txt").read_bytes() == b"Words."
    other = client.put("/api/v1/uploads/resume-1.txt", data=b"Other words.", headers=OURS)
    assert other.get_json()["uri"] == "uploads/resume-1-2.txt"
    assert (settings.corpus / "uploads" / "resume-1.txt").read_bytes() == b"Words."
    full = client.put("/api/v1/uploads/third.txt", data=b"More.", headers=OURS)
    assert full.status_code == 422
    assert "upload_files = 2" in full.get_json()["detail"]


@pytest.mark.parametrize(
    ("headers", "data", "status"),
    [
        pytest.param({}, b"Words.", 403, id="a form of another site has no such header"),
        pytest.param({**OURS, "Origin": "http://evil.example"}, b"W.", 403, id="another site"),
        pytest.param({**OURS, "Sec-Fetch-Site": "cross-site"}, b"W.", 403, id="its script"),
        pytest.param(OURS, b"x" * (1024 * 1024 + 1), 413, id="too large"),
        pytest.param(OURS, b"", 422, id="empty"),
    ],
)
def test_an_upload_is_refused(
    client: FlaskClient, settings: Settings, headers: dict[str, str], data: bytes, status: int
) -> None:
    reply = client.put("/api/v1/uploads/a.txt", data=data, headers=headers)
    assert (reply.status_code, reply.mimetype) == (status, "application/problem+json")
    assert not (settings.corpus / "uploads").exists()


def test_an_upload_larger_than_other_bodies_is_taken(client: FlaskClient) -> None:
    reply = client.put("/api/v1/uploads/a.txt", data=b"Words. " * 100_000, headers=OURS)
    assert reply.status_code == 201


def test_uploads_are_off_unless_a_setting_says_so(serve: Serve, indexed: Settings) -> None:
    client = serve()
    assert client.put("/api/v1/uploads/a.txt", data=b"W.", headers=OURS).status_code == 403
    fill(indexed.corpus, {"uploads/a.txt": "Words."})
    assert client.delete("/api/v1/uploads/a.txt", headers=OURS).status_code == 403
    assert (indexed.corpus / "uploads" / "a.txt").is_file()


def test_only_what_was_uploaded_is_deleted(client: FlaskClient, settings: Settings) -> None:
    fill(settings.corpus, {"uploads/a.txt": "Words."})
    assert client.delete("/api/v1/uploads/a.txt", headers=OURS).status_code == 204
    assert not (settings.corpus / "uploads" / "a.txt").exists()
    for name in ("a.txt", "page.html", "..%2Fpage.html", "%2e%2e", ".", "uploads", "x%00.txt"):
        reply = client.delete(f"/api/v1/uploads/{name}", headers=OURS)
        assert reply.status_code in (404, 405), name
    assert (settings.corpus / "page.html").is_file()


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("Annual Report 2024.pdf", "annual-report-2024"),
        ("../../etc/passwd.txt", "passwd"),
        ("C:\\Windows\\win.txt", "win"),
        ("con.txt", "file-con"),
        ("日本.txt", "file"),
        ("\u202egnp.txt", "gnp"),
        (".hidden.txt", "hidden"),
        ("x" * 300 + ".txt", "x" * 60),
    ],
)
def test_a_name_is_made_safe(name: str, stem: str) -> None:
    assert safe_stem(name) == stem


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("a.exe", b"MZ", "no reader for .exe"),
        ("a", b"text", "no reader for a file without a suffix"),
        ("a.pdf", png(), "it looks like a PNG image"),
        ("a.txt", pdf_pages(["Words."]), "it looks like a PDF"),
        ("a.docx", b"Words.", "it looks like text"),
        ("a.pdf", b"%PDF-1.7 cut off", "damaged"),
        ("a.txt", b"\xff\xfe\xff", "not what its name says"),
        ("a.docx", docx(lambda document: None), "no text in it"),
    ],
)
def test_what_would_not_be_read_is_not_taken(
    settings: Settings, name: str, data: bytes, reason: str
) -> None:
    with pytest.raises(UploadRefused, match=reason):
        keep(settings, name, data)
    assert not (settings.corpus / "uploads").exists()


def test_the_same_file_is_kept_once(settings: Settings) -> None:
    assert keep(settings, "a.txt", b"Words.") == "uploads/a.txt"
    with pytest.raises(AlreadyUploaded, match=r"uploads/a\.txt"):
        keep(settings, "b.txt", b"Words.")
    assert [path.name for path in (settings.corpus / "uploads").iterdir()] == ["a.txt"]


def test_a_folder_of_uploads_that_leads_away_is_not_used(
    settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (settings.corpus / "uploads").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UploadRefused, match="leads out of the corpus"):
        keep(settings, "a.txt", b"Words.")
    (tmp_path / "elsewhere" / "a.txt").write_text("Words.")
    assert not delete(settings, "a.txt")
    assert (tmp_path / "elsewhere" / "a.txt").is_file()
