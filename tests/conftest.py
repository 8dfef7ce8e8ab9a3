"""Corpora, indexes and encoders that tests share."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import hypothesis
import pytest

import postgres
from fakes import ARTICLE, CORPUS, FakeEncoder, fill
from qa.config import Settings
from qa.encoder import OpenVINOEncoder, open_encoder
from qa.ingest import build
from qa.scorer import NONE

hypothesis.settings.register_profile("same every time", deadline=None, derandomize=True)
hypothesis.settings.load_profile("same every time")


@pytest.fixture(autouse=True)
def _own_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep what this machine sets, and what lies in its current folder, out of the tests."""
    for key in [key for key in os.environ if key.startswith("QA_")]:
        monkeypatch.delenv(key)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of an empty corpus, without an index; for the fake encoder, so without selector."""
    found = Settings(corpus=tmp_path / "corpus", index=tmp_path / "index", selector=NONE)
    found.corpus.mkdir()
    return found


@pytest.fixture
def fake() -> FakeEncoder:
    return FakeEncoder()


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings of the small corpus, indexed with the fake encoder; not to be changed."""
    root = tmp_path_factory.mktemp("small")
    found = Settings(corpus=root / "corpus", index=root / "index")
    fill(found.corpus, CORPUS)
    build(found, FakeEncoder())
    return found


@pytest.fixture
def indexed(settings: Settings, small: Settings) -> Settings:
    """Settings of the small corpus, indexed with the fake encoder."""
    shutil.copytree(small.corpus, settings.corpus, dirs_exist_ok=True)
    shutil.copytree(small.index, settings.index)
    return settings


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index folder in which the real model is exported, and nothing else."""
    index = tmp_path_factory.mktemp("exported")
    open_encoder(Settings(index=index))
    return index


@pytest.fixture(scope="session")
def encoder(exported: Path) -> OpenVINOEncoder:
    """The real model."""
    found = open_encoder(Settings(index=exported))
    assert isinstance(found, OpenVINOEncoder)
    return found


@pytest.fixture(scope="session")
def article_index(
    exported: Path, encoder: OpenVINOEncoder, tmp_path_factory: pytest.TempPathFactory
) -> Settings:
    """Settings of a corpus that is the real article, indexed with the real model."""
    root = tmp_path_factory.mktemp("article")
    found = Settings(corpus=root / "corpus", index=root / "index")
    found.corpus.mkdir()
    shutil.copy(ARTICLE, found.corpus)
    shutil.copytree(exported, found.index)
    build(found, encoder)
    return found


@pytest.fixture(scope="session")
def shipped(
    exported: Path, encoder: OpenVINOEncoder, tmp_path_factory: pytest.TempPathFactory
) -> Settings:
    """Settings of the sources that come with the program, indexed with the real model."""
    found = Settings(
        corpus=Path(__file__).parents[1] / "corpus",
        index=tmp_path_factory.mktemp("shipped") / "index",
    )
    shutil.copytree(exported, found.index)
    build(found, encoder)
    return found


@pytest.fixture(scope="session")
def servers() -> Iterator[postgres.Servers]:
    """Real PostgreSQL servers, one of each kind."""
    with postgres.servers() as lent:
        yield lent


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse every socket."""

    def refuse(*args: object, **options: object) -> NoReturn:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
